//! The project's targets for measured figures, and the check of a run against them.

use std::fmt;

use faceline_loadtest::load::MIN_GOODPUT;

/// Names of the pictures that have targets.
pub(super) const SMALL: &str = "250 x 250";
pub(super) const LARGE: &str = "12 megapixels";

/// CPU time of an optimised gateway for a refusal, in milliseconds: a twentieth of the 12 ms that a job takes with a
/// picture of 250 x 250 pixels.
const REFUSAL_MAX_CPU_MS: f64 = 0.6;

/// A measured figure that has a target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Figure {
    /// CPU time of a picture in the bare pipeline over that of a job in the whole service.
    BareOverService,
    /// CPU time of a picture in the bare pipeline over that of one pass of each network.
    PipelineOverPasses,
    /// Growth of a program's resident memory from the first reading to the last, in percent.
    MemoryGrowth,
    /// Jobs a second of Faceline over those of mosec.
    OverMosec,
    /// Jobs a second of Faceline over those of FastAPI, Celery and RabbitMQ.
    OverCelery,
    /// Jobs a second at three times the load that the service can carry, over those at its peak.
    Goodput,
    /// CPU time of a gateway for a refusal at that load, in milliseconds.
    RefusalCpu,
}

/// The bound that a figure must meet.
#[derive(Clone, Copy, Debug)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

/// The target of a figure for one of the pictures.
#[derive(Clone, Copy, Debug)]
struct Target {
    figure: Figure,
    picture: &'static str,
    bound: Bound,
}

/// The targets that the project has set itself. `docs/performance.md` lists them with their benchmarks.
const TARGETS: &[Target] = &[
    Target::new(Figure::BareOverService, SMALL, Bound::AtLeast(0.85)),
    Target::new(Figure::BareOverService, LARGE, Bound::AtLeast(0.9)),
    Target::new(Figure::PipelineOverPasses, SMALL, Bound::AtMost(1.45)),
    Target::new(Figure::MemoryGrowth, SMALL, Bound::Below(2.0)),
    Target::new(Figure::OverMosec, SMALL, Bound::AtLeast(1.9)),
    Target::new(Figure::OverMosec, LARGE, Bound::AtLeast(2.4)),
    Target::new(Figure::OverCelery, SMALL, Bound::AtLeast(2.7)),
    Target::new(Figure::OverCelery, LARGE, Bound::AtLeast(3.0)),
    Target::new(Figure::Goodput, SMALL, Bound::AtLeast(MIN_GOODPUT)),
    Target::new(Figure::RefusalCpu, SMALL, Bound::AtMost(REFUSAL_MAX_CPU_MS)),
];

/// Compares figures with their targets, and keeps those that miss theirs.
#[derive(Debug, Default)]
pub(super) struct TargetCheck {
    missed: Vec<String>,
}

impl Figure {
    fn name(self) -> &'static str {
        match self {
            Self::BareOverService => "bare pipeline over service in CPU time",
            Self::PipelineOverPasses => "bare pipeline over one pass of each network in CPU time",
            Self::MemoryGrowth => "growth of resident memory",
            Self::OverMosec => "Faceline over mosec in jobs/s",
            Self::OverCelery => "Faceline over FastAPI, Celery and RabbitMQ in jobs/s",
            Self::Goodput => "goodput over peak",
            Self::RefusalCpu => "CPU time of a refusal in the gateway",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::MemoryGrowth => " %",
            Self::RefusalCpu => " ms",
            Self::BareOverService
            | Self::PipelineOverPasses
            | Self::OverMosec
            | Self::OverCelery
            | Self::Goodput => "",
        }
    }
}

impl Target {
    const fn new(figure: Figure, picture: &'static str, bound: Bound) -> Self {
        Self { figure, picture, bound }
    }

    /// A figure that is not a number meets no target.
    fn is_met(&self, measured: f64) -> bool {
        match self.bound {
            Bound::AtLeast(bound) => measured >= bound,
            Bound::AtMost(bound) => measured <= bound,
            Bound::Below(bound) => measured < bound,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (relation, bound) = match self.bound {
            Bound::AtLeast(bound) => ("at least", bound),
            Bound::AtMost(bound) => ("at most", bound),
            Bound::Below(bound) => ("below", bound),
        };
        write!(formatter, "{relation} {bound}{}", self.figure.unit())
    }
}

impl TargetCheck {
    /// Compares a figure that was measured with `picture` with its target. `subject` names the measured service or
    /// program. Returns a text to print after the figure, which is empty if there is no target for this picture.
    pub(super) fn judge(&mut self, figure: Figure, picture: &str, subject: &str, measured: f64) -> String {
        let of_figure = |target: &&Target| target.figure == figure && target.picture == picture;
        let Some(target) = TARGETS.iter().find(of_figure) else { return String::new() };
        if target.is_met(measured) {
            return format!("; target: {target}");
        }
        let (name, unit) = (figure.name(), figure.unit());
        self.missed.push(format!("{name} ({subject}, {picture}): {measured:.3}{unit}, target: {target}"));
        format!("; target: {target}, missed")
    }

    /// Records a miss that is not of a figure, such as errors of requests.
    pub(super) fn miss(&mut self, what: String) {
        self.missed.push(what);
    }

    /// Ends a run.
    ///
    /// # Errors
    /// A figure missed its target; the error lists all that did.
    pub(super) fn conclude(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.missed.is_empty(),
            "figures miss their targets:\n  {}",
            self.missed.join("\n  ")
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = include_str!("../../../docs/performance.md");

    impl Figure {
        /// The benchmark that measures it.
        fn benchmark(self) -> &'static str {
            match self {
                Self::BareOverService => "throughput",
                Self::PipelineOverPasses => "pipeline",
                Self::MemoryGrowth => "memory",
                Self::OverMosec | Self::OverCelery => "peers",
                Self::Goodput | Self::RefusalCpu => "overload",
            }
        }
    }

    #[test]
    fn a_figure_that_misses_its_target_is_listed_with_it() {
        let mut targets = TargetCheck::default();
        assert_eq!(
            targets.judge(Figure::BareOverService, SMALL, "standalone", 0.85),
            "; target: at least 0.85"
        );
        assert!(targets.conclude().is_ok());
        assert_eq!(
            targets.judge(Figure::BareOverService, LARGE, "standalone", 0.85),
            "; target: at least 0.9, missed"
        );
        assert_eq!(
            targets.judge(Figure::MemoryGrowth, SMALL, "faceline-worker", 2.0),
            "; target: below 2 %, missed"
        );
        assert_eq!(
            targets.conclude().unwrap_err().to_string(),
            "figures miss their targets:\n  \
             bare pipeline over service in CPU time (standalone, 12 megapixels): 0.850, target: at least 0.9\n  \
             growth of resident memory (faceline-worker, 250 x 250): 2.000 %, target: below 2 %"
        );
    }

    #[test]
    fn what_has_no_target_is_not_judged() {
        let mut targets = TargetCheck::default();
        assert_eq!(targets.judge(Figure::PipelineOverPasses, LARGE, "", 9.0), "");
        assert!(targets.conclude().is_ok());
    }

    #[test]
    fn what_was_not_measured_meets_no_target() {
        for target in TARGETS {
            assert!(!target.is_met(f64::NAN), "{target:?}");
        }
    }

    #[test]
    fn a_figure_has_one_target_for_each_picture_and_the_document_has_it() {
        for (index, target) in TARGETS.iter().enumerate() {
            let is_same = |other: &Target| other.figure == target.figure && other.picture == target.picture;
            assert_eq!(TARGETS.iter().position(is_same), Some(index), "{target:?}");
            let row = format!("| `{}` |", target.figure.benchmark());
            let row = DOCUMENT.lines().find(|line| line.starts_with(&row)).expect("a row of the benchmark");
            let text = target.to_string();
            let is_whole = |(at, found): (usize, &str)| {
                !row[at + found.len()..].starts_with(|next: char| next.is_ascii_digit() || next == '.')
            };
            assert!(row.match_indices(&text).any(is_whole), "{text}: {row}");
        }
    }
}
