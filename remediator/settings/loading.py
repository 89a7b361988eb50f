"""Reads the settings: the file and the environment, and tells every mistake with its place or its variable."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_origin

from pydantic import (
    ValidationError,
)
from pydantic_settings import (
    EnvSettingsSource,
    SettingsError,
)

from remediator.documents import Document, Fault, Mistake, did_you_mean, faults_of, holds, mistakes_of, read_document
from remediator.errors import BadSettings
from remediator.settings.sections import Section, Settings


def load_settings(path: Path | None = None) -> Settings:
    """The settings from `path`, or from `remediator.yaml` here if there is one, and from the environment.

    Raises BadSettings with every mistake, each with its place and what was probably meant.
    """
    named = path or _path_from_environment()
    where = named or Path("remediator.yaml")
    document = Document.empty(str(where))
    if named is not None or where.exists():
        try:
            document = read_document(where.read_text(encoding="utf-8"), name=str(where))
        except (OSError, UnicodeDecodeError) as error:
            raise BadSettings(f"{where}: cannot be read: {error}") from error
    mistakes = list(_unknown_variables(os.environ))
    if document.mistakes:
        mistakes += document.mistakes
    elif not isinstance(document.data, dict):
        mistakes.append(Mistake(str(where), 1, 1, "the settings are a mapping of sections, such as `slack:`"))
    else:
        try:
            settings = Settings(**_beside(where.parent, document.data))
        except ValidationError as error:
            mistakes += _mistakes_of_variables(error)
            mistakes += mistakes_of(
                error, document, Settings, elsewhere="settings", but_not=lambda fault: _variable_of(fault) is not None
            )
        except SettingsError as error:
            mistakes.append(_not_json(error))
        else:
            if not mistakes:
                return settings
    raise BadSettings("\n".join(map(str, mistakes)))


def _mistakes_of_variables(error: ValidationError) -> list[Mistake]:
    """What is wrong with values that came from the environment, each under its variable's name."""
    given = EnvSettingsSource(Settings)()
    named = ((_variable_of(fault), fault) for fault in faults_of(error, Settings, given))
    return sorted({Mistake(name, 0, 0, fault.what) for name, fault in named if name is not None})


def _variable_of(fault: Fault) -> str | None:
    """The variable, as it was written, that gave the faulty value; None where the value is not the environment's."""
    path = fault.path
    of_file = re.match(r"(\w+_file): ", fault.what)
    if of_file:
        path = (*path, of_file[1])
    given = {name.upper(): name for name in os.environ}
    for length in range(len(path), 0, -1):
        name = given.get("REMEDIATOR_" + "__".join(str(part).upper() for part in path[:length]))
        if name is not None and (fault.is_missing_key or _holds_json(os.environ[name], path[length:])):
            return name
    return None


def _holds_json(text: str, path: tuple[str | int, ...]) -> bool:
    """Whether a variable's text holds a value at `path` below it; what is no JSON holds itself only."""
    if not path:
        return True
    try:
        return holds(json.loads(text), path)
    except (ValueError, RecursionError):
        return False


def _not_json(error: SettingsError) -> Mistake:
    """A list or a mapping that cannot be read: the library names the setting, people know the variable."""
    field = re.search(r'field "(\w+)"', str(error))
    name = f"REMEDIATOR_{field[1].upper()}" if field else "REMEDIATOR_*"
    given = sorted(one for one in os.environ if one.upper() == name or one.upper().startswith(f"{name}__"))
    what = 'this cannot be read; lists and mappings are written as JSON, such as ["rules"]'
    return Mistake(" or ".join(given) or name, 0, 0, what)


_OTHER_VARIABLES = ("REMEDIATOR_SETTINGS",)
_SERVICE_LINK = re.compile(
    r"REMEDIATOR_(?:\w+_)?(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_LINKED_PORT = re.compile(r"(?:tcp|udp|sctp)://")


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[Mistake]:
    """Variables that look like ours and set nothing: somebody believes that a limit holds which does not."""
    known = {name for name, _ in _variables()}
    with_levels = tuple(f"{name}__" for name, has_levels in _variables() if has_levels)
    for given, value in sorted(environment.items()):
        name = given.upper()
        if not name.startswith("REMEDIATOR_") or name in known or name.startswith(with_levels):
            continue  # what stands below a section is checked with the section
        if not _is_service_link(name, value):
            what = "this variable is not known here" + did_you_mean(name, known)
            yield Mistake(given, 0, 0, what)


def _variables() -> Iterator[tuple[str, bool]]:
    """Every variable by name, and whether names may go on below it."""
    yield from ((name, False) for name in _OTHER_VARIABLES)
    for name, field in Settings.model_fields.items():
        section = field.annotation
        is_section = isinstance(section, type) and issubclass(section, Section)
        yield f"REMEDIATOR_{name.upper()}", is_section or get_origin(section) is dict
        if isinstance(section, type) and issubclass(section, Section):
            inner = [*section.model_fields, *(f"{secret}_file" for secret in section.secret_files)]
            yield from ((f"REMEDIATOR_{name.upper()}__{key.upper()}", False) for key in inner)


def _is_service_link(name: str, value: str) -> bool:
    """Whether Kubernetes has set it: a Service called `remediator` gives each pod beside it variables of this name."""
    is_port = name.endswith("_PORT") and _LINKED_PORT.match(value) is not None
    return is_port or _SERVICE_LINK.fullmatch(name) is not None


def _beside(folder: Path, data: dict[str, Any]) -> dict[str, Any]:
    """The settings of a file, with the relative paths in them taken from the file's own folder."""
    placed = dict(data)
    if isinstance(data.get("rules"), list):
        placed["rules"] = [folder / rule if isinstance(rule, str) else rule for rule in data["rules"]]
    store = data.get("store")
    if isinstance(store, dict) and isinstance(store.get("directory"), str):
        placed["store"] = {**store, "directory": folder / store["directory"]}
    return {name: _secret_files_beside(folder, value) for name, value in placed.items()}


def _secret_files_beside(folder: Path, value: Any) -> Any:
    if isinstance(value, list):
        return [_secret_files_beside(folder, item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: str(folder / item)
        if name.endswith("_file") and isinstance(item, str)
        else _secret_files_beside(folder, item)
        for name, item in value.items()
    }


def _path_from_environment() -> Path | None:
    name = os.environ.get("REMEDIATOR_SETTINGS")
    return Path(name) if name else None
