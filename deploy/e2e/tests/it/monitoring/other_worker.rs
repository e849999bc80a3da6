//! A worker that differs from the others in its version, a model and a calibration.

use std::net::SocketAddr;

use faceline_models::Repository;
use faceline_models::liveness::models_sha256;
use faceline_models::manifest::{Profile, Role};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::site::metrics;
use crate::client::models_dir;

/// A server that serves the metrics of a program as those of another version, because this build has only one version.
pub(super) async fn other_version(shown: SocketAddr) -> (SocketAddr, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let text = metrics(shown).await.replace(env!("CARGO_PKG_VERSION"), "0.0.1-other");
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                text.len()
            );
            let _ = stream.write_all((head + &text).as_bytes()).await;
        }
    });
    (address, AbortOnDropHandle::new(serving))
}

/// The installed models, with another version of one of them, and with a calibration.
pub(super) fn other_models() -> TempDir {
    let (installed, folder) = (models_dir(), TempDir::new().unwrap());
    for entry in std::fs::read_dir(&installed).unwrap() {
        let entry = entry.unwrap();
        if !["head-pose", "installed.toml", "liveness-calibrations"]
            .iter()
            .any(|name| entry.file_name() == *name)
        {
            std::os::unix::fs::symlink(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    let record = std::fs::read_to_string(installed.join("installed.toml")).unwrap();
    let record = record.replace("head-pose/1/", "head-pose/2/");
    let (before, after) = record.split_once("name = \"head-pose\"\nversion = 1\n").unwrap();
    let record = format!("{before}name = \"head-pose\"\nversion = 2\n{after}");
    std::fs::write(folder.path().join("installed.toml"), record).unwrap();
    std::fs::create_dir(folder.path().join("head-pose")).unwrap();
    std::os::unix::fs::symlink(installed.join("head-pose/1"), folder.path().join("head-pose/2")).unwrap();

    let repository = Repository::open(folder.path()).unwrap();
    let profile = Profile::Default;
    let manifest = repository.manifest();
    let mut calibration = manifest.liveness_calibration(profile).unwrap().clone();
    "front-desk".clone_into(&mut calibration.name);
    calibration.models_sha256 = Some(models_sha256(manifest.models_of(Role::Liveness, profile)).unwrap());
    calibration.still.high += 1.0;
    std::fs::create_dir(folder.path().join("liveness-calibrations")).unwrap();
    std::fs::write(
        folder.path().join("liveness-calibrations/front-desk.toml"),
        calibration.to_toml().unwrap(),
    )
    .unwrap();
    folder
}
