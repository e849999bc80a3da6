#!/usr/bin/env python3
"""Executes the Dockerfile of the images without Docker, in folders, and starts the programs there.

    image-root.py [--target gateway,worker,standalone] [--programs DIR] [--models DIR] [--fetch] [--debian DIR]

Each stage becomes a folder: `FROM` a copy of a fresh Debian 12 that debootstrap makes, `RUN` a command under chroot, `COPY` a copy.
Two things differ from a build by Docker. The programs come from `--programs` (target/release) instead of the stage `build`, and
the models from `--models` (~/.cache/faceline/models) instead of the stage `models-baked`, unless `--fetch` is given.

Then it starts each image's ENTRYPOINT with its environment, as its USER, without capabilities, on a read-only root file
system, and checks that it works: `standalone` answers a comparison; `gateway` and `worker` answer one together, over
RabbitMQ and Redis on the host; the HEALTHCHECK of each succeeds; each stops with exit code 0 at its STOPSIGNAL.

It needs root, debootstrap, unshare and setpriv, and the programs rabbitmq-server and redis-server. Without these it prints the
reason and exits with 77.
"""

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from trial import ROOT, debian, expect, free_port, poll, say, score, servers, tail

DOCKERFILE = ROOT / "deploy/images/Dockerfile"
SKIPPED = 77
# Long, because an unoptimised build loads its models slowly.
START_SECONDS = 120
VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")


@dataclass
class Stage:
    """A stage of the Dockerfile: the parent image, and the instructions."""

    parent: str
    steps: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Image:
    """The result of a stage: its root folder, and the metadata of the image."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)
    signal: str = "SIGTERM"
    volumes: list[str] = field(default_factory=list)


def parse(text: str) -> tuple[dict[str, str], dict[str, Stage]]:
    """The arguments before the first stage, and the stages by name."""
    joined = re.sub(r"\\\n", " ", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    arguments, stages, stage = {}, {}, None
    for line in filter(None, map(str.strip, joined.splitlines())):
        instruction, rest = line.split(None, 1)
        if instruction == "FROM":
            parent, name = expand(rest, arguments).split(" AS ")
            stage = stages[name] = Stage(parent)
        elif stage is None:
            assert instruction == "ARG", line
            name, value = rest.split("=", 1)
            arguments[name] = value
        else:
            stage.steps.append((instruction, rest))
    return arguments, stages


def expand(text: str, values: dict[str, str]) -> str:
    return VARIABLE.sub(lambda found: values.get(found[1] or found[2], ""), text)


def run(command: list, **more) -> None:
    subprocess.run([str(part) for part in command], check=True, **more)


class Builder:
    """Executes stages, each at most once."""

    def __init__(self, work: Path, given: dict[str, Path]):
        self.work = work
        # Folders that replace stages. Only `COPY --from` reads them.
        self.given = given
        self.arguments, self.stages = parse(DOCKERFILE.read_text(encoding="utf-8"))
        self.images: dict[str, Image] = {}

    def image(self, name: str) -> Image:
        if name not in self.images:
            self.images[name] = self.execute(name)
        return self.images[name]

    def debian(self) -> Path:
        folder = self.work / "debian"
        if not folder.exists():
            debian(folder)
        return folder

    def execute(self, name: str) -> Image:
        if name in self.given:
            return Image(self.given[name])
        stage = self.stages[name]
        if stage.parent in self.stages:
            base = self.image(stage.parent)
            parent = Image(base.folder, dict(base.environment), base.user, base.entrypoint, base.healthcheck,
                           base.signal, list(base.volumes))
        else:
            assert stage.parent.startswith("debian:12"), f"{name} is made from {stage.parent}, which this script does not have"
            parent = Image(self.debian(), {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
        folder = self.work / name
        run(["cp", "-a", "--reflink=auto", parent.folder, folder])
        image = parent
        image.folder = folder
        values = {}
        for instruction, rest in stage.steps:
            self.step(name, image, values, instruction, rest)
        return image

    def step(self, name: str, image: Image, values: dict[str, str], instruction: str, rest: str) -> None:
        say(f"{name}: {instruction} {' '.join(rest.split())[:100]}")
        if instruction == "ARG":
            key, _, default = rest.partition("=")
            values[key] = self.arguments.get(key, default)
        elif instruction == "ENV":
            for pair in shlex.split(rest):
                key, value = pair.split("=", 1)
                image.environment[key] = expand(value, image.environment | values)
        elif instruction == "RUN":
            self.chroot(image, ["/bin/sh", "-c", rest], image.environment | values)
        elif instruction == "COPY":
            self.copy(image, rest)
        elif instruction == "USER":
            image.user = rest
        elif instruction == "ENTRYPOINT":
            image.entrypoint = json.loads(rest)
        elif instruction == "HEALTHCHECK":
            image.healthcheck = json.loads(rest.split("CMD", 1)[1])
        elif instruction == "STOPSIGNAL":
            image.signal = rest
        elif instruction == "VOLUME":
            image.volumes.append(rest)
        else:
            assert instruction in ("LABEL", "EXPOSE"), f"{instruction} is not known here"

    def copy(self, image: Image, rest: str) -> None:
        words = rest.split()
        source = ROOT
        if words[0].startswith("--from="):
            source = self.image(words.pop(0).removeprefix("--from=")).folder
        *paths, target = words
        to = image.folder / target.lstrip("/")
        for path in paths:
            origin = source / path.lstrip("/")
            if origin.is_dir():
                # Like Docker, copies the content of the folder and not the folder.
                to.mkdir(parents=True, exist_ok=True)
                run(["cp", "-a", "--no-preserve=ownership", f"{origin}/.", to])
            else:
                into = to / origin.name if target.endswith("/") else to
                into.parent.mkdir(parents=True, exist_ok=True)
                run(["cp", "--preserve=mode", origin, into])

    def chroot(self, image: Image, command: list[str], environment: dict[str, str]) -> None:
        # The package managers need the host's name resolution.
        names = image.folder / "etc/resolv.conf"
        shutil.copy("/etc/resolv.conf", names)
        with (self.work / "run.log").open("a") as log:
            script = 'mount --bind /dev "$0/dev" && mount -t proc proc "$0/proc" && root=$0 && exec chroot "$root" "$@"'
            done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "sh", "-c", script, image.folder, *command],
                                  env=environment, stdout=log, stderr=log, check=False)
        if done.returncode != 0:
            sys.exit(f"image-root: {shlex.join(command)} failed:\n" + tail(self.work / "run.log"))


# Isolates a program like a container: mount and PID namespaces, a read-only root, no capabilities and no way to gain any. The network is
# that of the host, where the servers run.
CONTAINER = """
set -e
root=$1 user=$2 data=$3 secrets=$4
shift 4
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
for device in null zero full random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount --bind "$data" "$root/var/lib/faceline"
# Docker also creates missing mount points.
mkdir -p "$root/run/faceline-gateway"
for pair in shared:faceline gateway:faceline-gateway; do
    mount --bind "$secrets/${pair%:*}" "$root/run/${pair#*:}"
    mount -o remount,bind,ro "$root/run/${pair#*:}"
done
mount -o remount,bind,ro "$root"
exec chroot "$root" setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups --bounding-set=-all \\
    --ambient-caps=-all --no-new-privs -- "$@"
"""


class Container:
    """A program of an image, running as in a container."""

    def __init__(self, image: Image, work: Path, secrets: Path, settings: dict[str, str], name: str, arguments: tuple[str, ...]):
        self.image, self.secrets, self.name = image, secrets, name
        self.data = work / f"data-{name}"
        self.data.mkdir()
        uid, gid = map(int, image.user.split(":"))
        os.chown(self.data, uid, gid)
        self.environment = image.environment | settings
        self.log_path = work / f"{name}.log"
        self.log = self.log_path.open("w")
        self.process = self.spawn([*image.entrypoint, *arguments], self.log)

    def spawn(self, command: list[str], output) -> subprocess.Popen:
        return subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", CONTAINER, "sh",
                                 self.image.folder, self.image.user, self.data, self.secrets, *command],
                                env=self.environment, stdout=output, stderr=subprocess.STDOUT)

    def call(self, *command: str) -> tuple[int, str]:
        """Runs another program of the image beside it. Returns its exit code and output."""
        process = self.spawn(list(command), subprocess.PIPE)
        output, _ = process.communicate(timeout=60)
        return process.returncode, output.decode()

    def main_pid(self) -> int:
        """The program's process: the child of unshare."""
        return int(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()[0])

    def wait_healthy(self) -> None:
        last = ""
        for _ in poll(START_SECONDS):
            if self.process.poll() is not None:
                break
            code, last = self.call(*self.image.healthcheck)
            if code == 0:
                return
        sys.exit(f"image-root: {self.name} is not healthy: {last}\n{tail(self.log_path)}")

    def check_confinement(self) -> None:
        """Checks that it runs as the user of the image, without capabilities, and can write only to its data folder."""
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{self.main_pid()}/status").read_text().splitlines()
                      if ":\t" in line)
        user = self.image.user.split(":")[0]
        expect(status["Uid"].split() == [user] * 4, f"{self.name} runs as {status['Uid']}")
        expect(int(status["CapEff"], 16) == 0 and int(status["CapBnd"], 16) == 0, f"{self.name} has capabilities")
        expect(status["NoNewPrivs"] == "1", f"{self.name} may get privileges")
        for path, writable in [("/usr/x", False), ("/tmp/x", False), ("/run/faceline/x", False), ("/var/lib/faceline/x", True)]:
            code, output = self.call("/usr/bin/touch", path)
            expect((code == 0) == writable, f"{self.name}: touch {path}: {code} {output}")

    def stop(self) -> None:
        os.kill(self.main_pid(), getattr(signal, self.image.signal))
        code = self.process.wait(timeout=90)
        expect(code == 0, f"{self.name} ends with {code}\n{tail(self.log_path)}")

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()


def crates(folder: Path) -> None:
    """Writes the lists of crates like build.sh, from a copy of the sources. Without cargo-cyclonedx the lists are empty."""
    folder.mkdir()
    programs = {"standalone": "faceline", "model-tool": "faceline-models"}
    if shutil.which("cargo-cyclonedx") is None:
        say("cargo-cyclonedx is not in PATH: the bills of materials have no crates")
        empty = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "metadata": {"component": {
            "type": "application", "name": "faceline"}}, "components": []}
        for name in programs.values():
            (folder / f"{name}.cdx.json").write_text(json.dumps(empty))
        return
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory() as copy:
        subprocess.run(["xargs", "-0", "cp", "--parents", "-t", copy], cwd=ROOT, input=files, check=True)
        run(["cargo", "cyclonedx", "--format", "json", "--spec-version", "1.5", "--override-filename", "crates.cdx", "--quiet",
             "--manifest-path", "deploy/standalone/Cargo.toml"], cwd=copy)
        for crate, name in programs.items():
            shutil.move(Path(copy) / "deploy" / crate / "crates.cdx.json", folder / f"{name}.cdx.json")


def make_secrets(programs: Path, folder: Path) -> str:
    """Makes the secrets of compose.yaml with secrets.sh. Returns the API key."""
    script = subprocess.run([ROOT / "deploy/compose/secrets.sh", folder], check=True, capture_output=True, text=True,
                            env=os.environ | {"FACELINE_PROGRAM": str(programs / "faceline-gateway")})
    return re.search(r"^apikey\s+(\S+)", script.stdout, re.MULTILINE)[1]


# As in compose.yaml.
SHARED_FILES = {"FACELINE_KEYS__FILE": "/run/faceline/keys.toml"}
GATEWAY_FILES = SHARED_FILES | {
    "FACELINE_SIGNING__FILE": "/run/faceline-gateway/signing.toml",
    "FACELINE_REPLAY__KEYS_FILE": "/run/faceline-gateway/replay.toml",
    "FACELINE_ACCOUNTS__FILE": "/run/faceline-gateway/accounts.toml",
}


def prove(images: dict[str, Image], work: Path, programs: Path, pictures: Path) -> None:
    with contextlib.ExitStack() as stack:

        def start(target: str, settings: dict[str, str], *arguments: str) -> Container:
            container = Container(images[target], work, secrets, settings, target, arguments)
            stack.callback(container.kill)
            container.wait_healthy()
            container.check_confinement()
            say(f"{target}: healthy as user {images[target].user}, root read-only, no capabilities")
            return container

        secrets = work / "secrets"
        key = make_secrets(programs, secrets)

        def listeners() -> tuple[int, dict[str, str]]:
            http = free_port()
            return http, admin_listener() | {"FACELINE_HTTP__LISTEN": f"0.0.0.0:{http}"}

        def admin_listener() -> dict[str, str]:
            return {"FACELINE_ADMIN__LISTEN": f"0.0.0.0:{free_port()}"}

        if "standalone" in images:
            port, listen = listeners()
            standalone = start("standalone", listen | GATEWAY_FILES)
            say(f"standalone: two pictures of one person score {score(port, key, pictures):.0f}")
            standalone.stop()
            say("standalone: stopped with exit code 0")
        if {"gateway", "worker"} <= images.keys():
            stack.enter_context(servers(work, secrets))
            port, listen = listeners()
            config = ("--config", "/run/faceline/faceline.toml")
            worker = start("worker", admin_listener() | SHARED_FILES, *config)
            gateway = start("gateway", listen | GATEWAY_FILES, *config)
            say(f"gateway and worker: two pictures of one person score {score(port, key, pictures):.0f}")
            gateway.stop()
            worker.stop()
            say("gateway and worker: stopped with exit code 0")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--target", default="gateway,worker,standalone")
    arguments.add_argument("--programs", type=Path, default=ROOT / "target/release")
    arguments.add_argument("--models", type=Path, default=Path.home() / ".cache/faceline/models")
    arguments.add_argument("--fetch", action="store_true", help="execute the stage models-baked, which downloads the models")
    arguments.add_argument("--debian", type=Path, help="a fresh Debian 12 that debootstrap has made")
    options = arguments.parse_args()

    needed = ["debootstrap", "unshare", "setpriv", "redis-server", "rabbitmqctl"]
    absent = [name for name in needed if not shutil.which(name)]
    if os.geteuid() != 0 or absent:
        say(f"image-root: skipped: it needs root and Debian's {', '.join(needed)}; absent: {', '.join(absent) or 'root'}")
        return SKIPPED
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False, capture_output=True).returncode != 0:
        say("image-root: skipped: this machine does not allow mounts (unshare --mount)")
        return SKIPPED

    with tempfile.TemporaryDirectory(prefix="faceline-image-root-") as folder:
        work = Path(folder)
        work.chmod(0o755)
        build = work / "given-build"
        (build / "out/bin").mkdir(parents=True)
        for name in ("faceline", "faceline-gateway", "faceline-worker", "faceline-models"):
            run(["strip", "--strip-debug", "-o", build / "out/bin" / name, options.programs / name])
        crates(build / "out/crates")
        given = {"build": build}
        if not options.fetch:
            baked = work / "given-models"
            run(["cp", "-a", options.models, work / "models"])
            (baked / "usr/share/faceline").mkdir(parents=True)
            (work / "models").rename(baked / "usr/share/faceline/models")
            given["models-baked"] = baked
            given["models"] = baked
        builder = Builder(work, given)
        if options.debian:
            run(["cp", "-a", "--reflink=auto", options.debian, work / "debian"])
        began = time.monotonic()
        images = {target: builder.image(target) for target in options.target.split(",")}
        say(f"the stages took {time.monotonic() - began:.0f} s")
        for target, image in images.items():
            size = subprocess.run(["du", "-sm", image.folder], capture_output=True, text=True, check=True).stdout.split()[0]
            bill = json.loads((image.folder / "usr/share/doc/faceline/sbom.cdx.json").read_text())
            say(f"{target}: {size} MB, {len(bill['components'])} components in its bill of materials")
        prove(images, work, options.programs, options.models / "pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
