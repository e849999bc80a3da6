//! The program `faceline-fuzz`: writes the targets' seeds into folders, from which libFuzzer starts.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use faceline_fuzz::TARGETS;

/// Write the seeds of all fuzz targets
#[derive(Parser)]
struct Arguments {
    /// Folder that gets one subfolder for each target
    folder: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let Arguments { folder } = Arguments::parse();
    for target in TARGETS {
        let folder = folder.join(target.name);
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            let file = folder.join(format!("seed-{number}"));
            std::fs::write(&file, seed).with_context(|| file.display().to_string())?;
        }
    }
    Ok(())
}
