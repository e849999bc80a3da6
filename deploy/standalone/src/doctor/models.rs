//! The models and the decoder of videos, as a worker uses them.

use faceline_models::provision;
use faceline_worker::{check_models, video};

use super::finding::Finding;
use super::subject::Subject;

const FETCH: &str = "run `faceline-models fetch` for models.dir, with the --profile of models.profile";

pub(super) fn check(subject: &Subject) -> Vec<Finding> {
    const CHECK: &str = "models";
    let settings = &subject.settings;
    let folder = settings.models.dir.display();
    match provision::verify(&settings.models.dir) {
        // No code of an altered library may run, so nothing is loaded in this case.
        Ok(faults) if !faults.is_empty() => {
            return faults
                .iter()
                .map(|fault| Finding::problem(CHECK, format!("{folder}: {fault}"), FETCH))
                .collect();
        }
        Ok(_) => (),
        Err(error) => return vec![of_error(CHECK, &error.to_string())],
    }
    let verified = Finding::ok(CHECK, format!("all files in {folder} have the checksums of the manifest"));
    let loaded = match check_models(settings) {
        Ok(calibration) => Finding::ok(
            CHECK,
            format!(
                "the models of the profile {:?} load on {} with the liveness calibration {}",
                settings.models.profile, settings.inference.device, calibration.name
            ),
        ),
        Err(error) => of_error(CHECK, &error.to_string()),
    };
    vec![verified, loaded]
}

/// Splits an error about models. Many of their messages end with a colon and the command to run.
fn of_error(check: &'static str, text: &str) -> Finding {
    match text.rsplit_once(": ") {
        Some((found, remedy)) if remedy.contains("`faceline-models") => {
            Finding::problem(check, found, remedy)
        }
        _ if text.contains("face.algorithm") => Finding::problem(
            check,
            text,
            "set face.algorithm and face.template_version to those of the models in all programs, or install the models that they name",
        ),
        _ => Finding::problem(check, text, FETCH),
    }
}

/// Checks that ffmpeg decodes a sample with the confinement that the settings require.
pub(super) fn videos(subject: &Subject) -> Vec<Finding> {
    const CHECK: &str = "videos";
    let settings = &subject.settings;
    if settings.inference.replay_slots == 0 {
        return vec![Finding::ok(CHECK, "this worker takes no videos, because inference.replay_slots is 0")];
    }
    vec![match video::Decoder::new(&settings.replay).check() {
        Ok(()) => Finding::ok(
            CHECK,
            format!(
                "{} decodes a sample; confinement is {:?}",
                settings.replay.ffmpeg.display(),
                settings.replay.confinement
            ),
        ),
        Err(error) => {
            let text = error.to_string();
            let remedy = if text.contains("there is no program") {
                "install ffmpeg 5.1 or later with ffprobe, or name it by replay.ffmpeg; with inference.replay_slots = 0 this worker takes no videos"
            } else {
                "the kernel must have Landlock (Linux 5.13, `landlock` in /sys/kernel/security/lsm) and seccomp, and the container runtime must \
                 allow their system calls; replay.confinement = \"off\" decodes without them, which lets a hostile video read this process's files"
            };
            Finding::problem(CHECK, text, remedy)
        }
    }]
}
