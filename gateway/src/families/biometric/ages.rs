//! Estimates of ages.

use crate::fault::Fault;
use faceline_shared::job::JobResult;

use super::answer::Age;
use super::failure::Parts;
use super::request::AgeRequest;
use super::{BiometricServices, Json};
use crate::families::form::Form;
use crate::jobs::unexpected_result;
use crate::request::RequestContext;
use faceline_shared::job::Task;

impl BiometricServices {
    /// Estimates the age of the person in a picture. Where nobody is, or too badly seen, the answer has none.
    ///
    /// # Errors
    /// As for [`Self::create_face`].
    pub async fn estimate_age(&self, form: &Form, context: RequestContext) -> Result<Json, Fault> {
        let request = AgeRequest::read(form)?;
        let parts = Parts { image: "image", ..Parts::default() };
        let task = Task::EstimateAge(request.picture.clone());
        let JobResult::Aged(aged) = self.run(task, &context, &parts).await? else {
            return Err(unexpected_result());
        };
        self.signed_if(request.signed, &Age::new(&request, &aged))
    }
}
