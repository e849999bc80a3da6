//! Error rates by group of people: within each group, and across groups.

use super::bootstrap::{BootstrapSamples, Interval};
use super::comparison::GenuinePairs;
use super::false_match_counts::FalseMatchCounts;
use super::groups::Grouping;
use super::labelled::Labelled;

/// The error rates of a group at some thresholds.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupRates {
    /// Names of the column and of the group; `across groups` in place of the group for pairs of people of different
    /// groups.
    pub name: String,
    /// The number of its people with a face.
    pub people: usize,
    /// Impostor pairs within the group (or across groups).
    pub impostor_pairs: u64,
    /// Number of genuine pairs, at most as many per person as the caller of [`group_rates`] set.
    pub genuine_pairs: usize,
    /// The false match rate at each threshold.
    pub fmr: Vec<Observation>,
    /// The false non-match rate at each threshold; empty without genuine pairs.
    pub fnmr: Vec<Observation>,
}

/// A rate, and its 95 % confidence interval over people.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// Errors divided by comparisons.
    pub rate: f64,
    /// `None` where no error was observed.
    pub interval: Option<Interval>,
}

/// The rates within each group of a grouping, then the rates across groups. Impostor pairs use at most `pictures`
/// pictures per person, and at most `pairs` genuine pairs per person count. `thresholds` must rise.
#[must_use]
pub fn group_rates(
    labelled: &Labelled,
    grouping: &Grouping,
    thresholds: &[f64],
    [pictures, pairs]: [usize; 2],
    threads: usize,
) -> Vec<GroupRates> {
    let few = labelled.choose(&labelled.at_most(pictures));
    let mut rates = Vec::new();
    for (place, name) in grouping.names.iter().enumerate() {
        let member = |person: u32| grouping.of_person[person as usize] == Some(place);
        let counts = few.of_people(member).false_match_counts(thresholds, threads);
        let members = labelled.of_people(member);
        let people = members.people();
        if people == 0 {
            continue;
        }
        let genuine = members.compare(threads).genuine_pairs_capped(people, pairs);
        let samples = BootstrapSamples::new(people);
        rates.push(GroupRates {
            name: format!("{} {name}", grouping.column),
            people,
            impostor_pairs: counts.pairs(),
            genuine_pairs: genuine.count(),
            fmr: false_matches(&counts, &samples),
            fnmr: false_non_matches(&genuine, thresholds, &samples),
        });
    }
    let grouped = few.of_people(|person| grouping.of_person[person as usize].is_some());
    let across = few.false_match_counts_where(thresholds, threads, |people| grouping.across(people));
    if across.pairs() == 0 {
        return rates;
    }
    rates.push(GroupRates {
        name: format!("{} across groups", grouping.column),
        people: grouped.people(),
        impostor_pairs: across.pairs(),
        genuine_pairs: 0,
        fmr: false_matches(&across, &BootstrapSamples::new(few.people())),
        fnmr: Vec::new(),
    });
    rates
}

fn false_matches(counts: &FalseMatchCounts, samples: &BootstrapSamples) -> Vec<Observation> {
    let rates = counts.log10_rates().into_iter().zip(counts.intervals(samples));
    rates
        .map(|(log10, ends)| Observation {
            rate: if log10.is_nan() { 0.0 } else { 10f64.powf(log10) },
            interval: ends.map(|ends| ends.map(|log10| 10f64.powf(log10))),
        })
        .collect()
}

fn false_non_matches(
    genuine: &GenuinePairs,
    thresholds: &[f64],
    samples: &BootstrapSamples,
) -> Vec<Observation> {
    if genuine.count() == 0 {
        return Vec::new();
    }
    let at = |threshold: &f64| Observation {
        rate: genuine.rate_below(*threshold),
        interval: genuine.interval_below(*threshold, samples),
    };
    thresholds.iter().map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty people in two groups. Those of `near` look alike: a pair's similarity is 0.6, in `far` 0.
    fn people() -> (Labelled, Grouping) {
        let mut labelled = Labelled::new();
        for person in 0..20_usize {
            for picture in 0..2 {
                let mut values = vec![0.0; 24];
                values[person] = 1.0;
                values[20] = if person < 10 { 1.5f32.sqrt() } else { 0.0 };
                // The second pictures of three people of `far` are of somebody else.
                values[21] = if picture == 1 && (10..13).contains(&person) { 10.0 } else { 0.0 };
                labelled.push(person as u32, &values).unwrap();
            }
        }
        let grouping = Grouping {
            column: "group".into(),
            names: vec!["far".into(), "near".into()],
            of_person: (0..20).map(|person| Some(usize::from(person < 10))).collect(),
        };
        (labelled, grouping)
    }

    #[test]
    fn rates_are_of_pairs_within_a_group_and_across_groups() {
        let (labelled, grouping) = people();
        let rates = group_rates(&labelled, &grouping, &[0.3, 0.7], [1, 10], 2);
        let [far, near, across] = &rates[..] else { panic!("{rates:?}") };
        assert_eq!((far.name.as_str(), near.name.as_str()), ("group far", "group near"));
        assert_eq!(across.name, "group across groups");
        // One picture a person: 45 pairs within each group, and 100 across.
        assert_eq!([far, near, across].map(|rates| rates.impostor_pairs), [45, 45, 100]);
        assert_eq!([far, near, across].map(|rates| rates.fmr[0].rate), [0.0, 1.0, 0.0]);
        assert_eq!((near.fmr[1].rate, near.fmr[1].interval), (0.0, None));
        assert_eq!((far.people, far.genuine_pairs, far.fnmr[0].rate), (10, 10, 0.3));
        let ends = far.fnmr[0].interval.unwrap();
        assert!(ends.low < 0.15 && ends.high > 0.45 && near.fnmr[0].rate == 0.0, "{ends:?}");
        assert!(across.fnmr.is_empty());
    }

    #[test]
    fn people_of_one_picture_have_false_matches_and_no_false_non_matches() {
        let (labelled, grouping) = people();
        let single = labelled.choose(&labelled.at_most(1));
        let rates = group_rates(&single, &grouping, &[0.3], [5, 10], 1);
        assert_eq!((rates[1].fmr[0].rate, rates[1].genuine_pairs), (1.0, 0));
        assert!(rates[1].fnmr.is_empty());
    }
}
