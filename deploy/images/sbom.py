#!/usr/bin/env python3
"""Writes an image's bill of materials (CycloneDX 1.5, JSON): crates, Debian packages, models and the libraries that run them.

The crates are those that cargo-cyclonedx lists. This program adds to its document what Debian's package manager has installed
(`/var/lib/dpkg/status` of the image), and what `faceline-models fetch` installs by its manifest.
"""

import argparse
import json
import sys
import tomllib
from pathlib import Path
from urllib.parse import quote

RELEASE = "debian-12"


def debian_packages(status: str) -> list[dict]:
    """The installed packages in the text of a `status` file of dpkg."""
    found = []
    for paragraph in status.split("\n\n"):
        lines = [line for line in paragraph.splitlines() if line[:1] not in ("", " ", "\t")]
        fields = dict(line.split(": ", 1) for line in lines if ": " in line)
        if fields.get("Status", "").split()[-1:] != ["installed"]:
            continue
        name, version, arch = fields["Package"], fields["Version"], fields["Architecture"]
        purl = f"pkg:deb/debian/{name}@{quote(version, safe='.+-~')}?arch={arch}&distro={RELEASE}"
        found.append({"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl})
    return found


def package_url(package: dict) -> str:
    """The package URL of a source in the manifest."""
    name, version = package["name"], package["version"]
    if package["registry"] == "npm":
        return f"pkg:npm/{quote(name, safe='/')}@{version}"
    if package["registry"] == "pypi":
        return f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
    return f"pkg:generic/{name}@{version}"


def models(manifest: dict, profile: str) -> list[dict]:
    """The models of a profile, each with the package that it comes from."""
    found = []
    for model in manifest["models"]:
        if model.get("profile", "default") not in ("default", profile):
            continue
        package = manifest["packages"][model["source"]["package"]]
        found.append({
            "type": "machine-learning-model",
            "bom-ref": f"model:{model['name']}@{model['version']}",
            "name": model["name"],
            "version": str(model["version"]),
            "description": f"{model['role']}; {model['source']['path']} of {package_url(package)}",
            "publisher": package["origin"],
            "hashes": [{"alg": "SHA-256", "content": model["sha256"]}],
            "licenses": [{"license": {"id": package["license"]}}],
        })
    return found


def runtime(manifest: dict) -> dict:
    """The library of ONNX Runtime for the CPU."""
    member = manifest["runtime"]
    package = manifest["packages"][member["package"]]
    return {
        "type": "library",
        "bom-ref": package_url(package),
        "name": package["name"],
        "version": package["version"],
        "purl": package_url(package),
        "publisher": package["origin"],
        "hashes": [{"alg": "SHA-256", "content": member["sha256"]}],
        "licenses": [{"license": {"id": package["license"]}}],
    }


def python_packages(requirements: str) -> list[dict]:
    """The packages in `name==version` lines whose libraries are in the image."""
    found = []
    for line in requirements.splitlines():
        if not line or line.startswith("#"):
            continue
        name, version = line.split("==")
        purl = f"pkg:pypi/{name}@{version}"
        found.append({"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl})
    return found


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--name", required=True, help="name of the image")
    arguments.add_argument("--crates", type=Path, action="append", required=True, help="a program's document from cargo-cyclonedx")
    arguments.add_argument("--packages", type=Path, required=True, help="the status file of dpkg")
    arguments.add_argument("--models", type=Path, help="the manifest; without it the image has no models")
    arguments.add_argument("--profile", default="default", help="the profile of the models")
    arguments.add_argument("--runtime", type=Path, help="packages with ONNX Runtime for a GPU and what it loads")
    arguments.add_argument("--output", type=Path, required=True)
    options = arguments.parse_args()

    document, *others = (json.loads(path.read_text(encoding="utf-8")) for path in options.crates)
    document["metadata"]["component"].update({"type": "container", "name": options.name})
    # cargo-cyclonedx knows the dependencies of its crates only, so a graph would be incomplete for the image.
    document.pop("dependencies", None)
    components = document["components"]
    known = {component["bom-ref"] for component in components}
    components += [component for other in others for component in other["components"] if component["bom-ref"] not in known]
    components += debian_packages(options.packages.read_text(encoding="utf-8"))
    if options.models:
        manifest = tomllib.loads(options.models.read_text(encoding="utf-8"))
        components += models(manifest, options.profile)
        if not options.runtime:
            components.append(runtime(manifest))
    if options.runtime:
        components += python_packages(options.runtime.read_text(encoding="utf-8"))
    options.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
