//! Where faces may be.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use faceline_models::InstalledModel;
use faceline_models::manifest::{Crop, Output};

use super::chip_model::ChipModel;
use super::frame::Frame;
use super::normaliser::luma;
use super::rect::Rect;
use crate::inference::{Device, InferenceError, Runtime};
use crate::picture::{Chip, Kernel, Picture, Sampler};

/// Outside of the picture the detector sees what its input's mean is.
const GROUND: u8 = 127;

/// A place that looks like a face to the detector.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detection {
    pub(super) score: f32,
    /// In the frame's coordinates.
    pub(super) area: Rect,
}

/// How the detector is shown a picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Light {
    /// As it is.
    Plain,
    /// In grey, with its histogram equalised: faces in old and in badly lit pictures become visible.
    Equalised,
}

/// The detection model.
pub(super) struct Detector {
    model: ChipModel,
    scores: String,
    boxes: String,
    threshold: f32,
    nms: f32,
    chip: Chip,
}

impl Detector {
    /// Time of all runs of the model so far.
    pub(super) fn busy(&self) -> Duration {
        self.model.busy()
    }

    pub(super) fn open(
        runtime: &Arc<Runtime>,
        device: Device,
        model: &InstalledModel<'_>,
    ) -> Result<Self, InferenceError> {
        let (Output::Boxes { scores, boxes, threshold, nms }, Crop::Whole) =
            (&model.spec.output, &model.spec.input.crop)
        else {
            let reason = "a detector takes the whole picture and gives boxes".to_owned();
            return Err(InferenceError::Model { model: model.spec.name.clone(), reason });
        };
        let model = ChipModel::open(runtime, device, model)?;
        Ok(Self {
            scores: scores.clone(),
            boxes: boxes.clone(),
            threshold: *threshold,
            nms: *nms,
            chip: model.chip(),
            model,
        })
    }

    /// Width over height of what the model looks at.
    pub(super) fn aspect(&self) -> f32 {
        self.chip.width as f32 / self.chip.height as f32
    }

    /// Pixels in a row of the model's input.
    pub(super) fn width(&self) -> f32 {
        self.chip.width as f32
    }

    /// Finds faces in regions of a frame, each stretched to the model's input, in one batch. A face that several
    /// regions show is found once. The best come first.
    pub(super) fn detect(
        &mut self,
        sampler: &mut Sampler,
        picture: &Picture,
        frame: &Frame,
        regions: &[Rect],
        light: Light,
    ) -> Result<Vec<Detection>, InferenceError> {
        for region in regions {
            let to_upright = self.chip.to_unit().then(&region.unit_map()).then(&frame.to_upright);
            sampler.cut(picture, &to_upright, GROUND, Kernel::Linear, &mut self.chip);
            if light == Light::Equalised {
                equalise(&mut self.chip);
            }
            self.model.push(&self.chip);
        }
        let outputs = self.model.run()?;
        let (scores, _) = outputs.get(&self.scores)?.as_chunks::<2>();
        let (boxes, _) = outputs.get(&self.boxes)?.as_chunks::<4>();
        let anchors = scores.len() / regions.len().max(1);
        let mut found: Vec<Detection> = scores
            .iter()
            .zip(boxes)
            .enumerate()
            .filter(|(_, ([_, score], _))| *score >= self.threshold)
            .map(|(index, ([_, score], [left, top, right, bottom]))| {
                let region = regions[index / anchors];
                let (w, h) = (region.width(), region.height());
                let area = Rect {
                    left: region.left + left * w,
                    top: region.top + top * h,
                    right: region.left + right * w,
                    bottom: region.top + bottom * h,
                };
                Detection { score: *score, area }
            })
            .filter(|detection| detection.area.area() > 0.0)
            .collect();
        found.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal));
        Ok(suppress(found, self.nms))
    }
}

/// Makes a chip grey, with all shades equally frequent.
fn equalise(chip: &mut Chip) {
    let (pixels, _) = chip.pixels.as_chunks_mut::<3>();
    let mut counts = [0_usize; 256];
    for pixel in &*pixels {
        counts[usize::from(luma(*pixel))] += 1;
    }
    let mut below = 0;
    let shades = counts.map(|count| {
        below += count;
        (below * 255 / pixels.len()) as u8
    });
    for pixel in pixels {
        *pixel = [shades[usize::from(luma(*pixel))]; 3];
    }
}

/// Non-maximum suppression: of boxes that overlap by more than `limit`, the best stays.
pub(super) fn suppress(sorted: Vec<Detection>, limit: f32) -> Vec<Detection> {
    let mut kept: Vec<Detection> = Vec::new();
    for detection in sorted {
        if kept.iter().all(|better| better.area.overlap(&detection.area) <= limit) {
            kept.push(detection);
        }
    }
    kept
}
