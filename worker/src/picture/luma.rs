//! Brightness of a pixel.

/// Luma of an RGB pixel by ITU-R BT.601, 0 to 255.
pub(crate) fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 32768) >> 16) as u8
}
