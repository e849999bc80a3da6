//! The operators' listener: `/livez`, `/readyz` and `/metrics` over HTTP, and health checks over gRPC.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;

use super::readiness::Readiness;
use super::{grpc_check, health};
use crate::shutdown::CancellationToken;
use crate::telemetry::Metrics;

/// The listener closes an HTTP/1.1 connection that has had no request for this time. The time is above the usual scrape
/// intervals. Otherwise a scraper, which keeps its connection, could send a request while the listener closes it.
const IDLE_TIMEOUT: Duration = Duration::from_mins(5);
/// Interval of PING frames on HTTP/2 connections.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// Pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The operators' listener.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Conditions and facts that `/readyz` shows.
    pub readiness: Readiness,
    /// Metrics that `/metrics` shows.
    pub metrics: Metrics,
}

impl Admin {
    /// Opens the listener at `listen`, and serves it in the background until `shutdown`. Returns the address.
    ///
    /// # Errors
    /// An I/O error if the address is in use, or is not one of this machine.
    pub async fn serve(self, listen: SocketAddr, shutdown: CancellationToken) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
                let Ok((stream, _)) = accepted else {
                    // Without a pause, a lack of file descriptors would keep a whole core busy.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let admin = self.clone();
                let service = service_fn(move |request| {
                    let admin = admin.clone();
                    async move { Ok::<_, Infallible>(admin.answer(request).await) }
                });
                let mut builder = Builder::new(TokioExecutor::new());
                builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE_TIMEOUT);
                builder.http2().timer(TokioTimer::new()).keep_alive_interval(PING_INTERVAL);
                let shutdown = shutdown.clone();
                tokio::spawn(async move {
                    let connection = builder.serve_connection(TokioIo::new(stream), service);
                    shutdown.run_until_cancelled(connection).await
                });
            }
        });
        Ok(address)
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<BoxBody<Bytes, Infallible>> {
        match request.uri().path() {
            grpc_check::PATH => grpc_check::answer(request, &self.readiness).await,
            "/livez" => text(health::livez()),
            "/readyz" => text(health::readyz_in_detail(&self.readiness)),
            "/metrics" => text((StatusCode::OK, self.metrics.encode())),
            _ => text((StatusCode::NOT_FOUND, "there are /livez, /readyz and /metrics\n".into())),
        }
    }
}

fn text((status, body): (StatusCode, String)) -> Response<BoxBody<Bytes, Infallible>> {
    let mut response = Response::new(Full::new(body.into()).boxed());
    *response.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn it_shows_readiness_and_metrics() {
        let admin = Admin { readiness: Readiness::new(), metrics: Metrics::new() };
        let models = admin.readiness.condition("models");
        admin.metrics.counter("faceline_things_total", "Things.").inc();
        let shutdown = CancellationToken::new();
        let address = admin.serve(([127, 0, 0, 1], 0).into(), shutdown.clone()).await.unwrap();

        assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200"));
        let answer = get(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("models"), "{answer}");
        models.set(true);
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "/metrics").await.contains("faceline_things_total 1"));
        assert!(get(address, "/other").await.starts_with("HTTP/1.1 404"));
        shutdown.cancel();
    }

    #[tokio::test]
    async fn it_tells_health_over_grpc() {
        let admin = Admin { readiness: Readiness::new(), metrics: Metrics::new() };
        let models = admin.readiness.condition("models");
        let shutdown = CancellationToken::new();
        let address = admin.serve(([127, 0, 0, 1], 0).into(), shutdown.clone()).await.unwrap();
        let stream = TokioIo::new(tokio::net::TcpStream::connect(address).await.unwrap());
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        let mut ask = async || {
            let request = Request::post(format!("http://{address}{}", grpc_check::PATH))
                .header(header::CONTENT_TYPE, "application/grpc")
                .body(Full::new(Bytes::from_static(&[0; 5])))
                .unwrap();
            let body = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap();
            assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
            body.to_bytes().last().copied()
        };
        assert_eq!(ask().await, Some(2));
        models.set(true);
        assert_eq!(ask().await, Some(1));
        shutdown.cancel();
    }
}
