//! A child process that reads a video: its output as a stream, its deadline, and its guaranteed end.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::process::{Child as Process, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::MemoryFile;
use super::ended::Ended;

/// Bytes of the child's error output that are kept. The rest is read and dropped.
const MAX_STDERR_BYTES: usize = 4096;

/// A running child. Dropping it kills and reaps it.
pub(super) struct Child {
    process: Process,
    ended: OwnedFd,
    stdout: ChildStdout,
    stderr: Option<ChildStderr>,
    stderr_text: Vec<u8>,
    started: Instant,
    deadline: Instant,
}

impl Child {
    /// Starts `command` with the video as its standard input.
    ///
    /// # Errors
    /// The system does not start it.
    pub(super) fn start(command: &mut Command, video: &MemoryFile, deadline: Instant) -> io::Result<Self> {
        let started = Instant::now();
        let mut process = command
            .env_clear()
            .stdin(Stdio::from(video.reader()?))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let ended = pidfd_open(Pid::from_child(&process), PidfdFlags::empty());
        match (stdout, stderr, ended) {
            (Some(stdout), stderr, Ok(ended)) => {
                Ok(Self { process, ended, stdout, stderr, stderr_text: Vec::new(), started, deadline })
            }
            (_, _, ended) => {
                let _ = process.kill();
                let _ = process.wait();
                Err(ended.map_or_else(io::Error::from, |_| io::ErrorKind::BrokenPipe.into()))
            }
        }
    }

    /// Waits for the end of a child whose output ended, and returns its status and what it wrote to standard error.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] after the deadline.
    pub(super) fn finish(mut self) -> io::Result<Ended> {
        loop {
            let mut events = [PollFd::new(&self.ended, PollFlags::IN)];
            let ready = match &self.stderr {
                Some(stderr) => {
                    let mut events = [PollFd::new(stderr, PollFlags::IN), events[0].clone()];
                    wait(&mut events, self.deadline)?;
                    [!events[0].revents().is_empty(), !events[1].revents().is_empty()]
                }
                None => {
                    wait(&mut events, self.deadline)?;
                    [false, true]
                }
            };
            match ready {
                [true, _] => self.read_stderr()?,
                [false, true] => break,
                [false, false] => (),
            }
        }
        // The child may have written its last lines and ended between the checks of its error output and of its end.
        while self.has_stderr()? {
            self.read_stderr()?;
        }
        let status = self.process.wait()?;
        let stderr_text = String::from_utf8_lossy(&self.stderr_text).into_owned();
        Ok(Ended { status, time: self.started.elapsed(), stderr_text })
    }

    fn has_stderr(&self) -> io::Result<bool> {
        let Some(stderr) = &self.stderr else { return Ok(false) };
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut events = [PollFd::new(stderr, PollFlags::IN)];
        Ok(retry_on_intr(|| poll(&mut events, Some(&at_once)))? > 0)
    }

    fn read_stderr(&mut self) -> io::Result<()> {
        let Some(stderr) = &mut self.stderr else { return Ok(()) };
        let mut buffer = [0; MAX_STDERR_BYTES];
        match stderr.read(&mut buffer)? {
            0 => self.stderr = None,
            count => {
                let room = MAX_STDERR_BYTES - self.stderr_text.len();
                self.stderr_text.extend_from_slice(&buffer[..count.min(room)]);
            }
        }
        Ok(())
    }
}

impl Read for Child {
    /// Reads standard output, and meanwhile standard error, so the child never waits for a reader.
    /// Fails with [`io::ErrorKind::TimedOut`] after the deadline.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let (has_output, has_stderr) = match &self.stderr {
                Some(stderr) => {
                    let mut events =
                        [PollFd::new(&self.stdout, PollFlags::IN), PollFd::new(stderr, PollFlags::IN)];
                    wait(&mut events, self.deadline)?;
                    (!events[0].revents().is_empty(), !events[1].revents().is_empty())
                }
                None => {
                    wait(&mut [PollFd::new(&self.stdout, PollFlags::IN)], self.deadline)?;
                    (true, false)
                }
            };
            if has_stderr {
                self.read_stderr()?;
            }
            if has_output {
                return self.stdout.read(buffer);
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // After `finish` both do nothing: the process was reaped.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits for one of `events`.
fn wait(events: &mut [PollFd<'_>], deadline: Instant) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // A millisecond more, since the system may round down.
        let left = left + Duration::from_millis(1);
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(events, Some(&left)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => (),
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
