//! Checksums of files, and copying with a size limit and a checksum.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};

/// Size and checksum of a copy.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Copied {
    pub(super) bytes: u64,
    /// Lower-case hex.
    pub(super) sha256: String,
}

/// Reasons why a copy failed.
#[derive(Debug)]
pub(super) enum CopyError {
    Read(io::Error),
    Write(io::Error),
    TooLarge,
}

/// Copies at most `limit` bytes.
pub(super) fn copy_hashed(from: &mut dyn Read, to: &mut dyn Write, limit: u64) -> Result<Copied, CopyError> {
    let mut digest = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Read(error)),
        };
        bytes += count as u64;
        if bytes > limit {
            return Err(CopyError::TooLarge);
        }
        digest.update(&buffer[..count]);
        to.write_all(&buffer[..count]).map_err(CopyError::Write)?;
    }
    Ok(Copied { bytes, sha256: hex(digest.finish().as_ref()) })
}

/// SHA-256 of bytes in memory, lower-case hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&SHA256, bytes).as_ref())
}

/// Size and SHA-256 of a file.
pub(super) fn of_file(path: &Path) -> io::Result<Copied> {
    copy_hashed(&mut File::open(path)?, &mut io::sink(), u64::MAX).map_err(|error| match error {
        CopyError::Read(error) | CopyError::Write(error) => error,
        CopyError::TooLarge => io::ErrorKind::FileTooLarge.into(),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_fips_180() {
        let copied = copy_hashed(&mut &b"abc"[..], &mut io::sink(), 3).unwrap();
        assert_eq!(copied.bytes, 3);
        assert_eq!(copied.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(sha256(b"abc"), copied.sha256);
    }

    #[test]
    fn a_full_disk_and_too_much_data_are_told_apart() {
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        let error = copy_hashed(&mut &b"abc"[..], &mut full, 3).unwrap_err();
        assert!(matches!(error, CopyError::Write(error) if error.kind() == io::ErrorKind::StorageFull));
        assert!(matches!(copy_hashed(&mut &b"abc"[..], &mut io::sink(), 2), Err(CopyError::TooLarge)));
    }
}
