"""Hardening: what the keep does to its own process before it holds a key.

- no core dump, and not dumpable: another process of the same user can neither trace it nor read its memory
- no new privileges, files of mode 0600, no descriptor that whoever started it left open
- memory kept out of swap where the limit on locked memory allows; `strongroom doctor` says whether there is swap

ORDER: after `exec` and after any change of user, for both make a process dumpable again; before the first key.
The environment works on a process before its first line runs, so it is made for the `exec`, not mended after it.
"""

import ctypes
import os
import re
import resource
from collections.abc import Collection
from pathlib import Path

from strongroom.terms.errors import NotHardened

_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4
_PR_SET_NO_NEW_PRIVS, _PR_GET_NO_NEW_PRIVS = 38, 39
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_CAP_IPC_LOCK = 14
_libc = ctypes.CDLL(None)
_libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]


def harden(keep_open: Collection[int] = ()) -> None:
    """Harden this process. Closes every descriptor but the standard three and `keep_open`.

    Raises:
        NotHardened: something that must hold does not.
    """
    # The soft limit alone could be raised again by whoever gets to run a line in here.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    os.umask(0o077)
    _close_inherited(keep_open)
    if _may_lock_memory():
        _libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)
    check_hardened()


def check_hardened() -> None:
    """Refuse to go on in a process that does not have what `harden` must give it.

    Raises:
        NotHardened: it names everything that is missing.
    """
    held = {
        "core dumps are possible": resource.getrlimit(resource.RLIMIT_CORE) == (0, 0),
        "the process is dumpable": _prctl(_PR_GET_DUMPABLE, 0) == 0,
        "new privileges are possible": _prctl(_PR_GET_NO_NEW_PRIVS, 0) == 1,
        "new files may be open to others": _status("Umask") == "0077",
    }
    if missing := [what for what, holds in held.items() if not holds]:
        raise NotHardened("the keep cannot protect its keys: " + ", ".join(missing))


def _prctl(option: int, value: int) -> int:
    answer: int = _libc.prctl(option, value, 0, 0, 0)
    return answer


def _close_inherited(keep_open: Collection[int]) -> None:
    # A standard descriptor that is closed would be given to the next file opened, the journal say, and every
    # message of the interpreter would be written into it.
    while os.open(os.devnull, os.O_RDWR) <= 2:
        pass
    for name in os.listdir("/proc/self/fd"):
        if (descriptor := int(name)) > 2 and descriptor not in keep_open:
            os.closerange(descriptor, descriptor + 1)  # the listing's own is closed already


def _may_lock_memory() -> bool:
    """Return whether locking has no limit. Under one, it would succeed now and memory run out later."""
    privileged = int(_status("CapEff"), 16) >> _CAP_IPC_LOCK & 1
    return privileged == 1 or resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY


def _status(field: str) -> str:
    found = re.search(rf"^{field}:\s*(.*)$", Path("/proc/self/status").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""
