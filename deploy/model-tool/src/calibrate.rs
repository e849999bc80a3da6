//! `faceline-models calibrate`: makes a table that maps similarity to false acceptance rate.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use faceline_models::calibration::{
    Calibration, Curve, Doubtful, Envelope, Fit, GroupCurve, PEOPLE_OF_A_GROUP, PICTURES_A_PERSON,
};
use faceline_models::evaluation::{Coded, Fold, Grouping};
use faceline_shared::settings::Settings;

use crate::calibrate_liveness::CalibrateLiveness;
use crate::coder;
use crate::group_figures::GroupFile;

/// log10 of the rates whose similarities the command prints.
const SHOWN_LOG10_RATES: [f64; 7] = [-2.0, -3.0, -4.0, -5.0, -6.0, -8.0, -10.0];

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Calibrate {
    #[command(subcommand)]
    other: Option<Other>,
    /// Folder with one subfolder of pictures for each person
    #[arg(long, required = true, value_name = "DIR")]
    dataset: Option<PathBuf>,
    /// Name of the table, to which `calibration` in a manifest refers
    #[arg(long, value_name = "NAME", default_value = "face-embedding-1")]
    name: String,
    /// File to write [default: NAME.toml in the current folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Use only part K of N of the people, which leaves the others for an evaluation
    #[arg(long, value_name = "K/N")]
    fold: Option<Fold>,
    /// Make the table hold within each group of people: it states the highest rate of any group
    #[arg(long, value_name = "HOW")]
    by_group: Option<ByGroup>,
    #[command(flatten)]
    group_file: GroupFile,
    /// Folder of people for the groups instead of those of --dataset: one subfolder for each person, with at least
    /// one picture
    #[arg(long, value_name = "DIR", requires = "by_group")]
    group_dataset: Option<PathBuf>,
    /// Width of a black border around each picture of --group-dataset, in pixels, for pictures that are cropped close
    /// to the face
    #[arg(long, value_name = "PIXELS", default_value_t = 0, requires = "group_dataset")]
    group_pad: u32,
}

/// Method by which groups of people determine a table.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum ByGroup {
    /// Upper envelope of all groups' false acceptance rates
    Worst,
}

/// Further calibrations.
#[derive(Debug, clap::Subcommand)]
enum Other {
    /// Set the thresholds of passive liveness from pictures of living people, taken with your own camera
    Liveness(CalibrateLiveness),
}

impl Calibrate {
    pub(crate) fn run(self, config: &Settings) -> anyhow::Result<ExitCode> {
        if let Some(Other::Liveness(liveness)) = self.other {
            return liveness.run(config);
        }
        let arguments = &self;
        let dataset = arguments.dataset.as_deref().context("--dataset is missing")?;
        let out = arguments.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.toml", arguments.name)));
        let coded = coder::code(config, dataset, arguments.fold, 0)?;
        let fit = Fit::new(&arguments.name, &coded.labelled, coder::threads())
            .with_context(|| format!("cannot calibrate on {}", dataset.display()))?;
        let envelope = match arguments.by_group {
            Some(ByGroup::Worst) => Some(envelope(config, arguments, dataset, &coded, &fit)?),
            None => None,
        };
        let table = envelope.as_ref().map_or(&fit.table, |envelope| &envelope.table);
        let lines = envelope.as_ref().map_or(String::new(), |envelope| by_group(envelope, &fit));
        let text = format!("{}\n{lines}{}", heading(&coded, &fit), table.to_toml());
        fs::write(&out, text).with_context(|| format!("cannot write {}", out.display()))?;

        let mut stdout = std::io::stdout();
        writeln!(stdout, "{}", described(&coded, &fit))?;
        for pair in &fit.doubtful {
            writeln!(stdout, "set aside: {}", doubt(&coded, pair))?;
        }
        write!(stdout, "{}", lines.replace("# ", ""))?;
        writeln!(stdout, "     FAR   score   similarity")?;
        for log10_far in SHOWN_LOG10_RATES {
            let (far, score) = (10f64.powf(log10_far), 1500.0 - 500.0 * log10_far);
            writeln!(stdout, "{far:8.0e}   {score:5.0}   {:10.3}", table.similarity(log10_far))?;
        }
        let tail = fit.tail;
        writeln!(
            stdout,
            "tail from similarity {:.3} on: scale {:.4}, shape {:.2}; at most {:.2} decades off what was observed",
            tail.from,
            tail.scale,
            tail.shape,
            deviation(&fit)
        )?;
        writeln!(stdout, "written to {}", out.display())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The envelope over the groups of the people in `--group-dataset`, or in the data set.
fn envelope(
    config: &Settings,
    arguments: &Calibrate,
    dataset: &Path,
    coded: &Coded,
    fit: &Fit,
) -> anyhow::Result<Envelope> {
    let (dataset, others) = match &arguments.group_dataset {
        Some(dataset) => {
            (dataset.as_path(), Some(coder::code(config, dataset, arguments.fold, arguments.group_pad)?))
        }
        None => (dataset, None),
    };
    let coded = others.as_ref().unwrap_or(coded);
    let groupings = arguments.group_file.groupings(dataset, &coded.people)?;
    ensure!(!groupings.is_empty(), "there are no groups: --groups FILE or groups.csv must name them");
    let group = |grouping: &Grouping, place: usize| {
        let member = |person: u32| grouping.of_person[person as usize] == Some(place);
        (format!("{} {}", grouping.column, grouping.names[place]), coded.labelled.of_people(member))
    };
    let groups: Vec<_> = groupings
        .iter()
        .flat_map(|grouping| (0..grouping.names.len()).map(move |place| group(grouping, place)))
        .collect();
    Envelope::new(&fit.table, &groups, coder::threads())
        .with_context(|| format!("cannot calibrate by the groups of {}", dataset.display()))
}

/// Comment lines about the groups of an envelope.
fn by_group(envelope: &Envelope, fit: &Fit) -> String {
    let mut lines = "# Upper envelope of all these people and of the following groups (--by-group worst). No knot has an interval.\n".to_owned();
    for GroupCurve { name, people, impostors, curve } in &envelope.groups {
        let how = match curve {
            Curve::Own(_) => "a table of its own".to_owned(),
            Curve::Scaled { offset, scale } => format!("similarities {offset:+.3}, times {scale:.3}"),
        };
        let similarity = curve.similarity(&fit.table, -3.0);
        lines += &format!(
            "# {name}: {people} people, {impostors} impostor pairs, {how}; FAR 1e-3 at similarity {similarity:.3}\n"
        );
    }
    for (name, people) in &envelope.left_out {
        lines += &format!("# left out, since it takes {PEOPLE_OF_A_GROUP} people: {name}, {people}\n");
    }
    lines
}

/// The comment above a table. It contains no names of people.
fn heading(coded: &Coded, fit: &Fit) -> String {
    format!(
        "# log10 of the false acceptance rate over cosine similarity, made by `faceline-models calibrate` from\n\
         # {}.\n\
         # Observed knots have a 95 % interval (bootstrap over people). The knots beyond these follow a generalised Pareto tail\n\
         # (from {:.3}, scale {:.4}, shape {:.2}), and the last knot is fixed.",
        described(coded, fit),
        fit.tail.from,
        fit.tail.scale,
        fit.tail.shape
    )
}

fn described(coded: &Coded, fit: &Fit) -> String {
    format!(
        "{} impostor pairs of {} pictures of {} people, at most {PICTURES_A_PERSON} each; {} pairs of people set aside",
        fit.impostors,
        fit.pictures,
        coded.people_with_a_face(),
        fit.doubtful.len()
    )
}

/// A sentence about a doubtful pair of people, with the pictures to check.
fn doubt(coded: &Coded, pair: &Doubtful) -> String {
    let [one, other] = pair.closest.pictures.map(|picture| coded.pictures[picture as usize].display());
    format!(
        "{} and {}, too similar for two people ({:.3}: {one}, {other}); {} pairs",
        coded.people[pair.people[0] as usize],
        coded.people[pair.people[1] as usize],
        pair.closest.similarity,
        pair.pairs
    )
}

/// Largest distance of the tail from an observed knot, in decades.
fn deviation(fit: &Fit) -> f64 {
    let observed = |knot: &(f64, f64, f64)| Calibration::log10_far(&fit.table, knot.0 as f32);
    let beyond = fit.table.intervals().iter().filter(|knot| knot.0 >= fit.tail.from);
    beyond.map(|knot| (fit.tail.log10_rate_at(knot.0) - observed(knot)).abs()).fold(0.0, f64::max)
}
