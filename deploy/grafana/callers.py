"""The callers' view: objectives, and requests, errors and durations by operation and client."""

from panels import CLIENT, OPERATION, board, cells, lines, number

HTTP = 'operation=~"$operation"'
CLIENTS = 'client=~"$client", operation=~"$operation"'
BUDGET = [(None, "red"), (0, "orange"), (0.25, "green")]


def quantile(share, metric, labels, by):
    return f"histogram_quantile({share}, sum by (le, {by}) (rate({metric}_bucket{{{labels}}}[$__rate_interval])))"


def budget(kind, objective):
    return f"""1 - faceline:requests_{kind}:ratio_rate3d
        / on () group_left faceline:error_budget:ratio{{objective="{objective}"}}"""


def burn(kind, objective):
    return [
        (
            f"""faceline:requests_{kind}:ratio_rate{window}
            / on () group_left faceline:error_budget:ratio{{objective="{objective}"}}""",
            window,
        )
        for window in ("5m", "1h", "6h", "3d")
    ]


def callers():
    return board(
        "callers",
        "callers",
        "For callers: objectives, and requests, errors and durations by operation and client.",
        [CLIENT, OPERATION],
        [
            (
                "Objectives",
                [
                    number("Error budget left: availability", "percentunit",
                           "Remaining share of the requests that may fail in three days under the objective.",
                           budget("failed", "availability"), *BUDGET),
                    number("Error budget left: latency", "percentunit",
                           "Remaining share of the answers that may take more than 2.5 s in three days under the objective.",
                           budget("slow", "latency"), *BUDGET),
                    lines("Burn rate: availability", "none",
                          "1 uses up the budget exactly. Alerts: 14.4 over an hour, 6 over six hours, 3 over a day, 1 over three.",
                          *burn("failed", "availability")),
                    lines("Burn rate: latency", "none", "As for availability.", *burn("slow", "latency")),
                ],
            ),
            (
                "Operations",
                [
                    lines("Requests", "reqps", "Requests by operation, refused ones included.",
                          (f"sum by (operation) (rate(faceline_http_requests_total{{{HTTP}}}[$__rate_interval]))",
                           "{{operation}}"), stacked=True),
                    lines("Errors by status", "reqps",
                          "4xx: the caller. 429: a limit or load. 499: the caller left. 5xx: the service.",
                          (f"""sum by (status) (rate(faceline_http_requests_total{{{HTTP}, status=~"4..|5.."}}
                           [$__rate_interval]))""", "{{status}}"), stacked=True),
                    lines("Share of errors by operation", "percentunit", "5xx and 429.",
                          (f"""(sum by (operation) (rate(faceline_http_requests_total{{{HTTP}, status=~"429|5.."}}
                           [$__rate_interval]))
                           or 0 * sum by (operation) (rate(faceline_http_requests_total{{{HTTP}}}[$__rate_interval])))
                           / sum by (operation) (rate(faceline_http_requests_total{{{HTTP}}}[$__rate_interval]))""",
                           "{{operation}}")),
                    lines("Duration, median", "s", "From the headers of a request to its answer.",
                          (quantile(0.5, "faceline_http_request_seconds", HTTP, "operation"), "{{operation}}")),
                    lines("Duration, 99th percentile", "s", "From the headers of a request to its answer.",
                          (quantile(0.99, "faceline_http_request_seconds", HTTP, "operation"), "{{operation}}")),
                    cells("Durations", "s", "How many requests took how long.",
                          f"sum by (le) (increase(faceline_http_request_seconds_bucket{{{HTTP}}}[$__rate_interval]))"),
                ],
            ),
            (
                "Clients",
                [
                    lines("Requests by client", "reqps", "The clients of the accounts file.",
                          (f"sum by (client) (rate(faceline_client_requests_total{{{CLIENTS}}}[$__rate_interval]))",
                           "{{client}}"), stacked=True),
                    lines("Requests that were not served, by client and outcome", "reqps",
                          "rejected: the caller's error. limited: a limit or load. failed: the service. left: the caller left.",
                          (f"""sum by (client, outcome) (rate(faceline_client_requests_total{{{CLIENTS}, outcome!="ok"}}
                           [$__rate_interval]))""", "{{client}} {{outcome}}")),
                    lines("Duration by client, 95th percentile", "s", "All operations of a client together.",
                          (quantile(0.95, "faceline_client_request_seconds", 'client=~"$client"', "client"), "{{client}}")),
                    lines("Largest share of a bound that a client uses", "percentunit",
                          "Of its bounds on sessions, faces and bytes. FacelineClientNearBound fires above 0.9; the gateway's log names the client.",
                          ("max by (bound) (faceline_client_bound_used_ratio)", "{{bound}}"), top=1),
                    lines("Refusals by cause", "reqps",
                          "Load: wait, in_flight, bytes, queue_full, no_worker, deadline_queued. Outages: broker_…, store_…. "
                          "The caller's own: client_…, address_rate, failed_logins.",
                          (f"sum by (cause) (rate(faceline_http_refusals_total{{{HTTP}}}[$__rate_interval]))", "{{cause}}"),
                          stacked=True),
                    lines("Rates and quotas", "reqps", "Requests by the limiter that decided and its outcome.",
                          ("sum by (limiter, outcome) (rate(faceline_gateway_rate_checks_total[$__rate_interval]))",
                           "{{limiter}} {{outcome}}")),
                ],
            ),
        ],
    )
