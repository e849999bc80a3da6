//! Sets negligible weights to zero.

use super::proto::GraphProto;

/// Weights below this are remnants of weight decay: 2^-50 of a weight of order one, far below the rounding error.
/// Training moves the weights of dead channels towards 0 without reaching it. A subnormal product (below 1.2e-38) takes
/// a processor up to a hundred times as long as an ordinary one.
const NEGLIGIBLE: f32 = 1e-15;

/// Sets every 32-bit float constant below [`NEGLIGIBLE`] to zero.
pub(super) fn flush(graph: &mut GraphProto) {
    for tensor in &mut graph.initializer {
        if let Some(mut values) = tensor.f32s()
            && values.iter().any(|value| is_negligible(*value))
        {
            for value in &mut values {
                if is_negligible(*value) {
                    *value = 0.0;
                }
            }
            tensor.set_f32s(values);
        }
    }
}

fn is_negligible(value: f32) -> bool {
    value != 0.0 && value.abs() < NEGLIGIBLE
}

#[cfg(test)]
mod tests {
    use super::super::proto::TensorProto;
    use super::*;

    #[test]
    fn only_what_is_negligible_is_flushed() {
        let values = [1.0, -1e-14, 1e-16, -1e-40, 0.0, f32::MIN_POSITIVE];
        let mut graph = GraphProto::default();
        graph.initializer.push(TensorProto::of_f32("w".to_owned(), vec![6], &values));
        flush(&mut graph);
        assert_eq!(graph.initializer[0].f32s().unwrap(), [1.0, -1e-14, 0.0, 0.0, 0.0, 0.0]);
    }
}
