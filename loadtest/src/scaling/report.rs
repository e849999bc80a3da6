//! The report of a simulation.

/// The totals of a simulation, and its course.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Requests, each counted once however often it was repeated.
    pub arrived: u64,
    /// Attempts of all requests.
    pub attempts: u64,
    /// Requests that were answered by a worker.
    pub answered: u64,
    /// Attempts that were refused.
    pub refusals: u64,
    /// Requests whose first attempt was refused.
    pub refused_at_first: u64,
    /// Requests whose callers gave up.
    pub gave_up: u64,
    /// Attempts that were admitted and not answered within the deadline; they are among the refusals.
    pub missed: u64,
    /// Messages that were still in the queue at the end.
    pub unanswered: usize,
    /// The number of pods, integrated over time, in pod seconds.
    pub pod_seconds: f64,
    /// The time that each answered job waited for a thread, in seconds.
    pub waits: Vec<f32>,
    /// Samples over time, every 10 s.
    pub samples: Vec<Sample>,
}

/// The installation at a time, and the events since the last sample.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// The time in seconds.
    pub time: f64,
    /// Pods that are starting or ready.
    pub pods: u32,
    /// Pods that take jobs.
    pub ready: u32,
    /// Age of the oldest job that no pod has started, in seconds.
    pub queue_age: f64,
    /// Attempts since the last sample.
    pub attempts: u64,
    /// Refusals since the last sample.
    pub refused: u64,
    /// Answers since the last sample.
    pub done: u64,
}

impl Report {
    /// The mean wait for a thread, in seconds.
    #[must_use]
    pub fn mean_wait(&self) -> f64 {
        self.waits.iter().map(|wait| f64::from(*wait)).sum::<f64>() / self.waits.len().max(1) as f64
    }

    /// A quantile of the waits for a thread, 0 to 1, in seconds.
    #[must_use]
    pub fn wait(&self, quantile: f64) -> f64 {
        let mut waits = self.waits.clone();
        waits.sort_by(f32::total_cmp);
        let place = (waits.len() as f64 * quantile) as usize;
        waits.get(place.min(waits.len().saturating_sub(1))).map_or(0.0, |wait| f64::from(*wait))
    }

    /// The part of the requests whose first attempt was refused, 0 to 1.
    #[must_use]
    pub fn refused_part(&self) -> f64 {
        self.refused_at_first as f64 / self.arrived.max(1) as f64
    }

    /// The most pods.
    #[must_use]
    pub fn peak_pods(&self) -> u32 {
        self.samples.iter().map(|sample| sample.pods).max().unwrap_or(0)
    }

    /// The highest age of the queue, in seconds.
    #[must_use]
    pub fn max_queue_age(&self) -> f64 {
        self.samples.iter().map(|sample| sample.queue_age).fold(0.0, f64::max)
    }

    /// Pod hours.
    #[must_use]
    pub fn pod_hours(&self) -> f64 {
        self.pod_seconds / 3600.0
    }
}
