//! A detector's graph for an input of half the width and height.
//!
//! The networks of such detectors are convolutions, which take an input of any size. Only their anchors are constants
//! in the graph. In the smaller input, a face that is large enough is found in a quarter of the time.

use prost::Message;

use super::error::ConversionError;
use super::proto::{DimensionProto, GraphProto, ModelProto, TensorProto, ValueInfoProto};

/// Makes the graph of a single-shot detector for an input of half the width and height, with anchors of the same size
/// in pixels.
///
/// The detector must add the centres of anchors to the network's output, and multiply it by their sizes. Both are
/// constants of shape 1 x A x 2. The anchors must lie in grids, row after row. Each cell of a grid must have the same
/// anchors, and the first cell's centre must be half a cell from the corner.
///
/// # Errors
/// The bytes are no ONNX file, or not the graph of such a detector.
pub fn at_half_size(file: &[u8]) -> Result<Vec<u8>, ConversionError> {
    let mut model = ModelProto::decode(file)?;
    let graph = model.graph.as_mut().ok_or_else(|| ConversionError::unsupported("no graph"))?;
    let [input] = graph.input.as_mut_slice() else {
        return Err(ConversionError::unsupported("the detector does not have exactly one input"));
    };
    let [_, _, height, width] = axes(input) else {
        return Err(ConversionError::unsupported("the detector's input is no picture"));
    };
    for side in [height, width] {
        let half = side.dim_value.filter(|side| *side > 0 && side % 2 == 0).map(|side| side / 2);
        side.dim_value = Some(half.ok_or_else(|| ConversionError::unsupported("a side cannot be halved"))?);
    }
    let count = halve_anchors(graph)?;
    for output in &mut graph.output {
        if let [_, anchors, _] = axes(output) {
            *anchors = DimensionProto { dim_value: Some(count), ..DimensionProto::default() };
        }
    }
    graph.value_info.clear();
    Ok(model.encode_to_vec())
}

fn axes(value: &mut ValueInfoProto) -> &mut [DimensionProto] {
    let shape = value.r#type.as_mut().and_then(|kind| kind.tensor_type.as_mut()?.shape.as_mut());
    shape.map_or(&mut [], |shape| &mut shape.dim)
}

/// The meaning of a constant with one pair per anchor.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Centres,
    Sizes,
}

/// Replaces the constants that describe anchors, and returns the new number of anchors.
fn halve_anchors(graph: &mut GraphProto) -> Result<i64, ConversionError> {
    let parts: Vec<(usize, Part)> = (0..graph.node.len())
        .filter_map(|index| {
            let name = graph.node[index].output.first()?;
            pairs(graph.node[index].attribute.first()?.t.as_ref()?)?;
            let user = graph.node.iter().find(|user| user.input.contains(name))?;
            match user.op_type() {
                "Add" => Some((index, Part::Centres)),
                "Mul" => Some((index, Part::Sizes)),
                _ => None,
            }
        })
        .collect();
    let constant = |index: usize| graph.node[index].attribute[0].t.as_ref().and_then(pairs);
    let of_part = |wanted| parts.iter().filter(move |(_, part)| *part == wanted).map(|(index, _)| *index);
    let (Some(centres), Some(sizes)) =
        (of_part(Part::Centres).next().and_then(constant), of_part(Part::Sizes).next().and_then(constant))
    else {
        return Err(ConversionError::unsupported("the graph has no anchors"));
    };
    let is_same = of_part(Part::Sizes).all(|index| constant(index).as_ref() == Some(&sizes));
    if of_part(Part::Centres).count() != 1 || !is_same || sizes.len() != centres.len() {
        return Err(ConversionError::unsupported("the graph has several lists of anchors"));
    }
    let (half_centres, half_sizes) = halved(&centres, &sizes)?;
    let count = half_centres.len() as i64;
    for (index, part) in parts {
        let values = if part == Part::Centres { &half_centres } else { &half_sizes };
        let tensor = TensorProto::of_f32(String::new(), vec![1, count, 2], values.as_flattened());
        graph.node[index].attribute[0].t = Some(TensorProto { name: None, ..tensor });
    }
    Ok(count)
}

/// The pairs of a constant of shape 1 x A x 2.
fn pairs(tensor: &TensorProto) -> Option<Vec<[f32; 2]>> {
    let [1, count, 2] = tensor.dims[..] else { return None };
    let values = tensor.f32s()?;
    let pairs = values.as_chunks().0;
    (count > 0 && pairs.len() as i64 == count).then(|| pairs.to_vec())
}

type Pairs = Vec<[f32; 2]>;

/// Centres and sizes of anchors for an input of half the size, all as parts of the input.
fn halved(centres: &[[f32; 2]], sizes: &[[f32; 2]]) -> Result<(Pairs, Pairs), ConversionError> {
    let (mut new_centres, mut new_sizes) = (Vec::new(), Vec::new());
    let mut start = 0;
    while start < centres.len() {
        let rest = &centres[start..];
        let first = rest[0];
        let in_cell = rest.iter().take_while(|centre| **centre == first).count();
        let cells: Vec<[f32; 2]> = rest.iter().step_by(in_cell).copied().collect();
        let columns = run(&cells, |cell, before| cell[1] == first[1] && cell[0] > before[0]);
        let row_starts: Vec<[f32; 2]> = cells.iter().step_by(columns).copied().collect();
        let rows = run(&row_starts, |cell, before| cell[0] == first[0] && cell[1] > before[1]);
        let length = in_cell * columns * rows;
        let grid = rest.get(..length).ok_or_else(|| ConversionError::unsupported("a grid is incomplete"))?;
        check_grid(grid, in_cell, columns)?;
        // A convolution with a stride of 2 and padding halves the number of cells and rounds up.
        for row in 0..rows.div_ceil(2) {
            for column in 0..columns.div_ceil(2) {
                let centre = [place(column, 2.0 * first[0]), place(row, 2.0 * first[1])];
                for size in &sizes[start..start + in_cell] {
                    new_centres.push(centre);
                    new_sizes.push(size.map(|side| 2.0 * side));
                }
            }
        }
        start += length;
    }
    Ok((new_centres, new_sizes))
}

/// Length of the run from the first cell on in which each cell and its predecessor satisfy `goes_on`.
fn run(cells: &[[f32; 2]], goes_on: impl Fn(&[f32; 2], &[f32; 2]) -> bool) -> usize {
    1 + cells.windows(2).take_while(|pair| goes_on(&pair[1], &pair[0])).count()
}

/// The coordinate of a cell's centre, if the centre of the first cell is at `first`.
fn place(cell: usize, first: f32) -> f32 {
    (2 * cell + 1) as f32 * first
}

/// Checks that the centres of a grid are evenly spaced, except those that were clipped to the picture.
fn check_grid(grid: &[[f32; 2]], in_cell: usize, columns: usize) -> Result<(), ConversionError> {
    const SLACK: f32 = 1e-4;
    let is_even = grid.iter().enumerate().all(|(index, centre)| {
        let cell = index / in_cell;
        let expected = [place(cell % columns, grid[0][0]), place(cell / columns, grid[0][1])];
        (0..2).all(|axis| (centre[axis] - expected[axis].min(1.0)).abs() < SLACK)
    });
    if is_even { Ok(()) } else { Err(ConversionError::unsupported("the anchors lie in no grid")) }
}

#[cfg(test)]
mod tests {
    use super::super::proto::AttributeProto;
    use super::super::test_model::{graph, node};
    use super::*;

    /// Centres of a grid, with two anchors in each cell.
    fn grid(columns: usize, rows: usize, first: [f32; 2]) -> Pairs {
        (0..columns * rows * 2)
            .map(|at| [place(at / 2 % columns, first[0]), place(at / 2 / columns, first[1])])
            .collect()
    }

    fn detector(centres: &[[f32; 2]], sizes: &[[f32; 2]]) -> Vec<u8> {
        let constant = |name: &str, values: &[[f32; 2]]| {
            let mut constant = node("Constant", &[], name);
            let t =
                TensorProto::of_f32(String::new(), vec![1, values.len() as i64, 2], values.as_flattened());
            constant.attribute.push(AttributeProto { t: Some(t), ..AttributeProto::default() });
            constant
        };
        let nodes = vec![
            constant("size", sizes),
            constant("centre", centres),
            node("Mul", &["input", "size"], "scaled"),
            node("Add", &["scaled", "centre"], "output"),
        ];
        let model =
            ModelProto { graph: Some(graph(&[1, 3, 12, 16], nodes, Vec::new())), ..ModelProto::default() };
        model.encode_to_vec()
    }

    fn constants(file: &[u8]) -> [Pairs; 2] {
        let graph = ModelProto::decode(file).unwrap().graph.unwrap();
        [0, 1].map(|index| pairs(graph.node[index].attribute[0].t.as_ref().unwrap()).unwrap())
    }

    #[test]
    fn anchors_keep_their_size_in_pixels() {
        // Cells of 4 and 8 pixels in a picture of 16 x 12, whose last row is clipped to the picture.
        let mut centres = grid(4, 3, [0.125, 1.0 / 6.0]);
        centres.extend(grid(2, 2, [0.25, 1.0 / 3.0]));
        let sizes: Pairs = (0..centres.len()).map(|at| [(at % 2 + 1) as f32 / 16.0; 2]).collect();
        let half = at_half_size(&detector(&centres, &sizes)).unwrap();
        let [half_sizes, half_centres] = constants(&half);
        let mut expected = grid(2, 2, [0.25, 1.0 / 3.0]);
        expected.extend(grid(1, 1, [0.5, 2.0 / 3.0]));
        assert_eq!(half_centres, expected);
        assert_eq!(half_sizes[..2], [[2.0 / 16.0; 2], [4.0 / 16.0; 2]]);
        assert_eq!(half_sizes.len(), half_centres.len());
        let mut input = ModelProto::decode(&half[..]).unwrap().graph.unwrap().input.remove(0);
        let sides: Vec<_> = axes(&mut input).iter().map(|axis| axis.dim_value).collect();
        assert_eq!(sides, [Some(1), Some(3), Some(6), Some(8)]);
    }

    #[test]
    fn other_graphs_are_refused() {
        let refused = |file: &[u8]| matches!(at_half_size(file), Err(ConversionError::Unsupported(_)));
        let centres = grid(4, 3, [0.125, 1.0 / 6.0]);
        assert!(refused(b""), "no graph");
        assert!(refused(&detector(&[], &[])), "no anchors");
        assert!(refused(&detector(&centres, &centres[1..])), "fewer sizes than centres");
        let mut uneven = centres.clone();
        uneven[7][0] += 0.01;
        assert!(refused(&detector(&uneven, &centres)), "no grid");
        assert!(refused(&detector(&centres[..13], &centres[..13])), "an incomplete grid");
    }
}
