"""What the keep does to its own process, asked of the kernel. Each test in a process of its own."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import textwrap
from typing import Any

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs to change limits and user")

# When run by root the child becomes nobody, and dumpable again, as any user's process is before it is hardened.
BEGIN = """
import ctypes, json, os, resource, sys, tempfile
from strongroom.keep import hardening
from strongroom.terms.errors import NotHardened
libc = ctypes.CDLL(None)
if os.geteuid() == 0:
    if locked := os.environ.get("LOCKED"):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (int(locked), int(locked)))
    os.setgroups([]); os.setgid(65534); os.setuid(65534); libc.prctl(4, 1, 0, 0, 0)
"""

# Another process of the same user tries to read the memory of the first and to attach to it.
SPY = """
def spy():
    told, tell = os.pipe()
    if os.fork() == 0:
        try:
            open(f"/proc/{os.getppid()}/mem", "rb").close(); mem = "read"
        except PermissionError:
            mem = "refused"
        attached = libc.ptrace(16, os.getppid(), 0, 0) == 0
        if attached:
            os.waitpid(os.getppid(), 0x40000000); libc.ptrace(17, os.getppid(), 0, 0)
        os.write(tell, f"{mem} {attached}".encode()); os._exit(0)
    os.close(tell)
    said = os.read(told, 100).decode()
    os.wait()
    return said
"""


def run(body: str, **popen: Any) -> Any:
    """Run `body` in a new process and return what it prints, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + SPY + textwrap.dedent(body)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        **popen,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_no_process_of_the_same_user_reads_its_memory_or_traces_it() -> None:
    before, after, owner = run("""
        before = spy()
        hardening.harden()
        print(json.dumps([before, spy(), os.stat("/proc/self/mem").st_uid]))
    """)
    assert before.startswith("read ")  # so the spy would have seen it
    assert after == "refused False"
    assert owner == 0


def test_the_kernel_says_that_it_is_hardened() -> None:
    status, limits, answers = run("""
        hardening.harden()
        hardening.check_hardened()
        told = [open("/proc/self/" + name).read() for name in ("status", "limits")]
        print(json.dumps([*told, libc.prctl(3, 0, 0, 0, 0)]))
    """)
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    assert fields["NoNewPrivs"] == "1"
    assert fields["Umask"] == "0077"
    (core,) = [line.split() for line in limits.splitlines() if line.startswith("Max core file size")]
    assert core[4:6] == ["0", "0"]
    assert answers == 0


@pytest.mark.parametrize(
    ("undone", "missing"),
    [
        ("libc.prctl(4, 1, 0, 0, 0)", "the process is dumpable"),
        ("os.umask(0o022)", "new files may be open to others"),
    ],
)
def test_what_is_undone_is_missed(undone: str, missing: str) -> None:
    said = run(f"""
        hardening.harden()
        {undone}
        try:
            hardening.check_hardened()
        except NotHardened as error:
            print(json.dumps(error.message))
    """)
    assert said == f"the keep cannot protect its keys: {missing}"


def test_a_process_that_was_not_hardened_is_refused_and_everything_missing_is_named() -> None:
    said = run("""
        os.umask(0o022)
        try:
            hardening.check_hardened()
        except NotHardened as error:
            print(json.dumps(error.message))
    """)
    for missing in ("core dumps", "dumpable", "new privileges", "new files"):
        assert missing in said


def test_a_core_limit_that_could_be_raised_again_is_not_enough() -> None:
    said = run("""
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        hardening.harden()
        kept = resource.getrlimit(resource.RLIMIT_CORE)
        print(json.dumps([kept, hard != 0]))
    """)
    assert said[0] == [0, 0]
    assert said[1] or resource.getrlimit(resource.RLIMIT_CORE)[1] == 0


def test_inherited_descriptors_are_closed_but_for_those_that_are_named() -> None:
    one, two = os.pipe()
    for end in (one, two):
        os.set_inheritable(end, True)
    left = run(
        f"""
        before = os.listdir("/proc/self/fd")
        hardening.harden(keep_open=[{two}])
        def is_open(n):
            try:
                os.fstat(n)
            except OSError:
                return False
            return True
        print(json.dumps([len(before), [n for n in range(256) if is_open(n)]]))
    """,
        pass_fds=[one, two],
    )
    os.close(one)
    os.close(two)
    assert left[0] >= 5
    assert left[1] == sorted([0, 1, 2, two])


def test_a_closed_standard_descriptor_is_not_left_for_the_journal_to_take() -> None:
    """The attack: start the keep with standard error closed, and its messages go into the first file that it opens."""
    said = run("""
        os.close(0); os.close(2)
        hardening.harden()
        print(json.dumps([os.readlink(f"/proc/self/fd/{n}") for n in (0, 2)] + [os.open("/dev/zero", os.O_RDONLY)]))
    """)
    assert said[:2] == ["/dev/null", "/dev/null"]
    assert said[2] > 2


def test_new_files_are_ours_alone() -> None:
    said = run("""
        hardening.harden()
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(folder + "/a"); open(folder + "/b", "w").close()
            print(json.dumps([oct(os.stat(folder + "/" + name).st_mode & 0o777) for name in "ab"]))
    """)
    assert said == ["0o700", "0o600"]


@needs_root
@pytest.mark.parametrize(("limit", "locked"), [(256 << 20, False), (resource.RLIM_INFINITY, True)])
def test_memory_is_locked_only_where_there_is_no_limit(limit: int, locked: bool) -> None:
    """Under a limit, locking would succeed at first, and memory run out once the limit is reached."""
    highest = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    if highest != resource.RLIM_INFINITY and not 0 < limit <= highest:
        pytest.skip(f"the limit here is {highest} bytes at most")
    said = run(
        """
        hardening.harden()
        blocks = [bytearray(1 << 20) for _ in range(300)]
        print(json.dumps(hardening._status("VmLck") not in ("", "0 kB")))
        """,
        env={**os.environ, "LOCKED": str(limit)},
    )
    assert said is locked


@needs_root
def test_with_the_right_to_lock_memory_it_is_locked() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from strongroom.keep.hardening import *; harden(); print(open('/proc/self/status').read())",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"VmLck:\s+[1-9]", done.stdout)
