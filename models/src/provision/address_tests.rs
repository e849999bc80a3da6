//! Tests of files that are fetched by their address, with real curl against a server on this machine.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::checksum::sha256;
use super::client::Clients;
use super::fetch::{Choice, Fetch};
use super::{ProvisionError, Report, Silent};
use crate::Repository;
use crate::manifest::Manifest;
use crate::onnx::{GraphRunner, RunnerError, Tensor};

/// The file that the tests fetch: long enough to be cut in the middle.
const FILE: [u8; 100_000] = [7; 100_000];

struct NoModels;

impl GraphRunner for NoModels {
    fn run(&self, _model: &[u8], _inputs: &[Tensor]) -> Result<Vec<Tensor>, RunnerError> {
        unreachable!("the manifest has no models")
    }
}

/// How the server answers a request.
#[derive(Clone, Copy)]
enum Answer {
    /// The file from the offset that the request asks for.
    Whole,
    /// Half of the file, and then the connection is cut.
    Half,
    /// The whole file, whatever the request asks for.
    WithoutRanges,
    /// Another file.
    Other,
    NotFound,
}

/// A server that gives one answer after another, and the last one from then on.
struct Server {
    port: u16,
    /// The request lines, each with its range.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answers: &'static [Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let answer = answers[number.min(answers.len() - 1)];
                let line = reply(stream.unwrap(), answer);
                seen.lock().unwrap().push(line);
            }
        });
        Self { port, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Reads a request, answers it, and returns its first line and its range.
fn reply(mut stream: TcpStream, answer: Answer) -> String {
    let lines = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let lines: Vec<String> = lines.collect();
    let range = lines.iter().find_map(|line| line.strip_prefix("Range: bytes=")).unwrap_or("");
    let start = range.trim_end_matches('-').parse::<usize>().unwrap_or(0);
    let (status, body) = match answer {
        Answer::Whole if start >= FILE.len() => ("416 Range Not Satisfiable", &[][..]),
        Answer::Whole if start > 0 => ("206 Partial Content", &FILE[start..]),
        Answer::Other => ("200 OK", &b"something else"[..]),
        Answer::NotFound => ("404 Not Found", &[][..]),
        _ => ("200 OK", &FILE[..]),
    };
    let ranges = match answer {
        Answer::Whole if start > 0 => {
            format!("Content-Range: bytes {start}-{}/{}\r\n", FILE.len() - 1, FILE.len())
        }
        _ => String::new(),
    };
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{ranges}Connection: close\r\n\r\n", body.len());
    let sent = if matches!(answer, Answer::Half) { &body[..body.len() / 2] } else { body };
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(sent));
    format!("{} {range}", lines.first().map_or("", String::as_str))
}

fn manifest(addresses: &[String]) -> Manifest {
    let sum = sha256(&FILE);
    let text = format!(
        "format = 2\nmodels = []\n\
         [packages.files]\nregistry = \"https\"\nname = \"files\"\nversion = \"0123abc\"\naddresses = {addresses:?}\n\
         license = \"MIT\"\norigin = \"somebody\"\n\
         [runtime]\nversion = \"1.2.3\"\npackage = \"files\"\npath = \"lib/library.so\"\nsha256 = \"{sum}\"\n"
    );
    Manifest::parse(&text).unwrap()
}

fn fetch(dir: &Path, addresses: &[String], from: Option<&Path>) -> Result<Report, ProvisionError> {
    let clients = Clients::of_user();
    let choice = Choice { from, ..Choice::default() };
    let manifest = manifest(addresses);
    Fetch { dir, manifest: &manifest, choice, clients: &clients, progress: &Silent, runner: &NoModels }.run()
}

fn address(server: &Server) -> String {
    format!("http://127.0.0.1:{}/{{path}}", server.port)
}

fn is_installed(dir: &Path) -> bool {
    Repository::open(dir).is_ok_and(|found| std::fs::read(found.runtime_library()).unwrap() == FILE)
}

#[test]
fn an_interrupted_download_goes_on_where_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let cut = Server::start(&[Answer::Half]);
    assert!(matches!(fetch(dir.path(), &[address(&cut)], None), Err(ProvisionError::NoAddress { .. })));
    assert!(!is_installed(dir.path()));
    let whole = Server::start(&[Answer::Whole]);
    fetch(dir.path(), &[address(&whole)], None).unwrap();
    assert!(is_installed(dir.path()));
    assert_eq!(whole.requests(), [format!("GET /lib/library.so HTTP/1.1 {}-", FILE.len() / 2)]);
}

#[test]
fn a_server_without_ranges_sends_all_again() {
    let dir = tempfile::tempdir().unwrap();
    fetch(dir.path(), &[address(&Server::start(&[Answer::Half]))], None).unwrap_err();
    fetch(dir.path(), &[address(&Server::start(&[Answer::WithoutRanges]))], None).unwrap();
    assert!(is_installed(dir.path()));
}

#[test]
fn the_next_address_is_tried_after_a_missing_or_a_wrong_file() {
    for first in [&[Answer::NotFound][..], &[Answer::Other]] {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (Server::start(first), Server::start(&[Answer::Whole]));
        fetch(dir.path(), &[address(&first), address(&second)], None).unwrap();
        assert!(is_installed(dir.path()) && !first.requests().is_empty());
    }
}

#[test]
fn a_file_with_another_checksum_is_not_installed() {
    let dir = tempfile::tempdir().unwrap();
    let other = Server::start(&[Answer::Other]);
    let error = fetch(dir.path(), &[address(&other)], None).unwrap_err();
    let ProvisionError::NoAddress { last, .. } = &error else { panic!("{error}") };
    assert!(matches!(**last, ProvisionError::Checksum { .. }), "{error}");
    assert!(!is_installed(dir.path()));
}

#[test]
fn a_folder_serves_machines_without_a_way_out() {
    let (dir, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(&[Answer::Whole]);
    std::fs::write(folder.path().join("library.so"), FILE).unwrap();
    fetch(dir.path(), &[address(&server)], Some(folder.path())).unwrap();
    assert!(is_installed(dir.path()));
    assert_eq!(server.requests(), [String::new(); 0], "nothing is downloaded");

    // A file that is not the manifest's is not taken.
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("library.so"), "else").unwrap();
    fetch(dir.path(), &[address(&server)], Some(folder.path())).unwrap();
    assert!(is_installed(dir.path()) && server.requests().len() == 1);
}

#[test]
fn curl_takes_the_proxy_of_its_environment() {
    // `http_proxy` of a child only: the variables of a process are shared by its tests.
    let dir = tempfile::tempdir().unwrap();
    let proxy = Server::start(&[Answer::Whole]);
    let part = dir.path().join("part");
    let clients = Clients::of_user().with_env("http_proxy", &format!("http://127.0.0.1:{}", proxy.port));
    clients.download_file("http://files.invalid/lib/library.so", &part).unwrap();
    assert_eq!(std::fs::read(&part).unwrap(), FILE);
    assert_eq!(proxy.requests(), ["GET http://files.invalid/lib/library.so HTTP/1.1 "]);
}
