"""Growth: how time and memory follow the size of the model. Both should: time in proportion, memory not at all."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from measure import Row, Section, ratios, run, say, take_turns
from model import MIB, Model, make_single
from sealed import SealedModel
from subjects import VERSION, Strongroom

PEAK_TARGET_MIB, LINEAR_TARGET = 128.0, 0.8
_SETTLED_MIB = 256


def measure_growth(folder: Path, sizes_mib: Sequence[int], rounds: int, threads: int) -> tuple[Section, Section]:
    """Return the tables of throughput by size and of peak memory by size."""
    rates: dict[str, dict[int, tuple[float, ...]]] = {"sealed": {}, "opened to memory": {}, "opened to disk": {}}
    peaks = []
    for size in sizes_mib:
        say(f"  {size} MiB")
        home = folder / f"{size}"
        model = make_single(home / "model", size)
        sealed = SealedModel(home / "sealed", model, threads)
        sealed.seal()
        taken = take_turns(
            {
                "sealed": sealed.seal,
                "opened to memory": sealed.load,
                "opened to disk": partial(sealed.extract, home / "opened"),
            },
            rounds,
        )
        for kind, seconds in taken.items():
            rates[kind][size] = seconds
        shutil.rmtree(sealed.home)
        if size >= _SETTLED_MIB:
            peaks += _measure_peak(home, model)
        shutil.rmtree(home)
    return _throughput(rates), _peak_memory(peaks)


def _throughput(rates: dict[str, dict[int, tuple[float, ...]]]) -> Section:
    rows = []
    for kind, by_size in rates.items():
        settled = by_size.get(_SETTLED_MIB, by_size[max(by_size)])
        for size, seconds in by_size.items():
            against = tuple(size / _SETTLED_MIB * value for value in ratios(settled, seconds))
            is_last = size == max(by_size) and size > _SETTLED_MIB
            rows.append(
                Row(
                    what=f"{kind}, {size} MiB",
                    size_bytes=size * MIB,
                    seconds=seconds,
                    ratios=against,
                    target=LINEAR_TARGET if is_last else None,
                )
            )
    return Section(
        title="Time by size",
        note=f"In process, one file. The ratio is of throughput, against that at {_SETTLED_MIB} MiB: time is linear "
        "where it stays near 1. Below 16 MiB what every version costs, the manifest and its directories, shows.",
        rows=tuple(rows),
    )


def _measure_peak(home: Path, model: Model) -> list[Row]:
    """Seal and open `model` once each with the command, watching its memory; it does not differ from round to round."""
    subject = Strongroom(home / "command", model)
    idle = _peak_mib(home, "idle")
    public = ("--as", VERSION, "--to", subject.public_key, "--store", subject.store)
    opening = (VERSION, "--identity", subject.identity, "--store", subject.store, "--to", home / "opened")
    found = {
        "sealing": _peak_mib(home, "seal", model.folder, *public),
        "opening to disk": _peak_mib(home, "open", *opening),
    }
    return [
        Row(
            what=f"{kind}, {model.size_bytes // MIB} MiB",
            ratios=(peak - idle,),
            unit=" MiB",
            target=PEAK_TARGET_MIB,
            at_most=True,
        )
        for kind, peak in found.items()
    ]


def _peak_mib(home: Path, *arguments: str | Path) -> float:
    file = home / "peak"
    run(sys.executable, Path(__file__).with_name("peak.py"), file, *arguments)
    return int(file.read_text()) / 1024


def _peak_memory(rows: list[Row]) -> Section:
    return Section(
        title="Peak memory above idle",
        note="`VmHWM` of the command's process less that of one with the same imports and no work. Pages of files in "
        "the memory-backed file system are not part of it.",
        rows=tuple(rows),
    )
