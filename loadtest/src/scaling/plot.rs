//! Draws the course of a simulation as an SVG: requests, refusals, age of the queue, and pods over time.

use std::path::Path;

use super::report::{Report, Sample};
use super::traces::Trace;
use crate::plot::{BLUE, Line, ORANGE, Panel, Plot};

const SIZE: (u32, u32) = (900, 760);
const SECONDS_PER_MINUTE: f64 = 60.0;

/// Draws `report` into `file`.
///
/// # Errors
/// The file cannot be written.
pub(super) fn draw(trace: &Trace, report: &Report, file: &Path) -> anyhow::Result<()> {
    let seconds = report.samples.get(1).map_or(1.0, |sample| sample.time);
    let per_second = |count: u64| count as f64 / seconds;
    // The first sample has seen nothing.
    let samples = || report.samples.iter().skip(1);
    let line = |name, color, value: &dyn Fn(&Sample) -> f64| {
        let points = samples().map(|sample| (sample.time / SECONDS_PER_MINUTE, value(sample))).collect();
        Line { name, color, points }
    };
    let panels = vec![
        Panel {
            label: "requests a second",
            lines: vec![
                line("attempts", ORANGE, &|sample| per_second(sample.attempts)),
                line("answered", BLUE, &|sample| per_second(sample.done)),
            ],
        },
        Panel {
            label: "refused, per cent",
            lines: vec![line("refused (429, 503)", ORANGE, &|sample| {
                100.0 * sample.refused as f64 / sample.attempts.max(1) as f64
            })],
        },
        Panel {
            label: "queue age, seconds",
            lines: vec![line("oldest job", BLUE, &|sample| sample.queue_age)],
        },
        Panel {
            label: "worker pods",
            lines: vec![
                line("wanted", ORANGE, &|sample| f64::from(sample.pods)),
                line("ready", BLUE, &|sample| f64::from(sample.ready)),
            ],
        },
    ];
    let end = report.samples.last().map_or(1.0, |sample| sample.time / SECONDS_PER_MINUTE);
    let plot = Plot { title: trace.title, size: SIZE, time: "minutes", end, panels };
    std::fs::write(file, plot.svg()?)?;
    Ok(())
}
