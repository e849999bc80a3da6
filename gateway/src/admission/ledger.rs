//! What is in flight, in all and by client.

use std::collections::HashMap;
use std::sync::Arc;

use crate::fault::BusyCause;

/// How much may be in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) jobs: usize,
    pub(super) bytes: usize,
    /// The throttle's present limit on jobs, which clients share.
    pub(super) limit: usize,
    /// Part of all three that one client may take.
    pub(super) client_share: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    jobs: usize,
    bytes: usize,
}

/// The books.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    all: Usage,
    clients: HashMap<Arc<str>, Usage>,
}

impl Ledger {
    pub(super) fn jobs(&self) -> usize {
        self.all.jobs
    }

    pub(super) fn bytes(&self) -> usize {
        self.all.bytes
    }

    /// Whether there is room for one more job with the first `bytes` of its body.
    pub(super) fn has_room(&self, client: &Arc<str>, bytes: usize, bounds: &Bounds) -> Result<(), BusyCause> {
        self.check(client, 1, bytes, bounds)
    }

    /// One more job, for which there is room.
    pub(super) fn open(&mut self, client: &Arc<str>, bytes: usize) {
        self.book(client, 1, bytes);
    }

    /// More bytes for a job that is open.
    pub(super) fn grow(&mut self, client: &Arc<str>, bytes: usize, bounds: &Bounds) -> Result<(), BusyCause> {
        self.check(client, 0, bytes, bounds)?;
        self.book(client, 0, bytes);
        Ok(())
    }

    /// A job is over; `bytes` is all that was taken for it.
    pub(super) fn close(&mut self, client: &Arc<str>, bytes: usize) {
        self.all.jobs -= 1;
        self.all.bytes -= bytes;
        if let Some(own) = self.clients.get_mut(client) {
            own.jobs -= 1;
            own.bytes -= bytes;
            if own.jobs == 0 {
                self.clients.remove(client);
            }
        }
    }

    fn check(&self, client: &Arc<str>, jobs: usize, bytes: usize, bounds: &Bounds) -> Result<(), BusyCause> {
        let own = self.clients.get(client).copied().unwrap_or_default();
        // A client's only job is never above its share, or a large body would be refused for ever.
        let is_only = own.jobs + jobs <= 1;
        if !is_only
            && bounds.client_share < 1.0
            && (own.jobs + jobs > share(bounds.jobs.min(bounds.limit), bounds)
                || own.bytes + bytes > share(bounds.bytes, bounds))
        {
            return Err(BusyCause::ClientShare);
        }
        if self.all.jobs + jobs > bounds.jobs {
            return Err(BusyCause::InFlight);
        }
        if self.all.bytes + bytes > bounds.bytes {
            return Err(BusyCause::Bytes);
        }
        Ok(())
    }

    fn book(&mut self, client: &Arc<str>, jobs: usize, bytes: usize) {
        for usage in [&mut self.all, self.clients.entry(Arc::clone(client)).or_default()] {
            usage.jobs += jobs;
            usage.bytes += bytes;
        }
    }
}

fn share(bound: usize, bounds: &Bounds) -> usize {
    (bound as f64 * bounds.client_share) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { jobs: 4, bytes: 100, limit: 4, client_share: 0.5 };

    fn open(ledger: &mut Ledger, name: &str, bytes: usize) -> Result<(), BusyCause> {
        ledger.has_room(&client(name), bytes, &BOUNDS)?;
        ledger.open(&client(name), bytes);
        Ok(())
    }

    fn client(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    #[test]
    fn one_client_leaves_room_for_others() {
        let mut ledger = Ledger::default();
        open(&mut ledger, "a", 10).unwrap();
        open(&mut ledger, "a", 10).unwrap();
        assert_eq!(open(&mut ledger, "a", 10), Err(BusyCause::ClientShare));
        assert_eq!(ledger.grow(&client("a"), 31, &BOUNDS), Err(BusyCause::ClientShare));
        open(&mut ledger, "b", 10).unwrap();
        open(&mut ledger, "b", 10).unwrap();
        assert_eq!(open(&mut ledger, "c", 10), Err(BusyCause::InFlight));
    }

    #[test]
    fn a_client_has_its_share_of_what_is_let_in_at_present() {
        let mut ledger = Ledger::default();
        ledger.open(&client("a"), 10);
        let small = Bounds { limit: 2, ..BOUNDS };
        assert_eq!(ledger.has_room(&client("a"), 10, &small), Err(BusyCause::ClientShare));
        assert_eq!(ledger.has_room(&client("b"), 10, &small), Ok(()));
    }

    #[test]
    fn a_single_large_body_may_pass_the_share_but_not_the_bound() {
        let mut ledger = Ledger::default();
        open(&mut ledger, "a", 90).unwrap();
        assert_eq!(open(&mut ledger, "b", 20), Err(BusyCause::Bytes));
        assert_eq!(ledger.grow(&client("a"), 11, &BOUNDS), Err(BusyCause::Bytes));
        assert_eq!(ledger.grow(&client("a"), 10, &BOUNDS), Ok(()));
    }

    proptest! {
        #[test]
        fn the_books_stay_within_their_bounds_and_close_at_zero(
            steps in proptest::collection::vec((0..3_u8, 0..3_usize, 0..60_usize), 0..60),
        ) {
            let names = ["a", "b", "c"];
            let clients = names.map(client);
            let mut ledger = Ledger::default();
            let mut jobs: Vec<(usize, usize)> = Vec::new();
            for (step, who, bytes) in steps {
                let mine = jobs.iter().position(|(owner, _)| *owner == who);
                match (step, mine) {
                    (0, _) if open(&mut ledger, names[who], bytes).is_ok() => jobs.push((who, bytes)),
                    (1, Some(at)) if ledger.grow(&clients[who], bytes, &BOUNDS).is_ok() => jobs[at].1 += bytes,
                    (2, Some(at)) => {
                        let (_, held) = jobs.swap_remove(at);
                        ledger.close(&clients[who], held);
                    }
                    _ => (),
                }
                prop_assert_eq!(ledger.jobs(), jobs.len());
                prop_assert_eq!(ledger.bytes(), jobs.iter().map(|(_, held)| held).sum::<usize>());
                prop_assert!(ledger.jobs() <= BOUNDS.jobs && ledger.bytes() <= BOUNDS.bytes);
            }
            for (who, held) in jobs {
                ledger.close(&clients[who], held);
            }
            prop_assert_eq!((ledger.jobs(), ledger.bytes(), ledger.clients.len()), (0, 0, 0));
        }
    }
}
