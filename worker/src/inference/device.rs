//! The device on which the models run.

use std::fmt;
use std::str::FromStr;

/// The device on which the models run, as in the configuration key `inference.device`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Device {
    /// `cpu`
    #[default]
    Cpu,
    /// `cuda:N`
    Cuda(u16),
    /// `tensorrt:N`
    TensorRt(u16),
}

impl FromStr for Device {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, UnknownDevice> {
        let unknown = || UnknownDevice(text.to_owned());
        if text == "cpu" {
            return Ok(Self::Cpu);
        }
        let (provider, index) = text.split_once(':').ok_or_else(unknown)?;
        let index = index.parse().map_err(|_| unknown())?;
        match provider {
            "cuda" => Ok(Self::Cuda(index)),
            "tensorrt" => Ok(Self::TensorRt(index)),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::TensorRt(index) => write!(f, "tensorrt:{index}"),
        }
    }
}

/// A text that names none of the three kinds of device.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no device: say cpu, cuda:N or tensorrt:N, where N is the graphics card's number from 0")]
pub struct UnknownDevice(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_written() {
        for device in [Device::Cpu, Device::Cuda(0), Device::Cuda(3), Device::TensorRt(1)] {
            assert_eq!(device.to_string().parse::<Device>().ok(), Some(device));
        }
    }

    #[test]
    fn other_words_are_refused_with_the_allowed_forms() {
        for text in ["", "gpu", "cuda", "cuda:", "cuda:x", "cuda:-1", "rocm:0", "CPU"] {
            let message = text.parse::<Device>().map(|_| ()).unwrap_err().to_string();
            assert!(message.contains("cuda:N"), "{message}");
        }
    }
}
