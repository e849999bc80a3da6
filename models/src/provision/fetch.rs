//! From packages to an installation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::archive::Archive;
use super::cache::Cache;
use super::checksum;
use super::client::Clients;
use super::progress::{Event, Progress};
use super::{ProvisionError, Report};
use crate::installed::{
    FileRecord, Installed, RECORD, expected_files, model_path, picture_path, runtime_path,
};
use crate::manifest::{Manifest, Member, Model};
use crate::onnx::{GraphRunner, conversion_proof, convert};

/// One run of provisioning.
pub(super) struct Fetch<'a> {
    pub(super) dir: &'a Path,
    pub(super) manifest: &'a Manifest,
    pub(super) clients: &'a Clients,
    pub(super) progress: &'a dyn Progress,
    pub(super) runner: &'a dyn GraphRunner,
}

/// A file to install.
struct Part<'a> {
    target: PathBuf,
    member: &'a Member,
    /// What to convert it to.
    model: Option<&'a Model>,
}

impl<'a> Fetch<'a> {
    pub(super) fn run(&self) -> Result<Report, ProvisionError> {
        self.manifest.check()?;
        let cache = Cache::lock(self.dir, self.progress)?;
        let mut report = Report::default();
        let mut files = BTreeMap::new();
        for (path, sha256) in expected_files(self.manifest) {
            match checksum::of_file(&self.dir.join(&path)) {
                Ok(found) if found.sha256 == sha256 => {
                    report.present.push(path.clone());
                    files.insert(path, FileRecord { bytes: found.bytes, sha256 });
                }
                _ => {}
            }
        }
        let parts: Vec<Part<'a>> = self.parts().filter(|part| !files.contains_key(&part.target)).collect();
        self.progress.report(Event::Planned { present: files.len(), missing: parts.len() });

        let working = cache.working_dir()?;
        let sources = self.obtain(&parts, working.path())?;
        // The runtime and the pictures come first: the runtime proves the models.
        let (models, plain): (Vec<_>, Vec<_>) =
            parts.iter().zip(&sources).partition(|(part, _)| part.model.is_some());
        for (part, source) in plain {
            self.install(&cache, &mut files, part, source)?;
        }
        for (part, source) in &models {
            if let Some(model) = part.model {
                self.convert(model, source, &mut report)?;
            }
        }
        for (part, source) in models {
            self.install(&cache, &mut files, part, source)?;
        }
        report.installed = parts.into_iter().map(|part| part.target).collect();

        let record = toml::to_string(&Installed { files, manifest: self.manifest.clone() })?;
        if !std::fs::read(self.dir.join(RECORD)).is_ok_and(|old| old == record.as_bytes()) {
            cache.write(RECORD, &record)?;
        }
        self.progress.report(Event::Finished);
        Ok(report)
    }

    fn parts(&self) -> impl Iterator<Item = Part<'a>> {
        let manifest = self.manifest;
        let runtime = Part { target: runtime_path(manifest), member: &manifest.runtime.member, model: None };
        let pictures = manifest.pictures.iter().map(|(name, member)| Part {
            target: picture_path(name),
            member,
            model: None,
        });
        let models = manifest.models.values().map(|model| Part {
            target: model_path(model),
            member: &model.source,
            model: Some(model),
        });
        std::iter::once(runtime).chain(pictures).chain(models)
    }

    /// Downloads every package that a part needs, once, and takes the members out; one path a part.
    fn obtain(&self, parts: &[Part<'_>], working: &Path) -> Result<Vec<PathBuf>, ProvisionError> {
        let sources: Vec<PathBuf> =
            (0..parts.len()).map(|index| working.join(format!("{index}.part"))).collect();
        let mut packages: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, part) in parts.iter().enumerate() {
            packages.entry(&part.member.package).or_default().push(index);
        }
        for (number, (key, indices)) in packages.into_iter().enumerate() {
            let package = &self.manifest.packages[key];
            let name = format!("{} {}", package.name, package.version);
            let download = working.join(format!("{number}.download"));
            std::fs::create_dir(&download).map_err(|error| ProvisionError::io(&download, error))?;
            self.progress.report(Event::Downloading { package: &name });
            let archive = self.clients.download(package, &download)?;

            // Two parts may come from one member: one is extracted, the other copied.
            let mut wanted: BTreeMap<&str, PathBuf> = BTreeMap::new();
            for &index in &indices {
                wanted.entry(&parts[index].member.path).or_insert_with(|| sources[index].clone());
            }
            let taken = Archive { path: &archive, package: &name }.extract(&wanted)?;
            for &index in &indices {
                let member = parts[index].member;
                let actual = &taken[&member.path].sha256;
                if *actual != member.sha256 {
                    return Err(ProvisionError::Checksum {
                        file: format!("{} of package {name}", member.path),
                        expected: member.sha256.clone(),
                        actual: actual.clone(),
                    });
                }
                let extracted = &wanted[member.path.as_str()];
                if *extracted != sources[index] {
                    std::fs::copy(extracted, &sources[index])
                        .map_err(|error| ProvisionError::io(&sources[index], error))?;
                }
            }
            self.progress.report(Event::Extracted { package: &name, files: wanted.len() });
            std::fs::remove_dir_all(&download).map_err(|error| ProvisionError::io(&download, error))?;
        }
        Ok(sources)
    }

    /// Converts the file at `source` in place and proves the result equal to what was there.
    fn convert(&self, model: &Model, source: &Path, report: &mut Report) -> Result<(), ProvisionError> {
        let original = std::fs::read(source).map_err(|error| ProvisionError::io(source, error))?;
        let converted = if model.conversions.is_empty() {
            original
        } else {
            self.progress.report(Event::Converting { model: &model.name });
            let converted = convert(&original, &model.conversions)
                .map_err(|source| ProvisionError::Conversion { model: model.name.clone(), source })?;
            let proof = conversion_proof(&original, &converted, &model.input, self.runner)
                .map_err(|source| ProvisionError::Proof { model: model.name.clone(), source })?;
            self.progress.report(Event::Proven { model: &model.name, proof });
            report.proofs.insert(model.name.clone(), proof);
            converted
        };
        let actual = checksum::sha256(&converted);
        if actual != model.sha256 {
            return Err(ProvisionError::Checksum {
                file: format!("model {} after conversion", model.name),
                expected: model.sha256.clone(),
                actual,
            });
        }
        std::fs::write(source, converted).map_err(|error| ProvisionError::io(source, error))
    }

    fn install(
        &self,
        cache: &Cache<'_>,
        files: &mut BTreeMap<PathBuf, FileRecord>,
        part: &Part<'_>,
        source: &Path,
    ) -> Result<(), ProvisionError> {
        let bytes = std::fs::metadata(source).map_err(|error| ProvisionError::io(source, error))?.len();
        cache.install(source, &part.target)?;
        let sha256 = part.model.map_or(&part.member.sha256, |model| &model.sha256).clone();
        files.insert(part.target.clone(), FileRecord { bytes, sha256 });
        self.progress.report(Event::Installed { path: &part.target, bytes });
        Ok(())
    }
}
