//! Values of constant tensors, in both encodings of ONNX.

use super::proto::{FLOAT, INT64, TensorProto};

impl TensorProto {
    /// A tensor of 32-bit floats, row-major.
    pub(super) fn of_f32(name: String, dims: Vec<i64>, values: &[f32]) -> Self {
        let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dims, data_type: Some(FLOAT), name: Some(name), raw_data: Some(raw), ..Self::default() }
    }

    /// The values, or `None` for another element type or values outside this file.
    pub(super) fn f32s(&self) -> Option<Vec<f32>> {
        if self.data_type != Some(FLOAT) || !self.external_data.is_empty() {
            return None;
        }
        match &self.raw_data {
            Some(raw) => Some(raw.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
            None => Some(self.float_data.clone()),
        }
    }

    /// The values, or `None` for another element type or values outside this file.
    pub(super) fn i64s(&self) -> Option<Vec<i64>> {
        if self.data_type != Some(INT64) || !self.external_data.is_empty() {
            return None;
        }
        match &self.raw_data {
            Some(raw) => Some(raw.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect()),
            None => Some(self.int64_data.clone()),
        }
    }

    /// Replaces the values and keeps the encoding; the count must not change.
    pub(super) fn set_f32s(&mut self, values: Vec<f32>) {
        match &mut self.raw_data {
            Some(raw) => *raw = values.into_iter().flat_map(f32::to_le_bytes).collect(),
            None => self.float_data = values,
        }
    }

    /// Replaces the values and keeps the encoding; the count must not change.
    pub(super) fn set_i64s(&mut self, values: Vec<i64>) {
        match &mut self.raw_data {
            Some(raw) => *raw = values.into_iter().flat_map(i64::to_le_bytes).collect(),
            None => self.int64_data = values,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop};
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn both_encodings_keep_values(values in prop::collection::vec(any::<i64>(), 0..20), raw in any::<bool>()) {
            let mut tensor = TensorProto { data_type: Some(INT64), ..TensorProto::default() };
            tensor.raw_data = raw.then(Vec::new);
            tensor.set_i64s(values.clone());
            prop_assert_eq!(tensor.i64s(), Some(values));
            prop_assert_eq!(tensor.f32s(), None);
        }

        #[test]
        fn floats_keep_their_values(values in prop::collection::vec(-1e30f32..1e30, 0..20)) {
            let mut tensor = TensorProto::of_f32("w".to_owned(), vec![values.len() as i64], &values);
            prop_assert_eq!(tensor.f32s(), Some(values.clone()));
            tensor.raw_data = None;
            tensor.set_f32s(values.clone());
            prop_assert_eq!(tensor.f32s(), Some(values));
        }
    }
}
