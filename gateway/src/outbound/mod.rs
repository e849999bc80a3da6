//! The SSRF guard: outbound requests to URLs that callers choose, such as the URL of a picture.
//!
//! Server-side request forgery (SSRF) is the attack in which such a URL leads into the operator's own network, for
//! example to a cloud's metadata service. The defence has three steps:
//!
//! 1. [`Resolve`]: each connection resolves the host's name once.
//! 2. [`AddressGuard`]: all addresses of the host must be allowed, which excludes private and special networks.
//! 3. [`Connector`]: the connection goes to one of the checked addresses and resolves nothing again. So a name that
//!    changes its address in between (DNS rebinding) has no effect.
//!
//! There is no proxy, no connection pool and no cookie. The HTTP client follows no redirect by itself: [`Fetcher`]
//! checks each redirect like the first URL.

mod connect;
mod fetch;
mod guard;
mod metrics;
mod resolve;

pub use self::connect::{ConnectError, Connection, Connector};
pub use self::fetch::{FetchError, FetchFailure, Fetcher, ReserveBytes, UrlRefusal};
pub use self::guard::AddressGuard;
pub use self::resolve::{Resolve, SystemResolver};
