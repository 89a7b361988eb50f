"""`remediator schema` prints what an editor can read, with durations as people write them."""

import json
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from remediator.cli import main


def printed(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["schema", *arguments])
    assert 0 == result.exit_code, result.output
    shown: dict[str, Any] = json.loads(result.stdout)
    return shown


@pytest.mark.parametrize(
    ("arguments", "title"),
    [([], "remediator's rule files"), (["rules"], "remediator's rule files"), (["settings"], "remediator's settings")],
)
def test_a_schema_is_printed(arguments: list[str], title: str) -> None:
    """It goes into a file as it is."""
    schema = printed(*arguments)
    jsonschema.Draft202012Validator.check_schema(schema)

    assert (title, "https://json-schema.org/draft/2020-12/schema") == (schema["title"], schema["$schema"])


def test_defaults_are_written_as_in_the_files() -> None:
    """An editor puts them in."""
    rules, settings = printed("rules")["$defs"], printed("settings")["$defs"]

    assert "2m" == rules["VerifyShape"]["properties"]["within"]["default"]
    assert "10s" == rules["docker.restart"]["properties"]["stop_timeout"]["default"]
    assert "5s" == settings["WebhookSettings"]["properties"]["accept_timeout"]["default"]
    assert ("3/1h", "3/1h", 1, "51%") == tuple(
        settings["LimitsSettings"]["properties"][name]["default"]
        for name in ("per_target", "attempts", "max_targets", "min_healthy")
    )
    assert '"PT' not in json.dumps([rules, settings])
