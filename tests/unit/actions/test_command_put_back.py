"""What a command sets is put back by the same command, where the settings say what shows the value."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from remediator.actions.command import CommandParams, run
from remediator.clients import Clients
from remediator.clients.command import CommandRunner
from remediator.errors import BadSettings, Conflicted, Failed, NotAllowed
from remediator.kit.clock import SystemClock
from remediator.model.ids import StepId
from remediator.model.remains import Now
from remediator.plugins import ActionContext, Inverse
from remediator.settings import CommandSettings, Settings

PARAMS = CommandParams(command="set", parameters={"value": "0.20", "of": "dhat"})


def inverse() -> Inverse[Any, Any]:
    assert run.inverse is not None
    return run.inverse


def commands(folder: Path, **more: Any) -> dict[str, CommandSettings]:
    """A command that writes a value into a file, and one that prints it."""
    file = f"{folder}/{{of}}"
    wanted = {
        "set": {
            "argv": ["/bin/sh", "-c", 'printf %s "$1" > "$2"', "sh", "{value}", file],
            "parameters": {"value": {"pattern": r"[0-9.]+"}, "of": {}},
            "effect": "change",
            "target": "tolerance of {of}",
            "put_back": {"parameter": "value", "shown_by": "show"},
            **more,
        },
        "show": {"argv": ["/bin/cat", file], "parameters": {"of": {}}, "effect": "read"},
    }
    return {name: CommandSettings.model_validate(one) for name, one in wanted.items()}


@pytest.fixture
async def clients(tmp_path: Path) -> AsyncIterator[Clients]:
    made = Clients(Settings(commands=commands(tmp_path)))
    (tmp_path / "dhat").write_text("0.15\n")
    yield made
    await made.close()


async def a_context(clients: Clients) -> ActionContext:
    ends = datetime.now(UTC) + timedelta(seconds=30)
    assert run.resolve is not None
    bare = ActionContext(clients, SystemClock(), StepId("remediate.0.0"), ends)
    return ActionContext(clients, bare.clock, bare.step, ends, await run.resolve(bare, PARAMS))


async def test_the_value_is_put_back(clients: Clients, tmp_path: Path) -> None:
    """And a second time nothing is done; other parameters say of what it is the value."""
    context, back = await a_context(clients), inverse()
    before = await back.capture(context, PARAMS)
    await run.perform(context, PARAMS)
    is_set, remains = (tmp_path / "dhat").read_text(), await back.remains(context, PARAMS, before)
    first, second = await back.restore(context, PARAMS, before), await back.restore(context, PARAMS, before)

    assert ("0.20", Now.AS_SET) == (is_set, remains.now)
    assert "0.15" == (tmp_path / "dhat").read_text()
    assert (True, False, "value is 0.15 again") == (first.changed, second.changed, first.brief())
    assert "" == run.stays(clients, PARAMS)


@pytest.mark.parametrize(("now", "expected"), [("0.2", Now.AS_SET), ("0.150", Now.AS_BEFORE), ("0.3", Now.CHANGED)])
async def test_numbers_are_compared_as_numbers(clients: Clients, tmp_path: Path, now: str, expected: Now) -> None:
    """A program that prints 0.2 for 0.20 has changed nothing."""
    context, back = await a_context(clients), inverse()
    before = await back.capture(context, PARAMS)
    (tmp_path / "dhat").write_text(now)

    assert expected == (await back.remains(context, PARAMS, before)).now


async def test_what_somebody_has_changed_since_is_left_alone(clients: Clients, tmp_path: Path) -> None:
    """Whoever did it knew more than we do."""
    context, back = await a_context(clients), inverse()
    before = await back.capture(context, PARAMS)
    await run.perform(context, PARAMS)
    (tmp_path / "dhat").write_text("0.3")
    with pytest.raises(Conflicted, match=r"value is 0\.3: .*it was set to 0\.20, before that it was 0\.15"):
        await back.restore(context, PARAMS, before)

    assert "0.3" == (tmp_path / "dhat").read_text()


@pytest.mark.parametrize(
    ("shown", "error", "said"),
    [
        ("", Failed, "it wrote nothing"),
        ("0.1\n0.2", Failed, "command show was to print the value of value"),
        ("unset", NotAllowed, "does not match commands.set.parameters.value.pattern"),
    ],
)
async def test_what_could_not_be_put_back_is_not_captured(
    clients: Clients, tmp_path: Path, shown: str, error: type[Exception], said: str
) -> None:
    """It is said before anything is changed."""
    (tmp_path / "dhat").write_text(shown)
    with pytest.raises(error, match=said):
        await inverse().capture(await a_context(clients), PARAMS)


async def test_a_command_without_a_way_back_says_so(tmp_path: Path) -> None:
    """Where it is used for a while, its plan is not carried out."""
    clients = Clients(Settings(commands=commands(tmp_path, put_back=None)))

    assert "the settings do not say how (commands.set.put_back)" == run.stays(clients, PARAMS)
    assert "" == run.stays(clients, CommandParams(command="show", parameters={"of": "dhat"}))
    with pytest.raises(Failed, match="command set cannot be put back"):
        await inverse().capture(await a_context(clients), PARAMS)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"effect": "destroy"}, "only what a `change` does can be put back, and its effect is `destroy`"),
        ({"put_back": {"parameter": "x", "shown_by": "show"}}, "it has no parameter 'x'"),
    ],
)
def test_a_way_back_that_cannot_be_is_a_mistake(tmp_path: Path, more: dict[str, Any], said: str) -> None:
    """Of the settings, and told when they are read."""
    with pytest.raises(ValidationError, match=said):
        commands(tmp_path, **more)


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ({"parameter": "value", "shown_by": "shwo"}, "no command is named 'shwo'"),
        ({"parameter": "value", "shown_by": "set"}, "the effect of set is not `read`"),
        ({"parameter": "of", "shown_by": "show"}, "show would need of, which is not known then"),
    ],
)
def test_what_shows_the_value_is_looked_at_at_start(tmp_path: Path, way: dict[str, Any], said: str) -> None:
    """And not at the first alert."""
    with pytest.raises(BadSettings, match=f"commands.set.put_back.shown_by: {said}"):
        CommandRunner(commands(tmp_path, put_back=way))
