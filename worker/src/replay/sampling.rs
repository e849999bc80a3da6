//! Selection of the frames that are examined: few, at equal distance.

/// Up to `count` indices below `available`, in the middle of as many equal parts.
pub(super) fn equidistant(available: usize, count: usize) -> Vec<usize> {
    let count = count.min(available);
    (0..count).map(|part| (2 * part + 1) * available / (2 * count)).collect()
}

#[cfg(test)]
mod tests {
    use super::equidistant;

    #[test]
    fn indices_are_at_equal_distance_and_differ() {
        assert_eq!(equidistant(70, 7), [5, 15, 25, 35, 45, 55, 65]);
        assert_eq!(equidistant(3, 7), [0, 1, 2]);
        assert!(equidistant(0, 7).is_empty());
        for available in 1..60 {
            let chosen = equidistant(available, 14);
            assert!(chosen.is_sorted_by(|a, b| a < b) && chosen[chosen.len() - 1] < available, "{chosen:?}");
        }
    }
}
