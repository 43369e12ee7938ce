"""A share of a fleet's nodes that start at once: each opens a version with a client of its own, and reads a tensor.

    python bench/gateway_nodes.py FOLDER VERSION TENSOR THREADS

Below FOLDER lies the profile of each node. The nodes are spread over so many threads of this process. Says `ready`,
begins at a line on standard input, and says at the end how long each node took, in seconds, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import strongroom


def main() -> None:
    folder, version, tensor, threads = sys.argv[1:]
    homes = sorted(Path(folder).iterdir())
    with ThreadPoolExecutor(int(threads)) as pool:
        print("ready", flush=True)
        sys.stdin.readline()
        taken = list(pool.map(lambda home: start(home, version, tensor), homes))
    print(json.dumps(taken), flush=True)


def start(home: Path, version: str, tensor: str) -> float:
    """Be one node, from its profile to its first tensor; return the seconds."""
    began = time.perf_counter()
    with strongroom.connect(home).open_version(version) as weights:
        assert weights.get_tensor(tensor).nbytes > 0
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
