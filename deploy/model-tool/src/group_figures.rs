//! The figures of `evaluate verification` by group of people.

use std::io::Write;
use std::path::{Path, PathBuf};

use faceline_models::calibration::{Calibration, PICTURES_A_PERSON};
use faceline_models::evaluation::{Coded, GroupRates, Grouping, Groups, Observation, group_rates};
use serde_json::{Value, json};

use crate::coder;
use crate::figures::{PAIRS_A_PERSON, SCORES, claimed};

/// Name of the file with groups in a data set, if the command line names no other file.
const GROUPS: &str = "groups.csv";

/// File that assigns people to groups.
#[derive(Debug, clap::Args)]
pub(crate) struct GroupFile {
    /// File that assigns people to groups: the column `person` and one or more columns such as `group` [default:
    /// groups.csv in the data set, if it exists]
    #[arg(long, value_name = "FILE")]
    groups: Option<PathBuf>,
}

impl GroupFile {
    /// The groupings of the people. Empty if there is no file with groups.
    pub(crate) fn groupings(&self, dataset: &Path, people: &[String]) -> anyhow::Result<Vec<Grouping>> {
        let usual = dataset.join(GROUPS);
        let file = match &self.groups {
            Some(file) => file.clone(),
            None if usual.is_file() => usual,
            None => return Ok(Vec::new()),
        };
        Ok(Groups::read(&file)?.groupings(people))
    }
}

/// Error rates by group, at the thresholds of [`SCORES`].
pub(crate) struct GroupFigures {
    /// For each column, its name and the number of people with a face who are in no group.
    ungrouped: Vec<(String, usize)>,
    rates: Vec<GroupRates>,
}

impl GroupFigures {
    pub(crate) fn of(coded: &Coded, groupings: &[Grouping], table: &Calibration) -> Self {
        let thresholds = SCORES.map(|score| table.similarity(claimed(score).log10()));
        let limits = [PICTURES_A_PERSON, PAIRS_A_PERSON];
        let rates = |grouping| group_rates(&coded.labelled, grouping, &thresholds, limits, coder::threads());
        let ungrouped = groupings.iter().map(|grouping| {
            let none = coded.labelled.of_people(|person| grouping.of_person[person as usize].is_none());
            (grouping.column.clone(), none.people())
        });
        Self { ungrouped: ungrouped.collect(), rates: groupings.iter().flat_map(rates).collect() }
    }

    /// Prints a table, or nothing if there is no file with groups.
    pub(crate) fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        if self.rates.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "\nby group, at most {PICTURES_A_PERSON} pictures and {PAIRS_A_PERSON} genuine pairs a person \
             (95 % intervals over people)"
        )?;
        for (column, people) in self.ungrouped.iter().filter(|(_, people)| *people > 0) {
            writeln!(out, "{people} people are in no group of `{column}`")?;
        }
        writeln!(
            out,
            "{:<24}  score   times the claimed FAR             FNMR",
            "group (people, impostor pairs)"
        )?;
        for group in &self.rates {
            writeln!(out, "{} ({}, {})", group.name, group.people, group.impostor_pairs)?;
            for (place, score) in SCORES.into_iter().enumerate() {
                let times = cell(group.fmr[place], 1.0 / claimed(score), "");
                let fnmr = group.fnmr.get(place).map_or("no pairs".into(), |rate| cell(*rate, 100.0, " %"));
                writeln!(out, "{score:31}   {times:>21}   {fnmr:>22}")?;
            }
        }
        Ok(())
    }

    /// The figures as JSON. Rates are fractions.
    pub(crate) fn to_json(&self) -> Value {
        let seen = |seen: &Observation| json!({ "rate": seen.rate, "interval": seen.interval.map(|ends| [ends.low, ends.high]) });
        let group = |group: &GroupRates| {
            let scores = SCORES.iter().zip(&group.fmr).enumerate().map(|(place, (score, fmr))| {
                json!({
                    "score": score,
                    "claimed": claimed(*score),
                    "fmr": seen(fmr),
                    "fnmr": group.fnmr.get(place).map(seen),
                })
            });
            json!({
                "name": group.name,
                "people": group.people,
                "impostor_pairs": group.impostor_pairs,
                "genuine_pairs": group.genuine_pairs,
                "scores": scores.collect::<Vec<_>>(),
            })
        };
        self.rates.iter().map(group).collect()
    }

    /// The table's rows: group, people, score, FMR divided by the claimed rate, FNMR.
    pub(crate) fn rows(&self) -> Vec<[String; 5]> {
        let rows = |group: &GroupRates| {
            let row = |(place, score): (usize, u32)| {
                let times = cell(group.fmr[place], 1.0 / claimed(score), "");
                let fnmr = group.fnmr.get(place).map_or(String::new(), |rate| cell(*rate, 100.0, " %"));
                [group.name.clone(), group.people.to_string(), score.to_string(), times, fnmr]
            };
            SCORES.into_iter().enumerate().map(row).collect::<Vec<_>>()
        };
        self.rates.iter().flat_map(rows).collect()
    }
}

fn cell(seen: Observation, unit: f64, suffix: &str) -> String {
    match seen.interval {
        Some(ends) => {
            format!("{:.2}{suffix} ({:.2} to {:.2})", seen.rate * unit, ends.low * unit, ends.high * unit)
        }
        None => "none observed".into(),
    }
}
