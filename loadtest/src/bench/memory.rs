//! Memory over many jobs: what grows between the 500th and the 2,000th grows for ever.

use std::io::Write as _;

use super::Sample;
use crate::load::{self, Request};
use crate::site::Site;

const JOBS: [usize; 4] = [500, 1000, 1500, 2000];

pub(super) async fn run(sample: &Sample, callers: usize) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let site = Site::start(&[]).await?;
    let request = Request::new(&site.url, &sample.bytes)?;
    writeln!(out, "memory, {}:", sample.name)?;
    let (mut done, mut first, mut last) = (0, None, None);
    for jobs in JOBS {
        done += load::closed(&request, callers, (jobs - done).next_multiple_of(callers)).await?.jobs;
        let memory = site.memory()?;
        writeln!(
            out,
            "  after {done} jobs: gateway {:.1} MiB, worker {:.1} MiB",
            memory.gateway, memory.worker
        )?;
        first.get_or_insert(memory);
        last = Some(memory);
    }
    if let (Some(first), Some(last)) = (first, last) {
        writeln!(
            out,
            "  last over first: gateway {:.3}, worker {:.3}",
            last.gateway / first.gateway,
            last.worker / first.worker
        )?;
    }
    Ok(())
}
