//! The crop of the age model that was trained on dlib's face chips.

use super::{Crop, Manifest};

/// Points of dlib's mean face (`get_face_chip_details`, image_transforms/interpolation.h), of which a chip uses the
/// points 17 to 67. These are the ones that form the five points, with their numbers in iBUG's order of 68.
const MEAN_FACE: [(&[[f64; 2]], &str); 5] = [
    (
        &[[0.187122, 0.178758], [0.265825, 0.179852], [0.260918, 0.245099], [0.182743, 0.244077]],
        "lids 37 38 40 41",
    ),
    (
        &[[0.714428, 0.179852], [0.793132, 0.178758], [0.79751, 0.244077], [0.719335, 0.245099]],
        "lids 43 44 46 47",
    ),
    (&[[0.490127, 0.515625]], "nose 30"),
    (&[[0.254149, 0.780233], [0.290379, 0.784792]], "mouth 48 60"),
    (&[[0.726104, 0.780233], [0.689874, 0.784792]], "mouth 54 64"),
];

/// The padding that the model was trained with; 0.25 costs 1.6 years.
const PADDING: f64 = 0.2;

#[test]
fn the_template_is_dlibs_mean_face_in_a_chip_with_its_padding() {
    let manifest = Manifest::default_manifest().unwrap();
    let model = manifest.models.iter().find(|model| model.name == "face-age-chip").unwrap();
    let Crop::FivePoints { template } = &model.input.crop else { panic!("five points") };
    for ((points, name), found) in MEAN_FACE.iter().zip(template) {
        for axis in 0..2 {
            let mean = points.iter().map(|point| point[axis]).sum::<f64>() / points.len() as f64;
            let expected = (PADDING + mean) / (2.0 * PADDING + 1.0) * model.input.width as f64;
            assert!((f64::from(found[axis]) - expected).abs() < 0.006, "{name}: {found:?}, not {expected}");
        }
    }
}
