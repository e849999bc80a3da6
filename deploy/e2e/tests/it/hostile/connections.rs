//! Slow, unread and idle connections. They cost their callers nearly nothing, and must not exhaust the service.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{interval, timeout};

use super::AttackedService;
use super::wire::{ServerAddress, face, post};

/// The metric of open connections.
const OPEN: &str = "faceline_http_connections";
const SHED: &str = "faceline_http_connections_shed_total";
const MAX_MEMORY_BYTES: usize = 1 << 30;
/// Time limit for the end of every connection, even on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Settings of a service with short time limits.
const SHORT: [(&str, &str); 4] = [
    ("inference.sessions", "1"),
    ("http.header_timeout", "1s"),
    ("http.body_timeout", "1s"),
    ("http.idle_timeout", "1s"),
];

#[tokio::test]
async fn slow_callers_are_given_up() {
    let mut service = AttackedService::start(&SHORT).await;
    let target = service.target;
    let form = post("", &face(&[0; 100_000]));
    let head = form.len() - 100_000;
    let slow = [
        // The bytes that are sent at once, and those that follow one by one.
        (&b""[..], &b"GET /livez HTTP/1.1\r\nHost: x\r\nX: and so on and on and on and on"[..]),
        (b"GET /livez HTTP/1.1\r\nX: ", &[b'x'; 1000]),
        (b"P", b"RI * HTTP/2.0 and so on and on and on and on"),
        (&form[..head], &form[head..]),
    ];
    let drips = slow.iter().flat_map(|one| [one; 25]).map(|(at_once, bytes)| drip(target, at_once, bytes));
    let served = async {
        for _ in 0..10 {
            service.assert_serves("slow callers").await;
        }
    };
    let (answers, ()) = tokio::join!(join_all(drips), served);
    for (at, answer) in answers.iter().enumerate() {
        let is_body = at / 25 == 3;
        assert_eq!(answer.starts_with("HTTP/1.1 408 "), is_body, "{at}: {answer}");
    }
    unread(target, &mut service).await;
    service.assert_unharmed("slow callers", MAX_MEMORY_BYTES).await;
}

/// Sends `at_once`, then one byte after the other until the server closes the connection. Returns its answer.
async fn drip(target: ServerAddress, at_once: &[u8], bytes: &[u8]) -> String {
    let (mut reader, mut writer) = target.connect().await.into_split();
    let sends = async {
        let mut every = interval(Duration::from_millis(50));
        let mut sent = writer.write_all(at_once).await;
        for byte in bytes {
            every.tick().await;
            sent = sent.and(writer.write_all(&[*byte]).await);
        }
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    let ended = async {
        tokio::select! {
            _ = reader.read_to_end(&mut answer) => {}
            () = sends => {}
        }
    };
    timeout(TIMEOUT, ended).await.expect("a slow caller is not given up");
    String::from_utf8_lossy(&answer).into_owned()
}

/// A caller sends requests and never reads an answer.
async fn unread(target: ServerAddress, service: &mut AttackedService) {
    service.process.metric_is(OPEN, |open| open == 0.0).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(target.0).await.unwrap();
    let asks = async {
        let many = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
        while stream.write_all(&many).await.is_ok() {}
    };
    // The loop ends when the server closes the connection.
    timeout(TIMEOUT, asks).await.expect("a caller who does not read is not given up");
    service.process.metric_is(OPEN, |open| open == 0.0).await;
}

#[tokio::test]
async fn idle_connections_keep_nobody_out() {
    const WANTED: usize = 10_000;
    // Other parts of this process need some open files, too.
    let count = raised_open_files_limit().saturating_sub(500).min(WANTED);
    if count < WANTED {
        println!("{count} connections instead of {WANTED}: more files may not be open (ulimit -n)");
    }
    let mut service = AttackedService::start(&[("inference.sessions", "1")]).await;
    let mut idle: Vec<TcpStream> = Vec::with_capacity(count);
    let started = Instant::now();
    while idle.len() < count {
        let mut stream = service.target.connect().await;
        // Half of the connections send the beginning of a request.
        if idle.len().is_multiple_of(2) {
            stream.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
        }
        idle.push(stream);
        if idle.len().is_multiple_of(1000) {
            service.assert_serves(&format!("{} idle connections", idle.len())).await;
        }
    }
    println!("{count} connections in {:?}", started.elapsed());
    let open = service.process.metric(OPEN).await;
    let shed = service.process.metric(SHED).await;
    println!("{open} are open, {shed} were shed");
    assert!(open <= 4096.0, "{open}");
    if count == WANTED {
        assert!(shed > 0.0);
    }
    // The oldest connections were closed to make room.
    let mut nothing = [0];
    for stream in idle.iter_mut().take(count.saturating_sub(4096)) {
        let ended = timeout(TIMEOUT, stream.read(&mut nothing)).await.expect("it is still open");
        assert!(matches!(ended, Ok(0) | Err(_)));
    }
    service.assert_unharmed("idle connections", MAX_MEMORY_BYTES).await;
}

/// Raises this process's limit of open files to the highest that is allowed, and returns it.
fn raised_open_files_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(1 << 20);
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..limit }).unwrap();
    most as usize
}
