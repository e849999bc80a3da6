//! Objects that are written and read piece by piece.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use faceline_shared::object::{self, ObjectError, ObjectStore, ObjectUpload};
use faceline_shared::settings::ObjectSettings;
use faceline_shared::testkit::{CutProxy, S3};
use futures_util::{StreamExt as _, TryStreamExt as _, future};
use object_store::aws::AmazonS3Builder;
use object_store::{Attribute, ObjectStoreExt as _};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::timeout;

use super::{Bucket, Fixture, Folder, MEGABYTE, get, names};
use crate::{QUIET_PERIOD, soon};

/// The least length of a part, which the server checks.
const PART: usize = 5 * MEGABYTE;

/// Environment variables for the child process [`upload_until_killed`].
const VARIABLES: [&str; 4] =
    ["FACELINE_TEST_URL", "FACELINE_TEST_ENDPOINT", "FACELINE_TEST_KEY_ID", "FACELINE_TEST_SECRET"];
/// The child's output when all bytes are written.
const WRITTEN: &str = "written";

conformance!(
    a_large_object_comes_back_as_it_was_written
    an_object_of_any_length_comes_back
    nothing_is_read_before_the_end
    an_upload_that_is_dropped_leaves_nothing
    of_the_uploads_to_one_key_one_is_whole
    a_reader_sees_one_object_to_its_end
    an_object_that_is_none_is_not_opened
    a_key_that_leads_elsewhere_is_refused
    deleting_the_neighbours_disturbs_no_upload
    nothing_is_read_of_an_upload_whose_process_was_killed
);

/// Bytes that differ at each place within the period of a large prime.
fn pattern(length: usize, seed: usize) -> Bytes {
    (0..length).map(|index| ((index + seed) % 65_521 % 251) as u8).collect()
}

/// Writes `bytes` in pieces of `length`.
async fn write(upload: &mut Box<dyn ObjectUpload>, bytes: &Bytes, length: usize) -> Result<(), ObjectError> {
    for start in (0..bytes.len()).step_by(length) {
        upload.write(bytes.slice(start..bytes.len().min(start + length))).await?;
    }
    Ok(())
}

async fn upload(store: &dyn ObjectStore, key: &str, bytes: &Bytes, length: usize) -> Result<(), ObjectError> {
    let mut upload = store.upload(key).await?;
    write(&mut upload, bytes, length).await?;
    upload.finish().await
}

/// Reads an object piece by piece.
async fn read(store: &dyn ObjectStore, key: &str) -> Result<Option<Bytes>, ObjectError> {
    let Some(mut stream) = soon(store.open(key)).await? else { return Ok(None) };
    let length = usize::try_from(stream.length()).unwrap();
    let mut bytes = BytesMut::new();
    while let Some(piece) = soon(stream.try_next()).await? {
        assert!(!piece.is_empty() && piece.len() <= PART, "a piece of {} bytes", piece.len());
        bytes.extend_from_slice(&piece);
    }
    assert_eq!(bytes.len(), length);
    Ok(Some(bytes.freeze()))
}

async fn a_large_object_comes_back_as_it_was_written<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let bytes = pattern(40 * MEGABYTE + 17, 1);
    soon(upload(&**store, "replays/a/1", &bytes, 64 * 1024 + 1)).await.unwrap();
    assert!(read(&**store, "replays/a/1").await.unwrap().unwrap() == bytes);
    assert!(get(&**store, "replays/a/1").await.unwrap() == bytes);
    assert_eq!(store.list("replays").await.unwrap(), ["replays/a/1"]);
    // An object that was put at once is read piece by piece too, and is replaced by an upload.
    store.put("replays/a/2", bytes.slice(1..)).await.unwrap();
    assert!(read(&**store, "replays/a/2").await.unwrap().unwrap() == bytes[1..]);
    soon(upload(&**store, "replays/a/2", &bytes.slice(..7 * MEGABYTE), MEGABYTE)).await.unwrap();
    assert!(read(&**store, "replays/a/2").await.unwrap().unwrap() == bytes[..7 * MEGABYTE]);
    assert_eq!(store.delete_all("replays").await.unwrap(), 2);
}

async fn an_object_of_any_length_comes_back<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let lengths = [0, 1, MEGABYTE, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 1];
    for (index, length) in lengths.into_iter().enumerate() {
        let bytes = pattern(length, index);
        for piece in [64 * 1024, PART, 100 * MEGABYTE] {
            soon(upload(&**store, "a", &bytes, piece)).await.unwrap();
            assert!(read(&**store, "a").await.unwrap().unwrap() == bytes, "{length} in pieces of {piece}");
        }
    }
    let mut empty = store.upload("b").await.unwrap();
    empty.write(Bytes::new()).await.unwrap();
    empty.finish().await.unwrap();
    assert_eq!(read(&**store, "b").await.unwrap().unwrap(), "");
}

async fn nothing_is_read_before_the_end<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    store.put("a/old", Bytes::from_static(b"as it was")).await.unwrap();
    let bytes = pattern(12 * MEGABYTE, 3);
    let mut uploads = Vec::new();
    for key in ["a/old", "a/new"] {
        let mut upload = store.upload(key).await.unwrap();
        for start in (0..bytes.len()).step_by(MEGABYTE) {
            upload.write(bytes.slice(start..start + MEGABYTE)).await.unwrap();
            assert_eq!(get(&**store, "a/old").await.unwrap(), "as it was");
            assert_eq!(get(&**store, "a/new").await, None);
            assert!(store.open("a/new").await.unwrap().is_none());
        }
        assert_eq!(store.list("a").await.unwrap(), ["a/old"]);
        uploads.push(upload);
    }
    for upload in uploads {
        upload.finish().await.unwrap();
    }
    assert_eq!(store.list("a").await.unwrap(), ["a/new", "a/old"]);
    for key in ["a/old", "a/new"] {
        assert!(read(&**store, key).await.unwrap().unwrap() == bytes);
    }
}

async fn an_upload_that_is_dropped_leaves_nothing<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    store.put("kept", Bytes::from_static(b"kept")).await.unwrap();
    let marker = "bytes of an upload that is dropped";
    let bytes = Bytes::from(marker.repeat(12 * MEGABYTE / marker.len()));
    for length in [0, 100, MEGABYTE, bytes.len()] {
        for key in ["a/b/c/1", "kept"] {
            let mut upload = store.upload(key).await.unwrap();
            write(&mut upload, &bytes.slice(..length), MEGABYTE).await.unwrap();
            drop(upload);
            soon(async {
                while fixture.files().contain(marker) {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            assert_eq!(get(&**store, "a/b/c/1").await, None);
            assert_eq!(get(&**store, "kept").await.unwrap(), "kept");
        }
    }
}

async fn of_the_uploads_to_one_key_one_is_whole<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let all: Vec<_> = (0..6).map(|seed| pattern((6 + seed) * MEGABYTE, seed)).collect();
    let done = future::join_all(all.iter().map(|bytes| upload(&**store, "a/1", bytes, MEGABYTE)));
    soon(done).await.into_iter().for_each(Result::unwrap);
    let kept = read(&**store, "a/1").await.unwrap().unwrap();
    assert!(all.contains(&kept), "a mixture of {} bytes", kept.len());
    // An upload that is finished later replaces it, whenever it was begun.
    let mut first = store.upload("a/1").await.unwrap();
    soon(upload(&**store, "a/1", &all[1], MEGABYTE)).await.unwrap();
    first.write(all[0].clone()).await.unwrap();
    first.finish().await.unwrap();
    assert!(read(&**store, "a/1").await.unwrap().unwrap() == all[0]);
}

async fn a_reader_sees_one_object_to_its_end<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let (former, latter) = (pattern(12 * MEGABYTE, 0), pattern(12 * MEGABYTE, 9));
    for is_replaced in [true, false] {
        upload(&**store, "a/1", &former, MEGABYTE).await.unwrap();
        let mut stream = store.open("a/1").await.unwrap().unwrap();
        let mut bytes = BytesMut::from(&stream.next().await.unwrap().unwrap()[..]);
        if is_replaced {
            upload(&**store, "a/1", &latter, MEGABYTE).await.unwrap();
        } else {
            store.delete("a/1").await.unwrap();
        }
        // Either the reader sees the former object to its end, or it learns that it cannot.
        loop {
            match soon(stream.next()).await {
                Some(Ok(piece)) => bytes.extend_from_slice(&piece),
                Some(Err(error)) => break assert!(matches!(error, ObjectError::Unreachable(_)), "{error}"),
                None => break assert!(bytes == former),
            }
        }
        assert!(former.starts_with(&bytes), "a mixture");
        assert!(stream.next().await.is_none());
    }
}

async fn an_object_that_is_none_is_not_opened<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    store.put("a/b", Bytes::from_static(b"x")).await.unwrap();
    for key in ["b", "a/bc", "a/c/d"] {
        assert!(store.open(key).await.unwrap().is_none(), "{key}");
    }
}

#[tokio::test]
async fn neither_a_folder_nor_what_is_below_a_file_is_an_object() {
    let fixture = Folder::start().await;
    fixture.store().put("a/b", Bytes::from_static(b"x")).await.unwrap();
    for key in ["a", "a/b/c"] {
        assert!(fixture.store().open(key).await.unwrap().is_none(), "{key}");
    }
}

async fn a_key_that_leads_elsewhere_is_refused<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    for key in ["", "..", "../a", "a/../../b", "/etc/passwd", "a//b", "a/", "~a", "a b", "%2e%2e/a"] {
        let refused = |error: Option<ObjectError>| matches!(error, Some(ObjectError::Key(_)));
        assert!(refused(store.upload(key).await.err()), "{key}");
        assert!(refused(store.open(key).await.err()), "{key}");
        assert!(refused(store.put_with_type(key, Bytes::new(), "image/jpeg").await.err()), "{key}");
    }
}

async fn deleting_the_neighbours_disturbs_no_upload<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let mut upload = store.upload("a/b/1").await.unwrap();
    upload.write(Bytes::from_static(b"an ")).await.unwrap();
    store.put("a/b/2", Bytes::from_static(b"x")).await.unwrap();
    store.delete("a/b/2").await.unwrap();
    store.put("a/c/1", Bytes::from_static(b"x")).await.unwrap();
    store.delete_all("a/c").await.unwrap();
    upload.write(Bytes::from_static(b"object")).await.unwrap();
    upload.finish().await.unwrap();
    assert_eq!(get(&**store, "a/b/1").await.unwrap(), "an object");
}

async fn nothing_is_read_of_an_upload_whose_process_was_killed<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let settings = fixture.settings();
    let secret = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let url = match settings.url.unwrap() {
        faceline_shared::settings::ObjectsUrl::Folder(path) => format!("file://{}", path.display()),
        faceline_shared::settings::ObjectsUrl::S3(url) => url.to_string(),
    };
    let values = [
        url,
        secret(settings.endpoint.as_deref()),
        secret(settings.access_key_id.as_deref()),
        secret(settings.secret_access_key.as_deref()),
    ];
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "object::streams::upload_until_killed"])
        .envs(VARIABLES.into_iter().zip(values))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    soon(async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(WRITTEN) {
                return;
            }
        }
        panic!("the child ended");
    })
    .await;
    child.kill().await.unwrap();
    assert_eq!(get(&**store, "a/b/1").await, None);
    assert!(store.open("a/b/1").await.unwrap().is_none());
    assert_eq!(store.list("a").await.unwrap(), [""; 0]);
    // The key is free, and the folder is removed with the files that the process has left there.
    upload(&**store, "a/b/1", &pattern(MEGABYTE, 5), MEGABYTE).await.unwrap();
    assert_eq!(store.delete_all("a/b").await.unwrap(), 1);
    assert_eq!(store.list("a").await.unwrap(), [""; 0]);
}

#[tokio::test]
#[ignore = "a program of nothing_is_read_of_an_upload_whose_process_was_killed"]
async fn upload_until_killed() {
    let [url, endpoint, id, secret] = VARIABLES.map(|name| {
        let (_, value) = std::env::vars().find(|(found, _)| found == name).unwrap();
        value
    });
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let settings = ObjectSettings {
        url: Some(url.parse().unwrap()),
        region: None,
        endpoint: given(endpoint).map(Into::into),
        access_key_id: given(id).map(Into::into),
        secret_access_key: given(secret).map(Into::into),
        ..ObjectSettings::default()
    };
    let store = super::bucket(&settings);
    let mut upload = store.upload("a/b/1").await.unwrap();
    upload.write(pattern(17 * MEGABYTE, 1)).await.unwrap();
    println!("{WRITTEN}");
    future::pending::<()>().await;
}

#[tokio::test]
async fn an_upload_whose_folder_is_deleted_fails() {
    let fixture = Folder::start().await;
    let mut upload = fixture.store().upload("a/b/1").await.unwrap();
    upload.write(pattern(2 * MEGABYTE, 1)).await.unwrap();
    assert_eq!(fixture.store().delete_all("a").await.unwrap(), 0);
    upload.write(pattern(2 * MEGABYTE, 1)).await.unwrap();
    let error = upload.finish().await.unwrap_err();
    assert!(matches!(error, ObjectError::Unreachable(_)), "{error}");
    assert_eq!(get(&**fixture.store(), "a/b/1").await, None);
}

#[tokio::test]
async fn a_dropped_upload_takes_its_folders_along() {
    let fixture = Folder::start().await;
    fixture.store().put("kept/1", Bytes::new()).await.unwrap();
    let root = fixture.root.path().join("not/there/yet");
    for key in ["a/b/c/1", "kept/2"] {
        let mut upload = fixture.store().upload(key).await.unwrap();
        upload.write(pattern(2 * MEGABYTE, 1)).await.unwrap();
        assert!(names(&root).iter().any(|name| name.starts_with('~')));
        drop(upload);
        soon(async {
            while {
                let mut names = names(&root);
                names.sort_unstable();
                names
            } != ["1", "kept"]
            {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn the_media_type_is_kept_with_an_object_in_a_bucket() {
    let server = S3::start().await;
    let settings = server.settings();
    let store = super::bucket(&settings);
    let large = pattern(6 * MEGABYTE, 1);
    store.put_with_type("exports/1.jpg", Bytes::from_static(b"small"), "image/jpeg").await.unwrap();
    store.put_with_type("exports/2.mp4", large.clone(), "video/mp4").await.unwrap();
    store.put("exports/3", Bytes::new()).await.unwrap();
    assert_eq!(get(&*store, "exports/1.jpg").await.unwrap(), "small");
    assert!(get(&*store, "exports/2.mp4").await.unwrap() == large);
    let other_reader = AmazonS3Builder::new()
        .with_bucket_name(S3::BUCKET)
        .with_endpoint(&**settings.endpoint.as_ref().unwrap())
        .with_allow_http(true)
        .with_access_key_id(&**settings.access_key_id.as_ref().unwrap())
        .with_secret_access_key(&**settings.secret_access_key.as_ref().unwrap())
        .build()
        .unwrap();
    for (key, expected) in [("1.jpg", Some("image/jpeg")), ("2.mp4", Some("video/mp4")), ("3", None)] {
        let found = other_reader.get(&format!("below/here/exports/{key}").into()).await.unwrap();
        let media_type = found.attributes.get(&Attribute::ContentType).map(AsRef::as_ref);
        assert_eq!(media_type, expected, "{key}");
    }
}

/// A bucket behind a proxy.
struct Proxied {
    fixture: Bucket,
    proxy: CutProxy,
    store: Arc<dyn ObjectStore>,
}

impl Proxied {
    async fn start() -> Self {
        let fixture = Bucket::start().await;
        let proxy = CutProxy::start(fixture.server.address()).await;
        let store = super::bucket(&fixture.server.settings_at(proxy.address()));
        Self { fixture, proxy, store }
    }
}

#[tokio::test]
async fn a_server_that_closes_during_an_upload_is_unreachable() {
    let proxied = Proxied::start().await;
    let bytes = pattern(17 * MEGABYTE, 1);
    for is_silent in [false, true] {
        let mut upload = proxied.store.upload("a/1").await.unwrap();
        write(&mut upload, &bytes, MEGABYTE).await.unwrap();
        let fault = if is_silent { CutProxy::stall } else { CutProxy::refuse };
        fault(&proxied.proxy);
        let failed = soon(async {
            write(&mut upload, &bytes, MEGABYTE).await?;
            upload.finish().await
        });
        let failed = failed.await;
        assert!(matches!(failed, Err(ObjectError::Unreachable(_))), "{failed:?}");
        proxied.proxy.cut();
        proxied.proxy.pass();
        assert_eq!(get(&**proxied.fixture.store(), "a/1").await, None);
    }
    soon(upload(&*proxied.store, "a/1", &bytes, MEGABYTE)).await.unwrap();
    assert!(read(&*proxied.store, "a/1").await.unwrap().unwrap() == bytes);
}

#[tokio::test]
async fn an_upload_goes_on_where_a_connection_was_cut() {
    let proxied = Proxied::start().await;
    let bytes = pattern(27 * MEGABYTE, 1);
    let mut upload = proxied.store.upload("a/1").await.unwrap();
    for start in (0..bytes.len()).step_by(MEGABYTE) {
        upload.write(bytes.slice(start..start + MEGABYTE)).await.unwrap();
        if start % (6 * MEGABYTE) == 0 {
            proxied.proxy.cut();
        }
    }
    proxied.proxy.cut();
    soon(upload.finish()).await.unwrap();
    assert!(read(&*proxied.store, "a/1").await.unwrap().unwrap() == bytes);
}

#[tokio::test]
async fn an_upload_takes_no_more_than_it_can_send() {
    let proxied = Proxied::start().await;
    let mut upload = proxied.store.upload("a/1").await.unwrap();
    proxied.proxy.stall();
    let piece = pattern(MEGABYTE, 1);
    let mut taken = 0;
    while let Ok(written) = timeout(QUIET_PERIOD, upload.write(piece.clone())).await {
        written.unwrap();
        taken += MEGABYTE;
        assert!(taken <= 3 * PART, "{taken} bytes in memory");
    }
    // That write was aborted in the middle, so it is unknown how much of it arrived.
    proxied.proxy.pass();
    let given_up = soon(upload.finish()).await;
    assert!(matches!(given_up, Err(ObjectError::Unreachable(_))), "{given_up:?}");
    assert_eq!(get(&*proxied.store, "a/1").await, None);
}

#[tokio::test]
async fn a_server_that_closes_during_a_read_is_unreachable() {
    let proxied = Proxied::start().await;
    let bytes = pattern(20 * MEGABYTE, 1);
    upload(&**proxied.fixture.store(), "a/1", &bytes, MEGABYTE).await.unwrap();
    for is_silent in [false, true] {
        let mut stream = proxied.store.open("a/1").await.unwrap().unwrap();
        let mut arrived = BytesMut::from(&stream.next().await.unwrap().unwrap()[..]);
        let fault = if is_silent { CutProxy::stall } else { CutProxy::refuse };
        fault(&proxied.proxy);
        let error = soon(async {
            loop {
                match stream.next().await.expect("an error comes before the end") {
                    Ok(piece) => arrived.extend_from_slice(&piece),
                    Err(error) => break error,
                }
            }
        });
        let error = error.await;
        assert!(matches!(error, ObjectError::Unreachable(_)), "{error}");
        assert!(arrived.len() < bytes.len() && bytes.starts_with(&arrived));
        proxied.proxy.cut();
        proxied.proxy.pass();
    }
    assert!(read(&*proxied.store, "a/1").await.unwrap().unwrap() == bytes);
}

/// A proxy whose first `connections` connections break after they have brought this many bytes from the server.
async fn breaking(server: SocketAddr, connections: usize, after: u64) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let broken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&broken);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (from_server, mut to_server) = TcpStream::connect(server).await.unwrap().into_split();
                let requests =
                    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                let breaks = counted.load(Ordering::Relaxed) < connections;
                let mut answers = from_server.take(if breaks { after } else { u64::MAX });
                let copied = tokio::io::copy(&mut answers, &mut to_client).await;
                if breaks && copied.is_ok_and(|copied| copied == after) {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                requests.abort();
                let _ = to_client.shutdown().await;
            });
        }
    });
    (address, broken)
}

#[tokio::test]
async fn a_read_goes_on_where_the_connection_broke() {
    let server = S3::start().await;
    let bytes = pattern(20 * MEGABYTE, 1);
    upload(&*super::bucket(&server.settings()), "a/1", &bytes, MEGABYTE).await.unwrap();
    let (proxy, broken) = breaking(server.address(), 3, 3 * MEGABYTE as u64 + 1234).await;
    let store = super::bucket(&server.settings_at(proxy));
    assert!(read(&*store, "a/1").await.unwrap().unwrap() == bytes);
    assert_eq!(broken.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn an_unknown_bucket_is_unreachable() {
    let server = S3::start().await;
    let elsewhere = super::server_without_buckets().await;
    let store = object::open(&server.settings_at(elsewhere), std::path::Path::new("/nowhere")).unwrap();
    let opened = soon(store.open("a")).await.err();
    assert!(matches!(opened, Some(ObjectError::Unreachable(_))), "{opened:?}");
    for length in [1, PART + 1] {
        let written = soon(upload(&*store, "a", &pattern(length, 1), PART)).await;
        assert!(matches!(written, Err(ObjectError::Unreachable(_))), "{written:?}");
    }
}
