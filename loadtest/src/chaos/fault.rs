//! The faults that are known.

use std::time::Duration;

/// A kind of fault.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs, reason = "the names say it, and `name` says it in words")]
pub enum FaultKind {
    GatewayKilled,
    GatewayTerminated,
    GatewayPaused,
    WorkerKilled,
    WorkerTerminated,
    WorkerPaused,
    BrokerNodeKilled,
    BrokerNodeTerminated,
    BrokerNodePaused,
    BrokerLeaderKilled,
    BrokerCut,
    BrokerStalled,
    BrokerSlow,
    BrokerUnreachable,
    BrokerMemoryAlarm,
    BrokerDiskAlarm,
    StoreKilled,
    StoreTerminated,
    StorePaused,
    StorePromoted,
    StoreCut,
    StoreStalled,
    StoreSlow,
    StoreUnreachable,
    StoreFull,
    ObjectsUnreachable,
    ObjectsDiskFull,
    QueueFull,
    UnreadableMessages,
    ClockJump,
    RollingUpgrade,
}

/// The part of the site that a fault concerns. Two faults at the same time concern different parts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// One of the gateways.
    Gateway,
    /// One of the workers.
    Worker,
    /// The cluster of RabbitMQ, or the way to it.
    Broker,
    /// Redis, or the way to it.
    Store,
    /// The object store, or the way to it.
    Objects,
    /// Several parts at once, such as all workers: no other fault happens meanwhile.
    All,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 31] = [
        Self::GatewayKilled,
        Self::GatewayTerminated,
        Self::GatewayPaused,
        Self::WorkerKilled,
        Self::WorkerTerminated,
        Self::WorkerPaused,
        Self::BrokerNodeKilled,
        Self::BrokerNodeTerminated,
        Self::BrokerNodePaused,
        Self::BrokerLeaderKilled,
        Self::BrokerCut,
        Self::BrokerStalled,
        Self::BrokerSlow,
        Self::BrokerUnreachable,
        Self::BrokerMemoryAlarm,
        Self::BrokerDiskAlarm,
        Self::StoreKilled,
        Self::StoreTerminated,
        Self::StorePaused,
        Self::StorePromoted,
        Self::StoreCut,
        Self::StoreStalled,
        Self::StoreSlow,
        Self::StoreUnreachable,
        Self::StoreFull,
        Self::ObjectsUnreachable,
        Self::ObjectsDiskFull,
        Self::QueueFull,
        Self::UnreadableMessages,
        Self::ClockJump,
        Self::RollingUpgrade,
    ];

    /// Its name in schedules and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GatewayKilled => "gateway killed (SIGKILL)",
            Self::GatewayTerminated => "gateway terminated (SIGTERM)",
            Self::GatewayPaused => "gateway paused (SIGSTOP)",
            Self::WorkerKilled => "worker killed (SIGKILL)",
            Self::WorkerTerminated => "worker terminated (SIGTERM)",
            Self::WorkerPaused => "worker paused (SIGSTOP)",
            Self::BrokerNodeKilled => "RabbitMQ node killed (SIGKILL)",
            Self::BrokerNodeTerminated => "RabbitMQ node terminated (SIGTERM)",
            Self::BrokerNodePaused => "RabbitMQ node paused (SIGSTOP)",
            Self::BrokerLeaderKilled => "RabbitMQ node killed that leads the job queue",
            Self::BrokerCut => "connections to RabbitMQ cut",
            Self::BrokerStalled => "connections to RabbitMQ stalled",
            Self::BrokerSlow => "connections to RabbitMQ slowed",
            Self::BrokerUnreachable => "RabbitMQ unreachable",
            Self::BrokerMemoryAlarm => "memory alarm of RabbitMQ",
            Self::BrokerDiskAlarm => "disk alarm of RabbitMQ",
            Self::StoreKilled => "Redis master killed (SIGKILL)",
            Self::StoreTerminated => "Redis master terminated (SIGTERM)",
            Self::StorePaused => "Redis master paused (SIGSTOP)",
            Self::StorePromoted => "Redis master killed, replica promoted",
            Self::StoreCut => "connections to Redis cut",
            Self::StoreStalled => "connections to Redis stalled",
            Self::StoreSlow => "connections to Redis slowed",
            Self::StoreUnreachable => "Redis unreachable",
            Self::StoreFull => "Redis full (maxmemory)",
            Self::ObjectsUnreachable => "object store unreachable",
            Self::ObjectsDiskFull => "disk of the object store full",
            Self::QueueFull => "all workers paused, job queue full",
            Self::UnreadableMessages => "unreadable messages in the job queue",
            Self::ClockJump => "clocks of a gateway and a worker jump",
            Self::RollingUpgrade => "rolling upgrade",
        }
    }

    /// The part of the site that it concerns.
    #[must_use]
    pub fn part(self) -> Part {
        match self {
            Self::GatewayKilled | Self::GatewayTerminated | Self::GatewayPaused => Part::Gateway,
            Self::WorkerKilled | Self::WorkerTerminated | Self::WorkerPaused => Part::Worker,
            Self::BrokerNodeKilled
            | Self::BrokerNodeTerminated
            | Self::BrokerNodePaused
            | Self::BrokerLeaderKilled
            | Self::BrokerCut
            | Self::BrokerStalled
            | Self::BrokerSlow
            | Self::BrokerUnreachable
            | Self::BrokerMemoryAlarm
            | Self::BrokerDiskAlarm
            | Self::UnreadableMessages => Part::Broker,
            Self::StoreKilled
            | Self::StoreTerminated
            | Self::StorePaused
            | Self::StorePromoted
            | Self::StoreCut
            | Self::StoreStalled
            | Self::StoreSlow
            | Self::StoreUnreachable
            | Self::StoreFull => Part::Store,
            Self::ObjectsUnreachable | Self::ObjectsDiskFull => Part::Objects,
            Self::QueueFull | Self::ClockJump | Self::RollingUpgrade => Part::All,
        }
    }
}

/// A fault of a schedule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PlannedFault {
    /// What happens.
    pub kind: FaultKind,
    /// Time from the start of the load.
    pub at: Duration,
    /// Time from the start of the fault until it is undone. Processes and servers need more time until they serve again.
    pub duration: Duration,
    /// Which of several it concerns: the number of a process or server, modulo how many there are. For faults of connections,
    /// modulo 3: 0 those of the gateways, 1 those of the workers, 2 both.
    pub target: usize,
}

impl std::fmt::Display for PlannedFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (at, duration) = (self.at.as_secs_f64(), self.duration.as_secs_f64());
        write!(f, "{at:7.1} s  for {duration:4.1} s  {} [{}]", self.kind.name(), self.target)
    }
}
