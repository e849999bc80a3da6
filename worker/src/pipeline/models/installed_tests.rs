//! Several liveness networks, crops that are too tight, and liveness calibrations that cannot be used.

use std::fs;
use std::os::unix::fs::symlink;

use bytes::Bytes;
use faceline_models::manifest::Crop;
use faceline_shared::job::examination::{Check, Examination};
use faceline_shared::settings::ModelSettings;
use tempfile::TempDir;

use super::*;
use crate::pipeline::tests::{free_picture, models, repository};
use crate::pipeline::{ExaminedPicture, Pipeline, PipelineSettings};

/// Examines a portrait.
fn examined(models: &Models, settings: PipelineSettings) -> ExaminedPicture {
    let live = vec![Bytes::from(free_picture("obama.jpg"))];
    let asked = Examination { live, photo: None, liveness: true, challenge: Vec::new() };
    Pipeline::new(models, settings).unwrap().examine(&asked).unwrap().live.remove(0)
}

/// The models, with a liveness network for each of these widths of the crop.
fn with_crops(models: &Models, factors: &[f32]) -> Models {
    let (liveness, mut installed): (Vec<_>, Vec<_>) =
        models.installed.iter().cloned().partition(|(_, spec)| spec.role == Role::Liveness);
    for &wanted in factors {
        let (path, mut spec) = liveness[0].clone();
        let Crop::Box { factor, .. } = &mut spec.input.crop else { panic!("{spec:?}") };
        *factor = wanted;
        installed.push((path, spec));
    }
    Models { installed: installed.into(), ..models.clone() }
}

#[test]
fn the_score_is_that_of_the_mean_of_all_liveness_networks() {
    let models = models();
    let of = |factors: &[f32]| examined(&with_crops(&models, factors), PipelineSettings::default());
    let (narrow, wide, both) = (of(&[2.7]), of(&[1.6]), of(&[2.7, 1.6]));
    let [one, other] = [narrow.log_odds[0], wide.log_odds[0]];
    assert!((one - other).abs() > 0.1, "the networks must differ: {one} {other}");
    assert_eq!(both.log_odds.len(), 2);
    for (found, alone) in both.log_odds.iter().zip([one, other]) {
        assert!((found - alone).abs() < 1e-3, "{found} {alone}");
    }
    let score = both.shown.faces[0].liveness.expect("the portrait is judged");
    let expected = models.liveness_calibration().still.score(f32::midpoint(one, other));
    assert!((score - expected).abs() < 1e-3, "{score} {expected}");
}

#[test]
fn a_crop_that_does_not_fit_is_a_finding_and_no_score() {
    let models = models();
    let with_bound = |min_surroundings| {
        let mut settings = PipelineSettings::default();
        settings.findings.min_surroundings = min_surroundings;
        let ExaminedPicture { shown, surroundings, .. } = examined(&models, settings);
        let is_close = shown.findings.iter().any(|finding| finding.check == Check::FaceTooClose);
        (is_close, shown.faces[0].liveness.is_some(), surroundings.unwrap())
    };
    let (is_close, is_scored, surroundings) = with_bound(1.0);
    assert!(!is_close && is_scored && surroundings > 1.0, "{is_close} {is_scored} {surroundings}");
    assert_eq!(with_bound(surroundings + 0.1), (true, false, surroundings));
}

/// Loads the models with an operator's calibration of this text, and gives the reason for a refusal.
fn refusal(text: Option<&str>) -> Option<String> {
    let dir = TempDir::new().unwrap();
    for entry in fs::read_dir(ModelSettings::default().dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "liveness-calibrations" {
            symlink(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
    }
    if let Some(text) = text {
        fs::create_dir(dir.path().join("liveness-calibrations")).unwrap();
        fs::write(dir.path().join("liveness-calibrations/front-desk.toml"), text).unwrap();
    }
    // A process loads the runtime from one path only.
    let installed = repository();
    let runtime = Runtime::load(installed.runtime_library(), installed.runtime_version()).unwrap();
    let repository = Repository::open(dir.path()).unwrap();
    let loaded = Models::load(&repository, &runtime, &Device::Cpu, Profile::Default, "front-desk");
    loaded.err().map(|error| error.to_string())
}

#[test]
fn a_liveness_calibration_that_cannot_be_used_is_refused_and_says_why() {
    let mut calibration = repository().manifest().liveness_calibration(Profile::Default).unwrap().clone();
    "front-desk".clone_into(&mut calibration.name);
    let unnamed = refusal(Some(&toml::to_string(&calibration).unwrap())).unwrap();
    assert!(unnamed.contains("`front-desk` was made for other liveness models"), "{unnamed}");
    calibration.models_sha256 = Some("0".repeat(64));
    let other_models = refusal(Some(&toml::to_string(&calibration).unwrap()));
    assert_eq!(other_models, Some(unnamed));
    let installed = repository();
    let models = installed.manifest().models_of(Role::Liveness, Profile::Default);
    calibration.models_sha256 = Some(models_sha256(models).unwrap());
    assert_eq!(refusal(Some(&toml::to_string(&calibration).unwrap())), None);

    let missing = refusal(None).unwrap();
    assert!(missing.contains("front-desk.toml does not exist: run"), "{missing}");
    let invalid = refusal(Some("name = 1")).unwrap();
    assert!(invalid.contains("front-desk.toml is no liveness calibration"), "{invalid}");
    let mut falling = calibration.clone();
    falling.still.high = falling.still.low;
    let falling = refusal(Some(&toml::to_string(&falling).unwrap())).unwrap();
    assert!(falling.contains("must rise"), "{falling}");
    calibration.profile = Profile::Strong;
    let other = refusal(Some(&toml::to_string(&calibration).unwrap())).unwrap();
    assert!(other.contains("is not for the profile Default"), "{other}");
}
