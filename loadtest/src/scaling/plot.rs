//! Draws the course of a simulation as an SVG: requests, refusals, age of the queue, and pods over time.

use std::path::Path;

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::report::{Report, Sample};
use super::traces::Trace;

const SIZE: (u32, u32) = (900, 760);
const PANELS: usize = 4;
/// Colours that people with colour blindness can tell apart (Okabe and Ito).
const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(213, 94, 0);
const FONT: &str = "sans-serif";
const SECONDS_PER_MINUTE: f64 = 60.0;

/// A line of a panel.
struct Line<'a> {
    name: &'a str,
    color: RGBColor,
    value: &'a dyn Fn(&Sample) -> f64,
}

/// Draws `report` into `file`.
///
/// # Errors
/// The file cannot be written.
pub(super) fn draw(trace: &Trace, report: &Report, file: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        draw_panels(&root, trace, report).map_err(|error| anyhow!("{error}"))?;
    }
    std::fs::write(file, text)?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw_panels<'a>(root: &Area<'a>, trace: &Trace, report: &Report) -> Drawn<'a> {
    root.fill(&WHITE)?;
    let below = root.titled(trace.title, (FONT, 20))?;
    let per_second = |count: u64| count as f64 / sample_seconds(report);
    let refused = |sample: &Sample| 100.0 * sample.refused as f64 / sample.attempts.max(1) as f64;
    let attempts = |sample: &Sample| per_second(sample.attempts);
    let answered = |sample: &Sample| per_second(sample.done);
    let queue_age = |sample: &Sample| sample.queue_age;
    let wanted = |sample: &Sample| f64::from(sample.pods);
    let ready = |sample: &Sample| f64::from(sample.ready);
    let panels: [(&str, Vec<Line<'_>>); PANELS] = [
        (
            "requests a second",
            vec![
                Line { name: "attempts", color: ORANGE, value: &attempts },
                Line { name: "answered", color: BLUE, value: &answered },
            ],
        ),
        ("refused, per cent", vec![Line { name: "refused (429, 503)", color: ORANGE, value: &refused }]),
        ("queue age, seconds", vec![Line { name: "oldest job", color: BLUE, value: &queue_age }]),
        (
            "worker pods",
            vec![
                Line { name: "wanted", color: ORANGE, value: &wanted },
                Line { name: "ready", color: BLUE, value: &ready },
            ],
        ),
    ];
    for (area, (label, lines)) in below.split_evenly((PANELS, 1)).iter().zip(&panels) {
        panel(area, label, lines, &report.samples)?;
    }
    root.present()
}

fn sample_seconds(report: &Report) -> f64 {
    report.samples.get(1).map_or(1.0, |sample| sample.time)
}

fn panel<'a>(area: &Area<'a>, label: &str, lines: &[Line<'_>], samples: &[Sample]) -> Drawn<'a> {
    let points = |line: &Line<'_>| -> Vec<(f64, f64)> {
        // The first sample has seen nothing.
        samples
            .iter()
            .skip(1)
            .map(|sample| (sample.time / SECONDS_PER_MINUTE, (line.value)(sample)))
            .collect()
    };
    let end = samples.last().map_or(1.0, |sample| sample.time / SECONDS_PER_MINUTE);
    let highest = lines.iter().flat_map(points).map(|(_, value)| value).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(6)
        .x_label_area_size(28)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..end, 0.0..(highest * 1.1).max(1.0))?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc("minutes").y_desc(label).light_line_style(WHITE).x_labels(12).y_labels(5).draw()?;
    for line in lines {
        let color = line.color;
        let drawn = chart.draw_series(LineSeries::new(points(line), color.stroke_width(2)))?;
        drawn.label(line.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color));
    }
    let mut legend = chart.configure_series_labels();
    legend
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(WHITE)
        .draw()
}
