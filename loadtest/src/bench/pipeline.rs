//! The bare pipeline: its cost beside decoder and models, and the savings of the converted graphs.

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use faceline_shared::settings::Settings;
use tempfile::TempDir;
use tokio::process::Command;

use super::targets::{Figure, TargetCheck};
use super::{Sample, median};
use crate::bare;
use crate::site::program;

/// The manifest that ships.
const MANIFEST: &str = include_str!("../../../models/manifest.toml");
/// The conversion that is left out for comparison.
const REWRITE: &str = ", \"prelu_to_conv\"";
/// The model of the pipeline that has PRelu, and its checksum with the conversion and without.
const MODEL: &str = "face-embedding";
const CONVERTED: &str = "bad2d543c7e9bb7341a8f74c3915e0903946902dedb6c60bc95bd37e46df57f8";
const PLAIN: &str = "380ce0503327a6797b4a3f2ba38147b3a619a348c5541a95053a8a951217880d";

pub(super) async fn run(
    small: &Sample,
    large: &Sample,
    rounds: usize,
    targets: &mut TargetCheck,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    for sample in [small, large] {
        let (mut ratios, mut passes) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let bare = bare::run(&sample.file, sample.jobs / 2, None).await?;
            passes.push(bare.cpu_ms / bare.passes_ms);
            let stages: f64 =
                ["decode", "detect", "landmarks", "embed"].map(|stage| bare.stage_ms(stage)).iter().sum();
            ratios.push(stages / (bare.turbo_ms + bare.models_ms));
            writeln!(
                out,
                "  {}: decoding and inference {stages:.2} ms ({}), libjpeg-turbo alone {:.2}, models alone {:.2}",
                sample.name,
                bare.stages(),
                bare.turbo_ms,
                bare.models_ms
            )?;
            writeln!(
                out,
                "  {}: {:.2} ms CPU a picture, {:.2} for one pass of each network",
                sample.name, bare.cpu_ms, bare.passes_ms
            )?;
        }
        let passes = median(&mut passes);
        let verdict = targets.judge(Figure::PipelineOverPasses, sample.name, "bare pipeline", passes);
        writeln!(
            out,
            "  {}: {passes:.2} of one pass of each network (median of {rounds}){verdict}",
            sample.name
        )?;
        let ratio = median(&mut ratios);
        writeln!(
            out,
            "  {}: {ratio:.2} of libjpeg-turbo and models alone (median of {rounds})",
            sample.name
        )?;
    }

    let folder = TempDir::new()?;
    install_plain(&Settings::default().models.dir, folder.path()).await?;
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let converted = bare::run(&small.file, small.jobs / 2, None).await?;
        let plain = bare::run(&small.file, small.jobs / 5, Some(folder.path())).await?;
        ratios.push(converted.cpu_ms / plain.cpu_ms);
        writeln!(
            out,
            "  {}: {:.2} ms CPU a picture, {:.2} with PRelu as shipped",
            small.name, converted.cpu_ms, plain.cpu_ms
        )?;
    }
    writeln!(out, "  PRelu rewritten over as shipped: {:.2} (median of {rounds})", median(&mut ratios))?;
    Ok(())
}

/// Makes an installation in `folder` like the one in `models`, but with PRelu not converted.
async fn install_plain(models: &Path, folder: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(models)? {
        let entry = entry?;
        let there = folder.join(entry.file_name());
        if entry.file_name() == "installed.toml" {
            std::fs::copy(entry.path(), there)?;
        } else if entry.file_name() != MODEL {
            symlink(entry.path(), there)?;
        }
    }
    let manifest = folder.join("manifest.toml");
    std::fs::write(&manifest, without_rewrite(MANIFEST))?;
    let fetched = Command::new(program("faceline-models")?)
        .args(["fetch", "--manifest"])
        .arg(&manifest)
        .env("FACELINE_MODELS__DIR", folder)
        .output()
        .await?;
    let log = String::from_utf8_lossy(&fetched.stderr);
    anyhow::ensure!(fetched.status.success(), "the plain model is not installed: {log}");
    Ok(())
}

fn without_rewrite(manifest: &str) -> String {
    manifest.replace(REWRITE, "").replace(CONVERTED, PLAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_that_ships_has_what_is_left_out() {
        assert!(MANIFEST.contains(REWRITE) && MANIFEST.contains(CONVERTED));
        let plain = without_rewrite(MANIFEST);
        assert!(!plain.contains("prelu") && plain.contains(PLAIN));
    }
}
