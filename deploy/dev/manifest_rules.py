"""Rules for the manifests beyond the schemas: security settings of pods, and references to objects that must exist."""

import functools
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def name_of(item):
    return f"{item['kind']}/{item['metadata']['name']}"


def matches(selector, labels):
    return bool(selector) and selector.items() <= labels.items()


def pods(items):
    """The pod templates, each with the name of its workload (kind and name)."""
    for item in items:
        if item["kind"] in ("Deployment", "StatefulSet"):
            yield name_of(item), item["spec"]["template"]


def insecure(name, spec):
    """Violations of the security rules for a pod, and resources that are not set as they must be."""
    if spec.get("automountServiceAccountToken") is not False or spec.get("enableServiceLinks") is not False:
        yield f"{name}: must disable automountServiceAccountToken and enableServiceLinks"
    pod = spec.get("securityContext", {})
    if not (pod.get("runAsNonRoot") and pod.get("runAsUser") and pod.get("seccompProfile") == {"type": "RuntimeDefault"}):
        yield f"{name}: runs as root or without a seccomp profile"
    for container in spec["containers"] + spec.get("initContainers", []):
        context = container.get("securityContext", {})
        if context != {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}:
            yield f"{name}: wrong security context of {container['name']}"
        resources = container.get("resources", {})
        # With a request equal to the limit, the memory is reserved: a node that runs out of memory does not kill the pod for it.
        if not resources.get("requests", {}).get("cpu") or resources["requests"].get("memory") != resources.get("limits", {}).get("memory"):
            yield f"{name}: {container['name']} needs a CPU request, and a memory request equal to its limit"
        for variable in container.get("env", []):
            if any(word in variable["name"] for word in ("URL", "SECRET", "PASSWORD")) and "@" in variable.get("value", ""):
                yield f"{name}: {variable['name']} holds a secret"


def dangling_references(name, template, items):
    """References of a pod to objects, ports and volumes that do not exist, and policies that do not select it."""
    spec = template["spec"]
    known = {name_of(item) for item in items}
    if account := spec.get("serviceAccountName"):
        if f"ServiceAccount/{account}" not in known:
            yield f"{name}: no ServiceAccount {account}"
    volumes = {volume["name"] for volume in spec.get("volumes", [])}
    owner = next(item for item in items if name_of(item) == name)
    volumes |= {claim["metadata"]["name"] for claim in owner["spec"].get("volumeClaimTemplates", [])}
    for container in spec["containers"]:
        ports = {port["name"] for port in container.get("ports", [])}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            action = container.get(probe, {})
            if (action.get("httpGet") or action.get("tcpSocket") or {}).get("port") not in ports:
                yield f"{name}: {probe} names no port of {container['name']}"
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                yield f"{name}: no volume {mount['name']}"
    for kind in ("NetworkPolicy", "PodDisruptionBudget"):
        selectors = [item["spec"].get("podSelector", item["spec"].get("selector")) for item in items if item["kind"] == kind]
        selectors = [selector.get("matchLabels", {}) for selector in selectors]
        needed = kind == "NetworkPolicy" or name.startswith("Deployment/")
        if needed and selectors and not any(matches(selector, template["metadata"]["labels"]) for selector in selectors):
            yield f"{name}: no {kind} selects it"


def broken_rules(items):
    """The violations of all rules by objects that are applied together."""
    templates = dict(pods(items))
    for name, template in templates.items():
        yield from insecure(name, template["spec"])
        yield from dangling_references(name, template, items)
    for item in items:
        name, spec = name_of(item), item.get("spec", {})
        if item["kind"] == "Secret":
            yield f"{name}: manifests must reference Secrets, never contain them"
        target = spec.get("scaleTargetRef", {})
        if target:
            deployment = next((one for one in items if name_of(one) == f"{target.get('kind', 'Deployment')}/{target['name']}"), None)
            if not deployment or "replicas" in deployment["spec"]:
                yield f"{name}: its target is missing, or sets `replicas`, which the autoscaler owns"
        selector = {}
        if item["kind"] in ("Service", "PodMonitor", "PodDisruptionBudget"):
            selector = spec["selector"] if item["kind"] == "Service" else spec["selector"].get("matchLabels", {})
        if selector and not any(matches(selector, template["metadata"]["labels"]) for template in templates.values()):
            yield f"{name}: selects no pod"
        for secret, key in sorted(set(references(item))):
            if key and key not in documented().get(secret, []) or secret not in documented():
                yield f"{name}: docs/kubernetes.md does not list the key `{key}` of the Secret `{secret}`"


@functools.cache
def documented():
    """The Secrets in the table of docs/kubernetes.md, and the keys of each."""
    rows = re.findall(r"^\| `(faceline-[a-z-]+)` \| (.*?) \|", (ROOT / "docs/kubernetes.md").read_text(), re.MULTILINE)
    return {secret: re.findall(r"`([^`]+)`", keys) for secret, keys in rows}


def references(value):
    """The Secrets that an object references, each with a key; the key is "" if the object mounts the whole Secret."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "secretKeyRef":
                yield item["name"], item["key"]
            elif key == "secret" and isinstance(item, dict) and "secretName" in item:
                yield item["secretName"], ""
            elif key == "secretTargetRef":
                yield from ((one["name"], one["key"]) for one in item)
            else:
                yield from references(item)
