//! Outputs that another implementation computed, for graphs whose original does not run in ONNX Runtime.

use serde::Deserialize;

use super::proof::{self, GraphRunner, ProofError, Tensor};
use crate::manifest::Input;

/// Tables that ship with this crate, made by `reference/make.mjs`.
const TABLES: [(&str, &str); 1] = [("face-age-deep-1", include_str!("../../reference/face-age-deep-1.toml"))];

/// Largest difference relative to the output's largest value: the two implementations sum in different orders.
const TOLERANCE: f32 = 1e-4;

/// Reference outputs of a model with one output.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The other implementation and its version.
    pub made_by: String,
    noise: Vec<Noise>,
    /// Outputs for parts of pictures, for tests that can decode pictures.
    pub squares: Vec<Square>,
}

/// The output for seeded noise.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noise {
    seed: u64,
    /// Side of the squares of one value, in pixels.
    block: usize,
    output: Vec<f32>,
}

/// The output for a part of a picture, at the picture's own scale.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Square {
    /// The name of one of the manifest's pictures.
    pub picture: String,
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// The model's output.
    pub output: Vec<f32>,
}

impl Reference {
    /// The table of this name that ships with this crate.
    ///
    /// # Errors
    /// There is no such table, or it has another form.
    pub fn named(name: &str) -> Result<Self, ProofError> {
        let table = TABLES.iter().find(|(known, _)| *known == name);
        let (_, text) = table.ok_or_else(|| ProofError::Reference(format!("there is no `{name}`")))?;
        Self::parse(text)
    }

    fn parse(text: &str) -> Result<Self, ProofError> {
        toml::from_str(text).map_err(|error| ProofError::Reference(error.to_string()))
    }

    /// Runs `model` on the same noise and returns the largest difference, relative to the output's largest value.
    ///
    /// # Errors
    /// The graph does not run, or its results differ by more than rounding.
    pub fn check(&self, model: &[u8], input: &Input, runner: &dyn GraphRunner) -> Result<f32, ProofError> {
        let mut worst = 0.0f32;
        for Noise { seed, block, output } in &self.noise {
            let face = proof::random_face(model, input, *seed, *block)?;
            let found =
                runner.run(model, &face).map_err(|source| ProofError::Run { which: "converted", source })?;
            let [found] = found.as_slice() else {
                return Err(ProofError::Outputs(format!("{} instead of one", found.len())));
            };
            let shape = vec![1, output.len()];
            let expected = Tensor { name: found.name.clone(), shape, data: output.clone() };
            let found = std::slice::from_ref(found);
            worst = worst.max(proof::compare(&[expected], found, TOLERANCE)?);
        }
        Ok(worst)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{RunnerError, test_model};
    use super::*;
    use crate::manifest::{Manifest, Role};

    /// Returns the first two values of its input, with `wrong` added to the second.
    struct FirstTwo {
        wrong: f32,
    }

    impl GraphRunner for FirstTwo {
        fn run(&self, _: &[u8], inputs: &[Tensor]) -> Result<Vec<Tensor>, RunnerError> {
            let data = vec![inputs[0].data[0], inputs[0].data[1] + self.wrong];
            Ok(vec![Tensor { name: "output".to_owned(), shape: vec![1, 2], data }])
        }
    }

    #[test]
    fn a_model_is_held_against_the_table() {
        // SplitMix64 with the seed 1 begins with 0x910a2dec89025cc1, which is a fraction of 0.5665615.
        let text = "made_by = \"hand\"\nsquares = []\n[[noise]]\nseed = 1\nblock = 2\noutput = [144.47319, 144.47319]";
        let reference = Reference::parse(text).unwrap();
        let input = Manifest::default_manifest().unwrap().model(Role::Liveness).unwrap().input.clone();
        let model = test_model::identity(&[1, 3, 4, 4]);
        let check = |wrong| reference.check(&model, &input, &FirstTwo { wrong });
        assert!(check(0.0).is_ok_and(|difference| difference < 1e-6), "{:?}", check(0.0));
        assert!(matches!(check(1.0), Err(ProofError::Differs { .. })));
        assert!(matches!(check(f32::NAN), Err(ProofError::Differs { .. })));
        let longer = Reference::parse(&text.replace("[144.47319, ", "[1.0, 144.47319, ")).unwrap();
        let outcome = longer.check(&model, &input, &FirstTwo { wrong: 0.0 });
        assert!(matches!(outcome, Err(ProofError::Outputs(_))));
    }

    #[test]
    fn tables_that_are_not_there_are_named() {
        assert!(Reference::named("other").unwrap_err().to_string().contains("`other`"));
        assert!(Reference::parse("noise = 1").is_err());
        let age = Reference::named("face-age-deep-1").unwrap();
        assert!(age.noise.len() > 2 && age.squares.len() > 1);
        assert!(age.noise.iter().all(|noise| (noise.output.iter().sum::<f32>() - 1.0).abs() < 1e-5));
    }
}
