"""The settings of what comes in: the webhook, occurrences, the heartbeat, and when nothing new is taken."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from remediator.model.duration import Duration
from remediator.settings.sections.section import Secret, Section


class WebhookSettings(Section):
    """How Alertmanager reaches us."""

    tokens: tuple[Secret, ...] = ()
    """Bearer tokens that a sender may use; several, so that one can be replaced without a gap. With none, and no users,
    the webhook is open, and then only a loopback address may be listened on."""
    users: dict[str, Secret] = {}
    """Basic authentication: user names with their passwords."""
    max_body_mib: Annotated[int, Field(ge=1, le=1024)] = 64
    """The largest body taken, after decompression, in MiB. Alertmanager sends a group of any size as one body, so this
    is far above what a real group needs."""
    accept_timeout: Duration = timedelta(seconds=5)
    """How long a request waits for its alerts to be on disk before it is answered 503, so that the sender tries again;
    shorter than the 10 s that a sender waits at the least."""


class OccurrenceSettings(Section):
    """When an alert that fires again is a new occurrence."""

    doubt_window: Duration = timedelta(seconds=60)
    """After a resolve, the same alert with the same start is doubtful for this long: a late duplicate of another
    Alertmanager replica, or a real return. It is remembered and decided when the window ends."""
    stale_after: Duration = timedelta(hours=6)
    """An open alert of which nothing was heard for this long had its resolve missed (a silenced alert sends none); the
    next firing is a new occurrence. Above Alertmanager's repeat interval of 4 h."""
    give_up_after: Annotated[Duration, Field(ge=timedelta(days=1))] = timedelta(days=30)
    """An open alert of which nothing was heard for this long is closed, as one whose resolve was missed: otherwise what
    nobody ever resolves would be kept for ever. Well above any `repeat_interval` of Alertmanager."""


class HeartbeatSettings(Section):
    """The alert that always fires, by which it is known that alerts still come. Off until it is named."""

    alertname: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """The name of that alert, such as `Watchdog`: it starts no run, and is expected from the start on. There is no
    default, because one that comes by an ordinary route comes every 4 h only, and would be late all day: give it a
    route of its own with `group_interval: 30s` and `repeat_interval: 1m`, as in `alertmanager-example.yml`."""
    silence: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(minutes=10)
    """For how long it may not be heard before that is told; some times Alertmanager's `repeat_interval` for it."""


class PressureSettings(Section):
    """When new deliveries are refused for a while, so that what was taken already gets done."""

    most_waiting: Annotated[int, Field(ge=1)] = 20_000
    """How many runs may be due and wait for a free worker before deliveries are answered 503; they are taken again
    once half of that is left. Twice the largest storm that is expected; as many runs take some 250 MB on disk."""
    least_free_mib: Annotated[int, Field(ge=0)] = 64
    """How much must be free on the disk of the embedded store, in MiB, for deliveries to be taken; they are taken again
    once there is half as much more. What is left lets the runs that were taken come to their end. 0: no matter."""
    most_connections: Annotated[int, Field(ge=4)] = 2000
    """How many connections are open at once at the most, and never more than half of the files that the process may
    have open: the other half is for actions. Those above it are not refused; the system keeps them until one is free.
    More at once would wait for the store longer than `webhook.accept_timeout`, and be sent away instead."""
