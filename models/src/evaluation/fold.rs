//! A part of a data set's people.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};

/// One of `of` disjoint parts of all people, written `K/N` with K from 1.
///
/// A hash of the person's name selects the part, so a person is in the same part on every machine and in every data
/// set. A table that was calibrated on 1/2 can be evaluated on 2/2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fold {
    part: u64,
    of: u64,
}

/// The text is not a fold.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a fold is written K/N with 1 <= K <= N, as in 1/2")]
pub struct NoFold;

impl Fold {
    /// Whether the person of this name belongs to the fold.
    #[must_use]
    pub fn contains(self, name: &str) -> bool {
        // The prefix makes the choice independent of other choices by a hash of the name, such as the choice of a data
        // set's people.
        let hash = digest(&SHA256, format!("faceline fold\0{name}").as_bytes());
        let number = hash.as_ref().first_chunk().map_or(0, |eight: &[u8; 8]| u64::from_be_bytes(*eight));
        number % self.of == self.part - 1
    }
}

impl FromStr for Fold {
    type Err = NoFold;

    fn from_str(text: &str) -> Result<Self, NoFold> {
        let (part, of) = text.split_once('/').ok_or(NoFold)?;
        let (part, of) = (part.parse().map_err(|_| NoFold)?, of.parse().map_err(|_| NoFold)?);
        if !(1..=of).contains(&part) {
            return Err(NoFold);
        }
        Ok(Self { part, of })
    }
}

impl fmt::Display for Fold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_disjoint_even_and_complete() {
        let folds: Vec<Fold> = (1..=4).map(|part| format!("{part}/4").parse().unwrap()).collect();
        let mut sizes = [0; 4];
        for person in 0..4000 {
            let name = format!("Person_{person}");
            let of: Vec<usize> = (0..4).filter(|fold| folds[*fold].contains(&name)).collect();
            assert_eq!(of.len(), 1, "{name}");
            sizes[of[0]] += 1;
        }
        assert!(sizes.iter().all(|size| (900..1100).contains(size)), "{sizes:?}");
    }

    #[test]
    fn a_person_stays_in_its_fold() {
        let fold: Fold = "1/2".parse().unwrap();
        let names = ["Ada Lovelace", "Alan Turing", "Emmy Noether", "Kurt Gödel", "", "a"];
        assert_eq!(names.map(|name| fold.contains(name)), [false, true, true, true, true, true]);
        assert!("1/1".parse::<Fold>().unwrap().contains("anybody"));
        assert_eq!(fold.to_string(), "1/2");
    }

    #[test]
    fn what_is_no_fold_is_refused() {
        for text in ["", "1", "0/2", "3/2", "1/0", "0/0", "-1/2", "1/2/3", "a/b", "1.5/2"] {
            assert_eq!(text.parse::<Fold>(), Err(NoFold), "{text}");
        }
    }
}
