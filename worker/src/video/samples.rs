//! Keeps frames at equal distance in bounded memory, without knowing how many there will be.

/// At most `most` of the items that were pushed, each 2ⁿ-th of them.
#[derive(Debug)]
pub(super) struct Samples<T> {
    kept: Vec<T>,
    most: usize,
    stride: usize,
    pushed: usize,
}

impl<T> Samples<T> {
    pub(super) fn new(most: usize) -> Self {
        Self { kept: Vec::new(), most: most.max(1), stride: 1, pushed: 0 }
    }

    /// Keeps every `stride`-th item. If the buffer is full, every second kept item is dropped and the stride doubles.
    pub(super) fn push(&mut self, item: T) {
        let index = self.pushed;
        self.pushed += 1;
        if self.kept.len() == self.most && index.is_multiple_of(self.stride) {
            self.stride *= 2;
            let mut place = 0;
            self.kept.retain(|_| {
                place += 1;
                place % 2 == 1
            });
        }
        if index.is_multiple_of(self.stride) {
            self.kept.push(item);
        }
    }

    pub(super) fn into_vec(self) -> Vec<T> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_has_equal_distances_and_fills_half_of_the_room() {
        for most in 1..9 {
            for count in 0..70 {
                let mut samples = Samples::new(most);
                (0..count).for_each(|item| samples.push(item));
                let kept = samples.into_vec();
                assert!(
                    kept.len() <= most && kept.len() * 2 >= most.min(count),
                    "{count} into {most}: {kept:?}"
                );
                let stride = kept.get(1).copied().unwrap_or(1);
                assert!(kept.iter().enumerate().all(|(place, item)| *item == place * stride), "{kept:?}");
            }
        }
    }
}
