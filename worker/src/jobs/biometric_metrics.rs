//! Distributions of what the models find. Operators compare them with the calibration and with earlier weeks.
//!
//! Only numbers leave the worker: nothing in these metrics belongs to one person.

use faceline_shared::face::CodedFace;
use faceline_shared::job::examination::{Check, ExaminedPicture};
use faceline_shared::job::{CodedPicture, Examined, JobResult, VideoExamined};
use faceline_shared::score::Far;
use faceline_shared::telemetry::Metrics;
use prometheus::{Histogram, HistogramVec, IntCounterVec};

/// Bucket bounds of the quality of a coded face, which is -500 to 300: above 100 is good, below 0 a better picture is needed.
const QUALITY_BOUNDS: &[f64] = &[-250.0, -100.0, 0.0, 50.0, 100.0, 150.0, 200.0, 250.0, 275.0, 300.0];
/// Bucket bounds of scores. A score that is 500 higher means a tenth of the false acceptance rate. The bounds are
/// closer around the usual thresholds.
const SCORE_BOUNDS: &[f64] =
    &[1500.0, 2000.0, 2500.0, 2750.0, 3000.0, 3250.0, 3500.0, 4000.0, 4500.0, 5000.0, 6000.0, 8000.0];
/// Bucket bounds of liveness scores. The thresholds of LOW, MEDIUM and HIGH, 0.25, 0.5 and 0.75, are among them.
const LIVENESS_BOUNDS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.95, 0.99, 1.0];

/// The metrics.
#[derive(Clone, Debug)]
pub(super) struct BiometricMetrics {
    /// Quality of coded faces.
    quality: Histogram,
    /// Scores of comparisons, by kind of comparison.
    scores: HistogramVec,
    /// Scores of passive liveness, by media.
    liveness: HistogramVec,
    /// Findings in judged pictures.
    findings: IntCounterVec,
}

impl BiometricMetrics {
    /// Registers the metrics.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let created = Self {
            quality: metrics.histograms(
                "faceline_worker_face_quality",
                "Quality of coded faces. Only faces count, not pictures without one.",
                &[],
                QUALITY_BOUNDS,
            ).with_label_values::<&str>(&[]),
            scores: metrics.histograms(
                "faceline_worker_match_score",
                "Scores of comparisons, by kind: match (two faces), rank (each candidate), verify (live pictures and a photo). 3000 is a false acceptance rate of 0.1 %.",
                &["kind"],
                SCORE_BOUNDS,
            ),
            liveness: metrics.histograms(
                "faceline_worker_liveness_score",
                "Scores of passive liveness, by media: picture, clip. The thresholds of LOW, MEDIUM and HIGH are 0.25, 0.5 and 0.75 under every calibration.",
                &["media"],
                LIVENESS_BOUNDS,
            ),
            findings: metrics.counters(
                "faceline_worker_findings_total",
                "Failed checks of pictures whose liveness was to be judged, and of photos, by finding.",
                &["finding"],
            ),
        };
        // Rates need the zero before the first observation.
        for kind in ["match", "rank", "verify"] {
            created.scores.with_label_values(&[kind]);
        }
        for media in ["picture", "clip"] {
            created.liveness.with_label_values(&[media]);
        }
        for check in CHECKS {
            created.findings.with_label_values(&[label(check)]);
        }
        created
    }

    /// Records what is in the result of a job.
    pub(super) fn observe(&self, result: &JobResult) {
        match result {
            JobResult::Coded(picture) => self.coded(picture),
            JobResult::Matched(matched) => {
                for picture in matched.reference.iter().chain([&matched.candidate]) {
                    self.coded(picture);
                }
                self.score("match", matched.far);
            }
            JobResult::Ranked(rates) => rates.iter().for_each(|far| self.score("rank", *far)),
            JobResult::Examined(examined) => self.examined(examined),
            JobResult::VideoExamined(examined) => self.video(examined),
            JobResult::Replayed(replayed) => {
                if let Some(best) = &replayed.best_image {
                    self.face(&best.face);
                }
            }
            JobResult::Aged(_) | JobResult::Compressed(_) => (),
        }
    }

    fn coded(&self, picture: &CodedPicture) {
        if let Some(face) = &picture.face {
            self.face(face);
        }
    }

    fn face(&self, face: &CodedFace) {
        self.quality.observe(f64::from(face.quality));
    }

    fn score(&self, kind: &str, far: Far) {
        self.scores.with_label_values(&[kind]).observe(far.score());
    }

    fn examined(&self, examined: &Examined) {
        for picture in examined.live.iter().chain(&examined.photo) {
            self.findings(picture);
        }
        for score in examined.live.iter().filter_map(|picture| picture.faces.first()?.liveness) {
            self.liveness("picture", score);
        }
        if let Some(far) = examined.verification {
            self.score("verify", far);
        }
    }

    fn video(&self, examined: &VideoExamined) {
        for frame in &examined.frames {
            self.findings(&frame.picture);
        }
        if let Some(score) = examined.liveness {
            self.liveness("clip", score);
        }
    }

    fn findings(&self, picture: &ExaminedPicture) {
        for finding in &picture.findings {
            self.findings.with_label_values(&[label(finding.check)]).inc();
        }
    }

    fn liveness(&self, media: &str, score: f32) {
        self.liveness.with_label_values(&[media]).observe(f64::from(score));
    }
}

const CHECKS: [Check; 9] = [
    Check::ImageSize,
    Check::FaceCropped,
    Check::FaceTooClose,
    Check::FaceCloseToBorder,
    Check::FaceTooSmall,
    Check::FaceTurnedAway,
    Check::FaceCovered,
    Check::FaceExposure,
    Check::FaceBlurred,
];

fn label(check: Check) -> &'static str {
    match check {
        Check::ImageSize => "image_size",
        Check::FaceCropped => "face_cropped",
        Check::FaceTooClose => "face_too_close",
        Check::FaceCloseToBorder => "face_close_to_border",
        Check::FaceTooSmall => "face_too_small",
        Check::FaceTurnedAway => "face_turned_away",
        Check::FaceCovered => "face_covered",
        Check::FaceExposure => "face_exposure",
        Check::FaceBlurred => "face_blurred",
    }
}

#[cfg(test)]
mod tests {
    use faceline_shared::face::Eyes;
    use faceline_shared::job::examination::{ExaminedFace, Finding};
    use faceline_shared::job::replay::{ExaminedFrame, Verdict};

    use super::*;

    fn picture(liveness: Option<f32>, check: Option<Check>) -> ExaminedPicture {
        let eyes = Eyes { x1: 1.0, y1: 2.0, x2: 3.0, y2: 4.0 };
        ExaminedPicture {
            rotated: 0,
            faces: vec![ExaminedFace { eyes, liveness }],
            quality: 0.5,
            findings: check.into_iter().map(|check| Finding { check, score: 0.25 }).collect(),
        }
    }

    /// The non-zero lines of the metrics after `result`.
    fn shown(result: &JobResult) -> Vec<String> {
        let metrics = Metrics::new();
        BiometricMetrics::new(&metrics).observe(result);
        let text = metrics.encode();
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.contains("_bucket"));
        lines.filter(|line| !line.ends_with(" 0")).map(str::to_owned).collect()
    }

    #[test]
    fn an_examination_shows_scores_and_findings() {
        let examined = Examined {
            live: vec![picture(Some(0.25), None), picture(None, Some(Check::FaceBlurred))],
            motion: None,
            same_person: None,
            photo: Some(picture(None, Some(Check::FaceBlurred))),
            verification: Some(Far::from_fraction(0.001)),
        };
        assert_eq!(
            shown(&JobResult::Examined(Box::new(examined))),
            [
                "faceline_worker_findings_total{finding=\"face_blurred\"} 2",
                "faceline_worker_liveness_score_sum{media=\"picture\"} 0.25",
                "faceline_worker_liveness_score_count{media=\"picture\"} 1",
                "faceline_worker_match_score_sum{kind=\"verify\"} 3000",
                "faceline_worker_match_score_count{kind=\"verify\"} 1",
            ]
        );
    }

    #[test]
    fn a_video_counts_as_one_clip() {
        let frame = |number| ExaminedFrame { number, picture: picture(Some(0.5), None) };
        let examined = VideoExamined {
            frames: vec![frame(0), frame(1)],
            verdict: Verdict::Success,
            liveness: Some(0.75),
        };
        assert_eq!(
            shown(&JobResult::VideoExamined(Box::new(examined))),
            [
                "faceline_worker_liveness_score_sum{media=\"clip\"} 0.75",
                "faceline_worker_liveness_score_count{media=\"clip\"} 1",
            ]
        );
    }

    #[test]
    fn each_candidate_of_a_ranking_counts() {
        let rates = [1.0, 0.001].map(Far::from_fraction).to_vec();
        assert_eq!(
            shown(&JobResult::Ranked(rates)),
            [
                "faceline_worker_match_score_sum{kind=\"rank\"} 4500",
                "faceline_worker_match_score_count{kind=\"rank\"} 2",
            ]
        );
    }
}
