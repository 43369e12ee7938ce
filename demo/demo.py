"""The demo: five people found a deployment, a real model is sealed and opened, and whoever tries more is refused.

Everything is the `strongroom` command that you would run, over HTTPS, each person with a profile and processes of
their own; the attacks at the end are made by hand, as an attacker would. Every claim is checked. Works in a scratch
folder and takes it away.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from attacks import attack
from bert import embed
from safetensors.numpy import load_file
from stage import Stage, check, say

MODEL, VERSION = "acme/minilm", "acme/minilm@1"
SENTENCE = "Nobody opens the vault alone."
PEOPLE = {
    "Ada": ("governor@safety", "approver@safety", "responder@safety"),
    "Ben": ("governor@safety", "approver@safety"),
    "Cleo": ("governor@security", "approver@security"),
    "Dan": ("researcher@research",),
    "Eve": ("governor@security",),
}
PLAN = """
quorum = 2
rp_id = "keep.example.org"
software_keys = true
custodians = ["Ada", "Ben", "Cleo"]
custodians_needed = 2
[[zones]]
name = "lab"
ceiling = 2
egress_bytes_per_day = 200_000_000
"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="strongroom-demo-") as scratch:
        stage = Stage(Path(scratch))
        try:
            run(stage)
        finally:
            stage.keep.stop()


def run(stage: Stage) -> None:
    found(stage)
    unseal(stage)
    seal(stage)
    ask(stage)
    use(stage)
    attack(stage, MODEL, VERSION)
    say(
        "Yours",
        """
        Everything was the `strongroom` command; it is in `.venv/bin`, and `strongroom --help` shows the rest.
        README.md has the five minutes to your own deployment, docs/threats.md what holds against whom.
        """,
    )


def found(stage: Stage) -> None:
    say(
        "1. Five people found a deployment",
        "Each makes a card with keys that never leave them; all sign the same genesis, at the keep's own socket.",
    )
    stage.keep.start()
    for name in PEOPLE:
        card = ("--rp-id", "keep.example.org", "--key", "software", "-o", str(stage.scratch / f"{name}.card"))
        stage.does(name, "deployment", "card", "--name", name, *card, shown=0)
    plan = stage.scratch / "plan.toml"
    roles = "".join(f"[people.{name}]\nroles = {list(held)}\n".replace("'", '"') for name, held in PEOPLE.items())
    head, zones = PLAN.split("[[zones]]")
    plan.write_text(f"{head}{roles}[[zones]]{zones}")
    cards = [str(stage.scratch / f"{name}.card") for name in PEOPLE]
    draft, socket = str(stage.scratch / "genesis.draft"), ("--socket", str(stage.keep.socket))
    told = stage.told("Ada", "deployment", "draft", *cards, "--plan", str(plan), *socket, "-o", draft)
    print(f"   all five read the draft, and see the same words: {told['words']}")
    signatures = [str(stage.scratch / f"{name}.sig") for name in PEOPLE]
    for name, signature in zip(PEOPLE, signatures, strict=True):
        stage.told(name, "deployment", "sign", draft, "--yes", told["words"], "-o", signature)
    deployment = stage.does("Ada", "deployment", "found", draft, *signatures, *socket).splitlines()[-1]
    check(deployment.startswith("sr1:"), "the deployment's name is the digest of what all five signed")
    stage.deployment = deployment
    place = stage.keep.place()
    print("   the gateway starts by itself; its certificate and the deployment's name were told by people:")
    for name in PEOPLE:
        stage.does(name, "connect", place, shown=0)


def unseal(stage: Stage) -> None:
    say(
        "2. Custodians unseal the keep",
        "The root key is nowhere on disk. After every start it takes two of three shares, wrapped to that start.",
    )
    for name in ("Ada", "Ben", "Cleo"):
        stage.does(name, "share", "fetch", shown=1)
    stage.keep.stop()
    stage.keep.start()
    stage.keep.place()
    sealed = stage.run("Ada", "login")
    check(sealed.returncode == 7, f"started again, it is sealed: {sealed.stderr.splitlines()[0]}")
    for name in ("Ada", "Cleo"):
        stage.does(name, "unseal", "--yes", stage.keep.words, shown=2)
    for name in PEOPLE:
        stage.does(name, "login", shown=0)
    check(stage.told("Ada", "deployment", "status")["state"] == "open", "two shares opened it")


def seal(stage: Stage) -> None:
    say(
        "3. A training job seals a version that it cannot read",
        "A quorum enrols the model and the job. The keep makes the model's key; the log has its public half.",
    )
    model = proposal(stage, "Ada", "model.enrol", "--name", MODEL, "--label", "2", "--purpose", "our sentence encoder")
    stage.agree(model, "Ben", "Cleo")
    card = str(stage.scratch / "training.card")
    where = stage.keep.place()
    stage.does(
        "training", "deployment", "card", "--workload", "--name", "training", "--deployment", where, "-o", card, shown=0
    )
    enrolled = proposal(
        stage, "Ada", "workload.enrol", "--card", card, "--sponsor", "Dan", "--zone", "lab", "--purpose", "trains"
    )
    stage.agree(enrolled, "Ben", "Cleo")
    stage.does("training", "connect", where, shown=0)
    role = ("--subject", "training", "--role", "writer", "--team", "research", "--model", MODEL, "--purpose", "seals")
    stage.agree(proposal(stage, "Ada", "role.give", *role), "Ben", "Cleo")
    stage.does("training", "seal", str(stage.model), "--as", MODEL, "--notes", "first run")
    tried = stage.run("training", "open", VERSION, "--to", str(stage.scratch / "stolen"))
    check(tried.returncode == 4, f"the job opens nothing: {tried.stderr.splitlines()[0]}")
    names = [file.name.encode() for file in stage.model.rglob("*") if file.is_file()]
    stored = [file.read_bytes() for file in stage.keep.store.rglob("*") if file.is_file()]
    probe = (stage.model / "model.safetensors").read_bytes()[5_000_000:5_000_032]
    check(
        not any(needle in content for needle in [*names, probe] for content in stored),
        f"the store holds {len(stored)} files of ciphertext, with no name and no piece of the model in them",
    )


def ask(stage: Stage) -> None:
    say(
        "4. A researcher asks; one approval is not enough, two are", "Each approver reads it and touches their own key."
    )
    asked = stage.does("Dan", "request", VERSION, "--for", "4h", "--purpose", "to measure it", shown=3).splitlines()[-1]
    early = stage.run("Dan", "open", VERSION, "--to", str(stage.scratch / "early"))
    check(early.returncode == 4, f"before anybody approves: {early.stderr.splitlines()[0]}")
    told = stage.approves("Ada", asked, "approver")
    check(not told.get("enacted"), "after one approval: not yet")
    early = stage.run("Dan", "open", VERSION, "--to", str(stage.scratch / "early"))
    check(early.returncode == 4 and not (stage.scratch / "early").exists(), "and nothing opens")
    told = stage.approves("Cleo", asked, "approver")
    check(bool(told.get("enacted")), "after two, of two teams: a grant, for four hours, on Dan's device")


def use(stage: Stage) -> None:
    say("5. It opens, and thinks what the original thinks", f"“{SENTENCE}”")
    opened = stage.scratch / "opened"
    stage.does("Dan", "open", VERSION, "--to", str(opened))
    files = [file.relative_to(stage.model) for file in sorted(stage.model.rglob("*")) if file.is_file()]
    equal = sum((opened / file).read_bytes() == (stage.model / file).read_bytes() for file in files)
    check(equal == len(files), f"{equal} of {len(files)} files are the same, bit for bit")
    before, after = (embedding(folder) for folder in (stage.model, opened))
    print(f"   original  {np.array2string(before[:6], precision=6)} …")
    print(f"   opened    {np.array2string(after[:6], precision=6)} …")
    check(before.tobytes() == after.tobytes(), f"all {len(before)} numbers of the embedding are the same")
    released = stage.told("Eve", "log", "list", "--kind", "key.released")["entries"]
    check(len(released) == 1, "the opening was in the log before the key left: Eve sees it in her own verified copy")
    program = "import os, sys; print(len(os.listdir(sys.argv[1])), 'files, in memory')"
    seen = stage.does("Dan", "exec", VERSION, "--", sys.executable, "-c", program, "{}", shown=1)
    check(seen.endswith("in memory"), "a program had the files in a folder of its own, which is gone with it")
    copies = stage.told("Eve", "copies", VERSION)["copies"]
    check(len(copies) == 2, f"and both copies are known: where, whose, until when ({copies[0]['state']})")


def embedding(folder: Path) -> np.ndarray:
    texts = [(folder / name).read_text() for name in ("config.json", "tokenizer.json")]
    found: np.ndarray = embed(SENTENCE, load_file(folder / "model.safetensors"), *texts)
    return found


def proposal(stage: Stage, who: str, act: str, *options: str) -> str:
    """Propose something, and return the proposal's identifier."""
    return stage.does(who, "propose", act, *options, shown=0).splitlines()[-1]


if __name__ == "__main__":
    sys.exit(main())
