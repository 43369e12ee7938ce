"""Options that several commands share, and what their values become."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from strongroom.cli.known import Known
from strongroom.cli.output import as_json
from strongroom.objects import ObjectStore, open_store
from strongroom.sealing.keys import Identity
from strongroom.terms.digests import parse_digest

F = TypeVar("F", bound=Callable[..., Any])

FREEZABLE = ("model", "person", "device", "zone", "workload")
VERSION = Known("VERSION", "version", "alias")
MODEL = Known("MODEL", "model")
PROPOSAL = Known("PROPOSAL", "statement")
GRANT = Known("GRANT", "grant")

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])\Z")


class PathText(click.Path):
    """A path that is not empty: an unset variable of the shell must not mean the working folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Return the path, or fail as wrong usage."""
        if not str(value):
            self.fail("a path is empty", parameter, context)
        return super().convert(value, parameter, context)


class Duration(click.ParamType[int]):
    """So many seconds, written like `90s`, `30m`, `4h`, `2d`."""

    name = "duration"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return an example."""
        return "4h"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int:
        """Return the seconds, or fail as wrong usage."""
        if isinstance(value, int):
            return value
        if not (found := _DURATION.match(value)):
            self.fail(f"`{value}` is no duration: write `90s`, `30m`, `4h` or `2d`", parameter, context)
        return int(found[1]) * _UNITS[found[2]]


def _store(context: click.Context, parameter: click.Parameter, value: str | None) -> ObjectStore | None:
    # For completion, nothing is opened.
    return None if value is None or context.resilient_parsing else open_store(value)


def _identity(context: click.Context, parameter: click.Parameter, value: str | None) -> Identity | None:
    from strongroom.client.identity import read_identity

    return None if value is None or context.resilient_parsing else read_identity(value)


def _digest(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    return None if value is None else parse_digest(value)


json_option = click.option(
    "--json",
    "json_",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=as_json,
    help="Print the result as JSON.",
)


def _store_option(without: str | None) -> Callable[[F], F]:
    """Return the option `--store`: what is used `without` it, or with `None` that it is required."""
    help_ = "Where sealed versions rest: `file:///folder` or `s3://bucket/prefix`."
    return click.option(
        "--store",
        required=without is None,
        default=None,
        envvar="STRONGROOM_STORE",
        callback=_store,
        metavar="URL",
        help=help_ if without is None else f"{help_} [default: {without}]",
    )


store_option = _store_option(None)
keep_store_option = _store_option("through the gateway")
listed_store_option = _store_option("your deployment")
threads_option = click.option(
    "--threads",
    type=click.IntRange(1, 256),
    default=None,
    help="How many threads work side by side. [default: one for each processor]",
)
manifest_option = click.option(
    "--manifest",
    "digest",
    default=None,
    callback=_digest,
    metavar="sha256:…",
    help="Insist on the very version whose manifest has this digest, as `seal` printed it.",
)


output_option = click.option(
    "-o", "--output", required=True, type=PathText(), metavar="FILE", help="Where it goes; nothing is overwritten."
)
yes_option = click.option(
    "--yes", default=None, metavar="WORDS", help="For scripts: the digest words that you compared; no others are taken."
)
reason_option = click.option("--reason", required=True, metavar="TEXT", help="Why: kept beside the log.")
purpose_option = click.option("--purpose", required=True, metavar="TEXT", help="What for: approvers read it.")


def socket_option(*, required: bool) -> Callable[[F], F]:
    """Return the option `--socket`."""
    return click.option(
        "--socket",
        required=required,
        type=PathText(),
        default=None,
        metavar="PATH",
        help="The keep's socket." if required else "The keep's socket. [default: the profile's]",
    )


def identity_option(*, required: bool) -> Callable[[F], F]:
    """Return the option `--identity`."""
    return click.option(
        "--identity",
        required=required,
        envvar="STRONGROOM_IDENTITY",
        callback=_identity,
        metavar="FILE",
        help="The identity that the version was sealed to.",
    )
