//! `faceline-models` on passive liveness: simulated attacks, their evaluation, and a calibration from living people.

use std::fs;

use faceline_models::liveness::LivenessCalibration;
use faceline_models::manifest::{Manifest, Profile};

use crate::models::{people, run};

#[tokio::test]
async fn attacks_are_simulated_evaluated_by_source_and_left_out() {
    let folder = people();
    let simulate = |output: &'static str, resolution: &'static str| {
        [
            "simulate",
            "attacks",
            "--bona-fide",
            "obama",
            "--output",
            output,
            "--resolutions",
            resolution,
            "--species",
            "print,live",
        ]
    };
    for (output, resolution) in [("near", "640x480"), ("far", "320x240")] {
        let (success, _, error) = run(&simulate(output, resolution), folder.path()).await;
        assert!(success, "{error}");
    }
    // A file that is no picture has no response, and does not end the evaluation.
    let index = folder.path().join("near/index.csv");
    let rows = fs::read_to_string(&index).unwrap();
    let columns = rows.lines().next().unwrap().to_owned();
    assert_eq!(columns, "path,label,subject,source");
    fs::write(&index, format!("{rows}index.csv,live,nobody,camera-640x480\n")).unwrap();

    let arguments = [
        "evaluate",
        "liveness",
        "near",
        "far",
        "--leave-one-out",
        "--scores",
        "scores.csv",
        "--report",
        "report",
    ];
    let (success, text, error) = run(&arguments, folder.path()).await;
    assert!(success, "{error}");
    for line in [
        "calibration faceline-default-1, profile Default",
        "camera-320x240, full frames: 3 bona fide presentations",
        "camera-640x480, full frames: 4 bona fide presentations",
        "3 presentations of `simulated-print`",
        "left out         scale  offset   level",
        "worst source at MEDIUM",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let scores = fs::read_to_string(folder.path().join("scores.csv")).unwrap();
    assert!(scores.starts_with("path,source,subject,label,outcome,crop_fit,tight,log_odds_1,llr,score\n"));
    assert_eq!(scores.lines().count(), 1 + 3 * 2 * 2 + 1, "{scores}");
    let report = fs::read_to_string(folder.path().join("report/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_operator_calibrates_liveness_on_pictures_of_living_people() {
    let folder = people();
    let arguments = |bpcer: &'static str| {
        [
            "calibrate",
            "liveness",
            "--bona-fide",
            "obama",
            "--bona-fide",
            "biden",
            "--name",
            "front-desk",
            "--bpcer",
            bpcer,
            "--out",
            "front-desk.toml",
        ]
    };
    let (success, _, error) = run(&arguments("0.05"), folder.path()).await;
    assert!(!success && error.contains("a BPCER of 5 % needs 60 pictures"), "{error}");

    // Nine pictures are enough for a share of 0.4.
    for copy in 0..5 {
        let copy = folder.path().join(format!("biden/{copy}.jpg"));
        fs::copy(folder.path().join("biden/biden.jpg"), copy).unwrap();
    }
    let (success, text, error) = run(&arguments("0.4"), folder.path()).await;
    assert!(success, "{error}");
    assert!(text.contains("9 pictures of living people"), "{text}");
    assert!(text.contains("liveness.calibration = \"front-desk\""), "{text}");
    let made = fs::read_to_string(folder.path().join("front-desk.toml")).unwrap();
    let made = LivenessCalibration::parse(&made).unwrap();
    let manifest = Manifest::default_manifest().unwrap();
    let shipped = manifest.liveness_calibration(Profile::Default).unwrap();
    assert_eq!((made.name.as_str(), made.profile), ("front-desk", Profile::Default));
    assert_eq!(made.still.scale, shipped.still.scale, "an operator's calibration moves the thresholds only");
    assert!(
        made.still.medium > shipped.still.medium,
        "good portraits score far above the threshold: {made:?}"
    );
}
