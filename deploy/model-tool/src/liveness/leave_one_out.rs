//! Leave-one-out: fits a calibration on all sources but one, and measures its errors on that one.
//!
//! The errors are measured twice: with the shipped thresholds, which were chosen from these same sources, and with
//! thresholds that are chosen from the other sources alone.

use std::collections::BTreeMap;
use std::io::Write;

use faceline_models::evaluation::{Aim, AttackErrors, is_injected};
use faceline_models::liveness::{LlrFit, Sample, ScoreMap};

use super::levels::LEVELS;
use super::measured::Measured;
use super::rates::{rate_of, worst_of};

/// The errors on a source that was left out of the fit. Scores are LLRs of the fit.
pub(super) struct LeftOut {
    source: String,
    fit: LlrFit,
    errors: AttackErrors,
    /// The threshold that the other sources give for each aim.
    chosen: Vec<Option<f32>>,
}

/// Leaves out each source in turn. Fits and errors exclude pictures that are too tight, and injected digital
/// manipulations.
pub(super) fn leave_one_out(measured: &[&Measured], aims: &[Aim]) -> Vec<LeftOut> {
    let judged: Vec<(&Measured, Sample)> = measured
        .iter()
        .filter(|one| !one.is_tight && !one.presentation.attack.as_deref().is_some_and(is_injected))
        .filter_map(|one| Some((*one, one.sample()?)))
        .collect();
    let mut sources: Vec<&str> = judged.iter().map(|(_, sample)| sample.source.as_str()).collect();
    sources.sort_unstable();
    sources.dedup();
    let without = |source: &str| {
        let others: Vec<Sample> = judged
            .iter()
            .filter(|(_, sample)| sample.source != source)
            .map(|(_, sample)| sample.clone())
            .collect();
        let fit = LlrFit::new(&others)?;
        let mut by_source: BTreeMap<&str, AttackErrors> = BTreeMap::new();
        for (one, sample) in &judged {
            let presentation = &one.presentation;
            by_source.entry(&sample.source).or_default().add(
                presentation.attack.as_deref(),
                &presentation.subject,
                Some(fit.scale as f32 * sample.log_odds + fit.offset as f32),
            );
        }
        let errors = by_source.remove(source)?;
        let chosen = aims.iter().map(|aim| aim.threshold(by_source.values())).collect();
        Some(LeftOut { source: source.to_owned(), fit, errors, chosen })
    };
    sources.into_iter().filter_map(without).collect()
}

/// Prints the errors on each left-out source, and the largest ones. `map` has the shipped thresholds.
pub(super) fn print(
    out: &mut impl Write,
    what: &str,
    left_out: &[LeftOut],
    map: &ScoreMap,
    aims: &[Aim],
) -> std::io::Result<()> {
    writeln!(
        out,
        "\n{what}, left out of the fit; thresholds as shipped, which were chosen with such sources in view"
    )?;
    writeln!(out, "left out         scale  offset   level      LLR   BPCER; APCER of the worst species")?;
    let shipped = [map.low, map.medium, map.high];
    for LeftOut { source, fit, errors, .. } in left_out {
        for (at, ((name, _), llr)) in LEVELS.iter().zip(shipped).enumerate() {
            let start = match at {
                0 => format!("{source:<16} {:5.2} {:7.2}", fit.scale, fit.offset),
                _ => " ".repeat(30),
            };
            let rates = rates(errors, llr);
            writeln!(out, "{start}   {name:<6} {llr:7.2}   {rates}")?;
        }
    }
    for ((name, _), llr) in LEVELS.iter().zip(shipped) {
        let errors = left_out.iter().map(|one| (&one.errors, llr));
        writeln!(out, "worst source at {name}: {}", worst(errors))?;
    }
    for (at, aim) in aims.iter().enumerate() {
        let aim = match aim {
            Aim::Apcer(share) => format!("APCER <= {} % (of the worst species)", share * 100.0),
            Aim::Bpcer(share) => format!("BPCER <= {} %", share * 100.0),
        };
        writeln!(
            out,
            "\n{what}, left out of the fit and of the threshold, which was chosen on the other sources, of the same weight, for {aim}"
        )?;
        writeln!(out, "left out             LLR   BPCER; APCER of the worst species")?;
        for LeftOut { source, errors, chosen, .. } in left_out {
            match chosen[at] {
                Some(llr) => writeln!(out, "{source:<16} {llr:7.2}   {}", rates(errors, llr))?,
                None => writeln!(out, "{source:<16}           no threshold meets the aim on the others")?,
            }
        }
        let errors = left_out.iter().filter_map(|one| Some((&one.errors, one.chosen[at]?)));
        writeln!(out, "worst source: {}", worst(errors))?;
    }
    Ok(())
}

fn rates(errors: &AttackErrors, llr: f32) -> String {
    let bpcer = rate_of(&errors.bona_fide, |score| score <= llr);
    format!("{bpcer}; {}", worst_of(errors, llr))
}

/// The largest rates of several sources, each with its threshold.
fn worst<'a>(errors: impl Iterator<Item = (&'a AttackErrors, f32)>) -> String {
    let (mut bpcer, mut apcer) = (None, None);
    for (errors, llr) in errors {
        let larger = |most: Option<f64>, rate: Option<f64>| most.into_iter().chain(rate).reduce(f64::max);
        bpcer = larger(bpcer, errors.bona_fide.up_to(llr));
        apcer = larger(apcer, errors.worst(llr).map(|(_, rate)| rate));
    }
    let shown =
        |rate: Option<f64>| rate.map_or("none judged".to_owned(), |rate| format!("{:.1} %", rate * 100.0));
    format!("BPCER {}, APCER {}", shown(bpcer), shown(apcer))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use faceline_models::evaluation::{Medium, Presentation};

    use super::*;

    fn measured(source: &str, attack: Option<&str>, log_odds: f32, is_tight: bool) -> Measured {
        let presentation = Presentation {
            path: PathBuf::new(),
            medium: Medium::Picture,
            attack: attack.map(str::to_owned),
            subject: log_odds.to_string(),
            source: source.to_owned(),
        };
        Measured {
            presentation,
            findings: Vec::new(),
            faces: 1,
            log_odds: vec![log_odds],
            surroundings: Some(2.0),
            is_tight,
            answer: None,
        }
    }

    const PRINT: Option<&str> = Some("print");
    const MAP: ScoreMap = ScoreMap { scale: 1.0, offset: 0.0, low: -1.0, medium: 0.0, high: 1.0 };

    /// Twenty living people and twenty prints, with log-odds in steps of 0.2.
    fn source(name: &str, shift: f32) -> Vec<Measured> {
        (0u8..20)
            .flat_map(move |step| {
                let x = f32::from(step) / 5.0 + shift;
                [measured(name, None, x + 1.0, false), measured(name, PRINT, x - 5.0, false)]
            })
            .collect()
    }

    fn left_out(all: &[Measured], aims: &[Aim]) -> Vec<LeftOut> {
        leave_one_out(&all.iter().collect::<Vec<_>>(), aims)
    }

    #[test]
    fn a_source_does_not_judge_itself() {
        // Sources a and b agree. All log-odds of c are six lower. A fit on c itself would not reject its living people
        // at any level.
        let all: Vec<Measured> =
            source("a", 0.0).into_iter().chain(source("b", 0.0)).chain(source("c", -6.0)).collect();
        let found = left_out(&all, &[]);
        let bpcer = |one: &LeftOut| one.errors.bona_fide.up_to(MAP.medium).unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].source.as_str(), found[2].source.as_str()), ("a", "c"));
        assert!(bpcer(&found[2]) > 0.9, "{}", bpcer(&found[2]));
        assert!(found[0].fit.scale > 0.0 && bpcer(&found[0]) < 0.5);
    }

    #[test]
    fn a_threshold_is_chosen_without_the_source_that_it_judges() {
        let all: Vec<Measured> =
            source("a", 0.0).into_iter().chain(source("b", 0.0)).chain(source("c", -6.0)).collect();
        let aims = [Aim::Bpcer(0.1), Aim::Apcer(0.0)];
        let found = left_out(&all, &aims);
        let bpcer = |one: &LeftOut, at: usize| one.errors.bona_fide.up_to(one.chosen[at].unwrap()).unwrap();
        // The other sources agree with each other and not with c. The threshold that rejects a tenth of them rejects
        // all people of c.
        assert_eq!(bpcer(&found[2], 0), 1.0);
        // If c is among the other sources, the threshold is low and rejects nobody of a.
        assert_eq!(bpcer(&found[0], 0), 0.0);
        assert!(found[0].chosen[1] < found[2].chosen[1] || bpcer(&found[2], 1) > 0.0);
        let mut text = Vec::new();
        print(&mut text, "pictures", &found, &MAP, &aims).unwrap();
        let text = String::from_utf8(text).unwrap();
        for words in [
            "pictures, left out of the fit; thresholds as shipped",
            "left out of the fit and of the threshold, which was chosen on the other sources, of the same weight, for BPCER <= 10 %",
            "for APCER <= 0 % (of the worst species)",
            "worst source: BPCER 100.0 %",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    #[test]
    fn tight_crops_and_injected_fakes_neither_fit_nor_judge() {
        let mut all = vec![
            measured("a", None, 3.0, false),
            measured("a", PRINT, -3.0, false),
            measured("b", None, 3.0, true),
            measured("b", PRINT, -3.0, true),
            measured("b", Some("deepfake"), 3.0, false),
        ];
        assert!(left_out(&all, &[]).is_empty(), "only one source has full frames");
        all.push(measured("b", None, 3.0, false));
        let found = left_out(&all, &[]);
        assert_eq!(found.len(), 1, "without a there are no attacks to fit");
        assert!(found[0].source == "b" && found[0].errors.injected.is_empty());
    }
}
