//! Log lines of refusals: each one while they are few, and how many where they are many.
//!
//! In an overload a gateway refuses thousands of requests a second, each of which it counts by cause. As many lines would
//! cost more than the refusals, and bury what else there is to read. Those beyond the bound are there at the level
//! `debug`.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use uuid::Uuid;

/// Lines a second.
const MOST: u32 = 20;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);
static SAMPLER: Mutex<Sampler> = Mutex::new(Sampler { second: 0, written: 0, left_out: 0 });

/// Writes the line of one refusal.
pub(in crate::http) fn refused(error_id: Uuid, cause: &str, message: &str) {
    let second = START.elapsed().as_secs();
    let Sampled { is_written, left_out } =
        SAMPLER.lock().unwrap_or_else(PoisonError::into_inner).sample(second);
    if left_out > 0 {
        tracing::warn!(left_out, "there were more refusals than are logged one by one");
    }
    if is_written {
        tracing::warn!(%error_id, cause, message, "request refused");
    } else {
        tracing::debug!(%error_id, cause, message, "request refused");
    }
}

/// Counts the lines of the present second.
#[derive(Debug)]
struct Sampler {
    second: u64,
    written: u32,
    left_out: u64,
}

/// What becomes of one line.
#[derive(Debug, Eq, PartialEq)]
struct Sampled {
    is_written: bool,
    /// Lines before this second that were left out and not told of yet.
    left_out: u64,
}

impl Sampler {
    fn sample(&mut self, second: u64) -> Sampled {
        let mut left_out = 0;
        if second != self.second {
            left_out = std::mem::take(&mut self.left_out);
            (self.second, self.written) = (second, 0);
        }
        let is_written = self.written < MOST;
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
