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
        ("overlay: shop\nmodes: {down: of}\n", "2:15: `down` is one of 'observe', 'suggest', 'gated' or 'auto'"),
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
