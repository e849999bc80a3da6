"""Shared by image-root.py and unit-root.py, which run programs in a fresh Debian: servers, a comparison, waiting."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MIRROR = "http://deb.debian.org/debian"


def debian(folder: Path) -> None:
    """Makes a fresh Debian 12 in `folder`."""
    say("debootstrap: a fresh Debian 12")
    done = subprocess.run(["debootstrap", "--variant=minbase", "bookworm", folder, MIRROR], capture_output=True, text=True, check=False)
    expect(done.returncode == 0, f"debootstrap failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def say(text: str) -> None:
    print(text, flush=True)


def expect(condition: bool, text: str) -> None:
    if not condition:
        sys.exit(f"{Path(sys.argv[0]).name}: {text}")


def tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-25:])


def poll(seconds: float):
    """Yields every 0.2 s until `seconds` have passed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def score(port: int, key: str, pictures: Path) -> float:
    """The score of two pictures of one person, compared by the service at `port`."""
    boundary = uuid.uuid4().hex
    body = b""
    for name, file in [("referenceImage", "obama.jpg"), ("candidateImage", "obama2.jpg")]:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\nContent-Type: image/jpeg\r\n\r\n'
        body += head.encode() + (pictures / file).read_bytes() + b"\r\n"
    for name in ("referenceImageType", "candidateImageType"):
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\nSELFIE\r\n'.encode()
    body += f"--{boundary}--\r\n".encode()
    headers = {"apikey": key, "Content-Type": f"multipart/form-data; boundary={boundary}"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/bioserver-app/v2/match/images", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = response.read()
    except urllib.error.HTTPError as error:
        sys.exit(f"the service refuses the comparison: {error.code} {error.read()[:400]}")
    found = re.search(rb'"score"\s*:\s*(-?[\d.]+)', answer)
    expect(found is not None, f"the answer has no score: {answer[:400]}")
    return float(found[1])


@contextlib.contextmanager
def servers(work: Path, secrets: Path):
    """RabbitMQ and Redis with the configuration of compose.yaml, on free ports, which this writes into `faceline.toml`."""
    redis, amqp, distribution, epmd = free_port(), free_port(), free_port(), free_port()
    home = work / "servers"
    home.mkdir()
    (home / "plugins").write_text("[].")
    compose = ROOT / "deploy/compose"
    (home / "rabbitmq.conf").write_text(f"listeners.tcp.default = 127.0.0.1:{amqp}\n" + (compose / "rabbitmq.conf").read_text()
                                        + (secrets / "rabbitmq.conf").read_text())
    included = (secrets / "redis.conf").read_text().replace("/etc/redis/faceline.conf", str(compose / "redis.conf"))
    (home / "redis.conf").write_text(f"{included}port {redis}\nbind 127.0.0.1\n")
    settings = secrets / "shared/faceline.toml"
    text = settings.read_text()
    for name, here in [("@rabbitmq", f"@127.0.0.1:{amqp}"), ("@redis:6379", f"@127.0.0.1:{redis}")]:
        expect(name in text, f"{settings} does not name {name}")
        text = text.replace(name, here)
    settings.write_text(text)
    scripts = "/usr/lib/rabbitmq/bin"
    rabbitmq = {
        "PATH": f"{scripts}:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(home), "RUNNING_UNDER_SYSTEMD": "true",
        "ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": str(epmd), "RABBITMQ_NODENAME": f"image{amqp}@localhost",
        "RABBITMQ_CONF_ENV_FILE": str(home / "none"), "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"), "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(home / "data"), "RABBITMQ_LOG_BASE": str(home / "log"), "RABBITMQ_PID_FILE": str(home / "pid"),
    }
    commands = [
        (["epmd", "-address", "127.0.0.1", "-port", epmd], None),
        (["redis-server", home / "redis.conf"], None),
        ([f"{scripts}/rabbitmq-server"], rabbitmq),
    ]
    log_path = work / "servers.log"
    log = log_path.open("w")
    started = [subprocess.Popen(list(map(str, command)), cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True)
               for command, environment in commands]
    try:
        for port in (redis, amqp):
            for _ in poll(90):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                if any(process.poll() is not None for process in started):
                    sys.exit(f"a server ended\n{log_path.read_text()[:4000]}")
            else:
                sys.exit(f"nothing listens on port {port}\n{tail(log_path)}")
        yield
    finally:
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()
