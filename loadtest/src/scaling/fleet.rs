//! The simulated broker queue and the worker pods that consume it.

use std::collections::VecDeque;

/// A job's number.
pub(super) type JobId = usize;

/// The state of a pod.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum PodState {
    Starting,
    Ready,
    /// It finishes the jobs that it has started.
    Draining,
    Gone,
}

/// A worker pod.
#[derive(Debug)]
struct Pod {
    state: PodState,
    /// Jobs that it has prefetched and not started.
    prefetched: VecDeque<JobId>,
    /// Jobs that its threads work on.
    running: usize,
}

/// A pod's number. A number is used once.
pub(super) type PodId = usize;

/// The queue, and all pods so far, removed ones included.
#[derive(Debug)]
pub(super) struct Fleet {
    pods: Vec<Pod>,
    /// Jobs that no pod has, in order.
    queue: VecDeque<JobId>,
    /// Threads of a pod.
    threads: usize,
    /// The most jobs that a pod has at the same time.
    prefetch: usize,
    /// The pod that the broker tried last. The broker serves its consumers round robin.
    next: PodId,
}

impl Fleet {
    pub(super) fn new(threads: usize, prefetch: usize) -> Self {
        Self { pods: Vec::new(), queue: VecDeque::new(), threads, prefetch: prefetch.max(threads), next: 0 }
    }

    /// Adds a pod that is starting.
    pub(super) fn add(&mut self) -> PodId {
        self.pods.push(Pod { state: PodState::Starting, prefetched: VecDeque::new(), running: 0 });
        self.pods.len() - 1
    }

    /// Marks a pod as ready, unless it was removed meanwhile.
    pub(super) fn ready(&mut self, pod: PodId) {
        let pod = &mut self.pods[pod];
        if pod.state == PodState::Starting {
            pod.state = PodState::Ready;
        }
    }

    /// Removes a pod: one that is starting, else the youngest, as Kubernetes does it. Jobs that it has not started go
    /// to the end of the queue.
    pub(super) fn remove(&mut self) {
        let with = |state| self.pods.iter().rposition(|pod| pod.state == state);
        let Some(pod) = with(PodState::Starting).or_else(|| with(PodState::Ready)) else { return };
        let pod = &mut self.pods[pod];
        pod.state = if pod.running == 0 { PodState::Gone } else { PodState::Draining };
        self.queue.extend(pod.prefetched.drain(..));
    }

    /// Pods that are starting or ready: those that the autoscaler counts.
    pub(super) fn count(&self) -> u32 {
        self.pods.iter().filter(|pod| matches!(pod.state, PodState::Starting | PodState::Ready)).count()
            as u32
    }

    /// Pods that take jobs.
    pub(super) fn ready_count(&self) -> u32 {
        self.pods.iter().filter(|pod| pod.state == PodState::Ready).count() as u32
    }

    /// Messages in the queue, as the broker counts them: those that wait and those that a pod has.
    pub(super) fn messages(&self) -> usize {
        let held = |pod: &Pod| pod.prefetched.len() + pod.running;
        self.queue.len() + self.pods.iter().map(held).sum::<usize>()
    }

    /// Messages that no pod has.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The jobs that no pod has started; the oldest is among the first of the queue and of the pods.
    pub(super) fn not_started(&self) -> impl Iterator<Item = JobId> {
        self.queue
            .front()
            .into_iter()
            .chain(self.pods.iter().filter_map(|pod| pod.prefetched.front()))
            .copied()
    }

    /// Publishes a job.
    pub(super) fn push(&mut self, job: JobId) {
        self.queue.push_back(job);
    }

    /// Records that a pod has done a job.
    pub(super) fn done(&mut self, pod: PodId) {
        let pod = &mut self.pods[pod];
        pod.running -= 1;
        if pod.state == PodState::Draining && pod.running == 0 {
            pod.state = PodState::Gone;
        }
    }

    /// Delivers as many jobs as the pods may prefetch, and returns the jobs that start now, each with its pod.
    pub(super) fn deliver(&mut self) -> Vec<(PodId, JobId)> {
        let mut started = Vec::new();
        let mut full = 0;
        while !self.queue.is_empty() && full < self.pods.len() {
            self.next = (self.next + 1) % self.pods.len();
            let pod = &mut self.pods[self.next];
            if pod.state == PodState::Ready && pod.prefetched.len() + pod.running < self.prefetch {
                pod.prefetched.extend(self.queue.pop_front());
                full = 0;
            } else {
                full += 1;
            }
        }
        for (id, pod) in self.pods.iter_mut().enumerate() {
            while pod.running < self.threads && pod.state == PodState::Ready {
                let Some(job) = pod.prefetched.pop_front() else { break };
                pod.running += 1;
                started.push((id, job));
            }
        }
        started
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_pod_gives_back_what_it_has_not_begun() {
        let mut fleet = Fleet::new(1, 3);
        let pods = [fleet.add(), fleet.add()];
        for pod in pods {
            fleet.ready(pod);
        }
        (0..6).for_each(|job| fleet.push(job));
        assert_eq!(fleet.deliver().len(), 2);
        assert_eq!((fleet.messages(), fleet.waiting(), fleet.count()), (6, 0, 2));
        fleet.remove();
        assert_eq!((fleet.messages(), fleet.waiting(), fleet.count()), (6, 2, 1));
        fleet.done(pods[1]);
        assert_eq!(fleet.messages(), 5);
        fleet.done(pods[0]);
        assert_eq!(fleet.deliver().len(), 1, "one thread of the pod that is left");
    }

    #[test]
    fn a_pod_that_is_starting_takes_no_job_and_is_removed_first() {
        let mut fleet = Fleet::new(2, 4);
        let first = fleet.add();
        fleet.ready(first);
        let second = fleet.add();
        fleet.push(0);
        assert_eq!(fleet.deliver(), [(first, 0)]);
        fleet.remove();
        fleet.ready(second);
        assert_eq!((fleet.count(), fleet.ready_count()), (1, 1));
    }
}
