//! The networks: how they are opened, the crops and the normalisation of their inputs, and the meaning of their
//! outputs.

mod age;
mod detector;
mod embedder;
mod face_region;
mod head_pose;
mod installed;
mod landmarks;
mod network;
mod normaliser;
mod on_demand;
mod passive_liveness;

pub(crate) use self::age::AgeEstimator;
pub(crate) use self::detector::{Detection, Detector, Equalisation};
pub(crate) use self::embedder::{Embedder, FaceEmbedding};
pub(crate) use self::face_region::FaceRegion;
pub(crate) use self::head_pose::{HeadAngles, HeadPoseEstimator};
pub use self::installed::{Models, ModelsError};
pub(crate) use self::installed::{Openable, open, open_half_detector};
pub(crate) use self::landmarks::{LandmarkEstimate, Landmarker, PassPair};
pub(crate) use self::network::{FaceModel, mean};
pub(crate) use self::on_demand::OnDemand;
pub(crate) use self::passive_liveness::{PassiveLiveness, surroundings};
