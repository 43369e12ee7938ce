"""The image and the Kubernetes example: nothing that moves, nobody who is root, no way but the one that is meant."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from strongroom.service.settings import parse_settings
from tests.deploy.commands import check_accepted

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
CONFIG = Path("/etc/strongroom/strongroom.toml")


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Containerfile, in order."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", text)).splitlines()
    return [(one, rest) for one, _, rest in (line.partition(" ") for line in lines if line.strip())]


def objects() -> list[dict[str, Any]]:
    """Return what the Kubernetes example makes."""
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / "strongroom.yaml").read_text(encoding="utf-8")))


def made(kind: str, name: str) -> dict[str, Any]:
    (found,) = [one for one in objects() if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


def pods() -> dict[str, dict[str, Any]]:
    """Return what each workload's pods are, by its name."""
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in objects()
        if "template" in one.get("spec", {})
    }


def containers() -> dict[str, dict[str, Any]]:
    return {one["name"]: one for pod in pods().values() for one in pod["containers"]}


def settings_in(name: str) -> Any:
    return parse_settings(made("ConfigMap", name)["data"]["strongroom.toml"], CONFIG.parent)


# --- the image ---------------------------------------------------------------------------------


def test_the_base_is_given_by_whoever_builds_and_nothing_moves() -> None:
    assert [rest for one, rest in instructions() if one == "ARG"] == ["BASE"]
    assert [rest.split()[0] for one, rest in instructions() if one == "FROM"] == ["${BASE}", "${BASE}"]
    assert ":latest" not in (DEPLOY / "Containerfile").read_text(encoding="utf-8")


def test_the_image_runs_as_a_number_that_is_not_root() -> None:
    users = [rest for one, rest in instructions() if one == "USER"]
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", users[-1])
    last = [one for one, _ in instructions()][-3:]
    assert last == ["USER", "ENTRYPOINT", "CMD"]


def test_what_goes_into_the_image_is_what_the_lock_names() -> None:
    runs = [rest for one, rest in instructions() if one == "RUN"]
    installs = [step for run in runs for step in run.split("&&") if " install " in step]
    assert len(installs) == 2
    assert all("--no-index" in step and "--no-deps" in step for step in installs)
    assert "--require-hashes --requirement requirements/run.txt" in installs[0]
    assert installs[1].split()[-1] == "strongroom"
    assert not [run for run in runs if re.search(r"curl|wget|apt|https?:", run)]
    assert "ADD" not in {one for one, _ in instructions()}


def test_the_image_starts_the_command() -> None:
    found = dict(instructions())
    assert yaml.safe_load(found["ENTRYPOINT"]) == ["/usr/lib/strongroom/bin/strongroom"]
    with pytest.raises(click.exceptions.Exit):
        check_accepted(yaml.safe_load(found["CMD"]))


# --- kubernetes --------------------------------------------------------------------------------


def test_there_is_a_keep_with_a_relay_and_a_gateway() -> None:
    assert set(containers()) == {"keep", "relay", "gateway"}
    assert made("StatefulSet", "keep")["spec"]["replicas"] == 1
    namespace = made("Namespace", "strongroom")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {one["metadata"].get("namespace") for one in objects()} - {None} == {"strongroom"}
    assert "Secret" not in {one["kind"] for one in objects()}


@pytest.mark.parametrize("name", ["keep", "gateway"])
def test_each_pod_is_restricted(name: str) -> None:
    pod = pods()[name]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & pod.keys()
    assert not [one for one in pod["volumes"] if "hostPath" in one]


@pytest.mark.parametrize("name", ["keep", "relay", "gateway"])
def test_each_container_is_restricted(name: str) -> None:
    container = containers()[name]
    context = container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["runAsUser"] > 0
    assert context["runAsGroup"] > 0
    assert "privileged" not in context
    assert re.search(r":[0-9]+[.][0-9]+[.][0-9]+$|@sha256:[0-9a-f]{64}$", container["image"])
    assert "limits" in container["resources"]
    check_accepted(container["args"])
    assert container["args"][-2:] == ["--config", str(CONFIG)]


def test_keep_relay_and_gateway_are_three_users_and_the_keep_lets_in_the_relay() -> None:
    users = {name: one["securityContext"]["runAsUser"] for name, one in containers().items()}
    assert len(set(users.values())) == 3
    keep = settings_in("keep").keep
    assert keep.allow_users == (str(users["relay"]),)
    assert settings_in("keep").relay.keep == keep.socket


def test_what_the_keep_closed_no_group_opens_again() -> None:
    assert pods()["keep"]["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    # The keep makes its folders itself, below the volumes' own, whose group may write.
    keep, mounts = settings_in("keep").keep, {one["mountPath"] for one in containers()["keep"]["volumeMounts"]}
    for place in (keep.folder, keep.high_water, keep.socket):
        assert str(Path(place).parent.parent) in mounts


def test_every_file_that_the_settings_name_is_mounted() -> None:
    for name, section in (("relay", settings_in("keep").relay), ("gateway", settings_in("gateway").gateway)):
        mounts = [one["mountPath"] for one in containers()[name]["volumeMounts"]]
        files = [getattr(section, one, None) for one in ("certificate", "key", "client_ca", "keep_ca", "keep_key")]
        assert len([file for file in files if file]) >= 3
        assert all(str(Path(file).parent) in mounts for file in files if file)


def test_no_pod_but_a_gateways_reaches_the_keeps_and_that_reaches_nobody() -> None:
    everything = made("NetworkPolicy", "nothing")["spec"]
    assert everything == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    keep, port = made("NetworkPolicy", "keep")["spec"], settings_in("keep").relay.port
    assert keep["policyTypes"] == ["Ingress", "Egress"]
    assert keep["egress"] == []
    assert keep["ingress"] == [
        {
            "from": [{"podSelector": {"matchLabels": {"app": "gateway"}}}],
            "ports": [{"port": port, "protocol": "TCP"}],
        }
    ]


def test_the_gateway_dials_the_keeps_service() -> None:
    gateway, relay = settings_in("gateway").gateway, settings_in("keep").relay
    service = made("Service", "keep")
    assert gateway.keep == f"tls://keep.strongroom.svc:{service['spec']['ports'][0]['port']}"
    assert service["spec"]["ports"][0]["port"] == relay.port
    assert containers()["gateway"]["ports"][0]["containerPort"] == gateway.port
    assert containers()["relay"]["ports"][0]["containerPort"] == relay.port


def test_volumes_and_secrets_that_are_mounted_are_there() -> None:
    claims = {one["metadata"]["name"] for one in made("StatefulSet", "keep")["spec"]["volumeClaimTemplates"]}
    assert claims == {"journal", "high"}
    for name, pod in pods().items():
        known = {one["name"] for one in pod["volumes"]} | (claims if name == "keep" else set())
        mounted = {mount["name"] for one in pod["containers"] for mount in one["volumeMounts"]}
        assert mounted == known
