//! Attacks over HTTP/2, frame by frame.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{interval, timeout};

use super::AttackedService;
use super::wire::ServerAddress;

const MAX_MEMORY_BYTES: usize = 1 << 30;
/// Time limit for the end of every connection, even on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `GET /livez`, without Huffman coding.
const GET: &[u8] = b"\x82\x86\x04\x06/livez\x01\x01x";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The setting SETTINGS_INITIAL_WINDOW_SIZE.
fn window(size: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&[0, 4][..], &size.to_be_bytes()].concat())
}

/// `GET /livez` on many streams, each followed by further frames.
fn gets(count: u32, after: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let one = |number| {
        let stream = 2 * number + 1;
        [frame(HEADERS, END_STREAM | END_HEADERS, stream, GET), after(stream)].concat()
    };
    (0..count).flat_map(one).collect()
}

/// The attacks by name. The client sends each after the preface.
fn attacks() -> Vec<(&'static str, Vec<u8>)> {
    let settings = window(65_535);
    let bomb = {
        // A header of 4 kB is added to the dynamic table, and then many single bytes refer to it.
        let large = [b"\x40\x01a\x7f\xa1\x1e".as_slice(), &[b'b'; 4000], &[0xbe; 12_000]].concat();
        [settings.clone(), frame(HEADERS, END_STREAM | END_HEADERS, 1, &[GET, &large].concat())].concat()
    };
    let many_headers = [GET, &b"\x00\x01a\x01b".repeat(3000)].concat();
    let continued = |piece: &[u8]| {
        let open = frame(HEADERS, END_STREAM, 1, GET);
        [settings.clone(), open, frame(CONTINUATION, 0, 1, piece).repeat(20_000)].concat()
    };
    vec![
        (
            "rapid reset",
            [settings.clone(), gets(50_000, |stream| frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]))].concat(),
        ),
        ("streams without end", [settings.clone(), gets(20_000, |_| Vec::new())].concat()),
        (
            "a stream that breaks the rules, again and again",
            [settings.clone(), gets(5000, |stream| frame(WINDOW_UPDATE, 0, stream, &[0; 4]))].concat(),
        ),
        ("continuations of one byte", continued(b"\x82")),
        ("empty continuations", continued(b"")),
        ("large continuations", continued(&b"\x00\x01a\x01b".repeat(200))),
        (
            "a header list beyond its bound",
            [settings.clone(), frame(HEADERS, END_STREAM | END_HEADERS, 1, &many_headers)].concat(),
        ),
        ("a compressed header list", bomb),
        ("settings", settings.repeat(50_000)),
        ("pings", [settings.clone(), frame(PING, 0, 0, &[7; 8]).repeat(50_000)].concat()),
        ("priorities", [settings.clone(), frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]).repeat(50_000)].concat()),
        (
            "window beyond its bound",
            [settings.clone(), frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])].concat(),
        ),
        (
            "empty data",
            [
                settings.clone(),
                frame(HEADERS, END_HEADERS, 1, b"\x83\x86\x04\x06/livez\x01\x01x"),
                frame(DATA, 0, 1, b"").repeat(50_000),
            ]
            .concat(),
        ),
        ("data for a stream that is not open", [settings.clone(), frame(DATA, 0, 7, &[0; 100])].concat()),
        (
            "a frame of 16 MB",
            [settings.clone(), b"\xff\xff\xff\x00\x00\x00\x00\x00\x01".to_vec(), vec![0; 1 << 20]].concat(),
        ),
        ("an unknown frame", [settings.clone(), frame(0xee, 0xff, 1, &[1; 1000]).repeat(1000)].concat()),
        ("broken compression", [settings, frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0xff; 40])].concat()),
        ("no settings", gets(1, |_| Vec::new())),
        ("a window that never opens", [window(0), gets(200, |_| Vec::new())].concat()),
        ("noise", (0..100_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()),
    ]
}

#[tokio::test]
async fn hostile_http_2_ends() {
    let settings = [("inference.sessions", "1"), ("http.header_timeout", "1s"), ("http.idle_timeout", "1s")];
    let service = AttackedService::start(&settings).await;
    let attacks = attacks();
    let target = service.target;
    let all = join_all(attacks.iter().map(|(name, bytes)| attack(target, name, bytes)));
    let pings = endless_pings(target);
    let served = async {
        for _ in 0..20 {
            service.assert_serves("HTTP/2").await;
        }
    };
    tokio::join!(all, pings, served);
    service.assert_unharmed("HTTP/2", MAX_MEMORY_BYTES).await;
}

/// Sends as many of the bytes as the server accepts, and waits until the server closes the connection.
async fn attack(target: ServerAddress, name: &str, bytes: &[u8]) {
    let (mut reader, mut writer) = target.connect().await.into_split();
    let whole = [PREFACE, bytes].concat();
    let sends = async {
        let _ = writer.write_all(&whole).await;
        std::future::pending::<()>().await;
    };
    let mut received = Vec::new();
    let ended = async {
        tokio::select! {
            _ = reader.read_to_end(&mut received) => {}
            () = sends => {}
        }
    };
    timeout(TIMEOUT, ended).await.unwrap_or_else(|_| panic!("{name}: the connection goes on"));
}

/// A caller that sends one request, and then pings without end.
async fn endless_pings(target: ServerAddress) {
    let (mut reader, mut writer) = target.connect().await.into_split();
    let pings = async {
        let mut every = interval(Duration::from_millis(100));
        let mut sent = writer.write_all(&[PREFACE, &window(65_535), &gets(1, |_| Vec::new())].concat()).await;
        while sent.is_ok() {
            every.tick().await;
            sent = writer.write_all(&frame(PING, 0, 0, &[7; 8])).await;
        }
        std::future::pending::<()>().await;
    };
    let mut received = Vec::new();
    let ended = async {
        tokio::select! {
            _ = reader.read_to_end(&mut received) => {}
            () = pings => {}
        }
    };
    timeout(TIMEOUT, ended).await.expect("a caller who only pings is not given up");
    assert!(received.windows(3).any(|text| text == b"ok\n"), "its request was not answered");
}
