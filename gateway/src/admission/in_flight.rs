//! Counts requests and body bytes in flight, in total and per client, and checks them against fixed bounds.

use std::collections::HashMap;
use std::sync::Arc;

use crate::fault::BusyCause;

/// How much may be in flight at the same time.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFlightBounds {
    /// Requests in this gateway.
    pub(super) requests: usize,
    /// Bytes of bodies in this gateway.
    pub(super) bytes: usize,
    /// The present AIMD limit, in jobs. A client's share of requests is taken of this or of `requests`, whichever is
    /// smaller.
    pub(super) limit_jobs: usize,
    /// Fraction of requests and of bytes that one client may hold, in `0.0..=1.0`.
    pub(super) client_share: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    requests: usize,
    bytes: usize,
}

/// Requests and bytes in flight.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    total: Usage,
    clients: HashMap<Arc<str>, Usage>,
}

impl InFlight {
    pub(super) fn requests(&self) -> usize {
        self.total.requests
    }

    pub(super) fn bytes(&self) -> usize {
        self.total.bytes
    }

    /// Checks whether one more request with the first `bytes` of its body fits.
    ///
    /// # Errors
    /// The bound that it would exceed.
    pub(super) fn check_request(
        &self,
        client: &Arc<str>,
        bytes: usize,
        bounds: &InFlightBounds,
    ) -> Result<(), BusyCause> {
        self.check(client, 1, bytes, bounds)
    }

    /// Adds a request for which [`InFlight::check_request`] found room.
    pub(super) fn add_request(&mut self, client: &Arc<str>, bytes: usize) {
        self.add(client, 1, bytes);
    }

    /// Adds bytes to a request that is in flight.
    ///
    /// # Errors
    /// The bound that they would exceed; nothing is added then.
    pub(super) fn add_bytes(
        &mut self,
        client: &Arc<str>,
        bytes: usize,
        bounds: &InFlightBounds,
    ) -> Result<(), BusyCause> {
        self.check(client, 0, bytes, bounds)?;
        self.add(client, 0, bytes);
        Ok(())
    }

    /// Removes a request with all `bytes` that were added for it.
    pub(super) fn remove_request(&mut self, client: &Arc<str>, bytes: usize) {
        self.total.requests -= 1;
        self.total.bytes -= bytes;
        if let Some(own) = self.clients.get_mut(client) {
            own.requests -= 1;
            own.bytes -= bytes;
            if own.requests == 0 {
                self.clients.remove(client);
            }
        }
    }

    fn check(
        &self,
        client: &Arc<str>,
        requests: usize,
        bytes: usize,
        bounds: &InFlightBounds,
    ) -> Result<(), BusyCause> {
        let own = self.clients.get(client).copied().unwrap_or_default();
        // The share does not apply to a client's only request. Otherwise a body larger than the share could never pass.
        let is_only = own.requests + requests <= 1;
        if !is_only
            && bounds.client_share < 1.0
            && (own.requests + requests > share(bounds.requests.min(bounds.limit_jobs), bounds)
                || own.bytes + bytes > share(bounds.bytes, bounds))
        {
            return Err(BusyCause::ClientShare);
        }
        if self.total.requests + requests > bounds.requests {
            return Err(BusyCause::InFlight);
        }
        if self.total.bytes + bytes > bounds.bytes {
            return Err(BusyCause::Bytes);
        }
        Ok(())
    }

    fn add(&mut self, client: &Arc<str>, requests: usize, bytes: usize) {
        for usage in [&mut self.total, self.clients.entry(Arc::clone(client)).or_default()] {
            usage.requests += requests;
            usage.bytes += bytes;
        }
    }
}

fn share(bound: usize, bounds: &InFlightBounds) -> usize {
    (bound as f64 * bounds.client_share) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: InFlightBounds =
        InFlightBounds { requests: 4, bytes: 100, limit_jobs: 4, client_share: 0.5 };

    fn try_add(in_flight: &mut InFlight, name: &str, bytes: usize) -> Result<(), BusyCause> {
        in_flight.check_request(&client(name), bytes, &BOUNDS)?;
        in_flight.add_request(&client(name), bytes);
        Ok(())
    }

    fn client(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    #[test]
    fn one_client_leaves_room_for_others() {
        let mut in_flight = InFlight::default();
        try_add(&mut in_flight, "a", 10).unwrap();
        try_add(&mut in_flight, "a", 10).unwrap();
        assert_eq!(try_add(&mut in_flight, "a", 10), Err(BusyCause::ClientShare));
        assert_eq!(in_flight.add_bytes(&client("a"), 31, &BOUNDS), Err(BusyCause::ClientShare));
        try_add(&mut in_flight, "b", 10).unwrap();
        try_add(&mut in_flight, "b", 10).unwrap();
        assert_eq!(try_add(&mut in_flight, "c", 10), Err(BusyCause::InFlight));
    }

    #[test]
    fn a_client_has_its_share_of_what_is_let_in_at_present() {
        let mut in_flight = InFlight::default();
        in_flight.add_request(&client("a"), 10);
        let small = InFlightBounds { limit_jobs: 2, ..BOUNDS };
        assert_eq!(in_flight.check_request(&client("a"), 10, &small), Err(BusyCause::ClientShare));
        assert_eq!(in_flight.check_request(&client("b"), 10, &small), Ok(()));
    }

    #[test]
    fn a_single_large_body_may_pass_the_share_but_not_the_bound() {
        let mut in_flight = InFlight::default();
        try_add(&mut in_flight, "a", 90).unwrap();
        assert_eq!(try_add(&mut in_flight, "b", 20), Err(BusyCause::Bytes));
        assert_eq!(in_flight.add_bytes(&client("a"), 11, &BOUNDS), Err(BusyCause::Bytes));
        assert_eq!(in_flight.add_bytes(&client("a"), 10, &BOUNDS), Ok(()));
    }

    proptest! {
        #[test]
        fn the_books_stay_within_their_bounds_and_close_at_zero(
            steps in proptest::collection::vec((0..3_u8, 0..3_usize, 0..60_usize), 0..60),
        ) {
            let names = ["a", "b", "c"];
            let clients = names.map(client);
            let mut in_flight = InFlight::default();
            let mut jobs: Vec<(usize, usize)> = Vec::new();
            for (step, index, bytes) in steps {
                let mine = jobs.iter().position(|(owner, _)| *owner == index);
                match (step, mine) {
                    (0, _) if try_add(&mut in_flight, names[index], bytes).is_ok() => jobs.push((index, bytes)),
                    (1, Some(at)) if in_flight.add_bytes(&clients[index], bytes, &BOUNDS).is_ok() => {
                        jobs[at].1 += bytes;
                    }
                    (2, Some(at)) => {
                        let (_, held) = jobs.swap_remove(at);
                        in_flight.remove_request(&clients[index], held);
                    }
                    _ => (),
                }
                prop_assert_eq!(in_flight.requests(), jobs.len());
                prop_assert_eq!(in_flight.bytes(), jobs.iter().map(|(_, held)| held).sum::<usize>());
                prop_assert!(in_flight.requests() <= BOUNDS.requests && in_flight.bytes() <= BOUNDS.bytes);
            }
            for (index, held) in jobs {
                in_flight.remove_request(&clients[index], held);
            }
            prop_assert_eq!((in_flight.requests(), in_flight.bytes(), in_flight.clients.len()), (0, 0, 0));
        }
    }
}
