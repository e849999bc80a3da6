//! Trying candidates until one succeeds, without waiting for one that does not answer (as RFC 8305 does it with addresses).

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;

/// Returns the first success of `attempts`, or all errors in the order in which they came. The next attempt starts when one has
/// failed, or after `stagger`, beside those that are under way.
pub(super) async fn first_success<T, E>(
    attempts: Vec<BoxFuture<'_, Result<T, E>>>,
    stagger: Duration,
) -> Result<T, Vec<E>> {
    let mut waiting = attempts.into_iter();
    let mut running: FuturesUnordered<_> = waiting.next().into_iter().collect();
    let mut errors = Vec::new();
    loop {
        tokio::select! {
            ended = running.next() => match ended {
                Some(Ok(success)) => return Ok(success),
                Some(Err(error)) => {
                    errors.push(error);
                    running.extend(waiting.next());
                }
                None => return Err(errors),
            },
            () = sleep(stagger) => running.extend(waiting.next()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use tokio::time::Instant;

    use super::*;

    const STAGGER: Duration = Duration::from_millis(250);

    type Attempt = BoxFuture<'static, Result<u8, &'static str>>;

    fn fails() -> Attempt {
        Box::pin(ready(Err("refused")))
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_candidate_costs_a_moment_and_a_failing_one_nothing() {
        let begun = Instant::now();
        let attempts: Vec<Attempt> = vec![fails(), Box::pin(pending()), fails(), Box::pin(ready(Ok(4)))];
        assert_eq!(first_success(attempts, STAGGER).await, Ok(4));
        assert_eq!(begun.elapsed(), STAGGER);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_answer_counts_also_if_it_is_late() {
        let slow: Attempt = Box::pin(async {
            sleep(3 * STAGGER).await;
            Ok(1)
        });
        assert_eq!(first_success(vec![slow, fails()], STAGGER).await, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_success_all_errors_are_told() {
        assert_eq!(first_success(vec![fails(), fails()], STAGGER).await, Err(vec!["refused", "refused"]));
        assert_eq!(first_success(Vec::<Attempt>::new(), STAGGER).await, Err(vec![]));
    }
}
