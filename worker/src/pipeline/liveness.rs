//! Whether a single picture shows a living person, or a print or a screen that shows one.

use std::sync::Arc;
use std::time::Duration;

use faceline_models::InstalledModel;
use faceline_models::manifest::{Crop, Output};

use super::candidate::Candidate;
use super::chip_model::ChipModel;
use super::lazy::Timed;
use super::rect::Rect;
use crate::inference::{Device, InferenceError, Runtime};
use crate::picture::{Chip, Kernel, Picture, Sampler};

/// What lies outside of the picture is black; a crop that is kept inside has nothing of it.
const GROUND: u8 = 0;

/// Log-odds beyond which nothing is told apart any more.
const MOST_ODDS: f32 = 30.0;

/// Looks at a face, one of them in a mirror.
const LOOKS: usize = 2;

/// The model of passive liveness (presentation attack detection, ISO/IEC 30107).
pub(super) struct PassiveLiveness {
    model: ChipModel,
    output: String,
    reading: Reading,
    factor: f32,
    square: bool,
    keep_inside: bool,
}

/// How the model's output is read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    index: usize,
    softmax: bool,
    scale: f32,
    offset: f32,
}

impl Timed for PassiveLiveness {
    fn busy(&self) -> Duration {
        self.model.busy()
    }
}

impl PassiveLiveness {
    pub(super) fn open(
        runtime: &Arc<Runtime>,
        device: Device,
        model: &InstalledModel<'_>,
    ) -> Result<Self, InferenceError> {
        let (
            &Output::Class { ref name, index, softmax, scale, offset },
            &Crop::Box { factor, square, keep_inside },
        ) = (&model.spec.output, &model.spec.input.crop)
        else {
            let reason = "a liveness model takes a face by its box and gives classes".to_owned();
            return Err(InferenceError::Model { model: model.spec.name.clone(), reason });
        };
        Ok(Self {
            model: ChipModel::open(runtime, device, model)?,
            output: name.clone(),
            reading: Reading { index, softmax, scale, offset },
            factor,
            square,
            keep_inside,
        })
    }

    /// How alive each face seems, above 0 to 1, in one run of the model.
    pub(super) fn score(
        &mut self,
        sampler: &mut Sampler,
        faces: &[(&Picture, &Candidate)],
    ) -> Result<Vec<f32>, InferenceError> {
        if faces.is_empty() {
            return Ok(Vec::new());
        }
        let mut chip = self.model.chip();
        for (picture, candidate) in faces {
            self.cut(sampler, picture, candidate, &mut chip);
            self.model.push(&chip);
            chip.mirror();
            self.model.push(&chip);
        }
        let reading = self.reading;
        let outputs = self.model.run()?;
        let elements = outputs.get(&self.output)?;
        let classes = elements.len() / (faces.len() * LOOKS);
        let looks: Vec<f32> = elements.chunks_exact(classes).map(|row| reading.log_odds(row)).collect();
        Ok(looks.chunks_exact(LOOKS).map(|looks| reading.score(looks)).collect())
    }

    fn cut(&self, sampler: &mut Sampler, picture: &Picture, candidate: &Candidate, chip: &mut Chip) {
        let frame = &candidate.frame;
        let area = &candidate.detection.area;
        let area = if self.square { area.squared() } else { *area };
        let area = if self.keep_inside {
            kept_inside(&area, self.factor, frame.width, frame.height)
        } else {
            area.scaled(self.factor)
        };
        let to_upright = chip.to_unit().then(&area.unit_map()).then(&frame.to_upright);
        // What tells a print or a screen from skin is finer than a filtered chip shows.
        sampler.cut(picture, &to_upright, GROUND, Kernel::Sparse, chip);
    }
}

/// A box times `factor`, or times what fits a picture of `width` by `height`, moved inside.
fn kept_inside(area: &Rect, factor: f32, width: f32, height: f32) -> Rect {
    let fits = factor.min(width / area.width()).min(height / area.height());
    let wide = area.scaled(fits);
    let left = wide.left.clamp(0.0, (width - wide.width()).max(0.0));
    let top = wide.top.clamp(0.0, (height - wide.height()).max(0.0));
    Rect::new(left, top, wide.width(), wide.height())
}

impl Reading {
    /// Log-odds of the class in one row of classes, at most [`MOST_ODDS`] to each side.
    fn log_odds(&self, row: &[f32]) -> f32 {
        let value = row.get(self.index).copied().unwrap_or_default();
        let others = row.iter().enumerate().filter(|(index, _)| *index != self.index).map(|(_, other)| other);
        let odds = if self.softmax {
            -others.map(|other| (other - value).exp()).sum::<f32>().ln()
        } else {
            (value / (1.0 - value)).ln()
        };
        if odds.is_nan() { -MOST_ODDS } else { odds.clamp(-MOST_ODDS, MOST_ODDS) }
    }

    /// The score of several looks at one face, from their log-odds: above 0, at most 1.
    fn score(&self, looks: &[f32]) -> f32 {
        let mean = looks.iter().sum::<f32>() / looks.len() as f32;
        1.0 / (1.0 + (-(self.scale * mean + self.offset)).clamp(-MOST_ODDS, MOST_ODDS).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_is_shrunk_until_it_fits_and_then_moved_inside() {
        let area = Rect::new(40.0, 30.0, 20.0, 30.0);
        let free = kept_inside(&area, 2.0, 200.0, 200.0);
        assert_eq!(free, Rect::new(30.0, 15.0, 40.0, 60.0));
        let low = kept_inside(&area, 3.0, 200.0, 200.0);
        assert_eq!(low, Rect::new(20.0, 0.0, 60.0, 90.0));
        let tight = kept_inside(&area, 3.0, 100.0, 60.0);
        assert_eq!(tight, Rect::new(30.0, 0.0, 40.0, 60.0));
    }

    const READING: Reading = Reading { index: 0, softmax: true, scale: 1.0, offset: 0.0 };

    #[test]
    fn without_a_scale_the_score_is_the_probability() {
        let score = |reading: Reading, row: &[f32]| reading.score(&[reading.log_odds(row)]);
        assert!((score(READING, &[1.0, 1.0, 1.0]) - 1.0 / 3.0).abs() < 1e-6);
        assert!((score(READING, &[2.0, 0.0]) - 0.880_797).abs() < 1e-5);
        let done = Reading { index: 1, softmax: false, ..READING };
        assert!((score(done, &[0.2, 0.8]) - 0.8).abs() < 1e-6);
    }

    #[test]
    fn scale_and_offset_move_the_thresholds_and_keep_the_order() {
        let reading = Reading { scale: 0.5, offset: 0.2, ..READING };
        assert!((reading.score(&[-0.4]) - 0.5).abs() < 1e-6);
        assert!((reading.score(&[1.0, -1.8]) - 0.5).abs() < 1e-6, "looks are averaged");
        let scores = [-20.0, -3.0, 0.0, 2.0, 9.0].map(|odds| reading.score(&[odds]));
        assert!(scores.windows(2).all(|pair| pair[0] < pair[1]), "{scores:?}");
    }

    #[test]
    fn whatever_a_model_says_is_a_score() {
        for row in [[-300.0, 300.0], [300.0, -300.0], [f32::INFINITY, 0.0], [f32::NAN, 0.0], [0.0, f32::NAN]]
        {
            for reading in [READING, Reading { softmax: false, scale: 7.0, ..READING }] {
                let score = reading.score(&[reading.log_odds(&row)]);
                assert!(score > 0.0 && score <= 1.0, "{row:?}: {score}");
            }
        }
    }
}
