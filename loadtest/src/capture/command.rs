//! `faceline-loadtest capture …`.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use faceline_shared::replay::LivenessType;
use faceline_shared::replay::metadata::ShownChallenge;
use serde_json::json;
use uuid::Uuid;

use super::{Capture, CaptureClient, Credential, Parameters, PinnedKeys, Recording, capture, seal};

/// Send a video file through a complete replay, and print the replay's status
#[derive(Clone, Debug, clap::Args)]
pub struct CaptureCommand {
    /// Address of the service, such as http://127.0.0.1:8080
    #[arg(long)]
    url: String,
    /// API key
    #[arg(long, default_value = "demo")]
    apikey: String,
    /// Run only the device's steps (verify, encrypt and upload) for this session, which a back end has created
    #[arg(long, requires = "capture_token")]
    session: Option<Uuid>,
    /// Capture token that the back end got with the session's parameters
    #[arg(long, requires = "session", conflicts_with_all = ["callback_url", "level", "challenges", "image"])]
    capture_token: Option<String>,
    /// Video or picture to send
    #[arg(long)]
    video: PathBuf,
    /// Media type of the file [default: by its name]
    #[arg(long)]
    content_type: Option<String>,
    /// Type of liveness: `LIVENESS_ACTIVE`, `LIVENESS_PASSIVE` or `LIVENESS_PASSIVE_VIDEO`
    #[arg(long = "type", default_value = "LIVENESS_PASSIVE_VIDEO", value_parser = liveness)]
    liveness: LivenessType,
    /// Security level: LOW, MEDIUM or HIGH
    #[arg(long)]
    level: Option<String>,
    /// Number of challenges
    #[arg(long)]
    challenges: Option<u8>,
    /// Time at which a challenge was shown, in milliseconds after the first frame; repeat the flag for each challenge
    #[arg(long)]
    shown_at: Vec<u64>,
    /// State that the pictures are not mirrored: the person's left side appears on the right
    #[arg(long)]
    not_mirrored: bool,
    /// Ask for the best image in the status
    #[arg(long)]
    image: bool,
    /// URL to which the service sends the callback when the replay ends
    #[arg(long)]
    callback_url: Option<String>,
    /// File with the JWK, or JWK set, that signs answers [default: trust the keys that the service publishes]
    #[arg(long)]
    pinned_jwk: Option<PathBuf>,
    /// Maximum time from the upload to the end of the replay, in seconds
    #[arg(long, default_value_t = 300)]
    timeout: u64,
}

impl CaptureCommand {
    /// Executes the command.
    ///
    /// # Errors
    /// A file cannot be read, or a step of the [`capture`] fails.
    pub async fn run(self) -> anyhow::Result<()> {
        let client = CaptureClient::new(&self.url, &self.apikey);
        let keys = match &self.pinned_jwk {
            Some(path) => PinnedKeys::parse(&read(path)?)?,
            None => client.published_keys().await?,
        };
        let content_type = self.content_type.clone().unwrap_or_else(|| content_type(&self.video).to_owned());
        let shown = |(challenge, &shown_at): (usize, _)| {
            Ok(ShownChallenge { challenge: u8::try_from(challenge)?, shown_at })
        };
        let recording = Recording {
            mirrored: !self.not_mirrored,
            events: self.shown_at.iter().enumerate().map(shown).collect::<anyhow::Result<_>>()?,
            ..Recording::of(read(&self.video)?, &content_type)
        };
        if let (Some(session), Some(token)) = (self.session, &self.capture_token) {
            let parameters = client.parameters(session, Credential::Token(token), &keys).await?;
            let upload = seal(session, &parameters, &recording)?;
            let parameters = Parameters { capture_token: Some(token.clone()), ..parameters };
            client.upload_until_accepted(session, &upload, &parameters).await?;
            writeln!(std::io::stdout(), "{}", json!({"uploaded": session}))?;
            return Ok(());
        }
        let session = self.callback_url.as_ref().map_or(json!({}), |url| json!({"callbackURL": url}));
        let wanted = Capture {
            level: self.level,
            challenges: self.challenges,
            returns_image: self.image,
            session,
            timeout: Duration::from_secs(self.timeout),
            ..Capture::new(self.liveness, recording)
        };
        let captured = capture(&client, &keys, &wanted).await?;
        writeln!(std::io::stdout(), "{}", captured.status)?;
        Ok(())
    }
}

fn read(path: &PathBuf) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

fn liveness(name: &str) -> Result<LivenessType, String> {
    let all = [LivenessType::Active, LivenessType::Passive, LivenessType::PassiveVideo];
    all.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| "no type of liveness".into())
}

fn content_type(path: &std::path::Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "webm" => "video/webm",
        "mkv" => "video/x-matroska",
        "mov" => "video/quicktime",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        _ => "video/mp4",
    }
}
