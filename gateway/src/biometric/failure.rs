//! What a worker's refusal reads like.

use faceline_shared::error::{BusyCause, Fault};
use faceline_shared::job::{JobFailure, Subject};

use crate::jobs::OrderError;

/// What the parts of a request are called.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parts {
    pub(super) image: &'static str,
    pub(super) reference: &'static str,
    pub(super) candidate: &'static str,
}

impl Parts {
    fn name(&self, subject: Subject) -> &'static str {
        match subject {
            Subject::Image => self.image,
            Subject::Reference => self.reference,
            Subject::Candidate => self.candidate,
        }
    }
}

/// The fault of an order that has no result; `refusal` says when to come again.
pub(super) fn fault(error: OrderError, parts: &Parts, refusal: impl FnOnce(BusyCause) -> Fault) -> Fault {
    let failure = match error {
        OrderError::Fault(fault) => return fault,
        OrderError::Busy(cause) => return refusal(cause),
        OrderError::Failed(failure) => failure,
    };
    let invalid = |subject, what: &str| Fault::Invalid(format!("`{}`: {what}", parts.name(subject)));
    match failure {
        JobFailure::BadPicture { subject, reason } => invalid(subject, &reason),
        JobFailure::SeveralFaces { subject } => invalid(subject, "more than one face was found"),
        JobFailure::NoFace { subject } => invalid(subject, "no face was found"),
        JobFailure::OtherAlgorithm { theirs, ours } => {
            invalid(Subject::Reference, &super::reference::other_algorithm(&theirs, &ours))
        }
        JobFailure::Expired { .. } => refusal(BusyCause::DeadlineQueued { callers_own: false }),
        JobFailure::BlobLost | JobFailure::Poison { .. } | JobFailure::Internal => {
            tracing::error!(%failure, "a job failed");
            Fault::Internal
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PARTS: Parts = Parts { image: "image", reference: "referenceImage", candidate: "candidateImage" };

    fn busy(cause: BusyCause) -> Fault {
        Fault::busy(cause, Duration::from_secs(3))
    }

    #[test]
    fn each_failure_has_its_status_and_names_its_part() {
        let said = |failure| {
            let fault = fault(OrderError::Failed(failure), &PARTS, busy);
            (fault.row().biometric_services, fault.to_string())
        };
        let bad =
            JobFailure::BadPicture { subject: Subject::Candidate, reason: "HEIC is not supported".into() };
        assert_eq!(said(bad), (400, "`candidateImage`: HEIC is not supported".into()));
        let several = JobFailure::SeveralFaces { subject: Subject::Image };
        assert_eq!(said(several), (400, "`image`: more than one face was found".into()));
        let nobody = JobFailure::NoFace { subject: Subject::Reference };
        assert_eq!(said(nobody), (400, "`referenceImage`: no face was found".into()));
        let other = JobFailure::OtherAlgorithm { theirs: "A version 1".into(), ours: "B version 2".into() };
        let (status, message) = said(other);
        assert!(status == 400 && message.contains("A version 1") && message.contains("B version 2"));
        assert_eq!(said(JobFailure::Expired { age_ms: 1 }).0, 429);
        for failure in [JobFailure::BlobLost, JobFailure::Poison { attempts: 3 }, JobFailure::Internal] {
            assert_eq!(said(failure), (500, "internal error".into()));
        }
    }

    #[test]
    fn a_refusal_says_when_to_come_again_and_other_faults_pass_as_they_are() {
        let full = fault(OrderError::Busy(BusyCause::QueueFull), &PARTS, busy);
        assert_eq!(full, busy(BusyCause::QueueFull));
        let running = Fault::DeadlineRunning { callers_own: false };
        assert_eq!(fault(OrderError::Fault(running.clone()), &PARTS, busy), running);
    }
}
