//! Counts requests and body bytes in flight, in total and per client, and checks them against fixed bounds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::job_class::{JobClass, PerClass};
use crate::fault::BusyCause;

/// A client counts as present for this long after its last request, whether or not that was admitted.
const CLIENT_PRESENCE_TTL: Duration = Duration::from_secs(10);
/// Fraction of the bounds that a client may use while it is the only one, even if its share is smaller. The rest is
/// free for the first requests of the next client. From then on each client has its share.
const ONLY_CLIENTS_SHARE: f64 = 0.875;

/// Bounds on the requests and bytes in flight at the same time.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFlightBounds {
    /// Requests of one class in this gateway.
    pub(super) requests: usize,
    /// Bytes of bodies in this gateway.
    pub(super) bytes: usize,
    /// The present AIMD limit of the class, in jobs. A client's share of requests is a fraction of this or of
    /// `requests`, whichever is smaller.
    pub(super) limit_jobs: usize,
    /// Fraction of requests and of bytes that one client may hold while others are present, in `0.0..=1.0`.
    pub(super) client_share: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    requests: PerClass<usize>,
    bytes: usize,
}

impl Usage {
    fn all_requests(&self) -> usize {
        self.requests.pictures + self.requests.video
    }
}

/// Requests and bytes in flight.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    total: Usage,
    clients: HashMap<Arc<str>, Usage>,
    /// The client of the last request, and the time of that request.
    latest: Option<(Arc<str>, Instant)>,
    /// The time of the last request of any other client.
    latest_other: Option<Instant>,
}

impl InFlight {
    pub(super) fn requests(&self) -> usize {
        self.total.all_requests()
    }

    pub(super) fn bytes(&self) -> usize {
        self.total.bytes
    }

    /// Checks whether one more request of a class with the first `bytes` of its body fits.
    ///
    /// # Errors
    /// The bound that it would exceed.
    pub(super) fn check_request(
        &mut self,
        now: Instant,
        client: &Arc<str>,
        class: JobClass,
        bytes: usize,
        bounds: &InFlightBounds,
    ) -> Result<(), BusyCause> {
        self.see(now, client);
        self.check(now, client, (class, 1), bytes, bounds)
    }

    /// Adds a request that has passed [`InFlight::check_request`].
    pub(super) fn add_request(&mut self, client: &Arc<str>, class: JobClass, bytes: usize) {
        self.add(client, (class, 1), bytes);
    }

    /// Adds bytes to a request of a class that is in flight.
    ///
    /// # Errors
    /// The bound that they would exceed; nothing is added then.
    pub(super) fn add_bytes(
        &mut self,
        now: Instant,
        client: &Arc<str>,
        class: JobClass,
        bytes: usize,
        bounds: &InFlightBounds,
    ) -> Result<(), BusyCause> {
        self.check(now, client, (class, 0), bytes, bounds)?;
        self.add(client, (class, 0), bytes);
        Ok(())
    }

    /// Removes a request of a class with all `bytes` that were added for it.
    pub(super) fn remove_request(&mut self, client: &Arc<str>, class: JobClass, bytes: usize) {
        *self.total.requests.of_mut(class) -= 1;
        self.total.bytes -= bytes;
        if let Some(own) = self.clients.get_mut(client) {
            *own.requests.of_mut(class) -= 1;
            own.bytes -= bytes;
            if own.all_requests() == 0 {
                self.clients.remove(client);
            }
        }
    }

    /// Records that a client sends a request.
    fn see(&mut self, now: Instant, client: &Arc<str>) {
        if let Some((latest, at)) = &mut self.latest
            && latest == client
        {
            *at = now;
        } else {
            self.latest_other = self.latest.replace((Arc::clone(client), now)).map(|(_, at)| at);
        }
    }

    /// Whether another client has requests in flight, or has sent one recently.
    fn are_others_present(&self, now: Instant, client: &Arc<str>, own_requests: usize) -> bool {
        let seen = match &self.latest {
            Some((latest, _)) if latest == client => self.latest_other,
            latest => latest.as_ref().map(|(_, at)| *at),
        };
        self.total.all_requests() > own_requests
            || seen.is_some_and(|at| now.saturating_duration_since(at) < CLIENT_PRESENCE_TTL)
    }

    fn check(
        &self,
        now: Instant,
        client: &Arc<str>,
        (class, requests): (JobClass, usize),
        bytes: usize,
        bounds: &InFlightBounds,
    ) -> Result<(), BusyCause> {
        let own = self.clients.get(client).copied().unwrap_or_default();
        let counted = |usage: &Usage| usage.requests.of(class) + requests;
        // The share does not apply to a client's only request. Otherwise a body larger than the share could never pass.
        let is_only = own.all_requests() + requests <= 1;
        let are_too_many =
            |fraction| counted(&own) > share(bounds.requests.min(bounds.limit_jobs), fraction).max(1);
        let fraction = if self.are_others_present(now, client, own.all_requests()) {
            bounds.client_share
        } else {
            bounds.client_share.max(ONLY_CLIENTS_SHARE)
        };
        if !is_only
            && fraction < 1.0
            && (are_too_many(fraction) || own.bytes + bytes > share(bounds.bytes, fraction))
        {
            return Err(BusyCause::ClientShare);
        }
        if counted(&self.total) > bounds.requests {
            return Err(BusyCause::InFlight);
        }
        if self.total.bytes + bytes > bounds.bytes {
            return Err(BusyCause::Bytes);
        }
        Ok(())
    }

    fn add(&mut self, client: &Arc<str>, (class, requests): (JobClass, usize), bytes: usize) {
        for usage in [&mut self.total, self.clients.entry(Arc::clone(client)).or_default()] {
            *usage.requests.of_mut(class) += requests;
            usage.bytes += bytes;
        }
    }
}

fn share(bound: usize, fraction: f64) -> usize {
    (bound as f64 * fraction) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: InFlightBounds =
        InFlightBounds { requests: 4, bytes: 100, limit_jobs: 4, client_share: 0.5 };

    fn try_add(in_flight: &mut InFlight, name: &str, bytes: usize) -> Result<(), BusyCause> {
        in_flight.check_request(Instant::now(), &client(name), JobClass::Pictures, bytes, &BOUNDS)?;
        in_flight.add_request(&client(name), JobClass::Pictures, bytes);
        Ok(())
    }

    /// Adds bytes to a request of a client.
    fn add_bytes(in_flight: &mut InFlight, name: &str, bytes: usize) -> Result<(), BusyCause> {
        in_flight.add_bytes(Instant::now(), &client(name), JobClass::Pictures, bytes, &BOUNDS)
    }

    fn client(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    #[test]
    fn one_client_leaves_room_for_others() {
        let mut in_flight = InFlight::default();
        try_add(&mut in_flight, "b", 10).unwrap();
        try_add(&mut in_flight, "a", 10).unwrap();
        try_add(&mut in_flight, "a", 10).unwrap();
        assert_eq!(try_add(&mut in_flight, "a", 10), Err(BusyCause::ClientShare));
        assert_eq!(add_bytes(&mut in_flight, "a", 31), Err(BusyCause::ClientShare));
        try_add(&mut in_flight, "b", 10).unwrap();
        assert_eq!(try_add(&mut in_flight, "c", 10), Err(BusyCause::InFlight));
    }

    #[test]
    fn the_only_client_may_use_nearly_everything_until_another_one_comes() {
        let mut in_flight = InFlight::default();
        let start = Instant::now();
        let bounds = InFlightBounds { requests: 64, bytes: 6400, limit_jobs: 64, client_share: 0.5 };
        let admitted = |in_flight: &mut InFlight, now: Instant, name: &str| {
            let mut admit = || {
                in_flight.check_request(now, &client(name), JobClass::Pictures, 100, &bounds)?;
                in_flight.add_request(&client(name), JobClass::Pictures, 100);
                Ok::<_, BusyCause>(())
            };
            (0..60).take_while(|_| admit().is_ok()).count()
        };
        assert_eq!(admitted(&mut in_flight, start, "a"), 56);
        assert_eq!(admitted(&mut in_flight, start, "b"), 8, "there was room for a client that comes");
        // The client still counts as present after its answers.
        (0..56).for_each(|_| in_flight.remove_request(&client("a"), JobClass::Pictures, 100));
        (0..8).for_each(|_| in_flight.remove_request(&client("b"), JobClass::Pictures, 100));
        assert_eq!(admitted(&mut in_flight, start + CLIENT_PRESENCE_TTL / 2, "a"), 32);
        assert_eq!(admitted(&mut in_flight, start + CLIENT_PRESENCE_TTL, "a"), 56 - 32);
    }

    #[test]
    fn a_client_has_its_share_of_what_is_let_in_at_present() {
        let mut in_flight = InFlight::default();
        let now = Instant::now();
        in_flight.add_request(&client("a"), JobClass::Pictures, 10);
        let small = InFlightBounds { limit_jobs: 2, ..BOUNDS };
        let mut check = |name| in_flight.check_request(now, &client(name), JobClass::Pictures, 10, &small);
        assert_eq!(check("a"), Err(BusyCause::ClientShare));
        assert_eq!(check("b"), Ok(()));
    }

    #[test]
    fn videos_and_pictures_take_no_place_from_each_other_but_share_the_memory() {
        let mut in_flight = InFlight::default();
        let now = Instant::now();
        let videos = InFlightBounds { requests: 2, limit_jobs: 2, client_share: 1.0, ..BOUNDS };
        let pictures = InFlightBounds { client_share: 1.0, ..BOUNDS };
        for (class, bounds, places) in [(JobClass::Video, videos, 2), (JobClass::Pictures, pictures, 4)] {
            for _ in 0..places {
                in_flight.check_request(now, &client("a"), class, 10, &bounds).unwrap();
                in_flight.add_request(&client("a"), class, 10);
            }
            let next = in_flight.check_request(now, &client("a"), class, 10, &bounds);
            assert_eq!(next, Err(BusyCause::InFlight), "{class:?}");
        }
        assert_eq!((in_flight.requests(), in_flight.bytes()), (6, 60));
        in_flight.remove_request(&client("a"), JobClass::Pictures, 10);
        let large = in_flight.check_request(now, &client("a"), JobClass::Pictures, 51, &pictures);
        assert_eq!(large, Err(BusyCause::Bytes));
    }

    #[test]
    fn a_single_large_body_may_pass_the_share_but_not_the_bound() {
        let mut in_flight = InFlight::default();
        try_add(&mut in_flight, "a", 90).unwrap();
        assert_eq!(try_add(&mut in_flight, "b", 20), Err(BusyCause::Bytes));
        assert_eq!(add_bytes(&mut in_flight, "a", 11), Err(BusyCause::Bytes));
        assert_eq!(add_bytes(&mut in_flight, "a", 10), Ok(()));
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
                    (1, Some(at)) if add_bytes(&mut in_flight, names[index], bytes).is_ok() => {
                        jobs[at].1 += bytes;
                    }
                    (2, Some(at)) => {
                        let (_, held) = jobs.swap_remove(at);
                        in_flight.remove_request(&clients[index], JobClass::Pictures, held);
                    }
                    _ => (),
                }
                prop_assert_eq!(in_flight.requests(), jobs.len());
                prop_assert_eq!(in_flight.bytes(), jobs.iter().map(|(_, held)| held).sum::<usize>());
                prop_assert!(in_flight.requests() <= BOUNDS.requests && in_flight.bytes() <= BOUNDS.bytes);
            }
            for (index, held) in jobs {
                in_flight.remove_request(&clients[index], JobClass::Pictures, held);
            }
            prop_assert_eq!((in_flight.requests(), in_flight.bytes(), in_flight.clients.len()), (0, 0, 0));
        }
    }
}
