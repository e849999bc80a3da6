//! Simulates all traces, finds the settings to recommend, and writes plots and tables for the documentation.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use faceline_shared::settings::Settings;
use serde::{Deserialize, Serialize};

use super::capacity::{self, LARGE_SHARE, THREADS, UTILISATION, figure, pod_per_second};
use super::measured::{Measurements, ServiceTimes};
use super::plot;
use super::report::Report;
use super::scaled_object::ScaledObject;
use super::simulation::{Plant, simulate};
use super::traces::{TRACES, Trace};

/// Time until a new pod's container runs, in seconds: the pod is scheduled, and its image is on the node. This is an
/// assumption, because it depends on the cluster.
const SCHEDULING_SECONDS: f64 = 10.0;
/// Gateways of the simulation. They are not scaled in it.
const GATEWAYS: usize = 4;
const SEED: u64 = 16;
/// Target lengths of the queue that are tried, in jobs per pod. All are well below the number of jobs that a pod does
/// within `admission.target_wait` (74 as measured). In an overload gateways keep the queue that short, so it would not
/// reach a longer target.
const LENGTHS: [f64; 3] = [10.0, 20.0, 40.0];
/// Scale-down windows that are tried, in seconds.
const WINDOWS: [u64; 3] = [60, 300, 600];
/// Settings are accepted if their refusals are at most this many times those of the best settings.
const REFUSALS_ACCEPTED: f64 = 1.1;

/// The values that the simulation recommends.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Recommended {
    /// Messages a pod, unacknowledged ones included.
    pub queue_length: f64,
    /// Published messages a second and pod.
    pub message_rate: f64,
    /// Scale-down stabilisation window, in seconds.
    pub scale_down_window: u64,
}

/// One combination of values that was tried.
struct Tried {
    trace: &'static Trace,
    values: Recommended,
    /// Requests whose first attempt was refused.
    refused: u64,
    pod_hours: f64,
}

impl Recommended {
    /// The values of `object`.
    ///
    /// # Errors
    /// A trigger is missing.
    pub fn of(object: &ScaledObject) -> anyhow::Result<Self> {
        let value =
            |name: &str| object.trigger(name).map(|trigger| trigger.value).context("a trigger is missing");
        Ok(Self {
            queue_length: value("interactive-length")?,
            message_rate: value("interactive-rate")?,
            scale_down_window: object.behavior.scale_down.stabilization_window.as_secs(),
        })
    }

    fn apply(self, object: &ScaledObject) -> ScaledObject {
        let mut object = object.clone();
        for trigger in &mut object.triggers {
            match trigger.name.as_str() {
                "interactive-length" => trigger.value = self.queue_length,
                "interactive-rate" => trigger.value = self.message_rate,
                _ => (),
            }
        }
        object.behavior.scale_down.stabilization_window =
            std::time::Duration::from_secs(self.scale_down_window);
        object
    }
}

/// Simulates all traces with `measured` and the `ScaledObject` of `yaml`, and writes the plots, `recommended.json` and
/// `tables.md` into the folder `output`.
///
/// # Errors
/// The `ScaledObject` is not valid, or a file cannot be written.
pub fn write_document(measured: &Measurements, yaml: &str, output: &Path) -> anyhow::Result<()> {
    let shipped = ScaledObject::read(yaml, "faceline-worker")?;
    let plant = |object: &ScaledObject| Plant {
        settings: Some(Settings::default()),
        gateways: GATEWAYS,
        service: ServiceTimes::mixed(measured, LARGE_SHARE),
        threads: THREADS,
        prefetch: measured.prefetch,
        pod_start: SCHEDULING_SECONDS + measured.worker_start_seconds,
        pods: 1,
        scaling: Some(object.clone()),
        seed: SEED,
    };
    std::fs::create_dir_all(output)?;
    let (recommended, tried) = recommend(measured, &shipped, plant);
    let json = format!("{}\n", serde_json::to_string_pretty(&recommended)?);
    std::fs::write(output.join("recommended.json"), json)?;
    let object = recommended.apply(&shipped);
    let mut reports = Vec::new();
    for trace in &TRACES {
        let report = simulate(&plant(&object), trace);
        plot::draw(trace, &report, &output.join(format!("{}.svg", trace.name)))?;
        reports.push((trace, report));
    }
    std::fs::write(output.join("tables.md"), tables(measured, &object, &reports, &tried)?)?;
    Ok(())
}

/// Tries the lengths on the trace `burst`, then the windows on the trace `pulses`. Of the values with hardly more
/// refusals than the best, it recommends the one with the fewest pod hours. The rate follows from the measured service
/// time and the planned utilisation.
fn recommend(
    measured: &Measurements,
    shipped: &ScaledObject,
    plant: impl Fn(&ScaledObject) -> Plant,
) -> (Recommended, Vec<Tried>) {
    // Rounded down to a multiple of five, so noise of a measurement changes nothing.
    let message_rate = (pod_per_second(measured) * UTILISATION / 5.0).floor() * 5.0;
    let of_length = |queue_length| Recommended { queue_length, message_rate, scale_down_window: WINDOWS[1] };
    let attempt = |trace: &'static Trace, values: Recommended| {
        let report = simulate(&plant(&values.apply(shipped)), trace);
        Tried { trace, values, refused: report.refused_at_first, pod_hours: report.pod_hours() }
    };
    let lengths = LENGTHS.map(|length| attempt(trace("burst"), of_length(length)));
    let best = best_of(&lengths);
    let windows = WINDOWS
        .map(|scale_down_window| attempt(trace("pulses"), Recommended { scale_down_window, ..best.values }));
    (best_of(&windows).values, lengths.into_iter().chain(windows).collect())
}

fn trace(name: &str) -> &'static Trace {
    TRACES.iter().find(|trace| trace.name == name).unwrap_or(&TRACES[0])
}

fn best_of(tried: &[Tried]) -> &Tried {
    let least = tried.iter().map(|tried| tried.refused).min().unwrap_or(0) as f64;
    let accepted = tried.iter().filter(|tried| tried.refused as f64 <= least * REFUSALS_ACCEPTED);
    accepted.min_by(|one, other| one.pod_hours.total_cmp(&other.pod_hours)).unwrap_or(&tried[0])
}

fn tables(
    measured: &Measurements,
    object: &ScaledObject,
    reports: &[(&Trace, Report)],
    tried: &[Tried],
) -> anyhow::Result<String> {
    let mut text = String::from(
        "# Figures of the simulation of autoscaling\n\n`faceline-loadtest scaling simulate` wrote this file from \
         [measured.json](measured.json). [Autoscaling](../scaling.md) explains it.\n\n",
    );
    let service = ServiceTimes::mixed(measured, LARGE_SHARE);
    writeln!(text, "Measured on {}.\n", measured.machine)?;
    writeln!(text, "## Input\n\n| | |\n| --- | --- |")?;
    writeln!(
        text,
        "| CPU time of a job, mean and median | {:.1} ms, {:.1} ms |",
        service.mean() * 1e3,
        service.median() * 1e3
    )?;
    writeln!(text, "| jobs a second of a pod of {THREADS} cores | {} |", figure(pod_per_second(measured)))?;
    writeln!(text, "| prefetch | {} |", measured.prefetch)?;
    let start = SCHEDULING_SECONDS + measured.worker_start_seconds;
    writeln!(text, "| start of a pod | {start:.1} s, of which {SCHEDULING_SECONDS} s are assumed |\n")?;
    writeln!(
        text,
        "## Traces\n\n| trace | requests | refused at first | gave up | attempts a request | wait, median and 99 % | oldest job | most pods | pod hours |"
    )?;
    writeln!(text, "|{}", " --- |".repeat(9))?;
    for (trace, report) in reports {
        writeln!(
            text,
            "| [{}]({}.svg) | {} | {:.2} % | {:.2} % | {:.2} | {:.0} ms, {:.0} ms | {} s | {} | {} |",
            trace.title,
            trace.name,
            report.arrived,
            report.refused_part() * 100.0,
            report.gave_up as f64 / report.arrived as f64 * 100.0,
            report.attempts as f64 / report.arrived as f64,
            report.wait(0.5) * 1e3,
            report.wait(0.99) * 1e3,
            figure(report.max_queue_age()),
            report.peak_pods(),
            figure(report.pod_hours()),
        )?;
    }
    let best = Recommended::of(object)?;
    writeln!(text, "\n## Values that were tried\n")?;
    writeln!(
        text,
        "| trace | messages a pod | window before pods are removed | requests refused at first | pod hours | |"
    )?;
    writeln!(text, "|{}", " --- |".repeat(6))?;
    for Tried { trace, values, refused, pod_hours } in tried {
        let Recommended { queue_length, scale_down_window, .. } = values;
        let mark = if *values == best { "recommended" } else { "" };
        let hours = figure(*pod_hours);
        writeln!(
            text,
            "| {} | {queue_length} | {scale_down_window} s | {refused} | {hours} | {mark} |",
            trace.name
        )?;
    }
    writeln!(text, "\n## Capacity\n\n{}", capacity::table(measured, object)?.trim_end())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = include_str!("../../../deploy/kubernetes/components/keda/scaledobjects.yaml");
    const RECOMMENDED: &str = include_str!("../../../docs/scaling/recommended.json");

    #[test]
    fn the_shipped_scaled_object_has_the_recommended_values() {
        let recommended: Recommended = serde_json::from_str(RECOMMENDED).unwrap();
        let shipped = ScaledObject::read(YAML, "faceline-worker").unwrap();
        assert_eq!(Recommended::of(&shipped).unwrap(), recommended);
    }
}
