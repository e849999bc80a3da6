//! Ages by all networks of the manifest, on pictures of people.

use faceline_models::manifest::Manifest;

use super::tests::{data, free_picture, pipeline};

/// The test uses one of this many pictures of FG-NET, so it takes seconds.
const STEP: usize = 6;

#[test]
fn an_age_is_the_corrected_mean_of_all_networks() {
    let manifest = Manifest::default_manifest().unwrap();
    for name in ["obama.jpg", "biden.jpg", "astronaut.png"] {
        let face = pipeline().estimate_central_age(&free_picture(name)).unwrap().unwrap();
        let [first, second] = face.estimates[..] else { panic!("two networks, not {:?}", face.estimates) };
        assert!((first - second).abs() > 0.2, "{name}: {first} and {second} are of one network");
        for estimate in [first, second] {
            assert!((25.0..85.0).contains(&estimate), "{name}: {estimate}");
        }
        let expected = manifest.age_correction.apply(f32::midpoint(first, second));
        assert!((face.age.unwrap() - expected).abs() < 1e-3, "{name}: {:?}, not {expected}", face.age);
    }
}

#[test]
fn ages_of_children_and_adults_have_the_errors_that_the_documents_state() {
    let Some(folder) = data("fgnet") else { return };
    let list = std::fs::read_to_string(folder.join("index.csv")).unwrap();
    let mut faces = Vec::new();
    for row in list.lines().skip(1).step_by(STEP) {
        let fields: Vec<&str> = row.split(',').collect();
        let (path, age): (_, f32) = (fields[0], fields[1].parse().unwrap());
        let picture = std::fs::read(folder.join(path)).unwrap();
        if let Some(estimate) = pipeline().estimate_central_age(&picture).unwrap().and_then(|face| face.age) {
            faces.push((age, estimate));
        }
    }
    assert!(faces.len() > 500 / STEP - 5, "{} faces", faces.len());
    let error = faces.iter().map(|(age, estimate)| (age - estimate).abs()).sum::<f32>() / faces.len() as f32;
    assert!(error < 3.6, "{error} years");
    let minors: Vec<f32> =
        faces.iter().filter(|(age, _)| *age < 18.0).map(|(_, estimate)| *estimate).collect();
    let share =
        |at: f32| minors.iter().filter(|estimate| **estimate >= at).count() as f32 / minors.len() as f32;
    assert!(share(18.0) < 0.15 && share(25.0) < 0.04, "{} and {}", share(18.0), share(25.0));
}
