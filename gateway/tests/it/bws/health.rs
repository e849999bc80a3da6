//! Calls without credentials: health and reflection.

use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};

use super::{channel, counted};
use crate::gateway::Gateway;
use crate::workers::Workers;

async fn check(gateway: &Gateway, service: &str) -> Result<ServingStatus, Code> {
    let mut client = HealthClient::new(channel(gateway).await);
    let answer = client.check(HealthCheckRequest { service: service.to_owned() }).await;
    answer.map(|answer| answer.get_ref().status()).map_err(|status| status.code())
}

#[tokio::test]
async fn health_is_told_without_credentials() {
    let gateway = Gateway::start(Workers::able()).await;
    let (serving, not) = (Ok(ServingStatus::Serving), Ok(ServingStatus::NotServing));
    for service in ["", "liveness", "readiness", "bioid.services.v1.BioIDWebService"] {
        assert_eq!(check(&gateway, service).await, serving, "{service}");
    }
    assert_eq!(check(&gateway, "other").await, Err(Code::NotFound));
    gateway.ready.set(false);
    for (service, expected) in [("", not), ("liveness", serving), ("readiness", not)] {
        assert_eq!(check(&gateway, service).await, expected, "{service}");
    }
    counted(&gateway, r#"faceline_http_requests_total{operation="grpc_health",status="200"} 8"#);
}

#[tokio::test]
async fn who_watches_health_is_told_of_each_change() {
    let gateway = Gateway::start(Workers::able()).await;
    let mut client = HealthClient::new(channel(&gateway).await);
    let mut watch = async |service: &str| {
        client.watch(HealthCheckRequest { service: service.to_owned() }).await.unwrap().into_inner()
    };
    let mut ready = watch("").await;
    let mut next = async || ready.message().await.unwrap().unwrap().status();
    assert_eq!(next().await, ServingStatus::Serving);
    gateway.ready.set(false);
    assert_eq!(next().await, ServingStatus::NotServing);
    gateway.ready.set(true);
    assert_eq!(next().await, ServingStatus::Serving);
    let unknown = watch("other").await.message().await.unwrap().unwrap();
    assert_eq!(unknown.status(), ServingStatus::ServiceUnknown);
}

const SERVICE: &str = "bioid.services.v1.BioIDWebService";

/// The answers of one version of reflection: the list of services, and the file of the BWS service.
macro_rules! reflected {
    ($version:ident, $gateway:expr) => {{
        use $version::server_reflection_request::MessageRequest;
        use $version::server_reflection_response::MessageResponse;
        let channel = channel($gateway).await;
        let mut client = $version::server_reflection_client::ServerReflectionClient::new(channel);
        let request = |message| $version::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(message),
        };
        let requests = [
            request(MessageRequest::ListServices(String::new())),
            request(MessageRequest::FileContainingSymbol(SERVICE.to_owned())),
        ];
        let requests = futures_util::stream::iter(requests);
        let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
        let mut next = async || answers.message().await.unwrap().unwrap().message_response.unwrap();
        let MessageResponse::ListServicesResponse(list) = next().await else { panic!("a list") };
        let services: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
        let MessageResponse::FileDescriptorResponse(files) = next().await else { panic!("files") };
        (services, files.file_descriptor_proto)
    }};
}

#[tokio::test]
async fn the_services_describe_themselves_in_both_versions() {
    let gateway = Gateway::start(Workers::able()).await;
    for (services, files) in [reflected!(v1, &gateway), reflected!(v1alpha, &gateway)] {
        assert!(services.iter().any(|name| name == SERVICE), "{services:?}");
        assert!(services.iter().any(|name| name == "grpc.health.v1.Health"), "{services:?}");
        let has = |name: &str| {
            files.iter().any(|file| file.windows(name.len()).any(|window| window == name.as_bytes()))
        };
        assert!(has("LivenessDetection") && has("PhotoVerify"));
    }
    counted(&gateway, r#"faceline_http_requests_total{operation="grpc_reflection",status="200"} 2"#);
}
