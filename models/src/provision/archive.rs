//! Extraction of files from packages: tar.gz (npm and source archives) and zip (wheels).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use zip::ZipArchive;

use super::checksum::{Copied, CopyError, copy_hashed};
use super::error::ProvisionError;

/// Largest size of a member, in bytes. The largest member of the shipped manifest has 29 MB.
const MEMBER_LIMIT: u64 = 1 << 30;

/// Maximum number of bytes unpacked from one archive, as a protection against decompression bombs.
const ARCHIVE_LIMIT: u64 = 8 << 30;

/// A downloaded archive.
pub(super) struct Archive<'a> {
    /// The archive's file.
    pub(super) path: &'a Path,
    /// Name and version, for messages.
    pub(super) package: &'a str,
}

impl Archive<'_> {
    /// Writes each wanted member to its target. Paths inside the archive do not influence where a file is written.
    pub(super) fn extract(
        &self,
        wanted: &BTreeMap<&str, PathBuf>,
    ) -> Result<BTreeMap<String, Copied>, ProvisionError> {
        let file = File::open(self.path).map_err(|error| ProvisionError::io(self.path, error))?;
        let is_zip = self.path.extension().is_some_and(|extension| extension == "whl" || extension == "zip");
        let taken = if is_zip { self.extract_zip(file, wanted)? } else { self.extract_tar(file, wanted)? };
        match wanted.keys().find(|member| !taken.contains_key(**member)) {
            Some(member) => Err(ProvisionError::MemberMissing {
                package: self.package.to_owned(),
                member: (*member).to_owned(),
            }),
            None => Ok(taken),
        }
    }

    fn extract_tar(
        &self,
        file: File,
        wanted: &BTreeMap<&str, PathBuf>,
    ) -> Result<BTreeMap<String, Copied>, ProvisionError> {
        let unpacked = GzDecoder::new(BufReader::new(file)).take(ARCHIVE_LIMIT);
        let mut archive = tar::Archive::new(unpacked);
        let mut taken = BTreeMap::new();
        for entry in archive.entries().map_err(|error| self.damaged(&error))? {
            let mut entry = entry.map_err(|error| self.damaged(&error))?;
            let path = entry.path().map_err(|error| self.damaged(&error))?.to_string_lossy().into_owned();
            if let Some(target) = wanted.get(path.as_str())
                && entry.header().entry_type().is_file()
            {
                let copied = self.take(&path, &mut entry, target)?;
                taken.insert(path, copied);
            }
            if taken.len() == wanted.len() {
                break;
            }
        }
        Ok(taken)
    }

    fn extract_zip(
        &self,
        file: File,
        wanted: &BTreeMap<&str, PathBuf>,
    ) -> Result<BTreeMap<String, Copied>, ProvisionError> {
        let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| self.damaged(&error))?;
        let mut taken = BTreeMap::new();
        for (member, target) in wanted {
            let Some(index) = archive.index_for_name(member) else {
                continue;
            };
            let mut entry = archive.by_index(index).map_err(|error| self.damaged(&error))?;
            let copied = self.take(member, &mut entry, target)?;
            taken.insert((*member).to_owned(), copied);
        }
        Ok(taken)
    }

    fn take(&self, member: &str, from: &mut dyn Read, target: &Path) -> Result<Copied, ProvisionError> {
        let mut to = File::create(target).map_err(|error| ProvisionError::io(target, error))?;
        copy_hashed(from, &mut to, MEMBER_LIMIT).map_err(|error| match error {
            CopyError::Read(error) => self.damaged(&error),
            CopyError::Write(error) => ProvisionError::io(target, error),
            CopyError::TooLarge => ProvisionError::MemberTooLarge {
                package: self.package.to_owned(),
                member: member.to_owned(),
                limit: MEMBER_LIMIT,
            },
        })
    }

    fn damaged(&self, error: &dyn std::error::Error) -> ProvisionError {
        ProvisionError::Archive { package: self.package.to_owned(), reason: error.to_string() }
    }
}
