//! The manifest as a whole: reading and checking it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::age_correction::AgeCorrection;
use super::model::{Model, Profile, Role};
use super::output::Output;
use super::package::{Member, Package, Registry};
use crate::calibration::{Calibration, CalibrationError};
use crate::liveness::LivenessCalibration;

/// The manifest that ships with this crate.
pub const DEFAULT_MANIFEST: &str = include_str!("../../manifest.toml");

/// All files that provisioning fetches and the worker loads.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format of this file; 2 is the only one.
    pub format: u32,
    /// Archives of public package registries, by the name that members refer to.
    pub packages: BTreeMap<String, Package>,
    /// ONNX Runtime's shared library.
    pub runtime: Runtime,
    /// The models: several of the roles whose outputs are averaged, one of each other role.
    pub models: Vec<Model>,
    /// Calibration tables that an operator made with `faceline-models calibrate`. One with the name of a shipped table
    /// replaces that table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calibrations: Vec<Calibration>,
    /// Calibrations of passive liveness, one for each profile. Each maps the mean log-odds of the liveness models to a
    /// score.
    #[serde(default)]
    pub liveness_calibrations: Vec<LivenessCalibration>,
    /// Correction of the mean of the age models' estimates.
    #[serde(default)]
    pub age_correction: AgeCorrection,
    /// Pictures under free licences, for a new user's first calls and for the project's own tests.
    #[serde(default)]
    pub pictures: BTreeMap<String, Member>,
}

/// ONNX Runtime's shared library.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// The library's version, checked before it is initialised.
    pub version: String,
    /// The library's file.
    #[serde(flatten)]
    pub member: Member,
}

/// Reasons to refuse a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("cannot read the manifest {path}")]
    Read {
        /// The file.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The text is not TOML in the manifest's format.
    #[error("the manifest is not of the form: {0}")]
    Form(#[from] toml::de::Error),
    /// A value is out of its range, or names a package that the manifest does not have.
    #[error("the manifest contradicts itself: {0}")]
    Inconsistent(String),
}

impl Manifest {
    /// The manifest that ships with this crate.
    ///
    /// # Errors
    /// The manifest that ships is invalid, which the tests of this crate rule out.
    pub fn default_manifest() -> Result<Self, ManifestError> {
        Self::parse(DEFAULT_MANIFEST)
    }

    /// Reads a user's own manifest.
    ///
    /// # Errors
    /// The file cannot be read, is not in the manifest's format, or is inconsistent.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ManifestError::Read { path: path.display().to_string(), source })?;
        Self::parse(&text)
    }

    /// Reads the text of a manifest.
    ///
    /// # Errors
    /// [`ManifestError::Form`] or [`ManifestError::Inconsistent`].
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Every file that comes from a package.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        let models = self.models.iter().flat_map(Model::members);
        std::iter::once(&self.runtime.member).chain(self.pictures.values()).chain(models)
    }

    /// The models of a role in a profile, in the manifest's order.
    pub fn models_of(&self, role: Role, profile: Profile) -> impl Iterator<Item = &Model> {
        self.models.iter().filter(move |model| model.role == role && model.profile <= profile)
    }

    /// The first model of a role.
    #[must_use]
    pub fn model(&self, role: Role) -> Option<&Model> {
        self.models.iter().find(|model| model.role == role)
    }

    /// The table from similarity to false acceptance rate of the embedding that the manifest names.
    ///
    /// # Errors
    /// The manifest has no embedding, its table is neither in the manifest nor one that ships, or the one that ships
    /// was measured for another algorithm.
    pub fn calibration(&self) -> Result<Calibration, CalibrationError> {
        let Some(Output::Embedding { calibration, algorithm, .. }) =
            self.model(Role::Embedding).map(|model| &model.output)
        else {
            return Err(CalibrationError::NoEmbedding);
        };
        let own = self.calibrations.iter().find(|table| table.name() == calibration);
        own.map_or_else(|| Calibration::shipped(calibration, algorithm), |table| Ok(table.clone()))
    }

    /// The liveness calibration of a profile.
    #[must_use]
    pub fn liveness_calibration(&self, profile: Profile) -> Option<&LivenessCalibration> {
        self.liveness_calibrations.iter().find(|calibration| calibration.profile == profile)
    }

    pub(crate) fn check(&self) -> Result<(), ManifestError> {
        let fail = |reason: String| Err(ManifestError::Inconsistent(reason));
        if self.format != 2 {
            return fail(format!("format {} is not known", self.format));
        }
        for (key, package) in &self.packages {
            if package.registry == Registry::Pypi && package.source_archive == package.wheel.is_some() {
                return fail(format!("package `{key}` needs either `source_archive` or `wheel`"));
            }
            if package.registry == Registry::Npm && (package.source_archive || package.wheel.is_some()) {
                return fail(format!("package `{key}` is of npm, which has no wheels"));
            }
            if (package.registry == Registry::Https) == package.addresses.is_empty() {
                return fail(format!(
                    "package `{key}` needs `addresses` if, and only if, its registry is `https`"
                ));
            }
            if let Some(address) = package.addresses.iter().find(|address| !is_address(address)) {
                return fail(format!("`{address}` of package `{key}` is no https address with `{{path}}`"));
            }
            if package.name.starts_with('-') || package.version.starts_with('-') {
                return fail(format!("package `{key}` would be taken for an option"));
            }
        }
        for member in self.members() {
            if !self.packages.contains_key(&member.package) {
                return fail(format!("no package is named `{}`", member.package));
            }
        }
        let sums = self.members().map(|member| &member.sha256);
        if let Some(sum) =
            sums.chain(self.models.iter().map(|model| &model.sha256)).find(|sum| !is_sha256(sum))
        {
            return fail(format!("`{sum}` is not a SHA-256 in lower-case hex"));
        }
        let mut roles = BTreeSet::new();
        for model in &self.models {
            if !roles.insert(model.role) && !model.role.is_averaged() {
                return fail(format!("model `{}` is the second one for {:?}", model.name, model.role));
            }
        }
        if let Err(reason) = self.age_correction.check() {
            return fail(format!("the age correction {reason}"));
        }
        let mut tables = BTreeSet::new();
        for table in &self.calibrations {
            if let Err(error) = table.check() {
                return fail(error.to_string());
            }
            if !tables.insert(table.name()) {
                return fail(format!("calibration table `{}` is there twice", table.name()));
            }
        }
        for model in &self.models {
            if let Output::Embedding { length_scale, .. } = model.output
                && !(length_scale.is_finite() && length_scale > 0.0)
            {
                return fail(format!("`length_scale` of model `{}` is not above 0", model.name));
            }
        }
        for calibration in &self.liveness_calibrations {
            if let Err(reason) = calibration.check() {
                return fail(format!("liveness calibration `{}`: {reason}", calibration.name));
            }
        }
        let names = self.models.iter().map(|model| &model.name).chain(self.pictures.keys());
        let names = names.chain(self.liveness_calibrations.iter().map(|calibration| &calibration.name));
        if let Some(name) = names.chain([&self.runtime.version]).find(|name| !is_file_name(name)) {
            return fail(format!("`{name}` cannot be the name of a file"));
        }
        Ok(())
    }
}

/// Returns whether `text` is an address for downloads: HTTPS, or plain HTTP for a server on this machine.
fn is_address(text: &str) -> bool {
    let schemes = ["https://", "http://127.0.0.1:", "http://localhost:"];
    text.contains("{path}")
        && schemes.iter().any(|scheme| text.starts_with(scheme))
        // Text before an `@` would be a user name and a password, and the host would follow the `@`.
        && !text.contains(|character: char| character == '@' || character.is_whitespace() || character.is_control())
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_file_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_manifest_has_a_model_for_each_role() {
        let manifest = Manifest::default_manifest().unwrap();
        let count = |role, profile| manifest.models_of(role, profile).count();
        for role in [Role::Detector, Role::Landmarks, Role::Embedding, Role::HeadPose, Role::EyeOpen] {
            assert_eq!((count(role, Profile::Default), count(role, Profile::Strong)), (1, 1), "{role:?}");
        }
        assert_eq!((count(Role::Liveness, Profile::Default), count(Role::Liveness, Profile::Strong)), (1, 3));
        assert!(count(Role::Age, Profile::Default) > 0);
        for model in &manifest.models {
            let is_of_registries =
                model.members().all(|member| manifest.packages[&member.package].registry != Registry::Https);
            assert!(is_of_registries || model.profile == Profile::Strong, "{}", model.name);
        }
        let again = toml::to_string(&manifest).unwrap();
        assert_eq!(toml::to_string(&Manifest::parse(&again).unwrap()).unwrap(), again);
    }

    #[test]
    fn contradictions_are_named() {
        let cases = [
            ("format = 2", "format = 1", "format 1 is not known"),
            ("[packages.onnxruntime]", "[packages.other]", "no package is named `onnxruntime`"),
            ("name = \"face-detector\"", "name = \"../face\"", "`../face` cannot be the name of a file"),
            ("sha256 = \"6c02", "sha256 = \"6C02", "is not a SHA-256"),
            ("source_archive = true", "source_archive = false", "needs either"),
            ("registry = \"https\"", "registry = \"npm\"", "needs `addresses` if, and only if"),
            ("\"https://raw", "\"http://raw", "is no https address"),
            ("\"https://raw", "\"http://localhost:1@raw", "is no https address"),
            ("/{path}\"", "/path\"", "is no https address"),
            ("age_correction = [", "age_correction = [[0.0, 900.0], ", "the age correction needs two points"),
            ("still = { scale = 0.76", "still = { scale = 0.0", "`faceline-default-1`: a scale must be"),
            (
                "weights = { package = \"human-models\"",
                "weights = { package = \"else\"",
                "no package is named `else`",
            ),
        ];
        for (text, instead, reason) in cases {
            assert!(DEFAULT_MANIFEST.contains(text), "{text}");
            let error = Manifest::parse(&DEFAULT_MANIFEST.replace(text, instead)).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert!(matches!(Manifest::parse("format = 2\nother = 2"), Err(ManifestError::Form(_))));
    }

    #[test]
    fn the_range_of_an_input_covers_all_channels() {
        let manifest = Manifest::default_manifest().unwrap();
        let (low, high) = manifest.model(Role::Detector).unwrap().input.range();
        assert_eq!((low, high), (-127.0 / 128.0, 1.0));
        let (low, high) = manifest.model(Role::HeadPose).unwrap().input.range();
        assert!((-2.12..-2.11).contains(&low) && (2.63..2.65).contains(&high), "{low} {high}");
    }

    const OWN_TABLE: &str = "name = \"own\"\nknots = [[-1.0, 0.0], [0.5, -4.0], [1.0, -18.0]]\n";

    #[test]
    fn an_embedding_uses_a_table_of_the_manifest_or_one_measured_for_its_algorithm() {
        let shipped = Manifest::default_manifest().unwrap().calibration().unwrap();
        assert_eq!(shipped.name(), "face-embedding-1");

        let other = DEFAULT_MANIFEST.replace("\"FL1_512\"", "\"OWN_512\"");
        let error = Manifest::parse(&other).unwrap().calibration().unwrap_err();
        assert!(matches!(error, CalibrationError::OtherAlgorithm { .. }), "{error}");

        let named = other.replace("calibration = \"face-embedding-1\"", "calibration = \"own\"");
        let error = Manifest::parse(&named).unwrap().calibration().unwrap_err();
        assert!(error.to_string().contains("[[calibrations]]"), "{error}");

        let own = Manifest::parse(&format!("{named}\n[[calibrations]]\n{OWN_TABLE}")).unwrap();
        assert_eq!(own.calibration().unwrap().log10_far(0.5), -4.0);
        // The record of an installation is the manifest, written and read again.
        let recorded = Manifest::parse(&toml::to_string(&own).unwrap()).unwrap();
        assert_eq!(recorded.calibration().unwrap(), own.calibration().unwrap());
    }

    #[test]
    fn a_table_that_is_none_and_a_second_one_of_a_name_are_refused() {
        let table = format!("\n[[calibrations]]\n{OWN_TABLE}");
        let cases = [
            (table.replace("0.0]", "-1.0]"), "calibration table `own`: it must lead from"),
            (table.repeat(2), "calibration table `own` is there twice"),
        ];
        for (tables, reason) in cases {
            let error = Manifest::parse(&format!("{DEFAULT_MANIFEST}{tables}")).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let scaled = "template_version = 1\nlength_scale = 0.0";
        let error = Manifest::parse(&DEFAULT_MANIFEST.replace("template_version = 1", scaled)).unwrap_err();
        assert!(
            error.to_string().contains("`length_scale` of model `face-embedding` is not above 0"),
            "{error}"
        );
    }
}
