//! Tests of files that are fetched by their address, with real curl against a server on this machine.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::checksum::sha256;
use super::client::Clients;
use super::fetch::{Choice, Fetch};
use super::{Fault, ProvisionError, Report, Silent, list, verify};
use crate::Repository;
use crate::manifest::{Manifest, Profile, Role};
use crate::onnx::{GraphRunner, RunnerError, Tensor};

/// The file that the tests fetch: long enough to be cut in the middle.
static FILE: [u8; 100_000] = [7; 100_000];

struct NoModels;

impl GraphRunner for NoModels {
    fn run(&self, _model: &[u8], _inputs: &[Tensor]) -> Result<Vec<Tensor>, RunnerError> {
        unreachable!("the manifest has no models")
    }
}

/// The server's answer to a request.
#[derive(Clone, Copy)]
enum Answer {
    /// The file from the offset that the request asks for.
    Whole,
    /// Half of the file; then the server closes the connection.
    Half,
    /// The whole file, even if the request asks for a range.
    WithoutRanges,
    /// The status for a range outside the file.
    NoSuchRange,
    /// No answer: the server closes the connection.
    Nothing,
    /// A redirect to this server's plain HTTP.
    Redirect,
    /// A file that its `Content-Length` declares to be above the limit.
    TooLarge,
    /// Another file.
    Other,
    NotFound,
}

/// A server that gives these answers in order, and then repeats the last one.
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
    if matches!(answer, Answer::Nothing) {
        return lines.first().cloned().unwrap_or_default();
    }
    let range = lines.iter().find_map(|line| line.strip_prefix("Range: bytes=")).unwrap_or("");
    let start = range.trim_end_matches('-').parse::<usize>().unwrap_or(0);
    let (status, body) = match answer {
        Answer::Whole if start >= FILE.len() => ("416 Range Not Satisfiable", &[][..]),
        Answer::Whole if start > 0 => ("206 Partial Content", &FILE[start..]),
        Answer::NoSuchRange => ("416 Range Not Satisfiable", &[][..]),
        Answer::Redirect => ("302 Found", &[][..]),
        Answer::Other => ("200 OK", &b"something else"[..]),
        Answer::NotFound => ("404 Not Found", &[][..]),
        _ => ("200 OK", &FILE[..]),
    };
    let fields = match answer {
        Answer::Redirect => {
            format!("Location: http://{}/elsewhere\r\n", stream.local_addr().unwrap())
        }
        Answer::Whole if start > 0 => {
            format!("Content-Range: bytes {start}-{}/{}\r\n", FILE.len() - 1, FILE.len())
        }
        _ => String::new(),
    };
    let length = if matches!(answer, Answer::TooLarge) { 1 << 31 } else { body.len() };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{fields}Connection: close\r\n\r\n");
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
fn a_failure_of_the_network_keeps_what_was_downloaded() {
    let dir = tempfile::tempdir().unwrap();
    let down = Server::start(&[Answer::Half, Answer::Nothing]);
    fetch(dir.path(), &[address(&down)], None).unwrap_err();
    fetch(dir.path(), &[address(&down)], None).unwrap_err();
    let whole = Server::start(&[Answer::Whole]);
    fetch(dir.path(), &[address(&whole)], None).unwrap();
    assert!(is_installed(dir.path()));
    assert_eq!(whole.requests(), [format!("GET /lib/library.so HTTP/1.1 {}-", FILE.len() / 2)]);
}

#[test]
fn abandoned_downloads_are_removed_and_those_of_missing_files_stay() {
    let dir = tempfile::tempdir().unwrap();
    fetch(dir.path(), &[address(&Server::start(&[Answer::Half]))], None).unwrap_err();
    let partial = dir.path().join("partial");
    let names = || {
        let entries = std::fs::read_dir(&partial).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    let sum = sha256(&FILE);
    // Parts from an earlier manifest, and from an address that the manifest no longer has.
    for name in ["0123-0", &format!("{sum}-7")] {
        std::fs::write(partial.join(name), "part").unwrap();
    }
    fetch(dir.path(), &[address(&Server::start(&[Answer::NotFound]))], None).unwrap_err();
    assert_eq!(names(), [format!("{sum}-0")]);
    // The second address has the file, so no fetch continues the part from the first.
    let servers = [Server::start(&[Answer::NotFound]), Server::start(&[Answer::Whole])];
    let addresses = servers.each_ref().map(address);
    fetch(dir.path(), &addresses, None).unwrap();
    assert!(is_installed(dir.path()) && names().is_empty(), "{:?}", names());
}

#[test]
fn a_part_that_the_server_refuses_is_downloaded_anew() {
    let dir = tempfile::tempdir().unwrap();
    fetch(dir.path(), &[address(&Server::start(&[Answer::Half]))], None).unwrap_err();
    // curl takes the refusal of a range for the end of the file. The checksum shows that the part is wrong, and the
    // part is removed.
    let refusing = Server::start(&[Answer::NoSuchRange, Answer::Whole]);
    let _ = fetch(dir.path(), &[address(&refusing)], None);
    fetch(dir.path(), &[address(&refusing)], None).unwrap();
    assert!(is_installed(dir.path()));
    assert_eq!(refusing.requests().last().unwrap(), "GET /lib/library.so HTTP/1.1 ");
}

#[test]
fn a_redirect_to_plain_http_and_a_file_above_the_limit_are_refused() {
    for (answer, words) in [(Answer::Redirect, "http"), (Answer::TooLarge, "file size")] {
        let dir = tempfile::tempdir().unwrap();
        let answers: &'static [Answer] = match answer {
            Answer::Redirect => &[Answer::Redirect, Answer::Whole],
            _ => &[Answer::TooLarge],
        };
        let server = Server::start(answers);
        let error = fetch(dir.path(), &[address(&server)], None).unwrap_err();
        let ProvisionError::NoAddress { last, .. } = &error else { panic!("{error}") };
        let ProvisionError::Client { last_lines, .. } = &**last else { panic!("{error}") };
        assert!(last_lines.contains(words), "{last_lines}");
        assert!(!is_installed(dir.path()) && server.requests().len() <= 1);
    }
}

#[test]
fn an_absent_curl_is_named_and_a_folder_does_without_it() {
    let (dir, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let clients = Clients::in_path(folder.path().as_os_str());
    let manifest = manifest(&["https://files.invalid/{path}".to_owned()]);
    let run = |from| {
        let choice = Choice { from, ..Choice::default() };
        Fetch {
            dir: dir.path(),
            manifest: &manifest,
            choice,
            clients: &clients,
            progress: &Silent,
            runner: &NoModels,
        }
        .run()
    };
    let error = run(None).unwrap_err();
    assert!(
        matches!(error, ProvisionError::CurlNotFound) && error.to_string().contains("apt-get install curl")
    );
    std::fs::write(folder.path().join("library.so"), FILE).unwrap();
    run(Some(folder.path())).unwrap();
    assert!(is_installed(dir.path()));
}

/// Two liveness models, the second one of the profile `strong`, as files of a folder.
fn two_profiles(folder: &Path) -> Manifest {
    let files = [("library.so", "library"), ("plain.onnx", "plain"), ("more.onnx", "more")];
    for (name, content) in files {
        std::fs::write(folder.join(name), content).unwrap();
    }
    let [library, plain, more] = files.map(|(_, content)| sha256(content.as_bytes()));
    let model = |name: &str, profile: &str, sum: &str| {
        format!(
            "[[models]]\nrole = \"liveness\"\nprofile = \"{profile}\"\nname = \"{name}\"\nversion = 1\nsha256 = \"{sum}\"\n\
             source = {{ package = \"files\", path = \"models/{name}.onnx\", sha256 = \"{sum}\" }}\n\
             output = {{ kind = \"class\", name = \"output\", index = 0, softmax = true }}\n\
             [models.input]\nname = \"input\"\nwidth = 8\nheight = 8\nchannels = \"bgr\"\nmean = [0.0]\nscale = [1.0]\n\
             crop = {{ kind = \"whole\" }}\n"
        )
    };
    let text = format!(
        "format = 2\n[packages.files]\nregistry = \"https\"\nname = \"files\"\nversion = \"0123abc\"\n\
         addresses = [\"https://files.invalid/{{path}}\"]\nlicense = \"MIT\"\norigin = \"somebody\"\n\
         [runtime]\nversion = \"1.2.3\"\npackage = \"files\"\npath = \"lib/library.so\"\nsha256 = \"{library}\"\n{}{}",
        model("plain", "default", &plain),
        model("more", "strong", &more),
    );
    Manifest::parse(&text).unwrap()
}

#[test]
fn a_fetch_installs_the_models_of_its_profile_and_keeps_those_of_another() {
    let (dir, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let manifest = two_profiles(folder.path());
    // No client is installed: all files come from the folder.
    let clients = Clients::in_path(dir.path().as_os_str());
    let run = |profile| {
        let choice = Choice { profile, from: Some(folder.path()) };
        Fetch {
            dir: dir.path(),
            manifest: &manifest,
            choice,
            clients: &clients,
            progress: &Silent,
            runner: &NoModels,
        }
        .run()
        .unwrap()
    };
    let count = |profile| {
        let repository = Repository::open(dir.path()).unwrap();
        repository
            .models(Role::Liveness, profile)
            .map(|models| models.len())
            .map_err(|error| error.to_string())
    };
    assert_eq!(run(Profile::Default).installed.len(), 2);
    assert_eq!(count(Profile::Default), Ok(1));
    let error = count(Profile::Strong).unwrap_err();
    assert!(error.starts_with("the profile strong is not installed"), "{error}");
    assert!(error.ends_with("run `faceline-models fetch --profile strong`"), "{error}");
    assert_eq!(verify(dir.path()).unwrap(), []);

    assert_eq!(run(Profile::Strong).installed, [Path::new("more/1/model.onnx")]);
    assert_eq!((count(Profile::Default), count(Profile::Strong)), (Ok(1), Ok(2)));
    std::fs::remove_dir_all(folder.path()).unwrap();
    let report = run(Profile::Default);
    assert_eq!((report.present.len(), report.installed.len()), (3, 0));
    assert_eq!(count(Profile::Strong), Ok(2));

    std::fs::write(dir.path().join("more/1/model.onnx"), "else").unwrap();
    assert!(
        matches!(&verify(dir.path()).unwrap()[..], [Fault::Altered { path, .. }] if path.starts_with("more"))
    );
    let profiles: Vec<Profile> = list(dir.path(), &manifest).iter().map(|entry| entry.profile).collect();
    assert_eq!(profiles, [Profile::Default, Profile::Default, Profile::Strong]);
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
    assert_eq!(server.requests(), Vec::<String>::new(), "nothing is downloaded");

    // A file with another checksum than the manifest's is not used.
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("library.so"), "else").unwrap();
    fetch(dir.path(), &[address(&server)], Some(folder.path())).unwrap();
    assert!(is_installed(dir.path()) && server.requests().len() == 1);
}

#[test]
fn curl_takes_the_proxy_of_its_environment() {
    // The test sets `http_proxy` for the child only, because all tests share the variables of the process.
    let dir = tempfile::tempdir().unwrap();
    let proxy = Server::start(&[Answer::Whole]);
    let part = dir.path().join("part");
    let clients = Clients::of_user().with_env("http_proxy", &format!("http://127.0.0.1:{}", proxy.port));
    clients.download_file("http://files.invalid/lib/library.so", &part).unwrap();
    assert_eq!(std::fs::read(&part).unwrap(), FILE);
    assert_eq!(proxy.requests(), ["GET http://files.invalid/lib/library.so HTTP/1.1 "]);
}
