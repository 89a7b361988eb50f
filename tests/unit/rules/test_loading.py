"""Rule files become a book, or every mistake in all of them is told, with its place."""

import os
import re
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.errors import BadRules
from remediator.model.duration import say_duration
from remediator.rules.compiling import compile_rule
from remediator.rules.loading import check_files, load_book
from tests.unit.rules.sample_actions import ACTIONS

HOUR = timedelta(hours=1)
EXAMPLES = Path(__file__).parents[2] / "rules"
BAD = sorted((EXAMPLES / "bad").glob("*.yaml"))
GOOD = sorted((EXAMPLES / "good").glob("*.yaml"))


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_tells_exactly_its_mistakes(path: Path) -> None:
    """Each example is named after its mistake and says, in its first lines, what is to be told of it, and where."""
    expected = re.findall(r"^# (\d+:\d+: .*)$", path.read_text(), re.MULTILINE)
    mistakes, book = check_files([path], ACTIONS)

    assert expected == [str(mistake).replace(f"{path}:", "") for mistake in mistakes]
    assert expected
    assert book is None


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_file_loads(path: Path) -> None:
    """What the examples show must work."""
    assert len(load_book([path], ACTIONS)) > 0


def pack(name: str, *rules: str) -> str:
    lines = [f"pack: {name}", "rules:"]
    for rule in rules:
        lines += [f"  - name: {rule}", f"    match: [alertname={rule}]"]
    return "\n".join(lines) + "\n"


def test_folders_are_read_in_depth_and_in_order(tmp_path: Path) -> None:
    """The order of files is the order of packs; hidden ones are older versions in a Kubernetes volume."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "..2024").mkdir()
    (tmp_path / "b.yaml").write_text(pack("b", "one", "two"))
    (tmp_path / "a.yml").write_text(pack("a", "one"))
    (tmp_path / "sub" / "c.yaml").write_text("\ufeff" + pack("c", "one"), encoding="utf-8")
    (tmp_path / "..2024" / "b.yaml").write_text(pack("b", "one"))
    (tmp_path / "note.txt").write_text("no rules")

    book = load_book([tmp_path, tmp_path / "b.yaml"], ACTIONS)

    assert ["a/one", "b/one", "b/two", "c/one"] == [rule.id for rule in book]


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    """The error's text is what an operator sees at start."""
    (tmp_path / "a.yaml").write_text("pack: a\nrulez: []\n")
    (tmp_path / "b.yaml").write_text("pack: b\nrules:\n  - {name: x, match: [a], mode: autoo}\n")

    with pytest.raises(BadRules) as caught:
        load_book([tmp_path, tmp_path / "gone.yaml"], ACTIONS)

    assert [
        f"{tmp_path}/a.yaml:1:1: `rules` is missing",
        f"{tmp_path}/a.yaml:2:1: `rulez` is not known here; did you mean `rules`?",
        f"{tmp_path}/b.yaml:3:23: 'a' is not a matcher; write it like 'alertname=\"ServiceDown\"'",
        f"{tmp_path}/b.yaml:3:33: `mode` is one of 'observe', 'suggest', 'gated' or 'auto'; did you mean `auto`?",
        f"{tmp_path}/gone.yaml: there is no such file or folder",
    ] == str(caught.value).splitlines()


def test_a_folder_without_rule_files_is_a_mistake(tmp_path: Path) -> None:
    """A mistyped path must not come up as a service that quietly does nothing."""
    mistakes, book = check_files([tmp_path], ACTIONS)

    assert [f"{tmp_path}: there is no rule file (*.yaml, *.yml) in this folder"] == list(map(str, mistakes))
    assert book is None


def test_a_pack_is_one_file_and_both_places_are_named(tmp_path: Path) -> None:
    """Two files that claim one name are most often a copy that was forgotten."""
    (tmp_path / "a.yaml").write_text(pack("p", "one", "two"))
    (tmp_path / "b.yaml").write_text(pack("p", "two"))
    mistakes, _ = check_files([tmp_path], ACTIONS)

    first = tmp_path / "a.yaml"
    assert [
        f"{tmp_path}/b.yaml:1:7: the pack `p` stands in {first}:1:7 already; "
        "a pack is one file, name this one differently",
        f"{tmp_path}/b.yaml:3:11: the rule `p/two` stands in {first}:5:11 already; "
        "rules of a pack have different names",
    ] == list(map(str, mistakes))


def test_what_is_not_text_is_a_mistake(tmp_path: Path) -> None:
    """An editor's backup or an archive lands in the folder some day."""
    (tmp_path / "a.yaml").write_bytes(b"pack: \xff\xfe")
    mistakes, _ = check_files([tmp_path], ACTIONS)

    assert [f"{tmp_path}/a.yaml: this is not text in UTF-8 (byte 6); is it a rule file?"] == list(map(str, mistakes))


def test_what_is_no_file_and_what_is_too_large_are_mistakes(tmp_path: Path) -> None:
    """Reading a pipe waits for ever, and reading a device fills the memory: no rules would ever be reloaded again."""
    os.mkfifo(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").symlink_to("/dev/zero")
    (tmp_path / "c.yaml").write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    mistakes, _ = check_files([tmp_path], ACTIONS)

    assert [
        f"{tmp_path}/a.yaml: this rule file cannot be read: it is no regular file",
        f"{tmp_path}/b.yaml: this rule file cannot be read: it is no regular file",
        f"{tmp_path}/c.yaml: this rule file cannot be read: it is larger than 4 MiB",
    ] == list(map(str, mistakes))


def test_links_that_lead_back_are_followed_once(tmp_path: Path) -> None:
    """Two of them in one folder are two ways back, then four, and no end: a service that starts would hang there."""
    (tmp_path / "a.yaml").write_text(pack("a", "one"))
    (tmp_path / "sub").mkdir()
    for name in ("back", "again"):
        (tmp_path / "sub" / name).symlink_to("..")

    assert ["a/one"] == [rule.id for rule in load_book([tmp_path], ACTIONS)]


def test_thousands_of_rules_load(tmp_path: Path) -> None:
    """A large installation has a few thousand; their expressions are compiled once each, here."""
    rule = """
  - name: r{n}
    match: ['alertname="Alert{n}"']
    diagnose: {{state: {{thing.look: {{name: "{{{{ labels.service }}}}-{n}"}}}}}}
    remediate: [{{when: steps.state.crashed, do: [{{thing.kick: {{name: "{{{{ labels.service }}}}"}}}}]}}]"""
    text = "pack: many\nrules:" + "".join(rule.format(n=n) for n in range(2000)) + "\n"
    (tmp_path / "many.yaml").write_text(text)

    book = load_book([tmp_path], ACTIONS)

    assert 2000 == len(book)
    assert ["many/r1999"] == [found.id for found in book.match({"alertname": "Alert1999"})]


def test_limits_of_a_pack_stand_behind_those_of_its_rules(tmp_path: Path) -> None:
    """Each figure by itself; and a stored rule, which a run goes on with, has them too."""
    (tmp_path / "a.yaml").write_text(
        "pack: a\nvars: {often: 5/1h}\nlimits: {per_rule: '{{ vars.often }}', cooldown: 1h}\nrules:\n"
        "  - {name: x, match: [a=b], limits: {cooldown: 1m}}\n  - {name: y, match: [a=c]}\n"
    )
    book = load_book([tmp_path], ACTIONS)
    expected = [("5/1h", "1m"), ("5/1h", "1h")]

    for rules in (list(book), [compile_rule(rule.document, ACTIONS) for rule in book]):
        limits = [rule.own_limits() for rule in rules]
        assert expected == [(str((one.per_rule or ("?",))[0]), say_duration(one.cooldown or HOUR)) for one in limits]


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ("cooldown: 99999999d", "99999999d is too long for a limit: it takes 30d at the most"),
        ("per_rule: '3/1h, 5/31d'", "31d is too long for a limit"),
        ("per_target: 5/90d", "90d is too long for a limit"),
        ("attempts: 3/99999999d", "what was done is not on record for longer"),
        ("flapping: 3/31d", "31d is too long for a limit"),
        ("storm: 10001/5m", "no more than 10000 are counted"),
    ],
)
@pytest.mark.parametrize("place", ["pack", "rule", "remedy"])
def test_limits_that_could_not_be_counted_are_mistakes(tmp_path: Path, limits: str, told: str, place: str) -> None:
    """Whoever sets one believes that it is kept."""
    of_pack, of_rule, of_remedy = (
        f"limits: {{{limits}}}" if place == one else "" for one in ("pack", "rule", "remedy")
    )
    (tmp_path / "a.yaml").write_text(
        f"pack: a\n{of_pack}\nrules:\n  - name: x\n    match: [a=b]\n    {of_rule}\n    remediate:\n"
        f"      - tell: look\n        {of_remedy}\n"
    )
    with pytest.raises(BadRules) as caught:
        load_book([tmp_path], ACTIONS)

    assert told in str(caught.value)


def test_limits_of_a_pack_are_part_of_what_its_rules_are(tmp_path: Path) -> None:
    """A run that was begun goes on with the limits from then; a pack without any is what it was before there were."""
    digests, documents = [], []
    for limits in ("", "limits: {cooldown: 1h}\n", "limits: {cooldown: 2h}\n"):
        (tmp_path / "a.yaml").write_text(f"pack: a\n{limits}rules:\n  - {{name: x, match: [a=b]}}\n")
        (rule,) = load_book([tmp_path], ACTIONS)
        digests.append(rule.digest)
        documents.append(set(rule.document))

    assert 3 == len(set(digests))
    assert {"pack", "vars", "rule"} == documents[0]


def test_an_overlays_vars_reach_the_limits_of_the_pack(tmp_path: Path) -> None:
    """They are settled when the overlay has been laid over it."""
    (tmp_path / "a.yaml").write_text(
        "pack: a\nvars: {wait: 1h}\nlimits: {cooldown: '{{ vars.wait }}'}\nrules:\n  - {name: x, match: [a=b]}\n"
    )
    (tmp_path / "b.yaml").write_text("overlay: a\nvars: {wait: 2h}\n")
    (rule,) = load_book([tmp_path], ACTIONS)

    assert 2 * HOUR == rule.own_limits().cooldown


def test_a_stored_rule_whose_limits_are_mistaken_is_refused(tmp_path: Path) -> None:
    """As when a later version takes no such limit any more."""
    (tmp_path / "a.yaml").write_text("pack: a\nlimits: {cooldown: 1h}\nrules:\n  - {name: x, match: [a=b]}\n")
    (rule,) = load_book([tmp_path], ACTIONS)

    with pytest.raises(BadRules, match="cooldwn"):
        compile_rule({**rule.document, "limits": {"cooldwn": "1h"}}, ACTIONS)
