//! `faceline-models calibrate`: makes a table from similarity to false acceptance rate.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use faceline_models::calibration::{Calibration, Doubtful, Fit, PICTURES_A_PERSON};
use faceline_models::evaluation::{Coded, Fold};
use faceline_shared::settings::Settings;

use crate::calibrate_liveness::CalibrateLiveness;
use crate::coder;

/// Rates whose similarities are shown, as log10.
const SHOWN_LOG10_RATES: [f64; 7] = [-2.0, -3.0, -4.0, -5.0, -6.0, -8.0, -10.0];

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Calibrate {
    #[command(subcommand)]
    other: Option<Other>,
    /// A folder for each person with that person's pictures
    #[arg(long, required = true, value_name = "DIR")]
    dataset: Option<PathBuf>,
    /// The table's name; a manifest's `calibration` refers to it
    #[arg(long, value_name = "NAME", default_value = "face-embedding-1")]
    name: String,
    /// The file to write [default: NAME.toml in this folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Use only one of N parts of the people, which leaves the others for an evaluation
    #[arg(long, value_name = "K/N")]
    fold: Option<Fold>,
}

/// What else can be calibrated.
#[derive(Debug, clap::Subcommand)]
enum Other {
    /// Set the thresholds of passive liveness from pictures of living people of your own camera
    Liveness(CalibrateLiveness),
}

impl Calibrate {
    pub(crate) fn run(self, config: &Settings) -> anyhow::Result<ExitCode> {
        if let Some(Other::Liveness(liveness)) = self.other {
            return liveness.run(config);
        }
        let dataset = self.dataset.context("--dataset is missing")?;
        let out = self.out.unwrap_or_else(|| PathBuf::from(format!("{}.toml", self.name)));
        let coded = coder::code(config, &dataset, self.fold)?;
        let fit = Fit::new(&self.name, &coded.labelled, coder::threads())
            .with_context(|| format!("cannot calibrate on {}", dataset.display()))?;
        let text = format!("{}\n{}", heading(&coded, &fit), fit.table.to_toml());
        fs::write(&out, text).with_context(|| format!("cannot write {}", out.display()))?;

        let mut stdout = std::io::stdout();
        writeln!(stdout, "{}", described(&coded, &fit))?;
        for pair in &fit.doubtful {
            writeln!(stdout, "set aside: {}", doubt(&coded, pair))?;
        }
        writeln!(stdout, "     FAR   score   similarity")?;
        for log10_far in SHOWN_LOG10_RATES {
            let (far, score) = (10f64.powf(log10_far), 1500.0 - 500.0 * log10_far);
            writeln!(stdout, "{far:8.0e}   {score:5.0}   {:10.3}", fit.table.similarity(log10_far))?;
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

/// The comment above a table, without names of people.
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
