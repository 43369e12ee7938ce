"""`strongroom doctor`: what is unsafe about this installation, why it matters, and how to mend it."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import stat
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from strongroom.cli import here
from strongroom.cli.options import PathText, json_option
from strongroom.cli.output import count, note, show
from strongroom.terms.errors import NotFound, Refused, StrongroomError

if TYPE_CHECKING:
    from strongroom.client.deployment import Deployment
    from strongroom.client.profile import Profile

OLDEST_SECONDS = 60
_TIME_ERROR = 5
_TIMEX_BYTES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something unsafe. `check` is a stable word for it."""

    check: str
    what: str
    why: str
    mend: str


@click.command()
@click.option("--journal", type=PathText(), default=None, metavar="DIR", help="On the keep's host: its journal too.")
@click.option("--high-water", type=PathText(), default=None, metavar="FILE", help="On the keep's host: that file too.")
@json_option
def doctor(journal: Path | None, high_water: Path | None) -> None:
    """Say what is unsafe here: permissions, libraries, clock, swap, core dumps, software keys, a stale log.

    Exit code 0 where nothing is, 4 where something is. Looks only; changes nothing.
    """
    findings = [*machine_findings(Path("/")), *library_findings(), *clock_findings(), *profile_findings()]
    if journal is not None:
        findings += journal_findings(journal, high_water)
    lines = []
    for one in findings:
        lines += [f"UNSAFE: {one.what}", f"  why:  {one.why}", f"  mend: {one.mend}"]
    show({"findings": [asdict(one) for one in findings]}, lines or ["nothing unsafe was found"])
    if findings:
        note(f"{count(len(findings), 'thing')} unsafe")
        click.get_current_context().exit(Refused.exit_code)


def machine_findings(root: Path) -> Iterator[Finding]:
    """Yield what is unsafe about this machine and shell, whose `/proc` is below `root`."""
    swaps = [line.split()[0] for line in _lines(root / "proc/swaps")[1:] if line.split()]
    if on_disk := [one for one in swaps if not one.startswith("/dev/zram")]:
        yield Finding(
            check="swap",
            what=f"memory is swapped to {', '.join(on_disk)}",
            why="keys and open weights may be written to a disk, and stay there",
            mend="turn swap off (`swapoff -a`), or encrypt it with a key that is made anew at each start",
        )
    if resource.getrlimit(resource.RLIMIT_CORE)[0] != 0:
        yield Finding(
            check="core-dumps",
            what="a program that crashes leaves a copy of its memory (core dumps are on)",
            why="session keys, file keys and open weights would lie in a file",
            mend="turn them off: `ulimit -c 0`, for good in /etc/security/limits.conf (`* hard core 0`)",
        )
    if "".join(_lines(root / "proc/sys/kernel/core_pattern")[:1]).startswith("|"):
        yield Finding(
            check="core-handler",
            what="core dumps are piped to a program, whatever the limits say",
            why="session keys, file keys and open weights would reach that program and its store",
            mend="`sysctl kernel.core_pattern=core`, or have the handler keep nothing (systemd: `Storage=none`)",
        )
    if _lines(root / "proc/sys/kernel/yama/ptrace_scope")[:1] == ["0"]:
        yield Finding(
            check="ptrace",
            what="any program of yours may read the memory of any other (ptrace_scope is 0)",
            why="one compromised program takes the session key of the next",
            mend="`sysctl kernel.yama.ptrace_scope=1`, for good in /etc/sysctl.d",
        )


def library_findings() -> Iterator[Finding]:
    """Yield libraries that are older than what we rely on."""
    import apsw
    import cryptography

    for name, found, floor, why in (
        ("SQLite", apsw.sqlite_lib_version(), "3.51.3", "older ones can corrupt a journal that is shared"),
        ("cryptography", cryptography.__version__, "50", "older ones lack the hybrid post-quantum key exchange"),
    ):
        if _numbers(found) < _numbers(floor):
            yield Finding(
                check="library",
                what=f"{name} {found} is older than {floor}",
                why=why,
                mend="install the libraries that Strongroom was locked with",
            )


def clock_findings() -> Iterator[Finding]:
    """Yield whether the kernel knows its clock to be off; nothing where it does not say."""
    clock = ctypes.create_string_buffer(_TIMEX_BYTES)
    libc = ctypes.CDLL(None)
    if hasattr(libc, "adjtimex") and libc.adjtimex(clock) == _TIME_ERROR:
        yield Finding(
            check="clock",
            what="this machine's clock is not synchronised",
            why="statements count within a minute of the keep's time, and grants end by the clock",
            mend="run a time service (chrony or systemd-timesyncd), with authenticated servers if you can",
        )


def profile_findings() -> Iterator[Finding]:
    """Yield what is unsafe about the profile, its keys, its copy of the log and its way to the keep."""
    try:
        own = here.profile()
        own.key()
    except NotFound:
        return
    except StrongroomError as error:
        yield Finding(
            check="profile",
            what=error.message,
            why="whoever reads the profile can be you, and whoever writes it can give you keys of theirs",
            mend=error.hint,
        )
        return
    from strongroom.client.profile import SOFTWARE

    if own.who.security_key == SOFTWARE and own.who.subject.startswith(here.PERSON):
        yield Finding(
            check="software-key",
            what="A SOFTWARE SECURITY KEY: nobody touches anything, whoever reads your files can be you",
            why="a stolen backup or a program of yours approves, freezes and opens in your name",
            mend="propose a real one with `strongroom propose credential.add`, then remove this one",
        )
    if own.who.deployment is not None:
        yield from _deployment_findings(own)


def _deployment_findings(own: Profile) -> Iterator[Finding]:
    from strongroom.client.joining import connect

    if own.who.socket is not None:
        folder = Path(own.who.socket).parent
        yield from _place_findings("socket", folder, "whoever can replace the socket can stand in for the keep")
    try:
        deployment = connect(own)
    except StrongroomError as error:
        yield Finding(check="log", what=error.message, why="nothing in that copy can be believed", mend=error.hint)
        return
    replica = deployment.replica
    try:
        deployment.sync()
    except StrongroomError as error:
        yield Finding(
            check="stale",
            what=f"the log cannot be followed: {error.message}",
            why="a freeze, a removal or a false entry would not be noticed here",
            mend=error.hint,
        )
    now = time.time()
    if replica.keep_time is not None and abs(now - replica.keep_time) > OLDEST_SECONDS:
        apart = round(now - replica.keep_time)
        yield Finding(
            check="keep-time",
            what=f"the newest checkpoint is {apart} s old by this clock",
            why="something newer may be withheld; or a clock is off, and what you sign is refused",
            mend="check this clock and the keep's; compare checkpoints with a colleague (`strongroom log verify`)",
        )
    if replica.checkpoint is not None:
        yield from _directory_findings(deployment)


def _directory_findings(deployment: Deployment) -> Iterator[Finding]:
    directory = deployment.directory
    soft = {
        one.person for one in directory.credentials.values() if one.software and not (one.removed or one.compromised)
    }
    if directory.acceptance.software_keys or soft:
        yield Finding(
            check="software-keys",
            what=f"SOFTWARE SECURITY KEYS: {count(len(soft), 'person')} with one, and this deployment "
            f"{'takes more' if directory.acceptance.software_keys else 'takes no more'}",
            why="their files are enough to be them; from label 3 they neither open nor count",
            mend="enrol real keys, remove these, then `strongroom propose acceptance.change`",
        )
    if directory.trial:
        yield Finding(
            check="trial",
            what="this is a trial: one person alone does everything, and the root key lies in a plain file",
            why="whoever has that person's files, or the keep's, has the models",
            mend="found a real deployment for anything above label 2: `strongroom deployment --help`",
        )


def journal_findings(journal: Path, high_water: Path | None) -> Iterator[Finding]:
    """Yield what is unsafe about where the keep's journal rests."""
    yield from _place_findings("journal", journal, "the journal is all that the keep knows")
    if not journal.is_dir() or not os.access(journal, os.R_OK | os.X_OK):
        note(f"`{journal}` cannot be looked into: run this as the keep's user")
        return
    for file in sorted(journal.iterdir()):
        yield from _place_findings("journal", file, "the journal is all that the keep knows")
    if high_water is None:
        return
    yield from _place_findings("high-water", high_water, "it is how the keep knows an older journal put in its place")
    if high_water.exists() and journal.resolve() in high_water.resolve().parents:
        yield Finding(
            check="high-water",
            what=f"`{high_water}` lies inside the journal",
            why="a backup of the journal put in its place would bring its own with it",
            mend="keep it outside, best on another disk, and out of the journal's backups",
        )


def _place_findings(check: str, place: Path, why: str) -> Iterator[Finding]:
    try:
        found = place.lstat()
    except OSError as error:
        yield Finding(
            check=check,
            what=f"`{place}` cannot be seen: {error.strerror}",
            why=why,
            mend="check the place and its owner",
        )
        return
    if stat.S_ISLNK(found.st_mode):
        yield Finding(check=check, what=f"`{place}` is a symlink", why=why, mend="put the thing itself there")
    elif found.st_mode & 0o077:
        yield Finding(
            check=check,
            what=f"`{place}` is open to others (mode {stat.S_IMODE(found.st_mode):04o})",
            why=why,
            mend=f"close it: `chmod go-rwx {place}`",
        )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"[0-9]+", version)[:3])
