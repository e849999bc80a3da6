//! Collects the output of ffmpeg, within the limits.

use std::io::Read;
use std::time::Duration;

use super::colour::MatrixCoefficients;
use super::fault::ReadError;
use super::matroska::{Block, Reader};
use super::probe::Track;
use super::samples::Samples;
use super::{Clip, ClipFrame, Container, DecodeLimits, SamplingPlan, Thumbnail, VideoFault};

/// Bytes of the picture of 16 × 16 means, and of that of 64 × 64 points.
const MEANS: usize = 256;
const POINTS: usize = 4096;

/// The output that was read so far.
pub(super) struct Collector {
    limits: DecodeLimits,
    matrix_coefficients: MatrixCoefficients,
    size: (u32, u32),
    means: Vec<(Duration, [u8; MEANS])>,
    checksums: Vec<u32>,
    frames: Samples<ClipFrame>,
}

impl Collector {
    /// `size` is that of the sampled frames.
    pub(super) fn new(
        size: (u32, u32),
        matrix_coefficients: MatrixCoefficients,
        plan: &SamplingPlan,
        limits: &DecodeLimits,
    ) -> Self {
        let most = (limits.kept_bytes / frame_bytes(size)).min(plan.max_frames);
        let frames = Samples::new(most);
        Self { limits: *limits, matrix_coefficients, size, means: Vec::new(), checksums: Vec::new(), frames }
    }

    /// Reads to the end of the stream.
    pub(super) fn read<R: Read>(&mut self, reader: &mut Reader<R>) -> Result<(), ReadError> {
        while let Some(block) = reader.next_block()? {
            let time = Duration::from_millis(block.time.max(0).cast_unsigned());
            if time > self.limits.length {
                return Err(ReadError::Fault(VideoFault::TooLong { limit: self.limits.length }));
            }
            self.read_block(reader, block, time)?;
        }
        Ok(())
    }

    fn read_block<R: Read>(
        &mut self,
        reader: &mut Reader<R>,
        block: Block,
        time: Duration,
    ) -> Result<(), ReadError> {
        let most = self.limits.frames as usize;
        match (block.track, usize::try_from(block.len)) {
            (1, Ok(MEANS)) if self.means.len() < most => {
                let mut means = [0; MEANS];
                reader.payload(&mut means)?;
                self.means.push((time, means));
            }
            (2, Ok(POINTS)) if self.checksums.len() < most => {
                let mut points = [0; POINTS];
                reader.payload(&mut points)?;
                self.checksums.push(crc32fast::hash(&points));
            }
            (1 | 2, Ok(MEANS | POINTS)) => {
                return Err(ReadError::Fault(VideoFault::TooManyFrames { limit: self.limits.frames }));
            }
            (3, Ok(len)) if len == frame_bytes(self.size) => {
                let mut planes = vec![0; len];
                reader.payload(&mut planes)?;
                let (width, height) = self.size;
                let matrix_coefficients = self.matrix_coefficients;
                self.frames.push(ClipFrame { number: 0, time, width, height, planes, matrix_coefficients });
            }
            _ => return Err(ReadError::Stream(std::io::ErrorKind::InvalidData.into())),
        }
        Ok(())
    }

    /// # Errors
    /// [`VideoFault::Malformed`] if no frame was decoded.
    pub(super) fn into_clip(self, container: Container, track: &Track) -> Result<Clip, VideoFault> {
        if self.means.is_empty() || self.means.len() != self.checksums.len() {
            return Err(VideoFault::Malformed);
        }
        let all = self.means.into_iter().zip(self.checksums).zip(0..);
        let thumbnails: Vec<Thumbnail> = all
            .map(|(((time, luma), checksum), number)| Thumbnail { number, time, luma, checksum })
            .collect();
        let mut frames = self.frames.into_vec();
        let mut rest = thumbnails.iter().peekable();
        for frame in &mut frames {
            while rest.next_if(|thumbnail| thumbnail.time < frame.time).is_some() {}
            frame.number = rest.peek().map_or(thumbnails.len() as u32 - 1, |thumbnail| thumbnail.number);
        }
        Ok(Clip {
            container,
            codec: track.codec,
            size: track.size,
            duration: duration(&thumbnails),
            frame_count: thumbnails.len() as u32,
            frames,
            thumbnails,
        })
    }
}

/// Time from the first frame to the end of the last one.
fn duration(thumbnails: &[Thumbnail]) -> Duration {
    let times = || thumbnails.iter().map(|thumbnail| thumbnail.time);
    let mut distances: Vec<Duration> =
        times().zip(times().skip(1)).map(|(time, next)| next.saturating_sub(time)).collect();
    distances.sort_unstable();
    let median = distances.get(distances.len() / 2).copied().unwrap_or_default();
    let shown = times().next_back().unwrap_or_default().saturating_sub(times().next().unwrap_or_default());
    shown + median
}

/// Bytes of a frame of 4:2:0 planes with even sides.
fn frame_bytes((width, height): (u32, u32)) -> usize {
    width as usize * height as usize / 2 * 3
}
