"""What the loaded rules need of each engine and server, told by the actions that need it."""

from pathlib import Path

from remediator.doctor.needs import Needs, Wanted, needs_of
from remediator.plugins import Actions
from remediator.rules.loading import check_files

RULES = """
pack: web
rules:
  - name: down
    match: ['alertname="Down"']
    diagnose:
      state: {docker.inspect: {container: web}}
      cache: {redis.ping: {server: cache}}
      where: {redis.ping: {server: "{{ labels.server }}"}}
    remediate:
      - name: restart
        do: [{docker.restart: {container: web}}]
    verify: {checks: [{docker.inspect: {container: web}, expect: result.running}]}
    limits: {cooldown: 10m}
  - name: slow
    match: ['alertname="Slow"']
    diagnose: {use: {docker.stats: {container: web}}}
    remediate:
      - name: more memory
        do: [{docker.set_memory: {container: web, limit: 1g}}]
    verify: {checks: [{docker.inspect: {container: web}, expect: result.running}]}
    limits: {cooldown: 10m}
"""
LIST = "GET /containers/json"
JSON, STATS, UPDATE = "GET /containers/{id}/json", "GET /containers/{id}/stats", "POST /containers/{id}/update"


def needs(folder: Path, rules: str = RULES) -> Needs:
    (folder / "rules.yaml").write_text(rules)
    mistakes, book = check_files([folder], Actions.installed())
    assert [] == mistakes
    assert book is not None
    return needs_of(book)


def test_a_permission_names_the_actions_and_rules_that_need_it(tmp_path: Path) -> None:
    """Who reads that a call is forbidden decides by this whether to allow it, or to leave the rule out."""
    found = {wanted.name: wanted for wanted in needs(tmp_path).permissions("docker", "local")}

    assert {JSON, LIST, STATS, UPDATE, "POST /containers/{id}/restart"} == set(found)
    assert ("docker.restart in web/down",) == found["POST /containers/{id}/restart"].users
    assert (
        "docker.inspect in web/down, web/slow; docker.restart in web/down; "
        "docker.set_memory in web/slow; docker.stats in web/slow"
    ) == found[JSON].users_say


def test_what_one_action_can_do_without_and_another_cannot_is_needed(tmp_path: Path) -> None:
    """`docker.set_memory` can do without statistics as long as it lowers nothing; `docker.stats` is nothing else."""
    both = {wanted.name: wanted.without for wanted in needs(tmp_path).permissions("docker", "local")}
    without_stats = RULES.replace("docker.stats: {container: web}", "docker.logs: {container: web}")
    one = {wanted.name: wanted.without for wanted in needs(tmp_path, without_stats).permissions("docker", "local")}

    assert "" == both[STATS]
    lost = "what was raised cannot be put back, and the limit of a container that runs cannot be lowered"
    assert lost == one[STATS]
    assert "" == one[UPDATE]


def test_a_silence_of_a_rule_needs_the_right_to_silence(tmp_path: Path) -> None:
    """Without it the rule does all else: whoever is paged meanwhile has to know why."""
    silent = RULES.replace("  - name: slow\n", "  - name: slow\n    silence: 10m\n")
    found = {wanted.name: wanted for wanted in needs(tmp_path, silent).permissions("alertmanager", "")}

    assert ["DELETE /api/v2/silence/{id}", "GET /api/v2/silences", "POST /api/v2/silences"] == list(found)
    made = found["POST /api/v2/silences"]
    assert ("alerts that run are not silenced", "silence in web/slow") == (made.without, made.users_say)
    assert [] == needs(tmp_path).permissions("alertmanager", "")


def test_each_server_is_asked_for_what_rules_do_there_alone(tmp_path: Path) -> None:
    """A server that a label names is not known before the alert."""
    found = needs(tmp_path)

    told_by_info = "version, role, memory and clients are not told"
    assert [
        Wanted("info", ("redis.ping in web/down",), told_by_info),
        Wanted("ping", ("redis.ping in web/down",), ""),
    ] == found.permissions("redis", "cache")
    assert [] == found.permissions("redis", "default")
    assert [] == found.permissions("docker", "far")
