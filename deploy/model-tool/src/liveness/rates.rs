//! Error rates as text.

use faceline_models::evaluation::{AttackErrors, ErrorRate, Interval, Responses};

/// The error rate of the judged presentations in percent, with its interval. Without presentations there is no rate.
pub(super) fn rate_of(responses: &Responses, is_error: impl Fn(f32) -> bool) -> String {
    match responses.rate(is_error) {
        Some(ErrorRate { share, interval }) => percent(share, interval),
        None if responses.presentations() == 0 => "no presentations".to_owned(),
        None => "none judged".to_owned(),
    }
}

/// The rate of the worst species above a threshold, with its interval and its name.
pub(super) fn worst_of(errors: &AttackErrors, threshold: f32) -> String {
    match errors.worst(threshold) {
        Some((name, _)) => {
            format!("{} ({name})", rate_of(&errors.attacks[name], |score| score > threshold))
        }
        None if errors.attacks.is_empty() => "no presentations".to_owned(),
        None => "none judged".to_owned(),
    }
}

/// The share of presentations without a response.
pub(super) fn non_response(responses: &Responses) -> String {
    responses.non_response_rate().map_or("no presentations".to_owned(), |share| percent(share, None))
}

/// A rate in percent with its interval.
pub(super) fn percent(share: f64, interval: Option<Interval>) -> String {
    let bounds = interval
        .map_or(String::new(), |ends| format!(" ({:.1} to {:.1})", ends.low * 100.0, ends.high * 100.0));
    format!("{:.1} %{bounds}", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_without_presentations_has_no_rate() {
        let mut errors = AttackErrors::default();
        assert_eq!(rate_of(&errors.bona_fide, |_| true), "no presentations");
        assert_eq!(worst_of(&errors, 0.5), "no presentations");
        assert_eq!(non_response(&errors.bona_fide), "no presentations");
        errors.add(None, "a", None);
        errors.add(Some("print"), "a", None);
        assert_eq!(
            (rate_of(&errors.bona_fide, |_| true), worst_of(&errors, 0.5)),
            ("none judged".into(), "none judged".into())
        );
        assert_eq!(non_response(&errors.bona_fide), "100.0 %");
        for subject in 0..20 {
            errors.add(None, &subject.to_string(), Some(1.0));
        }
        assert_eq!(rate_of(&errors.bona_fide, |score| score <= 0.5), "0.0 % (0.0 to 16.8)");
    }
}
