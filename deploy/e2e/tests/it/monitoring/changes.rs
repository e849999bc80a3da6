//! Expected changes under each fault or load: of each alert, each recording rule and each expression of a dashboard.

/// A fault or a load that the test applies to the running system.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// Requests of each kind, replays and videos, after a time without requests.
    Load,
    /// Wrong passwords, and more sessions than a client may keep.
    IntrusiveCaller,
    /// More concurrent requests than the workers can process.
    Overload,
    /// Bodies that arrive slowly, and together exceed the memory for bodies.
    LargeBodies,
    /// More connections than a gateway may have.
    ManyConnections,
    /// An upload that does not end.
    SlowUpload,
    /// Files of keys, accounts and certificates have invalid content.
    SpoiledFiles,
    /// A key expires in three days, and a certificate tomorrow.
    ExpiringKeys,
    /// A gateway with other sealing keys joins.
    OtherKeys,
    /// A worker with another model and another calibration joins.
    OtherModels,
    /// A worker of another version joins.
    OtherVersion,
    /// Jobs of an envelope version that the workers do not know.
    NewerJobs,
    /// Jobs of a gateway whose clock is ten seconds ahead.
    FastClock,
    /// The pictures show other people than before, some in the dark or far away, and some show a print.
    OtherPeople,
    /// Uploads that are not videos.
    BrokenVideos,
    /// Results of replays that no gateway can read.
    BrokenResults,
    /// A receiver of callbacks answers with 500 until the session ends.
    FailingReceiver,
    /// The folder of objects is missing.
    ObjectsUnavailable,
    /// The worker hangs with its jobs, and does not answer Prometheus.
    HungWorker,
    /// The worker is killed.
    NoWorker,
    /// The only worker has no program to decode videos.
    NoDecoder,
    /// A worker is killed while it has jobs. The broker delivers them to another one.
    KilledWorker,
    /// RabbitMQ is low on memory and disk space.
    BrokerAlarm,
    /// Redis is killed.
    NoRedis,
    /// The user's password at RabbitMQ is changed.
    WrongPassword,
    /// RabbitMQ is killed.
    NoRabbitmq,
    /// The gateways are killed.
    NoGateway,
}

use Fault::{
    BrokenResults, BrokenVideos, BrokerAlarm, ExpiringKeys, FailingReceiver, FastClock, HungWorker,
    IntrusiveCaller, KilledWorker, LargeBodies, Load, ManyConnections, NewerJobs, NoDecoder, NoGateway,
    NoRabbitmq, NoRedis, NoWorker, ObjectsUnavailable, OtherKeys, OtherModels, OtherPeople, OtherVersion,
    Overload, SlowUpload, SpoiledFiles, WrongPassword,
};

/// The alerts by fault, without the prefix `Faceline`. Their expressions hold under the fault and not without it.
pub(super) const ALERTS: &[(Fault, &[&str])] = &[
    (IntrusiveCaller, &["FailedLogins", "ClientFull", "ClientNearBound"]),
    (Overload, &["CapacityBelowDemand", "ClientRefused", "AvailabilityBurnFast", "AvailabilityBurnSlow"]),
    (LargeBodies, &["BodyMemoryFull"]),
    (
        SpoiledFiles,
        &["SealingKeysUnusable", "SigningKeysUnusable", "AccountsUnusable", "CertificateUnusable"],
    ),
    (ExpiringKeys, &["ClientKeyExpires", "CertificateExpires", "CertificateExpiresSoon"]),
    (OtherKeys, &["KeysDisagree", "OutboxUnreadable"]),
    (OtherModels, &["ModelsDiffer", "CalibrationsDiffer"]),
    (OtherVersion, &["VersionsDiffer"]),
    (BrokenResults, &["DeadLettersGrow"]),
    (NewerJobs, &["JobsDeferred", "WorkersFail"]),
    (FastClock, &["ClockSkew"]),
    (OtherPeople, &["DistributionDrifts"]),
    (BrokenVideos, &["ReplaysFail"]),
    (FailingReceiver, &["CallbacksDead"]),
    (ObjectsUnavailable, &["ObjectsUnavailable", "OutboxStuck"]),
    (
        HungWorker,
        &[
            "OldestJobTooOld",
            "JobsTooSlow",
            "LatencyBurnFast",
            "LatencyBurnSlow",
            "QueueFull",
            "QuarantineWaits",
            "ReplayBacklog",
            "WorkersAbsent",
            "TargetDown",
        ],
    ),
    (NoWorker, &["NoWorker"]),
    (NoDecoder, &["NoVideoWorker"]),
    (BrokerAlarm, &["BrokerBlocked", "RabbitmqAlarm"]),
    (NoRedis, &["StoreUnavailable", "BlobsUnavailable", "RateLimitsApart", "UsageDeferred", "UsageLost"]),
    (WrongPassword, &["BrokerProblem", "BrokerDisconnected", "NotReady"]),
    (NoRabbitmq, &["RabbitmqAbsent"]),
    (NoGateway, &["GatewaysAbsent"]),
];

/// Recording rules without a fault. They are decisions of the operator, which no event changes.
pub(super) const CONSTANTS: [&str; 2] = ["faceline:objective:ratio", "faceline:error_budget:ratio"];

/// The kind of change of a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    /// A number rises, or one above 0 appears.
    Rises,
    /// A number falls, or one above 0 disappears.
    Falls,
    /// A number changes in either direction.
    Moves,
    /// A number changes by any amount, such as the free space of a large disk.
    Differs,
}

use Change::{Differs, Falls, Moves, Rises};

/// A part of the name of a recording rule or of a panel's expression, the fault that changes its value, and the change.
pub(super) type Row = (&'static str, Fault, Change);

/// For a name or expression, the first row whose text it contains applies.
pub(super) static CHANGES: &[Row] = &[
    ("1 - faceline:requests_failed", Overload, Falls),
    ("1 - faceline:requests_slow", HungWorker, Falls),
    ("faceline:requests_failed:", Overload, Rises),
    ("faceline:requests_slow:", HungWorker, Rises),
    ("faceline:requests_own_limits:", IntrusiveCaller, Rises),
    ("faceline:requests", Load, Rises),
    ("faceline:refusals:", IntrusiveCaller, Rises),
    ("faceline:refused_for_load:", Overload, Rises),
    ("faceline:oldest_job:", HungWorker, Rises),
    ("faceline:queue_ready:", HungWorker, Rises),
    ("faceline:queue_consumers:", NoWorker, Falls),
    ("faceline:worker_busy:", Load, Rises),
    ("faceline:worker_answers:", Load, Rises),
    ("faceline:replays_ended:", BrokenVideos, Rises),
    ("faceline:verdicts:", Load, Rises),
    ("faceline:accepted:", OtherPeople, Falls),
    ("1h_week_before", Load, Moves),
    ("faceline:distribution:cdf1h", OtherPeople, Rises),
    ("faceline:distribution:count1h", OtherPeople, Rises),
    ("faceline:distribution:ks_distance", OtherPeople, Rises),
    ("faceline:distribution:ks_bound", OtherPeople, Falls),
    ("ALERTS{", ExpiringKeys, Rises),
    ("sum(up{job=~\"faceline-gateway", NoGateway, Falls),
    ("(up{job", HungWorker, Falls),
    // Callers.
    ("faceline_client_requests_total{client=~\".*\", operation=~\".*\", outcome!=\"ok\"}", Overload, Rises),
    ("faceline_client_request", Load, Rises),
    ("faceline_client_bound_used_ratio", IntrusiveCaller, Rises),
    ("faceline_http_requests_total{operation=~\".*\", status=~", Overload, Rises),
    ("faceline_http_request", Load, Rises),
    ("faceline_http_refusals_total", Overload, Rises),
    ("faceline_gateway_rate_checks_total", Load, Rises),
    // Operators.
    ("faceline_condition", NoRedis, Rises),
    ("faceline_broker_blocked", BrokerAlarm, Rises),
    ("rabbitmq_detailed_queue_messages_unacked", HungWorker, Rises),
    ("faceline_gateway_wait_seconds", Load, Rises),
    ("faceline_gateway_published_total", Load, Rises),
    ("faceline_worker_running_jobs", Load, Rises),
    ("faceline_worker_answered_total", Load, Rises),
    ("faceline_worker_stage_seconds", Load, Rises),
    ("faceline_worker_redelivered_total", KilledWorker, Rises),
    ("faceline_worker_deferred_total", NewerJobs, Rises),
    ("faceline_worker_smallest_job_age", FastClock, Falls),
    ("faceline_gateway_inflight_jobs", Overload, Rises),
    ("faceline_gateway_limit_jobs", Overload, Falls),
    ("faceline_gateway_capacity_jobs", Overload, Moves),
    ("faceline_gateway_inflight_bytes", LargeBodies, Rises),
    ("faceline_gateway_limit_videos", NoGateway, Falls),
    ("faceline_gateway_capacity_videos", Load, Rises),
    ("faceline_gateway_retry_reservations_total", Overload, Rises),
    ("faceline_http_connections", ManyConnections, Rises),
    ("faceline_outbox_rows{lane=~\"callbacks", FailingReceiver, Rises),
    ("faceline_outbox_rows", ObjectsUnavailable, Rises),
    ("faceline_usage_deferred_records", NoRedis, Rises),
    ("faceline_usage_rows", ObjectsUnavailable, Rises),
    ("faceline_usage_records_total", NoRedis, Rises),
    ("faceline_certificate_expiry_timestamp_seconds", ExpiringKeys, Falls),
    ("rabbitmq_process_resident_memory_bytes", Load, Moves),
    ("rabbitmq_resident_memory_limit_bytes", BrokerAlarm, Falls),
    ("rabbitmq_disk_space_available_bytes", Load, Differs),
    ("rabbitmq_disk_space_available_limit_bytes", BrokerAlarm, Rises),
    ("rabbitmq_connections", OtherKeys, Rises),
    ("rabbitmq_channels", OtherKeys, Rises),
    // Biometrics.
    ("faceline_biometric_verdicts_total", Load, Rises),
    ("media=\"clip\"", Load, Rises),
    ("increase(faceline_worker_", OtherPeople, Rises),
    ("1 - sum(rate(faceline_worker_match_score", OtherPeople, Falls),
    ("faceline_worker_match_score", OtherPeople, Falls),
    ("faceline_worker_liveness_score", OtherPeople, Moves),
    ("faceline_worker_face_quality", OtherPeople, Moves),
    ("faceline_worker_findings_total", OtherPeople, Rises),
    ("faceline_model_info", OtherModels, Rises),
    ("faceline_worker_liveness_threshold_llr", OtherModels, Moves),
    ("faceline_build_info", OtherVersion, Rises),
    // Replays.
    ("faceline_replay_uploads_in_progress", SlowUpload, Rises),
    ("faceline_replay_results_dropped_total", BrokenResults, Rises),
    ("faceline_replays_ended_total", BrokenVideos, Rises),
    ("faceline_replay_", Load, Rises),
    ("faceline_sessions_", Load, Rises),
    ("faceline_callback", Load, Rises),
];

/// The row of a name or expression.
pub(super) fn change_of(text: &str) -> Option<&'static Row> {
    CHANGES.iter().find(|(part, _, _)| text.contains(part))
}

/// The alerts of a fault.
pub(super) fn alerts_of(fault: Fault) -> impl Iterator<Item = String> {
    let rows = ALERTS.iter().filter(move |(own, _)| *own == fault);
    rows.flat_map(|(_, names)| *names).map(|name| format!("Faceline{name}"))
}

impl Change {
    /// Whether a series has changed in this way. A missing number counts as 0.
    pub(super) fn is_between(self, before: Option<f64>, now: Option<f64>) -> bool {
        let [before_or_0, now_or_0] = [before, now].map(Option::unwrap_or_default);
        // Rates that Prometheus extrapolates are never exactly the same.
        let tolerance = match self {
            Self::Rises | Self::Falls => 0.005,
            Self::Moves => 0.001,
            Self::Differs => 0.0,
        } * before_or_0.abs().max(now_or_0.abs());
        let difference = now_or_0 - before_or_0;
        match self {
            Self::Rises => difference > tolerance,
            Self::Falls => -difference > tolerance,
            Self::Moves | Self::Differs => difference.abs() > tolerance,
        }
    }
}
