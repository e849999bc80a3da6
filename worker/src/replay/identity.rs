//! Whether one person is shown in the whole clip.

use super::track::TrackedFace;

/// Largest angles of a head whose face is compared, in degrees; profiles of one person resemble each other little.
const MAX_YAW: f32 = 25.0;
const MAX_PITCH: f32 = 22.0;

/// A face whose embedding's norm before normalisation is below this, or below this part of the clip's median, is blurred or covered.
/// The usual norm differs by a third between people.
const MIN_LENGTH: f32 = 2.2;
const MIN_PART_OF_MEDIAN: f32 = 0.6;

/// Cosine to the person of the clip, below which a face is another's. Frontal frames of one person have 0.5 and more.
const OTHER_PERSON: f32 = 0.25;
/// Minimum mean cosine of the other person's frames to each other.
const SAME_OTHER: f32 = 0.35;
/// Minimum number of frames of another person.
const MIN_OTHERS: usize = 2;

/// A face of a key frame with the length of its embedding before normalisation.
pub(super) type CodedFace<'a> = (&'a TrackedFace, f32);

/// Whether another person takes the first one's place for a while.
pub(super) fn changes(faces: &[CodedFace<'_>]) -> bool {
    let mut lengths: Vec<f32> = faces.iter().map(|(_, length)| *length).collect();
    lengths.sort_by(f32::total_cmp);
    let median = lengths.get(lengths.len() / 2).copied().unwrap_or_default();
    let clear = |(face, length): &&CodedFace<'_>| {
        face.pose.yaw.abs() <= MAX_YAW
            && face.pose.pitch.abs() <= MAX_PITCH
            && *length >= MIN_LENGTH.max(MIN_PART_OF_MEDIAN * median)
    };
    let vectors: Vec<&[f32]> =
        faces.iter().filter(clear).filter_map(|(face, _)| face.embedding.as_deref()).collect();
    has_other_person(&vectors)
}

/// Whether some of the frames show another person. The person of the clip is the one whom the frames resemble most. The
/// frames that do not resemble that person must resemble each other; otherwise they are only bad frames.
fn has_other_person(vectors: &[&[f32]]) -> bool {
    let alike = |one: &[f32]| vectors.iter().map(|other| cosine(one, other)).sum::<f32>();
    let Some(person) = vectors.iter().max_by(|a, b| alike(a).total_cmp(&alike(b))) else { return false };
    let others: Vec<&[f32]> =
        vectors.iter().copied().filter(|other| cosine(person, other) < OTHER_PERSON).collect();
    if others.len() < MIN_OTHERS {
        return false;
    }
    let mut pairs = Vec::new();
    for (i, one) in others.iter().enumerate() {
        pairs.extend(others[i + 1..].iter().map(|other| cosine(one, other)));
    }
    pairs.iter().sum::<f32>() >= SAME_OTHER * pairs.len() as f32
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_other(angles: &[f32]) -> bool {
        let vectors: Vec<[f32; 2]> =
            angles.iter().map(|degrees| degrees.to_radians().sin_cos().into()).collect();
        let vectors: Vec<&[f32]> = vectors.iter().map(<[f32; 2]>::as_slice).collect();
        has_other_person(&vectors)
    }

    #[test]
    fn another_person_is_noticed_and_bad_frames_are_not() {
        assert!(has_other(&[0.0, 5.0, -4.0, 3.0, 90.0, 95.0]));
        assert!(has_other(&[0.0, 4.0, 91.0, 92.0]));
        assert!(!has_other(&[0.0, 20.0, 40.0, 60.0, 50.0, 10.0]), "one person in many poses");
        assert!(!has_other(&[0.0, 5.0, -4.0, 3.0, 90.0]), "a single frame");
        assert!(!has_other(&[0.0, 5.0, -4.0, 3.0, 95.0, 265.0]), "bad frames, each in its own way");
        assert!(!has_other(&[]));
    }
}
