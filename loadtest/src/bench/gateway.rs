//! The gateway's overhead: its CPU time of a job over that of a bare axum route that reads the same picture.

use std::io::Write as _;

use super::bare_route::BareRoute;
use super::{Sample, measure, median};
use crate::closed_loop::{self, Request};
use crate::site::{GATEWAY, Setup, Site, of_program};

/// Requests to the bare route for each job. CPU times are reported in hundredths of a second, and the route takes
/// few of them.
const REQUESTS_PER_JOB: usize = 4;

pub(super) async fn run(samples: &[&Sample], callers: usize, rounds: usize) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let site = Site::start(Setup::Distributed).await?;
    let route = BareRoute::start().await?;
    for sample in samples {
        writeln!(out, "gateway and bare axum route, {}, {} kB:", sample.name, sample.bytes.len() / 1000)?;
        let job = sample.warm_up(&site.url, callers).await?;
        let plain = Request::plain(&route.url, &sample.bytes);
        closed_loop::closed(&plain, callers, sample.jobs / 5).await?;
        let mut ratios = Vec::new();
        for _ in 0..rounds {
            let before = route.cpu_seconds()?;
            let read = closed_loop::closed(&plain, callers, sample.jobs * REQUESTS_PER_JOB).await?;
            let bare_ms = (route.cpu_seconds()? - before) * 1e3 / read.jobs as f64;
            let (_, used) = measure(&site, &job, callers, sample.jobs).await?;
            let gateway_ms = of_program(&used, GATEWAY);
            ratios.push(gateway_ms / bare_ms);
            writeln!(
                out,
                "  gateway {gateway_ms:.3} ms CPU a job, bare route {bare_ms:.3} ms CPU a request"
            )?;
        }
        let ratio = median(&mut ratios);
        writeln!(out, "  gateway over bare route in CPU time {ratio:.2} (median of {rounds})")?;
    }
    Ok(())
}
