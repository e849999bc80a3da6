#!/usr/bin/env python3
"""Renders and checks the manifests for Kubernetes.

    manifests.py render       render the chart into deploy/kubernetes, and copy the files that the chart reads into it
    manifests.py check        compare the rendered files with the chart, and check all objects against schemas and rules
    manifests.py self-test    plant faults, each of which the check must find
    manifests.py show NAME    print the objects of an overlay, or those of deploy/rabbitmq, as JSON

`make test` installs helm, kubectl, kubernetes-validate and PyYAML into the folder of tools (deploy/dev/tools.sh).
"""

import copy
import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
TOOLS = pathlib.Path(os.environ.get("FACELINE_TOOLS") or CACHE / "faceline" / "tools")
sys.path.insert(0, str(TOOLS / "kubernetes-validate"))
try:
    import jsonschema
    import kubernetes_validate
    import yaml
except ImportError as missing:
    sys.exit(f"{missing}; run deploy/dev/tools.sh {TOOLS} test")

from manifest_rules import broken_rules, name_of

CHART = ROOT / "deploy/helm/faceline"
KUSTOMIZE = ROOT / "deploy/kubernetes"
OVERLAYS = ["cpu", "gpu", "minimal"]
HEADER = "# Rendered from deploy/helm/faceline by `make manifests`; a test checks that it is up to date.\n"
# Files that `render` writes, each with the arguments of helm and the template whose objects it holds; None: all.
RENDERED = {
    "base/faceline.yaml": (["--set", "namespace.create=true"], None),
    "components/monitoring/podmonitors.yaml": (["--set", "monitoring.podMonitors=true"], "monitoring.yaml"),
    "components/trial/trial.yaml": (["--values", str(CHART / "values-minimal.yaml")], "trial.yaml"),
}
# Further calls of helm whose output must be valid.
VARIANTS = [
    ["--set", "models.source=fetch"],
    ["--set", "models.source=claim,models.claim=faceline-models,gateway.data.claim=faceline-gateway"],
    ["--set", "autoscaling.kind=hpa,priorityClassName=faceline,image.registry=registry.example/team"],
    ["--set", "monitoring.podMonitors=true,monitoring.rules=true,networkPolicy.enabled=false"],
    # The trial RabbitMQ and Redis, with objects in S3.
    ["--set", "trial.enabled=true"],
    ["--set", "secrets.settings=faceline-settings,serviceAccount.annotations.role=reader"],
    ["--set-json", 'autoscaling={"kind": "keda", "overrides": {"ScaledObject/faceline-worker": {"spec": {"maxReplicaCount": 9}}}}'],
]


def run(name, *arguments):
    """The output of kubectl or helm. Exits if the command fails."""
    own = TOOLS / "kubectl" / name
    program = str(own) if own.exists() else shutil.which(name)
    if not program:
        sys.exit(f"{name} is not installed; run deploy/dev/tools.sh {TOOLS} test")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name} {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def helm(*arguments, template=None):
    """The objects that the chart renders, as YAML."""
    only = ["--show-only", f"templates/{template}"] if template else []
    return run("helm", "template", "faceline", CHART, "--namespace", "faceline", *only, *arguments)


def objects(text):
    return [document for document in yaml.safe_load_all(text) if document]


def kustomize(folder):
    return objects(run("kubectl", "kustomize", folder))


def copies():
    """The source of each copy in the chart: helm cannot read files outside of the chart."""
    found = {CHART / "files/rabbitmq.conf": ROOT / "deploy/rabbitmq/rabbitmq.conf"}
    for kind in ["keda", "hpa"]:
        for path in sorted((KUSTOMIZE / "components" / kind).glob("*.yaml")):
            content = objects(path.read_text())
            # Only files of objects are copied. Patches and values of other charts have no `kind`.
            if path.name != "kustomization.yaml" and content and all("kind" in item for item in content):
                found[CHART / f"files/{kind}-{path.name}"] = path
    return found


def values_schema(value, name=""):
    """A JSON Schema of the chart's values. It refuses names that values.yaml does not have, so helm reports a misspelt one."""
    if name in ("kind", "source"):
        return {"enum": ["none", "keda", "hpa"] if name == "kind" else ["baked", "claim", "fetch"]}
    if name in ("maxSurge", "maxUnavailable"):
        return {"type": ["integer", "string"]}
    if isinstance(value, dict):
        properties = {key: values_schema(item, key) for key, item in value.items()}
        is_free = name in ("settings", "nodeSelector", "annotations", "overrides")
        return {"type": "object"} if is_free else {"type": "object", "properties": properties, "additionalProperties": False}
    return {"type": {bool: "boolean", int: "integer", str: "string", list: "array"}[type(value)]}


def prometheus_rules():
    """The rules of deploy/prometheus for the Prometheus operator: one PrometheusRule per file, with the same groups."""
    documents = []
    for path in sorted((ROOT / "deploy/prometheus/rules").glob("*.yaml")):
        lines = path.read_text().splitlines()
        head = f"""---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: faceline-{path.stem}
  namespace: faceline
  labels: {{ app.kubernetes.io/part-of: faceline }}
spec:
"""
        documents.append(head + "\n".join(f"  {line}" if line else "" for line in lines) + "\n")
    return "# Generated from deploy/prometheus/rules by `make manifests`; a test checks that it is up to date.\n" + "".join(documents)


def values_schema_text():
    schema = values_schema(yaml.safe_load((CHART / "values.yaml").read_text()))
    # Helm passes the value `global` to every chart.
    schema["properties"]["global"] = {"type": "object"}
    return json.dumps(schema, indent=2) + "\n"


def rendered():
    files = {CHART / "values.schema.json": values_schema_text()}
    for path, (arguments, template) in RENDERED.items():
        text = HEADER + helm(*arguments, template=template)
        # Template directives leave blank lines.
        files[KUSTOMIZE / path] = "\n".join(line.rstrip() for line in text.splitlines() if line.strip()) + "\n"
    for folder in [KUSTOMIZE / "components/monitoring", CHART / "files"]:
        files[folder / "prometheusrules.yaml"] = prometheus_rules()
    return files


def render():
    for target, source in copies().items():
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, target)
    # Helm reads this file, so it must be up to date before the chart is rendered.
    (CHART / "values.schema.json").write_text(values_schema_text())
    for path, text in rendered().items():
        path.write_text(text)


def stale():
    """Files that differ from what `render` would write, and copies without a source."""
    wanted = {target: source.read_text() for target, source in copies().items()} | rendered()
    for path, text in wanted.items():
        if not path.exists() or path.read_text() != text:
            yield f"{path.relative_to(ROOT)} is not up to date: run `make manifests`"
    for path in (CHART / "files").iterdir():
        if path not in wanted:
            yield f"{path.relative_to(ROOT)} has no source: delete it"


def normal(value):
    """The value with its lists of named objects sorted, because the order of variables and volumes is irrelevant."""
    if isinstance(value, dict):
        return {key: normal(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [normal(item) for item in value]
        named = all(isinstance(item, dict) and "name" in item for item in items)
        return sorted(items, key=lambda item: json.dumps(item, sort_keys=True)) if named else items
    return value


def differences(overlay, chart):
    """The differences of an overlay from the chart with the overlay's values. Only overlays have a Namespace, so it is ignored."""
    left, right = ({name_of(item): normal(item) for item in items if item["kind"] != "Namespace"} for items in (overlay, chart))
    for name in sorted(left.keys() | right.keys()):
        if left.get(name) != right.get(name):
            yield f"{name}: kustomize has {json.dumps(left.get(name))}, the chart has {json.dumps(right.get(name))}"


def strict(schema):
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: strict(item) for key, item in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        schema.setdefault("additionalProperties", False)
    return schema


def custom_schemas():
    schemas = strict(yaml.safe_load((KUSTOMIZE / "custom-resources.yaml").read_text()))
    return {kind: jsonschema.Draft202012Validator(schema) for kind, schema in schemas.items()}


def versions():
    """The newest two versions of Kubernetes whose schemas are installed."""
    known = {kubernetes_validate.utils.major_minor(version) for version in kubernetes_validate.utils.all_versions()}
    return sorted(known, key=lambda version: [int(part) for part in version.split(".")])[-2:]


def invalid(item, custom):
    """The violations of the schemas by an object."""
    validator = custom.get(f"{item['apiVersion']}/{item['kind']}")
    if validator:
        if extra := item.keys() - {"apiVersion", "kind", "metadata", "spec"}:
            yield f"{name_of(item)}: unknown fields {sorted(extra)}"
        for error in validator.iter_errors(item.get("spec")):
            errors = [error, *sorted(error.context or [], key=lambda inner: len(inner.path), reverse=True)[:3]]
            yield f"{name_of(item)}: " + "; ".join(f"{'.'.join(map(str, e.absolute_path))}: {e.message}" for e in errors)
        return
    for version in versions():
        try:
            kubernetes_validate.validate(item, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{name_of(item)} (Kubernetes {version}): {'.'.join(map(str, error.path))}: {error.message}"
        except kubernetes_validate.SchemaNotFoundError as error:
            yield f"{name_of(item)}: {error.message}"


def cluster_faults():
    """Settings of rabbitmq.conf that the RabbitmqCluster lacks, and violations of the schemas in deploy/rabbitmq."""
    wanted = [line for line in (ROOT / "deploy/rabbitmq/rabbitmq.conf").read_text().splitlines() if line and not line.startswith("#")]
    cluster, *others = objects((ROOT / "deploy/rabbitmq/cluster.yaml").read_text())
    missing = set(wanted) - set(cluster["spec"]["rabbitmq"]["additionalConfig"].splitlines())
    if missing:
        yield f"deploy/rabbitmq/cluster.yaml lacks {sorted(missing)} of rabbitmq.conf"
    for item in [cluster, *others, *objects((ROOT / "deploy/rabbitmq/podmonitor.yaml").read_text())]:
        yield from invalid(item, custom_schemas())


def misread_settings():
    """Deployments to which the chart passes settings with changed values."""
    common = {"limits.inflight_bytes": 536870912, "http.trusted_proxies": ["10.0.0.0/8"], "http.docs": True, "jobs.drain": "9s"}
    # A program's own settings take precedence, also if they are `false` or 0.
    own = {"http.docs": False, "inference.sessions": 0, "jobs.drain": "8s"}
    wanted = {"536870912", '["10.0.0.0/8"]', "false", "0", "8s"}
    sets = {"settings": common, "gateway.settings": own, "worker.settings": own}
    arguments = [part for key, values in sets.items() for part in ("--set-json", f"{key}={json.dumps(values)}")]
    for item in objects(helm(*arguments)):
        if item["kind"] == "Deployment":
            found = {one.get("value") for one in item["spec"]["template"]["spec"]["containers"][0]["env"]}
            if not wanted <= found:
                yield f"{name_of(item)}: the chart writes settings as {sorted(found - {None})}"


def fixed_namespaces():
    """Objects that stay in the namespace `faceline` if the chart is installed in another one."""
    for kind in ["keda", "hpa"]:
        choices = f"autoscaling.kind={kind},monitoring.podMonitors=true,monitoring.rules=true,trial.enabled=true"
        for item in objects(helm("--namespace", "biometrics", "--set", choices)):
            text = json.dumps(item)
            if item["metadata"]["namespace"] != "biometrics" or 'namespace=\\"faceline' in text:
                yield f"{name_of(item)}: is tied to the namespace faceline"


def faults(items, custom):
    for item in items:
        yield from invalid(item, custom)
    yield from broken_rules(items)


def check():
    custom = custom_schemas()
    found = [*stale(), *cluster_faults(), *misread_settings(), *fixed_namespaces()]
    checked = 0
    for overlay in OVERLAYS:
        items = kustomize(KUSTOMIZE / "overlays" / overlay)
        chart = objects(helm("--values", CHART / f"values-{overlay}.yaml"))
        found += [f"overlay {overlay}: {fault}" for fault in [*faults(items, custom), *differences(items, chart)]]
        checked += len(items)
    for arguments in VARIANTS:
        items = objects(helm(*arguments))
        found += [f"helm {' '.join(arguments)}: {fault}" for fault in faults(items, custom)]
        checked += len(items)
    run("helm", "lint", "--strict", CHART)
    print("\n".join(found))
    print(f"{checked} objects, Kubernetes {' and '.join(versions())}: {len(found)} faults")
    return 1 if found else 0


def planted():
    """Faults for the self-test: a name, the objects (a prefix of their names), and the change that plants the fault."""

    def container(change):
        return lambda item: change(item["spec"]["template"]["spec"]["containers"][0])

    def spec(change):
        return lambda item: change(item["spec"])

    gateway, scaler = "Deployment/faceline-gateway", "ScaledObject/"
    password = {"name": "FACELINE_STORE__URL", "value": "redis://u:p@h"}
    budget = "PodDisruptionBudget/faceline-gateway"
    return [
        ("unknown field of Kubernetes", gateway, container(lambda one: one.update(imagePolicy="Always"))),
        ("wrong type", gateway, spec(lambda one: one.update(revisionHistoryLimit="5"))),
        ("unknown field of KEDA", scaler, spec(lambda one: one.update(pollInterval=5))),
        ("unknown field of a trigger", scaler, spec(lambda one: one["triggers"][0]["metadata"].update(queue="q"))),
        ("number where KEDA takes a text", scaler, spec(lambda one: one["triggers"][0]["metadata"].update(value=20, threshold=20))),
        ("no worker at all", scaler, spec(lambda one: one.update(minReplicaCount=0))),
        ("unknown target", scaler, spec(lambda one: one["scaleTargetRef"].update(name="faceline-typist"))),
        ("replicas beside an autoscaler", gateway, spec(lambda one: one.update(replicas=2))),
        ("writable root", gateway, container(lambda one: one["securityContext"].update(readOnlyRootFilesystem=False))),
        ("a probe of an unknown port", gateway, container(lambda one: one["livenessProbe"]["httpGet"].update(port="metrics"))),
        ("no limit of memory", gateway, container(lambda one: one["resources"].pop("limits"))),
        ("a password in the manifest", gateway, container(lambda one: one["env"].append(password))),
        ("an unknown Secret", gateway, container(lambda one: one["env"][-1]["valueFrom"]["secretKeyRef"].update(name="other"))),
        ("an unknown volume", gateway, container(lambda one: one["volumeMounts"].append({"name": "x", "mountPath": "/x"}))),
        ("a budget that selects nothing", budget, spec(lambda one: one["selector"]["matchLabels"].update(x="y"))),
        ("a policy that selects nothing", "NetworkPolicy/", spec(lambda one: one["podSelector"].update(matchLabels={"x": "y"}))),
    ]


def self_test():
    custom = custom_schemas()
    sound = kustomize(KUSTOMIZE / "overlays/cpu")
    missed = []
    for what, target, change in planted():
        items = copy.deepcopy(sound)
        changed = [item for item in items if name_of(item).startswith(target)]
        for item in changed:
            change(item)
        if not changed or len(list(faults(items, custom))) <= len(list(faults(sound, custom))):
            missed.append(what)
    items = copy.deepcopy(sound)
    worker = next(item for item in items if name_of(item) == "Deployment/faceline-worker")
    worker["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] += 1
    if not list(differences(items, sound)):
        missed.append("an overlay that differs from the chart")
    (scaler,) = [item for item in objects(helm(*VARIANTS[-1])) if name_of(item) == "ScaledObject/faceline-worker"]
    if scaler["spec"]["maxReplicaCount"] != 9 or "triggers" not in scaler["spec"]:
        missed.append("an override that changes nothing, or everything")
    print(f"{len(planted()) + 2} faults planted, not found: {missed}")
    return 1 if missed else 0


def main():
    match sys.argv[1:]:
        case ["render"]:
            render()
        case ["check"]:
            return check()
        case ["self-test"]:
            return self_test()
        case ["show", "rabbitmq"]:
            json.dump(objects((ROOT / "deploy/rabbitmq/cluster.yaml").read_text()), sys.stdout)
        case ["show", name]:
            json.dump(kustomize(KUSTOMIZE / "overlays" / name), sys.stdout)
        case _:
            sys.exit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
