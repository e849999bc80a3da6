//! The report of an evaluation of passive liveness.

use std::fmt::Write as _;
use std::path::Path;

use faceline_models::evaluation::{AttackErrors, DetPoint};
use faceline_shared::liveness::SecurityLevel;
use serde_json::{Value, json};

use super::chart::{Axis, Chart, Curve};
use super::{head, write_files};

/// The lowest decade of the axes: 0.1 %.
const LOWEST_DECADE: i32 = -3;

/// Writes `report.html`, `report.json`, and a DET picture for each part of the data that has both kinds of presentations.
pub(crate) fn write(folder: &Path, parts: &[(String, AttackErrors)]) -> anyhow::Result<()> {
    let curves: Vec<(&str, Vec<DetPoint>)> = parts
        .iter()
        .map(|(name, errors)| (name.as_str(), errors.det()))
        .filter(|(_, det)| !det.is_empty())
        .collect();
    let names: Vec<String> = (1..=curves.len()).map(|number| format!("det-{number}.svg")).collect();
    let charts: Vec<(&str, Chart)> =
        names.iter().map(String::as_str).zip(curves.iter().map(|(_, det)| chart(det))).collect();
    let figures = Value::Array(parts.iter().map(|(name, errors)| figures(name, errors)).collect());
    write_files(folder, &charts, &figures, |pictures| page(&curves, pictures))
}

/// Both error rates at all thresholds. A rate of 0 is shown at the lowest decade.
fn chart(det: &[DetPoint]) -> Chart {
    let shown = |rate: f64| rate.max(10f64.powi(LOWEST_DECADE));
    let points = det.iter().map(|point| (shown(point.apcer), shown(point.bpcer)));
    Chart {
        title: "Detection error trade-off",
        x: Axis::logarithmic("APCER of the worst species", LOWEST_DECADE, 0),
        y: Axis::logarithmic("BPCER", LOWEST_DECADE, 0),
        curves: vec![Curve { name: "trade-off", points: points.collect() }],
        dots: Vec::new(),
    }
}

fn figures(name: &str, errors: &AttackErrors) -> Value {
    let det = errors.det();
    let levels = [SecurityLevel::Low, SecurityLevel::Medium, SecurityLevel::High].map(|level| {
        let threshold = level.threshold();
        let apcer: serde_json::Map<String, Value> = errors
            .attacks
            .iter()
            .map(|(species, attack)| (species.clone(), attack.above(threshold).into()))
            .collect();
        json!({ "level": level, "bpcer": errors.bona_fide.up_to(threshold), "apcer": apcer })
    });
    json!({
        "part": name,
        "bonaFide": errors.bona_fide.presentations(),
        "bpnrr": errors.bona_fide.non_response_rate(),
        "levels": levels,
        "equalErrorRate": AttackErrors::equal_error_rate(&det),
        "bpcer10": AttackErrors::bpcer_at(&det, 0.1),
        "bpcer20": AttackErrors::bpcer_at(&det, 0.05),
    })
}

fn page(curves: &[(&str, Vec<DetPoint>)], pictures: &str) -> String {
    let mut page = head("Passive liveness");
    let _ = writeln!(page, "<p>One picture for each part of the data, in this order:</p>\n<ol>");
    for (name, det) in curves {
        let eer = AttackErrors::equal_error_rate(det).unwrap_or_default() * 100.0;
        let name = name.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(page, "<li>{name}: equal error rate {eer:.1} %</li>");
    }
    let _ = writeln!(page, "</ol>\n{pictures}");
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_a_picture_for_each_part_with_attacks() {
        let mut errors = AttackErrors::default();
        for (attack, score) in [(None, 0.9), (None, 0.4), (Some("print"), 0.2), (Some("print"), 0.6)] {
            errors.add(attack, "somebody", Some(score));
        }
        let mut living = AttackErrors::default();
        living.add(None, "somebody", Some(0.9));
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[("gate".to_owned(), errors), ("lobby".to_owned(), living)]).unwrap();
        let text = std::fs::read_to_string(folder.path().join("report.json")).unwrap();
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&report[0]["levels"][1]["bpcer"], &report[0]["levels"][1]["apcer"]["print"]),
            (&json!(0.5), &json!(0.5))
        );
        assert!(folder.path().join("det-1.svg").exists() && !folder.path().join("det-2.svg").exists());
    }
}
