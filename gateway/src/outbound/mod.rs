//! Calls to where callers of the service say: URLs of pictures, and whatever else has an address that a stranger chose.
//!
//! Such an address may lead into the operator's own network. So a name is looked up once for each connection
//! ([`Resolve`]), every address that comes of it is looked at ([`AddressGuard`]), and the connection goes to one of
//! those and no other ([`Connector`]): a name that means something else a moment later changes nothing. There is no
//! proxy, no pool, no cookie, and nothing is followed by itself ([`Fetcher`]).

mod connect;
mod fetch;
mod guard;
mod metrics;
mod resolve;

pub use self::connect::{ConnectError, Connection, Connector};
pub use self::fetch::{FetchError, Fetcher, Refused, Room, Unusable};
pub use self::guard::AddressGuard;
pub use self::resolve::{Resolve, SystemResolver};
