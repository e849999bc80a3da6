//! Leaving one source out: the calibration is fitted on all sources but one, and judged on that one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use super::levels::LEVELS;
use super::measured::Measured;
use faceline_models::evaluation::AttackErrors;
use faceline_models::liveness::{LlrFit, Sample, ScoreMap};

/// The errors on a source that was left out of the fit.
pub(super) struct LeftOut {
    source: String,
    fit: LlrFit,
    errors: AttackErrors,
}

/// Leaves each source out in turn. Pictures that are too tight neither fit nor judge. `map` has the thresholds of the levels, as LLRs.
pub(super) fn leave_one_out(measured: &[Measured], map: &ScoreMap) -> Vec<LeftOut> {
    let judged: Vec<(&Measured, Sample)> =
        measured.iter().filter(|one| !one.is_tight).filter_map(|one| Some((one, one.sample()?))).collect();
    let sources: BTreeSet<&str> = judged.iter().map(|(_, sample)| sample.source.as_str()).collect();
    let without = |source: &str| {
        let others: Vec<Sample> = judged
            .iter()
            .filter(|(_, sample)| sample.source != source)
            .map(|(_, sample)| sample.clone())
            .collect();
        let fit = LlrFit::new(&others)?;
        let map = ScoreMap { scale: fit.scale as f32, offset: fit.offset as f32, ..*map };
        let mut errors = AttackErrors::default();
        for (one, sample) in judged.iter().filter(|(_, sample)| sample.source == source) {
            let presentation = &one.presentation;
            errors.add(
                presentation.attack.as_deref(),
                &presentation.subject,
                Some(map.score(sample.log_odds)),
            );
        }
        Some(LeftOut { source: source.to_owned(), fit, errors })
    };
    sources.into_iter().filter_map(without).collect()
}

/// Prints the errors on each source that was left out, and the worst of all.
pub(super) fn print(out: &mut impl Write, left_out: &[LeftOut]) -> std::io::Result<()> {
    writeln!(out, "\nleft out         scale  offset   level      BPCER   APCER of the worst species")?;
    let mut worst: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
    for LeftOut { source, fit, errors } in left_out {
        for (at, (name, level)) in LEVELS.iter().enumerate() {
            let start = match at {
                0 => format!("{source:<16} {:5.2} {:7.2}", fit.scale, fit.offset),
                _ => " ".repeat(30),
            };
            let bpcer = errors.bona_fide.up_to(level.threshold());
            let attack = errors.worst(level.threshold());
            let has_people = errors.bona_fide.scores().next().is_some();
            let shown = if has_people { format!("{:.1} %", bpcer * 100.0) } else { "none".to_owned() };
            let apcer = attack
                .map_or("no attacks".to_owned(), |(name, apcer)| format!("{:.1} % ({name})", apcer * 100.0));
            writeln!(out, "{start}   {name:<6} {shown:>9}   {apcer}")?;
            let entry = worst.entry(name).or_default();
            entry[0] = entry[0].max(bpcer);
            entry[1] = entry[1].max(attack.map_or(0.0, |(_, apcer)| apcer));
        }
    }
    for (name, _) in LEVELS {
        if let Some([bpcer, apcer]) = worst.get(name) {
            writeln!(
                out,
                "worst source at {name}: BPCER {:.1} %, APCER {:.1} %",
                bpcer * 100.0,
                apcer * 100.0
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use faceline_models::evaluation::Presentation;
    use faceline_shared::liveness::SecurityLevel;

    use super::*;

    fn measured(source: &str, attack: bool, log_odds: f32, is_tight: bool) -> Measured {
        let presentation = Presentation {
            path: PathBuf::new(),
            attack: attack.then(|| "print".to_owned()),
            subject: log_odds.to_string(),
            source: source.to_owned(),
        };
        Measured {
            presentation,
            findings: Vec::new(),
            faces: 1,
            log_odds: vec![log_odds],
            crop_fit: Some(1.0),
            is_tight,
        }
    }

    const MAP: ScoreMap = ScoreMap { scale: 1.0, offset: 0.0, low: -1.0, medium: 0.0, high: 1.0 };

    #[test]
    fn a_source_does_not_judge_itself() {
        // Sources a and b agree. All log-odds of c are six higher: its own fit would not reject its living people at any level.
        let source = |name: &str, shift: f32| {
            (0u8..20)
                .flat_map(move |step| {
                    let x = f32::from(step) / 5.0 + shift;
                    [measured(name, false, x + 1.0, false), measured(name, true, x - 5.0, false)]
                })
                .collect::<Vec<_>>()
        };
        let all: Vec<Measured> =
            source("a", 0.0).into_iter().chain(source("b", 0.0)).chain(source("c", -6.0)).collect();
        let found = leave_one_out(&all, &MAP);
        let bpcer = |one: &LeftOut| one.errors.bona_fide.up_to(SecurityLevel::Medium.threshold());
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].source.as_str(), found[2].source.as_str()), ("a", "c"));
        assert!(bpcer(&found[2]) > 0.9, "{}", bpcer(&found[2]));
        assert!(found[0].fit.scale > 0.0 && bpcer(&found[0]) < 0.5);
    }

    #[test]
    fn tight_crops_neither_fit_nor_judge() {
        let all = [
            measured("a", false, 3.0, false),
            measured("a", true, -3.0, false),
            measured("b", false, 3.0, true),
            measured("b", true, -3.0, true),
        ];
        assert!(leave_one_out(&all, &MAP).is_empty(), "only one source has full frames");
    }
}
