"""Who takes what people press and say in Slack, where the settings let it come. Made by the wiring.

Slack's libraries are imported only where they are wanted.
"""

from collections.abc import Awaitable, Callable

from remediator.app.runs import Runs
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.alert import Alert
from remediator.pipeline.approvals import Approvals
from remediator.pipeline.explaining import Explanation
from remediator.pipeline.people import People
from remediator.pipeline.starting import Starts
from remediator.pipeline.stops import Stops
from remediator.settings import Settings, SlackSettings
from remediator.storage.store import Store
from remediator.web.health import Health
from remediator.web.slack.commands import Commands
from remediator.web.slack.inbox import SlackInbox
from remediator.web.slack.socket import SocketMode
from remediator.web.slack.workspace import Workspace


def inbox_of(
    settings: Settings,
    *,
    store: Store,
    runs: Runs,
    approvals: Approvals,
    people: People,
    stops: Stops,
    starts: Starts,
    health: Callable[[], Awaitable[Health]],
    explain: Callable[[Alert], Explanation],
    clock: Clock,
    redactor: Redactor,
) -> SlackInbox | None:
    """Whoever takes what people press and say in Slack; None where nothing can come from there."""
    slack = settings.slack
    if slack.token is None or not slack.interactive:
        return None
    from remediator.clients.slack import SlackClient

    # Another client than the chat's: nobody's answer waits behind the posts.
    client = SlackClient(token=slack.token.get_secret_value(), base_url=slack.base_url)
    commands = Commands(
        runs=runs,
        alerts=store,
        stops=stops,
        journal=store,
        health=health,
        explain=explain,
        clock=clock,
        starts=starts,
        deciders=frozenset(settings.approval.groups),
    )
    return SlackInbox(
        desk=approvals,
        buttons=store,
        people=people,
        commands=commands,
        client=client,
        workspace=Workspace(slack, client),
        clock=clock,
        redactor=redactor,
    )


def socket_of(slack: SlackSettings, inbox: SlackInbox | None, *, clock: Clock, metrics: Metrics) -> SocketMode | None:
    """Whoever hears Slack over a connection of ours; None where that is not wanted."""
    if inbox is None or slack.app_token is None:
        return None
    from remediator.clients.slack_socket import SlackSocketClient

    client = SlackSocketClient(token=slack.app_token.get_secret_value(), base_url=slack.base_url)
    return SocketMode(client, inbox, clock, metrics)
