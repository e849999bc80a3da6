//! Reads a `ScaledObject` of KEDA, and builds for each trigger the request that KEDA sends to RabbitMQ.
//!
//! The fields are those of `keda.sh/v1alpha1`. The request and the choice of its answer follow KEDA's scaler `rabbitmq`
//! (`pkg/scalers/rabbitmq_scaler.go`, version 2.17) with `protocol: http`.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::Value;

/// The target of scaling, its bounds in pods, and its triggers.
#[derive(Clone, Debug)]
pub struct ScaledObject {
    /// The Deployment that is scaled.
    pub target: String,
    /// The fewest pods.
    pub min_pods: u32,
    /// The most pods.
    pub max_pods: u32,
    /// Interval at which KEDA itself polls each trigger.
    pub polling_interval: Duration,
    /// Limits on how fast the HorizontalPodAutoscaler may change the number of pods.
    pub behavior: Behavior,
    /// The triggers. The one that asks for the most pods determines their number.
    pub triggers: Vec<Trigger>,
}

/// A trigger of the type `rabbitmq`.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// Name of the trigger.
    pub name: String,
    /// Name of the queue at the broker.
    pub queue: String,
    /// The quantity that is counted.
    pub mode: Mode,
    /// Target mean per pod: messages, or messages a second.
    pub value: f64,
    /// Whether only ready messages are counted, and none that a worker holds.
    pub exclude_unacknowledged: bool,
}

/// The quantity that a trigger counts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub enum Mode {
    /// Messages in the queue.
    QueueLength,
    /// Messages that are published in a second.
    MessageRate,
}

/// Limits on how fast a HorizontalPodAutoscaler may change the number of pods (`autoscaling/v2`).
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Behavior {
    /// Rules for more pods.
    pub scale_up: ScalingRules,
    /// Rules for fewer pods.
    pub scale_down: ScalingRules,
}

/// Rules for one direction.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ScalingRules {
    /// The most cautious recommendation of these seconds counts.
    #[serde(rename = "stabilizationWindowSeconds", deserialize_with = "seconds")]
    pub stabilization_window: Duration,
    /// The policy that applies, if there are several.
    #[serde(default)]
    pub select_policy: SelectPolicy,
    /// Limits on the change within a period.
    pub policies: Vec<Policy>,
}

/// The choice among several policies.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
pub enum SelectPolicy {
    /// The one that allows the largest change.
    #[default]
    Max,
    /// The one that allows the smallest change.
    Min,
}

/// A limit on the change within a period.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Unit of `value`.
    #[serde(rename = "type")]
    pub kind: PolicyKind,
    /// Pods, or per cent of those at the beginning of the period.
    pub value: u32,
    /// The period.
    #[serde(rename = "periodSeconds", deserialize_with = "seconds")]
    pub period: Duration,
}

/// Unit of a policy's value.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub enum PolicyKind {
    /// Pods
    Pods,
    /// Per cent of the pods
    Percent,
}

fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_secs)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    scale_target_ref: Target,
    polling_interval: u64,
    min_replica_count: u32,
    max_replica_count: u32,
    advanced: Advanced,
    triggers: Vec<RawTrigger>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Advanced {
    horizontal_pod_autoscaler_config: AutoscalerConfig,
}

#[derive(Deserialize)]
struct AutoscalerConfig {
    behavior: Behavior,
}

#[derive(Deserialize)]
struct RawTrigger {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    metadata: Metadata,
}

/// The values of KEDA's metadata are strings.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    protocol: String,
    mode: Mode,
    queue_name: String,
    value: String,
    #[serde(default)]
    exclude_unacknowledged: String,
}

impl ScaledObject {
    /// The `ScaledObject` called `name` among the documents of `yaml`.
    ///
    /// # Errors
    /// There is none, it is not valid, or a trigger is not of the type `rabbitmq` over the management API.
    pub fn read(yaml: &str, name: &str) -> anyhow::Result<Self> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(yaml)?;
        let mut objects = documents.into_iter().filter(|document| document["kind"] == "ScaledObject");
        let mut object = objects
            .find(|object| object["metadata"]["name"] == name)
            .with_context(|| format!("there is no ScaledObject `{name}`"))?;
        let spec: Spec = serde_json::from_value(object["spec"].take())?;
        Ok(Self {
            target: spec.scale_target_ref.name,
            min_pods: spec.min_replica_count,
            max_pods: spec.max_replica_count,
            polling_interval: Duration::from_secs(spec.polling_interval),
            behavior: spec.advanced.horizontal_pod_autoscaler_config.behavior,
            triggers: spec.triggers.into_iter().map(Trigger::read).collect::<anyhow::Result<_>>()?,
        })
    }

    /// The same with all times divided by `factor`, for tests that cannot last for minutes.
    #[must_use]
    pub fn compressed(mut self, factor: u32) -> Self {
        self.polling_interval /= factor;
        for rules in [&mut self.behavior.scale_up, &mut self.behavior.scale_down] {
            rules.stabilization_window /= factor;
            rules.policies.iter_mut().for_each(|policy| policy.period /= factor);
        }
        self
    }

    /// The trigger called `name`.
    #[must_use]
    pub fn trigger(&self, name: &str) -> Option<&Trigger> {
        self.triggers.iter().find(|trigger| trigger.name == name)
    }
}

impl Trigger {
    fn read(raw: RawTrigger) -> anyhow::Result<Self> {
        let RawTrigger { kind, name, metadata } = raw;
        ensure!(kind == "rabbitmq", "trigger `{name}` is of the type `{kind}`");
        // Over AMQP, KEDA can neither count unacknowledged messages nor rates.
        ensure!(metadata.protocol == "http", "trigger `{name}` uses the protocol `{}`", metadata.protocol);
        let value = metadata.value.parse().with_context(|| format!("value of trigger `{name}`"))?;
        let exclude_unacknowledged = match metadata.exclude_unacknowledged.as_str() {
            "" | "false" => false,
            "true" => true,
            other => anyhow::bail!("excludeUnacknowledged of trigger `{name}` is `{other}`"),
        };
        Ok(Self { name, queue: metadata.queue_name, mode: metadata.mode, value, exclude_unacknowledged })
    }

    /// The URL that KEDA requests, where `host` is the management API with the virtual host as the last part of its
    /// path. As in KEDA, an empty last part is the virtual host `/`.
    #[must_use]
    pub fn request_url(&self, host: &str) -> String {
        let (base, vhost) = host.rsplit_once('/').unwrap_or((host, ""));
        let vhost = if vhost.is_empty() { "%2F" } else { vhost };
        format!("{base}/api/queues/{vhost}/{}", self.queue)
    }

    /// The metric in the management API's answer. A queue to which nothing was ever published has no rate, which counts
    /// as 0.
    ///
    /// # Errors
    /// The answer has no count of messages.
    pub fn metric(&self, answer: &Value) -> anyhow::Result<f64> {
        match self.mode {
            Mode::MessageRate => {
                Ok(answer["message_stats"]["publish_details"]["rate"].as_f64().unwrap_or(0.0))
            }
            Mode::QueueLength => {
                let field = if self.exclude_unacknowledged { "messages_ready" } else { "messages" };
                answer[field].as_f64().with_context(|| format!("the queue has no `{field}`"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The file that ships.
    const SHIPPED: &str = include_str!("../../../deploy/kubernetes/components/keda/scaledobjects.yaml");
    /// The alternative that ships.
    const AUTOSCALERS: &str =
        include_str!("../../../deploy/kubernetes/components/hpa/horizontalpodautoscalers.yaml");

    #[test]
    fn the_shipped_triggers_count_the_queues_of_the_code() {
        use faceline_shared::broker::Queue;
        let object = ScaledObject::read(SHIPPED, "faceline-worker").unwrap();
        let counted: Vec<_> =
            object.triggers.iter().map(|trigger| (trigger.queue.as_str(), trigger.mode)).collect();
        let (pictures, videos) = (Queue::Interactive, Queue::Replay);
        let wanted = [
            (pictures.name(), Mode::QueueLength),
            (pictures.name(), Mode::MessageRate),
            (videos.name(), Mode::QueueLength),
        ];
        assert_eq!(counted, wanted);
        assert!(object.triggers.iter().all(|trigger| !trigger.exclude_unacknowledged), "{object:?}");
        assert_eq!(object.min_pods, 1);
    }

    #[test]
    fn the_plain_autoscaler_has_the_values_of_keda() {
        let object = ScaledObject::read(SHIPPED, "faceline-worker").unwrap();
        let documents: Vec<Value> = serde_saphyr::from_multiple(AUTOSCALERS).unwrap();
        let spec = &documents[0]["spec"];
        let behavior: Behavior = serde_json::from_value(spec["behavior"].clone()).unwrap();
        assert_eq!(behavior, object.behavior);
        assert_eq!(spec["minReplicas"], object.min_pods);
        assert_eq!(spec["maxReplicas"], object.max_pods);
        let values = spec["metrics"].as_array().unwrap().iter().map(|metric| {
            metric["external"]["target"]["averageValue"].as_str().unwrap().parse::<f64>().unwrap()
        });
        assert!(values.eq(object.triggers.iter().map(|trigger| trigger.value)));
    }

    #[test]
    fn the_request_is_that_of_keda() {
        let object = ScaledObject::read(SHIPPED, "faceline-worker").unwrap();
        let trigger = object.trigger("interactive-length").unwrap();
        let url = "http://rabbit:15672/api/queues/%2F/faceline.jobs.interactive";
        assert_eq!(trigger.request_url("http://rabbit:15672/"), url);
        let url = "http://rabbit:15672/below/api/queues/faces/faceline.jobs.interactive";
        assert_eq!(trigger.request_url("http://rabbit:15672/below/faces"), url);
    }

    #[test]
    fn unacknowledged_messages_count() {
        let object = ScaledObject::read(SHIPPED, "faceline-worker").unwrap();
        let answer = json!({ "messages": 7, "messages_ready": 3, "message_stats": { "publish_details": { "rate": 1.5 } } });
        let metric = |name: &str, answer| object.trigger(name).unwrap().metric(answer).unwrap();
        assert_eq!([metric("interactive-length", &answer), metric("interactive-rate", &answer)], [7.0, 1.5]);
        assert_eq!(metric("interactive-rate", &json!({ "messages": 0 })), 0.0);
        assert!(object.triggers[0].metric(&json!({})).is_err());
    }

    #[test]
    fn triggers_over_amqp_are_refused() {
        let amqp = SHIPPED.replace("protocol: http", "protocol: amqp");
        assert!(ScaledObject::read(&amqp, "faceline-worker").is_err());
        assert!(ScaledObject::read(SHIPPED, "no-such-object").is_err());
    }
}
