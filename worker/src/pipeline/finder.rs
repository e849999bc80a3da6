//! Finding the faces of a picture.

use std::time::Duration;

use super::candidate::Candidate;
use super::detector::{Detector, Light};
use super::evidence::{PROBE_OVERLAP, PROBES};
use super::frame::{Frame, Turn};
use super::landmarks::{Landmarker, Landmarks, Looks, Sighting};
use super::models::Models;
use super::rect::Rect;
use super::times::{StageTimes, timed};
use crate::inference::InferenceError;
use crate::picture::{Picture, Sampler};

/// Detections of one search that are looked at; more are a pattern, not people.
const MOST: usize = 16;

/// The detector sees a stretched picture; by more than this factor from its own aspect it is padded instead.
const STRETCH: f32 = 1.8;

/// How far back to step where a face may be larger than the picture.
const STEP_BACK: f32 = 1.6;

/// Width of a face in the detector's input, in pixels, from which on the detector does not overlook it. What is
/// wider, but seen in a tile only, is no face.
const PLAIN_WIDTH: f32 = 30.0;

/// How often landmarks are found again from where they were found. Each time what the detector's box leaves in them
/// becomes two to three times less.
const APPROACHES: usize = 2;

/// Detector and landmark model together.
pub(super) struct Finder {
    detector: Detector,
    landmarker: Landmarker,
}

impl Finder {
    pub(super) fn open(models: &Models) -> Result<Self, InferenceError> {
        Ok(Self {
            detector: Detector::open(&models.runtime, models.device, &models.detector())?,
            landmarker: Landmarker::open(&models.runtime, models.device, &models.landmarks())?,
        })
    }

    /// Time of all runs of both models so far.
    pub(super) fn busy(&self) -> Duration {
        self.detector.busy() + self.landmarker.busy()
    }

    /// Runs both models once.
    pub(super) fn warm_up(&mut self, sampler: &mut Sampler, picture: &Picture) -> Result<(), InferenceError> {
        let frame = Frame::new(picture, Turn::None);
        let region = self.whole_region(&frame);
        self.detector.detect(sampler, picture, &frame, &[region], Light::Plain)?;
        self.landmarker.locate(sampler, picture, &frame, &[Looks::at_box(&region)])?;
        Ok(())
    }

    /// Candidates in the frame as a whole.
    pub(super) fn whole(
        &mut self,
        sampler: &mut Sampler,
        picture: &Picture,
        frame: &Frame,
        times: &mut StageTimes,
    ) -> Result<Vec<Candidate>, InferenceError> {
        let region = self.whole_region(frame);
        self.search(sampler, picture, frame, &[region], Light::Plain, times)
    }

    /// Candidates that fill the frame, or more than that.
    pub(super) fn larger_than_frame(
        &mut self,
        sampler: &mut Sampler,
        picture: &Picture,
        frame: &Frame,
        times: &mut StageTimes,
    ) -> Result<Vec<Candidate>, InferenceError> {
        let region = self.whole_region(frame).scaled(STEP_BACK);
        self.search(sampler, picture, frame, &[region], Light::Plain, times)
    }

    /// Candidates in a frame that is dark, pale or uneven.
    pub(super) fn in_the_dark(
        &mut self,
        sampler: &mut Sampler,
        picture: &Picture,
        frame: &Frame,
        times: &mut StageTimes,
    ) -> Result<Vec<Candidate>, InferenceError> {
        let region = self.whole_region(frame);
        self.search(sampler, picture, frame, &[region], Light::Equalised, times)
    }

    /// Candidates too small for a search of the whole, in tiles of half its size that overlap by half: nine, or fewer
    /// where the frame is long or high.
    pub(super) fn close_up(
        &mut self,
        sampler: &mut Sampler,
        picture: &Picture,
        frame: &Frame,
        times: &mut StageTimes,
    ) -> Result<Vec<Candidate>, InferenceError> {
        let whole = self.whole_region(frame);
        let (w, h) = (whole.width() / 2.0, whole.height() / 2.0);
        let columns = steps(frame.width, w);
        let tiles: Vec<Rect> = steps(frame.height, h)
            .into_iter()
            .flat_map(|top| columns.iter().map(move |&left| Rect::new(left, top, w, h)))
            .collect();
        let mut found = self.search(sampler, picture, frame, &tiles, Light::Plain, times)?;
        found.retain(|candidate| !self.is_plain(candidate));
        Ok(found)
    }

    /// Whether a search of the whole frame would not overlook a face of this size.
    pub(super) fn is_plain(&self, candidate: &Candidate) -> bool {
        let scale = self.detector.width() / self.whole_region(&candidate.frame).width();
        candidate.detection.area.width() * scale >= PLAIN_WIDTH
    }

    /// The detector's scores of a candidate in regions of several sizes about it.
    pub(super) fn probe(
        &mut self,
        sampler: &mut Sampler,
        picture: &Picture,
        candidate: &Candidate,
        times: &mut StageTimes,
    ) -> Result<[f32; PROBES.len()], InferenceError> {
        let area = &candidate.detection.area;
        let mut scores = [0.0; PROBES.len()];
        timed(&mut times.detect, || {
            for (score, factor) in scores.iter_mut().zip(PROBES) {
                let height = area.width().max(area.height()) * factor;
                let region = Rect::centred(area.centre(), height * self.detector.aspect(), height);
                let found =
                    self.detector.detect(sampler, picture, &candidate.frame, &[region], candidate.light)?;
                let confirmed = found.iter().find(|other| other.area.overlap(area) > PROBE_OVERLAP);
                *score = confirmed.map_or(0.0, |other| other.score);
            }
            Ok(scores)
        })
    }

    /// The same face with its landmarks found again, from where they are known to be.
    pub(super) fn refine(
        &mut self,
        sampler: &mut Sampler,
        picture: &Picture,
        candidate: &Candidate,
        times: &mut StageTimes,
    ) -> Result<Candidate, InferenceError> {
        timed(&mut times.landmarks, || {
            let mut landmarks = candidate.landmarks.clone();
            for _ in 0..APPROACHES {
                let looks = Looks::at_face(&landmarks);
                let found = self.landmarker.locate(sampler, picture, &candidate.frame, &[looks])?;
                landmarks = found.into_iter().next().map_or(landmarks, |sighting| sighting.landmarks);
            }
            Ok(Candidate { landmarks, ..candidate.clone() })
        })
    }

    /// The landmarks of a face that was refined, averaged over many looks: those of two pictures of one face can be
    /// compared to a hundredth of its eye distance.
    pub(super) fn average(
        &mut self,
        sampler: &mut Sampler,
        picture: &Picture,
        candidate: &Candidate,
        times: &mut StageTimes,
    ) -> Result<Landmarks, InferenceError> {
        timed(&mut times.landmarks, || {
            self.landmarker.average(sampler, picture, &candidate.frame, &candidate.landmarks)
        })
    }

    fn search(
        &mut self,
        sampler: &mut Sampler,
        picture: &Picture,
        frame: &Frame,
        regions: &[Rect],
        light: Light,
        times: &mut StageTimes,
    ) -> Result<Vec<Candidate>, InferenceError> {
        let mut detections =
            timed(&mut times.detect, || self.detector.detect(sampler, picture, frame, regions, light))?;
        detections.truncate(MOST);
        timed(&mut times.landmarks, || {
            let looks: Vec<Looks> = detections.iter().map(|found| Looks::at_box(&found.area)).collect();
            let sightings = self.landmarker.locate(sampler, picture, frame, &looks)?;
            let candidate = |(detection, Sighting { landmarks, spread })| Candidate {
                detection,
                light,
                landmarks,
                spread,
                frame: *frame,
            };
            Ok(detections.into_iter().zip(sightings).map(candidate).collect())
        })
    }

    /// The whole frame, padded where it is too long or too high.
    fn whole_region(&self, frame: &Frame) -> Rect {
        let aspect = self.detector.aspect();
        let stretch = frame.width / frame.height / aspect;
        let (width, height) = if stretch > STRETCH {
            (frame.width, frame.width / aspect / STRETCH)
        } else if stretch < 1.0 / STRETCH {
            (frame.height * aspect / STRETCH, frame.height)
        } else {
            (frame.width, frame.height)
        };
        Rect::centred([frame.width / 2.0, frame.height / 2.0], width, height)
    }
}

/// Where tiles of length `tile` begin that cover `extent` and overlap by half, or by more.
fn steps(extent: f32, tile: f32) -> Vec<f32> {
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
        assert_eq!(steps(400.0, 200.0), [0.0, 100.0, 200.0]);
        assert_eq!(steps(400.0, 500.0), [-50.0]);
        for (extent, tile) in [(400.0, 399.0), (400.0, 170.0), (1000.0, 250.0)] {
            let steps = steps(extent, tile);
            assert_eq!((steps[0], steps[steps.len() - 1]), (0.0, extent - tile));
            assert!(steps.windows(2).all(|pair| pair[1] - pair[0] <= tile / 2.0 + 1e-3), "{steps:?}");
        }
    }
}
