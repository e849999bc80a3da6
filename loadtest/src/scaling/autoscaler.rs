//! The algorithm of Kubernetes' HorizontalPodAutoscaler, on explicit time.
//!
//! The source is `pkg/controller/podautoscaler` of Kubernetes 1.32: `replica_calculator.go` for the number of pods that
//! a metric asks for (external metrics with an `AverageValue`, which KEDA makes of a trigger), `horizontal.go` for
//! stabilisation and the policies. A change within the tolerance is ignored. Of several metrics, the one that asks for
//! the most pods counts.

use std::time::Duration;

use super::scaled_object::{Behavior, PolicyKind, ScaledObject, ScalingRules, SelectPolicy};

/// Interval at which the controller evaluates the metrics (`--horizontal-pod-autoscaler-sync-period`).
pub const SYNC_PERIOD: Duration = Duration::from_secs(15);
/// A metric within this part of its target changes nothing (`--horizontal-pod-autoscaler-tolerance`).
const TOLERANCE: f64 = 0.1;

/// A metric's present value for all pods together, and its target per pod.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// The value; `None` if it could not be read.
    pub value: Option<f64>,
    /// The target value per pod.
    pub target: f64,
}

/// A HorizontalPodAutoscaler. Times are measured from an arbitrary start.
#[derive(Clone, Debug)]
pub struct Autoscaler {
    min_pods: u32,
    max_pods: u32,
    behavior: Behavior,
    /// Recommended numbers of pods, with their times.
    recommended: Vec<(Duration, u32)>,
    /// Pods added (positive) or removed (negative), with their times.
    changes: Vec<(Duration, i64)>,
}

impl Autoscaler {
    /// The autoscaler that KEDA makes of `object`.
    #[must_use]
    pub fn new(object: &ScaledObject) -> Self {
        Self {
            min_pods: object.min_pods,
            max_pods: object.max_pods,
            behavior: object.behavior.clone(),
            recommended: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Returns the number of pods from `now` on; `pods` is their present number.
    pub fn sync(&mut self, now: Duration, pods: u32, metrics: &[Measured]) -> u32 {
        if self.recommended.is_empty() {
            self.recommended.push((now, pods));
        }
        let asked = asked_for(pods, metrics).unwrap_or(pods);
        let stable = self.stabilised(now, pods, asked);
        let wanted = self.within_policies(now, pods, stable);
        if wanted != pods {
            self.changes.push((now, i64::from(wanted) - i64::from(pods)));
        }
        wanted
    }

    /// The recommendation, unless a more cautious one is within the window of its direction.
    fn stabilised(&mut self, now: Duration, pods: u32, asked: u32) -> u32 {
        let (up, down) = (&self.behavior.scale_up, &self.behavior.scale_down);
        let longest = up.stabilization_window.max(down.stabilization_window);
        self.recommended.retain(|(at, _)| *at + longest > now);
        let within = |rules: &ScalingRules| {
            let window = rules.stabilization_window;
            self.recommended.iter().filter(move |(at, _)| *at + window > now).map(|(_, pods)| *pods)
        };
        let least = within(up).fold(asked, u32::min);
        let most = within(down).fold(asked, u32::max);
        self.recommended.push((now, asked));
        pods.max(least).min(most)
    }

    fn within_policies(&mut self, now: Duration, pods: u32, wanted: u32) -> u32 {
        let wanted = wanted.clamp(self.min_pods, self.max_pods);
        if wanted > pods {
            wanted.min(self.limit(now, pods, &self.behavior.scale_up, true).max(pods))
        } else {
            wanted.max(self.limit(now, pods, &self.behavior.scale_down, false).min(pods))
        }
    }

    /// The number of pods that the policies of one direction allow.
    fn limit(&self, now: Duration, pods: u32, rules: &ScalingRules, is_up: bool) -> u32 {
        let limits = rules.policies.iter().map(|policy| {
            let changed: i64 = self
                .changes
                .iter()
                .filter(|(at, _)| *at + policy.period > now)
                .map(|(_, change)| change)
                .sum();
            let before = (i64::from(pods) - changed).max(0) as f64;
            let change = match policy.kind {
                PolicyKind::Pods => f64::from(policy.value),
                PolicyKind::Percent => before * f64::from(policy.value) / 100.0,
            };
            if is_up { (before + change).ceil() as u32 } else { (before - change).max(0.0) as u32 }
        });
        let takes_highest = is_up == (rules.select_policy == SelectPolicy::Max);
        if takes_highest { limits.max() } else { limits.min() }.unwrap_or(pods)
    }
}

/// The number of pods that the metrics ask for; `None` if no metric could be read. While one is missing, the others add
/// pods but remove none.
fn asked_for(pods: u32, metrics: &[Measured]) -> Option<u32> {
    let asked =
        metrics.iter().filter_map(|metric| Some(pods_for(pods, metric.value?, metric.target))).max()?;
    let is_complete = metrics.iter().all(|metric| metric.value.is_some());
    (is_complete || asked >= pods).then_some(asked)
}

/// `ceil(value / target)`, or `pods` within the tolerance.
fn pods_for(pods: u32, value: f64, target: f64) -> u32 {
    let ratio = value / (target * f64::from(pods));
    if (ratio - 1.0).abs() <= TOLERANCE { pods } else { (value / target).ceil() as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = include_str!("../../../deploy/kubernetes/components/keda/scaledobjects.yaml");

    fn autoscaler() -> Autoscaler {
        let mut autoscaler = Autoscaler::new(&ScaledObject::read(YAML, "faceline-worker").unwrap());
        // The tests below are about the algorithm, and state the values that they need.
        autoscaler.max_pods = 50;
        autoscaler
    }

    fn one(value: f64) -> [Measured; 1] {
        [Measured { value: Some(value), target: 20.0 }]
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_formula_rounds_up_and_tolerates_a_tenth() {
        assert_eq!(pods_for(1, 61.0, 20.0), 4);
        assert_eq!(pods_for(3, 65.9, 20.0), 3, "within the tolerance");
        assert_eq!(pods_for(3, 54.1, 20.0), 3, "within the tolerance");
        assert_eq!(pods_for(3, 66.1, 20.0), 4);
        assert_eq!(pods_for(4, 0.0, 20.0), 0);
    }

    #[test]
    fn the_largest_metric_counts_and_a_missing_one_removes_nothing() {
        let metric = |value: Option<f64>, target| Measured { value, target };
        assert_eq!(asked_for(2, &[metric(Some(100.0), 20.0), metric(Some(10.0), 20.0)]), Some(5));
        assert_eq!(asked_for(2, &[metric(Some(100.0), 20.0), metric(None, 20.0)]), Some(5));
        assert_eq!(asked_for(9, &[metric(Some(100.0), 20.0), metric(None, 20.0)]), None);
        assert_eq!(asked_for(9, &[metric(None, 20.0)]), None);
    }

    #[test]
    fn pods_are_added_at_once_within_the_policies() {
        let mut autoscaler = autoscaler();
        // By the percentage 1 -> 3, by pods 1 -> 9; the larger counts.
        assert_eq!(autoscaler.sync(at(0), 1, &one(2000.0)), 9);
        assert_eq!(autoscaler.sync(at(5), 9, &one(2000.0)), 9, "the period is not over");
        assert_eq!(autoscaler.sync(at(15), 9, &one(2000.0)), 27);
        assert_eq!(autoscaler.sync(at(30), 27, &one(2000.0)), 50, "the most");
    }

    #[test]
    fn pods_are_removed_after_the_window_and_by_half_a_minute() {
        let mut autoscaler = autoscaler();
        assert_eq!(autoscaler.sync(at(0), 8, &one(160.0)), 8);
        for seconds in (15..300).step_by(15) {
            assert_eq!(autoscaler.sync(at(seconds), 8, &one(0.0)), 8, "after {seconds} s");
        }
        assert_eq!(autoscaler.sync(at(300), 8, &one(0.0)), 4);
        assert_eq!(autoscaler.sync(at(315), 4, &one(0.0)), 4, "the period is not over");
        assert_eq!(autoscaler.sync(at(360), 4, &one(0.0)), 2);
        assert_eq!(autoscaler.sync(at(420), 2, &one(0.0)), 1);
        assert_eq!(autoscaler.sync(at(480), 1, &one(0.0)), 1, "the fewest");
    }

    #[test]
    fn one_high_value_in_the_window_keeps_the_pods() {
        let mut autoscaler = autoscaler();
        autoscaler.sync(at(0), 4, &one(0.0));
        autoscaler.sync(at(150), 4, &one(80.0));
        assert_eq!(autoscaler.sync(at(400), 4, &one(0.0)), 4);
        assert_eq!(autoscaler.sync(at(450), 4, &one(0.0)), 2);
    }
}
