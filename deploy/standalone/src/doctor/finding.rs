//! Findings of checks, and their output.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde::Serialize;
use tokio::task::JoinError;

/// Exit codes of the command.
const EXIT_WARNINGS: u8 = 1;
const EXIT_PROBLEMS: u8 = 2;

/// Severity of a finding.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Grade {
    Ok,
    /// It works, but not permanently or not for all callers.
    Warning,
    /// It does not work.
    Problem,
}

/// The finding of one check.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    /// Name of the check.
    pub(super) check: &'static str,
    pub(super) grade: Grade,
    /// The observation. It holds no secret.
    pub(super) found: String,
    /// An instruction for the operator; `None` if nothing is wrong.
    pub(super) remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, grade: Grade::Ok, found: found.into(), remedy: None }
    }

    pub(super) fn warning(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, grade: Grade::Warning, found: found.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn problem(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, grade: Grade::Problem, found: found.into(), remedy: Some(remedy.into()) }
    }

    /// Makes a problem from an error of gateways and workers. Many of their messages end with an instruction after a
    /// semicolon; `remedy` is for the others.
    pub(super) fn error(check: &'static str, error: &impl ToString, remedy: &str) -> Self {
        let text = error.to_string();
        let (found, remedy) = text.rsplit_once("; ").unwrap_or((&text, remedy));
        Self::problem(check, found, remedy)
    }

    /// The same finding, but a warning at most.
    pub(super) fn into_warning(self) -> Self {
        Self { grade: self.grade.min(Grade::Warning), ..self }
    }

    pub(super) fn panicked(panic: &JoinError) -> Self {
        Self::problem("doctor", format!("a check failed: {panic}"), "report this as an error of Faceline")
    }
}

/// All findings.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    findings: Vec<Finding>,
    ok: usize,
    warnings: usize,
    problems: usize,
}

impl Report {
    pub(super) fn new(findings: Vec<Finding>) -> Self {
        let count = |grade| findings.iter().filter(|finding| finding.grade == grade).count();
        let (ok, warnings, problems) = (count(Grade::Ok), count(Grade::Warning), count(Grade::Problem));
        Self { findings, ok, warnings, problems }
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        match (self.problems, self.warnings) {
            (0, 0) => ExitCode::SUCCESS,
            (0, _) => ExitCode::from(EXIT_WARNINGS),
            _ => ExitCode::from(EXIT_PROBLEMS),
        }
    }

    pub(super) fn json(&self) -> String {
        let json = serde_json::to_string_pretty(self).unwrap_or_default();
        format!("{json}\n")
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for Finding { check, grade, found, remedy } in &self.findings {
            let grade = match grade {
                Grade::Ok => "ok",
                Grade::Warning => "WARNING",
                Grade::Problem => "PROBLEM",
            };
            let _ = writeln!(text, "{grade:<8} {check:<18} {found}");
            if let Some(remedy) = remedy {
                let _ = writeln!(text, "{:<8} {:<18} what to do: {remedy}", "", "");
            }
        }
        let Self { ok, warnings, problems, .. } = self;
        let _ = writeln!(text, "{ok} ok, {warnings} warnings, {problems} problems");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_split_into_what_was_found_and_what_to_do() {
        let split = Finding::error("keys", &"key file a can be read by others; chmod 600 it", "?");
        assert_eq!(
            (&*split.found, split.remedy.as_deref()),
            ("key file a can be read by others", Some("chmod 600 it"))
        );
        let whole = Finding::error("keys", &"it is gone", "copy it here");
        assert_eq!((&*whole.found, whole.remedy.as_deref()), ("it is gone", Some("copy it here")));
    }

    #[test]
    fn the_worst_finding_decides_the_exit_code_and_each_says_what_to_do() {
        let code = |findings: &[Finding]| Report::new(findings.to_vec()).exit_code();
        let (ok, warning, problem) =
            (Finding::ok("a", "1"), Finding::warning("b", "2", "do 2"), Finding::problem("c", "3", "do 3"));
        assert_eq!(code(std::slice::from_ref(&ok)), ExitCode::SUCCESS);
        assert_eq!(code(&[ok.clone(), warning.clone()]), ExitCode::from(1));
        assert_eq!(code(&[problem.clone(), warning.clone()]), ExitCode::from(2));
        assert_eq!(code(&[problem.clone().into_warning()]), ExitCode::from(1));
        let report = Report::new(vec![ok, warning, problem]);
        assert!(
            report.text().contains("what to do: do 3")
                && report.text().ends_with("1 ok, 1 warnings, 1 problems\n")
        );
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!((&json["findings"][1]["grade"], &json["problems"]), (&"warning".into(), &1.into()));
    }
}
