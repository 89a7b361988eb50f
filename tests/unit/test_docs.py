"""The pages say what the code does: reference pages, headings, links, commands and examples are held against it."""

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from remediator.cli import main as command_line
from remediator.kit.metrics import Metrics
from remediator.plugins import Actions
from remediator.rules.loading import check_files
from remediator.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests").rglob("*.md")])
RULE_PAGES = [page for page in PAGES if "```yaml rule-file\n" in page.read_text()]
SETTINGS_PAGES = [page for page in PAGES if "```yaml settings\n" in page.read_text()]
_FENCE = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, *marks: str) -> list[str]:
    """The fenced blocks of a page whose fence says one of `marks`."""
    return [text for mark, text in _FENCE.findall(page.read_text()) if mark.strip() in marks]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def headings(page: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The names that a heading's link has, as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(page)}


REFERENCE: dict[str, str] = runpy.run_path(str(ROOT / "docs" / "reference.py"))["pages"]()


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_a_reference_page_is_what_the_code_says(name: str) -> None:
    """Nobody has to remember to write a changed default down twice: `make docs` writes it."""
    assert REFERENCE[name] == (ROOT / "docs" / name).read_text()


def names_of_settings() -> Iterator[str]:
    """Every setting by its dotted name, read off the JSON Schema rather than the way the reference is made."""
    schema = Settings.model_json_schema()

    def inside(part: dict[str, Any], path: str) -> Iterator[str]:
        for name, raw in part.get("properties", {}).items():
            field = resolved(raw)
            here = f"{path}{name}"
            named = field.get("patternProperties", {}).values()  # where names have to look like something
            items = resolved(next(iter(named), None) or field.get("additionalProperties", {}))
            if field.get("properties"):
                yield from inside(field, f"{here}.")
            elif items.get("properties") and "value" not in items["properties"]:
                yield from inside(items, f"{here}.<name>.")
            else:
                yield here

    def resolved(part: Any) -> dict[str, Any]:
        found: dict[str, Any] = part if isinstance(part, dict) else {}
        found = next((one for one in found.get("anyOf", ()) if "$ref" in one), found)  # what may be left out
        reference = found.get("$ref", "")
        return schema["$defs"][reference.rpartition("/")[2]] if reference else found

    yield from inside(schema, "")


def names_of_commands(command: click.Command, path: str) -> Iterator[str]:
    yield path
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            below = command.get_command(ctx, name)
            assert below is not None
            yield from names_of_commands(below, f"{path} {name}")


def names_of_metrics() -> Iterator[str]:
    for family in Metrics().registry.collect():
        yield f"{family.name}_total" if family.type == "counter" else family.name


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("settings.md", sorted(names_of_settings())),
        ("actions.md", sorted(Actions.installed())),
        ("metrics.md", sorted(names_of_metrics())),
        ("commands.md", sorted(names_of_commands(command_line, "remediator"))),
    ],
    ids=["settings", "actions", "metrics", "commands"],
)
def test_everything_has_its_heading(page: str, names: list[str]) -> None:
    """What has no heading cannot be found, nor linked to."""
    found = headings(ROOT / "docs" / page)

    assert names
    assert [] == [name for name in names if found.count(f"`{name}`") != 1]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """A page that moved takes its readers along."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert [] == broken


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_can_be_read_where_nothing_draws_it(page: Path) -> None:
    """A diagram that only GitHub draws is raw text in the site and in a terminal."""
    languages = {mark.split(" ")[0] for mark, _ in _FENCE.findall(page.read_text())}

    assert set() == languages & {"mermaid", "dot", "plantuml", "geojson", "topojson", "stl", "math"}


def commands_in(page: Path) -> list[str]:
    """The command lines of a page: those of its shell blocks, and those in its text."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    found = [*lines, *re.findall(r"`([^`\n]+)`", prose(page))]
    cleaned = [re.sub(r"\s+#.*", "", line).strip().removeprefix(".venv/bin/") for line in found]
    return [line for line in cleaned if re.match(r"(make|remediator) (?!…)", line)]


def complaint(line: str) -> str:
    """What is wrong with a command line; nothing if it can be given like that."""
    program, *arguments = shlex.split(line)
    if program == "make":
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        unknown = [word for word in arguments if "=" not in word and word not in targets]
        return f"no target {unknown[0]}" if unknown else ""
    command: click.Command = command_line
    ctx = click.Context(command)
    try:
        while isinstance(command, click.Group):
            _, rest, _ = command.make_parser(ctx).parse_args(arguments)
            if not rest:
                return ""
            name, below = rest[0], command.get_command(ctx, rest[0])
            if below is None:
                return f"no command {name}"
            command, ctx, arguments = below, click.Context(below, parent=ctx, info_name=name), rest[1:]
        command.make_parser(ctx).parse_args(arguments)
    except click.UsageError as error:
        return error.format_message()
    return ""


@pytest.mark.parametrize("page", [page for page in PAGES if commands_in(page)], ids=name_of)
def test_commands_exist(page: Path) -> None:
    """The first thing a stranger does is to copy a line of the README."""
    assert [] == [(line, complaint(line)) for line in commands_in(page) if complaint(line)]


def test_commands_are_really_looked_at() -> None:
    """The test above would pass on anything if this one did not hold."""
    lines = ["make nonsense", "remediator nonsense", "remediator runs nonsense", "remediator approve --nonsense RUN"]

    assert [] == [line for line in lines if not complaint(line)]
    assert {"make run", "make test", "make demo"} <= set(commands_in(ROOT / "README.md"))


@pytest.mark.parametrize("page", RULE_PAGES, ids=name_of)
def test_examples_of_rule_files_load(page: Path, tmp_path: Path) -> None:
    """An example is what people begin with."""
    found = blocks(page, "yaml rule-file")
    for number, text in enumerate(found):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        mistakes, book = check_files([path], Actions.installed())

        assert [] == list(map(str, mistakes))
        assert book

    assert found


def test_examples_of_overlays_fit_the_shipped_packs(tmp_path: Path) -> None:
    """They are for those, so a value that a pack does not have must be told."""
    found = [text for page in PAGES for text in blocks(page, "yaml overlay-file")]
    for number, text in enumerate(found):
        (tmp_path / f"{number}.yaml").write_text(text)

    mistakes, _ = check_files([ROOT / "rules", tmp_path], Actions.installed())

    assert [] == list(map(str, mistakes))
    assert found


def test_the_rule_that_the_readme_explains_is_the_shipped_one() -> None:
    """It is explained line by line, so the lines have to be there."""
    assert [(ROOT / "rules" / "containers.yaml").read_text()] == blocks(ROOT / "README.md", "yaml rule-file")


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without settings of its own, with the secrets that the examples name."""
    (tmp_path / "secrets").mkdir()
    for name in (
        "slack-token",
        "slack-signing-secret",
        "slack-app-token",
        "webhook-token",
        "redis",
        "postgres",
        "store-password",
    ):
        (tmp_path / "secrets" / name).write_text(f"a-{name}\n")
    (tmp_path / "secrets" / "audit-key").write_text("a-key-of-twenty-characters\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", SETTINGS_PAGES, ids=name_of)
def test_examples_of_settings_load(page: Path, away: Path) -> None:
    """The same for settings, which refuse every unknown name."""
    found = blocks(page, "yaml settings")
    for text in found:
        (away / "example.yaml").write_text(text)
        load_settings(away / "example.yaml")

    assert found


def test_the_example_of_settings_loads_as_it_stands(away: Path) -> None:
    """The quick start copies it."""
    settings = load_settings(ROOT / "remediator.example.yaml")

    assert "gated" == settings.mode_ceiling
    assert {"local"} == set(settings.docker.engines)
    assert settings.http.allow


def test_what_the_example_of_settings_comments_out_loads_too(away: Path) -> None:
    """People take the marks away and expect it to work."""
    text = (ROOT / "remediator.example.yaml").read_text()
    (away / "example.yaml").write_text(re.sub(r"^#(?! \S|$)", "", text, flags=re.MULTILINE))
    settings = load_settings(away / "example.yaml")

    assert ["a-webhook-token"] == [token.value.get_secret_value() for token in settings.webhook.tokens]
    assert settings.slack.token is not None
    assert {"restart-unit"} == set(settings.commands)
    assert "json" == settings.log.style


def test_change_notes_are_named_after_their_kind() -> None:
    """The release sorts them by it."""
    notes = sorted(note.name for note in (ROOT / "docs" / "changes").glob("[!.]*"))

    assert [] == [name for name in notes if not re.fullmatch(r"[a-z0-9-]+\.(feature|fix|change)\.md", name)]
