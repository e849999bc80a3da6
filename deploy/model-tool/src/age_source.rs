//! A data set of `evaluate age`, and the ages that the models estimate for it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use faceline_models::evaluation::{AgeIndex, AgePair, Fold, fit_age_correction};
use faceline_models::manifest::AgeCorrection;
use faceline_shared::settings::Settings;
use faceline_worker::pipeline::{AgedFace, Pipeline};

use crate::each::each;
use crate::pad::padded;

/// A data set's folder, and the width of the border for its pictures.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AgeSource {
    pub(crate) folder: PathBuf,
    /// Width of the border around each picture, in pixels. With `None`, the width for all data sets applies.
    pad: Option<u32>,
}

/// The faces of known age in a data set.
#[derive(Debug, Default)]
pub(crate) struct AgedFaces {
    pub(crate) faces: Vec<Aged>,
    /// Pictures in which no face was found.
    pub(crate) without_face: Vec<PathBuf>,
}

/// A face of known age.
#[derive(Clone, Debug)]
pub(crate) struct Aged {
    path: PathBuf,
    pub(crate) person: String,
    pub(crate) pair: AgePair,
    pub(crate) quality: i32,
    /// The estimate of each network in years, before the correction.
    networks: Vec<f32>,
}

impl FromStr for AgeSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((folder, pixels)) = text.rsplit_once(":pad=") else {
            return Ok(Self { folder: text.into(), pad: None });
        };
        let pad = pixels.parse().map_err(|_| format!("`{pixels}` is not a width in pixels"))?;
        Ok(Self { folder: folder.into(), pad: Some(pad) })
    }
}

impl AgeSource {
    /// Estimates the ages of all faces on all cores. `pad` is the border in pixels for data sets without one of their
    /// own.
    pub(crate) fn estimate(
        &self,
        config: &Settings,
        fold: Option<Fold>,
        pad: u32,
    ) -> anyhow::Result<AgedFaces> {
        let index = AgeIndex::read(&self.folder, fold)?;
        let pad = self.pad.unwrap_or(pad);
        let pictures: Vec<&Path> = index.pictures.iter().map(|(path, _)| path.as_path()).collect();
        let faces = each(config, &pictures, "estimating {pos} of {len} ages", |pipeline, path| {
            estimate(pipeline, path, pad)
        })?;
        let mut found = AgedFaces::default();
        for (((path, age), person), face) in index.pictures.into_iter().zip(index.people).zip(faces) {
            match face {
                Some(AgedFace { quality, age: Some(estimate), estimates: networks }) => {
                    let pair = AgePair { age, estimate };
                    found.faces.push(Aged { path, person, pair, quality, networks });
                }
                _ => found.without_face.push(path),
            }
        }
        Ok(found)
    }
}

impl AgedFaces {
    /// Writes one line per face: its picture, person, age, corrected estimate, and the estimate of each network.
    pub(crate) fn write(&self, file: &Path) -> std::io::Result<()> {
        let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
        writeln!(out, "path,person,age,estimate,networks")?;
        for Aged { path, person, pair: AgePair { age, estimate }, networks, .. } in &self.faces {
            let each: Vec<String> = networks.iter().map(|years| format!("{years:.3}")).collect();
            writeln!(out, "\"{}\",\"{person}\",{age},{estimate:.3},{}", path.display(), each.join(" "))?;
        }
        out.flush()
    }

    /// Each age with the uncorrected mean of the networks.
    fn uncorrected(&self) -> Vec<AgePair> {
        let mean = |years: &[f32]| years.iter().sum::<f32>() / years.len().max(1) as f32;
        self.faces.iter().map(|face| AgePair { estimate: mean(&face.networks), ..face.pair }).collect()
    }
}

/// Corrects the ages of each data set by a curve that is fitted to all others. Returns the curve that is fitted to all.
pub(crate) fn leave_one_out(found: &mut [AgedFaces]) -> AgeCorrection {
    let uncorrected: Vec<Vec<AgePair>> = found.iter().map(AgedFaces::uncorrected).collect();
    let all: Vec<&[AgePair]> = uncorrected.iter().map(Vec::as_slice).collect();
    for (left_out, faces) in found.iter_mut().enumerate() {
        let mut others = all.clone();
        let own = others.remove(left_out);
        let correction = fit_age_correction(&others);
        for (face, pair) in faces.faces.iter_mut().zip(own) {
            face.pair.estimate = correction.apply(pair.estimate);
        }
    }
    fit_age_correction(&all)
}

fn estimate(pipeline: &mut Pipeline, path: &Path, pad: u32) -> anyhow::Result<Option<AgedFace>> {
    let mut bytes = std::fs::read(path)?;
    if pad > 0 {
        bytes = padded(&bytes, pad)?;
    }
    Ok(pipeline.estimate_central_age(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_set_may_name_its_border() {
        let source = |folder: &str, pad| Ok(AgeSource { folder: folder.into(), pad });
        assert_eq!("data/a:b".parse(), source("data/a:b", None));
        assert_eq!("data/a:pad=100".parse(), source("data/a", Some(100)));
        assert!("data/a:pad=wide".parse::<AgeSource>().unwrap_err().contains("`wide`"));
    }

    #[test]
    fn each_data_set_is_corrected_by_the_others_only() {
        let faces = |offset: f32| {
            let face = |mean: u16| Aged {
                path: PathBuf::new(),
                person: String::new(),
                pair: AgePair { age: f32::from(mean) + offset, estimate: 0.0 },
                quality: 100,
                // Their mean is `mean`. One network alone would be four years off.
                networks: vec![f32::from(mean) - 4.0, f32::from(mean) + 4.0],
            };
            AgedFaces { faces: (10..70).map(face).collect(), without_face: Vec::new() }
        };
        let mut found = [faces(0.0), faces(6.0)];
        let all = leave_one_out(&mut found);
        let estimate = |set: usize| found[set].faces[30].pair.estimate;
        assert!((estimate(0) - 46.0).abs() < 0.3, "by the second's curve: {}", estimate(0));
        assert!((estimate(1) - 40.0).abs() < 0.3, "by the first's curve: {}", estimate(1));
        assert!((39.9..46.1).contains(&all.apply(40.0)), "{all:?}");
    }
}
