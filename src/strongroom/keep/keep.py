"""The keep: unfounded, sealed or open. The only thing that holds keys; started by `strongroom.keep.__main__`.

    unfounded --prepare, found--> open        sealed --unseal, k times--> open

Sealed, it answers `status` and `unseal` and nothing else. Whatever is not one of our errors ends the process: the next
one starts sealed, from what is durable.
"""

import hashlib
from collections.abc import Sequence
from importlib.resources import files

from strongroom.acts.deployment_found import DeploymentFound
from strongroom.acts.fold import Step, deployment_name
from strongroom.acts.founding import verify_genesis
from strongroom.acts.texts import text_digests
from strongroom.directory.entries import Entry
from strongroom.directory.state import Directory
from strongroom.journal.port import Journal, Kept
from strongroom.keep import asked
from strongroom.keep.asked import parse_request, text_of
from strongroom.keep.book import Book, encode_leaf, read_book
from strongroom.keep.clock import Clock, Clocks
from strongroom.keep.open_keep import Finish, OpenKeep, keep_texts
from strongroom.keep.vault import Vault
from strongroom.keyring.provider import CustodianShares, PlainFile
from strongroom.keyring.root import RootKey
from strongroom.keyring.shares import Share, parse_share, split_root
from strongroom.sealing.keys import Identity, PublicKey, unwrap_with, wrap_to
from strongroom.statements.envelope import parse_envelope
from strongroom.statements.statement import parse_statement
from strongroom.statements.words import digest_words
from strongroom.terms import canonical, errors
from strongroom.terms.canonical import Json
from strongroom.terms.frames import error_answer
from strongroom.terms.ids import Random
from strongroom.terms.records import parse_record

ROOMS = (
    "acts",
    "directory",
    "journal",
    "keep",
    "keyring",
    "places",
    "policy",
    "sealing",
    "statements",
    "terms",
    "tlog",
)
"""What runs in the keep's process."""


class Keep:
    """Takes batches of requests, gives batches of answers. `plain_file` is where a trial's root key rests."""

    def __init__(
        self, journal: Journal, *, clocks: Clocks, random: Random, plain_file: PlainFile | None = None
    ) -> None:
        self._journal, self._random, self._plain_file = journal, random, plain_file
        self._clock = Clock(clocks)
        self._unseal_key = Identity(random(32))
        self._vault: Vault | None = None
        self._root: RootKey | None = None
        self._open: OpenKeep | None = None
        self._book = read_book(journal) if journal.size else None
        self._given: list[str] = []
        self._shares: CustodianShares | None = None
        if self._book is not None:
            self._start(self._book)

    def unseal_words(self) -> str:
        """Return the words of this start's unseal key, for custodians to compare."""
        return digest_words(self._unseal_key.public_key().digest())

    def handle(self, batch: Sequence[Json]) -> list[Json]:
        """Answer each request: decide all, make what they did durable, then tell."""
        if self._open is not None:
            self._open.begin()
        turns = [self._take(value) for value in batch]
        if self._open is not None:
            self._open.commit()
        return [self._finish(turn) for turn in turns]

    def _take(self, value: Json) -> Finish | errors.StrongroomError:
        try:
            request = parse_request(value)
            match request:
                case asked.Status():
                    return self._status
                case asked.Prepare() if self._open is None and self._book is None:
                    return self._prepare()
                case asked.Found() if self._open is None and self._book is None:
                    return self._found(request)
                case asked.Unseal() if self._open is None and self._book is not None:
                    return self._unseal(request, self._book)
                case asked.Share() if self._open is not None:
                    return self._share(request)
                case _ if self._open is not None:
                    return self._open.take(request)
                case _:
                    raise errors.KeepSealed("the keep is sealed" if self._book else "no deployment is founded here yet")
        except errors.StrongroomError as error:
            return error

    def _finish(self, turn: Finish | errors.StrongroomError) -> Json:
        # INVARIANT: a keep that can write nothing down, not even a freeze, ends; nobody in this batch is told anything.
        if isinstance(turn, errors.JournalBroken):
            raise turn
        try:
            answer: dict[str, Json] = error_answer(turn) if isinstance(turn, errors.StrongroomError) else {"ok": turn()}
        except errors.StrongroomError as error:
            answer = error_answer(error)
        if note := self._checkpoint():
            answer["checkpoint"] = note
        return answer

    def _checkpoint(self) -> str:
        if self._open is not None:
            return self._open.checkpoint()
        return self._journal.note.decode("utf-8") if self._journal.note is not None else ""

    # --- founding ------------------------------------------------------------------------------

    def _status(self) -> dict[str, Json]:
        state = "open" if self._open is not None else "unfounded" if self._book is None else "sealed"
        status: dict[str, Json] = {
            "size": self._journal.size,
            "state": state,
            "unseal_key": text_of(self._unseal_key.public_key().raw),
        }
        if self._book is not None:
            directory = self._book.directory
            given: list[Json] = list(self._given)
            status |= {
                "deployment": directory.deployment,
                "era": directory.era,
                "shares": {"given": given, "needed": directory.custodians_needed},
                "trial": directory.trial,
            }
        return status

    def _prepare(self) -> Finish:
        """Make the root key of the deployment to be; another `prepare` makes another."""
        self._root = RootKey.generate(self._random)
        self._vault = Vault(self._root, self._random, self._journal.kept)
        keys = self._vault.public_keys()
        return lambda: {
            "keys": {"answer": text_of(keys.answer), "log": text_of(keys.log), "time": text_of(keys.time)},
        }

    def _found(self, request: asked.Found) -> Finish:
        """ORDER: a trial's root key is on disk before the genesis is in the log; shares are in the genesis's own batch.

        A crash in between leaves a key of nothing; the other way round it would leave a deployment without a key.
        """
        if self._vault is None or self._root is None:
            raise errors.NotAllowed("no root key was made for this founding", hint="begin with `deployment draft`")
        envelope = parse_envelope(request.statement)
        at = self._clock.now(0)
        entry = Entry(at=at, kind="deployment.founded", statement=envelope.json())
        leaf = encode_leaf(entry)
        directory = verify_genesis(envelope, name=deployment_name(leaf), at=at)
        if directory.keys != self._vault.public_keys():
            raise errors.NotAllowed("the founding names other keys than this keep made for it", hint="draft it again")
        body = _genesis_body(entry)
        kept = keep_texts(self._vault, set(text_digests(body)), request.details or (), lambda digest: False)
        kept += self._keep_root(directory, self._root)
        origin, vault = directory.origin, self._vault
        self._journal.append([leaf], sign=lambda size, root: vault.sign(origin, size, root), kept=kept)
        self._book = Book(self._journal, directory)
        self._open_up(self._book, vault, [])
        return lambda: {"deployment": directory.deployment, "index": 0, "leaf": text_of(leaf), "proof": []}

    def _keep_root(self, directory: Directory, root: RootKey) -> tuple[Kept, ...]:
        if directory.trial:
            if self._plain_file is None:
                raise errors.NotAllowed("this keep was not started for a trial", hint="start it with `--trial`")
            self._plain_file.create(root)
            return ()
        shares = split_root(root, directory.custodians_needed, len(directory.custodians))
        kept: list[Kept] = []
        for (person, key), share in zip(sorted(directory.custodians.items()), shares, strict=True):
            wrapped = wrap_to(PublicKey(key), share.text.encode("ascii"), _share_info("share", directory, person))
            kept.append(Kept(kind="share", name=person, data=wrapped))
            kept.append(Kept(kind="share-digest", name=person, data=_share_digest(share)))
        return tuple(kept)

    def _share(self, request: asked.Share) -> Finish:
        if (share := self._journal.kept("share", request.person)) is None:
            raise errors.NotFound(f"`{request.person}` is no custodian")
        return lambda: {"share": text_of(share)}

    # --- unsealing -----------------------------------------------------------------------------

    def _start(self, book: Book) -> None:
        directory = book.directory
        self._clock.start(directory.at)
        if directory.trial:
            if self._plain_file is None:
                raise errors.BadRequest("this is a trial's journal", hint="start the keep with `--trial`")
            self._unsealed(book, self._plain_file.root(), [])
        else:
            self._shares = CustodianShares(directory.custodians_needed, len(directory.custodians))

    def _unseal(self, request: asked.Unseal, book: Book) -> Finish:
        directory = book.directory
        if request.person not in directory.custodians or self._shares is None:
            raise errors.NotFound(f"`{request.person}` is no custodian")
        if request.person in self._given:
            raise errors.WrongShare(f"`{request.person}` gave a share already: it takes another custodian")
        plain = unwrap_with(self._unseal_key, request.share, _share_info("unseal", directory, request.person))
        share = parse_share(plain.decode("utf-8", "replace"))
        # Anybody may come with a share. What is not this custodian's own never gets among those that were given.
        if self._journal.kept("share-digest", request.person) != _share_digest(share):
            raise errors.WrongShare(f"this is not the share of `{request.person}`")
        try:
            missing = self._shares.add(share)
            self._given.append(request.person)
            if missing == 0:
                self._unsealed(book, self._shares.root(), list(self._given))
        finally:
            # A share that does not fit may have had all of them forgotten.
            self._given = self._given[: len(self._shares)]
        return lambda: {"missing": missing}

    def _unsealed(self, book: Book, root: RootKey, given: list[str]) -> None:
        vault = Vault(root, self._random, self._journal.kept)
        if vault.public_keys() != book.directory.keys:
            raise errors.KeyringTampered("this is not the root key of this deployment")
        self._open_up(book, vault, given)

    def _open_up(self, book: Book, vault: Vault, given: list[str]) -> None:
        """Go into service. The first entry of every start says who unsealed the keep, and which code it runs."""
        at = self._clock.now(book.directory.at)
        by: list[Json] = list(given)
        entry = Entry(at=at, kind="keep.unsealed", data={"by": by, "code": code_digest()})
        book.stage(Step(entry=entry))
        self._open = OpenKeep(book, vault, self._clock)
        # ORDER: a doubt about the clock is written down before anything of the same batch is decided.
        self._open.begin()
        self._open.commit()


def code_digest() -> str:
    """Return the digest of the code that runs in the keep's process, from its files as they lie on disk now."""
    digest = hashlib.sha256()
    for room in ROOMS:
        folder = files(f"strongroom.{room}")
        for file in sorted((one for one in folder.iterdir() if one.name.endswith((".py", ".cedar"))), key=str):
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"{room}/{file.name} {content}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def _genesis_body(entry: Entry) -> DeploymentFound:
    return parse_record(DeploymentFound, parse_statement(entry.envelope()).body)


def _share_digest(share: Share) -> bytes:
    """Return what the journal keeps to know a share again. It has 256 random bits: its digest tells nothing of it."""
    return hashlib.sha256(share.text.encode("ascii")).digest()


def _share_info(purpose: str, directory: Directory, person: str) -> bytes:
    return canonical.encode({"deployment": directory.deployment, "format": f"strongroom/{purpose}/1", "person": person})
