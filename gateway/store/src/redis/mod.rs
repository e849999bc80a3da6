//! The store that gateways share: Redis, with one Lua script for each change.
//!
//! **Keys.** A session is one hash and its faces are fields of it, so a single expiry ends all of it in the same
//! millisecond. A lane of the outbox is a sorted set of row ids by due time, and three hashes with the body, the
//! number of leases and the lease of each row. An idempotency record is a hash. The ledger of a client for one kind of
//! items (sessions or idempotency records) is a sorted set of the items by the time at which they end, and a hash of
//! their units and bytes (`lua/ledger.lua`). All keys contain the hash tag `{store}`: a Redis cluster keeps them in one
//! slot, and would refuse the scripts otherwise. The whole store is therefore on one node of a cluster. The settings
//! must name that node, because redirections are not followed; a larger installation needs a node with more memory, not
//! more nodes.
//!
//! **Time** is the server's. Lifetimes are sent as durations, and scripts ask the server for the time.
//!
//! **Broken connections.** When a connection breaks, the client cannot know whether the change or its answer was lost. So
//! every change has an id, under which the server keeps the answer for `ANSWER_RETENTION`. The client sends the change again,
//! once. If the first one was made, the server returns the kept answer and changes nothing. This also covers a change that a
//! broken connection still delivers after its repetition. If the repetition fails too, or the server does not answer in time,
//! the error is [`crate::StoreError::Unreachable`], and the change may have been made. A server that restarts without its
//! last changes has lost both the change and its answer.

mod idempotency;
mod keys;
mod outbox;
mod scripts;
mod sessions;
mod store;

pub use self::store::RedisStore;
