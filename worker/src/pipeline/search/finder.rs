//! Detector and landmark model together: finding candidates in a picture.

use std::time::Duration;

use super::candidate::Candidate;
use super::choice::Choice;
use super::evidence::{PROBE_FACTORS, PROBE_MIN_OVERLAP, is_clear};
use crate::inference::InferenceError;
use crate::picture::{Picture, Sampler};
use crate::pipeline::context::Context;
use crate::pipeline::geometry::{Frame, FramedPicture, Landmarks, Rect, Rotation};
use crate::pipeline::models::{
    Detection, Detector, Equalisation, FaceModel as _, LandmarkEstimate, Landmarker, Models, PassPair, open,
    open_half_detector,
};
use crate::pipeline::times::Stage;

/// Detections of one search that are examined. More than these are a pattern and not people.
const MAX_DETECTIONS: usize = 16;

/// A picture is stretched to the detector's aspect ratio by at most this factor, and padded beyond it.
const MAX_STRETCH: f32 = 1.8;

/// Factor by which the searched region is larger than the picture where a face may extend beyond it.
const LARGER_REGION_FACTOR: f32 = 1.6;

/// Minimum width, in pixels of its input, at which the detector does not overlook a face. A wider detection that
/// appears in a tile only is no face.
const PLAIN_WIDTH_PIXELS: f32 = 30.0;

/// Minimum width, in pixels of its input, at which the detector sees nearly every face. Of 250 faces of LFW, put
/// somewhere in an even picture, it found all at 20 pixels, 249 at 18, and 243 at 16.
const SEEN_WIDTH_PIXELS: f32 = 20.0;

/// Below this width, in pixels of its input, the half-size detector draws boxes that are less exact than those of the full size. It
/// then runs once more, on a region of half the size around the face, which shows it as large as the full size would.
const EXACT_WIDTH_PIXELS: f32 = 48.0;

/// Boxes of the half-size detector are up to a tenth too wide or too narrow. So another detection counts as a rival from this part
/// on of the width that a face must have to count.
const MAX_RIVAL_WIDTH: f32 = 0.75;

/// Height of the region in which a face is searched again, over the longer side of its box. Within a tenth of a second a
/// face moves by less than its own width.
const VICINITY_FACTOR: f32 = 3.0;
/// The vicinity is searched if the area of the whole frame is at least this many times its own. Otherwise the whole
/// frame shows the face large enough.
const MIN_VICINITY_GAIN: f32 = 3.0;

/// Number of times that landmarks are found again, starting from the last ones. Each time, the influence of the
/// detector's box becomes two to three times smaller.
const REFINEMENTS: usize = 2;

/// Detector and landmark model together.
pub(crate) struct Finder {
    detector: Detector,
    /// The same detector for an input of half the size.
    half_detector: Option<Detector>,
    landmarker: Landmarker,
}

impl Finder {
    pub(crate) fn open(models: &Models) -> Result<Self, InferenceError> {
        Ok(Self {
            detector: open(models)?,
            half_detector: open_half_detector(models)?,
            landmarker: open(models)?,
        })
    }

    /// Time of all runs of both models so far.
    pub(crate) fn model_time(&self) -> Duration {
        let half = self.half_detector.as_ref().map_or(Duration::ZERO, Detector::model_time);
        self.detector.model_time() + half + self.landmarker.model_time()
    }

    /// Runs both models once.
    pub(crate) fn warm_up(&mut self, sampler: &mut Sampler, picture: &Picture) -> Result<(), InferenceError> {
        let framed = FramedPicture::new(picture, Rotation::None);
        let region = self.whole_region(&framed.frame);
        for detector in self.half_detector.iter_mut().chain([&mut self.detector]) {
            detector.detect(sampler, &framed, &[region], Equalisation::None)?;
        }
        self.landmarker.locate(sampler, &framed, &[PassPair::at_box(&region)])?;
        Ok(())
    }

    /// Runs both models `count` times on one input. For benchmarks.
    pub(crate) fn run_noise(&mut self, count: u32) -> Result<(), InferenceError> {
        self.detector.network_mut().run_noise(count)?;
        self.landmarker.network_mut().run_noise(count)
    }

    /// Candidates in the frame as a whole.
    pub(crate) fn whole(
        &mut self,
        context: &mut Context,
        framed: &FramedPicture<'_>,
    ) -> Result<Vec<Candidate>, InferenceError> {
        let region = self.whole_region(&framed.frame);
        self.search(context, framed, &[region], Equalisation::None)
    }

    /// The selected face, if it is so large, and so much larger than all others, that the detector at half its input
    /// size suffices. `None` does not mean that the frame shows no face.
    pub(crate) fn at_half_size(
        &mut self,
        context: &mut Context,
        framed: &FramedPicture<'_>,
        choice: Choice,
    ) -> Result<Option<Candidate>, InferenceError> {
        let region = self.whole_region(&framed.frame);
        let Some(detector) = &mut self.half_detector else { return Ok(None) };
        // The part of its width from which on another face counts, or is taken for the largest.
        let other_ratio = match choice {
            Choice::All(_) => return Ok(None),
            Choice::Only => context.settings.second_face.min(1.0),
            Choice::Largest | Choice::Central => 1.0,
        };
        let found = context.timed(Stage::Detect, |sampler| {
            detector.detect(sampler, framed, &[region], Equalisation::None)
        })?;
        let Some(main) = choice.of_detections(&found, &framed.frame) else { return Ok(None) };
        let width = main.area.width();
        let pixels = width * detector.width() / region.width();
        let is_large = pixels >= PLAIN_WIDTH_PIXELS && pixels * other_ratio >= SEEN_WIDTH_PIXELS;
        let rivals = found.iter().filter(|other| other.area.width() > width * other_ratio * MAX_RIVAL_WIDTH);
        // The face itself is one of them.
        if !is_large || (choice != Choice::Central && rivals.count() > 1) {
            return Ok(None);
        }
        let main = if pixels < EXACT_WIDTH_PIXELS {
            let near = Rect::centred(main.area.centre(), region.width() / 2.0, region.height() / 2.0);
            let again = context.timed(Stage::Detect, |sampler| {
                detector.detect(sampler, framed, &[near], Equalisation::None)
            })?;
            let overlap = |found: &Detection| found.area.intersection_over_union(&main.area);
            let Some(exact) = again.into_iter().max_by(|a, b| overlap(a).total_cmp(&overlap(b))) else {
                return Ok(None);
            };
            exact
        } else {
            main
        };
        let face = self.candidates(context, framed, vec![main], Equalisation::None)?.pop();
        Ok(face.filter(is_clear))
    }

    /// Candidates in the frame as a whole and, closer, where a face was a moment ago.
    pub(crate) fn near(
        &mut self,
        context: &mut Context,
        framed: &FramedPicture<'_>,
        area: &Rect,
    ) -> Result<Vec<Candidate>, InferenceError> {
        let whole = self.whole_region(&framed.frame);
        let height = area.width().max(area.height()) * VICINITY_FACTOR;
        let near = Rect::centred(area.centre(), height * self.detector.aspect(), height);
        if near.area() >= whole.area() / MIN_VICINITY_GAIN {
            return self.search(context, framed, &[whole], Equalisation::None);
        }
        self.search(context, framed, &[whole, near], Equalisation::None)
    }

    /// Candidates that fill the frame, or more than that.
    pub(crate) fn larger_than_frame(
        &mut self,
        context: &mut Context,
        framed: &FramedPicture<'_>,
    ) -> Result<Vec<Candidate>, InferenceError> {
        let region = self.whole_region(&framed.frame).scaled(LARGER_REGION_FACTOR);
        self.search(context, framed, &[region], Equalisation::None)
    }

    /// Candidates in a frame that is dark, pale or uneven.
    pub(crate) fn equalised(
        &mut self,
        context: &mut Context,
        framed: &FramedPicture<'_>,
    ) -> Result<Vec<Candidate>, InferenceError> {
        let region = self.whole_region(&framed.frame);
        self.search(context, framed, &[region], Equalisation::Histogram)
    }

    /// Candidates too small for a search of the whole frame. The search covers tiles of half the frame's size that
    /// overlap by half: nine tiles, or fewer where the frame is long or high.
    pub(crate) fn close_up(
        &mut self,
        context: &mut Context,
        framed: &FramedPicture<'_>,
    ) -> Result<Vec<Candidate>, InferenceError> {
        let whole = self.whole_region(&framed.frame);
        let (w, h) = (whole.width() / 2.0, whole.height() / 2.0);
        let columns = tile_starts(framed.frame.width, w);
        let tiles: Vec<Rect> = tile_starts(framed.frame.height, h)
            .into_iter()
            .flat_map(|top| columns.iter().map(move |&left| Rect::new(left, top, w, h)))
            .collect();
        let mut found = self.search(context, framed, &tiles, Equalisation::None)?;
        found.retain(|candidate| !self.is_plain(candidate));
        Ok(found)
    }

    /// Whether a face of this size is large enough for a search of the whole frame to find it.
    pub(crate) fn is_plain(&self, candidate: &Candidate) -> bool {
        let scale = self.detector.width() / self.whole_region(&candidate.frame).width();
        candidate.detection.area.width() * scale >= PLAIN_WIDTH_PIXELS
    }

    /// The detector's scores of a candidate in regions of several sizes around it.
    pub(crate) fn probe(
        &mut self,
        context: &mut Context,
        picture: &Picture,
        candidate: &Candidate,
    ) -> Result<[f32; PROBE_FACTORS.len()], InferenceError> {
        let area = &candidate.detection.area;
        let framed = FramedPicture { picture, frame: candidate.frame };
        let mut scores = [0.0; PROBE_FACTORS.len()];
        context.timed(Stage::Detect, |sampler| {
            for (score, factor) in scores.iter_mut().zip(PROBE_FACTORS) {
                let height = area.width().max(area.height()) * factor;
                let region = Rect::centred(area.centre(), height * self.detector.aspect(), height);
                let found = self.detector.detect(sampler, &framed, &[region], candidate.equalisation)?;
                let confirmed =
                    found.iter().find(|other| other.area.intersection_over_union(area) > PROBE_MIN_OVERLAP);
                *score = confirmed.map_or(0.0, |other| other.score);
            }
            Ok(scores)
        })
    }

    /// The same face with more precise landmarks, found again from the known ones.
    pub(crate) fn refine(
        &mut self,
        context: &mut Context,
        picture: &Picture,
        candidate: &Candidate,
    ) -> Result<Candidate, InferenceError> {
        let framed = FramedPicture { picture, frame: candidate.frame };
        context.timed(Stage::Landmarks, |sampler| {
            let mut landmarks = candidate.landmarks.clone();
            for _ in 0..REFINEMENTS {
                let passes = PassPair::at_face(&landmarks);
                let found = self.landmarker.locate(sampler, &framed, &[passes])?;
                landmarks = found.into_iter().next().map_or(landmarks, |estimate| estimate.landmarks);
            }
            Ok(Candidate { landmarks, ..candidate.clone() })
        })
    }

    /// The landmarks of a refined candidate, averaged over many passes. They are precise to a hundredth of the eye
    /// distance, so those of two pictures can be compared.
    pub(crate) fn average(
        &mut self,
        context: &mut Context,
        picture: &Picture,
        candidate: &Candidate,
    ) -> Result<Landmarks, InferenceError> {
        let framed = FramedPicture { picture, frame: candidate.frame };
        context.timed(Stage::Landmarks, |sampler| {
            self.landmarker.average(sampler, &framed, &candidate.landmarks)
        })
    }

    fn search(
        &mut self,
        context: &mut Context,
        framed: &FramedPicture<'_>,
        regions: &[Rect],
        equalisation: Equalisation,
    ) -> Result<Vec<Candidate>, InferenceError> {
        let mut detections = context
            .timed(Stage::Detect, |sampler| self.detector.detect(sampler, framed, regions, equalisation))?;
        detections.truncate(MAX_DETECTIONS);
        self.candidates(context, framed, detections, equalisation)
    }

    /// Detections with their landmarks.
    fn candidates(
        &mut self,
        context: &mut Context,
        framed: &FramedPicture<'_>,
        detections: Vec<Detection>,
        equalisation: Equalisation,
    ) -> Result<Vec<Candidate>, InferenceError> {
        context.timed(Stage::Landmarks, |sampler| {
            let passes: Vec<_> = detections.iter().map(|found| PassPair::at_box(&found.area)).collect();
            let estimates = self.landmarker.locate(sampler, framed, &passes)?;
            let candidate = |(detection, LandmarkEstimate { landmarks, spread })| Candidate {
                detection,
                equalisation,
                landmarks,
                spread,
                frame: framed.frame,
            };
            Ok(detections.into_iter().zip(estimates).map(candidate).collect())
        })
    }

    /// The region that a search of the whole frame covers: padded where the frame is too long or too high.
    fn whole_region(&self, frame: &Frame) -> Rect {
        let aspect = self.detector.aspect();
        let stretch = frame.width / frame.height / aspect;
        let (width, height) = if stretch > MAX_STRETCH {
            (frame.width, frame.width / aspect / MAX_STRETCH)
        } else if stretch < 1.0 / MAX_STRETCH {
            (frame.height * aspect / MAX_STRETCH, frame.height)
        } else {
            (frame.width, frame.height)
        };
        Rect::centred([frame.width / 2.0, frame.height / 2.0], width, height)
    }
}

/// Starts of tiles of length `tile` that cover `extent` and overlap by at least half.
fn tile_starts(extent: f32, tile: f32) -> Vec<f32> {
    if tile >= extent {
        return vec![(extent - tile) / 2.0];
    }
    let count = (2.0 * (extent / tile - 1.0)).ceil().max(1.0);
    (0..=count as u8).map(|step| f32::from(step) / count * (extent - tile)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_everything_and_overlap() {
        assert_eq!(tile_starts(400.0, 200.0), [0.0, 100.0, 200.0]);
        assert_eq!(tile_starts(400.0, 500.0), [-50.0]);
        for (extent, tile) in [(400.0, 399.0), (400.0, 170.0), (1000.0, 250.0)] {
            let steps = tile_starts(extent, tile);
            assert_eq!((steps[0], steps[steps.len() - 1]), (0.0, extent - tile));
            assert!(steps.windows(2).all(|pair| pair[1] - pair[0] <= tile / 2.0 + 1e-3), "{steps:?}");
        }
    }
}
