//! Health checks for HTTP probes and for `grpc.health.v1`. This module depends on no server library, because both the
//! operators' listener and the public one use it.

use futures_util::{Stream, stream};
use http::StatusCode;

use super::readiness::Readiness;

/// Subject of a health check.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HealthSubject {
    /// Whether the process runs, as in `/livez`.
    Liveness,
    /// Whether the process can do its work, as in `/readyz`.
    Readiness,
}

impl HealthSubject {
    /// Returns the subject of a check of the service `name`. `liveness` means liveness. `readiness`, an empty name and
    /// each of `services`, which the process offers when it is ready, mean readiness. `None` for any other name.
    #[must_use]
    pub fn of_service(name: &str, services: &[&str]) -> Option<Self> {
        match name {
            "liveness" => Some(Self::Liveness),
            "" | "readiness" => Some(Self::Readiness),
            name => services.contains(&name).then_some(Self::Readiness),
        }
    }

    /// Whether the answer to the check is `SERVING`.
    #[must_use]
    pub fn is_serving(self, readiness: &Readiness) -> bool {
        match self {
            Self::Liveness => true,
            Self::Readiness => readiness.is_ready(),
        }
    }

    /// Streams the present answer and each change of it. The stream never ends.
    pub fn watch(self, readiness: &Readiness) -> impl Stream<Item = bool> + Send + use<> {
        stream::unfold((readiness.clone(), None), move |(readiness, last)| async move {
            let now = match last {
                None => self.is_serving(&readiness),
                Some(last) => self.changed(&readiness, last).await,
            };
            Some((now, (readiness, Some(now))))
        })
    }

    /// Waits until the answer is another one than `last`, and returns it.
    async fn changed(self, readiness: &Readiness, last: bool) -> bool {
        match self {
            // A process that runs stays alive.
            Self::Liveness => std::future::pending().await,
            Self::Readiness => {
                readiness.until(!last).await;
                !last
            }
        }
    }
}

/// Status and text of `/livez`.
#[must_use]
pub fn livez() -> (StatusCode, String) {
    (StatusCode::OK, "ok\n".into())
}

/// Status and text of `/readyz` for everybody: `ok`, or `not ready:` and the names of the conditions that are not met; then
/// `degraded:` and the names of those that are degraded, if any is.
#[must_use]
pub fn readyz(readiness: &Readiness) -> (StatusCode, String) {
    let (missing, degraded) = (readiness.missing(), readiness.degraded());
    let (status, mut text) = if missing.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", missing.join(", ")))
    };
    if !degraded.is_empty() {
        text += &format!("degraded: {}\n", degraded.join(", "));
    }
    (status, text)
}

/// As [`readyz`], for operators: adds a line with the reason of each condition, which may name servers, and a line for
/// each fact.
#[must_use]
pub fn readyz_in_detail(readiness: &Readiness) -> (StatusCode, String) {
    let (status, text) = readyz(readiness);
    let reasons = readiness.reasons().into_iter().map(|(name, reason)| format!("{name}: {reason}\n"));
    let facts = readiness.facts().into_iter().map(|(name, fact)| format!("{name}: {fact}\n"));
    (status, text + &reasons.chain(facts).collect::<String>())
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _};

    use super::super::readiness::ConditionState;
    use super::*;

    #[tokio::test]
    async fn a_watch_shows_the_present_and_each_change() {
        let readiness = Readiness::new();
        let condition = readiness.condition("models");
        let mut ready = Box::pin(HealthSubject::Readiness.watch(&readiness));
        let mut live = Box::pin(HealthSubject::Liveness.watch(&readiness));
        assert_eq!((ready.next().await, live.next().await), (Some(false), Some(true)));
        assert_eq!((ready.next().now_or_never(), live.next().now_or_never()), (None, None));
        condition.set(true);
        assert_eq!(ready.next().await, Some(true));
        condition.set(false);
        assert_eq!(ready.next().await, Some(false));
        assert_eq!(live.next().now_or_never(), None);
    }

    #[test]
    fn what_is_degraded_is_named_and_its_reason_is_for_operators() {
        let readiness = Readiness::new();
        let (store, models) = (readiness.condition("store"), readiness.condition("models"));
        store.set(true);
        store.report(ConditionState::Degraded("10.0.0.1 does not answer".into()));
        let (status, text) = readyz(&readiness);
        assert_eq!((status.as_u16(), text.as_str()), (503, "not ready: models\ndegraded: store\n"));
        models.set(true);
        let (status, text) = readyz(&readiness);
        assert_eq!((status.as_u16(), text.as_str()), (200, "ok\ndegraded: store\n"));
        let (status, text) = readyz_in_detail(&readiness);
        let expected = "ok\ndegraded: store\nstore: 10.0.0.1 does not answer\n";
        assert_eq!((status.as_u16(), text.as_str()), (200, expected));
    }

    #[test]
    fn facts_are_for_operators() {
        let readiness = Readiness::new();
        readiness.set_fact("liveness_calibration", "front-desk".into());
        assert_eq!(readyz(&readiness).1, "ok\n");
        assert_eq!(readyz_in_detail(&readiness).1, "ok\nliveness_calibration: front-desk\n");
    }

    #[test]
    fn services_of_the_process_are_ready_when_it_is() {
        assert_eq!(HealthSubject::of_service("bank", &["bank"]), Some(HealthSubject::Readiness));
        assert_eq!(HealthSubject::of_service("shop", &["bank"]), None);
    }
}
