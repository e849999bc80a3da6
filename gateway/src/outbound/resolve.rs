//! Resolves host names.

use std::io;
use std::net::IpAddr;

use async_trait::async_trait;
use tokio::net::lookup_host;

/// Resolves host names.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// All addresses of a host, in order of preference.
    ///
    /// # Errors
    /// The host does not exist, or no name server answers.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver: its hosts file, search domains and name servers.
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        // The function requires a port, which has no effect here.
        Ok(lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}
