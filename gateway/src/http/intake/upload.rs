//! The reception of an upload of a replay: a multipart body whose first part is read as a whole, and whose second part
//! is passed on as it arrives.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use faceline_shared::replay::jwe::MAX_JWE_BYTES;
use futures_util::Stream;
use hyper::body::Body as _;
use tokio::time::{Instant, timeout};

use super::admit::{BodyBounds, admit};
use super::authorize::authorize;
use super::content_type;
use super::multipart::{Parser, check_coding};
use super::receive::{Received, received};
use crate::admission::UploadPermit;
use crate::fault::Fault;
use crate::http::GatewayState;
use crate::http::operations;
use crate::replays::MediaSource;

/// The part with the metadata, which comes first.
const METADATA: &str = "metadata";
/// The part with the media.
const MEDIA: &str = "media";
/// Maximum bytes of a body besides the contents of its two parts: boundaries, part headers, preamble and epilogue.
const MAX_FRAMING_BYTES: u64 = 64 << 10;
/// Bytes of memory of an upload into a folder: data that was received and not yet passed on.
const FOLDER_MEMORY_BYTES: usize = 1 << 20;
/// The same for an upload into a bucket, where two parts of 5 MiB are collected and sent.
const BUCKET_MEMORY_BYTES: usize = 11 << 20;
/// The time over which the rate of a body must be high enough.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// An upload that was admitted and whose body is still to be read.
pub(in crate::http) struct UploadForm {
    parser: Parser<UploadBody>,
    rate: RateWindow,
    /// Held until the upload ends.
    _permit: UploadPermit,
}

/// Admits an upload on its headers.
///
/// # Errors
/// Those of [`authorize`] and [`admit`], [`Fault::TooLarge`] for a body that is announced to be too long,
/// [`Fault::Invalid`] for one that is not multipart, [`Fault::Busy`] where too many uploads are in progress, or too
/// many videos wait for workers.
pub(in crate::http) async fn receive_upload(
    state: &GatewayState,
    request: Request,
) -> Result<Received<UploadForm>, Fault> {
    let (parts, body) = request.into_parts();
    let operation = operations::matched(&parts.extensions)?;
    let caller = authorize(state, &parts, operation).await?;
    let boundary = content_type::boundary(&parts.headers)?;
    let settings = &state.config.replay;
    let max_bytes = settings.media_bytes.saturating_add(MAX_JWE_BYTES as u64 + MAX_FRAMING_BYTES);
    let bounds = BodyBounds {
        max_bytes: usize::try_from(max_bytes).unwrap_or(usize::MAX),
        memory: if state.config.objects.is_bucket() {
            |_| BUCKET_MEMORY_BYTES
        } else {
            |_| FOLDER_MEMORY_BYTES
        },
    };
    let admitted = admit(state, &parts, caller, false, bounds)?;
    let permit = state.biometric.replays().admit_upload(&admitted.caller).await?;
    let form = UploadForm {
        parser: Parser::new(UploadBody { body, left: max_bytes }, &boundary),
        rate: RateWindow::new(settings.min_upload_rate),
        _permit: permit,
    };
    Ok(received(admitted, form, &parts))
}

impl UploadForm {
    /// Reads the first part, which must be the metadata, and returns its content.
    ///
    /// # Errors
    /// [`Fault::Invalid`] if the first part is another one, [`Fault::TooLarge`] if it is too long, and the faults of
    /// the body.
    pub(in crate::http) async fn metadata(&mut self) -> Result<Bytes, Fault> {
        self.begin_part(METADATA, "the first part must be").await?;
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.rate.watch(self.parser.chunk()).await? {
            if bytes.len() + chunk.len() > MAX_JWE_BYTES {
                return Err(Fault::TooLarge { limit: MAX_JWE_BYTES, place: format!(" in `{METADATA}`") });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    /// Advances to the second part, which must be the media.
    ///
    /// # Errors
    /// [`Fault::Invalid`] if it is another one, and the faults of the body.
    pub(in crate::http) async fn begin_media(&mut self) -> Result<(), Fault> {
        self.begin_part(MEDIA, "the second part must be").await
    }

    async fn begin_part(&mut self, name: &str, rule: &str) -> Result<(), Fault> {
        let headers = self.rate.watch_part(self.parser.next_part()).await?;
        let headers = headers.filter(|headers| headers.name.as_deref() == Some(name));
        check_coding(&headers.ok_or_else(|| Fault::Invalid(format!("{rule} `{name}`")))?)
    }
}

impl MediaSource for UploadForm {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        if let Some(chunk) = self.rate.watch(self.parser.chunk()).await? {
            return Ok(Some(chunk));
        }
        match self.rate.watch_part(self.parser.next_part()).await? {
            None => Ok(None),
            Some(_) => Err(Fault::Invalid(format!("no part may follow `{MEDIA}`"))),
        }
    }
}

/// A body of bounded length.
struct UploadBody {
    body: HttpBody,
    left: u64,
}

impl Stream for UploadBody {
    type Item = Result<Bytes, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    tracing::debug!(%error, "an upload broke off");
                    return Poll::Ready(Some(Err(Fault::Invalid("the body broke off".into()))));
                }
            };
            // Trailers of a request are ignored.
            let Ok(data) = frame.into_data() else { continue };
            return Poll::Ready(Some(match self.left.checked_sub(data.len() as u64) {
                Some(left) => {
                    self.left = left;
                    Ok(data)
                }
                None => Err(Fault::Invalid("the body has more bytes than its parts may have".into())),
            }));
        }
    }
}

/// Refuses a body that arrives too slowly. Only the time in which the gateway waits for the body counts, so a slow
/// store does not count against the device.
struct RateWindow {
    min_bytes: u64,
    waited: Duration,
    received: u64,
}

impl RateWindow {
    fn new(bytes_per_second: u64) -> Self {
        Self {
            min_bytes: bytes_per_second.saturating_mul(RATE_WINDOW.as_secs()),
            waited: Duration::ZERO,
            received: 0,
        }
    }

    /// Waits for the next bytes.
    async fn watch(
        &mut self,
        next: impl Future<Output = Result<Option<Bytes>, Fault>>,
    ) -> Result<Option<Bytes>, Fault> {
        let chunk = self.wait(next).await?;
        self.received += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        self.check()?;
        Ok(chunk)
    }

    /// Waits for the headers of the next part. Their bytes do not count as received.
    async fn watch_part<T>(&mut self, next: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let headers = self.wait(next).await?;
        self.check()?;
        Ok(headers)
    }

    async fn wait<T>(&mut self, next: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let mut next = std::pin::pin!(next);
        loop {
            let started = Instant::now();
            let waited = timeout(RATE_WINDOW.saturating_sub(self.waited), &mut next).await;
            self.waited += started.elapsed();
            match waited {
                Ok(done) => return done,
                Err(_) => self.check()?,
            }
        }
    }

    /// At the end of a window: checks its rate, and begins the next one.
    fn check(&mut self) -> Result<(), Fault> {
        if self.waited < RATE_WINDOW {
            return Ok(());
        }
        if self.received < self.min_bytes {
            return Err(Fault::SlowBody);
        }
        (self.waited, self.received) = (Duration::ZERO, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio::time::sleep;

    use super::*;

    /// Receives `chunks` of `bytes` each, `pause` apart, with a minimum rate of 1000 bytes a second.
    async fn received(chunks: usize, bytes: usize, pause: Duration) -> Result<(), Fault> {
        let mut rate = RateWindow::new(1000);
        for _ in 0..chunks {
            rate.watch(async {
                sleep(pause).await;
                Ok(Some(Bytes::from(vec![0; bytes])))
            })
            .await?;
        }
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_counts_over_a_window() {
        let seconds = Duration::from_secs;
        assert_eq!(received(60, 1100, seconds(1)).await, Ok(()));
        assert_eq!(received(9, 1, seconds(1)).await, Ok(()), "a short body has one window of time");
        assert_eq!(received(60, 900, seconds(1)).await, Err(Fault::SlowBody));
        assert_eq!(received(2, 20_000, seconds(9)).await, Ok(()), "a pause within a window");
        assert_eq!(received(1, 20_000, seconds(11)).await, Err(Fault::SlowBody));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_body_ends_after_one_window() {
        let mut rate = RateWindow::new(1000);
        let started = Instant::now();
        let never = std::future::pending::<Result<Option<Bytes>, Fault>>();
        assert_eq!(rate.watch(never).await, Err(Fault::SlowBody));
        assert_eq!(started.elapsed(), RATE_WINDOW);
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_waits_for_the_body_does_not_count() {
        let mut rate = RateWindow::new(1000);
        for _ in 0..10 {
            rate.watch(async { Ok(Some(Bytes::from_static(b"x"))) }).await.unwrap();
            sleep(Duration::from_secs(60)).await;
        }
    }

    #[tokio::test]
    async fn a_body_ends_at_its_bound() {
        let frames =
            futures_util::stream::iter((0..3).map(|_| Ok::<_, Infallible>(Bytes::from(vec![0; 10]))));
        let mut body = UploadBody { body: HttpBody::from_stream(frames), left: 25 };
        for is_ok in [true, true, false] {
            let next = futures_util::StreamExt::next(&mut body).await.unwrap();
            assert_eq!(next.is_ok(), is_ok);
        }
    }
}
