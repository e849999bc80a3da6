//! `faceline-models simulate attacks`: prints and screens with given pictures, recorded by simulated cameras.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use faceline_models::SplitMix64;
use faceline_models::evaluation::presentations;
use faceline_models::simulation::{FaceArea, RESOLUTIONS, Species, simulate};
use faceline_shared::settings::Settings;
use faceline_worker::pipeline::PipelineFault;

use crate::each::each;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Simulate {
    /// Make attack pictures from pictures of living people, with the index.csv that `evaluate liveness` reads
    Attacks(Attacks),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Attacks {
    /// Folder of full-frame pictures of living people. Pictures that its index.csv labels as attacks are skipped
    #[arg(long, value_name = "DIR")]
    bona_fide: PathBuf,
    /// New or empty folder for the pictures
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Seed of the simulation; the same seed makes the same files
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Attack species to make; `live` is the original recorded by the same camera, without a print or a screen
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Print, Kind::Screen])]
    species: Vec<Kind>,
    /// Resolutions of the simulated cameras, in pixels; each camera records every picture [default: 320x240 to
    /// 4000x3000, in five steps]
    #[arg(long, value_name = "WIDTHxHEIGHT", value_delimiter = ',', value_parser = resolution)]
    resolutions: Vec<(u32, u32)>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    Print,
    Screen,
    Live,
}

impl From<Kind> for Species {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Print => Self::Print,
            Kind::Screen => Self::Screen,
            Kind::Live => Self::Live,
        }
    }
}

fn resolution(text: &str) -> Result<(u32, u32), String> {
    let side = |text: &str| text.parse().ok().filter(|side| (16..=16_384).contains(side));
    text.split_once('x')
        .and_then(|(width, height)| Some((side(width)?, side(height)?)))
        .ok_or_else(|| "not two numbers from 16 to 16384 with an x between them".to_owned())
}

impl Simulate {
    pub(crate) fn run(self, config: &Settings) -> anyhow::Result<ExitCode> {
        let Self::Attacks(attacks) = self;
        let originals = attacks.originals()?;
        let paths: Vec<&Path> = originals.iter().map(PathBuf::as_path).collect();
        let faces =
            each(config, &paths, "searching {pos} of {len} pictures", |pipeline, path| {
                match pipeline.code_central(&std::fs::read(path)?) {
                    Ok(coded) => Ok(coded.face.map(|face| {
                        let found = face.bounding_box;
                        FaceArea::of_box(found.x, found.y, found.width, found.height)
                    })),
                    Err(PipelineFault::Picture(_)) => Ok(None),
                    Err(fault) => Err(fault.into()),
                }
            })?;
        let written = attacks.write(&originals, &faces)?;
        writeln!(std::io::stdout(), "{written} pictures in {}", attacks.output.display())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Attacks {
    /// The pictures of living people.
    fn originals(&self) -> anyhow::Result<Vec<PathBuf>> {
        let shown = presentations(&self.bona_fide)?.into_iter();
        let living = shown.filter(|shown| shown.attack.is_none() && is_picture(&shown.path));
        Ok(living.map(|shown| shown.path).collect())
    }

    /// Writes all pictures and the list, and returns the number of pictures. An original without a face is used as a
    /// whole.
    fn write(&self, originals: &[PathBuf], faces: &[Option<FaceArea>]) -> anyhow::Result<usize> {
        std::fs::create_dir_all(&self.output)?;
        ensure!(std::fs::read_dir(&self.output)?.next().is_none(), "{} is not empty", self.output.display());
        let resolutions = if self.resolutions.is_empty() { &RESOLUTIONS[..] } else { &self.resolutions };
        let mut seeds = SplitMix64::new(self.seed);
        let (mut rows, mut written) = ("path,label,subject,source\n".to_owned(), 0);
        for (number, (path, face)) in originals.iter().zip(faces).enumerate() {
            let original = image::ImageReader::open(path)?
                .with_guessed_format()?
                .decode()
                .with_context(|| path.display().to_string())?
                .into_rgb8();
            let subject = subject(&self.bona_fide, path);
            for &(width, height) in resolutions {
                // One seed for all species: they share the camera.
                let seed = seeds.bits();
                for &kind in &self.species {
                    let species = Species::from(kind);
                    let name = format!("{number:05}-{}-{width}x{height}.jpg", species.label());
                    std::fs::write(
                        self.output.join(&name),
                        simulate(&original, *face, species, (width, height), seed)?,
                    )?;
                    rows += &format!("{name},{},{subject},camera-{width}x{height}\n", species.label());
                    written += 1;
                }
            }
        }
        std::fs::write(self.output.join("index.csv"), rows)?;
        Ok(written)
    }
}

/// Whether the name is that of a picture. A folder without a list may also hold other files.
fn is_picture(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    ending.is_some_and(|ending| ["jpg", "jpeg", "png", "bmp", "webp"].contains(&ending.as_str()))
}

/// The original's path below its folder. All pictures made from one original have the same subject.
fn subject(root: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(root).unwrap_or(path).display().to_string();
    inside.replace([',', '"', '\n', '\r'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_each_picture_with_its_species_and_camera() {
        let folder = tempfile::tempdir().unwrap();
        let bona_fide = folder.path().join("in");
        std::fs::create_dir(&bona_fide).unwrap();
        image::RgbImage::from_pixel(90, 60, image::Rgb([90, 120, 200]))
            .save(bona_fide.join("a.png"))
            .unwrap();
        std::fs::write(bona_fide.join("notes.txt"), "no picture").unwrap();
        let attacks = |output: &str| Attacks {
            bona_fide: bona_fide.clone(),
            output: folder.path().join(output),
            seed: 4,
            species: vec![Kind::Print, Kind::Screen, Kind::Live],
            resolutions: vec![(64, 48), (96, 64)],
        };
        let write = |output: &str| {
            let attacks = attacks(output);
            let originals = attacks.originals()?;
            assert_eq!(originals.len(), 1, "a text is no picture");
            attacks.write(&originals, &[Some(FaceArea::of_box(30.0, 20.0, 30.0, 30.0))])
        };
        assert_eq!(write("one").unwrap(), 6);
        assert!(write("one").is_err(), "a folder with files is left alone");
        let shown = presentations(&folder.path().join("one")).unwrap();
        let labels: Vec<_> = shown.iter().map(|shown| shown.attack.as_deref()).collect();
        let three = [Some("simulated-print"), Some("simulated-screen"), None];
        assert_eq!(labels, [three, three].concat());
        write("two").unwrap();
        for shown in &shown {
            let again = folder.path().join("two").join(shown.path.file_name().unwrap());
            assert_eq!(std::fs::read(&shown.path).unwrap(), std::fs::read(again).unwrap());
        }
        assert!(resolution("320x240").is_ok() && resolution("320").is_err() && resolution("1x1").is_err());
    }
}
