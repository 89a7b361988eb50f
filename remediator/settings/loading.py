"""Reads the settings: the file and the environment, and tells every mistake with its place or its variable."""

import difflib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_origin

from pydantic import (
    TypeAdapter,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsError,
)

from remediator.documents import (
    Document,
    Fault,
    Mistake,
    did_you_mean,
    faults_of,
    holds,
    mistakes_of,
    read_document,
    value_at,
)
from remediator.errors import BadSettings
from remediator.settings.sections import Section
from remediator.settings.settings import RulePaths, Settings


class MistakenSettings(BadSettings):
    """Settings with mistakes: the text has a line for each, and `mistakes` what they are."""

    def __init__(self, mistakes: Sequence[Mistake], rules: tuple[Path, ...] | None) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)
        self.rules = rules
        """The rule files that they name all the same; None where a mistake keeps that from being known."""


def load_settings(path: Path | None = None) -> Settings:
    """The settings from `path`, or from `remediator.yaml` here if there is one, and from the environment.

    Raises MistakenSettings with every mistake, each with its place and what was probably meant.
    """
    named = path or _path_from_environment()
    where = named or Path("remediator.yaml")
    document = _read(where, is_named=named is not None)
    mistakes = [*_unknown_variables(os.environ), *document.mistakes]
    data = document.data
    if not isinstance(data, dict):
        data = {}
        if not document.mistakes:
            mistakes.append(Mistake(str(where), 1, 1, "the settings are a mapping of sections, such as `slack:`"))
    try:
        settings = Settings(**_beside(where.parent, data))
    except ValidationError as error:
        mistakes += _mistakes_in(error, document)
    except SettingsError as error:
        mistakes += [*_not_json(error), *_mistakes_of_file(where, document)]
    else:
        if not mistakes:
            return settings
    raise MistakenSettings(mistakes, _rules_of(where.parent, document))


def _read(where: Path, *, is_named: bool) -> Document:
    """The settings file; an empty one where there is none and none was named."""
    try:
        if is_named or where.exists():
            return read_document(where.read_text(encoding="utf-8"), name=str(where))
    except OSError as error:
        why = error.strerror or type(error).__name__
    except UnicodeDecodeError as error:
        why = f"it is not text in UTF-8 (byte {error.start})"
    else:
        return Document.empty(str(where))
    return Document(str(where), None, mistakes=(Mistake(str(where), 0, 0, f"cannot be read: {why}"),))


def place_in_settings(path: Path | None, found: Sequence[tuple[tuple[str | int, ...], str]]) -> list[Mistake]:
    """What is to be said of settings that load, each with the place in the file that `load_settings` would read.

    What a variable has given is told by the setting's name.
    """
    named = path or _path_from_environment()
    document = _read(named or Path("remediator.yaml"), is_named=named is not None)
    said = []
    for where, what in found:
        if holds(document.data, where) and _variable_of(Fault(where, "", "")) is None:
            said.append(document.mistake(where, what, key=isinstance(where[-1], str)))
        else:
            said.append(Mistake("settings", 0, 0, f"{'.'.join(map(str, where))}: {what}"))
    return said


class _OfFile(Settings):
    """The settings without the environment, to look at a file beside variables that cannot be read."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_others: PydanticBaseSettingsSource,
        **_more: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del settings_cls
        return (init_settings,)


def _mistakes_of_file(where: Path, document: Document) -> list[Mistake]:
    """What is wrong in the file alone. What it leaves out, a variable may give that could not be read."""
    if not isinstance(document.data, dict):
        return []
    try:
        _OfFile(**_beside(where.parent, document.data))
    except ValidationError as error:
        return _placed(error, document, but_not=lambda fault: _is_of_the_whole(fault, document.data))
    return []


def _mistakes_in(error: ValidationError, document: Document) -> list[Mistake]:
    """What pydantic found, in the file and in variables.

    Where a part of the file could not be read, what a whole section lacks, or how its parts fit, cannot be told.
    """
    is_whole = isinstance(document.data, dict) and not document.mistakes
    given = EnvSettingsSource(Settings)()
    of_variables = set()
    for fault in faults_of(error, Settings, given):
        name = _variable_of(fault)
        if name is not None and (is_whole or not _is_of_the_whole(fault, given)):
            of_variables.add(Mistake(name, 0, 0, fault.what))

    def is_not_told(fault: Fault) -> bool:
        return _variable_of(fault) is not None or (not is_whole and _is_of_the_whole(fault, document.data))

    return [*sorted(of_variables), *_placed(error, document, but_not=is_not_told)]


def _is_of_the_whole(fault: Fault, data: Any) -> bool:
    """Whether it is about a mapping, and not about one value or name in it."""
    if fault.is_missing_key:
        return True
    is_mapping = isinstance(value_at(data, fault.path), dict | None)
    return fault.kind == "value_error" and is_mapping and _SECRET_FILE.match(fault.what) is None


_SECRET_FILE = re.compile(r"(\w+_file): ")


def _placed(error: ValidationError, document: Document, *, but_not: Callable[[Fault], bool]) -> list[Mistake]:
    """What is wrong in the file, with places; the file of a secret at its own key, by the setting's whole name.

    What does not fit together is told where the setting stands whose name it begins with.
    """

    def named(fault: Fault) -> tuple[str | int, ...]:
        path = (*fault.path, *fault.what.partition(": ")[0].split("."))
        is_meant = fault.kind == "value_error" and _SECRET_FILE.match(fault.what) is None
        return path if is_meant and holds(document.data, path) else ()

    found = mistakes_of(
        error,
        document,
        Settings,
        elsewhere="settings",
        but_not=lambda fault: but_not(fault) or _SECRET_FILE.match(fault.what) is not None or bool(named(fault)),
    )
    for fault in faults_of(error, Settings, document.data):
        if (path := named(fault)) and not but_not(fault):
            found.append(document.mistake(path, fault.what))
        of_file = _SECRET_FILE.match(fault.what)
        if of_file and not but_not(fault):
            path = (*fault.path, of_file[1])
            found.append(document.mistake(path, ".".join(map(str, fault.path)) + "." + fault.what))
    return sorted(set(found))


_RULE_PATHS: TypeAdapter[tuple[Path, ...]] = TypeAdapter(RulePaths)


def _rules_of(folder: Path, document: Document) -> tuple[Path, ...] | None:
    """The rule files that the settings name, whatever else is wrong with them; None where that cannot be known."""
    variables = {n.upper(): value for n, value in os.environ.items() if n.upper().startswith("REMEDIATOR_")}
    try:
        if "REMEDIATOR_RULES" in variables:
            return _RULE_PATHS.validate_python(json.loads(variables["REMEDIATOR_RULES"]))
        data = document.data
        if not isinstance(data, dict) or any(broken[:1] in ((), ("rules",)) for broken in document.broken):
            return None
        if "rules" in data:
            return _RULE_PATHS.validate_python(_beside(folder, {"rules": data["rules"]})["rules"])
    except (ValueError, RecursionError):
        return None
    if document.mistakes or any(map(_may_mean_rules, [*data, *variables])):
        return None
    default: tuple[Path, ...] = Settings.model_fields["rules"].default
    return default


def _may_mean_rules(name: str) -> bool:
    """Whether a name that is not known may be a misspelling of `rules`."""
    known = [*Settings.model_fields]
    word = name.removeprefix("REMEDIATOR_").lower()
    return word not in known and difflib.get_close_matches(word, known, n=1) == ["rules"]


def _variable_of(fault: Fault) -> str | None:
    """The variable, as it was written, that gave the faulty value; None where the value is not the environment's."""
    path = fault.path
    of_file = _SECRET_FILE.match(fault.what)
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


def _not_json(error: SettingsError) -> Iterator[Mistake]:
    """Lists and mappings that cannot be read: the library names the first setting, people know the variables."""
    source = EnvSettingsSource(Settings)
    what = 'this cannot be read; lists and mappings are written as JSON, such as ["rules"]'
    is_found = False
    for field, info in Settings.model_fields.items():
        try:
            value, _, is_complex = source.get_field_value(info, field)
            source.prepare_field_value(field, info, value, is_complex)
        except ValueError:
            name = f"REMEDIATOR_{field.upper()}"
            given = sorted(one for one in os.environ if one.upper() == name or one.upper().startswith(f"{name}__"))
            yield Mistake(" or ".join(given) or name, 0, 0, what)
            is_found = True
    if not is_found:
        yield Mistake("REMEDIATOR_*", 0, 0, f"{error}; {what}")


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
    if isinstance(placed.get("pause_file"), str):
        placed["pause_file"] = folder / placed["pause_file"]
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
