//! The report of an evaluation: a page with charts, the charts as files, and all figures as JSON.

mod age;
mod chart;
mod liveness;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use faceline_models::evaluation::{Comparison, Interval};
use serde_json::Value;

pub(super) use self::age::write as write_age;
use self::chart::{Axis, Chart, Curve};
pub(super) use self::liveness::write as write_liveness;
use super::figures::{Discard, Figures, Observed};
use super::group_figures::GroupFigures;

/// Number of thresholds of a curve per unit of similarity.
const THRESHOLDS_PER_UNIT: i32 = 250;
/// Number of classes of the frequency chart per unit of similarity.
const CLASSES_PER_UNIT: f64 = 50.0;

/// Writes `report.html`, `report.json`, and a picture for each chart.
pub(super) fn write(folder: &Path, figures: &Figures, groups: &GroupFigures) -> anyhow::Result<()> {
    let charts = [
        ("det.svg", det(&figures.comparison)),
        ("roc.svg", roc(&figures.comparison)),
        ("discard.svg", discard(&figures.discard)),
        ("similarities.svg", similarities(&figures.comparison)),
    ];
    let mut json = figures.to_json();
    json["groups"] = groups.to_json();
    write_files(folder, &charts, &json, |pictures| page(figures, groups, pictures))
}

/// Writes the charts, the figures, and the page that `page` makes from the charts.
fn write_files(
    folder: &Path,
    charts: &[(&str, Chart)],
    figures: &Value,
    page: impl FnOnce(&str) -> String,
) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let mut pictures = String::new();
    for (name, chart) in charts {
        let svg = chart.to_svg();
        fs::write(folder.join(name), &svg)?;
        pictures += &svg;
    }
    fs::write(folder.join("report.html"), page(&pictures))?;
    fs::write(folder.join("report.json"), serde_json::to_string_pretty(figures)?)?;
    Ok(())
}

/// False match rate and false non-match rate at thresholds from low to high.
fn trade_off(comparison: &Comparison) -> Vec<(f64, f64)> {
    let mut genuine: Vec<f64> = comparison.genuine().iter().map(|pair| f64::from(pair.similarity)).collect();
    genuine.sort_unstable_by(f64::total_cmp);
    (-THRESHOLDS_PER_UNIT..=THRESHOLDS_PER_UNIT)
        .map(|step| {
            let threshold = f64::from(step) / f64::from(THRESHOLDS_PER_UNIT);
            let below = genuine.partition_point(|similarity| *similarity < threshold);
            (comparison.impostors().rate(threshold), below as f64 / genuine.len() as f64)
        })
        .filter(|(fmr, _)| *fmr > 0.0)
        .collect()
}

/// log10 of the lowest rate that this number of pairs can show, as a whole decade.
fn least_decade(comparison: &Comparison) -> i32 {
    (-(comparison.impostors().count() as f64).log10()).ceil().clamp(-8.0, -1.0) as i32
}

fn det(comparison: &Comparison) -> Chart {
    let points = trade_off(comparison).into_iter().filter(|(_, fnmr)| *fnmr > 0.0).collect();
    let least = (-(comparison.genuine().len() as f64).log10()).ceil().clamp(-8.0, -1.0) as i32;
    Chart {
        title: "Detection error trade-off",
        x: Axis::logarithmic("false match rate", least_decade(comparison), 0),
        y: Axis::logarithmic("false non-match rate", least, 0),
        curves: vec![Curve { name: "all pairs", points }],
        dots: Vec::new(),
    }
}

fn roc(comparison: &Comparison) -> Chart {
    let points = trade_off(comparison).into_iter().map(|(fmr, fnmr)| (fmr, (1.0 - fnmr) * 100.0));
    Chart {
        title: "Receiver operating characteristic",
        x: Axis::logarithmic("false match rate", least_decade(comparison), 0),
        y: Axis::linear("true match rate in percent", 0.0, 100.0),
        curves: vec![Curve { name: "all pairs", points: points.collect() }],
        dots: Vec::new(),
    }
}

fn discard(points: &[Discard]) -> Chart {
    let curve = |rate: fn(&Discard) -> f64| -> Vec<(f64, f64)> {
        points.iter().map(|point| (point.fraction * 100.0, rate(point) * 100.0)).collect()
    };
    let curves = vec![
        Curve { name: "pairs discarded", points: curve(|point| point.by_pairs) },
        Curve { name: "pictures discarded", points: curve(|point| point.by_pictures) },
    ];
    let highest = curves.iter().flat_map(|curve| &curve.points).map(|(_, rate)| *rate).fold(0.01, f64::max);
    Chart {
        title: "Error versus discard, threshold of FMR 0.01 %",
        x: Axis::linear("discarded by quality, in percent", 0.0, points.len().max(2) as f64 - 1.0),
        y: Axis::linear("false non-match rate in percent", 0.0, highest),
        curves,
        dots: Vec::new(),
    }
}

fn similarities(comparison: &Comparison) -> Chart {
    let classes: Vec<f64> = (-50..=50).map(|class| f64::from(class) / CLASSES_PER_UNIT).collect();
    let at_or_above: Vec<u64> =
        classes.iter().map(|class| comparison.impostors().count_at_or_above(*class)).collect();
    let impostors: Vec<u64> = at_or_above.windows(2).map(|pair| pair[0] - pair[1]).collect();
    let mut genuine = vec![0; impostors.len()];
    for pair in comparison.genuine() {
        let class = (f64::from(pair.similarity) + 1.0) * CLASSES_PER_UNIT;
        genuine[(class.max(0.0) as usize).min(impostors.len() - 1)] += 1;
    }
    let curve = |counts: &[u64]| -> Vec<(f64, f64)> {
        let all = counts.iter().sum::<u64>().max(1) as f64;
        let share = |count: &u64| *count as f64 * 100.0 / all;
        classes
            .iter()
            .zip(counts)
            .map(|(class, count)| (class + 0.5 / CLASSES_PER_UNIT, share(count)))
            .collect()
    };
    let curves = vec![
        Curve { name: "impostor pairs", points: curve(&impostors) },
        Curve { name: "genuine pairs", points: curve(&genuine) },
    ];
    let highest = curves.iter().flat_map(|curve| &curve.points).map(|(_, share)| *share).fold(0.01, f64::max);
    Chart {
        title: "Similarities",
        x: Axis::linear("cosine similarity", -1.0, 1.0),
        y: Axis::linear("percent of pairs, in steps of 0.02", 0.0, highest),
        curves,
        dots: Vec::new(),
    }
}

/// The page's beginning, up to the first paragraph.
fn head(title: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\n\
         <style>body{{font-family:sans-serif;max-width:1320px;margin:2em auto;padding:0 1em}}\
         table{{border-collapse:collapse;margin:1em 0}}td,th{{padding:.2em 1em;text-align:right;border-bottom:1px solid #ddd}}\
         svg{{margin:.5em}}</style>\n<h1>{title}</h1>\n"
    )
}

fn page(figures: &Figures, groups: &GroupFigures, pictures: &str) -> String {
    let mut page = head("Verification");
    let _ = writeln!(
        page,
        "<p>{} people, {} faces, {} pictures without a face, {} genuine pairs, {} impostor pairs. \
         Intervals are of 95 %, over people.</p>",
        figures.people,
        figures.faces,
        figures.without_face,
        figures.comparison.genuine().len(),
        figures.comparison.impostors().count()
    );
    if let Some(accuracy) = figures.accuracy {
        let (mean, error) = (accuracy.mean * 100.0, accuracy.standard_error * 100.0);
        let _ = writeln!(
            page,
            "<p>Accuracy over {} balanced pairs in ten folds: {mean:.2} % ± {error:.2}.</p>",
            accuracy.pairs
        );
    }
    let percent = |(rate, ends): (f64, Option<Interval>)| {
        let ends = ends
            .map_or(String::new(), |ends| format!(" ({:.2} to {:.2})", ends.low * 100.0, ends.high * 100.0));
        format!("{:.2} %{ends}", rate * 100.0)
    };
    let rates = figures.rates.iter().map(|rate| {
        [
            format!("{:.0e}", rate.fmr),
            percent(rate.fnmr[0]),
            percent(rate.fnmr[1]),
            format!("{:.3}", rate.similarity),
        ]
    });
    page += &table(["FMR", "FNMR, all pairs", "FNMR, at most 10 pairs a person", "similarity"], rates);
    let times = |seen: &Observed, claimed: f64| match seen.interval {
        Some(ends) => {
            format!("{:.2} ({:.2} to {:.2})", seen.far / claimed, ends.low / claimed, ends.high / claimed)
        }
        None => "none observed".to_owned(),
    };
    let claims = figures.claims.iter().map(|claim| {
        [
            claim.score.to_string(),
            format!("{:.0e}", claim.claimed),
            times(&claim.observed[0], claim.claimed),
            times(&claim.observed[1], claim.claimed),
        ]
    });
    page += &table(["score", "claimed FAR", "observed, times that", "at most 5 pictures a person"], claims);
    let by_group = groups.rows();
    if !by_group.is_empty() {
        page +=
            &table(["group", "people", "score", "FMR, times the claimed FAR", "FNMR"], by_group.into_iter());
    }
    page += pictures;
    let measures = figures.measures.iter().map(|measure| {
        let [low, high, extreme] = measure.fnmr.map(|fnmr| format!("{:.2} %", fnmr * 100.0));
        [measure.name.to_owned(), low, high, extreme]
    });
    if !figures.measures.is_empty() {
        page += "<p>FNMR after a tenth of the pairs is discarded by one measure alone:</p>\n";
        page += &table(["measure", "low values", "high values", "extreme values"], measures);
    }
    page + "</html>\n"
}

fn table<const N: usize>(heads: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let heads: String = heads.iter().map(|head| format!("<th>{head}</th>")).collect();
    let cells = |row: [String; N]| row.iter().map(|cell| format!("<td>{cell}</td>")).collect::<String>();
    let rows: String = rows.map(|row| format!("<tr>{}</tr>\n", cells(row))).collect();
    format!("<table><tr>{heads}</tr>\n{rows}</table>\n")
}
