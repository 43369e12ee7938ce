"""The benchmark: how fast sealing and opening are, against the machine's limits and against other public tools.

    make bench
    python bench/bench.py --quick
    python bench/bench.py --only keep       # needs none of the other tools
    python bench/bench.py --only gateway    # nor does this

Everything happens in one memory-backed file system, in one run; the keep's log alone lies on a disk, for it is synced.
Subjects take turns in rounds, after one that does not count; what is printed is medians, and ratios within a round.
Tables go to standard output, progress beside them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from chart import draw
from costs import measure_costs
from gateway_speed import measure_gateway
from growth import measure_growth
from keep_speed import measure_keep
from machine import check_place, check_tools, describe, load, room_bytes
from measure import Section, say
from model import MIB, Model, make_sharded, make_single
from reading import measure_cryptotensors, measure_read, measure_tensor, measure_threads
from sealed import SealedModel
from subjects import PROCESSORS
from table import as_json, as_markdown, check_page, summary, write_page
from writing import measure_disk, measure_seal

SIZES_MIB = (1, 4, 16, 64, 256, 1024, 2048, 4096)
PARTS = ("read", "cryptotensors", "tensor", "threads", "seal", "costs", "disk", "growth", "keep", "gateway")
ALONE = {"keep", "gateway"}
"""Measured against no other tool."""


def main() -> None:
    options = parse_options()
    others = set(options.only) - ALONE
    if others:
        check_tools()
    if options.page:
        check_page(options.page)
    # The most that stands in memory at once: a model, sealed and opened, and the buffers to compare with.
    if others:
        check_place(options.folder, int(max(6.5 * options.size, 3.2 * max(options.sizes)) * MIB))
    said = describe(others=bool(others))
    print(f"{said}\nRounds: {options.rounds}, {load()} at the start.\n", flush=True)
    sections: list[Section] = []
    try:
        with tempfile.TemporaryDirectory(prefix="strongroom-bench-", dir=options.folder) as scratch:
            for section in measure(Path(scratch), options):
                sections.append(section)
                print(as_markdown(section), flush=True)
    finally:  # what was measured is kept, whatever ends the run
        found = list(map(as_json, sections))
        if options.json:
            kept = {"machine": said, "rounds": options.rounds, "sections": found}
            options.json.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    print(summary(sections))
    if options.page:
        write_page(options.page, said, options.rounds, sections)
        if "disk" in options.only:
            options.page.with_suffix(".svg").write_text(draw(found))


def measure(scratch: Path, options: argparse.Namespace) -> Iterator[Section]:
    """Yield section after section, with no more in memory than each needs."""
    parts, rounds = {*options.only}, options.rounds
    if parts - {"disk", "growth", *ALONE}:
        say("making a model of one file")
        yield from measure_model(scratch / "single", make_single(scratch / "model", options.size), options)
        shutil.rmtree(scratch / "model")
    if "read" in parts:
        say("making a model of many shards")
        sealed = SealedModel(scratch / "sharded", make_sharded(scratch / "model", options.size), PROCESSORS)
        sealed.seal()
        yield measure_read(sealed, rounds)
        shutil.rmtree(scratch / "sharded")
        shutil.rmtree(scratch / "model")
    if "disk" in parts:
        # Every tool brings a sealed copy of its own: where memory is short, they do it with a smaller model.
        size = min(options.size, room_bytes(scratch) // (10 * MIB) // 256 * 256 or options.size)
        for make in (make_single, make_sharded):
            say("disk: each tool seals a model")
            yield measure_disk(scratch / "disk", make(scratch / "model", size), rounds, PROCESSORS)
            shutil.rmtree(scratch / "disk")
            shutil.rmtree(scratch / "model")
    if "growth" in parts:
        say("growth: models of many sizes")
        yield from measure_growth(scratch / "growth", options.sizes, rounds, PROCESSORS)
    if "keep" in parts:
        say("keep: a deployment with a long log")
        with tempfile.TemporaryDirectory(prefix="strongroom-bench-", dir=options.disk) as place:
            yield from measure_keep(Path(place) / "keep", rounds, quick=options.quick)
    if "gateway" in parts:
        say("gateway: a trial, with an S3 server")
        with tempfile.TemporaryDirectory(prefix="strongroom-bench-", dir=options.disk) as place:
            yield from measure_gateway(Path(place) / "disk", scratch / "gateway", rounds, quick=options.quick)


def measure_model(home: Path, model: Model, options: argparse.Namespace) -> Iterator[Section]:
    """Yield what is measured of the model of one file."""
    sealed = SealedModel(home / "sealed", model, PROCESSORS)
    sealed.seal()
    for part, work in {
        "read": partial(measure_read, sealed),
        "cryptotensors": partial(measure_cryptotensors, sealed, home / "cryptotensors"),
        "tensor": partial(measure_tensor, sealed),
        "threads": partial(measure_threads, sealed),
        "seal": partial(measure_seal, home / "seal", sealed),
        "costs": partial(measure_costs, home / "costs", sealed),
    }.items():
        if part in options.only:
            say(f"  {part}")
            yield work(options.rounds)
            shutil.rmtree(home / part, ignore_errors=True)
    shutil.rmtree(home)


def parse_options() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure Strongroom against the machine and against other tools.")
    parser.add_argument("--quick", action="store_true", help="256 MiB and 3 rounds: does it work at all?")
    parser.add_argument("--rounds", type=int, help="how often each subject has its turn (default: 5)")
    parser.add_argument("--size", type=int, metavar="MIB", help="size of both models (default: 2048)")
    parser.add_argument("--only", action="append", choices=PARTS, help="only this part; may be repeated")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="in a memory-backed file system")
    parser.add_argument("--disk", type=Path, default=Path("/var/tmp"), help="on a real disk, for the keep's log: 5 GiB")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round to FILE as well")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write tables and chart into docs/benchmarks.md")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 5)
    options.size = options.size or (256 if options.quick else 2048)
    options.sizes = [
        size for size in SIZES_MIB if size <= max(256, 2 * options.size) and not (options.quick and size > 256)
    ]
    options.only = [part for part in PARTS if part in (options.only or PARTS)]
    return options


if __name__ == "__main__":
    main()
