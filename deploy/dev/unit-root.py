#!/usr/bin/env python3
"""Starts the systemd units under a real systemd, in a folder with a fresh Debian 12, as docs/deployment.md describes.

    unit-root.py [--programs DIR] [--models DIR] [--debian DIR]

systemd runs as process 1 of new PID and mount namespaces; the network is that of the host. The commands are those of the section
"Systemd" of the page. `faceline.service` answers a comparison and is ready for videos; `faceline-gateway` and `faceline-worker@1` answer
one together, over RabbitMQ and Redis on the host. Each stops in time with exit code 0. `systemctl start` must not return before a program
is ready.

It needs root, debootstrap, and util-linux; the programs rabbitmq-server and redis-server; cgroups of version 1 or 2. Without these it
prints the reason and exits with 77.
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from trial import ROOT, debian, expect, free_port, poll, say, score, servers

SKIPPED = 77
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# The folder becomes the root of a mount namespace with everything that systemd expects of a container: /proc, /sys, /dev, /run, a
# cgroup tree, and shared mount propagation to the namespaces of services.
CONTAINER = """
set -e
root=$1
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm" "$root/dev/pts" "$root/dev/mqueue" "$root/dev/hugepages"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t devpts -o newinstance devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
touch "$root/dev/console"
mount --bind /dev/null "$root/dev/console"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
    mount -t tmpfs -o mode=0755 tmpfs "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/systemd"
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
fi
cd "$root"
mkdir -p old
pivot_root . old
umount -l /old
mount --make-rshared /
exec /lib/systemd/systemd --system --unit=basic.target --show-status=no
"""


class Machine:
    """A systemd that runs in a folder."""

    def __init__(self, root: Path, log):
        environment = {"container": "docker", "PATH": PATH}
        self.process = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--cgroup", "--kill-child",
                                         "sh", "-c", CONTAINER, "sh", root], env=environment, stdout=log, stderr=log)
        state = ""
        for _ in poll(60):
            expect(self.process.poll() is None, "systemd ended")
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            if children and Path(f"/proc/{children[0]}/comm").read_text().strip() == "systemd":
                self.pid = children[0]
                state = self.run("systemctl is-system-running", check=False).strip()
                if state in ("running", "degraded"):
                    return
        sys.exit(f"unit-root: systemd does not start: {state}")

    def run(self, script: str, check: bool = True) -> str:
        """Runs a script in the container as root. Returns its output."""
        command = ["nsenter", "-t", self.pid, "-m", "-p", "-u", "-i", "-C", "-r", "-w", "sh", "-ec", script]
        done = subprocess.run(command, env={"PATH": PATH, "HOME": "/root"}, text=True, check=False, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        expect(not check or done.returncode == 0, f"{script}\nfailed:\n{done.stdout}")
        return done.stdout

    def start(self, *units: str) -> None:
        names = " ".join(units)
        done = self.run(f"timeout 120 systemctl start {names} || (systemctl status --no-pager {names}; cat /run/*.log; false)")
        say(f"{names}: started {done}".strip())

    def stop(self, unit: str) -> None:
        began = time.monotonic()
        self.run(f"systemctl stop {unit}")
        result = self.run(f"systemctl show -p Result,ExecMainStatus {unit}").split()
        expect(sorted(result) == ["ExecMainStatus=0", "Result=success"], f"{unit} stopped with {result}")
        say(f"{unit}: stopped in {time.monotonic() - began:.1f} s with exit code 0")

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(self.pid), signal.SIGKILL)
        self.process.wait()


def documented(after: str) -> str:
    """The block of commands in the section "Systemd" of the page that follows the words `after`."""
    section = (ROOT / "docs/deployment.md").read_text().split("## Systemd\n")[1]
    block = section.split(after, 1)[1].split("\n\n", 1)[1]
    lines = []
    for line in block.splitlines():
        if line and not line.startswith("    "):
            break
        lines.append(line[4:])
    return "\n".join(lines)


def install(root: Path, programs: Path, models: Path) -> None:
    """Prepares a machine as the page describes, with two differences: the programs come from `programs` instead of target/dist, and the
    models are copied. The packages are installed before systemd starts, because apt needs the host's name resolution."""
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    packages = "systemd ffmpeg libstdc++6 ca-certificates"
    script = ('mount --bind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$0" sh -ec '
              f'"apt-get update && apt-get install -y --no-install-recommends {packages}"')
    done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "sh", "-c", script, root], capture_output=True, text=True, check=False,
                          env={"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive"})
    expect(done.returncode == 0, f"apt-get failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    source = root / "root/source"
    (source / "target/dist").mkdir(parents=True)
    for name in ("faceline", "faceline-gateway", "faceline-worker", "faceline-models"):
        subprocess.run(["strip", "--strip-debug", "-o", source / "target/dist" / name, programs / name], check=True)
    shutil.copytree(ROOT / "deploy/systemd", source / "deploy/systemd")
    (root / "usr/share/faceline").mkdir(parents=True)
    subprocess.run(["cp", "-a", "--no-preserve=ownership", models, root / "usr/share/faceline/models"], check=True)


def prove(work: Path, root: Path, pictures: Path) -> None:
    with contextlib.ExitStack() as stack:
        machine = Machine(root, stack.enter_context((work / "systemd.log").open("w")))
        stack.callback(machine.kill)
        commands = [line for line in documented("On each machine").splitlines() if not line.startswith(("apt-get", "faceline-models"))]
        machine.run("cd /root/source\n" + "\n".join(commands).replace("faceline{,-gateway,-worker,-models}", "faceline*")
                    + "\nsystemctl daemon-reload")
        # Standard error goes to a file that `start` prints after a failure: it has the output before the log is set up.
        for unit in ("faceline", "faceline-gateway", "faceline-worker@"):
            machine.run(f"mkdir -p /etc/systemd/system/{unit}.service.d; printf '[Service]\\nStandardError=truncate:/run/{unit}.log\\n' "
                        f">/etc/systemd/system/{unit}.service.d/log.conf; systemctl daemon-reload")

        key = api_key(machine.run("cd /etc/faceline; faceline keys add --client me --permissions match --set data_dir=. "
                                  "--set accounts.file=accounts.toml; systemd-tmpfiles --create faceline.conf"))
        port = free_port()
        settings = f"FACELINE_HTTP__LISTEN=127.0.0.1:{port}\\nFACELINE_ADMIN__LISTEN=127.0.0.1:{free_port()}\\n"
        machine.run(f"printf '{settings}' >/etc/faceline/standalone.env")
        # A worker is ready only once it can decode videos, so this also shows that SystemCallFilter lets it confine ffmpeg.
        machine.start("faceline.service")
        say(f"faceline.service: two pictures of one person score {score(port, key, pictures):.0f}")
        check_confinement(machine, "faceline.service")
        machine.stop("faceline.service")

        machine.run("rm -f /etc/faceline/*.toml /etc/faceline/*.env")
        script = documented("On one machine make keys")
        before, after = script.split("cat >faceline.toml", 1)
        key = api_key(machine.run(before))
        secrets = work / "secrets"
        (secrets / "shared").mkdir(parents=True)
        (secrets / "rabbitmq.conf").write_text("default_user = faceline\ndefault_pass = password\n")
        (secrets / "redis.conf").write_text("include /etc/redis/faceline.conf\nrequirepass password\n")
        text = re.search(r"<<END\n(.*?)\nEND\n", after, re.DOTALL)[1]
        # Local servers replace those of the page, and a folder replaces the bucket.
        for name, here in [("@rabbit.example", "@rabbitmq"), ("@redis.example", "@redis:6379"),
                           ("s3://faceline/objects", "file:///var/lib/faceline/objects")]:
            expect(name in text, f"the page does not name {name}")
            text = text.replace(name, here)
        (secrets / "shared/faceline.toml").write_text(text)
        stack.enter_context(servers(work, secrets))
        shutil.copy(secrets / "shared/faceline.toml", root / "etc/faceline/faceline.toml")
        port = free_port()
        machine.run(f"""systemd-tmpfiles --create faceline.conf
            echo FACELINE_HTTP__LISTEN=0.0.0.0:{port} >/etc/faceline/gateway.env
            echo FACELINE_ADMIN__LISTEN=127.0.0.1:{free_port()} >>/etc/faceline/gateway.env
            echo FACELINE_ADMIN__LISTEN=127.0.0.1:{free_port()} >/etc/faceline/worker-1.env""")
        machine.start("faceline-gateway.service", "faceline-worker@1.service")
        say(f"gateway and worker: two pictures of one person score {score(port, key, pictures):.0f}")
        for unit in ("faceline-gateway.service", "faceline-worker@1.service"):
            check_confinement(machine, unit)
            machine.stop(unit)


def api_key(shown: str) -> str:
    found = re.search(r"^apikey\s+(\S+)", shown, re.MULTILINE)
    expect(found is not None, f"no key was shown:\n{shown}")
    return found[1]


def check_confinement(machine: Machine, unit: str) -> None:
    """Checks that a unit runs as its user, without capabilities, and with a seccomp filter."""
    status = machine.run(f"cat /proc/$(systemctl show -p MainPID --value {unit})/status")
    for line in (r"Uid:\t10001\t10001", r"CapEff:\t0+\n", r"CapBnd:\t0+\n", r"NoNewPrivs:\t1", r"Seccomp:\t2"):
        expect(re.search(line, status) is not None, f"{unit}: {line} is not in\n{status}")
    exposure = re.search(r"level for \S+ ([\d.]+)", machine.run(f"systemd-analyze --no-pager security {unit}"))
    say(f"{unit}: user 10001, no capabilities, exposure {exposure[1]}")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--programs", type=Path, default=ROOT / "target/release")
    arguments.add_argument("--models", type=Path, default=Path.home() / ".cache/faceline/models")
    arguments.add_argument("--debian", type=Path, help="a fresh Debian 12 that debootstrap has made")
    options = arguments.parse_args()
    needed = ["debootstrap", "unshare", "nsenter", "redis-server", "rabbitmqctl"]
    absent = [name for name in needed if not shutil.which(name)]
    if os.geteuid() != 0 or absent:
        say(f"unit-root: skipped: it needs root and {', '.join(needed)}; absent: {', '.join(absent) or 'root'}")
        return SKIPPED
    if subprocess.run(["unshare", "--mount", "--pid", "--cgroup", "--fork", "true"], check=False, capture_output=True).returncode != 0:
        say("unit-root: skipped: this machine does not allow namespaces (unshare --mount --pid --cgroup)")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="faceline-unit-root-") as folder:
        work = Path(folder)
        work.chmod(0o755)
        root = work / "root"
        if options.debian:
            subprocess.run(["cp", "-a", "--reflink=auto", options.debian, root], check=True)
        else:
            debian(root)
        install(root, options.programs, options.models)
        prove(work, root, options.models / "pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
