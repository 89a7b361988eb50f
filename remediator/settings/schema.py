"""The JSON Schema (2020-12) of the settings file, for editors. Called by `remediator schema`. Pure."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from remediator.model.budget import Budget, Share
from remediator.model.duration import say_duration
from remediator.settings.sections import Section
from remediator.settings.settings import Settings

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of_settings() -> dict[str, Any]:
    """The schema of `remediator.yaml`: pydantic's, with secrets that are given as a file."""
    schema = Settings.model_json_schema(schema_generator=_Written)
    sections = {section.__name__: section for section in _below(Section)}
    for name, definition in schema.get("$defs", {}).items():
        if name in sections:
            _take_files(definition, sections[name])
        if name == "Secret":
            schema["$defs"][name] = {"anyOf": [{"type": "string", "minLength": 1}, definition]}
    return {"$schema": _DIALECT, **schema, "title": "remediator's settings"}


class _Written(GenerateJsonSchema):
    """Defaults as people write them."""

    def encode_default(self, dft: Any) -> Any:
        match dft:
            case Budget():
                return str(dft)
            case (Budget(), *_):
                return ", ".join(map(str, dft))
            case (timedelta(), *_):
                return [say_duration(one) for one in dft]
            case Share(count=int(count)):
                return count
            case Share():
                return str(dft)
        return super().encode_default(dft)


def _below(section: type[Section]) -> Iterator[type[Section]]:
    for inner in section.__subclasses__():
        yield inner
        yield from _below(inner)


def _take_files(definition: dict[str, Any], section: type[Section]) -> None:
    """A secret may be given as `<name>_file`, and then needs no value."""
    for secret in section.secret_files:
        what = f"A file that holds `{secret}`, instead of the secret itself."
        definition["properties"][f"{secret}_file"] = {"type": "string", "description": what}
        if secret in definition.get("required", []):
            definition["required"].remove(secret)
            definition["oneOf"] = [{"required": [secret]}, {"required": [f"{secret}_file"]}]
