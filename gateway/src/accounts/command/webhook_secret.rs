//! `faceline keys webhook-secret`.

use std::io::Write;
use std::path::Path;

use base64_simd::STANDARD;
use faceline_shared::keys::Keys;
use faceline_shared::secret_file;
use faceline_shared::settings::Settings;

use super::change::edit_error;
use super::error::KeysCommandError;
use crate::accounts::edit;
use crate::accounts::error::AccountsError;
use crate::accounts::file;
use crate::accounts::webhook::{MAX_SECRETS, WebhookSecret};

/// A new secret that signs the callbacks of a client
#[derive(Clone, Debug, clap::Args)]
pub struct NewWebhookSecret {
    /// Client whose callbacks the secret signs
    #[arg(long)]
    client: String,
    /// Stop signing with the present secret. Without this flag, both secrets sign until the next call of this command
    #[arg(long)]
    replace: bool,
}

impl NewWebhookSecret {
    pub(super) fn run(
        self,
        settings: &Settings,
        path: &Path,
        out: &mut impl Write,
    ) -> Result<(), KeysCommandError> {
        let Self { client, replace } = self;
        let secret = WebhookSecret::generate()?;
        let sealed = secret.seal(&Keys::find(settings)?.data, &client)?;
        let parse = |text: &str| {
            let form = |reason| AccountsError::Form { path: path.to_owned(), reason };
            file::parse_all(text).map_err(|reason| KeysCommandError::from(form(reason)))
        };
        secret_file::update_readable(path, |text| {
            let text = text.unwrap_or_default();
            let mut parsed = parse(&text)?;
            let present = parsed.callbacks.remove(client.as_str()).unwrap_or_default().sealed_secrets;
            let kept = if replace { 0 } else { MAX_SECRETS - 1 };
            let kept = present.iter().take(kept).map(|sealed| STANDARD.encode_to_string(sealed));
            let secrets: Vec<String> = std::iter::once(sealed).chain(kept).collect();
            let new = edit::set_webhook_secrets(&text, &client, &secrets);
            let new = new.map_err(|source| edit_error(path, source))?;
            let new = new.ok_or_else(|| KeysCommandError::NoClient(client.clone()))?;
            parse(&new)?;
            Ok::<_, KeysCommandError>(Some(new))
        })?;
        writeln!(out, "{:<15} {client}\n{:<15} {}", "client", "webhook secret", secret.reveal())?;
        Ok(writeln!(out, "The secret is not shown again.")?)
    }
}
