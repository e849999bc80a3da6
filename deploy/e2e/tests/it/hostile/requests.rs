//! Malformed, contradictory and endless requests.

use super::wire::{DOT, FACES, face, good, named, part, post, request};
use super::{AttackedService, Case};

const REFUSED: &[u16] = &[400];
const TOO_LARGE: &[u16] = &[413];
const FINE: &[u16] = &[200];
const MAX_MEMORY_BYTES: usize = 1 << 30;

#[tokio::test]
async fn hostile_requests_are_refused() {
    let mut service = AttackedService::start(&[("inference.sessions", "1")]).await;
    for case in truncations().into_iter().chain(forms()).chain(values()) {
        service.exchange_case(&case).await;
    }
    service.assert_serves("forms").await;
    for case in headers().into_iter().chain(framings()).chain(targets()) {
        let answer = service.exchange_case(&case).await;
        assert!(answer.count <= 1, "{}: a second request was found in the first: {answer:?}", case.name);
    }
    service.assert_serves("framings").await;
    for case in floods() {
        service.exchange_case(&case).await;
        service.assert_serves(&case.name).await;
    }
    service.assert_unharmed("requests", MAX_MEMORY_BYTES).await;
}

fn case(name: &str, body: &[u8], expected: &'static [u16]) -> Case {
    Case::new(name, post("", body), expected)
}

/// A body of these parts, with the closing boundary.
fn body(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat().as_slice(), b"--b--\r\n"].concat()
}

/// A valid form with one more part.
fn with(extra: Vec<u8>) -> Vec<u8> {
    body(&[extra, named("imageType", b"SELFIE"), named("image", DOT)])
}

fn truncations() -> Vec<Case> {
    let whole = face(DOT);
    // The last boundary counts even without a line end after it.
    let last = whole.len() - 2;
    (0..last).map(|cut| case(&format!("a body cut at {cut} of {last}"), &whole[..cut], REFUSED)).collect()
}

fn forms() -> Vec<Case> {
    let (kind, image) = (named("imageType", b"SELFIE"), named("image", DOT));
    let nested =
        [b"--c\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n", DOT, b"\r\n--c--\r\n"].concat();
    let huge_header = format!("X: {}\r\nContent-Disposition: form-data; name=\"x\"", "y".repeat(1 << 20));
    let boundary = |boundary: &str, content_type: &str| {
        let text = String::from_utf8(face(DOT)).unwrap().replace("--b", &format!("--{boundary}"));
        post(&format!("Content-Type: {content_type}\r\n"), text.as_bytes())
    };
    let (seventy, more) = ("x".repeat(70), "x".repeat(71));
    vec![
        case("a body without end", &[kind.clone(), image.clone()].concat(), REFUSED),
        case("nothing", b"", REFUSED),
        case("an end only", b"--b--\r\n", REFUSED),
        case("no part is named", &body(&[part("Content-Type: image/png", DOT)]), REFUSED),
        case("a part without headers", &with(part("", b"x")), FINE),
        case("a part without disposition", &with(part("Content-Type: text/plain", b"x")), FINE),
        case("a part without name", &with(part("Content-Disposition: form-data", b"x")), FINE),
        case("another picture", &with(named("image", b"other")), REFUSED),
        case("the same picture again", &with(named("image", DOT)), FINE),
        case("two kinds", &with(named("imageType", b"ID_DOCUMENT")), REFUSED),
        case("two kinds, one in JSON", &with(named("face", b"{\"imageType\":\"ID_DOCUMENT\"}")), REFUSED),
        case("10,000 parts", &with(named("x", b"").repeat(10_000)), REFUSED),
        case("10,000 pictures", &with(named("image", DOT).repeat(10_000)), REFUSED),
        case("a part header of 1 MB", &with(part(&huge_header, b"x")), REFUSED),
        case("10,000 part headers", &with(part(&"X: y\r\n".repeat(10_000), b"x")), REFUSED),
        case(
            "a form in a form",
            &with(part(
                "Content-Disposition: form-data; name=\"image\"\r\nContent-Type: multipart/mixed; boundary=c",
                &nested,
            )),
            REFUSED,
        ),
        case(
            "base64",
            &body(&[
                kind.clone(),
                part(
                    "Content-Disposition: form-data; name=image\r\nContent-Transfer-Encoding: base64",
                    b"UDUgMg==",
                ),
            ]),
            REFUSED,
        ),
        case("a name in percent", &body(&[kind.clone(), named("%69mage", DOT)]), REFUSED),
        case("a name with NUL", &with(named("image\0", b"x")), REFUSED),
        case(
            "a name that is not UTF-8",
            &with(
                [b"--b\r\nContent-Disposition: form-data; name=\"\xff\xfe\"\r\n\r\nx\r\n".as_slice()]
                    .concat(),
            ),
            &[200, 400],
        ),
        case(
            "a strange file name",
            &with(part(
                "Content-Disposition: form-data; name=\"x\"; filename*=UTF-8''..%2f..%2fetc%2fpasswd",
                b"x",
            )),
            FINE,
        ),
        case(
            "lines without CR",
            &[b"--b\nContent-Disposition: form-data; name=image\n\n", DOT, b"\n--b--\n"].concat(),
            REFUSED,
        ),
        Case::new("no boundary", boundary("b", "multipart/form-data"), REFUSED),
        Case::new("an empty boundary", boundary("", "multipart/form-data; boundary="), REFUSED),
        Case::new(
            "a boundary of 70",
            boundary(&seventy, &format!("multipart/form-data; boundary={seventy}")),
            FINE,
        ),
        Case::new(
            "a boundary of 71",
            boundary(&more, &format!("multipart/form-data; boundary={more}")),
            REFUSED,
        ),
        Case::new(
            "a boundary of 200",
            boundary("x", &format!("multipart/form-data; boundary={}", "x".repeat(200))),
            REFUSED,
        ),
        Case::new("a boundary in quotes", boundary("b c", "multipart/mixed; boundary=\"b c\""), FINE),
        Case::new("a boundary in open quotes", boundary("b", "multipart/mixed; boundary=\"b"), REFUSED),
        Case::new("two boundaries", boundary("b", "multipart/mixed; boundary=b; boundary=c"), REFUSED),
        Case::new("another boundary", boundary("b", "multipart/mixed; boundary=c"), REFUSED),
        Case::new("JSON", boundary("b", "application/json"), REFUSED),
        Case::new("another multipart", boundary("b", "multipart/related; boundary=b"), REFUSED),
        Case::new("a charset", boundary("b", "multipart/form-data; charset=utf-16; boundary=b"), FINE),
        Case::new("no type", request(&format!("POST {FACES} HTTP/1.1"), "", &face(DOT)), REFUSED),
        Case::new(
            "two types",
            post(
                "Content-Type: multipart/mixed; boundary=b\r\nContent-Type: multipart/mixed; boundary=c\r\n",
                &face(DOT),
            ),
            REFUSED,
        ),
        Case::new("gzip", post("Content-Encoding: gzip\r\n", &face(DOT)), REFUSED),
    ]
}

fn values() -> Vec<Case> {
    let json = |name: &str, text: &[u8], expected| {
        case(name, &body(&[named("face", text), named("image", DOT)]), expected)
    };
    let value = |name: &str, part: &str, text: &[u8]| case(name, &with(named(part, text)), REFUSED);
    let deep = [b"{\"imageType\":".as_slice(), &b"[".repeat(60_000)].concat();
    let member = [b"{\"imageType\":\"SELFIE\",\"x\":".as_slice(), &b"{\"x\":".repeat(20_000)].concat();
    vec![
        json("JSON that is good", b"{\"imageType\":\"SELFIE\"}", FINE),
        json("JSON that ends early", b"{\"imageType\":\"SELFIE\"", REFUSED),
        json("JSON that goes on", b"{\"imageType\":\"SELFIE\"}}", REFUSED),
        json("JSON that is a list", b"[{\"imageType\":\"SELFIE\"}]", REFUSED),
        json("a number for a text", b"{\"imageType\":7}", REFUSED),
        json("a list for a text", b"{\"imageType\":[\"SELFIE\"]}", REFUSED),
        json("an object for a text", b"{\"imageType\":{\"a\":\"SELFIE\"}}", REFUSED),
        json("null for a text", b"{\"imageType\":null}", REFUSED),
        json(
            "a text for a flag",
            b"{\"imageType\":\"SELFIE\",\"imageRotationEnabled\":\"perhaps\"}",
            REFUSED,
        ),
        json("a number for a flag", b"{\"imageType\":\"SELFIE\",\"imageRotationEnabled\":1e999}", REFUSED),
        json("a member twice", b"{\"imageType\":\"SELFIE\",\"imageType\":\"PASSPORT\"}", REFUSED),
        json("half a character", b"{\"imageType\":\"\\ud800\"}", REFUSED),
        json("not UTF-8", b"{\"imageType\":\"\xff\"}", REFUSED),
        json("UTF-16", b"\xff\xfe{\0}\0", REFUSED),
        json("60,000 lists in each other", &deep, REFUSED),
        json("20,000 objects in each other", &member, REFUSED),
        json("10 MB of brackets", &b"[".repeat(10 << 20), TOO_LARGE),
        json(
            "a number of 100,000 digits",
            format!("{{\"imageType\":\"SELFIE\",\"x\":{}}}", "9".repeat(100_000)).as_bytes(),
            &[200, 400],
        ),
        value("an unknown kind", "mode", b"\0"),
        value("a kind with NUL", "imageType", b"SELFIE\0"),
        value("a kind that is not UTF-8", "imageType", b"\xc3\x28"),
        value("a flag that is none", "signatureDisabled", b"2"),
        case("a kind of 1 MB", &with(named("imageType", &b"S".repeat(1 << 20))), TOO_LARGE),
        case("an empty picture", &body(&[named("imageType", b"SELFIE"), named("image", b"")]), REFUSED),
        case("a picture of 40 MB", &face(&vec![0xff; 40 << 20]), TOO_LARGE),
    ]
}

fn headers() -> Vec<Case> {
    let line = format!("POST {FACES} HTTP/1.1");
    let long = &[431];
    vec![
        Case::new("10,000 headers", post(&"A: b\r\n".repeat(10_000), b""), long),
        Case::new("101 headers", post(&"A: b\r\n".repeat(101), b""), long),
        Case::new("a header of 1 MB", post(&format!("A: {}\r\n", "b".repeat(1 << 20)), b""), long),
        Case::new("a name of 1 MB", post(&format!("{}: b\r\n", "a".repeat(1 << 20)), b""), long),
        Case::new(
            "a key of 10 kB",
            request(&line, &format!("apikey: {}\r\n", "k".repeat(10_000)), b""),
            &[400, 401],
        ),
        Case::new("a folded header", post("A: b\r\n c\r\n", b""), REFUSED),
        Case::new("a space before the colon", post("A : b\r\n", b""), REFUSED),
        Case::new("NUL in a header", post("A: \0\r\n", b""), REFUSED),
        Case::new("a header without colon", post("A\r\n", b""), REFUSED),
        Case::new("bytes that are no HTTP", (0..=255).collect(), REFUSED),
        Case::new("TLS", [b"\x16\x03\x01\0\xa5\x01\0\0\xa1\x03\x03".as_slice(), &[0; 154]].concat(), REFUSED),
        Case::new("empty lines", b"\r\n".repeat(10_000), long),
    ]
}

fn framings() -> Vec<Case> {
    let chunked = |body: &[u8]| post("Transfer-Encoding: chunked\r\n", body);
    let hidden = b"0\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    let form = face(DOT);
    let whole = [format!("{:x}\r\n", form.len()).as_bytes(), &form, b"\r\n0\r\n"].concat();
    let length = |length: &str| post(&format!("Content-Length: {length}\r\n"), &form);
    vec![
        Case::new(
            "both lengths",
            post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", hidden),
            REFUSED,
        ),
        Case::new(
            "both lengths, turned round",
            post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", hidden),
            REFUSED,
        ),
        Case::new("two lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n", &form), REFUSED),
        Case::new("a list of lengths", length("5, 6"), REFUSED),
        Case::new("a negative length", length("-1"), REFUSED),
        Case::new("a signed length", length("+5"), REFUSED),
        Case::new("a length in hex", length("0x5"), REFUSED),
        Case::new("the largest length", length("18446744073709551615"), &[400, 413, 431]),
        Case::new("a larger length", length("99999999999999999999"), REFUSED),
        Case::new("a length that is too small", length("50"), REFUSED),
        Case::new("a body of 100 MB is announced", length("100000000"), TOO_LARGE),
        Case::new("an unknown coding", post("Transfer-Encoding: gzip\r\n", &form), REFUSED),
        Case::new("an almost known coding", post("Transfer-Encoding: xchunked\r\n", &form), REFUSED),
        Case::new(
            "chunked, HTTP/1.0",
            request(&format!("POST {FACES} HTTP/1.0"), "Transfer-Encoding: chunked\r\n", &whole),
            REFUSED,
        ),
        Case::new("no chunk size", chunked(b"zz\r\nabc"), REFUSED),
        Case::new("a negative chunk size", chunked(b"-1\r\nabc"), REFUSED),
        Case::new("a chunk size beyond all", chunked(b"fffffffffffffffff\r\nabc"), REFUSED),
        Case::new("a chunk that is longer than its size", chunked(b"1\r\nabc\r\n"), REFUSED),
        Case::new(
            "a chunk extension of 1 MB",
            chunked(&[b"1;".as_slice(), &vec![b'a'; 1 << 20], b"\r\nx\r\n"].concat()),
            REFUSED,
        ),
        Case::new("trailers", chunked(&[whole.as_slice(), b"apikey: x\r\n\r\n"].concat()), FINE),
        Case::new("a bogus expectation", post("Expect: the-best\r\n", &form), &[200, 417]),
        Case::new("a key twice", post("apikey: wrong\r\n", &form), &[200, 401]),
    ]
}

fn targets() -> Vec<Case> {
    let post_to = |target: &str| {
        request(
            &format!("POST {target} HTTP/1.1"),
            "Content-Type: multipart/form-data; boundary=b\r\n",
            &face(DOT),
        )
    };
    let by = |method: &str| request(&format!("{method} {FACES} HTTP/1.1"), "", &face(DOT));
    let (nowhere, not_so) = (&[404], &[405]);
    vec![
        Case::new("a path of 100 kB", post_to(&format!("/{}", "a".repeat(100_000))), &[414, 431]),
        Case::new("a path of 10 kB", post_to(&format!("/{}", "a".repeat(10_000))), nowhere),
        Case::new("a query of 10 kB", post_to(&format!("{FACES}?{}", "a".repeat(10_000))), FINE),
        Case::new("dots", post_to("/bioserver-app/v2/../v2/faces"), nowhere),
        Case::new("dots in percent", post_to("/%2e%2e/%2e%2e/etc/passwd"), nowhere),
        Case::new("two slashes", post_to("//bioserver-app/v2/faces"), nowhere),
        Case::new("NUL in percent", post_to("/bioserver-app/v2/faces%00"), nowhere),
        Case::new("bytes in percent", post_to("/%ff%fe%zz"), nowhere),
        Case::new("bytes", post_to("/\u{7f}\u{fffd}"), &[400, 404]),
        Case::new("an absolute target", post_to("http://elsewhere.example/bioserver-app/v2/faces"), FINE),
        Case::new("an asterisk", request("OPTIONS * HTTP/1.1", "", b""), nowhere),
        Case::new("a tunnel", request("CONNECT elsewhere.example:443 HTTP/1.1", "", b""), nowhere),
        Case::new("another method", by("DELETE"), not_so),
        Case::new("a method in lower case", by("post"), not_so),
        Case::new("an invented method", by("BREW"), not_so),
        Case::new("a method of 5 kB", by(&"A".repeat(5000)), &[400, 405]),
        Case::new("another version", request(&format!("POST {FACES} HTTP/9.9"), "", b""), REFUSED),
        Case::new("no version", format!("POST {FACES}\r\n\r\n").into_bytes(), REFUSED),
        Case::new(
            "an upgrade",
            request("GET /livez HTTP/1.1", "Upgrade: websocket\r\nConnection: Upgrade\r\n", b""),
            FINE,
        ),
    ]
}

/// Bodies that are too long. Their senders can still read the refusal.
fn floods() -> Vec<Case> {
    let much = vec![b'x'; 100_000_000];
    let chunks = [b"10000\r\n".as_slice(), &vec![b'x'; 0x10000], b"\r\n"].concat().repeat(1600);
    let unending =
        [named("imageType", b"SELFIE"), part("Content-Disposition: form-data; name=\"image\"", b"")].concat();
    let unending = [
        format!("{:x}\r\n", unending.len() - 2).as_bytes(),
        &unending[..unending.len() - 2],
        b"\r\n",
        &chunks,
    ]
    .concat();
    let to = |line: &str| request(line, "Content-Type: multipart/form-data; boundary=b\r\n", &much);
    let wrong_key = String::from_utf8_lossy(&good()).replace("apikey: demo", "apikey: wrong").into_bytes();
    vec![
        Case::new("100 MB", to(&format!("POST {FACES} HTTP/1.1")), TOO_LARGE),
        Case::new("100 MB of unknown length", post("Transfer-Encoding: chunked\r\n", &unending), TOO_LARGE),
        Case::new("100 MB to nowhere", to("POST /nowhere HTTP/1.1"), &[404]),
        Case::new("100 MB by another method", to(&format!("PUT {FACES} HTTP/1.1")), &[405]),
        Case::new("a wrong key", wrong_key, &[401]),
    ]
}
