//! Makes the batch axis a parameter.

use std::collections::{HashMap, HashSet};

use super::error::ConversionError;
use super::proto::{DimensionProto, GraphProto, ValueInfoProto};

/// Name of the batch axis in the converted graph.
const BATCH: &str = "N";

/// Makes the leading axis of every input and output a parameter.
///
/// A `Reshape` to a constant shape that begins with 1 gets a shape that begins with 0, which copies that axis from the
/// input. Recorded shapes of intermediate values are dropped, since they are derived and no longer right. The graph
/// does not show whether a leading 1 is the batch axis; after a wrong guess, the proof fails.
pub(super) fn apply(graph: &mut GraphProto) -> Result<(), ConversionError> {
    let constants: HashSet<String> =
        graph.initializer.iter().filter_map(|tensor| tensor.name.clone()).collect();
    for value in graph.input.iter_mut().chain(&mut graph.output) {
        if !value.name.as_ref().is_some_and(|name| constants.contains(name)) {
            open_batch_axis(value)?;
        }
    }
    graph.value_info.clear();

    let mut uses: HashMap<&str, (usize, usize)> = HashMap::new();
    for node in &graph.node {
        let reshape = node.op_type() == "Reshape";
        for (position, name) in node.input.iter().enumerate() {
            let (as_shape, all) = uses.entry(name).or_default();
            *as_shape += usize::from(reshape && position == 1);
            *all += 1;
        }
    }
    let shapes: HashSet<String> = uses
        .into_iter()
        .filter(|(_, (as_shape, all))| *as_shape > 0 && as_shape == all)
        .map(|(name, _)| name.to_owned())
        .collect();

    let initializers = graph
        .initializer
        .iter_mut()
        .filter(|tensor| tensor.name.as_ref().is_some_and(|name| shapes.contains(name)));
    let constants = graph
        .node
        .iter_mut()
        .filter(|node| {
            node.op_type() == "Constant" && node.output.first().is_some_and(|name| shapes.contains(name))
        })
        .flat_map(|node| &mut node.attribute)
        .filter_map(|attribute| attribute.t.as_mut());
    for shape in initializers.chain(constants) {
        if let Some(mut dims) = shape.i64s()
            && dims.first() == Some(&1)
        {
            dims[0] = 0;
            shape.set_i64s(dims);
        }
    }
    Ok(())
}

fn open_batch_axis(value: &mut ValueInfoProto) -> Result<(), ConversionError> {
    let name = value.name.clone().unwrap_or_default();
    let batch = value
        .r#type
        .as_mut()
        .and_then(|kind| kind.tensor_type.as_mut())
        .and_then(|tensor| tensor.shape.as_mut())
        .and_then(|shape| shape.dim.first_mut())
        .ok_or_else(|| ConversionError::Unsupported(format!("`{name}` has no leading axis")))?;
    match (batch.dim_value, &batch.dim_param) {
        (Some(1), _) | (None, _) => {}
        (Some(other), _) => {
            return Err(ConversionError::Unsupported(format!("`{name}` has a batch of {other}, not 1")));
        }
    }
    *batch = DimensionProto {
        dim_value: None,
        dim_param: Some(BATCH.to_owned()),
        denotation: batch.denotation.take(),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::proto::{AttributeProto, INT64, TensorProto};
    use super::super::test_model::{graph, node, value};
    use super::*;

    fn shape(name: &str, dims: &[i64]) -> TensorProto {
        TensorProto {
            name: Some(name.to_owned()),
            data_type: Some(INT64),
            dims: vec![dims.len() as i64],
            int64_data: dims.to_vec(),
            ..TensorProto::default()
        }
    }

    fn leading(value: &ValueInfoProto) -> DimensionProto {
        value.r#type.clone().unwrap().tensor_type.unwrap().shape.unwrap().dim.remove(0)
    }

    #[test]
    fn inputs_outputs_and_reshapes_open_up() {
        let mut constant = node("Constant", &[], "flat");
        constant.attribute.push(AttributeProto { t: Some(shape("", &[1, -1])), ..AttributeProto::default() });
        let nodes = vec![
            node("Reshape", &["input", "groups"], "a"),
            constant,
            node("Reshape", &["a", "flat"], "b"),
            node("Reshape", &["b", "both"], "c"),
            node("Tile", &["c", "both"], "d"),
            node("Reshape", &["d", "rows"], "output"),
        ];
        let constants = vec![
            shape("groups", &[1, 2, 3]),
            shape("both", &[1, 2]),
            shape("rows", &[-1, 6]),
            shape("input2", &[1]),
        ];
        let mut graph = graph(&[1, 6], nodes, constants);
        graph.input.push(value("groups", &[3]));
        graph.value_info.push(value("a", &[1, 2, 3]));
        apply(&mut graph).unwrap();

        assert_eq!(leading(&graph.input[0]).dim_param.as_deref(), Some("N"));
        assert_eq!(leading(&graph.output[0]).dim_param.as_deref(), Some("N"));
        assert_eq!(leading(&graph.input[1]).dim_value, Some(3), "a constant that is listed as an input");
        assert!(graph.value_info.is_empty());
        let shapes: Vec<_> = graph.initializer.iter().map(|tensor| tensor.i64s().unwrap()).collect();
        assert_eq!(shapes, [vec![0, 2, 3], vec![1, 2], vec![-1, 6], vec![1]], "`both` is no mere shape");
        assert_eq!(graph.node[1].attribute[0].t.as_ref().unwrap().i64s().unwrap(), [0, -1]);

        let once = graph.clone();
        apply(&mut graph).unwrap();
        assert_eq!(graph, once);
    }

    #[test]
    fn a_batch_of_more_than_one_is_refused() {
        let mut graph = graph(&[2, 6], Vec::new(), Vec::new());
        assert!(
            matches!(apply(&mut graph), Err(ConversionError::Unsupported(reason)) if reason.contains('2'))
        );
        graph.input[0].r#type = None;
        assert!(matches!(apply(&mut graph), Err(ConversionError::Unsupported(_))));
    }
}
