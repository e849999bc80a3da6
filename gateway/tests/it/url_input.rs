//! Pictures by URL: each rule of the SSRF guard, and the fetch itself.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use faceline_gateway::fault::{BusyCause, Fault};
use faceline_gateway::outbound::{ConnectError, FetchError, FetchFailure, Fetcher, Resolve, UrlRefusal};
use faceline_shared::settings::Settings;
use faceline_shared::telemetry::Metrics;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::pictures::{Pictures, Reply, answer, jpeg, redirection};

/// A resolver that answers from a script, repeats its last answer, and records the requested names.
struct Names {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    fn saying(answers: &[&[&str]]) -> Arc<Self> {
        let parsed = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self { answers: Mutex::new(answers.iter().map(parsed).collect()), asked: Mutex::default() })
    }

    fn here() -> Arc<Self> {
        Self::saying(&[&["127.0.0.1"]])
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let first = answers.front().cloned().unwrap();
        if answers.len() > 1 {
            answers.pop_front();
        }
        Ok(first)
    }
}

/// A resolver that never answers.
struct NoAnswer;

#[async_trait]
impl Resolve for NoAnswer {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        std::future::pending().await
    }
}

/// Settings that allow these hosts, and the loopback addresses.
fn settings(hosts: &[&str]) -> Settings {
    let mut config = Settings::default();
    config.url_input.hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
    config.url_input.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()];
    // Long enough for a busy machine.
    config.url_input.timeout = Duration::from_secs(30);
    config
}

fn trusting(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn fetcher(config: &Settings, names: Arc<dyn Resolve>) -> Fetcher {
    Fetcher::over(config, names, trusting(RootCertStore::empty()), &Metrics::new())
}

async fn fetch(fetcher: &Fetcher, url: &str) -> Result<Bytes, FetchError> {
    fetcher.fetch(url, &mut |_| Ok(())).await
}

/// Fetches a path from `pictures.example`, the only allowed host, at the port of `pictures`.
async fn fetched(pictures: &Pictures, path: &str) -> Result<Bytes, FetchError> {
    let host = format!("pictures.example:{}", pictures.port());
    fetch(&fetcher(&settings(&[&host]), Names::here()), &format!("http://{host}{path}")).await
}

fn unusable(result: Result<Bytes, FetchError>) -> FetchFailure {
    match result {
        Err(FetchError::Unusable(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

fn refused(result: Result<Bytes, FetchError>) -> UrlRefusal {
    match result {
        Err(FetchError::Refused(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// The address for which the guard refused a URL.
fn refused_address(result: Result<Bytes, FetchError>) -> String {
    match refused(result) {
        UrlRefusal::Address(ConnectError::Address(address)) => address.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_picture_is_asked_for_and_nothing_is_told() {
    let pictures = Pictures::fixed(jpeg(b"a picture")).await;
    assert_eq!(fetched(&pictures, "/a%20b/c.jpg?d=e#fragment").await.unwrap(), "a picture");
    let heads = pictures.heads();
    let [head] = heads.as_slice() else { panic!("{heads:?}") };
    let mut lines: Vec<_> = head.trim().split("\r\n").collect();
    assert_eq!(lines.remove(0), "GET /a%20b/c.jpg?d=e HTTP/1.1");
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "accept-encoding: identity",
            "accept: image/*",
            "connection: close",
            &format!("host: pictures.example:{}", pictures.port()),
            concat!("user-agent: faceline/", env!("CARGO_PKG_VERSION")),
        ]
    );
}

#[tokio::test]
async fn it_is_off_until_hosts_are_allowed() {
    let names = Names::here();
    let off = fetcher(&Settings::default(), names.clone());
    assert!(matches!(refused(fetch(&off, "http://pictures.example/").await), UrlRefusal::Off));
    assert_eq!(names.asked(), [""; 0]);
}

#[tokio::test]
async fn hosts_ports_schemes_and_credentials_are_looked_at_before_anything_is_asked() {
    let names = Names::here();
    let fetcher = fetcher(&settings(&["pictures.example", "*.cdn.example", "127.0.0.1:8080"]), names.clone());
    for url in [
        "http://other.example/",
        "http://evilpictures.example/",
        "http://pictures.example.evil/",
        "http://www.pictures.example/",
        "http://cdn.example/",
        "http://evilcdn.example/",
        "http://pictures.example:8080/",
        "http://pictures.example:22/",
        "http://evil.example/?pictures.example",
        "http://evil.example#@pictures.example",
        "http://evil.example\\@pictures.example/",
        "http://127.0.0.1/",
        "http://127.0.0.1:6379/",
        "http://[::1]:8080/",
        "http://[::ffff:127.0.0.1]:8080/",
    ] {
        assert!(matches!(refused(fetch(&fetcher, url).await), UrlRefusal::Host), "{url}");
    }
    for url in
        ["http://user@pictures.example/", "http://:secret@pictures.example/", "https://a:b@x.cdn.example"]
    {
        assert!(matches!(refused(fetch(&fetcher, url).await), UrlRefusal::Credentials), "{url}");
    }
    for url in [
        "ftp://pictures.example/",
        "file:///etc/passwd",
        "gopher://pictures.example",
        "javascript:1",
        "unix:/x",
    ] {
        assert!(matches!(refused(fetch(&fetcher, url).await), UrlRefusal::Scheme), "{url}");
    }
    for url in ["http://", "http://[fe80::1%25eth0]/", "http://pictures.example:99999/", "http://a b/"] {
        assert!(matches!(fetch(&fetcher, url).await, Err(FetchError::Form(_))), "{url}");
    }
    assert_eq!(names.asked(), [""; 0]);
}

#[tokio::test]
async fn an_address_in_the_url_is_looked_at_however_it_is_written() {
    let pictures = Pictures::fixed(jpeg(b"x")).await;
    let port = pictures.port();
    let literals =
        ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254", "[fd00:ec2::254]"];
    let hosts = literals.map(|host| format!("{host}:{port}"));
    let mut config = settings(&hosts.each_ref().map(String::as_str));
    config.url_input.allowed_networks.clear();
    let fetcher = fetcher(&config, Names::here());
    for (host, address) in [
        ("127.0.0.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[0:0::0:1]", "::1"),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
        ("[::ffff:7f00:1]", "::ffff:127.0.0.1"),
        ("10.0.0.1", "10.0.0.1"),
        ("169.254.169.254", "169.254.169.254"),
        ("0xa9fea9fe", "169.254.169.254"),
        ("[fd00:ec2::254]", "fd00:ec2::254"),
    ] {
        assert_eq!(
            refused_address(fetch(&fetcher, &format!("http://{host}:{port}/")).await),
            address,
            "{host}"
        );
    }
    assert_eq!(pictures.heads(), [""; 0]);
}

#[tokio::test]
async fn all_addresses_of_a_host_are_looked_at() {
    let pictures = Pictures::fixed(jpeg(b"x")).await;
    let host = format!("pictures.example:{}", pictures.port());
    for (addresses, guilty) in [
        (&["10.0.0.1"][..], "10.0.0.1"),
        (&["127.0.0.1", "192.168.0.1"], "192.168.0.1"),
        (&["127.0.0.1", "1.1.1.1", "fe80::1"], "fe80::1"),
        (&["169.254.169.254", "127.0.0.1"], "169.254.169.254"),
    ] {
        let fetcher = fetcher(&settings(&[&host]), Names::saying(&[addresses]));
        assert_eq!(refused_address(fetch(&fetcher, &format!("http://{host}/")).await), guilty);
    }
    assert_eq!(pictures.heads(), [""; 0]);
    // Without the exception, loopback is refused as well.
    let mut config = settings(&[&host]);
    config.url_input.allowed_networks.clear();
    let fetcher = fetcher(&config, Names::here());
    assert_eq!(refused_address(fetch(&fetcher, &format!("http://{host}/")).await), "127.0.0.1");
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_a_connection_that_goes_to_what_was_found() {
    let pictures = Pictures::fixed(jpeg(b"the first")).await;
    let host = format!("pictures.example:{}", pictures.port());
    let names = Names::saying(&[&["127.0.0.1"], &["10.0.0.1"]]);
    let fetcher = fetcher(&settings(&[&host]), names.clone());
    let url = format!("http://{host}/");
    assert_eq!(fetch(&fetcher, &url).await.unwrap(), "the first");
    assert_eq!(names.asked(), ["pictures.example"]);
    // The guard checks the next lookup again.
    assert_eq!(refused_address(fetch(&fetcher, &url).await), "10.0.0.1");
    assert_eq!(pictures.heads().len(), 1);
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_not_the_end() {
    let pictures = Pictures::fixed(jpeg(b"x")).await;
    let host = format!("pictures.example:{}", pictures.port());
    // No server listens on the first address.
    let names = Names::saying(&[&["127.0.0.2", "127.0.0.1"]]);
    assert!(fetch(&fetcher(&settings(&[&host]), names), &format!("http://{host}/")).await.is_ok());
    for addresses in [&["127.0.0.2"][..], &[]] {
        let nobody = fetcher(&settings(&[&host]), Names::saying(&[addresses]));
        let reason = unusable(fetch(&nobody, &format!("http://{host}/")).await);
        assert!(matches!(reason, FetchFailure::Connect(ConnectError::Connect(_))), "{reason:?}");
    }
}

#[tokio::test]
async fn a_redirection_is_followed_to_another_allowed_host() {
    let other = Pictures::fixed(jpeg(b"moved")).await;
    let to = format!("http://a.cdn.example:{}/b.jpg", other.port());
    let pictures = Pictures::start(move |head| {
        Reply::Bytes(if head.starts_with("GET /old/a ") { redirection("../new") } else { redirection(&to) })
    })
    .await;
    let hosts = [format!("pictures.example:{}", pictures.port()), format!("*.cdn.example:{}", other.port())];
    let names = Names::here();
    let fetcher = fetcher(&settings(&hosts.each_ref().map(String::as_str)), names.clone());
    assert_eq!(fetch(&fetcher, &format!("http://{}/old/a", hosts[0])).await.unwrap(), "moved");
    assert_eq!(names.asked(), ["pictures.example", "pictures.example", "a.cdn.example"]);
    assert!(pictures.heads()[1].starts_with("GET /new "), "{:?}", pictures.heads());
    assert!(other.heads()[0].contains(&format!("host: a.cdn.example:{}", other.port())));
}

#[tokio::test]
async fn a_redirection_leads_nowhere_that_a_url_would_not() {
    for (to, is_its) in [
        ("http://169.254.169.254/latest/meta-data", "Address(Address(169.254.169.254))"),
        ("http://0xa9fea9fe/latest/meta-data", "Address(Address(169.254.169.254))"),
        ("http://[::1]/", "Address(Address(::1))"),
        ("//other.example/", "Host"),
        ("http://pictures.example:6379/", "Host"),
        ("http://127.0.0.1/", "Host"),
        ("http://user:secret@pictures.example/", "Credentials"),
        ("file:///etc/passwd", "Scheme"),
        ("ftp://pictures.example/", "Scheme"),
    ] {
        let pictures = Pictures::fixed(redirection(to)).await;
        let host = format!("pictures.example:{}", pictures.port());
        let config = settings(&[&host, "169.254.169.254", "[::1]"]);
        let result = fetch(&fetcher(&config, Names::here()), &format!("http://{host}/")).await;
        assert_eq!(format!("{:?}", refused(result)), is_its, "{to}");
        assert_eq!(pictures.heads().len(), 1, "{to}");
    }
    for (to, count) in [("http://", 1), ("http://[", 1)] {
        let pictures = Pictures::fixed(redirection(to)).await;
        assert!(matches!(unusable(fetched(&pictures, "/").await), FetchFailure::Location), "{to}");
        assert_eq!(pictures.heads().len(), count);
    }
    let nowhere = Pictures::fixed(answer("301 Moved Permanently", &[], b"")).await;
    assert!(matches!(unusable(fetched(&nowhere, "/").await), FetchFailure::Location));
}

#[tokio::test]
async fn a_host_that_means_something_else_after_a_redirection_is_looked_at_anew() {
    let pictures = Pictures::fixed(redirection("/again")).await;
    let host = format!("pictures.example:{}", pictures.port());
    let names = Names::saying(&[&["127.0.0.1"], &["192.168.1.1"]]);
    let result = fetch(&fetcher(&settings(&[&host]), names), &format!("http://{host}/")).await;
    assert_eq!(refused_address(result), "192.168.1.1");
    assert_eq!(pictures.heads().len(), 1);
}

#[tokio::test]
async fn redirections_are_followed_so_many_times() {
    let left = |path: &str| path.trim_matches('/').parse::<u32>().unwrap();
    let pictures = Pictures::start(move |head| {
        Reply::Bytes(match left(head.split(' ').nth(1).unwrap()) {
            0 => jpeg(b"the end"),
            more => redirection(&format!("/{}", more - 1)),
        })
    })
    .await;
    assert_eq!(fetched(&pictures, "/3").await.unwrap(), "the end");
    assert!(matches!(unusable(fetched(&pictures, "/4").await), FetchFailure::Redirects));
    assert_eq!(pictures.heads().len(), 8);
}

#[tokio::test]
async fn a_picture_is_no_longer_than_it_may_be() {
    let pictures = Pictures::start(|head| match head.split(' ').nth(1).unwrap() {
        "/fits" => Reply::Bytes(jpeg(&[7; 1000])),
        "/declared" => Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n".to_vec()),
        "/huge" => Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n".to_vec()),
        "/until-it-closes" => Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![7; 500]),
        _ => Reply::Endless(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
            b"5\r\nabcde\r\n".to_vec(),
        ),
    })
    .await;
    let host = format!("pictures.example:{}", pictures.port());
    for (max_bytes, picture_bytes) in [(1000, 5000), (5000, 1000)] {
        let mut config = settings(&[&host]);
        config.url_input.max_bytes = max_bytes;
        config.limits.picture_bytes = picture_bytes;
        let fetcher = fetcher(&config, Names::here());
        let of = async |path: &str| fetch(&fetcher, &format!("http://{host}{path}")).await;
        assert_eq!(of("/fits").await.unwrap().len(), 1000);
        for path in ["/declared", "/huge", "/until-it-closes", "/chunked"] {
            let result = of(path).await;
            assert!(matches!(result, Err(FetchError::TooLarge { limit: 1000 })), "{path}: {result:?}");
        }
        pictures.left().await;
    }
}

#[tokio::test]
async fn a_picture_is_there_in_time_or_not_at_all() {
    let pictures = Pictures::start(|head| match head.split(' ').nth(1).unwrap() {
        "/silent" => Reply::Silence,
        "/head" => Reply::Trickle(b"HTTP/1.1 200 OK\r\nX-Long: ".to_vec()),
        _ => Reply::Trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_vec()),
    })
    .await;
    let host = format!("pictures.example:{}", pictures.port());
    let mut config = settings(&[&host]);
    config.url_input.timeout = Duration::from_millis(300);
    let here = fetcher(&config, Names::here());
    for path in ["/silent", "/head", "/body"] {
        let reason = unusable(fetch(&here, &format!("http://{host}{path}")).await);
        assert!(matches!(reason, FetchFailure::TooSlow), "{path}: {reason:?}");
        pictures.left().await;
    }
    let nobody = fetcher(&config, Arc::new(NoAnswer));
    assert!(matches!(unusable(fetch(&nobody, &format!("http://{host}/")).await), FetchFailure::TooSlow));
    // The timeout that callers rely on applies as well.
    config.url_input.timeout = Duration::from_secs(3600);
    config.jobs.deadline = Duration::from_millis(300);
    let here = fetcher(&config, Names::here());
    assert!(matches!(unusable(fetch(&here, &format!("http://{host}/silent")).await), FetchFailure::TooSlow));
}

#[tokio::test]
async fn only_what_may_be_a_picture_is_read() {
    let of = async |status: &str, headers: &[&str]| {
        let pictures = Pictures::fixed(answer(status, headers, b"x")).await;
        fetched(&pictures, "/").await
    };
    for kind in ["image/jpeg", "IMAGE/PNG; a=b", "application/octet-stream", "binary/octet-stream"] {
        assert!(of("200 OK", &[&format!("Content-Type: {kind}")]).await.is_ok(), "{kind}");
    }
    assert!(of("200 OK", &[]).await.is_ok());
    assert!(of("200 OK", &["Content-Encoding: identity"]).await.is_ok());
    for kind in ["text/html", "application/json", "imagery/png", "", "multipart/form-data; a=image/png"] {
        let reason = unusable(of("200 OK", &[&format!("Content-Type: {kind}")]).await);
        assert!(matches!(reason, FetchFailure::Type(_)), "{kind}: {reason:?}");
    }
    for status in ["201 Created", "206 Partial Content", "304 Not Modified", "404 Not Found", "500 Oops"] {
        let reason = unusable(of(status, &["Content-Type: image/png"]).await);
        assert!(matches!(reason, FetchFailure::Status(_)), "{status}: {reason:?}");
    }
    let gzip = unusable(of("200 OK", &["Content-Encoding: gzip", "Content-Type: image/png"]).await);
    assert!(matches!(gzip, FetchFailure::Encoding));
}

#[tokio::test]
async fn what_breaks_off_or_is_no_http_is_no_picture() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(300_000));
    for bytes in
        [&b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx"[..], b"", b"SSH-2.0-x\r\n", long.as_bytes()]
    {
        let pictures = Pictures::fixed(bytes.to_vec()).await;
        let reason = unusable(fetched(&pictures, "/").await);
        assert!(matches!(reason, FetchFailure::Http(_)), "{reason:?}");
    }
}

#[tokio::test]
async fn so_many_are_fetched_at_the_same_time() {
    let pictures = Pictures::start(|head| {
        if head.starts_with("GET /silent ") { Reply::Silence } else { Reply::Bytes(jpeg(b"x")) }
    })
    .await;
    let host = format!("pictures.example:{}", pictures.port());
    let mut config = settings(&[&host]);
    config.url_input.concurrency = 1;
    let fetcher = Arc::new(fetcher(&config, Names::here()));
    let (own, url) = (Arc::clone(&fetcher), format!("http://{host}/silent"));
    let first = tokio::spawn(async move { fetch(&own, &url).await });
    pictures.arrived().await;
    let url = format!("http://{host}/");
    match fetch(&fetcher, &url).await {
        Err(FetchError::Busy(Fault::Busy(busy))) => assert_eq!(busy.cause, BusyCause::InFlight),
        other => panic!("{other:?}"),
    }
    // A caller that disconnects frees its slot.
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    pictures.left().await;
    assert!(fetch(&fetcher, &url).await.is_ok());
}

#[tokio::test]
async fn room_is_taken_for_all_that_is_fetched() {
    let pictures = Pictures::fixed(jpeg(&[7; 100_000])).await;
    let host = format!("pictures.example:{}", pictures.port());
    let fetcher = fetcher(&settings(&[&host]), Names::here());
    let url = format!("http://{host}/");
    let mut taken = 0;
    let mut room = |bytes| {
        taken += bytes;
        Ok(())
    };
    assert_eq!(fetcher.fetch(&url, &mut room).await.unwrap().len(), 100_000);
    assert_eq!(taken, 100_000);
    let fault = Fault::busy(BusyCause::Bytes, Duration::from_secs(1));
    let mut none = |_| Err(fault.clone());
    match fetcher.fetch(&url, &mut none).await {
        Err(FetchError::Busy(busy)) => assert_eq!(busy, fault),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn https_is_for_hosts_whose_certificate_is_theirs() {
    let made = rcgen::generate_simple_self_signed(vec!["pictures.example".into()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let tls = Some(Arc::new(server).into());
    let pictures = Pictures::with(tls, |head| {
        Reply::Bytes(if head.starts_with("GET /plain ") {
            redirection("http://pictures.example/")
        } else {
            jpeg(b"x")
        })
    })
    .await;
    let hosts = ["pictures.example", "other.example"].map(|host| format!("{host}:{}", pictures.port()));
    let config = settings(&[&hosts[0], &hosts[1], "pictures.example"]);
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let trusting_it = Fetcher::over(&config, Names::here(), trusting(roots), &Metrics::new());
    assert_eq!(fetch(&trusting_it, &format!("https://{}/", hosts[0])).await.unwrap(), "x");
    let downgraded = refused(fetch(&trusting_it, &format!("https://{}/plain", hosts[0])).await);
    assert!(matches!(downgraded, UrlRefusal::Downgrade), "{downgraded:?}");
    let trusting_nobody = fetcher(&config, Names::here());
    for (fetcher, host) in [(&trusting_it, &hosts[1]), (&trusting_nobody, &hosts[0])] {
        let reason = unusable(fetch(fetcher, &format!("https://{host}/")).await);
        assert!(matches!(reason, FetchFailure::Connect(ConnectError::Tls(_))), "{reason:?}");
    }
    assert_eq!(pictures.heads().len(), 2);
}

#[tokio::test]
async fn what_came_of_urls_is_counted() {
    let pictures = Pictures::fixed(jpeg(b"x")).await;
    let host = format!("pictures.example:{}", pictures.port());
    let metrics = Metrics::new();
    let tls = trusting(RootCertStore::empty());
    let fetcher = Fetcher::over(&settings(&[&host]), Names::here(), tls, &metrics);
    fetch(&fetcher, &format!("http://{host}/")).await.unwrap();
    fetch(&fetcher, "http://other.example/").await.unwrap_err();
    let text = metrics.encode();
    for line in [
        r#"faceline_url_fetches_total{outcome="ok"} 1"#,
        r#"faceline_url_fetches_total{outcome="refused"} 1"#,
        "faceline_url_fetch_seconds_count 2",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
