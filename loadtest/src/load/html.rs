//! The report as one self-contained HTML file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::report::{LoadReport, Percentiles, Window};
use crate::plot::{BLUE, GREEN, Line, ORANGE, PINK, Panel, Plot};

const WIDTH: u32 = 960;
const PANEL_HEIGHT: u32 = 190;
const TITLE_HEIGHT: u32 = 40;

impl LoadReport {
    /// The report as HTML.
    ///
    /// # Errors
    /// A plot cannot be drawn.
    pub fn html(&self) -> anyhow::Result<String> {
        let mut page = String::new();
        let title = escaped(&self.scenario);
        write!(
            page,
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Load: {title}</title>\n\
             <style>body{{font-family:sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}\
             table{{border-collapse:collapse;margin:1rem 0}}td,th{{padding:.2rem .8rem;text-align:right;\
             border-bottom:1px solid #ccc}}td:first-child,th:first-child{{text-align:left}}\
             svg{{max-width:100%;height:auto}}</style>\n<h1>Load: {title}</h1>\n"
        )?;
        self.totals(&mut page)?;
        page.push_str(&self.plot().svg()?);
        self.latencies(&mut page)?;
        counts(&mut page, "Ended refused", &self.refused)?;
        counts(&mut page, "Failed", &self.failed)?;
        if let Some(last) = self.states.last().filter(|last| !last.refusals.is_empty()) {
            let causes =
                last.refusals.iter().map(|(cause, count)| (cause.clone(), *count as usize)).collect();
            counts(&mut page, "Refusals by the gateway since its start, by cause", &causes)?;
        }
        if let Some(verdict) = &self.verdict {
            write!(page, "<h2>Oracle</h2>\n<pre>{}</pre>\n", escaped(&verdict.to_string()))?;
        }
        page.push_str("</html>\n");
        Ok(page)
    }

    fn totals(&self, page: &mut String) -> std::fmt::Result {
        let callers = if self.obeys_retry_after { "retry after Retry-After" } else { "do not retry" };
        let rows = [
            ("seed", self.seed.to_string()),
            ("seconds", format!("{:.1}", self.seconds)),
            ("planned requests", self.planned.to_string()),
            ("not sent, because too many waited", self.not_sent.to_string()),
            ("attempts", self.attempts.to_string()),
            ("answered", self.answered.to_string()),
            ("answered a second", format!("{:.1}", self.goodput)),
            ("refusals without Retry-After", self.refusals_without_retry_after.to_string()),
            ("refused callers", callers.to_owned()),
        ];
        page.push_str("<table>\n");
        for (name, value) in rows {
            writeln!(page, "<tr><td>{name}<td>{value}")?;
        }
        writeln!(page, "</table>")
    }

    fn plot(&self) -> Plot<'_> {
        let windows = |name, color, value: fn(&Window) -> f64| {
            let points = self.windows.iter().map(|window| (window.at, value(window))).collect();
            Line { name, color, points }
        };
        let mut panels = vec![
            Panel {
                label: "latency, ms",
                lines: vec![
                    windows("99 %", ORANGE, |window| window.latency.p99_ms),
                    windows("90 %", PINK, |window| window.latency.p90_ms),
                    windows("median", BLUE, |window| window.latency.p50_ms),
                ],
            },
            Panel {
                label: "requests a second",
                lines: vec![
                    windows("offered", PINK, |window| window.offered),
                    windows("answered", BLUE, |window| window.goodput),
                    windows("refused or failed", ORANGE, |window| window.refused),
                ],
            },
        ];
        if !self.states.is_empty() {
            let state = |name, color, value: fn(&super::monitor::ServiceState) -> f64| {
                let points = self.states.iter().map(|state| (state.at, value(state))).collect();
                Line { name, color, points }
            };
            panels.push(Panel {
                label: "jobs",
                lines: vec![
                    state("in flight", BLUE, |state| state.in_flight),
                    state("limit", GREEN, |state| state.limit),
                    state("queued", ORANGE, |state| state.queued),
                ],
            });
            panels.push(Panel {
                label: "workers",
                lines: vec![state("consumers of the queue", BLUE, |state| state.workers)],
            });
            let mut causes: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
            for pair in self.states.windows(2) {
                let seconds = (pair[1].at - pair[0].at).max(1e-3);
                for (cause, count) in &pair[1].refusals {
                    let before = pair[0].refusals.get(cause).copied().unwrap_or_default();
                    let rate = (count - before).max(0.0) / seconds;
                    causes.entry(cause).or_default().push((pair[1].at, rate));
                }
            }
            let colors = [ORANGE, BLUE, GREEN, PINK];
            let lines = causes.into_iter().enumerate().map(|(place, (name, points))| Line {
                name,
                color: colors[place % colors.len()],
                points,
            });
            panels.push(Panel { label: "refusals a second", lines: lines.collect() });
        }
        let size = (WIDTH, TITLE_HEIGHT + PANEL_HEIGHT * panels.len() as u32);
        Plot { title: &self.scenario, size, time: "seconds", end: self.seconds.max(1.0), panels }
    }

    fn latencies(&self, page: &mut String) -> std::fmt::Result {
        writeln!(
            page,
            "<h2>Times in milliseconds</h2>\n<table>\n<tr><th><th>count<th>mean<th>50 %<th>90 %<th>99 %<th>99.9 %<th>max"
        )?;
        let mut row = |name: &str, times: &Percentiles| {
            let Percentiles { count, mean_ms, p50_ms, p90_ms, p99_ms, p999_ms, max_ms } = times;
            writeln!(
                page,
                "<tr><td>{name}<td>{count}<td>{mean_ms:.1}<td>{p50_ms:.1}<td>{p90_ms:.1}<td>{p99_ms:.1}<td>{p999_ms:.1}<td>{max_ms:.1}"
            )
        };
        row("answered, from the intended time of sending", &self.latency)?;
        for (name, times) in &self.operations {
            row(name, times)?;
        }
        row("time to a refusal", &self.refusal)?;
        row("lag of the generator", &self.generator_lag)?;
        writeln!(page, "</table>")
    }
}

fn counts(page: &mut String, title: &str, counts: &BTreeMap<String, usize>) -> std::fmt::Result {
    if counts.is_empty() {
        return Ok(());
    }
    writeln!(page, "<h2>{title}</h2>\n<table>")?;
    for (cause, count) in counts {
        writeln!(page, "<tr><td>{}<td>{count}", escaped(cause))?;
    }
    writeln!(page, "</table>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Measured, Phase, Scenario, ServiceState};

    #[test]
    fn a_page_needs_nothing_from_elsewhere() {
        let state = |at: f64| ServiceState {
            at,
            refusals: BTreeMap::from([("wait".to_owned(), at)]),
            ..ServiceState::default()
        };
        let measured = Measured { states: vec![state(0.0), state(1.0)], ..Measured::default() };
        let scenario = Scenario::faces("a <b>", vec![Phase::Burst { count: 1, seconds: 1.0 }]);
        let page = LoadReport::new(&scenario, &measured, None).html().unwrap();
        assert!(page.contains("<svg") && page.contains("a &lt;b&gt;") && page.contains("wait"));
        for foreign in ["src=", "href=\"http", "@import", "url("] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }
}
