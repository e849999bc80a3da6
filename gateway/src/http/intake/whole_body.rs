//! The bounds of a body that is read as a whole: JSON with pictures, or a gRPC message.

use http::HeaderMap;

use super::admit::BodyBounds;
use super::content_type;
use super::limits::MAX_BYTES_BESIDES_PICTURES;
use crate::fault::Fault;
use crate::http::GatewayState;
use crate::http::grpc::headers::require_grpc;
use crate::http::grpc::message::{MAX_MESSAGE_BYTES, PREFIX_BYTES};
use crate::http::operations::{Body, BodyLimit, Operation};

/// The bounds of a body, and the check of the headers that announce it.
pub(super) struct WholeBody {
    pub(super) bounds: BodyBounds,
    pub(super) check_headers: fn(&HeaderMap) -> Result<(), Fault>,
    pub(super) is_json: bool,
}

impl WholeBody {
    /// The bounds and the check that the row of `operation` requires.
    ///
    /// # Errors
    /// [`Fault::Internal`] for an operation whose body is of another kind.
    pub(super) fn of(operation: &Operation, state: &GatewayState) -> Result<Self, Fault> {
        let body = match operation.body {
            Body::JsonWithPictures { limit: BodyLimit::Bytes(bytes), .. } => Self::json(bytes),
            Body::JsonWithPictures { limit: BodyLimit::OnePicture, .. } => {
                let base64 = state.config.limits.picture_bytes.div_ceil(3).saturating_mul(4);
                Self::json(base64.saturating_add(MAX_BYTES_BESIDES_PICTURES))
            }
            Body::GrpcMessage => Self {
                bounds: BodyBounds::plain(MAX_MESSAGE_BYTES + PREFIX_BYTES),
                check_headers: require_grpc,
                is_json: false,
            },
            _ => {
                tracing::error!(
                    operation = operation.name,
                    "a handler reads another body than its operation has"
                );
                return Err(Fault::Internal);
            }
        };
        Ok(body.within(state.admission.max_body_bytes()))
    }

    /// JSON with pictures in it. Besides the text, memory holds the decoded pictures, three quarters as large, and
    /// the working memory of decoding.
    fn json(max_bytes: usize) -> Self {
        let memory = |bytes: usize| bytes.saturating_mul(12) / 5;
        Self {
            bounds: BodyBounds { max_bytes, memory },
            check_headers: content_type::require_json,
            is_json: true,
        }
    }

    /// Lowers the maximum to the length that all the memory for requests allows. Waiting would not help a longer body.
    fn within(mut self, memory_bytes: usize) -> Self {
        let BodyBounds { max_bytes, memory } = self.bounds;
        self.bounds.max_bytes = max_bytes.min(max_bytes.saturating_mul(memory_bytes) / memory(max_bytes));
        self
    }
}
