"""A naive model of the keep: quorum, roles, freezes, grants, sessions and log, by its rules and default policies.

Shares no code with the product, and looks everything up again each time. `hear` says what the keep must make of it:

    out    not theirs to say, or not now: no entry       no     refused: an entry, ten a minute each
    yes    done: an entry                                same   said before: the first answer again
    quiet  allowed, and nothing to write down
"""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace as Thing
from typing import Any

HOUR, DAY = 3600, 86400
LONGEST = {"session.open": HOUR, "release": HOUR, "fact.attest": 400 * DAY}
LONGEST |= dict.fromkeys(("propose", "approve", "reject"), 30 * DAY)
TOUCHED = {"session.open": {"cli", "console"}, "approve": {"cli", "approval"}, "reject": {"cli", "approval"}}
ON_DEVICE = {"release", "version.register"}
ABOUT = {"grant.give": "version", "thaw": "target", "role.give": "subject", "role.take": "subject"}
ABOUT |= {"person.remove": "person", "credential.add": "person", "device.enrol": "person"}
ABOUT |= {"device.remove": "device", "credential.remove": "credential", "label.lower": "target"}
GAINS = {**ABOUT, "grant.give": "subject", "workload.enrol": "sponsor"}
BASED = {"role.give", "role.take", "person.remove", "label.lower"}


class Naive:
    """`genesis` is the body of the founding. Under strict policies everything takes three people."""

    def __init__(self, genesis: Any, at: int, wall: int, mono: int) -> None:
        self.quorum, self.at, self.now, self.offset = genesis["quorum"], at, at, wall - mono
        self.doubted = self.doubt = self.strict = False
        self.log, self.refused, self.facts = ["deployment.found", "keep.unsealed"], dict[Any, int](), dict[Any, Thing]()
        self.things: dict[str, Any] = {"deployment": Thing(frozen=False, gone=False)}
        self.things |= {zone["zone"]: Thing(frozen=False, gone=False, **zone) for zone in genesis["zones"]}
        for one in genesis["founders"]:
            self._change("person.enrol", one)
            for device in one["devices"]:
                self._change("device.enrol", device)

    # --- time, and what is written down without anybody asking -------------------------------------

    def begin(self, wall: int, mono: int, *, is_start: bool = False) -> None:
        if is_start:
            self.offset, self.refused, self.doubt = wall - mono, {}, wall - self.at > DAY
        self.doubt |= abs(wall - mono - self.offset) > 300 or self.at - wall > 300
        self.offset, self.now = wall - mono, max(wall, self.at)
        if is_start:
            self._write("keep.unsealed")
        if self.doubt > self.doubted:
            self._write("clock.doubted")
            for one in self.all("statement-"):
                one.gone = one.asked[0] == "clock.confirm"
        self.doubted, self.doubt = self.doubted or self.doubt, False
        for key in [key for key in self.refused if key[1] < self.now // 60]:
            if self.refused.pop(key) > 10:
                self._write("refusals.counted")

    def _write(self, what: str) -> None:
        self.log.append(what)
        for one in self.things.values() if self.now // 600 != self.at // 600 else ():
            one.gone |= getattr(one, "until", self.now) < self.now
        self.at = self.now

    # --- what somebody says --------------------------------------------------------------------------

    def hear(self, w: Thing) -> tuple[str, bool]:
        """Return the verdict, and whether a proposal happened because of it."""
        first = not self.has(f"seen-{w.id}")
        if not self._is_admitted(w, first):
            return "out", False
        is_same = first or self.things[f"seen-{w.id}"].digest == w.digest
        if not is_same or ((first or w.act == "release") and not self._may(w)):
            count = self.refused[w.by, self.now // 60] = self.refused.get((w.by, self.now // 60), 0) + 1
            if count <= 10:
                self._write("refused")
            return "no", False
        if not first:
            return "same", False
        said = self.facts.get((w.body.get("subject"), w.body.get("fact")))
        if said and said.value == w.body["value"] and self.now - said.at < HOUR <= said.until - self.now:
            return "quiet", False
        self.things[f"seen-{w.id}"] = Thing(gone=False, digest=w.digest, until=w.until)
        self._do(w, w.body, self.things)
        self._write(w.act)
        name = w.id if w.act == "propose" else w.body["proposal"] if w.act == "approve" else ""
        if not name or not self._is_enough(name):
            return "yes", False
        act, change = self.things[name].asked
        self._change(act, change, name)
        self._write(act)
        return "yes", True

    def _is_admitted(self, w: Thing, first: bool) -> bool:
        off = abs(w.at - self.now) if first else 0
        if w.forged or off > 60 or self.now > w.until or w.until - w.at > LONGEST.get(w.act, 300) or not self.has(w.by):
            return False
        if not w.by.startswith("person-"):
            theirs = ON_DEVICE if w.by.startswith("workload-") else {"fact.attest"}
            return w.act in theirs and not (w.session or w.device)
        if w.act in TOUCHED:
            is_theirs = self.has(w.credential) and w.by in self.behind(w.credential)
            is_newer = is_theirs and (not first or w.counter > self.things[w.credential].counter)
            return is_newer and w.path in TOUCHED[w.act] and ("device" not in w.body or self.has(w.body["device"]))
        if not self.has(w.session) or w.by not in self.behind(w.session) or w.act == "fact.attest":
            return False
        fits = w.device and w.device == self.things[w.session].device if w.act in ON_DEVICE else not w.device
        return bool(fits and self.now <= self.things[w.session].until)

    def _may(self, w: Thing) -> bool:
        """Tell whether rules and policies let them, if it is them."""
        body, who, named = w.body, self.things[w.by], w.body.get("proposal") or w.body.get("grant") or w.by
        if w.act in {"session.close", "credential.report"}:
            name = body.get("session") or body["credential"]
            is_last = sum({one.person} == self.behind(name) for one in self.all("credential-")) == 1
            is_left = w.act == "session.close" or not is_last or self._could_thaw(self.able() - self.behind(name))
            return self.has(name) and (w.by in self.behind(name) or (is_left and self._responds(w.by, "deployment")))
        is_frozen = any(self.things[one].frozen for one in {w.by, *self.behind(w.by)})
        if is_frozen or not self._is_fresh(w) or not self.has(named):
            return False
        thing = self.things[named]
        if w.act in {"approve", "reject", "propose", "release", "freeze"}:
            may = self._may_vote if w.act in {"approve", "reject"} else getattr(self, f"_may_{w.act}")
            return bool(may(w, body, thing))
        if w.act == "session.open":
            return w.by in self.behind(body["device"]) if "device" in body else bool(w.path != "cli")
        if w.act == "withdraw":
            return thing.by == w.by and bool(self.about(*thing.asked))
        if w.act == "version.register":
            return body["version"] not in self.things and w.fits and "writer" in self.roles(w.by, body["model"])
        if w.act == "fact.attest":
            is_short = w.until - self.now <= who.longest_seconds
            return is_short and body["fact"] in who.kinds and self.has(body["subject"])
        if w.act == "grant.revoke":
            return w.by in self.behind(thing.subject) or self._responds(w.by, thing.version)
        return body["label"] > self.label(body["target"]) and bool(self.roles(w.by, body["target"]))

    def _is_fresh(self, w: Thing, seconds: int = HOUR) -> bool:
        is_aged = w.session and w.act in {"propose", "withdraw", *ON_DEVICE}
        return not is_aged or bool(self.now - self.things[w.session].opened <= seconds)

    def _responds(self, by: str, target: str) -> bool:
        return "responder" in self.roles(by, target) and not self.things[by].frozen

    def _may_freeze(self, w: Thing, body: Any, who: Thing) -> bool:
        by, target = w.by, body["target"]
        is_there = self.has(target) and not self.things[target].frozen
        is_left = not target.startswith("person-") or self._could_thaw(self.able() - {target})
        return is_there and is_left and (by in self.behind(target) or self._responds(by, target))

    def _may_propose(self, w: Thing, body: Any, who: Thing) -> bool:
        act, change, about = body["act"], body["change"], self.about(body["act"], body["change"])
        roles = self.roles(w.by, about) if about else set()
        wanted = {"grant.give": {"researcher"}, "thaw": {"governor", "responder"}}.get(act, {"governor"})
        is_own = act.partition(".")[0] in {"credential", "device"} and w.by in self.behind(about)
        is_theirs = w.fits and w.id not in self.things and bool(about and (roles & wanted or is_own))
        return is_theirs and self._is_possible(act, change) and bool(w.base == self.base(act, change))

    def _may_vote(self, w: Thing, body: Any, proposal: Thing) -> bool:
        about = self.about(*proposal.asked)
        live = [one for one in proposal.approvals if one.until >= self.now]
        voted = [one.by for one in live if not self.things[one.credential].compromised]
        voted = voted if w.act == "approve" else proposal.rejections
        theirs = {proposal.by, *voted, *self.behind(about), *self.gains(*proposal.asked)}
        fits = bool(about) and w.fits and self.now <= proposal.until and body["role"] in {"approver", "governor"}
        return fits and w.by not in theirs and (body["role"], body["team"]) in self.voices(w.by, about, proposal.index)

    def _may_release(self, w: Thing, body: Any, grant: Thing) -> bool:
        files, version, label = body.get("files"), self.things[grant.version], self.label(grant.version)
        key = self.things[self.things[w.session].credential] if w.device else None
        zone = self.things[w.device or w.by].zone
        is_named = grant.files is None or (files is not None and set(files) <= set(grant.files))
        is_placed = grant.device in {None, w.device} and grant.zone == zone and self.now <= grant.until
        named = (grant.subject, grant.version, grant.manifest) == (w.by, body["version"], body["manifest"])
        given = self.standing(grant.approvals, self.behind(w.by) | {grant.proposer}, label)
        opens = named and is_named and is_placed and self._opens(w.by, grant.version, zone, w.device, given)
        metered, rate = self.fact(zone, "egress-bytes-per-day"), self.things[zone].egress_bytes_per_day
        facts = not w.device or (self.fact(w.device, "disk-encrypted") and self.fact(w.by, "training"))
        is_slow = metered is not None and version.tensor_bytes >= 9000 * max(metered, rate)
        is_safe = is_slow and bool(facts) and not (key and key.software) and self._is_fresh(w, 900)
        return opens and (label < 3 or is_safe)

    # --- quorum --------------------------------------------------------------------------------------

    def standing(self, approvals: Any, without: set[str], label: int, about: str = "", since: Any = None) -> list[Any]:
        """Return which approvals count; of a grant in use (without `since`), roles do not matter any more."""
        found = []
        for one in approvals:
            person, key, voice = self.things[one.by], self.things[one.credential], (one.body["role"], one.body["team"])
            weak = key.compromised or (label >= 3 and (key.software or key.backup_eligible))
            lapsed = since is not None and (one.until < self.now or voice not in self.voices(one.by, about, since))
            found += [one] * (one.by not in without and not (person.frozen or person.gone or weak or lapsed))
        return found

    def _opens(self, who: str, version: str, zone: str, device: Any, given: list[Any]) -> bool:
        label, things = self.label(version), self.things
        near = ["deployment", things[version].model, zone, who, *self.behind(who), device or who]
        is_shut = self.doubted or any(things[one].frozen for one in near) or things[zone].ceiling < label
        approvers, need = sum(one.body["role"] == "approver" for one in given), (1, 2, 2, 2, 3)[label]
        is_enough = approvers >= need and len(given) >= max(min(need, 2), 3 * self.strict)
        mixed = label < 3 or (len({one.body["team"] for one in given}) >= 2 and "cli" in {one.path for one in given})
        return not is_shut and is_enough and mixed and "researcher" in self.roles(who, version)

    def _is_enough(self, name: str) -> bool:
        """Tell whether an open proposal happens now: by the rules as they are and, if it changes who decides, after."""
        act, change = self.things[name].asked
        if not self._is_approved(name, self) or act.partition(".")[0] not in {"person", "credential", "role", "policy"}:
            return self._is_approved(name, self)
        after = deepcopy(self)
        after._change(act, change, name)
        return self._is_approved(name, after) and not after._is_locked_out()

    def _is_approved(self, name: str, rules: Naive) -> bool:
        proposal, (act, change) = self.things[name], self.things[name].asked
        by, about = rules.things[proposal.by], self.about(act, change)
        if not about or not self._is_possible(act, change) or by.gone or by.frozen or self.now > proposal.until:
            return False
        without = self.gains(act, change) | {proposal.by}
        given = rules.standing(proposal.approvals, without, rules.label(about), about, proposal.index)
        if act == "grant.give":
            return rules._opens(proposal.by, about, change["zone"], change.get("device"), given)
        governors = [one for one in given if one.body["role"] == "governor"]
        is_enough = len(governors) >= rules.quorum and len(given) >= max(2, 3 * rules.strict)
        return is_enough and self.base(act, change) == proposal.base and "cli" in {one.path for one in given}

    def able(self) -> set[str]:
        """Return who has a key that works and a role."""
        keyed = {one.person for one in self.all("credential-") if self.has(one.person)}
        return {one for one in keyed if not self.things[one].frozen and self.roles(one)}

    def _could_thaw(self, people: set[str]) -> bool:
        return any(self._could_govern(people - {one}) for one in people if self.roles(one) & {"governor", "responder"})

    def _could_govern(self, people: set[str]) -> bool:
        heard = [self.roles(one) for one in people if self.roles(one) & {"governor", "approver"}]
        return sum("governor" in roles for roles in heard) >= self.quorum and len(heard) >= max(2, 3 * self.strict)

    def _is_locked_out(self) -> bool:
        """Tell whether, with any one person absent, policy could not be changed by another's proposal."""
        able, governors = self.able(), {one for one in self.able() if "governor" in self.roles(one)}
        return not all(any(self._could_govern(able - {a, b}) for b in governors - {a}) for a in {"", *able})

    # --- what there is -------------------------------------------------------------------------------

    def has(self, name: Any) -> bool:
        return name in self.things and not self.things[name].gone

    def all(self, kind: str) -> list[Any]:
        return [one for name, one in self.things.items() if name.startswith(kind) and not one.gone]

    def model(self, target: str) -> str:
        return str(self.things[target].model) if target.startswith("version-") else target

    def label(self, target: str) -> int:
        return max(getattr(self.things[one], "label", 0) for one in (target, self.model(target)))

    def voices(self, who: str, target: str = "", since: float = float("inf")) -> set[tuple[str, str]]:
        scopes = {None, self.model(target)}
        return {(role, team) for role, team, scope, at in self.things[who].roles if scope in scopes and at <= since}

    def roles(self, who: str, target: str = "") -> set[str]:
        return {role for role, _ in self.voices(who, target)}

    def behind(self, subject: str) -> set[str]:
        return {getattr(self.things.get(subject), "person", "")} - {""}

    def fact(self, subject: str, kind: str) -> int | None:
        said = self.facts.get((subject, kind))
        return said.value if said is not None and said.until >= self.now else None

    # --- proposals -------------------------------------------------------------------------------------

    def about(self, act: str, change: Any) -> str:
        """Return what a change is about, or nothing if it is not there."""
        about = change[ABOUT[act]] if act in ABOUT else "deployment"
        return "" if not self.has(about) else str(self.things[about].person if act == "credential.remove" else about)

    def gains(self, act: str, change: Any) -> set[str]:
        if act != "label.lower":
            return self.behind(change.get(GAINS.get(act), ""))
        grants = [one for one in self.all("grant-") if change["target"] in {one.version, self.model(one.version)}]
        return {person for one in grants for person in self.behind(one.subject)}

    def base(self, act: str, change: Any) -> str:
        """Return the state that a change is made for."""
        return repr(self.things[change[ABOUT[act]]]) if act in BASED else str(self.strict) * (act == "policy.change")

    def _is_possible(self, act: str, change: Any) -> bool:
        """Tell whether it could be, whoever asks and agrees."""
        if act == "grant.give":
            subject, named = change["subject"], change.get("device")
            device = named if subject.startswith("person-") else "" if named else subject
            is_theirs = self.has(subject) and self.has(device) and self.behind(device) == self.behind(subject)
            is_named = change["manifest"] == self.things[change["version"]].manifest
            return is_theirs and is_named and self.things[device].zone == change["zone"]
        if act in {"role.give", "role.take"}:
            given, held = (change["role"], change["team"], change.get("model")), self.things[change["subject"]].roles
            roles = {one[0] for one in held} | {change["role"]}
            clash = bool("approver" in roles and roles & {"researcher", "writer"})
            is_held = given in [one[:3] for one in held]
            return is_held if act == "role.take" else not (is_held or clash or ("auditor" in roles and len(roles) > 1))
        if act in {"thaw", "label.lower"}:
            target = self.things[change["target"]]
            return bool(target.frozen if act == "thaw" else change["label"] < target.label)
        old = change["touch"]["keyid"] if act == "credential.add" else ""
        is_touched = not old or (self.has(old) and change["person"] in self.behind(old))
        is_seen = act != "clock.confirm" or (self.doubted and abs(change["seen_at"] - self.now) <= HOUR)
        return is_touched and is_seen and change.get("model") not in self.things

    # --- what happens ----------------------------------------------------------------------------------

    def _do(self, w: Thing, body: Any, things: dict[str, Thing]) -> None:
        if w.act in TOUCHED:
            things[w.credential].counter = w.counter
        match w.act:
            case "session.open":
                things[body["session"]] = Thing(person=w.by, opened=self.now, gone=False, **vars(w))
            case "propose":
                about = {"index": len(self.log), "approvals": [], "rejections": [], "gone": False}
                things[w.id] = Thing(asked=(body["act"], body["change"]), **about, **vars(w))
            case "approve":
                others = [one for one in things[body["proposal"]].approvals if one.by != w.by]
                things[body["proposal"]].approvals = [*others, w]
            case "withdraw" | "reject":
                things[body["proposal"]].rejections.append(w.by)
                things[body["proposal"]].gone = w.act == "withdraw" or things[body["proposal"]].asked[0] == "grant.give"
            case "version.register":
                things[body["model"]].versions += 1
                things[body["version"]] = Thing(label=0, gone=False, **body)
            case "fact.attest":
                self.facts[body["subject"], body["fact"]] = Thing(value=body["value"], at=self.now, until=w.until)
            case _:
                self._change(w.act, body)

    def _change(self, act: str, body: Any, name: str = "") -> None:
        things, kind = self.things, act.partition(".")[0]
        things.get(name, Thing()).gone = True
        if act.endswith(".enrol"):
            fresh = {"person": body.get("sponsor", ""), "frozen": False, "gone": False, "versions": 0}
            roles = [(held["role"], held["team"], None, 0) for held in body.get("roles", [])]
            things[body[kind]] = Thing(**{**fresh, **body, "roles": roles})
        for new in [*body.get("credentials", []), *([body["new"]] if "new" in body else [])]:
            things[new["credential"]] = Thing(person=body["person"], compromised=False, gone=False, **new)
        if act == "grant.give":
            asked, version = things[name], body["version"]
            without = self.gains(act, body) | {asked.by}
            given = self.standing(asked.approvals, without, self.label(version), version, asked.index)
            terms = {"device": None, "files": None, "until": self.now + body["seconds"], "gone": False, **body}
            things["grant-" + name.partition("-")[2]] = Thing(proposer=asked.by, approvals=given, **terms)
        if act in {"freeze", "thaw"}:
            things[body["target"]].frozen = act == "freeze"
        if act in {"label.raise", "label.lower"}:
            things[body["target"]].label = body["label"]
        if act in {"role.give", "role.take"}:
            role, held = (body["role"], body["team"], body.get("model")), things[body["subject"]]
            left = [one for one in held.roles if one[:3] != role]
            held.roles = [*left, (*role, len(self.log))] if act == "role.give" else left
        self.strict = "strict.cedar" in repr(body["policies"]) if act == "policy.change" else self.strict
        self.doubted &= act != "clock.confirm"
        if act.endswith((".report", ".remove", ".close", ".revoke")):
            things[body[kind]].compromised = act == "credential.report"
            self._remove(body[kind])

    def _remove(self, name: str) -> None:
        """It is gone, and with it what is somebody's, or was opened by it, or is for it."""
        self.things[name].gone = True
        for key, one in self.things.items():
            needed = {getattr(one, field, "") for field in ("person", "credential", "device", "subject")}
            if name in needed and self.has(key):
                self._remove(key)
