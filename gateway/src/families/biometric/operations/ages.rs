//! Estimates ages.

use faceline_shared::job::{JobResult, Task};

use crate::families::biometric::answer::AgeAnswer;
use crate::families::biometric::failure::Parts;
use crate::families::biometric::request::AgeRequest;
use crate::families::biometric::services::{BiometricServices, Json};
use crate::families::form::Form;
use crate::fault::Fault;
use crate::jobs::unexpected_result;
use crate::request::RequestContext;

impl BiometricServices {
    /// Estimates the age of the person in a picture. The answer has no age if the picture shows nobody or its quality
    /// is too low.
    ///
    /// # Errors
    /// Those of [`Self::create_face`].
    pub async fn estimate_age(&self, form: &Form, context: RequestContext) -> Result<Json, Fault> {
        let request = AgeRequest::read(form)?;
        let parts = Parts { image: "image", ..Parts::default() };
        let task = Task::EstimateAge(request.picture.clone());
        let JobResult::Aged(aged) = self.run(task, &context, &parts).await? else {
            return Err(unexpected_result());
        };
        self.signed_if(request.signed, &AgeAnswer::new(&request, &aged))
    }
}
