//! A file in memory that cannot be changed once it is complete.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// The whole video, in memory and never on a disk. It is freed when it and every process that inherited it are gone.
#[derive(Debug)]
pub struct MemoryFile {
    file: File,
    len: u64,
}

impl MemoryFile {
    /// Begins a file of at most `limit` bytes.
    ///
    /// # Errors
    /// The system has no memory or no file descriptors left.
    pub fn writer(limit: u64) -> io::Result<MemoryFileWriter> {
        let descriptor = memfd_create("faceline-video", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        Ok(MemoryFileWriter { file: File::from(descriptor), len: 0, limit })
    }

    /// A file of these bytes.
    ///
    /// # Errors
    /// As [`Self::writer`].
    pub fn of(bytes: &[u8]) -> io::Result<Self> {
        let mut writer = Self::writer(bytes.len() as u64)?;
        writer.write_all(bytes)?;
        writer.seal()
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Fills `buffer` from `offset`, and returns how many bytes there were.
    ///
    /// # Errors
    /// The system cannot read, which is not expected of memory.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match rustix::io::pread(&self.file, &mut buffer[filled..], offset + filled as u64)? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    /// All bytes, read a second time.
    ///
    /// # Errors
    /// As [`Self::read_at`].
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut file = self.reader()?;
        let mut bytes = Vec::with_capacity(usize::try_from(self.len).unwrap_or_default());
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// A descriptor with a position of its own at the start of the file, which can only read.
    pub(super) fn reader(&self) -> io::Result<File> {
        use std::os::fd::AsRawFd as _;
        let mut file = File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd()))?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }
}

impl AsFd for MemoryFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A file that is being written.
#[derive(Debug)]
pub struct MemoryFileWriter {
    file: File,
    len: u64,
    limit: u64,
}

impl MemoryFileWriter {
    /// Ends the file. From now on nobody can change it, not even this process.
    ///
    /// # Errors
    /// The system cannot seal it.
    pub fn seal(self) -> io::Result<MemoryFile> {
        fcntl_add_seals(
            &self.file,
            SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
        )?;
        Ok(MemoryFile { file: self.file, len: self.len })
    }
}

impl Write for MemoryFileWriter {
    /// Fails with [`io::ErrorKind::FileTooLarge`] beyond the limit.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.limit - self.len {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let written = self.file.write(bytes)?;
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_file_keeps_its_bytes_and_takes_no_others() {
        let mut writer = MemoryFile::writer(5).unwrap();
        writer.write_all(b"abc").unwrap();
        assert_eq!(writer.write(b"def").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        writer.write_all(b"de").unwrap();
        let file = writer.seal().unwrap();
        assert_eq!((file.len(), file.bytes().unwrap().as_slice()), (5, &b"abcde"[..]));
        let mut tail = [0; 4];
        assert_eq!(file.read_at(3, &mut tail).unwrap(), 2);
        assert_eq!(&tail[..2], b"de");
        assert!((&file.file).write(b"x").is_err(), "sealed against writing");
        assert!(file.file.set_len(0).is_err(), "sealed against shrinking");
        assert!((&file.reader().unwrap()).write(b"x").is_err(), "a reader only reads");
    }
}
