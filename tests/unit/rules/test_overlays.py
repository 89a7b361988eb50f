"""Overlay files fit a pack to one installation; the pack itself is not touched."""

from pathlib import Path

import pytest

from remediator.model.plan import Mode
from remediator.rules.loading import check_files, load_book
from tests.unit.rules.sample_actions import ACTIONS

PACK = """
pack: shop
vars:
  namespace: shop
  tail: 10
  hosts: [a]
  nothing:
  health: {web: one, api: {url: two, port: 80}}
rules:
  - name: down
    match: ['alertname="Down"']
    diagnose:
      state:
        thing.look: {name: "{{ vars.namespace }}", tail: "{{ vars.tail }}"}
"""


def load(folder: Path, *overlays: str) -> Path:
    (folder / "shop.yaml").write_text(PACK)
    (folder / "rules.d").mkdir()
    for number, text in enumerate(overlays):
        (folder / "rules.d" / f"{number}.yaml").write_text(text)
    return folder


def test_values_and_modes_are_replaced_and_mappings_joined(tmp_path: Path) -> None:
    """The later file wins; what no overlay names stays as it is."""
    first = "overlay: shop\nvars: {namespace: other, tail: 5, nothing: [1], health: {api: {port: 81}, new: three}}\n"
    second = "version: 1\noverlay: shop\nvars: {namespace: prod, hosts: [b, c]}\nmodes: {down: observe}\n"

    (rule,) = load_book([load(tmp_path, first, second)], ACTIONS)

    assert Mode.OBSERVE is rule.mode
    assert {
        "namespace": "prod",
        "tail": 5,
        "hosts": ["b", "c"],
        "nothing": [1],
        "health": {"web": "one", "api": {"url": "two", "port": 81}, "new": "three"},
    } == rule.vars


def test_an_overlay_makes_another_rule(tmp_path: Path) -> None:
    """A run goes on with the values that it started with, so they belong to the rule's digest."""
    path = load(tmp_path)
    (plain,) = load_book([path], ACTIONS)
    (path / "rules.d" / "x.yaml").write_text("overlay: shop\nvars: {tail: 11}\n")
    (fitted,) = load_book([path], ACTIONS)

    assert plain.digest != fitted.digest
    assert plain.id == fitted.id


@pytest.mark.parametrize(
    ("overlay", "what"),
    [
        ("overlay: shpo\n", "1:10: there is no pack `shpo` to lay this over; did you mean `shop`?"),
        ("overlay: shop\nvars: {tial: 1}\n", "2:8: the pack has no `vars.tial`; did you mean `tail`?"),
        ("overlay: shop\nvars: {tail: ten}\n", "2:14: `vars.tail` is a number in the pack, and text here"),
        ("overlay: shop\nvars: {hosts: b}\n", "2:15: `vars.hosts` is a list in the pack, and text here"),
        (
            "overlay: shop\nvars: {health: {api: x}}\n",
            "2:22: `vars.health.api` is a mapping in the pack, and text here",
        ),
        ("overlay: shop\nmodes: {donw: auto}\n", "2:9: the pack has no rule `donw`; did you mean `down`?"),
        (
            "overlay: shop\nmodes: {down: of}\n",
            "2:15: the mode of `down` is one of 'observe', 'suggest', 'gated' or 'auto'",
        ),
        (
            "overlay: shop\nrules: []\n",
            "2:1: `rules` is not known here; known are `modes`, `overlay`, `vars`, `version`",
        ),
        (
            "overlay: shop\nvars: {namespace: '{{ labels.x }}'}\n",
            "2:19: `vars` hold plain values; this expression would never be evaluated, write it where it is used",
        ),
        ("overlay: shop\nvars: {tail: 0}\n", "`tail` is 1 at the least"),
    ],
)
def test_what_fits_nothing_is_a_mistake(tmp_path: Path, overlay: str, what: str) -> None:
    """A value that no rule reads would change nothing, and nobody would notice."""
    mistakes, book = check_files([load(tmp_path, overlay)], ACTIONS)

    assert [what] == [what for mistake in mistakes if what in str(mistake)]
    assert book is None


def test_a_file_cannot_be_pack_and_overlay(tmp_path: Path) -> None:
    """It is one or the other."""
    (tmp_path / "x.yaml").write_text("pack: a\noverlay: b\nrules: [{name: x, match: [a=b]}]\n")

    mistakes, _ = check_files([tmp_path], ACTIONS)

    assert ["2:1: `overlay` is not known here"] == [str(m).split("x.yaml:")[1].split(";")[0] for m in mistakes]


def test_a_rule_without_a_name_is_told_under_an_overlay_as_well(tmp_path: Path) -> None:
    """A mistake in a pack must not keep all the others from being told."""
    (tmp_path / "o.yaml").write_text("overlay: p\nmodes: {x: auto, '': auto}\n")
    (tmp_path / "p.yaml").write_text("pack: p\nrules:\n  - {name: [x], match: [a=b]}\n  - {name: x, match: [a=b]}\n")

    mistakes, _ = check_files([tmp_path], ACTIONS)

    assert [(2, 18, "the pack has no rule ``"), (3, 12, "`name` takes text")] == [
        (m.line, m.column, m.what.partition(";")[0]) for m in mistakes
    ]


def told(folder: Path) -> list[str]:
    mistakes, book = check_files([folder], ACTIONS)

    assert book is None
    return [str(mistake).removeprefix(f"{folder}/") for mistake in mistakes]


def test_every_mistake_of_an_overlay_is_told_in_one_go(tmp_path: Path) -> None:
    """An overlay is repaired in one round, and each mistake is told once."""
    overlay = """overlay: shop
version: 2
rules: []
vars:
  tial: 1
  tail: "{{ labels.tail }}"
  hosts: a
  namespace: !env NS
modes:
  down: of
  donw: auto
  dwon: on
"""

    assert [
        "rules.d/0.yaml:2:10: this is version 1 of the rule language, and the file is written for 2",
        "rules.d/0.yaml:3:1: `rules` is not known here; known are `modes`, `overlay`, `vars`, `version`",
        "rules.d/0.yaml:5:3: the pack has no `vars.tial`; did you mean `tail`?",
        "rules.d/0.yaml:6:9: `vars` hold plain values; this expression would never be evaluated, write it where it is "
        "used",
        "rules.d/0.yaml:7:10: `vars.hosts` is a list in the pack, and text here",
        "rules.d/0.yaml:8:14: the tag !env is not known here; quote the value if the exclamation mark belongs to it",
        "rules.d/0.yaml:10:9: the mode of `down` is one of 'observe', 'suggest', 'gated' or 'auto'",
        "rules.d/0.yaml:11:3: the pack has no rule `donw`; did you mean `down`?",
        "rules.d/0.yaml:12:3: the pack has no rule `dwon`; did you mean `down`?",
        "rules.d/0.yaml:12:9: the mode of `dwon` is one of 'observe', 'suggest', 'gated' or 'auto'",
    ] == told(load(tmp_path, overlay))


def test_what_is_good_in_an_overlay_is_laid_over_beside_a_mistake(tmp_path: Path) -> None:
    """Else a value that breaks a rule is told one round later."""
    assert [
        "rules.d/0.yaml:3:15: the mode of `down` is one of 'observe', 'suggest', 'gated' or 'auto'",
        "shop.yaml:14:58: `tail` is 1 at the least",
    ] == told(load(tmp_path, "overlay: shop\nvars: {tail: 0}\nmodes: {down: of}\n"))


@pytest.mark.parametrize(
    ("overlay", "mistake"),
    [
        ("overlay: shpo\nmodes: {down: of}\n", "2:15: the mode of `down` is one of"),
        ("overlay: shpo\nvars: 5\n", "2:7: `vars` takes a mapping"),
        ("overlay: shpo\nvars: {a: 1, a: 2}\n", "2:14: `a` stands twice"),
    ],
)
def test_an_overlay_of_no_pack_is_told_beside_its_other_mistakes(tmp_path: Path, overlay: str, mistake: str) -> None:
    """What the pack would have of it is not asked then."""
    first, second = told(load(tmp_path, overlay))

    assert "rules.d/0.yaml:1:10: there is no pack `shpo` to lay this over; did you mean `shop`?" == first
    assert second.startswith(f"rules.d/0.yaml:{mistake}")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("shop.yaml", "pack: shop\nrules: [\n"),
        ("shop.yaml", "pack: Shop\nrules: [{name: down, match: [a=b]}]\n"),
        ("shop.yaml", "- pack: shop\n"),
    ],
)
def test_nothing_is_said_of_an_overlay_whose_pack_may_be_the_one_that_cannot_be_read(
    tmp_path: Path, name: str, text: str
) -> None:
    """It would be wrong as soon as the pack is mended."""
    path = load(tmp_path, "overlay: shop\nmodes: {down: auto}\n")
    (path / name).write_text(text)

    (mistake,) = told(path)

    assert mistake.startswith(f"{name}:")


@pytest.mark.parametrize(
    ("text", "overlay", "mistake"),
    [
        ("pack: p\nvars: 5\nrules: [{name: x, match: [a=b]}]\n", "vars: {a: 1}", "p.yaml:2:7: `vars` takes a mapping"),
        ("pack: p\nrules: [{name: 010, match: [a=b]}]\n", "modes: {x: auto}", "p.yaml:2:16: 010 begins with a zero"),
        (
            "pack: p\nvars: {a: !x 5}\nrules: [{name: x, match: [a=b]}]\n",
            "vars: {a: [1]}",
            "p.yaml:2:11: the tag !x is not known here",
        ),
        (
            "pack: p\nvars: {a: null}\nrules:\n"
            "  - {name: x, match: [a=b], diagnose: {s: {thing.look: {name: '{{ vars.a }}'}}}}\n",
            "vars: {a: '{{ labels.a }}'}",
            "o.yaml:2:11: `vars` hold plain values",
        ),
    ],
    ids=["no-mapping", "a-name-that-is-none", "a-value-that-cannot-be-read", "a-value-left-to-the-installation"],
)
def test_a_mistake_makes_no_others(tmp_path: Path, text: str, overlay: str, mistake: str) -> None:
    """What follows from one that is told already only misleads."""
    (tmp_path / "p.yaml").write_text(text)
    (tmp_path / "o.yaml").write_text(f"overlay: p\n{overlay}\n")

    (only,) = told(tmp_path)

    assert only.startswith(mistake)
