//! The route from a file to a clip.

use std::io::{self, BufReader, Read as _};
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Instant;

use faceline_shared::settings::ReplaySettings;

use super::child::Child;
use super::collect::Collector;
use super::fault::ReadError;
use super::matroska::Reader;
use super::probe::{self, Track};
use super::programs::{Program, Programs};
use super::{Clip, Codec, Container, DecodeError, DecodeLimits, MemoryFile, SamplingPlan, VideoFault};

/// The largest report of ffprobe, in bytes. A file with hundreds of tracks makes more, and is no recording of a camera.
const MAX_REPORT: u64 = 256 << 10;

/// Two frames of VP8 in WebM, 16 × 16 pixels.
const SAMPLE: &[u8] = include_bytes!("sample.webm");

/// Input of both programs: their standard input, opened anew. ffmpeg 5.1 cannot seek in `pipe:0`.
const INPUT: &str = "file:/proc/self/fd/0";

/// Threads of a decoder. More of them gain little on videos of phones, and each takes memory.
const MAX_THREADS: usize = 4;

/// Decodes videos. Cheap to make and to share.
#[derive(Clone, Debug)]
pub struct Decoder {
    programs: Programs,
    limits: DecodeLimits,
}

impl Decoder {
    /// A decoder that confines its children as the settings say.
    #[must_use]
    pub fn new(settings: &ReplaySettings) -> Self {
        let limits = DecodeLimits::from(settings);
        Self { programs: Programs::new(settings), limits }
    }

    /// A decoder without any confinement, for measurements on known videos in programs that cannot start themselves as a child.
    #[must_use]
    pub fn unconfined(limits: DecodeLimits) -> Self {
        Self { programs: Programs::unconfined(), limits }
    }

    /// The program that is started to confine itself, which is otherwise the running one.
    #[must_use]
    pub fn with_launcher(mut self, launcher: PathBuf) -> Self {
        self.programs.set_launcher(launcher);
        self
    }

    /// Decodes a small video to see whether this machine can: whether ffmpeg is there, runs, and can be confined.
    ///
    /// # Errors
    /// [`DecodeError`], whose text names the missing part.
    pub fn check(&self) -> Result<(), DecodeError> {
        let video = MemoryFile::of(SAMPLE).map_err(|error| DecodeError::unavailable("memory", error))?;
        let clip = self.decode(&video, &SamplingPlan::default()).map_err(|error| match error {
            DecodeError::Video(fault) => DecodeError::unavailable("ffmpeg does not decode a sample", fault),
            unavailable @ DecodeError::Unavailable(_) => unavailable,
        })?;
        let missing = self.missing_decoders(&video)?;
        if !missing.is_empty() {
            tracing::warn!(?missing, "this ffmpeg lacks decoders; videos of these codecs are refused");
        }
        tracing::debug!(frames = clip.frame_count, "videos can be decoded");
        Ok(())
    }

    /// Codecs for which this ffmpeg has no decoder.
    fn missing_decoders(&self, video: &MemoryFile) -> Result<Vec<Codec>, DecodeError> {
        let deadline = Instant::now() + self.limits.time;
        let arguments = ["-hide_banner", "-decoders"].map(str::to_owned).into();
        let mut child = self.start(Program::Ffmpeg, arguments, video, deadline)?;
        let mut list = String::new();
        let read = child.by_ref().take(MAX_REPORT).read_to_string(&mut list);
        self.end(child, read.map(drop).map_err(ReadError::Stream))?;
        let names: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
        Ok(Codec::ALL
            .into_iter()
            .filter(|codec| !codec.decoders().iter().any(|name| names.contains(name)))
            .collect())
    }

    /// Decodes `video` once, and returns thumbnails of all frames and the frames of the plan. Blocks the thread.
    ///
    /// # Errors
    /// [`DecodeError::Video`] if the video is at fault, [`DecodeError::Unavailable`] if this worker is.
    pub fn decode(&self, video: &MemoryFile, plan: &SamplingPlan) -> Result<Clip, DecodeError> {
        let deadline = Instant::now() + self.limits.time;
        let container = Container::sniff(video)
            .map_err(|error| DecodeError::unavailable("the video cannot be read", error))?
            .ok_or(VideoFault::UnsupportedFormat)?;
        let track = self.probe(video, container, deadline)?;
        let frame_size = track.sampled_size(plan);
        let mut child =
            self.start(Program::Ffmpeg, self.decode_arguments(container, &track, plan), video, deadline)?;
        let mut collector = Collector::new(frame_size, track.matrix_coefficients, plan, &self.limits);
        let mut reader = Reader::new(BufReader::with_capacity(64 << 10, child.by_ref()));
        let collected = collector.read(&mut reader);
        drop(reader);
        self.end(child, collected)?;
        Ok(collector.into_clip(container, &track)?)
    }

    /// Asks ffprobe for the track to decode, and for its first frames.
    ///
    /// Headers alone decide (`nofind_stream_info`), so no track is decoded but the first video, and that by a listed decoder.
    fn probe(
        &self,
        video: &MemoryFile,
        container: Container,
        deadline: Instant,
    ) -> Result<Track, DecodeError> {
        let mut arguments = self.input_arguments(container, "-codec_whitelist:V:0");
        arguments.extend(
            "-nofind_stream_info -select_streams V:0 -read_intervals %+#5 -of json=c=1 -show_streams -show_frames -show_format"
                .split(' ')
                .map(str::to_owned),
        );
        let mut child = self.start(Program::Ffprobe, arguments, video, deadline)?;
        let mut report = Vec::new();
        let read = child.by_ref().take(MAX_REPORT).read_to_end(&mut report);
        if report.len() as u64 == MAX_REPORT {
            return Err(VideoFault::Malformed.into());
        }
        self.end(child, read.map(drop).map_err(ReadError::Stream))?;
        Ok(probe::track(&report, &self.limits)?)
    }

    /// Options of both programs, with the input as the last. Demuxer and protocols are forced, and only listed decoders may run.
    fn input_arguments(&self, container: Container, decoders: &str) -> Vec<String> {
        let mut arguments: Vec<String> = ["-hide_banner", "-loglevel", "error"].map(str::to_owned).into();
        arguments.extend(["-f", container.demuxer()].map(str::to_owned));
        arguments.extend(container.options().iter().map(|option| (*option).to_owned()));
        arguments.extend(["-protocol_whitelist", "file,pipe"].map(str::to_owned));
        arguments.extend([decoders.to_owned(), Codec::all_decoders()]);
        arguments.extend(["-max_streams", "32", "-max_pixels"].map(str::to_owned));
        arguments.extend([self.limits.pixels.to_string(), "-i".into(), INPUT.into()]);
        arguments
    }

    /// ffmpeg writes one Matroska stream of three tracks of raw pictures: means and points of all frames, and the sampled frames.
    ///
    /// `fps_mode passthrough` neither repeats nor drops frames, and `enc_time_base` keeps their times whatever the frame rate is.
    /// Frames are turned upright before the filters, as by a player.
    fn decode_arguments(&self, container: Container, track: &Track, plan: &SamplingPlan) -> Vec<String> {
        let threads = available_parallelism().map_or(1, std::num::NonZero::get).min(MAX_THREADS);
        let mut arguments: Vec<String> = ["-nostdin", "-max_error_rate", "0.1"].map(str::to_owned).into();
        arguments.extend(["-filter_complex_threads".into(), threads.to_string()]);
        arguments.extend(["-threads".into(), threads.to_string()]);
        arguments.extend(self.input_arguments(container, "-codec_whitelist"));
        arguments.extend(["-filter_complex".into(), filters(track, plan)]);
        let output = "-map [means] -map [points] -map [frames] -c:v rawvideo -threads 1 -enc_time_base 1:1000 -fps_mode passthrough";
        arguments.extend(output.split(' ').map(str::to_owned));
        arguments.extend(["-f", "matroska", "pipe:1"].map(str::to_owned));
        arguments
    }

    fn start(
        &self,
        program: Program,
        arguments: Vec<String>,
        video: &MemoryFile,
        deadline: Instant,
    ) -> Result<Child, DecodeError> {
        let mut command = self.programs.command(program, &self.limits)?;
        Child::start(command.args(arguments), video, deadline)
            .map_err(|error| DecodeError::unavailable("the child does not start", error))
    }

    /// Judges how the child and the reading of its output ended.
    fn end(&self, child: Child, read: Result<(), ReadError>) -> Result<(), DecodeError> {
        match read {
            Err(ReadError::Fault(fault)) => return Err(fault.into()),
            Err(ReadError::Stream(error)) if error.kind() == io::ErrorKind::TimedOut => {
                return Err(VideoFault::TooSlow.into());
            }
            Ok(()) | Err(ReadError::Stream(_)) => (),
        }
        let ended = child.finish().map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => DecodeError::from(VideoFault::TooSlow),
            _ => DecodeError::unavailable("the end of ffmpeg", error),
        })?;
        if ended.is_complete() && read.is_ok() { Ok(()) } else { Err(ended.explain(&self.limits)) }
    }
}

/// The filter graph of the three outputs.
fn filters(track: &Track, plan: &SamplingPlan) -> String {
    let (width, height) = track.sampled_size(plan);
    let rate = plan.rate.max(0.01);
    // Times are rounded to milliseconds by some containers, so a frame may come 2 ms before its interval.
    let interval = |time: &str| format!("floor(({time}-start_t+0.002)*{rate})");
    let select = format!("isnan(prev_selected_t)+gt({},{})", interval("t"), interval("prev_selected_t"));
    format!(
        "[0:V:0]split=3[a][b][c];\
         [a]scale=16:16:flags=area,format=gray[means];\
         [b]scale=64:64:flags=neighbor,format=gray[points];\
         [c]select='{select}',scale={width}:{height}:flags=bilinear:out_range=tv,format=yuv420p[frames]",
    )
}
