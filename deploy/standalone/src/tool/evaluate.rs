//! `faceline-models evaluate`: accuracy on labelled pictures.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::available_parallelism;

use faceline_models::evaluation::code_folder;
use faceline_shared::config::Config;
use indicatif::{ProgressBar, ProgressStyle};

use super::coder::{self, CentralFace};

/// False match rates at which the false non-match rate is shown.
const FALSE_MATCH_RATES: [f64; 4] = [1e-2, 1e-3, 1e-4, 1e-5];
/// A few people with hundreds of pictures would decide the figure over all pairs.
const PAIRS_AN_IDENTITY: usize = 10;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Kind {
    /// Error rates of comparing two faces (ISO/IEC 19795-1)
    Verification {
        /// A folder for each person with that person's pictures
        #[arg(long, value_name = "DIR")]
        dataset: PathBuf,
    },
}

impl Kind {
    pub(super) fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        match self {
            Self::Verification { dataset } => verification(config, &dataset),
        }
    }
}

fn verification(config: &Config, dataset: &Path) -> anyhow::Result<ExitCode> {
    let mut coder = CentralFace::new(&coder::models(config)?, config)?;
    let bar = ProgressBar::no_length()
        .with_style(ProgressStyle::with_template("coding {pos} pictures, {per_sec}, {elapsed} {wide_msg}")?);
    let coded = code_folder(dataset, &mut coder, |_| bar.inc(1))?;
    bar.finish_with_message("comparing");
    let threads = available_parallelism().map_or(1, std::num::NonZero::get);
    let comparison = coded.labelled.compare(threads);

    let mut out = std::io::stdout();
    writeln!(
        out,
        "{} faces, {} pictures without a face, {} genuine pairs, {} impostor pairs",
        coded.labelled.identities().len(),
        coded.without_face.len(),
        comparison.genuine().len(),
        comparison.impostors().count()
    )?;
    for path in &coded.without_face {
        writeln!(out, "no face: {}", path.display())?;
    }
    writeln!(
        out,
        "   FMR      FNMR, all pairs   FNMR, at most {PAIRS_AN_IDENTITY} an identity   similarity"
    )?;
    for fmr in FALSE_MATCH_RATES {
        writeln!(
            out,
            "{fmr:8.0e}   {:13.2} %   {:25.2} %   {:10.3}",
            comparison.fnmr(fmr) * 100.0,
            comparison.fnmr_capped(fmr, PAIRS_AN_IDENTITY) * 100.0,
            comparison.impostors().threshold(fmr)
        )?;
    }
    Ok(ExitCode::SUCCESS)
}
