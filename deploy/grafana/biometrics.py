"""The biometrics' view: verdicts by reason, distributions of quality, score and liveness, drift."""

from panels import MODEL, OPERATION, board, cells, labels, lines

VERDICTS = 'operation=~"$operation"'
# Restricts a query to the workers that use the selected model.
OF_MODEL = 'and on (job, instance) faceline_model_info{name=~"$model"}'


def histogram(metric, selector=""):
    return f"sum by (le) (increase({metric}_bucket{{{selector}}}[$__rate_interval]) {OF_MODEL})"


def quantiles(metric, selector=""):
    return [
        (f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket{{{selector}}}[$__rate_interval]) {OF_MODEL}))", name)
        for share, name in ((0.1, "10th percentile"), (0.5, "median"), (0.9, "90th percentile"))
    ]


def above(metric, selector, bound):
    """The share of values above a bound, which must be the bound of a bucket. Prometheus 3 stores `le="2500"` as `2500.0`, 2 as it comes."""
    return f"""1 - sum(rate({metric}_bucket{{{selector}, le=~"{bound}([.]0)?"}}[$__rate_interval]) {OF_MODEL})
        / sum(rate({metric}_count{{{selector}}}[$__rate_interval]) {OF_MODEL})"""


LIVENESS = "faceline_worker_liveness_score"
SCORE = "faceline_worker_match_score"


def biometrics():
    return board(
        "biometrics",
        "biometrics",
        "Results of the models: verdicts by reason, distributions of quality, score and liveness, drift.",
        [OPERATION, MODEL],
        [
            (
                "Verdicts",
                [
                    lines("Verdicts", "ops", "accepted, rejected, or not judged because the picture does not allow it.",
                          (f"sum by (verdict) (rate(faceline_biometric_verdicts_total{{{VERDICTS}}}[$__rate_interval]))",
                           "{{verdict}}"), stacked=True),
                    lines("Verdicts by reason", "ops", "Without those that are accepted.",
                          (f"""sum by (verdict, reason) (rate(faceline_biometric_verdicts_total{{{VERDICTS},
                           verdict!="accepted"}}[$__rate_interval]))""", "{{verdict}}: {{reason}}"), stacked=True),
                    lines("Share that is accepted, over an hour", "percentunit", "Of those that were judged, by operation.",
                          (f"faceline:accepted:ratio_rate1h{{{VERDICTS}}}", "{{operation}}"), top=1),
                ],
            ),
            (
                "Distributions",
                [
                    cells("Quality", "none", "Of the faces that were coded.", histogram("faceline_worker_face_quality")),
                    cells("Score", "none", "Of comparisons; 3,000 is a false acceptance rate of 1 in 1,000.", histogram(SCORE)),
                    cells("Liveness of pictures", "none",
                          "From 0 to 1. The thresholds of LOW, MEDIUM and HIGH are 0.25, 0.5 and 0.75 under every calibration.",
                          histogram(LIVENESS, 'media="picture"')),
                    lines("Quality, percentiles", "none", "Of the faces that were coded.",
                          *quantiles("faceline_worker_face_quality")),
                    lines("Score, percentiles", "none", "Of comparisons.", *quantiles(SCORE)),
                    lines("Liveness of pictures, percentiles", "none", "Of one model, or of all.",
                          *quantiles(LIVENESS, 'media="picture"'), top=1),
                    lines("Liveness against the calibration", "percentunit",
                          "The share of pictures above the thresholds. The calibration promises a rate of errors for each; if callers are "
                          "the same people and these shares move, the calibration does not fit what the cameras bring.",
                          *((above(LIVENESS, 'media="picture"', bound), f"above {bound} ({level})")
                            for level, bound in (("LOW", "0.25"), ("MEDIUM", "0.5"), ("HIGH", "0.75"))), top=1),
                    lines("Scores against the calibration", "percentunit",
                          "The share of comparisons (match) above the scores of three false acceptance rates.",
                          *((above(SCORE, 'kind="match"', bound), f"above {bound} (FAR {rate})")
                            for bound, rate in (("2500", "1 %"), ("3000", "0.1 %"), ("4000", "0.001 %"))), top=1),
                    cells("Liveness of clips", "none", "Of videos.", histogram(LIVENESS, 'media="clip"')),
                    lines("Findings", "ops", "Failed checks of pictures, which prevent a judgement or make it doubtful.",
                          (f"sum by (finding) (rate(faceline_worker_findings_total[$__rate_interval]) {OF_MODEL})", "{{finding}}"),
                          width=24),
                ],
            ),
            (
                "Drift and models",
                [
                    lines("Distance from the same hour a week ago", "none",
                          "Kolmogorov-Smirnov distance of quality, score and liveness; 0 is the same distribution, 1 shares nothing.",
                          ("faceline:distribution:ks_distance", "{{distribution}} {{kind}}{{media}}"),
                          ("faceline:distribution:ks_bound", "{{distribution}} {{kind}}{{media}}: by chance up to"), width=12),
                    labels("Models in use", "By worker and role.",
                           'faceline_model_info{name=~"$model"}'),
                    lines("Thresholds of liveness by calibration", "none", "One line per level; several lines of a level mean that workers have different calibrations.",
                          ("min by (calibration, profile, level) (faceline_worker_liveness_threshold_llr)",
                           "{{calibration}} {{profile}} {{level}}"), width=12),
                    lines("Builds", "short", "Instances by program and version.",
                          ("count by (program, version) (faceline_build_info)", "{{program}} {{version}}"), width=12),
                ],
            ),
        ],
    )
