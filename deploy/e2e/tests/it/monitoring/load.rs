//! Requests of callers.

use std::time::Duration;

use base64_simd::STANDARD;
use faceline_loadtest::capture::{Capture, CaptureClient, Recording, capture};
use faceline_shared::replay::LivenessType;
use faceline_shared::testkit::demo_token;
use reqwest::multipart::Form;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::callback_receiver::CallbackReceiver;
use crate::client::{Caller, bytes};

/// Requests of each kind: answered, refused for their content, refused for their credential, about sessions, about
/// liveness.
pub(super) async fn mixed_load(url: &str) {
    let (client, caller) = (Client::new(), Caller::new(url));
    let picture = bytes("obama.jpg");
    let coded = picture.clone();
    assert_eq!(caller.face(coded).await.0, 200);
    caller.score("obama.jpg", "obama2.jpg").await;
    assert!(caller.face(b"no picture".to_vec()).await.0.is_client_error());
    let face_liveness = client.post(format!("{url}/api/v1/face/liveness")).basic_auth("demo", Some("demo"));
    let unknown_session = format!("{url}/bioserver-app/v2/bio-sessions/{}", Uuid::new_v4());
    let requests = [
        face_liveness.json(&json!({"faceImageBase": STANDARD.encode_to_string(&picture)})),
        liveness(&client, url, &picture),
        liveness(&client, url, &without_face()),
        photo_verify(&client, url, "obama.jpg", "obama2.jpg"),
        client.get(unknown_session).header("apikey", "demo"),
    ];
    for request in requests {
        let status = request.send().await.unwrap().status();
        assert!(!status.is_server_error() && status != 401, "{status}");
    }
    let session = create_session(&client, url, &json!({"ttlSeconds": 600})).await.expect("a session");
    delete_session(&client, url, &session).await;
}

/// LivenessDetection of BWS.
pub(super) fn liveness(client: &Client, url: &str, picture: &[u8]) -> RequestBuilder {
    let body = json!({"liveImages": [{"image": STANDARD.encode_to_string(picture)}]});
    client.post(format!("{url}/api/v1/livenessdetection")).bearer_auth(demo_token(600)).json(&body)
}

/// PhotoVerify of BWS: whether a live picture and a photo show the same person.
pub(super) fn photo_verify(client: &Client, url: &str, live: &str, photo: &str) -> RequestBuilder {
    let picture = |name| STANDARD.encode_to_string(bytes(name));
    let body = json!({"liveImages": [{"image": picture(live)}], "photo": picture(photo)});
    client.post(format!("{url}/api/v1/photoverify")).bearer_auth(demo_token(600)).json(&body)
}

/// VideoLivenessDetection of BWS.
pub(super) async fn video_liveness(url: &str, video: &Recording) {
    let body = json!({"video": STANDARD.encode_to_string(&video.file)});
    let request = Client::new().post(format!("{url}/api/v1/videolivenessdetection"));
    let answer = request.bearer_auth(demo_token(600)).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

/// A picture that cannot be judged.
pub(super) fn without_face() -> Vec<u8> {
    png(&image::RgbImage::from_pixel(640, 480, image::Rgb([128; 3])))
}

/// A portrait that was taken in the dark.
pub(super) fn dark() -> Vec<u8> {
    let mut picture = image::load_from_memory(&bytes("obama.jpg")).unwrap().to_rgb8();
    for value in picture.iter_mut() {
        *value /= 3;
    }
    png(&picture)
}

/// A cut-out face on a grey wall, which passive liveness rejects as a print.
pub(super) fn print() -> Vec<u8> {
    let portrait = image::load_from_memory(&bytes("obama.jpg")).unwrap();
    let (width, height) = (portrait.width(), portrait.height());
    let paper = portrait.crop_imm(width / 4, height / 20, width / 2, height / 2).to_rgb8();
    let mut picture = image::RgbImage::from_pixel(width, height, image::Rgb([128; 3]));
    image::imageops::overlay(&mut picture, &paper, i64::from(width) / 4, i64::from(height) / 4);
    png(&picture)
}

/// A face that is too small to be judged.
pub(super) fn far_away() -> Vec<u8> {
    let portrait = image::load_from_memory(&bytes("obama.jpg")).unwrap();
    let small = portrait.thumbnail(portrait.width() / 8, portrait.height() / 8).to_rgb8();
    let mut picture = image::RgbImage::from_pixel(portrait.width(), portrait.height(), image::Rgb([128; 3]));
    let place = (i64::from(portrait.width()) / 2, i64::from(portrait.height()) / 2);
    image::imageops::overlay(&mut picture, &small, place.0, place.1);
    png(&picture)
}

fn png(picture: &image::RgbImage) -> Vec<u8> {
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

/// Creates a session and returns its path. `None` if the request was refused.
pub(super) async fn create_session(client: &Client, url: &str, body: &Value) -> Option<String> {
    let request = client.post(format!("{url}/bioserver-app/v2/bio-sessions")).header("apikey", "demo");
    let answer = request.json(body).send().await.ok()?;
    Some(answer.headers().get("location")?.to_str().unwrap().to_owned())
}

/// Deletes a session by its path.
pub(super) async fn delete_session(client: &Client, url: &str, path: &str) {
    let request = client.delete(format!("{url}/bioserver-app{path}")).header("apikey", "demo");
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

/// A request that is refused for its content. It needs no worker, and has a usage record.
pub(super) async fn ask_nonsense(url: &str) {
    let request = Client::new().post(format!("{url}/bioserver-app/v2/ages")).header("apikey", "demo");
    let _ = request.multipart(Form::new().text("threshold", "none")).send().await;
}

/// A request for a face, with any result.
pub(super) async fn ask(url: &str) {
    let _ = tokio::time::timeout(Duration::from_secs(1), Caller::new(url).face(bytes("obama2.jpg"))).await;
}

/// A capture of a video.
pub(super) fn wanted(video: &Recording) -> Capture {
    Capture { timeout: Duration::from_mins(5), ..Capture::new(LivenessType::PassiveVideo, video.clone()) }
}

/// A replay whose callback is accepted at the second attempt.
pub(super) async fn replay(url: &str, video: &Recording) {
    let client = CaptureClient::new(url, "demo");
    let keys = client.published_keys().await.unwrap();
    let receiver = CallbackReceiver::failing(1).await;
    let wanted = Capture { session: json!({"callbackURL": receiver.url()}), ..wanted(video) };
    let done = capture(&client, &keys, &wanted).await.unwrap();
    receiver.until(2).await;
    delete_session(&Client::new(), url, &format!("/v2/bio-sessions/{}", done.session)).await;
}

/// Uploads a video in a session of `seconds` seconds, and returns when the service has accepted it.
pub(super) async fn upload(url: &str, video: &Recording, seconds: u32) {
    let client = CaptureClient::new(url, "demo");
    let keys = client.published_keys().await.unwrap();
    let wanted = wanted(video);
    let session = client.create_session(&json!({"ttlSeconds": seconds})).await.unwrap();
    let parameters = client.set_parameters(session, &wanted.parameters(), &keys).await.unwrap();
    let upload = faceline_loadtest::capture::seal(session, &parameters, &wanted.recording).unwrap();
    client.upload_until_accepted(session, &upload, &parameters).await.unwrap();
}
