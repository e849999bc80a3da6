//! Shapes of the values of a graph.

/// The shape of one item of the batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shape {
    /// A picture. ONNX has the channels before height and width, TensorFlow after them.
    Image { channels: usize, height: usize, width: usize },
    /// A list of numbers.
    Row { length: usize },
}

impl Shape {
    /// Length of TensorFlow's last axis.
    pub(super) fn channels(self) -> usize {
        match self {
            Self::Image { channels, .. } => channels,
            Self::Row { length } => length,
        }
    }

    /// Axes in ONNX, without the batch.
    pub(super) fn axes(self) -> Vec<usize> {
        match self {
            Self::Image { channels, height, width } => vec![channels, height, width],
            Self::Row { length } => vec![length],
        }
    }
}

/// The movement of a window along one axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
}

/// The positions of a window along one axis.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Extent {
    pub(super) outputs: usize,
    pub(super) pad_before: usize,
    pub(super) pad_after: usize,
}

impl Window {
    /// Number of cells that the window spans, from its first to its last.
    fn span(self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// TensorFlow's `SAME`: one output per stride that begins within the axis. If the number of padded cells is odd,
    /// the larger part is after the axis.
    pub(super) fn same(self, size: usize) -> Extent {
        let outputs = size.div_ceil(self.stride);
        let padding = (outputs.saturating_sub(1) * self.stride + self.span()).saturating_sub(size);
        Extent { outputs, pad_before: padding / 2, pad_after: padding - padding / 2 }
    }

    /// TensorFlow's `VALID`: no padding. `None` if the window is larger than the axis.
    pub(super) fn valid(self, size: usize) -> Option<Extent> {
        let outputs = size.checked_sub(self.span())? / self.stride + 1;
        Some(Extent { outputs, pad_before: 0, pad_after: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_pads_after_the_axis_first() {
        let extent = |size, kernel, stride, dilation| {
            let Extent { outputs, pad_before, pad_after } = Window { kernel, stride, dilation }.same(size);
            [outputs, pad_before, pad_after]
        };
        // `tf.nn.convolution`: an even axis with stride 2 has one padded cell at the end, an odd axis one at each end.
        assert_eq!(extent(224, 3, 2, 1), [112, 0, 1]);
        assert_eq!(extent(225, 3, 2, 1), [113, 1, 1]);
        assert_eq!(extent(7, 3, 1, 1), [7, 1, 1]);
        assert_eq!(extent(7, 3, 1, 2), [7, 2, 2]);
        assert_eq!(extent(8, 1, 2, 1), [4, 0, 0]);
        assert_eq!(extent(5, 2, 1, 1), [5, 0, 1]);
        assert_eq!(extent(6, 5, 2, 1), [3, 1, 2]);
    }

    #[test]
    fn valid_stays_inside() {
        let outputs = |size, kernel, stride| {
            Window { kernel, stride, dilation: 1 }.valid(size).map(|extent| extent.outputs)
        };
        assert_eq!([outputs(5, 3, 1), outputs(6, 3, 2), outputs(3, 3, 2)], [Some(3), Some(2), Some(1)]);
        assert_eq!(outputs(2, 3, 1), None);
    }
}
