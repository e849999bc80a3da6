//! Runs a function over every picture or clip of a data set, on all cores.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::Context as _;
use faceline_shared::settings::Settings;
use faceline_worker::pipeline::Pipeline;
use faceline_worker::pipeline_settings;
use indicatif::{ProgressBar, ProgressStyle};

use crate::coder;

/// Runs `work` on each picture, with a progress bar on standard error. `doing` is the beginning of the bar's indicatif
/// template. Returns the results in the order of the pictures.
pub(crate) fn each<T: Clone + Send>(
    config: &Settings,
    pictures: &[&Path],
    doing: &str,
    work: impl Fn(&mut Pipeline, &Path) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<Vec<T>> {
    if pictures.is_empty() {
        return Ok(Vec::new());
    }
    let models = coder::models(config)?;
    let mut pipelines = (0..coder::threads().min(pictures.len()))
        .map(|_| Ok(Pipeline::new(&models, pipeline_settings(config))?))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let style = ProgressStyle::with_template(&format!("{doing} {{wide_bar}} {{per_sec}}, {{eta}} left"))?;
    let bar = ProgressBar::new(pictures.len() as u64).with_style(style);
    let next = AtomicUsize::new(0);
    let share = |pipeline: &mut Pipeline| -> anyhow::Result<Vec<_>> {
        let mut found = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = pictures.get(at) else { return Ok(found) };
            let result =
                work(pipeline, path).with_context(|| format!("cannot process {}", path.display()))?;
            found.push((at, result));
            bar.inc(1);
        }
    };
    let shares = thread::scope(|scope| {
        let threads: Vec<_> = pipelines.iter_mut().map(|pipeline| scope.spawn(|| share(pipeline))).collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.collect::<anyhow::Result<Vec<_>>>()
    });
    bar.finish_and_clear();
    let mut found = shares?.concat();
    found.sort_unstable_by_key(|(at, _)| *at);
    Ok(found.into_iter().map(|(_, result)| result).collect())
}
