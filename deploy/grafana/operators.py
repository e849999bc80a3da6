"""The operators' view: queue, workers, saturation, scaling, refusals, dependencies."""

from panels import OPERATION, board, lines, number

OK_ZERO = [(None, "green"), (1, "red")]
JOBS = "faceline.jobs.interactive"


def rate(metric, by, labels=""):
    return f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def seconds(share, metric, by=""):
    return f"histogram_quantile({share}, sum by (le{by}) (rate({metric}_bucket[$__rate_interval])))"


def operators():
    return board(
        "operators",
        "operators",
        "For operators: queue, workers, saturation, scaling, refusals, dependencies.",
        [OPERATION],
        [
            (
                "State",
                [
                    number("Firing alerts", "short", "Of the rules in deploy/prometheus.",
                           'count(ALERTS{alertname=~"Faceline.*", alertstate="firing"}) or vector(0)', *OK_ZERO),
                    number("Gateways", "short", "Targets that Prometheus reaches.",
                           'sum(up{job=~"faceline-gateway|faceline"})', (None, "red"), (1, "green")),
                    number("Workers", "short", "Targets that Prometheus reaches.",
                           'sum(up{job=~"faceline-worker|faceline"})', (None, "red"), (1, "green")),
                    number("Consumers of jobs", "short", "Of the queue of interactive jobs, whose callers wait.",
                           f'faceline:queue_consumers:max{{queue="{JOBS}"}}', (None, "red"), (1, "green")),
                    number("Conditions that are not met", "short", "Of all instances; degraded or unmet.",
                           'sum(faceline_condition{state!="met"})', *OK_ZERO),
                    number("Broker blocked or disconnected", "short", "Gateways and workers that cannot publish.",
                           "sum(faceline_broker_blocked) + sum(1 - faceline_broker_connected)", *OK_ZERO),
                ],
            ),
            (
                "Queue",
                [
                    lines("Age of the oldest job without an answer", "s", "Callers get no answer after jobs.deadline (30 s).",
                          ("faceline:oldest_job:seconds", "{{queue}}")),
                    lines("Messages that wait", "short", "Ready messages, as gateways count them: without unacknowledged ones.",
                          ("faceline:queue_ready:max", "{{queue}}")),
                    lines("Messages with workers", "short", "Unacknowledged messages, as RabbitMQ counts them.",
                          ('sum by (queue) (rabbitmq_detailed_queue_messages_unacked{queue=~"faceline.jobs.*"})', "{{queue}}")),
                    lines("Wait outside workers", "s", "From publish to answer, less the worker's time.",
                          (seconds(0.5, "faceline_gateway_wait_seconds"), "median"),
                          (seconds(0.99, "faceline_gateway_wait_seconds"), "99th percentile")),
                    lines("Publishes by outcome", "ops", "full, blocked: the broker refused the job. unknown: without a confirm; published again.",
                          (rate("faceline_gateway_published_total", "outcome"), "{{outcome}}"), stacked=True),
                    lines("Quarantine and dead letters", "short", "Jobs whose workers crashed, and dead letters.",
                          ('faceline:queue_ready:max{queue=~"faceline.jobs.quarantine|faceline.dead"}', "{{queue}}")),
                ],
            ),
            (
                "Workers",
                [
                    lines("Jobs in progress", "short", "Of all workers.", ("sum(faceline_worker_running_jobs)", "jobs")),
                    lines("Answers by outcome", "ops", "internal, blob_lost, poison, unsupported and other_keys are failures of the service.",
                          (rate("faceline_worker_answered_total", "outcome"), "{{outcome}}"), stacked=True),
                    lines("Time of a job by stage", "s", "Mean over all jobs.",
                          (f"""{rate("faceline_worker_stage_seconds_sum", "stage")}
                           / {rate("faceline_worker_stage_seconds_count", "stage")}""", "{{stage}}"), stacked=True),
                    lines("Work in progress for each consumer", "short", "Jobs that a consumer works on at a time, on average.",
                          ("faceline:worker_busy:ratio", "jobs")),
                    lines("Redelivered and returned jobs", "ops",
                          "Redelivered: a worker died or lost its connection. Returned: a worker could not read the job.",
                          (rate("faceline_worker_redelivered_total", "queue") + " or vector(0)", "redelivered from {{queue}}"),
                          ("sum(rate(faceline_worker_deferred_total[$__rate_interval]))", "returned")),
                    lines("Smallest age of a job, by gateway", "ms", "Far from 0: the clocks of a gateway and a worker differ.",
                          ("min by (gateway) (faceline_worker_smallest_job_age_milliseconds)", "{{gateway}}"), signed=True),
                ],
            ),
            (
                "Saturation and scaling",
                [
                    lines("Jobs in flight and their limit", "short", "Below limits.inflight_jobs for long: add workers.",
                          ("sum(faceline_gateway_inflight_jobs)", "in flight"), ("sum(faceline_gateway_limit_jobs)", "limit")),
                    lines("Demand and capacity", "ops",
                          "Jobs that were accepted or refused because of load, and the estimated capacity of the workers. Until all workers have been busy once, the estimate is a lower bound.",
                          ("sum(rate(faceline_gateway_published_total[$__rate_interval]))", "published"),
                          ("""sum(rate(faceline_http_refusals_total{cause=~"wait|in_flight|bytes|queue_full"}[$__rate_interval]))
                           or vector(0)""", "refused for load"),
                          ("sum(faceline_gateway_capacity_jobs_per_second)", "capacity")),
                    lines("Instances", "short", "Targets that Prometheus reaches.", ('sum by (job) (up{job=~"faceline.*"})', "{{job}}")),
                    lines("Memory of bodies", "bytes", "Reserved for requests in flight.",
                          ("sum by (instance) (faceline_gateway_inflight_bytes)", "{{instance}}")),
                    lines("Videos whose callers wait: limit and capacity", "short", "BWS only.",
                          ("sum(faceline_gateway_limit_videos)", "limit"),
                          ("sum(faceline_gateway_capacity_videos_per_second)", "capacity a second")),
                    lines("Retry reservations", "ops", "Refused callers with a reserved place for their retry, and those that retried.",
                          (rate("faceline_gateway_retry_reservations_total", "outcome"), "{{outcome}}")),
                ],
            ),
            (
                "Refusals",
                [
                    lines("Refusals by cause", "reqps",
                          "Load: wait, in_flight, bytes, queue_full, no_worker, deadline_queued. Outages: broker_…, store_….",
                          (rate("faceline_http_refusals_total", "cause", 'operation=~"$operation"'), "{{cause}}"), stacked=True),
                    lines("Share that is refused because of load", "percentunit", "FacelineCapacityBelowDemand fires above 2 % for ten minutes.",
                          ("faceline:refused_for_load:ratio_rate5m", "refused")),
                    lines("Connections", "short", "Open connections, and those that gateways close per second to accept new ones.",
                          ("sum(faceline_http_connections)", "open"),
                          ("sum(rate(faceline_http_connections_shed_total[$__rate_interval]))", "closed a second")),
                ],
            ),
            (
                "Stores and what waits for them",
                [
                    lines("Conditions that are not met", "short", "By condition and state, over all instances.",
                          ('sum by (condition, state) (faceline_condition{state!="met"})', "{{condition}} {{state}}")),
                    lines("Outbox", "short", "Rows, due or not, of all gateways.",
                          ("max by (lane) (faceline_outbox_rows)", "{{lane}}")),
                    lines("Outbox rows processed", "ops", "failed ones are tried again.",
                          (rate("faceline_outbox_rows_total", "lane, outcome"), "{{lane}} {{outcome}}")),
                    lines("Usage records that wait", "short", "For the session store, in files; and for the object store.",
                          ("sum(faceline_usage_deferred_records)", "for the store"),
                          ("max(faceline_usage_rows)", "for the object store")),
                    lines("Usage records by outcome", "ops", "lost must stay at 0.",
                          (rate("faceline_usage_records_total", "outcome"), "{{outcome}}")),
                    lines("Days until certificates expire", "d", "The first instance of each.",
                          ("(min by (job, certificate) (faceline_certificate_expiry_timestamp_seconds) - time()) / 86400",
                           "{{job}} {{certificate}}"), signed=True),
                ],
            ),
            (
                "RabbitMQ",
                [
                    lines("Memory", "bytes", "At the limit the node blocks publishers.",
                          ("sum by (instance) (rabbitmq_process_resident_memory_bytes)", "{{instance}}"),
                          ("sum by (instance) (rabbitmq_resident_memory_limit_bytes)", "limit of {{instance}}")),
                    lines("Free disk space", "bytes", "At the limit the node blocks publishers.",
                          ("sum by (instance) (rabbitmq_disk_space_available_bytes)", "{{instance}}"),
                          ("sum by (instance) (rabbitmq_disk_space_available_limit_bytes)", "limit of {{instance}}")),
                    lines("Connections and channels", "short", "Of each node.",
                          ("sum by (instance) (rabbitmq_connections)", "connections of {{instance}}"),
                          ("sum by (instance) (rabbitmq_channels)", "channels of {{instance}}")),
                ],
            ),
        ],
    )
