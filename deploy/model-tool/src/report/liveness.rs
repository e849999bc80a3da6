//! The report of an evaluation of passive liveness.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use faceline_models::evaluation::{AttackErrors, DetPoint, Responses};
use faceline_shared::liveness::SecurityLevel;
use serde_json::{Value, json};

use super::chart::{Axis, Chart, Curve, NORMAL_DEVIATE_TICKS};
use super::{head, write_files};

/// Writes `report.html`, `report.json`, and a DET chart for each part of the data that has both kinds of presentations.
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

/// Both error rates at all thresholds, on normal-deviate axes. The chart shows a rate beyond the end of an axis at that
/// end.
fn chart(det: &[DetPoint]) -> Chart {
    let [least, .., most] = NORMAL_DEVIATE_TICKS;
    let shown = |rate: f64| rate.clamp(least, most);
    let points = det.iter().map(|point| (shown(point.apcer), shown(point.bpcer)));
    Chart {
        title: "Detection error trade-off",
        x: Axis::normal_deviate("APCER of the worst species (normal deviate scale)"),
        y: Axis::normal_deviate("BPCER (normal deviate scale)"),
        curves: vec![Curve { name: "trade-off", points: points.collect() }],
        dots: Vec::new(),
    }
}

fn figures(name: &str, errors: &AttackErrors) -> Value {
    let det = errors.det();
    let levels = [SecurityLevel::Low, SecurityLevel::Medium, SecurityLevel::High].map(|level| {
        let threshold = level.threshold();
        let above = |of: &BTreeMap<String, Responses>| -> serde_json::Map<String, Value> {
            of.iter().map(|(name, attack)| (name.clone(), rate(attack, |score| score > threshold))).collect()
        };
        json!({
            "level": level,
            "bpcer": rate(&errors.bona_fide, |score| score <= threshold),
            "apcer": above(&errors.attacks),
            "injectedTakenForBonaFide": above(&errors.injected),
        })
    });
    json!({
        "part": name,
        "bonaFide": errors.bona_fide.presentations(),
        "bpnrr": errors.bona_fide.non_response_rate(),
        "levels": levels,
        "equalErrorRate": AttackErrors::equal_error_rate(&det),
        "equalErrorRateBounds": errors.equal_error_interval().map(|ends| [ends.low, ends.high]),
        "bpcer10": AttackErrors::bpcer_at(&det, 0.1),
        "bpcer20": AttackErrors::bpcer_at(&det, 0.05),
    })
}

/// A rate with its 95 % bounds over subjects; null without presentations that were judged.
fn rate(responses: &Responses, is_error: impl Fn(f32) -> bool) -> Value {
    responses.rate(is_error).map_or(
        Value::Null,
        |rate| json!({ "rate": rate.share, "bounds": rate.interval.map(|ends| [ends.low, ends.high]) }),
    )
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
            (&report[0]["levels"][1]["bpcer"]["rate"], &report[0]["levels"][1]["apcer"]["print"]["rate"]),
            (&json!(0.5), &json!(0.5))
        );
        assert_eq!(report[1]["levels"][1]["apcer"], json!({}));
        assert_eq!(
            report[1]["levels"][1]["bpcer"]["bounds"],
            json!([0.0, 0.975]),
            "one subject without an error"
        );
        let svg = std::fs::read_to_string(folder.path().join("det-1.svg")).unwrap();
        assert!(svg.contains("normal deviate scale") && svg.contains(">0.1 %<"), "{svg}");
        assert!(!folder.path().join("det-2.svg").exists());
    }
}
