//! Connections that cost their callers nothing and are to cost the service no more.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{interval, timeout};

use super::Victim;
use super::wire::{Target, face, post};

/// Open connections, as operators see them.
const OPEN: &str = "faceline_http_connections";
const SHED: &str = "faceline_http_connections_shed_total";
const MOST_MEMORY: usize = 1 << 30;
/// Nobody is held for longer, on however busy a machine.
const LONGEST: Duration = Duration::from_secs(30);

/// A service with little patience.
const SHORT: [(&str, &str); 4] = [
    ("inference.sessions", "1"),
    ("http.header_timeout", "1s"),
    ("http.body_timeout", "1s"),
    ("http.idle_timeout", "1s"),
];

#[tokio::test]
async fn slow_callers_are_given_up() {
    let mut victim = Victim::start(&SHORT).await;
    let target = victim.target;
    let form = post("", &face(&[0; 100_000]));
    let head = form.len() - 100_000;
    let slow = [
        // What is sent at once, and what comes after it byte by byte.
        (&b""[..], &b"GET /livez HTTP/1.1\r\nHost: x\r\nX: and so on and on and on and on"[..]),
        (b"GET /livez HTTP/1.1\r\nX: ", &[b'x'; 1000]),
        (b"P", b"RI * HTTP/2.0 and so on and on and on and on"),
        (&form[..head], &form[head..]),
    ];
    let drips = slow.iter().flat_map(|one| [one; 25]).map(|(at_once, bytes)| drip(target, at_once, bytes));
    let served = async {
        for _ in 0..10 {
            victim.serves("slow callers").await;
        }
    };
    let (answers, ()) = tokio::join!(join_all(drips), served);
    for (at, answer) in answers.iter().enumerate() {
        let is_body = at / 25 == 3;
        assert_eq!(answer.starts_with("HTTP/1.1 408 "), is_body, "{at}: {answer}");
    }
    unread(target, &mut victim).await;
    victim.survives("slow callers", MOST_MEMORY).await;
}

/// Sends `at_once`, then byte after byte until the server closes; what it said.
async fn drip(target: Target, at_once: &[u8], bytes: &[u8]) -> String {
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
    timeout(LONGEST, ended).await.expect("a slow caller is not given up");
    String::from_utf8_lossy(&answer).into_owned()
}

/// A caller asks and asks and never reads.
async fn unread(target: Target, victim: &mut Victim) {
    victim.process.metric_is(OPEN, |open| open == 0.0).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(target.0).await.unwrap();
    let asks = async {
        let many = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
        while stream.write_all(&many).await.is_ok() {}
    };
    // It ends when the server has closed: before, there is always more to send.
    timeout(LONGEST, asks).await.expect("a caller who does not read is not given up");
    victim.process.metric_is(OPEN, |open| open == 0.0).await;
}

#[tokio::test]
async fn idle_connections_keep_nobody_out() {
    const WANTED: usize = 10_000;
    // The rest of this process needs some, too.
    let count = raised_descriptors().saturating_sub(500).min(WANTED);
    if count < WANTED {
        println!("{count} connections instead of {WANTED}: more files may not be open (ulimit -n)");
    }
    let mut victim = Victim::start(&[("inference.sessions", "1")]).await;
    let mut idle: Vec<TcpStream> = Vec::with_capacity(count);
    let started = Instant::now();
    while idle.len() < count {
        let mut stream = victim.target.connect().await;
        // Half of them say something, and no more.
        if idle.len().is_multiple_of(2) {
            stream.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
        }
        idle.push(stream);
        if idle.len().is_multiple_of(1000) {
            victim.serves(&format!("{} idle connections", idle.len())).await;
        }
    }
    println!("{count} connections in {:?}", started.elapsed());
    let open = victim.process.metric(OPEN).await;
    let shed = victim.process.metric(SHED).await;
    println!("{open} are open, {shed} were shed");
    assert!(open <= 4096.0, "{open}");
    if count == WANTED {
        assert!(shed > 0.0);
    }
    // The first ones have made room.
    let mut nothing = [0];
    for stream in idle.iter_mut().take(count.saturating_sub(4096)) {
        let ended = timeout(LONGEST, stream.read(&mut nothing)).await.expect("it is still open");
        assert!(matches!(ended, Ok(0) | Err(_)));
    }
    victim.survives("idle connections", MOST_MEMORY).await;
}

/// As many files as this process may have open.
fn raised_descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(1 << 20);
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..limit }).unwrap();
    most as usize
}
