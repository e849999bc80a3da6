//! What is in flight, in all and by client.

use std::collections::HashMap;
use std::sync::Arc;

use faceline_shared::error::BusyCause;

/// How much may be in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) jobs: usize,
    pub(super) bytes: usize,
    /// Part of both that one client may take.
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

    /// One more job with the first `bytes` of its body.
    pub(super) fn open(&mut self, client: &Arc<str>, bytes: usize, bounds: &Bounds) -> Result<(), BusyCause> {
        self.take(client, 1, bytes, bounds)
    }

    /// More bytes for a job that is open.
    pub(super) fn grow(&mut self, client: &Arc<str>, bytes: usize, bounds: &Bounds) -> Result<(), BusyCause> {
        self.take(client, 0, bytes, bounds)
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

    fn take(
        &mut self,
        client: &Arc<str>,
        jobs: usize,
        bytes: usize,
        bounds: &Bounds,
    ) -> Result<(), BusyCause> {
        let own = self.clients.get(client).copied().unwrap_or_default();
        // A client's only job is never above its share, or a large body would be refused for ever.
        let is_only = own.jobs + jobs <= 1;
        if !is_only
            && bounds.client_share < 1.0
            && (own.jobs + jobs > share(bounds.jobs, bounds)
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
        for usage in [&mut self.all, self.clients.entry(Arc::clone(client)).or_default()] {
            usage.jobs += jobs;
            usage.bytes += bytes;
        }
        Ok(())
    }
}

fn share(bound: usize, bounds: &Bounds) -> usize {
    (bound as f64 * bounds.client_share) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { jobs: 4, bytes: 100, client_share: 0.5 };

    fn client(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    #[test]
    fn one_client_leaves_room_for_others() {
        let (a, b) = (client("a"), client("b"));
        let mut ledger = Ledger::default();
        ledger.open(&a, 10, &BOUNDS).unwrap();
        ledger.open(&a, 10, &BOUNDS).unwrap();
        assert_eq!(ledger.open(&a, 10, &BOUNDS), Err(BusyCause::ClientShare));
        assert_eq!(ledger.grow(&a, 31, &BOUNDS), Err(BusyCause::ClientShare));
        ledger.open(&b, 10, &BOUNDS).unwrap();
        ledger.open(&b, 10, &BOUNDS).unwrap();
        assert_eq!(ledger.open(&client("c"), 10, &BOUNDS), Err(BusyCause::InFlight));
    }

    #[test]
    fn a_single_large_body_may_pass_the_share_but_not_the_bound() {
        let mut ledger = Ledger::default();
        ledger.open(&client("a"), 90, &BOUNDS).unwrap();
        assert_eq!(ledger.open(&client("b"), 20, &BOUNDS), Err(BusyCause::Bytes));
        assert_eq!(ledger.grow(&client("a"), 11, &BOUNDS), Err(BusyCause::Bytes));
        assert_eq!(ledger.grow(&client("a"), 10, &BOUNDS), Ok(()));
    }

    proptest! {
        #[test]
        fn the_books_stay_within_their_bounds_and_close_at_zero(
            steps in proptest::collection::vec((0..3_u8, 0..3_usize, 0..60_usize), 0..60),
        ) {
            let clients = [client("a"), client("b"), client("c")];
            let mut ledger = Ledger::default();
            let mut open: Vec<(usize, usize)> = Vec::new();
            for (step, who, bytes) in steps {
                let mine = open.iter().position(|(owner, _)| *owner == who);
                match (step, mine) {
                    (0, _) if ledger.open(&clients[who], bytes, &BOUNDS).is_ok() => open.push((who, bytes)),
                    (1, Some(at)) if ledger.grow(&clients[who], bytes, &BOUNDS).is_ok() => open[at].1 += bytes,
                    (2, Some(at)) => {
                        let (_, held) = open.swap_remove(at);
                        ledger.close(&clients[who], held);
                    }
                    _ => (),
                }
                prop_assert_eq!(ledger.jobs(), open.len());
                prop_assert_eq!(ledger.bytes(), open.iter().map(|(_, held)| held).sum::<usize>());
                prop_assert!(ledger.jobs() <= BOUNDS.jobs && ledger.bytes() <= BOUNDS.bytes);
            }
            for (who, held) in open {
                ledger.close(&clients[who], held);
            }
            prop_assert_eq!((ledger.jobs(), ledger.bytes(), ledger.clients.len()), (0, 0, 0));
        }
    }
}
