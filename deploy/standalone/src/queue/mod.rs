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

/// What to do with queues.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum QueueCommand {
    /// The queues, with what waits in them and who consumes them
    ///
    /// With broker.management_url the list also has what consumers hold (unacknowledged), bytes, and the reply queues of gateways.
    List(ListArguments),
    /// Messages that expired, or that workers died with
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
}

/// What to do with dead letters.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// Show the oldest dead letters without their sealed payloads; they stay where they are
    Show(ShowArguments),
    /// Publish dead letters again, into the queues in which they died and with fresh attempts
    ///
    /// Without --yes this only says what would be done. The job of a replay gets its whole time anew, and its result counts if the
    /// replay has not ended. A job with a waiting caller keeps what is left of its time; when that is over, nobody would get its answer,
    /// and it stays a dead letter.
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
