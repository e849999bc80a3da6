//! Which addresses a host has.

use std::io;
use std::net::IpAddr;

use async_trait::async_trait;
use tokio::net::lookup_host;

/// Looks names of hosts up.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// All addresses of a host, the best first.
    ///
    /// # Errors
    /// There is no such host, or nobody says.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver: its hosts file, search domains and name servers.
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        // The port is of no account, and the system's function wants one.
        Ok(lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}
