//! Log lines of refusals in an overload: one for each refusal while there are few, a number where there are many.
//!
//! An overloaded gateway refuses thousands of requests a second and counts each by its cause. A log line for each
//! would cost more than the refusal and bury all other lines. Lines beyond the bound are written at the level
//! `debug`.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use uuid::Uuid;

const MAX_LINES_PER_SECOND: u32 = 20;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);
static SAMPLER: Mutex<Sampler> = Mutex::new(Sampler { second: 0, written: 0, left_out: 0 });

/// Writes the line of one refusal, or counts it as left out.
pub(super) fn log_overload(error_id: Uuid, cause: &str, message: &str) {
    let second = START.elapsed().as_secs();
    let Sampled { is_written, left_out } =
        SAMPLER.lock().unwrap_or_else(PoisonError::into_inner).sample(second);
    if left_out > 0 {
        tracing::warn!(left_out, "refusals were left out of the log");
    }
    if is_written {
        tracing::warn!(%error_id, cause, message, "request refused");
    } else {
        tracing::debug!(%error_id, cause, message, "request refused");
    }
}

/// Counts the lines of the current second.
#[derive(Debug)]
struct Sampler {
    second: u64,
    written: u32,
    left_out: u64,
}

/// The decision about one line.
#[derive(Debug, Eq, PartialEq)]
struct Sampled {
    is_written: bool,
    /// Lines of earlier seconds that were left out and not reported yet.
    left_out: u64,
}

impl Sampler {
    fn sample(&mut self, second: u64) -> Sampled {
        let mut left_out = 0;
        if second != self.second {
            left_out = std::mem::take(&mut self.left_out);
            (self.second, self.written) = (second, 0);
        }
        let is_written = self.written < MAX_LINES_PER_SECOND;
        if is_written {
            self.written += 1;
        } else {
            self.left_out += 1;
        }
        Sampled { is_written, left_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_a_few_lines_and_a_number() {
        let mut sampler = Sampler { second: 0, written: 0, left_out: 0 };
        let lines = |sampler: &mut Sampler, second| {
            let sampled: Vec<_> = (0..1000).map(|_| sampler.sample(second)).collect();
            let written = sampled.iter().filter(|line| line.is_written).count();
            (written, sampled.iter().map(|line| line.left_out).sum::<u64>())
        };
        assert_eq!(lines(&mut sampler, 0), (20, 0));
        assert_eq!(lines(&mut sampler, 1), (20, 980));
        assert_eq!(sampler.sample(9), Sampled { is_written: true, left_out: 980 });
        assert_eq!(sampler.sample(9), Sampled { is_written: true, left_out: 0 });
    }
}
