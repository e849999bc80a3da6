//! The settings and where they come from.

use faceline_shared::secret_file;
use faceline_shared::settings::{self, SettingsError, Sources};

use super::finding::Finding;
use super::subject::{Role, Subject};

/// Checks the sources of the settings. `error` is the reason if the settings cannot be read.
pub(super) fn of_sources(sources: &Sources, error: Option<&SettingsError>) -> Vec<Finding> {
    let mut findings = vec![match error {
        None => Finding::ok("settings", "all settings are known and fit together"),
        Some(error) => Finding::error(
            "settings",
            error,
            "correct or remove this setting (docs/settings.md lists all of them), and run this command again: no program starts with it, \
             and nothing else was checked",
        ),
    }];
    for ignored in settings::ignored_variables() {
        findings.push(Finding::warning(
            "settings",
            ignored.to_string(),
            "rename the variable or remove it; docs/settings.md lists all settings",
        ));
    }
    if let (Some(file), Some(key)) = (&sources.file, sources.secret_in_file())
        && secret_file::is_readable_by_others(file).unwrap_or(false)
    {
        findings.push(Finding::warning(
            "settings",
            format!("{} holds a secret ({key}), and others can read it", file.display()),
            "chmod 600 it, or give the secret in the environment",
        ));
    }
    findings
}

/// Checks what the settings of several processes require of each other.
pub(super) fn check(subject: &Subject) -> Vec<Finding> {
    let settings = &subject.settings;
    if settings.broker.url.is_embedded() {
        return match subject.role {
            Role::Standalone => vec![],
            Role::Gateway | Role::Worker => vec![Finding::problem(
                "settings",
                "broker.url is not set, so this process and others do not find each other's jobs",
                "set broker.url to that of RabbitMQ, or run `faceline`, which has both roles",
            )],
        };
    }
    let own = "the files of one process are not those of others: gateways and workers elsewhere do not find";
    let unshared = [
        ("objects.url", settings.objects.url.is_none(), "videos and pictures of sessions"),
        ("keys.file", settings.keys.file.is_none(), "the keys that open what this one seals"),
        ("signing.file", settings.signing.file.is_none() && subject.has_gateway(), "its signing keys"),
        (
            "replay.keys_file",
            settings.replay.keys_file.is_none() && subject.has_gateway(),
            "its keys for uploads of replays",
        ),
    ];
    let unshared = unshared.into_iter().filter(|(_, is_unshared, _)| *is_unshared);
    let warn = |(setting, _, what)| {
        let found =
            format!("{setting} is not set although broker.url leads to other processes; {own} {what}");
        Finding::warning("settings", found, format!("give all of them the same and name it by {setting}"))
    };
    unshared.map(warn).collect()
}
