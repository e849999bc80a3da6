//! Tests of rules and dashboards: each expression has data from the running system and changes under its fault, each
//! alert detects its fault, and each alert links to its runbook entry.

mod changes;
mod faults;
mod live;
mod load;
mod other_worker;
mod site;
mod watch;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;

use self::changes::{ALERTS, CHANGES, CONSTANTS, change_of};
use crate::client::tool;
use crate::prometheus::{folder, promtool};

fn files(folder: &Path, ending: &str) -> Vec<(PathBuf, String)> {
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    found.sort();
    found.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The values that follow `key` in the lines of a text.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines()
        .filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix(key))
        .map(str::trim)
        .collect()
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| character.is_ascii_lowercase() || character == '_')
}

/// The metrics that the runbook names.
fn metrics_of_the_runbook() -> BTreeSet<String> {
    let runbook = std::fs::read_to_string(folder().join("../../docs/runbook.md")).unwrap();
    let names = runbook.split(|character: char| {
        !character.is_ascii_lowercase() && !character.is_ascii_digit() && !"_:".contains(character)
    });
    let names = names
        .map(|name| name.trim_end_matches(':'))
        .filter(|name| name.starts_with("faceline_") || name.starts_with("faceline:"));
    names.map(str::to_owned).collect()
}

/// The alerts of all rules.
fn alerts() -> Vec<String> {
    let rules = files(&folder().join("rules"), "yaml");
    rules.iter().flat_map(|(_, text)| values(text, "alert:").into_iter().map(str::to_owned)).collect()
}

#[tokio::test]
async fn promtool_accepts_the_rules_and_their_tests() {
    let config = folder().join("prometheus.yaml");
    promtool(&["check", "config", config.to_str().unwrap()]).await;
    let tests = files(&folder().join("tests"), "yaml");
    let paths: Vec<_> = tests.iter().map(|(path, _)| path.to_str().unwrap()).collect();
    promtool(&[&["test", "rules"][..], &paths].concat()).await;
}

#[test]
fn each_alert_has_a_test_that_fires_it_and_one_that_does_not() {
    let mut fires = BTreeSet::new();
    let mut quiet = BTreeSet::new();
    for (_, text) in files(&folder().join("tests"), "yaml") {
        for expectation in text.split("- expr: ").skip(1) {
            let Some((_, rest)) = expectation.split_once("ALERTS{alertname=\"") else { continue };
            let name = rest.split_once('"').unwrap().0.to_owned();
            let expected = rest.split_once("exp_samples:").unwrap().1;
            if expected.trim_start().starts_with("[]") {
                quiet.insert(name)
            } else {
                fires.insert(name)
            };
        }
    }
    let alerts: BTreeSet<_> = alerts().into_iter().collect();
    assert!(alerts.len() > 40, "{alerts:?}");
    assert_eq!(fires, alerts);
    assert_eq!(quiet, alerts);
}

#[test]
fn each_alert_leads_to_its_runbook_entry() {
    let runbook = std::fs::read_to_string(folder().join("../../docs/runbook.md")).unwrap();
    let mut sections: Vec<_> =
        values(&runbook, "## ").into_iter().filter(|title| title.starts_with("Faceline")).collect();
    let mut links = Vec::new();
    for (_, text) in files(&folder().join("rules"), "yaml") {
        let (alerts, urls) = (values(&text, "alert:"), values(&text, "runbook_url:"));
        assert_eq!(alerts.len(), urls.len());
        for (alert, url) in alerts.iter().zip(urls) {
            let link = format!("/docs/runbook.md#{}", alert.to_lowercase());
            assert!(url.ends_with(&link), "{alert}: {url}");
        }
        for member in ["summary:", "description:", "dashboard_url:", "labels: { severity:"] {
            assert_eq!(values(&text, member).len(), alerts.len(), "{member}");
        }
        links.extend(alerts.into_iter().map(str::to_owned));
    }
    sections.sort_unstable();
    links.sort_unstable();
    assert_eq!(sections, links, "one section an alert, and no other");
    let settings = std::fs::read_to_string(folder().join("../../docs/settings.md")).unwrap();
    let quoted = runbook.split('`').skip(1).step_by(2);
    for name in quoted
        .filter(|text| text.split_once('.').is_some_and(|(section, key)| is_word(section) && is_word(key)))
    {
        // The name is that of a setting, or of the table of settings of a certificate.
        assert!(settings.contains(&format!("| `{name}")), "{name} is no setting");
    }
    for section in runbook.split("\n## Faceline").skip(1) {
        for part in ["**Callers:**", "**See:**", "**Do:**", "**False when:**"] {
            assert!(section.contains(part), "{part} is missing: {section}");
        }
    }
}

#[tokio::test]
async fn the_dashboards_are_as_their_generator_writes_them() {
    let script = folder().join("../grafana/dashboards.py");
    let output = Command::new("python3")
        .arg("-B")
        .args([script.to_str().unwrap(), "--check"])
        .env("PYTHONPATH", tool("grafana"))
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let dashboards: BTreeSet<_> =
        dashboards().iter().map(|board| format!("/d/{}", board["uid"].as_str().unwrap())).collect();
    for (_, text) in files(&folder().join("rules"), "yaml") {
        for url in values(&text, "dashboard_url:") {
            assert!(dashboards.contains(url), "{url}");
        }
    }
}

fn dashboards() -> Vec<Value> {
    let texts = files(&folder().join("../grafana/dashboards"), "json");
    texts.iter().map(|(_, text)| serde_json::from_str(text).unwrap()).collect()
}

/// The expressions of all panels and annotations, on one line each, with all values of their variables.
fn dashboard_expressions() -> BTreeSet<String> {
    fn collect(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(expression)) = members.get("expr") {
                    found.insert(expression.clone());
                }
                members.values().for_each(|member| collect(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            _ => (),
        }
    }
    let mut found = BTreeSet::new();
    dashboards().iter().for_each(|board| collect(board, &mut found));
    let substituted = found.iter().map(|expression| {
        let all = ["$operation", "$client", "$model"]
            .iter()
            .fold(expression.clone(), |text, name| text.replace(name, ".*"));
        all.replace("$__rate_interval", "1m").split_whitespace().collect::<Vec<_>>().join(" ")
    });
    let expressions: BTreeSet<_> = substituted.collect();
    assert!(expressions.iter().all(|expression| !expression.contains('$')), "{expressions:?}");
    expressions
}

/// Prometheus 3 stores a whole bound of a bucket as `2500.0`, and Prometheus 2 as the program writes it, `2500`.
#[test]
fn no_expression_names_a_bound_in_one_spelling_only() {
    let rules = files(&folder().join("rules"), "yaml").into_iter().map(|(_, text)| text);
    let mut bounds = 0;
    for text in rules.chain(dashboard_expressions()) {
        let matchers = text.match_indices("le=").filter(|(at, _)| text[..*at].ends_with(['{', ',', ' ']));
        for (at, _) in matchers {
            let mut parts = text[at + "le".len()..].split('"');
            let (operator, bound) = (parts.next().unwrap(), parts.next().unwrap());
            let has_both_spellings = match operator {
                "=" => bound.parse::<f64>().is_ok_and(|bound| bound.is_infinite() || bound.fract() != 0.0),
                _ => bound.ends_with("([.]0)?"),
            };
            assert!(has_both_spellings, "le{operator}\"{bound}\" in {text}");
            bounds += 1;
        }
    }
    assert!(bounds > 0, "no expression names a bound");
}

/// The recording rules, by name.
fn recorded() -> BTreeSet<String> {
    let rules = files(&folder().join("rules"), "yaml");
    rules.iter().flat_map(|(_, text)| values(text, "record:").into_iter().map(str::to_owned)).collect()
}

#[test]
fn each_alert_and_each_expression_has_its_fault() {
    let alerts: BTreeSet<_> = alerts().into_iter().collect();
    let rows: Vec<_> =
        ALERTS.iter().flat_map(|(_, names)| *names).map(|name| format!("Faceline{name}")).collect();
    assert_eq!(rows.len(), rows.iter().collect::<BTreeSet<_>>().len(), "an alert has two faults");
    assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), alerts);
    let watched: BTreeSet<_> = dashboard_expressions().into_iter().chain(recorded()).collect();
    let without: Vec<_> = watched
        .iter()
        .filter(|text| change_of(text).is_none() && !CONSTANTS.contains(&text.as_str()))
        .collect();
    assert!(without.is_empty(), "under which fault or load do they change? {without:#?}");
    let unused: Vec<_> = CHANGES
        .iter()
        .filter(|row| {
            !watched.iter().any(|text| change_of(text).is_some_and(|found| std::ptr::eq(found, *row)))
        })
        .collect();
    assert!(unused.is_empty(), "rows that no expression needs: {unused:#?}");
}
