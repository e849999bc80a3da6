//! Forms and JSON in the variants that clients send.

use crate::client::{Answer, post_body, post_json, send};
use crate::gateway::{Gateway, SESSIONS};
use crate::workers::Workers;

const FACES: &str = "/bioserver-app/v2/faces";
const TYPE: &str = "--b\r\nContent-Disposition: form-data; name=imageType\r\n\r\nSELFIE\r\n";
const END: &str = "\r\n--b--\r\n";

/// The answer to a form with `imageType` and these header lines of the part with the picture.
async fn with_headers(gateway: &Gateway, headers: &str) -> Answer {
    post_body(gateway.address, FACES, format!("{TYPE}--b\r\n{headers}\r\n\r\nx{END}").as_bytes()).await
}

#[tokio::test]
async fn the_name_of_a_part_is_found_however_its_headers_are_written() {
    let gateway = Gateway::start(Workers::able()).await;
    for headers in [
        r#"Content-Disposition: form-data; filename="x; name=face"; name="image""#,
        r#"Content-Disposition: form-data; filename="a \" b; name=face"; name=image"#,
        r#"Content-Disposition: form-data; filename="C:\new\"; name="image""#,
        "Content-Disposition: form-data; name=image; filename=\"王.jpg\"; filename*=UTF-8''%E7%8E%8B.jpg",
        "Content-Disposition: form-data;\r\n name=\"image\";\r\n\tfilename=\"x.jpg\"",
        "CONTENT-DISPOSITION:form-data;name=image\r\nContent-Type:\r\n image/jpeg",
        "Content-Type: image/jpeg\r\nX-Other: 1\r\nContent-Disposition: form-data; name=image",
    ] {
        let answer = with_headers(&gateway, headers).await;
        assert_eq!(answer.status, 200, "{headers}: {answer:?}");
    }
    let missing = with_headers(&gateway, "Content-Disposition: form-data; filename=\"name=image\"").await;
    assert_eq!(missing.error(), (400, "`image` is missing".into()));
}

#[tokio::test]
async fn a_part_without_a_name_is_ignored() {
    let gateway = Gateway::start(Workers::able()).await;
    let image = "--b\r\nContent-Disposition: form-data; name=image\r\n\r\nx";
    for other in [
        "--b\r\n\r\nno headers\r\n",
        "--b\r\nContent-Type: text/plain\r\n\r\nno name\r\n",
        "--b\r\nContent-Disposition: form-data\r\n\r\nno name\r\n",
        "--b\r\nContent-Disposition: form-data; name=\"\"\r\n\r\nan empty name\r\n",
        "--b \t\r\nContent-Disposition: form-data; name=unknown\r\n\r\n\r\n",
        "a preamble\r\n",
    ] {
        let answer = post_body(gateway.address, FACES, format!("{other}{TYPE}{image}{END}").as_bytes()).await;
        assert_eq!(answer.status, 200, "{other}: {answer:?}");
    }
}

#[tokio::test]
async fn a_wrong_boundary_is_said_to_be_one() {
    let gateway = Gateway::start(Workers::able()).await;
    let image = "--b\r\nContent-Disposition: form-data; name=image\r\n\r\nx";
    let body = format!("{TYPE}{image}{END}");
    for (content_type, reason) in [
        ("multipart/form-data; boundary=c", "the boundary that Content-Type names is not in it"),
        ("multipart/mixed; boundary=\"--b\"", "the boundary that Content-Type names is not in it"),
        ("multipart/form-data", "Content-Type needs a boundary of 1 to 70 characters"),
        ("multipart/mixed; boundary=\"\"", "Content-Type needs a boundary of 1 to 70 characters"),
    ] {
        let headers = [("apikey", "demo"), ("Content-Type", content_type)];
        let answer = send(gateway.address, &format!("POST {FACES}"), &headers, body.as_bytes()).await;
        let (status, message) = answer.error();
        assert!(status == 400 && message.ends_with(reason), "{content_type}: {message}");
    }
    let unix = body.replace("\r\n", "\n");
    let (status, message) = post_body(gateway.address, FACES, unix.as_bytes()).await.error();
    assert!(status == 400 && message.contains("lines end with CR LF"), "{message}");
    let (status, message) =
        post_body(gateway.address, FACES, b"--b\r\nno header\r\n\r\nx\r\n--b--").await.error();
    assert!(status == 400 && message.ends_with("a part has a line that is no header"), "{message}");
}

#[tokio::test]
async fn json_may_begin_with_a_byte_order_mark() {
    let gateway = Gateway::start(Workers::able()).await;
    let with_mark = |json: &str| format!("\u{feff}{json}");
    // Biometric Services: short JSON, a face as JSON, and JSON in a part.
    let session = post_json(gateway.address, SESSIONS, &with_mark(r#"{"ttlSeconds":60}"#)).await;
    assert_eq!(session.status, 201, "{session:?}");
    let empty = post_json(gateway.address, SESSIONS, "\u{feff}").await;
    assert_eq!(empty.status, 201, "{empty:?}");
    let face = post_body(
        gateway.address,
        FACES,
        format!(
            "--b\r\nContent-Disposition: form-data; name=face\r\n\r\n{}\r\n\
            --b\r\nContent-Disposition: form-data; name=image\r\n\r\nx{END}",
            with_mark(r#"{"imageType":"SELFIE"}"#)
        )
        .as_bytes(),
    )
    .await;
    assert_eq!(face.status, 200, "{face:?}");
    let faces = format!("{SESSIONS}/{}/faces", gateway.session("").await);
    let created = post_json(gateway.address, &faces, &with_mark(&face.body)).await;
    assert_eq!(created.status, 201, "{created:?}");
    // Face Liveness.
    let headers = [("Authorization", "Basic ZGVtbzpkZW1v"), ("Content-Type", "application/json")];
    let body = with_mark(r#"{"faceImageBase":"AAAA"}"#);
    let live = send(gateway.address, "POST /api/v1/face/liveness", &headers, body.as_bytes()).await;
    assert_eq!((live.status, &live.json()["hasError"]), (200, &false.into()), "{live:?}");
    // BWS is in `bws/headers.rs`, with its tokens.
}
