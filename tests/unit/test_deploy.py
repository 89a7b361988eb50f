"""What operators install fits together: settings load, addresses lead to our pages, mounts hold what settings name."""

import posixpath
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from remediator import __version__
from remediator.model.duration import parse_duration
from remediator.plugins import Actions
from remediator.rules.loading import check_files
from remediator.settings import Settings, load_settings
from remediator.web.operations import OPERATIONS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
UNIT = (DEPLOY / "remediator.service").read_text()
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
SEVERAL: dict[str, Any] = yaml.safe_load((DEPLOY / "kubernetes" / "several" / "kustomization.yaml").read_text())
DEPLOYMENT: dict[str, Any] = yaml.safe_load((DEPLOY / "kubernetes" / "deployment.yaml").read_text())
POD: dict[str, Any] = DEPLOYMENT["spec"]["template"]["spec"]
CONTAINER: dict[str, Any] = POD["containers"][0]
SECRET: dict[str, Any] = yaml.safe_load((DEPLOY / "kubernetes" / "secret.example.yaml").read_text())

SETTINGS = sorted(DEPLOY.rglob("remediator.yaml"))
RULES = sorted([*(DEPLOY / "compose" / "rules").iterdir(), *(DEPLOY / "kubernetes" / "rules").iterdir()])
ALERTMANAGERS = [ROOT / "alertmanager-example.yml", *sorted(DEPLOY.rglob("alertmanager*.yml"))]
PAGES = {call.partition(" ")[2] for call in OPERATIONS}
WEBHOOK = "/api/v1/alerts"


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def load(path: Path, folder: Path) -> Settings:
    """The settings of a file, with the secrets that it names lying in `folder`."""
    text = path.read_text()
    for secret in re.findall(r"_file: (\S+)", text):
        there = folder / secret.strip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text("a-secret\n")
        text = text.replace(secret, str(there))
    (folder / "remediator.yaml").write_text(text)
    return load_settings(folder / "remediator.yaml")


def secret_files(path: Path) -> list[str]:
    return re.findall(r"_file: (\S+)", path.read_text())


def mounts() -> dict[str, str]:
    """What is mounted into the pod: the folder, and the name of the ConfigMap, Secret or claim."""
    sources = {
        volume["name"]: (
            volume.get("configMap", {}).get("name")
            or volume.get("secret", {}).get("secretName")
            or volume.get("persistentVolumeClaim", {}).get("claimName")
        )
        for volume in POD["volumes"]
    }
    return {mount["mountPath"]: sources[mount["name"]] for mount in CONTAINER["volumeMounts"]}


# Settings and rules


@pytest.mark.parametrize("path", SETTINGS, ids=name_of)
def test_shipped_settings_load(path: Path, tmp_path: Path) -> None:
    """A first start that ends with a mistake of ours is the last one."""
    settings = load(path, tmp_path)

    assert settings.open_door() is None
    assert "gated" == settings.mode_ceiling
    assert Path("/var/lib/remediator/store") == settings.store.directory


def test_there_are_settings_for_each_way_to_install() -> None:
    """The test above would pass on nothing if this one did not hold."""
    expected = ["deploy/compose/remediator.yaml", "deploy/kubernetes/remediator.yaml", "deploy/remediator.yaml"]

    assert expected == [name_of(path) for path in SETTINGS]


@pytest.mark.parametrize("path", RULES, ids=name_of)
def test_shipped_rules_load(path: Path) -> None:
    """They are loaded where nobody looks at first: in a container."""
    mistakes, book = check_files([path], Actions.installed())

    assert [] == list(map(str, mistakes))
    assert book


# The image


def test_the_image_has_one_name_everywhere() -> None:
    """What is built by one page is what the other one starts."""
    texts = [path.read_text() for path in DEPLOY.rglob("*") if path.is_file()]
    texts += [(ROOT / name).read_text() for name in ("README.md", "docs/deploying.md")]
    named = [tag for text in texts for tag in re.findall(r"\bremediator:(\d+\.[\w.]+)", text)]
    labelled = re.findall(r'image\.version="([^"]+)"', DOCKERFILE)

    assert {__version__} == {*named, *labelled}
    assert f"remediator:{__version__}" == COMPOSE["services"]["remediator"]["image"] == CONTAINER["image"]
    assert COMPOSE["services"]["shop"]["image"] == re.findall(r"^ARG PYTHON_IMAGE=(.+)$", DOCKERFILE, re.MULTILINE)[0]


def test_the_image_is_built_from_what_the_build_may_see() -> None:
    """`.dockerignore` leaves out everything else, secrets included, so what is new here has to be named there."""
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]

    assert "*" in ignore
    assert copied
    assert [] == [source for source in copied if f"!{source}" not in ignore or not (ROOT / source).exists()]


def test_the_image_runs_as_nobody_special() -> None:
    """Kubernetes can tell that it is not root by a number only."""
    user = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)

    assert [("65532", "65532")] == user
    assert (65532, 65532) == (POD["securityContext"]["runAsUser"], POD["securityContext"]["runAsGroup"])


# Addresses


def test_probes_ask_for_pages_that_are_there() -> None:
    """A probe of a page that moved restarts the service for ever."""
    kinds = ("startupProbe", "livenessProbe", "readinessProbe")
    probes = {kind: CONTAINER[kind]["httpGet"] for kind in kinds}
    (checked,) = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", DOCKERFILE)

    assert ["/healthz", "/healthz", "/readyz"] == [probes[kind]["path"] for kind in kinds]
    assert {"/healthz", "/readyz"} <= PAGES
    assert {"http"} == {probe["port"] for probe in probes.values()}
    assert [{"name": "http", "containerPort": 9099}] == CONTAINER["ports"]
    assert ("9099", "/healthz") == checked


@pytest.mark.parametrize("path", SETTINGS, ids=name_of)
def test_everything_listens_on_the_port_that_is_exposed(path: Path, tmp_path: Path) -> None:
    """The image, the Service, the policy and Prometheus name it too."""
    service = yaml.safe_load((DEPLOY / "kubernetes" / "service.yaml").read_text())
    policy = yaml.safe_load((DEPLOY / "kubernetes" / "networkpolicy.yaml").read_text())
    scraped = (DEPLOY / "compose" / "prometheus.yml").read_text()
    port = load(path, tmp_path).address[1]

    assert ["EXPOSE 9099"] == re.findall(r"^EXPOSE .+$", DOCKERFILE, re.MULTILINE)
    assert [port] == [one["port"] for one in service["spec"]["ports"]]
    assert [port] == [one["port"] for rule in policy["spec"]["ingress"] for one in rule["ports"]]
    assert f"remediator:{port}" in scraped


@pytest.mark.parametrize("path", ALERTMANAGERS, ids=name_of)
def test_alertmanagers_point_at_the_webhook(path: Path) -> None:
    """Any other path is answered 404, which Alertmanager does not try again."""
    config = yaml.safe_load(path.read_text())
    hooks = [hook for receiver in config["receivers"] for hook in receiver.get("webhook_configs", [])]

    assert [(WEBHOOK, True)] == [(re.sub(r"http://[\w.]+:9099", "", h["url"]), h["send_resolved"]) for h in hooks]
    assert WEBHOOK in PAGES


def test_alertmanager_and_remediator_share_the_token() -> None:
    """Without it, remediator answers 401 to every alert."""
    config = yaml.safe_load((DEPLOY / "compose" / "alertmanager.yml").read_text())
    (hook,) = config["receivers"][0]["webhook_configs"]
    token = hook["http_config"]["authorization"]["credentials_file"]

    assert [token] == secret_files(DEPLOY / "compose" / "remediator.yaml")
    assert {"webhook-token"} == set(COMPOSE["secrets"])
    for name in ("alertmanager", "remediator"):
        assert [posixpath.basename(token)] == COMPOSE["services"][name]["secrets"]


# Compose


def test_only_the_proxy_has_the_docker_socket() -> None:
    """Whoever has it has the machine."""
    holders = [name for name, one in COMPOSE["services"].items() if "docker.sock" in str(one.get("volumes"))]

    on_its_network = {name for name, one in COMPOSE["services"].items() if "engine" in one["networks"]}

    assert ["docker-proxy"] == holders
    assert ["engine"] == COMPOSE["services"]["docker-proxy"]["networks"]
    assert COMPOSE["networks"]["engine"]["internal"]
    assert {"docker-proxy", "remediator"} == on_its_network


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_a_container_gets_files_that_are_there(name: str) -> None:
    """Docker makes an empty folder of a file that is missing, and the container ends with a puzzle."""
    files = [volume.split(":")[0] for volume in COMPOSE["services"][name]["volumes"]]
    relative = [file for file in files if file.startswith(".")]

    assert relative
    assert [] == [file for file in relative if not (DEPLOY / "compose" / file).exists()]


def test_checks_may_reach_the_network_of_the_services(tmp_path: Path) -> None:
    """Else the proof fails after the remedy has worked."""
    settings = load(DEPLOY / "compose" / "remediator.yaml", tmp_path)
    (subnet,) = COMPOSE["networks"]["loop"]["ipam"]["config"]

    assert [subnet["subnet"]] == list(map(str, settings.http.allow))
    assert "loop" in COMPOSE["services"]["shop"]["networks"]
    assert COMPOSE["services"]["shop"]["container_name"] == "shop"


# Kubernetes


def test_the_kustomization_names_every_manifest() -> None:
    """What is not named is not applied; the example of the Secret must not be."""
    folder = DEPLOY / "kubernetes"
    generated = [file for one in KUSTOMIZATION["configMapGenerator"] for file in one["files"]]
    others = {"kustomization.yaml", "secret.example.yaml", "several/kustomization.yaml"}
    several = [f"several/{name}" for name in SEVERAL["resources"]]

    assert {name_of(path) for path in folder.rglob("*.yaml")} == {
        f"deploy/kubernetes/{name}" for name in (*KUSTOMIZATION["resources"], *generated, *several, *others)
    }


def test_the_pod_mounts_what_its_settings_name(tmp_path: Path) -> None:
    """A path that is not mounted is found out in the cluster, at the start."""
    path = DEPLOY / "kubernetes" / "remediator.yaml"
    mounted = mounts()
    (rules,) = yaml.safe_load(path.read_text())["rules"]
    settings = load(path, tmp_path)
    generated = {one["name"]: one["files"] for one in KUSTOMIZATION["configMapGenerator"]}
    secrets = {posixpath.dirname(file) for file in secret_files(path)}

    assert ["remediator.yaml"] == generated[mounted["/etc/remediator"]]
    assert ["WORKDIR /etc/remediator"] == re.findall(r"^WORKDIR /etc.*$", DOCKERFILE, re.MULTILINE)
    assert "remediator-rules" == mounted[posixpath.normpath(posixpath.join("/etc/remediator", rules))]
    assert {SECRET["metadata"]["name"]} == {mounted[folder] for folder in secrets}
    assert {posixpath.basename(file) for file in secret_files(path)} == set(SECRET["stringData"])
    assert {""} == set(SECRET["stringData"].values())
    assert "remediator" == mounted[str(settings.store.directory.parent)]
    assert f"VOLUME {settings.store.directory.parent}" in DOCKERFILE


def test_there_is_never_a_second_process_on_the_store() -> None:
    """The store is embedded: a rolling update would start one beside the other."""
    assert (1, {"type": "Recreate"}) == (DEPLOYMENT["spec"]["replicas"], DEPLOYMENT["spec"]["strategy"])


def test_without_the_component_there_is_one_pod() -> None:
    """Only who has a PostgreSQL may switch it on."""
    assert "components" not in KUSTOMIZATION
    assert "#components:\n#  - several\n" in (DEPLOY / "kubernetes" / "kustomization.yaml").read_text()


# What all have in common


def test_each_way_waits_longer_than_the_service_takes_to_stop() -> None:
    """A step that is killed while it acts is unknown afterwards, and somebody has to look."""
    given = {
        "unit": parse_duration(re.findall(r"^TimeoutStopSec=(.+)$", UNIT, re.MULTILINE)[0]),
        "compose": parse_duration(COMPOSE["services"]["remediator"]["stop_grace_period"]),
        "pod": timedelta(seconds=POD["terminationGracePeriodSeconds"]),
    }
    needed = 2 * Settings().pipeline.stop_grace  # for requests, then for steps

    assert [] == [name for name, time in given.items() if time <= needed]


def test_the_unit_starts_what_the_page_installs() -> None:
    """Two places that name the same paths."""
    page = (ROOT / "docs" / "deploying.md").read_text()
    found = dict(re.findall(r"^(\w+)=(.+)$", UNIT, re.MULTILINE))
    program, *arguments = found["ExecStart"].split()

    assert f"{posixpath.dirname(program)}/pip install --require-hashes -r requirements.lock" in page
    assert ["-c", f"{found['WorkingDirectory']}/remediator.yaml", "serve"] == arguments
    assert f"cp -r rules deploy/remediator.yaml {found['WorkingDirectory']}/" in page
    assert f"useradd --system --user-group --home-dir /var/lib/{found['StateDirectory']}" in page
    assert found["User"] == found["Group"] == "remediator"
