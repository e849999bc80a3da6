//! `faceline-models evaluate faces`: the share of pictures that are refused because of a second face, by the size ratio
//! from which a second face counts.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::ensure;
use faceline_models::evaluation::FaceIndex;
use faceline_shared::settings::Settings;
use faceline_worker::pipeline::{FaceExtent, PipelineFault};

use crate::each::each;

/// Minimum ratio of a face's eye distance to the largest face's. Smaller faces are not searched.
const MIN_EYE_RATIO: f32 = 0.3;
/// Ratios of the curve, in hundredths.
const RATIOS: [u8; 12] = [30, 40, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95];
/// Minimum sharpness of a second face relative to the largest face's, one column for each value.
const SHARPNESS: [f32; 3] = [0.0, 0.9, 0.95];

#[derive(Debug, clap::Args)]
pub(crate) struct Faces {
    /// Folder with index.csv, whose columns `path` and `faces` give each picture and the number of people in it; rows
    /// without a number are skipped. Without index.csv, every picture below the folder counts as one of a single
    /// person
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
}

impl Faces {
    pub(crate) fn run(self, config: &Settings) -> anyhow::Result<ExitCode> {
        let index = FaceIndex::read(&self.dataset)?;
        let pictures: Vec<&Path> = index.pictures.iter().map(|(path, _)| path.as_path()).collect();
        let found = each(config, &pictures, "searching {pos} of {len} pictures", |pipeline, path| {
            match pipeline.face_extents(&std::fs::read(path)?, MIN_EYE_RATIO) {
                Ok(found) => Ok(Some(found)),
                Err(PipelineFault::Picture(_)) => Ok(None),
                Err(fault) => Err(fault.into()),
            }
        })?;
        let (mut one, mut several) = (Vec::new(), Vec::new());
        let mut unreadable = 0;
        for ((_, faces), found) in index.pictures.iter().zip(found) {
            match (faces, found) {
                (_, None) => unreadable += 1,
                (0, _) => {}
                (1, Some(found)) => one.push(found),
                (_, Some(found)) => several.push(found),
            }
        }
        ensure!(
            one.iter().chain(&several).any(|found| !found.is_empty()),
            "{}: no face was found",
            self.dataset.display()
        );
        if unreadable > 0 {
            writeln!(std::io::stdout(), "{unreadable} files are no pictures")?;
        }
        print(&mut std::io::stdout(), &one, &several)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The share of pictures with a second face that counts: its eye distance and its sharpness, relative to those of the
/// largest face, are at least `ratio` and `sharpness`.
fn refused(pictures: &[Vec<FaceExtent>], ratio: f32, sharpness: f32) -> f64 {
    let counts = |found: &&Vec<FaceExtent>| {
        let Some((largest, others)) = found.split_first() else { return false };
        others.iter().any(|other| {
            other.eye_distance >= ratio * largest.eye_distance
                && other.sharpness >= sharpness * largest.sharpness
        })
    };
    pictures.iter().filter(counts).count() as f64 / pictures.len() as f64
}

fn print(out: &mut impl Write, one: &[Vec<FaceExtent>], several: &[Vec<FaceExtent>]) -> std::io::Result<()> {
    writeln!(out, "{} pictures of one person, {} of several", one.len(), several.len())?;
    writeln!(
        out,
        "refused because of a second face whose eye distance is at least RATIO times the largest face's,"
    )?;
    writeln!(
        out,
        "and, in the further columns, whose sharpness is at least 0.9 and 0.95 times the largest face's"
    )?;
    writeln!(out, "ratio          of one person                of several")?;
    for hundredths in RATIOS {
        let ratio = f32::from(hundredths) / 100.0;
        let cells = |pictures: &[Vec<FaceExtent>]| {
            let cell = |sharpness: f32| match pictures.len() {
                0 => format!("{:>8}", "-"),
                _ => format!("{:6.2} %", refused(pictures, ratio, sharpness) * 100.0),
            };
            SHARPNESS.map(cell).join(" ")
        };
        writeln!(out, "{ratio:5.2}   {}   {}", cells(one), cells(several))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(eye_distance: f32, sharpness: f32) -> FaceExtent {
        FaceExtent { eye_distance, sharpness }
    }

    #[test]
    fn a_second_face_counts_by_its_size_and_sharpness() {
        let pictures = [
            vec![face(40.0, 0.4)],
            vec![face(40.0, 0.4), face(30.0, 0.2)],
            vec![face(40.0, 0.4), face(28.0, 0.4), face(20.0, 0.4)],
            Vec::new(),
        ];
        assert_eq!([0.4, 0.72, 0.8].map(|ratio| refused(&pictures, ratio, 0.0)), [0.5, 0.25, 0.0]);
        assert_eq!(refused(&pictures, 0.4, 0.9), 0.25);
    }

    #[test]
    fn the_curve_has_a_row_for_each_ratio() {
        let mut text = Vec::new();
        print(&mut text, &[vec![face(40.0, 0.4), face(30.0, 0.4)], vec![face(9.0, 0.3)]], &[]).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("2 pictures of one person, 0 of several\n"), "{text}");
        assert!(text.contains(" 0.70    50.00 %") && text.contains(" 0.80     0.00 %"), "{text}");
        assert_eq!(text.lines().count(), 4 + RATIOS.len());
    }
}
