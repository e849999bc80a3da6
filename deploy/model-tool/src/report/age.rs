//! The report of an evaluation of estimated ages.

use std::fmt::Write as _;
use std::path::Path;

use super::chart::{Axis, Chart, Curve};
use super::{head, table, write_files};
use crate::age_figures::{AgeFigures, name};

/// The highest age on the axes, in years.
const MAX_AGE: f64 = 100.0;

/// Writes `report.html`, `report.json`, and a picture for each chart.
pub(crate) fn write(folder: &Path, figures: &AgeFigures) -> anyhow::Result<()> {
    let charts = [("estimates.svg", estimates(figures)), ("errors.svg", errors(figures))];
    write_files(folder, &charts, &figures.to_json(), |pictures| page(figures, pictures))
}

/// A chart of all faces and of the bands' means.
fn estimates(figures: &AgeFigures) -> Chart {
    let means = figures.bands.iter().map(|(_, errors)| (errors.age, errors.age + errors.bias));
    Chart {
        title: "Estimated and true age",
        x: Axis::linear("true age in years", 0.0, MAX_AGE),
        y: Axis::linear("estimated age in years", 0.0, MAX_AGE),
        curves: vec![
            Curve { name: "mean of each band", points: means.collect() },
            Curve { name: "no error", points: vec![(0.0, 0.0), (MAX_AGE, MAX_AGE)] },
        ],
        dots: figures.pairs.iter().map(|pair| (f64::from(pair.age), f64::from(pair.estimate))).collect(),
    }
}

fn errors(figures: &AgeFigures) -> Chart {
    let curve = |value: fn(f64, f64) -> f64| -> Vec<(f64, f64)> {
        figures.bands.iter().map(|(_, errors)| (errors.age, value(errors.mae, errors.bias))).collect()
    };
    let curves = vec![
        Curve { name: "mean error", points: curve(|mae, _| mae) },
        Curve { name: "offset", points: curve(|_, bias| bias) },
    ];
    let values = || curves.iter().flat_map(|curve| &curve.points).map(|(_, years)| *years);
    let (lowest, highest) = (values().fold(0.0, f64::min), values().fold(1.0, f64::max));
    Chart {
        title: "Errors by age",
        x: Axis::linear("true age in years", 0.0, MAX_AGE),
        y: Axis::linear("years", lowest, highest),
        curves,
        dots: Vec::new(),
    }
}

fn page(figures: &AgeFigures, pictures: &str) -> String {
    let mut page = head("Estimated ages");
    let _ = writeln!(
        page,
        "<p>{} faces, {} pictures without a face, {} faces of negative quality, which the service gives no age.</p>",
        figures.pairs.len(),
        figures.without_face,
        figures.unanswered
    );
    let correlation = figures.correlation.map_or(String::new(), |r| format!(", correlation {r:.3}"));
    let _ = writeln!(
        page,
        "<p>Mean error over the bands {:.2} years, over all faces {:.2} years{correlation}.</p>",
        figures.mae_over_bands(),
        figures.all.mae
    );
    if let Some(words) = figures.distrust() {
        let _ = writeln!(page, "<p><b>Estimates are {words}.</b></p>");
    }
    let rows = figures.bands.iter().map(|(years, errors)| {
        [
            name(*years),
            errors.count.to_string(),
            format!("{:.1}", errors.mae),
            format!("{:+.1}", errors.bias),
            if errors.is_trusted() { "yes" } else { "no" }.to_owned(),
        ]
    });
    page += &table(["age", "faces", "mean error in years", "offset in years", "to be trusted"], rows);
    page += pictures;
    let rows = figures.thresholds.iter().map(|threshold| {
        let percent = |part: Option<f64>| {
            part.map_or_else(|| "nobody".to_owned(), |part| format!("{:.1} %", part * 100.0))
        };
        [threshold.years.to_string(), percent(threshold.younger_passed), percent(threshold.older_refused)]
    });
    page += &table(["threshold", "younger people above it", "older people below it"], rows);
    page + "</html>\n"
}
