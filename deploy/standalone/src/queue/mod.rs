//! `faceline queue`: messages that wait between gateways and workers, and dead letters.

mod dead_letters;
mod error;
mod list;

use std::io;

use faceline_shared::broker::rabbitmq::Inspection;
use faceline_shared::settings::Settings;

use self::dead_letters::{RequeueArguments, ShowArguments};
use self::error::QueueError;
use self::list::ListArguments;

/// Commands about queues.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum QueueCommand {
    /// Show the queues with their waiting messages and consumers
    ///
    /// With broker.management_url the list also shows unacknowledged messages, sizes in bytes, and the reply queues
    /// of gateways.
    List(ListArguments),
    /// Show or requeue dead letters: messages that expired or whose workers crashed
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
}

/// Commands about dead letters.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// Show the oldest dead letters without their sealed payloads; they stay in the queue
    Show(ShowArguments),
    /// Publish dead letters again, to their original queues and with a new count of attempts
    ///
    /// Without --yes this only prints what it would do. The job of a replay gets its full time limit again, and its
    /// result counts if the replay has not ended. A job with a waiting caller keeps its remaining time; after that no
    /// caller would get its answer, and it stays a dead letter.
    Requeue(RequeueArguments),
}

/// Runs `command` and prints its output.
pub(crate) fn run(command: QueueCommand, settings: &Settings) -> Result<(), QueueError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let out = &mut io::stdout().lock();
    runtime.block_on(async {
        let inspection = Inspection::open(&settings.broker).await?;
        match command {
            QueueCommand::List(arguments) => list::run(&arguments, &inspection, settings, out).await,
            QueueCommand::DeadLetters(DeadLettersCommand::Show(arguments)) => {
                dead_letters::show(&arguments, &inspection, out).await
            }
            QueueCommand::DeadLetters(DeadLettersCommand::Requeue(arguments)) => {
                dead_letters::requeue(&arguments, &inspection, out).await
            }
        }
    })
}
