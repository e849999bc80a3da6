//! What a gateway keeps: sessions, the outbox, idempotency records, rates and quotas, on Redis or in this process.

pub mod rate;
pub mod session;
pub mod upload_slots;
