"""`remediator schema`: the JSON Schema of rule files and of the settings, so that editors complete and check them."""

import json
from datetime import timedelta
from typing import Any

import click

_RULES, _SETTINGS = "rules", "settings"


@click.command
@click.argument("what", type=click.Choice([_RULES, _SETTINGS]), default=_RULES)
def schema(what: str) -> None:
    """Print the JSON Schema (2020-12) of rule files, or of the settings, for editors.

    For rule files it knows the installed actions with their parameters, so write it anew when those change.
    """
    click.echo(json.dumps(_with_plain_durations(_schema_of(what)), indent=2, ensure_ascii=False))


def _schema_of(what: str) -> dict[str, Any]:
    if what == _SETTINGS:
        from remediator.settings.schema import schema_of_settings

        return schema_of_settings()
    from remediator.cli.loading import installed_actions
    from remediator.rules.schema import schema_of_rules

    return schema_of_rules(installed_actions())


def _with_plain_durations(value: Any) -> Any:
    """Defaults as people write durations, and not as ISO 8601 does."""
    from pydantic import TypeAdapter

    from remediator.model.duration import say_duration

    durations: TypeAdapter[timedelta] = TypeAdapter(timedelta)

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(item) for item in value]
        if not isinstance(value, dict):
            return value
        shown = {key: plain(item) for key, item in value.items()}
        default = shown.get("default")
        if isinstance(default, str) and default.startswith("PT") and "30s" in json.dumps(shown.get("examples", shown)):
            shown["default"] = say_duration(durations.validate_python(default))
        return shown

    return plain(value)
