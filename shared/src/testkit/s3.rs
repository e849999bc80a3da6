//! A private S3 server, in this process.

use std::net::SocketAddr;
use std::path::Path;

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

/// An S3 server with one bucket, over a folder.
pub struct S3 {
    // Fields are dropped in this order: the server first, the folder last.
    server: Option<AbortOnDropHandle<()>>,
    address: SocketAddr,
    folder: TempDir,
}

impl S3 {
    /// Name of the bucket that is there.
    pub const BUCKET: &'static str = "faceline";

    /// Starts a server.
    ///
    /// # Panics
    /// There is no room for a folder, or no free port.
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("faceline-s3-").tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join(Self::BUCKET)).expect("a folder in the temporary one");
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).expect("a usable folder"));
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("127.0.0.1 has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let server = AbortOnDropHandle::new(tokio::spawn(serve(listener, service.build())));
        Self { server: Some(server), address, folder }
    }

    /// Address for `objects.url`: a folder in the bucket.
    #[must_use]
    pub fn url(&self) -> String {
        format!("s3://{}/below/here", Self::BUCKET)
    }

    /// The section `objects` that leads to a folder in the bucket.
    #[must_use]
    pub fn settings(&self) -> ObjectSettings {
        self.settings_at(self.address)
    }

    /// As [`S3::settings`], by way of a proxy.
    #[must_use]
    pub fn settings_at(&self, proxy: SocketAddr) -> ObjectSettings {
        ObjectSettings {
            url: Some(ObjectsUrl::S3(self.url().into())),
            region: None,
            endpoint: Some(format!("http://{proxy}").into()),
            access_key_id: Some(ACCESS_KEY_ID.into()),
            secret_access_key: Some(SECRET_ACCESS_KEY.into()),
        }
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Folder with everything that the server writes.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// Ends the server and its connections; nobody listens on its port afterwards.
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            // Ended by what was just said.
            let _ = server.await;
        }
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    // Dropped with the server, and its connections with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let service = service.clone();
        connections.spawn(async move {
            // A client that hangs up is none of the server's business.
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}
