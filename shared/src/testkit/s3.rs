//! A private S3 server in the test process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::settings::{ObjectSettings, ObjectsUrl};

const ACCESS_KEY_ID: &str = "faceline";
const SECRET_ACCESS_KEY: &str = "faceline's test server";

/// An S3 server with one bucket, which stores its objects in a folder.
pub struct S3 {
    // Fields are dropped in this order: the server first, the folder last.
    server: Option<AbortOnDropHandle<()>>,
    address: SocketAddr,
    folder: PathBuf,
    _temporary: Option<TempDir>,
}

impl S3 {
    /// Name of the bucket.
    pub const BUCKET: &'static str = "faceline";

    /// Starts a server.
    ///
    /// # Panics
    /// No temporary folder can be created, or no port is free.
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("faceline-s3-").tempdir().expect("a temporary folder");
        let path = folder.path().to_owned();
        Self { _temporary: Some(folder), ..Self::start_in(&path).await }
    }

    /// Starts a server that stores its objects in an empty folder, which it does not remove.
    ///
    /// # Panics
    /// The folder cannot be written, or no port is free.
    pub async fn start_in(folder: &Path) -> Self {
        std::fs::create_dir(folder.join(Self::BUCKET)).expect("a folder for the bucket");
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder).expect("a usable folder"));
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("127.0.0.1 has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let server = AbortOnDropHandle::new(tokio::spawn(serve(listener, service.build())));
        Self { server: Some(server), address, folder: folder.to_owned(), _temporary: None }
    }

    /// Address for `objects.url`: a folder in the bucket.
    #[must_use]
    pub fn url(&self) -> String {
        format!("s3://{}/below/here", Self::BUCKET)
    }

    /// The settings section `objects` for a folder in the bucket.
    #[must_use]
    pub fn settings(&self) -> ObjectSettings {
        self.settings_at(self.address)
    }

    /// Like [`S3::settings`], through a proxy.
    #[must_use]
    pub fn settings_at(&self, proxy: SocketAddr) -> ObjectSettings {
        ObjectSettings {
            url: Some(ObjectsUrl::S3(self.url().into())),
            region: None,
            endpoint: Some(format!("http://{proxy}").into()),
            access_key_id: Some(ACCESS_KEY_ID.into()),
            secret_access_key: Some(SECRET_ACCESS_KEY.into()),
            ..ObjectSettings::default()
        }
    }

    /// The address that the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder with all files of the server.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.folder
    }

    /// Stops the server and closes its connections and its port.
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            // Returns the error of the abort.
            let _ = server.await;
        }
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    // Dropping the server's task drops this set and aborts all connections.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let service = service.clone();
        connections.spawn(async move {
            // A client that disconnects is not an error of the server.
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}
