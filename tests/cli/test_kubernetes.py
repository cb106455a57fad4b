"""The manifests of workflows/kubernetes: valid by Kubernetes' own schemas and the Dask operator's, and by our code."""

import copy
import lzma
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import typer.main
import yaml
from dask.utils import parse_bytes
from distributed.cli import dask_scheduler, dask_worker

from spectralearth_build.cli.app import app
from spectralearth_build.cli.codes import MEANING, NO_ANSWER, STOPPED
from spectralearth_build.cluster.environment import WORKER_ENVIRONMENT
from tests.support.container_files import of_containerfile

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "workflows" / "kubernetes"
DEFINITION = ROOT / "tests/data/kubernetes/daskcluster.yaml.xz"
VERSIONS = ("1.30", "1.37")
"""The oldest and the newest Kubernetes to which the manifests are compared."""


def manifest(name):
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


CLUSTER, JOB, POLICY = (manifest(f"{n}.yaml") for n in ("dask_cluster", "build_job", "network_policy"))
PODS = {
    "worker": CLUSTER["spec"]["worker"]["spec"],
    "scheduler": CLUSTER["spec"]["scheduler"]["spec"],
    "driver": JOB["spec"]["template"]["spec"],
}


def strict(schema):
    """The operator's schema, with no properties but those that it names."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(value) for key, value in schema.items()}
    if found.get("x-kubernetes-int-or-string"):
        found.pop("type", None)
        found["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    closed = found.get("type") == "object" and "properties" in found
    if closed and not found.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    return found


@pytest.fixture(scope="module")
def operator():
    """Validates a DaskCluster."""
    definition = yaml.safe_load(lzma.decompress(DEFINITION.read_bytes()))
    schema = strict(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    schema["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {}}
    return jsonschema.Draft7Validator(schema)


def as_pod(spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_every_manifest(version):
    for document in (JOB, POLICY, *map(as_pod, PODS.values())):
        kubernetes_validate.validate(document, version, strict=True)
    wrong = copy.deepcopy(JOB)
    wrong["spec"]["template"]["spec"]["containers"][0]["resourcess"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="resourcess"):
        kubernetes_validate.validate(wrong, version, strict=True)


def test_the_operator_takes_the_cluster(operator):
    assert [error.message for error in operator.iter_errors(CLUSTER)] == []
    wrong = copy.deepcopy(CLUSTER)
    wrong["spec"]["worker"]["replicas"] = "two"
    wrong["spec"]["worker"]["spec"]["containers"][0]["imagee"] = "x"
    assert len(list(operator.iter_errors(wrong))) == 2


@pytest.mark.parametrize("name", PODS)
def test_pods_run_without_rights_on_a_read_only_system(name):
    spec = PODS[name]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] > 0
    assert not spec["automountServiceAccountToken"]
    rights = container["securityContext"]
    assert rights["readOnlyRootFilesystem"]
    assert not rights["allowPrivilegeEscalation"]
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]
    writable = {m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")}
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert environment["HOME"] in writable
    assert environment["TMPDIR"] in writable
    assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in spec["volumes"]}
    assert not [each for each in environment if "SECRET" in each or "KEY" in each or "TOKEN" in each]


def test_workers_have_the_environment_and_the_memory_of_the_code():
    (container,) = PODS["worker"]["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert environment.items() >= WORKER_ENVIRONMENT.items()
    arguments = container["command"]
    limit = arguments[arguments.index("--memory-limit") + 1]
    assert parse_bytes(limit) == parse_bytes(container["resources"]["limits"]["memory"].replace("Gi", "GiB"))


def test_every_command_is_understood(tmp_path):
    for command, pod in ((dask_worker.main, "worker"), (dask_scheduler.main, "scheduler")):
        _, _, module, *rest = PODS[pod]["containers"][0]["command"]
        assert module == command.callback.__module__
        command.make_context(module, list(rest), resilient_parsing=False)
    program, verb, *rest = PODS["driver"]["containers"][0]["command"]
    assert [program] == of_containerfile().entry
    here = [str(tmp_path) if each == "/archive" else each for each in rest]  # it must exist
    context = typer.main.get_command(app).commands[verb].make_context(verb, here)
    assert str(context.params["dataset"]) == "/datasets/spectralearth"
    assert context.params["scheduler"].startswith("tcp://")


def test_the_driver_reaches_the_scheduler_and_images_agree():
    arguments = PODS["driver"]["containers"][0]["command"]
    name, ports = CLUSTER["metadata"]["name"], CLUSTER["spec"]["scheduler"]["service"]["ports"]
    # the operator names the service after the cluster
    assert arguments[arguments.index("--scheduler") + 1] == f"tcp://{name}-scheduler:{ports[0]['port']}"
    assert len({container["image"] for pod in PODS.values() for container in pod["containers"]}) == 1
    allowed = [each["podSelector"]["matchLabels"] for each in POLICY["spec"]["ingress"][0]["from"]]
    assert JOB["spec"]["template"]["metadata"]["labels"] in allowed


def test_prometheus_reaches_the_metrics_and_not_the_scheduler():
    said = CLUSTER["spec"]["scheduler"]["metadata"]["annotations"]
    (dashboard,) = (
        port for port in PODS["scheduler"]["containers"][0]["ports"] if port["name"] == "http-dashboard"
    )
    assert said == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(dashboard["containerPort"]),
        "prometheus.io/path": "/metrics",
    }
    others = POLICY["spec"]["ingress"][1:]
    assert [each["ports"] for each in others] == [[{"protocol": "TCP", "port": dashboard["containerPort"]}]]


def test_the_job_tries_again_when_the_same_command_continues():
    codes = next(
        rule["onExitCodes"] for rule in JOB["spec"]["podFailurePolicy"]["rules"] if "onExitCodes" in rule
    )
    assert (codes["operator"], set(codes["values"])) == ("NotIn", {NO_ANSWER, STOPPED})
    assert set(codes["values"]) < set(MEANING)
