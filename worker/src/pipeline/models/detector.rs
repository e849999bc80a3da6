//! The detector network: finds boxes that may contain faces.

use std::cmp::Ordering;

use faceline_models::manifest::{Crop, Model, Output, Role};

use super::network::{FaceModel, Network};
use crate::inference::InferenceError;
use crate::picture::{Chip, Kernel, Sampler, luma};
use crate::pipeline::geometry::{FramedPicture, Rect};

/// Level of the pixels outside the picture: the mean of the network's input.
const OUTSIDE_LEVEL: u8 = 127;

/// A box that the detector takes for a face.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Detection {
    /// 0 to 1.
    pub(crate) score: f32,
    /// In the frame's coordinates.
    pub(crate) area: Rect,
}

/// Equalisation of the tones of the detector's input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Equalisation {
    /// No equalisation.
    None,
    /// Grey with an equalised histogram, which makes faces in old and badly lit pictures visible.
    Histogram,
}

/// The detector network.
pub(crate) struct Detector {
    network: Network,
    scores: String,
    boxes: String,
    threshold: f32,
    nms: f32,
    chip: Chip,
}

impl FaceModel for Detector {
    const ROLE: Role = Role::Detector;
    const FORM: &'static str = "a detector takes the whole picture and gives boxes";

    fn new(network: Network, spec: &Model) -> Option<Self> {
        let (Output::Boxes { scores, boxes, threshold, nms }, Crop::Whole) = (&spec.output, &spec.input.crop)
        else {
            return None;
        };
        Some(Self {
            scores: scores.clone(),
            boxes: boxes.clone(),
            threshold: *threshold,
            nms: *nms,
            chip: network.chip(),
            network,
        })
    }

    fn network(&self) -> &Network {
        &self.network
    }

    fn network_mut(&mut self) -> &mut Network {
        &mut self.network
    }
}

impl Detector {
    /// Width over height of the network's input.
    pub(crate) fn aspect(&self) -> f32 {
        self.chip.width as f32 / self.chip.height as f32
    }

    /// Width of the network's input in pixels.
    pub(crate) fn width(&self) -> f32 {
        self.chip.width as f32
    }

    /// Finds faces in regions of a frame, in one batch. Each region is stretched to the network's input. A face that
    /// lies in several regions is found once. The detections with the highest scores come first.
    pub(crate) fn detect(
        &mut self,
        sampler: &mut Sampler,
        framed: &FramedPicture<'_>,
        regions: &[Rect],
        equalisation: Equalisation,
    ) -> Result<Vec<Detection>, InferenceError> {
        self.network.begin_batch();
        for region in regions {
            let to_upright = self.chip.to_unit().then(&region.unit_map()).then(&framed.frame.to_upright);
            sampler.cut(framed.picture, &to_upright, OUTSIDE_LEVEL, Kernel::Linear, &mut self.chip);
            if equalisation == Equalisation::Histogram {
                equalise(&mut self.chip);
            }
            self.network.push(&self.chip);
        }
        let outputs = self.network.run()?;
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

/// Makes a chip grey and equalises its histogram.
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

/// Non-maximum suppression: of boxes whose intersection over union is above `limit`, only the best stays.
fn suppress(sorted: Vec<Detection>, limit: f32) -> Vec<Detection> {
    let mut kept: Vec<Detection> = Vec::new();
    for detection in sorted {
        if kept.iter().all(|better| better.area.intersection_over_union(&detection.area) <= limit) {
            kept.push(detection);
        }
    }
    kept
}
