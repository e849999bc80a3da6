"""The replay view: uploads, judgements, callbacks."""

from panels import board, lines

RATE = "[$__rate_interval]"


def counted(metric, by, legend):
    return (f"sum by ({by}) (rate({metric}{RATE}))", legend)


def seconds(metric):
    return [
        (f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket{RATE})))", name)
        for share, name in ((0.5, "median"), (0.95, "95th percentile"))
    ]


def replays():
    return board(
        "replays",
        "replays",
        "Videos that devices upload: uploads, judgements, callbacks.",
        [],
        [
            (
                "Uploads",
                [
                    lines("Uploads by outcome", "ops", "accepted, repeated, caller_left, or the cause of a refusal.",
                          counted("faceline_replay_uploads_total", "outcome", "{{outcome}}"), stacked=True),
                    lines("Uploads in progress", "short", "Of all gateways.",
                          ("sum(faceline_replay_uploads_in_progress)", "uploads")),
                    lines("Bytes of media", "Bps", "Received by uploads.",
                          (f"sum(rate(faceline_replay_upload_bytes_total{RATE}))", "media")),
                ],
            ),
            (
                "Judgements",
                [
                    lines("Replays that ended, by status", "ops", "error ones have no judgement; timeout ones no upload.",
                          counted("faceline_replays_ended_total", "status", "{{status}}"), stacked=True),
                    lines("Replays that ended, by reason", "ops", "The reason for the statuses SPOOF, FAILED and ERROR.",
                          counted("faceline_replays_ended_total", "status, reason", "{{status}}: {{reason}}")),
                    lines("Time from upload to end", "s", "replay.deadline is two minutes.", *seconds("faceline_replay_seconds")),
                    lines("Replays that wait", "short", "In the queue, and with workers.",
                          ('faceline:queue_ready:max{queue="faceline.jobs.replay"}', "waiting"),
                          ('sum(rabbitmq_detailed_queue_messages_unacked{queue="faceline.jobs.replay"})', "with workers")),
                    lines("Publishes of jobs by outcome", "ops", "A job that is lost is published once more.",
                          counted("faceline_replay_jobs_published_total", "outcome", "{{outcome}}")),
                    lines("Results that changed nothing", "ops", "Second ones, late ones, and those of ended sessions.",
                          (f"sum by (reason) (rate(faceline_replay_results_dropped_total{RATE})) or vector(0)", "{{reason}}")),
                    lines("Sessions", "ops", "Created and ended.",
                          (f"sum(rate(faceline_sessions_created_total{RATE}))", "created"),
                          counted("faceline_sessions_ended_total", "reason", "ended: {{reason}}")),
                ],
            ),
            (
                "Callbacks",
                [
                    lines("Attempts by outcome", "ops", "Gateways retry a callback until an attempt is delivered or they give it up.",
                          counted("faceline_callbacks_total", "outcome", "{{outcome}}"), stacked=True),
                    lines("Duration of an attempt", "s", "The receiver's time, mostly.", *seconds("faceline_callback_seconds")),
                    lines("Callbacks that wait, and dead ones", "short", "Rows of the outbox.",
                          ('max by (lane) (faceline_outbox_rows{lane=~"callbacks|dead_callbacks"})', "{{lane}}")),
                ],
            ),
        ],
    )
