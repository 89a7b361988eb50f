"""Every metric of the product, in one place. `docs/metrics.md` describes each; a test keeps it so.

One `Metrics` is made per application and passed down, so that two applications in one process do not share counts.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """The counters, gauges and histograms that the stages write."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.deliveries = Counter(
            "remediator_deliveries", "Webhook requests by answer", ["status"], registry=self.registry
        )
        self.refused = Counter(
            "remediator_refused_deliveries",
            "Webhook requests answered 503, by reason; the sender tries them again",
            ["reason"],
            registry=self.registry,
        )
        self.under_pressure = Gauge(
            "remediator_under_pressure",
            "1 while no delivery is taken for this reason, else 0",
            ["reason"],
            registry=self.registry,
        )
        self.connections = Gauge("remediator_connections", "Connections that are open", registry=self.registry)
        self.api_refused = Counter(
            "remediator_api_refused",
            "Calls of the API by somebody who may not make them, or not now, by reason",
            ["reason"],
            registry=self.registry,
        )
        self.alerts = Counter(
            "remediator_alerts",
            "Alerts of accepted deliveries, by what was made of them",
            ["ruling"],
            registry=self.registry,
        )
        self.accept_seconds = Histogram(
            "remediator_accept_seconds",
            "From a request's last byte to its durable answer",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.truncated = Counter(
            "remediator_truncated_alerts", "Alerts that a sender left out of its deliveries", registry=self.registry
        )
        self.runs_started = Counter(
            "remediator_runs_started", "Runs created, by rule", ["rule"], registry=self.registry
        )
        self.runs_ended = Counter(
            "remediator_runs_ended", "Runs ended, by rule and outcome", ["rule", "outcome"], registry=self.registry
        )
        self.runs_active = Gauge("remediator_runs_active", "Runs being worked on now", registry=self.registry)
        self.runs_waiting = Gauge(
            "remediator_runs_waiting", "Runs that are due and wait for a free worker", registry=self.registry
        )
        self.runs_waiting_seconds = Gauge(
            "remediator_runs_waiting_seconds",
            "For how long the oldest run that is due has waited for a free worker",
            registry=self.registry,
        )
        self.runs_waiting_to_change = Gauge(
            "remediator_runs_waiting_to_change",
            "Runs whose plan may begin as soon as one of `pipeline.changes_at_once` has ended",
            registry=self.registry,
        )
        self.clock_ahead_seconds = Gauge(
            "remediator_clock_ahead_seconds",
            "By how much the machine's clock is ahead of the time that is stored and told: it was set since the start",
            registry=self.registry,
        )
        self.step_seconds = Histogram(
            "remediator_step_seconds",
            "How long steps took, by action and status",
            ["action", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.steps_unknown = Counter(
            "remediator_steps_unknown",
            "Steps that may or may not have been done: the answer was lost, or the process was, by action",
            ["action"],
            registry=self.registry,
        )
        self.steps_not_begun = Counter(
            "remediator_steps_not_begun",
            "Steps that were recorded as started and surely not done, as too much time had passed, by action",
            ["action"],
            registry=self.registry,
        )
        self.breakers_open = Gauge(
            "remediator_breakers_open",
            "Systems that do not answer and are left alone (`remediator breaker list` names them), by kind",
            ["family"],
            registry=self.registry,
        )
        self.calls_waiting = Gauge(
            "remediator_calls_waiting",
            "Calls that wait for a place among those to their system (`systems.calls_at_once`), by its kind",
            ["family"],
            registry=self.registry,
        )
        self.calls_not_made = Counter(
            "remediator_calls_not_made",
            "Calls that were not made, by kind of system and reason",
            ["family", "reason"],
            registry=self.registry,
        )
        self.held = Counter(
            "remediator_plans_held", "Plans held or refused, by guard's reason", ["reason"], registry=self.registry
        )
        self.escalations = Counter(
            "remediator_escalations",
            "Problems that lasted so long that a level of escalation was told, by its name",
            ["level"],
            registry=self.registry,
        )
        self.decisions = Counter(
            "remediator_decisions",
            "People's words on plans, by what became of them",
            ["answer"],
            registry=self.registry,
        )
        self.slack_requests = Counter(
            "remediator_slack_requests",
            "What Slack has sent: presses and modals (`interaction`) and slash commands, by the status of the answer",
            ["what", "status"],
            registry=self.registry,
        )
        self.audit_sealed = Gauge(
            "remediator_audit_sealed",
            "The place of the newest sealed entry of the audit journal, as this process has seen it last",
            registry=self.registry,
        )
        self.audit_head = Gauge(
            "remediator_audit_head",
            "The first twelve hexadecimal digits of the seal there, as a number",
            registry=self.registry,
        )
        self.audit_unsealed = Gauge(
            "remediator_audit_unsealed",
            "Entries of the audit journal that are not sealed yet, where this process seals",
            registry=self.registry,
        )
        self.posts = Counter("remediator_posts", "Chat messages, by result", ["result"], registry=self.registry)
        self.slack_socket = Gauge(
            "remediator_slack_socket",
            "1 while Socket Mode has a connection to Slack, 0 while it has none, and where it is not used",
            registry=self.registry,
        )
        self.outbox_waiting = Gauge(
            "remediator_outbox_waiting", "Chat messages that people wait for", registry=self.registry
        )
        self.outbox_minor = Gauge(
            "remediator_outbox_minor",
            "Chat messages that wait behind those: of runs that have only waited since a storm",
            registry=self.registry,
        )
        self.outbox_age_seconds = Gauge(
            "remediator_outbox_age_seconds", "Age of the oldest of `remediator_outbox_waiting`", registry=self.registry
        )
        self.store_commits = Counter("remediator_store_commits", "Commits of the store", registry=self.registry)
        self.store_writes = Counter(
            "remediator_store_writes", "Writes that shared those commits", registry=self.registry
        )
        self.store_bytes = Gauge(
            "remediator_store_bytes",
            "What the store takes on disk, with what is free in it for new runs; looked at every minute",
            registry=self.registry,
        )
        self.runs_forgotten = Counter(
            "remediator_runs_forgotten",
            "Runs deleted because they were old (`store.keep_runs`) or too many (`store.keep_runs_at_most`)",
            registry=self.registry,
        )
        self.rules_loaded = Gauge("remediator_rules_loaded", "Rules in the book", registry=self.registry)
        self.rules_reloads = Counter(
            "remediator_rules_reloads",
            "Tries to put the rule files in force again, by result",
            ["result"],
            registry=self.registry,
        )
        self.rules_reload_successful = Gauge(
            "remediator_rules_last_reload_successful",
            "1 while the rule files are in force as they are, 0 while the rules from before are instead",
            registry=self.registry,
        )
        self.rules_reload_timestamp = Gauge(
            "remediator_rules_last_reload_success_timestamp_seconds",
            "When the rule files were last read and found good, in Unix time",
            registry=self.registry,
        )
        self.heartbeat_last = Gauge(
            "remediator_heartbeat_last_seconds",
            "When the heartbeat was heard last, in Unix time; 0 if it never was, or none is expected",
            registry=self.registry,
        )
        self.heartbeat_late = Gauge(
            "remediator_heartbeat_late",
            "1 while the heartbeat has not been heard for longer than `heartbeat.silence`, else 0",
            registry=self.registry,
        )
        self.replicas = Gauge(
            "remediator_replicas", "Processes that work on the store, this one included", registry=self.registry
        )
        self.leader = Gauge(
            "remediator_leader",
            "1 while this process leads: it posts to chat and tidies, else 0",
            registry=self.registry,
        )
        self.replicas_buried = Counter(
            "remediator_replicas_buried", "Processes that this one has found dead", registry=self.registry
        )
        self.runs_freed = Counter(
            "remediator_runs_freed", "Runs that this process has freed from dead owners", registry=self.registry
        )
        self.ready = Gauge("remediator_ready", "1 while the service can accept alerts, else 0", registry=self.registry)

    def exposition(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self.registry)
