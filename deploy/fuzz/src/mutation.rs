//! Mutations that know the building blocks of formats: lengths, headers, words, numbers, and base64 between dots.
//!
//! They are deterministic: the same seed makes the same inputs on every machine, so a failure can be repeated.

use base64_simd::URL_SAFE_NO_PAD;
use faceline_models::SplitMix64;

use crate::Target;

/// Inputs are cut to this length, in bytes.
const MAX_INPUT_BYTES: usize = 96 << 10;
/// Maximum length of a range that one mutation repeats or removes, in bytes.
const MAX_RANGE_BYTES: usize = 512;
/// Maximum length of a header that is taken from another input, in bytes.
const MAX_HEADER_BYTES: usize = 64;
/// Bytes that parsers treat in special ways.
const SPECIAL_BYTES: [u8; 12] = [0, 1, 0x7f, 0x80, 0x81, 0xff, b'\r', b'\n', b'"', b'.', b'-', b'{'];

/// Makes inputs from a target's seeds.
#[derive(Debug)]
pub struct Mutator {
    random: SplitMix64,
    corpus: Vec<Vec<u8>>,
    words: &'static [&'static [u8]],
    is_dotted_base64: bool,
}

impl Mutator {
    /// Mutates the inputs of `corpus`, which must not be empty.
    #[must_use]
    pub fn new(target: &Target, corpus: Vec<Vec<u8>>, seed: u64) -> Self {
        let Target { words, is_dotted_base64, .. } = *target;
        Self { random: SplitMix64::new(seed), corpus, words, is_dotted_base64 }
    }

    /// The next input: one of the corpus after one to four mutations.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.pick();
        for _ in 0..=self.below(4) {
            if self.is_dotted_base64 && self.below(2) == 0 {
                self.mutate_part(&mut input);
            } else {
                self.mutate(&mut input);
            }
        }
        input.truncate(MAX_INPUT_BYTES);
        input
    }

    fn pick(&mut self) -> Vec<u8> {
        let index = self.below(self.corpus.len());
        self.corpus[index].clone()
    }

    /// A number below `end`; 0 if that is 0.
    fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.random.bits()) * end as u128) >> 64) as usize
    }

    /// A range of at most [`MAX_RANGE_BYTES`].
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length);
        start..start + self.below((length - start).min(MAX_RANGE_BYTES) + 1)
    }

    /// Decodes a part between dots, mutates its content, and encodes it again.
    fn mutate_part(&mut self, input: &mut Vec<u8>) {
        let mut parts: Vec<Vec<u8>> = input.split(|byte| *byte == b'.').map(<[u8]>::to_vec).collect();
        let index = self.below(parts.len());
        if let Ok(mut part) = URL_SAFE_NO_PAD.decode_to_vec(&parts[index]) {
            self.mutate(&mut part);
            parts[index] = URL_SAFE_NO_PAD.encode_to_string(part).into_bytes();
            *input = parts.join(&b'.');
        } else {
            self.mutate(input);
        }
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len());
        match self.below(10) {
            0 if !input.is_empty() => input[at] ^= 1 << self.below(8),
            1 if !input.is_empty() => input[at] = SPECIAL_BYTES[self.below(SPECIAL_BYTES.len())],
            2 => input.truncate(at),
            3 => {
                let range = self.range(input.len());
                input.drain(range);
            }
            4 => {
                let range = self.range(input.len());
                let copy = input[range].to_vec();
                input.splice(at..at, copy);
            }
            // Splice: the beginning of this input and the end of another one.
            5 => {
                let other = self.pick();
                input.truncate(at);
                input.extend(&other[self.below(other.len())..]);
            }
            // The header of another input.
            6 => {
                let other = self.pick();
                let header = self.below(other.len().min(MAX_HEADER_BYTES) + 1);
                input.splice(..header.min(input.len()), other[..header].iter().copied());
            }
            7 => self.edit_length(input),
            8 => self.edit_digits(input),
            _ if !self.words.is_empty() => {
                let word = self.words[self.below(self.words.len())];
                let end = if self.below(2) == 0 { at } else { (at + word.len()).min(input.len()) };
                input.splice(at..end, word.iter().copied());
            }
            _ => input.push(SPECIAL_BYTES[self.below(SPECIAL_BYTES.len())]),
        }
    }

    /// Reads 1, 2, 4 or 8 bytes as a number in one of the two byte orders, and replaces them with another number.
    fn edit_length(&mut self, input: &mut [u8]) {
        let width = 1 << self.below(4);
        let length = input.len() as u64;
        if input.len() < width {
            return;
        }
        let at = self.below(input.len() - width + 1);
        let field = &mut input[at..at + width];
        let is_big_endian = self.below(2) == 0;
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        let value = if is_big_endian { field.iter().fold(0, fold) } else { field.iter().rev().fold(0, fold) };
        let choices = [
            0,
            value.wrapping_add(1),
            value.wrapping_sub(1),
            value << 1,
            value >> 1,
            u64::MAX,
            u64::MAX >> 1,
            length,
            length + 1,
            1 << 31,
        ];
        let bytes = choices[self.below(choices.len())].to_be_bytes();
        field.copy_from_slice(&bytes[8 - width..]);
        if !is_big_endian {
            field.reverse();
        }
    }

    /// Replaces a number that is written in digits.
    fn edit_digits(&mut self, input: &mut Vec<u8>) {
        let starts: Vec<usize> = (0..input.len()).filter(|at| input[*at].is_ascii_digit()).collect();
        if starts.is_empty() {
            return;
        }
        let start = starts[self.below(starts.len())];
        let end = start + input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let numbers: [&[u8]; 8] =
            [b"0", b"-1", b"1e999", b"4294967296", b"18446744073709551616", b"65535", b"0.5", b"nan"];
        let number = numbers[self.below(numbers.len())];
        input.splice(start..end, number.iter().copied());
    }
}
