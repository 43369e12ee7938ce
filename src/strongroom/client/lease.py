"""Lease: a version that is open stays open only while the keep goes on saying so.

Before further bytes are opened, there is a renewal at most 5 s old. A renewal is the keep's answer to the very release
statement that was sent first: the keep decides again, and signs again (`answers`).

1. It is counted from before the question was sent, by a clock that nobody sets and that goes on while the machine
   sleeps.
2. The keep's own time in it is no older either. The first answer, to a question with a fresh key in it, was signed
   after that was sent: so the keep's clock is ahead of ours by less than `_ahead`. An older answer, played back, is
   too old by that measure, whoever holds it back and for how long.
3. While the keep cannot be asked, reading pauses, until the lease ends.
4. A refusal ends the lease at once, and with it the keys here. Where only the session or the statement is over, and at
   the end of the lease, a new release is asked for: a new entry, decided anew.

TRUST: the entry was proven when it was released; a renewal is the keep's own word about it, and asks nothing of the
log. A gateway between can refuse in the keep's name, which ends the lease as withholding would: it opens nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from strongroom.client.answers import Release
from strongroom.client.mark import Clock, boot_seconds
from strongroom.terms.errors import NotNow, StrongroomError, Tampered, Unavailable, UnknownSigner
from strongroom.terms.outer_errors import LeaseEnded

FRESH_SECONDS = 5.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 1.0

_log = logging.getLogger("strongroom")


class Lease:
    """The lease of one version that is open. Threads share it: one asks, the others wait for what it is told."""

    def __init__(
        self, release: Release, anew: Callable[[], Release], *, called: str, monotonic: Clock = boot_seconds
    ) -> None:
        """Begin with `release`, just made. `anew` makes another of the same version, or raises why there is none."""
        self._anew, self._called, self._monotonic = anew, called, monotonic
        self._asking = threading.Lock()
        self._ended: str | None = None
        self._when_ended: Callable[[], None] = lambda: None
        self._take(release)

    @property
    def left_seconds(self) -> float:
        """How long it lasts unless it is ended before; 0 or less when it is over."""
        return self._ends_at - self._monotonic()

    def when_ended(self, forget: Callable[[], None]) -> None:
        """Have `forget` called once it has ended."""
        self._when_ended = forget

    def check(self, stopped: threading.Event | None = None) -> None:
        """Return when further bytes may be opened: at once, as a rule. `stopped` ends a pause.

        Raises:
            LeaseEnded: they may not, nor will they.
            BadAnswer, BadSignature, …: what answers is not the keep.
        """
        if self._monotonic() >= self._fresh_until:
            self._renew(stopped if stopped is not None else threading.Event())

    def close(self) -> None:
        """End it from this side."""
        self._end("it was closed")

    def _renew(self, stopped: threading.Event) -> None:
        with self._asking:
            pause = FIRST_PAUSE_SECONDS
            while True:
                if self._ended is not None:
                    raise LeaseEnded(self._ended)
                if self._monotonic() < self._fresh_until:
                    return
                try:
                    self._ask()
                except Unavailable as error:
                    # 3
                    if self.left_seconds <= 0:
                        raise self._end(f"it could not be renewed in time: {error.message}") from error
                    if stopped.wait(min(pause, self.left_seconds)):
                        raise
                    pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                except Tampered:
                    raise
                except StrongroomError as error:
                    raise self._end(f"the keep does not renew it: {error.message}") from error

    def _ask(self) -> None:
        if self.left_seconds > 0:
            try:
                if self._is_renewed():
                    return
            except (UnknownSigner, NotNow) as error:
                _log.info("a new release of %s is asked for: %s", self._called, error.message)
        # 4
        self._take(self._anew())

    def _is_renewed(self) -> bool:
        sent = self._monotonic()
        at = self._release.due.verify(self._release.ask(FRESH_SECONDS)).at
        # 1, 2
        fresh_until = min(sent, at - self._ahead) + FRESH_SECONDS
        if fresh_until <= self._monotonic():
            _log.warning(
                "an answer for %s is older than its question: played back, or a clock was set back", self._called
            )
            return False
        self._fresh_until = min(fresh_until, self._ends_at)
        return True

    def _take(self, release: Release) -> None:
        self._release = release
        self._ahead = release.at + 1 - release.sent  # the keep signs whole seconds
        self._ends_at = release.sent + release.expires_at - release.at
        self._fresh_until = min(release.sent + FRESH_SECONDS, self._ends_at)

    def _end(self, why: str) -> LeaseEnded:
        self._ended = self._ended or f"the lease of {self._called} has ended: {why}"
        self._fresh_until = float("-inf")
        self._when_ended()
        return LeaseEnded(self._ended)
