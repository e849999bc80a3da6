//! Comparisons and Face Liveness: the whole service over the bare pipeline.

use std::io::Write as _;

use anyhow::Context as _;
use serde_json::Value;

use super::{Sample, measure, median};
use crate::bare;
use crate::closed_loop::{self, Request};
use crate::site::{Setup, Site, listed, total};

/// An operation that is measured.
struct Operation {
    name: &'static str,
    request: Request,
    /// Member of the answer that is above 0 only if the pictures were compared or judged.
    score: &'static str,
    bare: BareWork,
}

/// Work of the bare pipeline that corresponds to an operation.
#[derive(Clone, Copy)]
enum BareWork {
    /// Makes the templates of both pictures, one after the other.
    CodeBoth,
    /// Judges the liveness of the first picture.
    JudgeFirst,
}

/// CPU times of the bare pipeline, in milliseconds.
struct BareMs {
    code_both: f64,
    judge_first: f64,
}

pub(super) async fn run(samples: [&Sample; 2], callers: usize, rounds: usize) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let site = Site::start(Setup::Distributed).await?;
    let operations = Operation::all(&site.url, samples)?;
    let jobs = samples[0].jobs / 3;
    for operation in &operations {
        operation.check().await?;
        closed_loop::closed(&operation.request, callers, jobs / 5).await?;
    }
    writeln!(out, "operations (RabbitMQ and Redis), {} and {}:", samples[0].name, samples[1].name)?;
    let mut ratios = operations.each_ref().map(|_| Vec::new());
    for _ in 0..rounds {
        let bare = BareMs::measure(samples, jobs / 2).await?;
        for (operation, ratios) in operations.iter().zip(&mut ratios) {
            let (done, used) = measure(&site, &operation.request, callers, jobs).await?;
            let bare_ms = bare.of(operation.bare);
            ratios.push(bare_ms / total(&used));
            writeln!(
                out,
                "  {}: {:.1} jobs/s, {:.2} ms CPU a job ({}), bare pipeline {bare_ms:.2}",
                operation.name,
                done.per_second(),
                total(&used),
                listed(&used)
            )?;
        }
    }
    for (operation, ratios) in operations.iter().zip(&mut ratios) {
        writeln!(
            out,
            "  {}: bare over service in CPU time a job {:.2} (median of {rounds})",
            operation.name,
            median(ratios)
        )?;
    }
    Ok(())
}

impl Operation {
    fn all(url: &str, samples: [&Sample; 2]) -> anyhow::Result<[Self; 3]> {
        let pictures = samples.map(|sample| &sample.bytes);
        let match_images = Self {
            name: "comparison of two pictures",
            request: Request::match_images(url, pictures)?,
            score: "score",
            bare: BareWork::CodeBoth,
        };
        // The worker searches these pictures for all faces, which takes more than coding them does.
        let photo_verify = Self {
            name: "PhotoVerify without liveness detection",
            request: Request::photo_verify(url, pictures)?,
            score: "verificationScore",
            bare: BareWork::CodeBoth,
        };
        let face_liveness = Self {
            name: "Face Liveness",
            request: Request::face_liveness(url, pictures[0])?,
            score: "score",
            bare: BareWork::JudgeFirst,
        };
        Ok([match_images, photo_verify, face_liveness])
    }

    /// Sends the request once, and checks that the pictures are compared or judged, because a job that ends early costs
    /// less.
    async fn check(&self) -> anyhow::Result<()> {
        let answer = closed_loop::answer(&self.request).await.context(self.name)?;
        let value: Value = serde_json::from_str(&answer).context(self.name)?;
        let is_done = value[self.score].as_f64().is_some_and(|score| score > 0.0);
        anyhow::ensure!(is_done, "{}: the pictures are not compared or judged: {answer}", self.name);
        Ok(())
    }
}

impl BareMs {
    async fn measure(samples: [&Sample; 2], count: usize) -> anyhow::Result<Self> {
        let mut code_both = 0.0;
        for sample in samples {
            code_both += bare::run(&sample.file, count, None).await?.cpu_ms;
        }
        let judge_first = bare::examine(&[samples[0].file.as_path()], count).await?;
        Ok(Self { code_both, judge_first })
    }

    fn of(&self, work: BareWork) -> f64 {
        match work {
            BareWork::CodeBoth => self.code_both,
            BareWork::JudgeFirst => self.judge_first,
        }
    }
}
