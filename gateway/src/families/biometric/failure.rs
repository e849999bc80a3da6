//! Maps the failure of a job to the error that the caller reads.

use faceline_shared::job::{JobFailure, Subject};

use super::algorithm::other_algorithm;
use crate::fault::Fault;

/// The names of a request's parts, by their role in the job.
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
            // This family never sends these to a worker.
            Subject::Live(_) | Subject::Photo | Subject::Video => "",
        }
    }
}

/// The error of a failed job. It names the part of the request whose picture or template is the cause, if there is
/// one.
pub(super) fn fault(failure: &JobFailure, parts: &Parts) -> Fault {
    let invalid = |subject, what: &str| Fault::Invalid(format!("`{}`: {what}", parts.name(subject)));
    match failure {
        JobFailure::BadPicture { subject, reason } => invalid(*subject, reason),
        JobFailure::SeveralFaces { subject } => invalid(*subject, "more than one face was found"),
        JobFailure::NoFace { subject } => invalid(*subject, "no face was found"),
        JobFailure::OtherAlgorithm { theirs, ours } => {
            invalid(Subject::Reference, &other_algorithm(theirs, ours))
        }
        JobFailure::BadVideo(_)
        | JobFailure::BlobLost
        | JobFailure::Expired { .. }
        | JobFailure::Poison { .. }
        | JobFailure::Unsupported
        | JobFailure::OtherKeys
        | JobFailure::Internal => Fault::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: Parts = Parts { image: "image", reference: "referenceImage", candidate: "candidateImage" };

    #[test]
    fn each_failure_has_its_status_and_names_its_part() {
        let said = |failure| {
            let fault = fault(&failure, &PARTS);
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
    }
}
