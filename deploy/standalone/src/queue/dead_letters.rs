//! `faceline queue dead-letters show` and `requeue`.

use std::io::Write;

use faceline_shared::broker::rabbitmq::{DeadLetter, Inspection, RequeueError};
use faceline_shared::job::JobId;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::QueueError;

/// Default of `--limit`: the number of dead letters that `show` prints.
const SHOWN: usize = 20;

/// The arguments of `show`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ShowArguments {
    /// Maximum number of dead letters to show, oldest first
    #[arg(long, default_value_t = SHOWN)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The arguments of `requeue`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RequeueArguments {
    /// Ids of the jobs whose dead letters are published again
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "JOB_ID")]
    jobs: Vec<JobId>,
    /// Publish all dead letters again
    #[arg(long)]
    all: bool,
    /// Publish the dead letters; without this flag, only print what would be done
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The result of a requeue for one dead letter.
#[derive(Debug, Serialize)]
struct Outcome {
    job: Option<JobId>,
    /// The queue into which it was or would be published.
    queue: Option<String>,
    /// Whether it was published, and removed from the dead letters.
    requeued: bool,
    /// The reason why it stays a dead letter.
    reason: Option<String>,
}

pub(super) async fn show(
    arguments: &ShowArguments,
    inspection: &Inspection,
    out: &mut impl Write,
) -> Result<(), QueueError> {
    let taken = inspection.dead_letters(arguments.limit).await?;
    let letters = taken.letters().to_vec();
    // Returns the letters before the output, because writing may block on a pipe whose reader has stopped.
    taken.give_back().await?;
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &letters)?;
        return Ok(writeln!(out)?);
    }
    if letters.is_empty() {
        return Ok(writeln!(out, "there are no dead letters")?);
    }
    for letter in &letters {
        print(letter, out)?;
    }
    Ok(())
}

fn print(letter: &DeadLetter, out: &mut impl Write) -> Result<(), QueueError> {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".into());
    let job = letter.job.map_or_else(|| "unknown job".into(), |job| job.to_string());
    let kind = serde_json::to_value(letter.kind)?;
    writeln!(out, "{}. {job} {}", letter.position, kind.as_str().unwrap_or_default())?;
    writeln!(out, "   client {}, gateway {}", text(&letter.client), text(&letter.gateway))?;
    let died = letter.died_at_s.and_then(|seconds| moment(seconds * 1000));
    writeln!(out, "   died in {} ({}) at {}", text(&letter.died_in), text(&letter.reason), text(&died))?;
    let published = letter.published_at_ms.and_then(moment);
    let budget =
        letter.budget_ms.map_or_else(|| "unknown".into(), |millis| format!("{} s", millis as f64 / 1000.0));
    writeln!(out, "   published at {}, time {budget}", text(&published))?;
    writeln!(
        out,
        "   {} failed attempts before that queue, {} bytes",
        letter.earlier_attempts, letter.bytes
    )?;
    Ok(())
}

fn moment(millis: u64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()?.format(&Rfc3339).ok()
}

pub(super) async fn requeue(
    arguments: &RequeueArguments,
    inspection: &Inspection,
    out: &mut impl Write,
) -> Result<(), QueueError> {
    // All letters are taken at once, so a job that dies again meanwhile is not published a second time.
    let mut taken = inspection.dead_letters(usize::MAX).await?;
    let all = taken.letters().to_vec();
    let missing = arguments.jobs.iter().find(|id| !all.iter().any(|letter| letter.job == Some(**id)));
    if let Some(id) = missing {
        taken.give_back().await?;
        return Err(QueueError::Unknown(*id));
    }
    let is_meant =
        |letter: &&DeadLetter| arguments.all || letter.job.is_some_and(|job| arguments.jobs.contains(&job));
    let mut outcomes = Vec::new();
    let mut failed = None;
    for letter in all.iter().filter(is_meant) {
        let job = letter.job;
        let published = if arguments.yes {
            taken.publish_again(letter).await
        } else {
            letter
                .requeued(inspection.prefix())
                .map(|(queue, _)| inspection.name_of(&queue))
                .map_err(RequeueError::from)
        };
        match published {
            Ok(queue) => {
                if arguments.yes
                    && let Err(error) = taken.acknowledge(letter.position).await
                {
                    failed = Some(error);
                    break;
                }
                outcomes.push(Outcome { job, queue: Some(queue), requeued: arguments.yes, reason: None });
            }
            Err(error) => {
                outcomes.push(Outcome { job, queue: None, requeued: false, reason: Some(error.to_string()) });
            }
        }
    }
    let returned = taken.give_back().await;
    print_outcomes(arguments, &outcomes, out)?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    returned?;
    match outcomes.iter().filter(|outcome| outcome.reason.is_some()).count() {
        0 => Ok(()),
        count => Err(QueueError::Incomplete(count)),
    }
}

fn print_outcomes(
    arguments: &RequeueArguments,
    outcomes: &[Outcome],
    out: &mut impl Write,
) -> Result<(), QueueError> {
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, outcomes)?;
        return Ok(writeln!(out)?);
    }
    for Outcome { job, queue, requeued, reason } in outcomes {
        let job = job.map_or_else(|| "unknown job".into(), |job| job.to_string());
        match (queue, reason) {
            (Some(queue), _) if *requeued => writeln!(out, "{job}: published again to {queue}")?,
            (Some(queue), _) => writeln!(out, "{job}: would be published to {queue}")?,
            (None, reason) => {
                writeln!(out, "{job}: stays a dead letter: {}", reason.as_deref().unwrap_or_default())?;
            }
        }
    }
    if outcomes.is_empty() {
        writeln!(out, "there are no dead letters")?;
    } else if !arguments.yes {
        writeln!(out, "Nothing was changed. Run this again with --yes to do it.")?;
    }
    Ok(())
}
