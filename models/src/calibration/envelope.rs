//! A calibration table whose rates hold for each of several groups of people: the upper envelope of the groups' rates.

use super::fit::{Fit, LAST_KNOT, rounded};
use super::table::{Calibration, CalibrationError, LOG10_FAR_TAIL};
use crate::evaluation::Labelled;

/// Minimum number of people in a group that is judged. 40 people with one picture each have 780 impostor pairs, so the
/// rates from 0.56 down to 0.032 have [`SUPPORT`] pairs. These are six points, which determine the group's offset.
/// Between random halves of groups of 50 to 220 people, the envelope's similarity at a rate of 1e-3 had a standard
/// deviation of 0.012.
pub const PEOPLE_OF_A_GROUP: usize = 40;

/// Minimum number of people for which a group gets its own table with its own tail.
const PEOPLE_OF_A_TABLE: usize = 450;

/// Impostor pairs that must lie above a threshold before a scaled curve is fitted to its rate.
const SUPPORT: f64 = 20.0;

/// A table that claims at every similarity the false acceptance rate of the worst group.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The table. It has no intervals, since its knots come from several fits.
    pub table: Calibration,
    /// The groups that it covers.
    pub groups: Vec<GroupCurve>,
    /// Groups of fewer than [`PEOPLE_OF_A_GROUP`] people, or whose similarities do not vary: names and numbers of
    /// people.
    pub left_out: Vec<(String, usize)>,
}

/// The impostor pairs within a group.
#[derive(Clone, Debug)]
pub struct GroupCurve {
    /// The group's name.
    pub name: String,
    /// Number of its people with a face.
    pub people: usize,
    /// Number of impostor pairs, from at most [`super::PICTURES_A_PERSON`] pictures a person.
    pub impostors: u64,
    /// The similarity at a rate.
    pub curve: Curve,
}

/// The similarity at a false acceptance rate, within a group.
#[derive(Clone, Debug)]
pub enum Curve {
    /// A table of the group's own.
    Own(Calibration),
    /// The table of all people with transformed similarities: `offset + scale * similarity`. Few people do not show
    /// rare rates, so their common rates determine the offset. All such groups share one scale: with a scale of its own
    /// for each group, the extrapolation to 1e-3 varied twice as much between halves. The tail is that of all people.
    Scaled {
        /// Similarity that is added.
        offset: f64,
        /// Factor of the similarity.
        scale: f64,
    },
}

impl Curve {
    /// The similarity at log10 of a rate, where `all` is the table of all people.
    #[must_use]
    pub fn similarity(&self, all: &Calibration, log10_far: f64) -> f64 {
        match self {
            Self::Own(table) => table.similarity(log10_far),
            Self::Scaled { offset, scale } => offset + scale * all.similarity(log10_far),
        }
    }
}

impl Envelope {
    /// Computes the envelope of `all`, a table of people drawn at random, and of groups of people. The groups may
    /// contain other people than those of `all`, with one picture each.
    ///
    /// # Errors
    /// [`CalibrationError::NoGroup`] if no group has enough people.
    pub fn new(
        all: &Calibration,
        groups: &[(String, Labelled)],
        threads: usize,
    ) -> Result<Self, CalibrationError> {
        let fits: Vec<_> = groups.iter().map(|(_, members)| GroupFit::new(members, all, threads)).collect();
        let scale = common_scale(fits.iter().zip(groups).filter_map(|(fit, (_, members))| match fit {
            GroupFit::Points { points, .. } => Some((members.people(), points.as_slice())),
            _ => None,
        }));
        let (mut curves, mut left_out) = (Vec::new(), Vec::new());
        for (fit, (name, members)) in fits.into_iter().zip(groups) {
            let people = members.people();
            match fit.curve(scale) {
                Some((impostors, curve)) => {
                    curves.push(GroupCurve { name: name.clone(), people, impostors, curve });
                }
                None => left_out.push((name.clone(), people)),
            }
        }
        if curves.is_empty() {
            return Err(CalibrationError::NoGroup { people: PEOPLE_OF_A_GROUP });
        }
        let mut knots: Vec<(f64, f64)> = vec![(-1.0, 0.0)];
        for &(similarity, log10_far) in all.knots() {
            let of_groups = curves.iter().map(|group| group.curve.similarity(all, log10_far));
            let highest = rounded(of_groups.fold(similarity, f64::max), 1e5);
            if highest > knots[knots.len() - 1].0 && highest < LAST_KNOT && log10_far < 0.0 {
                knots.push((highest, log10_far));
            }
        }
        knots.push((1.0, LOG10_FAR_TAIL));
        let table = Calibration { name: all.name().to_owned(), knots, intervals: Vec::new() };
        table.check()?;
        Ok(Self { table, groups: curves, left_out })
    }
}

/// The fit of one group on its own.
enum GroupFit {
    Few,
    /// Pairs of similarities at the same rates: among all people, and within the group.
    Points {
        points: Vec<(f64, f64)>,
        impostors: u64,
    },
    Own {
        table: Calibration,
        impostors: u64,
    },
}

impl GroupFit {
    fn new(members: &Labelled, all: &Calibration, threads: usize) -> Self {
        let people = members.people();
        if people < PEOPLE_OF_A_GROUP {
            return Self::Few;
        }
        if people >= PEOPLE_OF_A_TABLE
            && let Ok(Fit { table, impostors, .. }) = Fit::new(all.name(), members, threads)
        {
            return Self::Own { table, impostors };
        }
        let few = members.choose(&members.at_most(super::PICTURES_A_PERSON));
        let impostors = few.compare(threads).impostors().clone();
        let rates = (1..40).map(|step| -0.25 * f64::from(step));
        let supported = rates.take_while(|log10| 10f64.powf(*log10) * impostors.count() as f64 >= SUPPORT);
        let point = |log10: f64| (all.similarity(log10), impostors.threshold(10f64.powf(log10)));
        Self::Points { points: supported.map(point).collect(), impostors: impostors.count() }
    }

    /// The number of impostor pairs and the curve. `None` if there are too few people, or if the similarities do not
    /// vary.
    fn curve(self, scale: f64) -> Option<(u64, Curve)> {
        match self {
            Self::Few => None,
            Self::Own { table, impostors } => Some((impostors, Curve::Own(table))),
            Self::Points { points, impostors } => {
                let (x, y) = mean(&points);
                let curve = Curve::Scaled { offset: y - scale * x, scale };
                (scale > 0.0 && scale.is_finite()).then_some((impostors, curve))
            }
        }
    }
}

/// The least-squares slope that lines through the points of all groups share. Each group is weighted by its people.
fn common_scale<'p>(groups: impl Iterator<Item = (usize, &'p [(f64, f64)])>) -> f64 {
    let (mut covariance, mut variance) = (0.0, 0.0);
    for (people, points) in groups {
        let (x, y) = mean(points);
        let weight = people as f64 / points.len() as f64;
        covariance += weight * points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>();
        variance += weight * points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>();
    }
    covariance / variance
}

fn mean(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let sum = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    (sum.0 / count, sum.1 / count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::synthetic::{DIMENSIONS, people, pictures};
    use crate::split_mix::SplitMix64;

    /// People who look alike: a common direction of this length is added to directions of about the length 7.
    fn alike(count: u32, common: f64, seed: u64) -> Labelled {
        let mut random = SplitMix64::new(seed);
        let mut labelled = Labelled::new();
        for person in 0..count {
            let mut values: Vec<f32> = (0..DIMENSIONS).map(|_| random.normal() as f32).collect();
            values[0] += common as f32;
            labelled.push(person, &values).unwrap();
        }
        labelled
    }

    fn all() -> Calibration {
        Fit::new("all", &people(&pictures(1500, 2, 1)), 2).unwrap().table
    }

    /// The observed rate over the claimed rate of 1e-3, among many other people who look alike.
    fn ratio(table: &Calibration, common: f64) -> f64 {
        let others = alike(1500, common, 99).compare(2).impostors().clone();
        others.rate(table.similarity(-3.0)) / 1e-3
    }

    #[test]
    fn the_claim_holds_for_the_worst_group_with_a_few_people_of_one_picture() {
        let all = all();
        assert!(ratio(&all, 2.5) > 4.0, "{}", ratio(&all, 2.5));
        let groups = [("near".to_owned(), alike(120, 2.5, 7)), ("far".to_owned(), alike(120, 0.0, 8))];
        let envelope = Envelope::new(&all, &groups, 2).unwrap();
        assert!((0.3..2.0).contains(&ratio(&envelope.table, 2.5)), "{}", ratio(&envelope.table, 2.5));
        assert!(ratio(&envelope.table, 0.0) < 1.0);
        assert!(matches!(envelope.groups[0].curve, Curve::Scaled { .. }));
        assert_eq!((envelope.groups[1].people, envelope.groups[1].impostors), (120, 120 * 119 / 2));
    }

    #[test]
    fn many_people_have_a_curve_of_their_own() {
        let all = all();
        let envelope = Envelope::new(&all, &[("near".to_owned(), alike(700, 2.5, 7))], 2).unwrap();
        assert!(matches!(envelope.groups[0].curve, Curve::Own(_)));
        assert!((0.5..1.6).contains(&ratio(&envelope.table, 2.5)), "{}", ratio(&envelope.table, 2.5));
    }

    #[test]
    fn an_envelope_never_claims_less_than_all_people_and_keeps_its_ends() {
        let all = all();
        let groups = [("near".to_owned(), alike(60, 3.0, 7)), ("far".to_owned(), alike(60, 0.0, 8))];
        let table = Envelope::new(&all, &groups, 1).unwrap().table;
        for step in -100..=100 {
            let similarity = step as f32 / 100.0;
            // A knot is rounded to 1e-5.
            assert!(table.log10_far(similarity) >= all.log10_far(similarity) - 1e-3, "{similarity}");
        }
        assert_eq!((table.log10_far(-1.0), table.log10_far(1.0)), (0.0, -18.0));
        assert_eq!(Calibration::parse(&table.to_toml()).unwrap(), table);
    }

    #[test]
    fn groups_of_few_people_are_left_out_and_named() {
        let all = all();
        let small = ("small".to_owned(), alike(39, 2.5, 7));
        let error = Envelope::new(&all, std::slice::from_ref(&small), 1).unwrap_err();
        assert!(matches!(error, CalibrationError::NoGroup { people: 40 }), "{error}");
        let envelope = Envelope::new(&all, &[small, ("far".to_owned(), alike(40, 0.0, 8))], 1).unwrap();
        assert_eq!(envelope.left_out, [("small".to_owned(), 39)]);
        assert_eq!(envelope.groups.len(), 1);
    }
}
