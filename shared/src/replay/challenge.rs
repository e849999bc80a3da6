//! The challenges of a seed.

use aws_lc_rs::digest::{SHA256, digest};

use crate::job::examination::Direction;

/// The most challenges of a replay.
pub const MAX_CHALLENGES: usize = 6;

/// The order in which the digest's numbers choose directions.
const DIRECTIONS: [Direction; 4] = [Direction::Up, Direction::Down, Direction::Left, Direction::Right];

/// The directions that a seed asks for, at most [`MAX_CHALLENGES`] of them.
///
/// With `h` = SHA-256 of the ASCII text `faceline-challenge-1:` followed by the seed in decimal digits, and `n(i)` = bytes `4i` to
/// `4i + 3` of `h` as a big-endian number: the first direction is number `n(0) mod 4` of up, down, left, right; each further one is
/// number `n(i) mod 3` of the same list without the direction before it. A shorter sequence is the beginning of a longer one.
#[must_use]
pub fn challenges(seed: u32, count: usize) -> Vec<Direction> {
    let digest = digest(&SHA256, format!("faceline-challenge-1:{seed}").as_bytes());
    let mut chosen: Vec<Direction> = Vec::with_capacity(count.min(MAX_CHALLENGES));
    for bytes in digest.as_ref().chunks_exact(4).take(count.min(MAX_CHALLENGES)) {
        let number = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        let before = chosen.last().copied();
        let allowed: Vec<Direction> =
            DIRECTIONS.into_iter().filter(|&direction| Some(direction) != before).collect();
        chosen.push(allowed[number % allowed.len()]);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn no_direction_follows_itself_and_a_shorter_sequence_begins_a_longer_one() {
        for seed in 0..2_000 {
            let all = challenges(seed, MAX_CHALLENGES);
            assert_eq!(all.len(), MAX_CHALLENGES);
            assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "{seed}: {all:?}");
            assert_eq!(challenges(seed, 2), all[..2]);
        }
        assert_eq!(challenges(7, 9), challenges(7, MAX_CHALLENGES));
    }

    #[test]
    fn all_sequences_of_two_are_equally_likely() {
        let mut counts = HashMap::new();
        for seed in 0..12_000 {
            *counts.entry(challenges(seed, 2)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 12);
        assert!(counts.values().all(|count| (850..=1150).contains(count)), "{counts:?}");
    }
}
