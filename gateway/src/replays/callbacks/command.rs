//! `faceline callbacks …`: lists waiting and dead callbacks, and sends dead ones again.

use std::io::{self, Write};
use std::time::Duration;

use faceline_gateway_store::outbox::Lane;
use faceline_gateway_store::sealed::{OpenedListedRow, RecordError, SealedOutbox, UnsealedRow};
use faceline_gateway_store::{self as store, StoreError};
use faceline_shared::keys::{Keys, KeysError};
use faceline_shared::settings::Settings;
use faceline_shared::settings::StoreUrl;
use uuid::Uuid;

use crate::replays::rows::Callback;

/// Maximum number of rows that are listed.
const MAX_ROWS: usize = 100_000;
/// Delay after which a moved callback is due if the command dies before it has marked the callback as replayed. The
/// callback then becomes a dead letter again.
const HANDOVER_TIME: Duration = Duration::from_secs(30);

/// List callbacks to service providers, and send dead letters again
#[derive(Clone, Debug, clap::Subcommand)]
pub enum CallbacksCommand {
    /// Show dead letters: callbacks that no receiver accepted before their session ended
    List {
        /// Show callbacks that wait for their next attempt instead
        #[arg(long)]
        waiting: bool,
    },
    /// Send dead letters again. A callback that fails five times becomes a dead letter again
    Replay {
        /// Id of the callback, as `list` shows it
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<Uuid>,
        /// Send all dead letters again
        #[arg(long)]
        all: bool,
    },
}

/// Reason why a command fails.
#[derive(Debug, thiserror::Error)]
pub enum CallbacksCommandError {
    /// The keys that open rows cannot be found.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The embedded store cannot be opened.
    #[error("{0}; a running program holds its embedded store, so stop it for this command")]
    Embedded(StoreError),
    /// The shared store's settings cannot be used.
    #[error(transparent)]
    Store(StoreError),
    /// Rows cannot be read or written.
    #[error(transparent)]
    Rows(#[from] RecordError),
    /// There is no such dead letter.
    #[error("there is no dead letter {0}; `faceline callbacks list` shows those that there are")]
    NotFound(Uuid),
    /// The runtime for the store cannot be started.
    #[error("no runtime: {0}")]
    Runtime(io::Error),
    /// The output cannot be written.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl CallbacksCommand {
    /// Runs the command and writes its output to `out`. Gateways over a shared store may run at the same time.
    ///
    /// # Errors
    /// [`CallbacksCommandError`].
    pub fn run(self, settings: &Settings, out: &mut impl Write) -> Result<(), CallbacksCommandError> {
        let keys = Keys::find(settings)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(CallbacksCommandError::Runtime)?;
        runtime.block_on(async {
            let stores = store::open(&settings.store, &settings.data_dir).map_err(|error| match settings
                .store
                .url
            {
                StoreUrl::Embedded => CallbacksCommandError::Embedded(error),
                StoreUrl::Redis(_) => CallbacksCommandError::Store(error),
            })?;
            let outbox = SealedOutbox::new(stores.outbox, keys.data);
            match self {
                Self::List { waiting } => {
                    let lane = if waiting { Lane::Callbacks } else { Lane::DeadCallbacks };
                    list(&outbox, lane, out).await
                }
                Self::Replay { id, .. } => replay(&outbox, id, out).await,
            }
        })
    }
}

async fn list(outbox: &SealedOutbox, lane: Lane, out: &mut impl Write) -> Result<(), CallbacksCommandError> {
    let due = if lane == Lane::Callbacks { "NEXT ATTEMPT IN" } else { "FORGOTTEN IN" };
    writeln!(
        out,
        "{:<36}  {:<36}  {due:<15}  {:<8}  CLIENT  URL  LAST FAILURE",
        "ID", "SESSION", "FAILURES"
    )?;
    for OpenedListedRow { id, due_in, payload, .. } in outbox.list::<Callback>(lane, MAX_ROWS).await? {
        match payload {
            Ok(Callback { client, session, url, failures, last_failure, .. }) => {
                let due = humantime::format_duration(Duration::from_secs(due_in.as_secs()));
                let reason = last_failure.as_deref().unwrap_or("-");
                writeln!(out, "{id}  {session}  {due:<15}  {failures:<8}  {client}  {url}  {reason}")?;
            }
            Err(error) => writeln!(out, "{id}  cannot be read: {error}")?,
        }
    }
    Ok(())
}

async fn replay(
    outbox: &SealedOutbox,
    only: Option<Uuid>,
    out: &mut impl Write,
) -> Result<(), CallbacksCommandError> {
    let dead = outbox.list::<Callback>(Lane::DeadCallbacks, MAX_ROWS).await?;
    let chosen = dead.into_iter().filter(|row| only.is_none_or(|id| row.id == id));
    let mut count = 0;
    for OpenedListedRow { id, payload, .. } in chosen {
        let callback = payload?;
        if !outbox.transfer(id, Lane::DeadCallbacks, Lane::Callbacks, HANDOVER_TIME).await? {
            continue;
        }
        let payload = Callback { is_replayed: true, failures: 0, ..callback };
        outbox.enqueue(Lane::Callbacks, &UnsealedRow { id, payload, due_in: Duration::ZERO }).await?;
        count += 1;
    }
    match only {
        Some(id) if count == 0 => Err(CallbacksCommandError::NotFound(id)),
        _ => Ok(writeln!(out, "{count} to be sent again")?),
    }
}
