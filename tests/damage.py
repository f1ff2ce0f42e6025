#!/usr/bin/env python3
"""Damages every kind of file of the state, one at a time, and looks for users, groups and members that are gone.

Some thousand users, and groups of them, are written and the server is killed. Then, again and again: the state is copied,
one file of the copy is damaged (cut, zeroed, a bit turned over, removed, emptied, garbage behind it), and the server starts
on it. Either it serves, and everything is there by list, id and name, at once and after a while, takes a write, and still has
all after another start: `repaired`. Or it exits at once and says which file is damaged and what to do, and starts once the file is put
back: `refused`. That is only allowed where the log holds what nothing else has. Anything else is a FAIL, and makes the exit
status 1. One thing cannot be told from a write that was under way when the power went, and is named `torn tail`: damage in
the very last frame of the log, of which nothing else has anything yet.

    python3 tests/damage.py target/ci/rollcall [--users 3000] [--quick] [--only TEXT] [--seed N]

Two states are damaged: `quiet` was killed when everything was applied, `busy` while sled could not write, so that it needs
the last segments of the commit log. A binary that writes no groups is tried with users only. It needs Python 3.9 or later.
"""

import argparse
import copy
import pathlib
import random
import re
import shutil
import sys
import tempfile
import time

from faults import appliance
from faults.appliance import DoesNotStart, Server
from faults.comparison import check
from faults.writers import GROUPS_SHARE, Crew, User, body, team

WRITERS = 4
# Small segments and large users, so that there are several segments.
SETTINGS = ["storage.segment=1MiB"]
FILLING = 300
# How long a server serves before everything is compared again: what it verifies in the background has come by then.
SETTLE_S = 3
# How long a single user may be refused while it is repaired.
REPAIR_WITHIN_S = 20
BLOCK = 4096


def tail_of(data):
    """Where the file's content ends: what follows is zeros."""
    return len(data.rstrip(b"\0"))


def cut(count):
    return lambda data, tail, dice: data[:tail - count] if tail > count else None


def zero_last(count):
    return lambda data, tail, dice: data[:tail - count] + bytes(count) + data[tail:] if tail > count else None


def flip(where):
    def damage(data, tail, dice):
        at = where(tail)
        if not 0 <= at < tail:
            return None
        return data[:at] + bytes([data[at] ^ (1 << dice.randrange(8))]) + data[at + 1:]
    return damage


def zero(where):
    def damage(data, tail, dice):
        at = where(tail) // BLOCK * BLOCK
        return data[:at] + bytes(min(BLOCK, len(data) - at)) + data[at + BLOCK:] if data else None
    return damage


def garbage(data, tail, dice):
    # Not in the zeros that fill the last frame up.
    at = (tail + 63) // 64 * 64
    return data[:at] + dice.randbytes(3_000) + data[at + 3_000:]


DAMAGES = {
    "cut 100 B before the tail": cut(100),
    "cut 5 kB before the tail": cut(5_000),
    "cut 700 kB before the tail": cut(700_000),
    "zero the last 4 kB": zero_last(BLOCK),
    "flip 1 bit, 3 kB before the tail": flip(lambda tail: tail - 3_000),
    "flip 1 bit, 200 kB before the tail": flip(lambda tail: tail - 200_000),
    "flip 1 bit at 25 %": flip(lambda tail: tail // 4),
    "flip 1 bit at 50 %": flip(lambda tail: tail // 2),
    "flip 1 bit at 75 %": flip(lambda tail: tail * 3 // 4),
    "flip 1 bit in the first 64 B": flip(lambda tail: 20),
    "zero 4 kB at 50 %": zero(lambda tail: tail // 2),
    "zero the first 4 kB": zero(lambda tail: 0),
    "garbage behind the tail": garbage,
    "garbage appended": lambda data, tail, dice: data + dice.randbytes(3_000),
    "emptied": lambda data, tail, dice: b"",
    "removed": None,
}
# Damage at the end of a file.
TAIL = ("zero the last 4 kB", "flip 1 bit, 3 kB before the tail")
QUICK = ("cut 5 kB before the tail", "flip 1 bit at 50 %", "zero the first 4 kB", "emptied", "removed")


def newest(paths):
    return paths[-1:]


def first(paths):
    return paths[:1]


def older(paths):
    return paths[:-1][:1]


# Kind of file: where, which of them, whether the log holds there what nothing else has, by the state that is damaged.
# A state that was rebuilt lies in sled.2.
KINDS = {
    "sled/db": ("sled*/db", first, ()),
    "sled/conf": ("sled*/conf", first, ()),
    "sled/snap.*": ("sled*/snap.*", newest, ()),
    "first segment": ("log/*.log", older, ()),
    "needed segment": ("log/*.log", None, ("busy",)),
    "last segment": ("log/*.log", newest, ("busy", "quiet")),
    "spare segment": ("log/spare", first, ()),
    "newest base": ("base/*.base", newest, ()),
    "index.snapshot": ("index.snapshot", first, ()),
    "first history": ("history/*/*.history", first, ()),
    "last history": ("history/*/*.history", newest, ()),
    "first audit": ("audit/*.audit", first, ()),
    "last audit": ("audit/*.audit", newest, ()),
}


def load(binary, folder, users, dice):
    """Two killed states with so many users: a quiet and a busy one. Returns (name, state, writers, token) of each."""
    states = []
    groups = appliance.knows_groups(binary)
    writers = team(WRITERS, dice, groups, FILLING)
    server = Server(binary, folder, folder / "state", SETTINGS)
    commands = appliance.knows_storage(binary)

    def write(count):
        crew = Crew(server, writers)
        until = sum(writer.count for writer in writers) + count
        while sum(writer.count for writer in writers) < until:
            time.sleep(0.005)
        crew.join()

    if groups:
        # So many of the writes concern no user.
        users = int(users / (1 - GROUPS_SHARE))
    # Of those that do, 40 % make one, 10 % remove one.
    write(users * 2)
    if commands:
        server.ask("storage", "compact")
    server.stop()
    server = Server(binary, folder, folder / "state", SETTINGS, server.token)
    write(users)
    time.sleep(2)
    for name in ("quiet", "busy"):
        if name == "busy":
            faulty = appliance.faulty(folder)
            if faulty is None:
                print("without a C compiler the busy state is less busy: its applier is not held up")
            server = Server(binary, folder, folder / "state", SETTINGS, server.token, environment=faulty)
            # Nothing of what is written now reaches the file of sled.
            (folder / "faults").write_text("hang write state/sled\n")
            write(users)
        server.kill()
        shutil.copytree(folder / "state", folder / name)
        states.append((name, folder / name, copy.deepcopy(writers), server.token))
    return states


class Case:
    """One damage to one file of one state."""

    def __init__(self, binary, folder, state, kind, damage, settle_s):
        self.binary, self.folder, self.kind, self.damage, self.settle_s = binary, folder, kind, damage, settle_s
        self.name, self.original, known, self.token = state
        # A comparison changes what is known.
        self.writers = copy.deepcopy(known)

    def file(self):
        """The file, relative to the state; none when this binary makes none."""
        pattern, which, _needed = KINDS[self.kind]
        paths = sorted(path for path in self.original.glob(pattern))
        if which is None:
            # The last but one: begun after the last checkpoint, when it is needed at all.
            which = lambda paths: paths[-2:-1]
        found = which(paths)
        return found[0].relative_to(self.original) if found else None

    def run(self, dice):
        """Outcome and what the log said; none when the damage does not fit the file."""
        file = self.file()
        data = (self.original / file).read_bytes()
        change = DAMAGES[self.damage]
        damaged = change and change(data, tail_of(data), dice)
        if change and (damaged is None or damaged == data):
            return None
        state = self.folder / "damaged"
        shutil.rmtree(state, ignore_errors=True)
        shutil.copytree(self.original, state)
        if change:
            (state / file).write_bytes(damaged)
        else:
            (state / file).unlink()
        try:
            server = self.start(state)
        except DoesNotStart as why:
            return self.refused(state, file, data, str(why))
        try:
            return self.serves(server, state)
        finally:
            if server.process.poll() is None:
                server.kill()

    def start(self, state):
        return Server(self.binary, self.folder, state, SETTINGS, self.token)

    def refused(self, state, file, data, why):
        """It did not start: it must be allowed to, say why and what to do, and start on the file put back."""
        last = [line for line in why.splitlines() if line.startswith("error")]
        message = last[-1] if last else why[-300:]
        short = message.replace(str(state) + "/", "")
        if self.name not in KINDS[self.kind][2]:
            return "FAIL: refused what could be repaired", short
        # Where the first segment of the log is gone there is no file to name, only where the log begins.
        named = str(state / file.parent) in message or (file.parent.name == "log" and "commit log begins only" in message)
        if "panicked" in why or not named or not re.search(r"rollcall storage|put the", message):
            return "FAIL: refused without file and remedy", short
        (state / file).write_bytes(data)
        try:
            server = self.start(state)
        except DoesNotStart as again:
            return "FAIL: does not start on the file put back", str(again)[-300:]
        wrong = check(server.connect(), self.writers)
        server.kill()
        return ("FAIL: something is missing after the file was put back", wrong[0]) if wrong else ("refused", short)

    def serves(self, server, state):
        """It started: everything must be there, then and later and after another start."""
        said = "; ".join(line.replace(str(state) + "/", "") for line in server.complaints()) or "nothing"
        for moment in ("at once", "after a while", "after another start"):
            if moment == "after a while":
                time.sleep(self.settle_s)
            if moment == "after another start":
                extra = User("extra")
                extra.id = server.connect()("POST", "/Users", body("extra", "extra", "1"))["id"]
                extra.known = ("extra", "1")
                self.writers[0].users.append(extra)
                server.kill()
                try:
                    server = self.start(state)
                except DoesNotStart as why:
                    return "FAIL: does not start again", str(why)[-300:]
            if self.settle_s < 1 and moment == "at once":
                continue
            wrong = check(server.connect(), self.writers, REPAIR_WITHIN_S)
            if wrong:
                server.kill()
                # A frame has at most one write of each writer.
                torn = (self.name, self.kind) == ("busy", "last segment") and "never acknowledged frame" in said
                if torn and len(wrong) <= WRITERS and self.damage in TAIL:
                    return "torn tail", said
                return f"FAIL: {len(wrong)} wrong {moment}", f"{wrong[0]}; it said: {said}"
        server.kill()
        return "repaired" if said != "nothing" else "harmless", said


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("binary")
    arguments.add_argument("--users", type=int, default=3000)
    arguments.add_argument("--quick", action="store_true", help="a few damages, few users")
    arguments.add_argument("--only", default="", help="only rows whose state, file and damage contain this")
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    arguments = arguments.parse_args()
    binary, dice = appliance.absolute(arguments.binary), random.Random(arguments.seed)
    users, settle_s = (300, 0.5) if arguments.quick else (arguments.users, SETTLE_S)
    outcomes = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for state in load(binary, folder, users, dice):
            living = sum(1 for writer in state[2] for user in writer.users if user.known)
            groups = [group for writer in state[2] for group in writer.groups if group.known]
            members = sum(1 for group in groups for thing in group.members if thing.known)
            segments = len(list(state[1].glob("log/*.log")))
            print(f"{state[0]} state: {living} users, {len(groups)} groups, {members} memberships, "
                  f"{segments} segments of the commit log", flush=True)
            for kind in KINDS:
                if arguments.quick and state[0] == "busy" and KINDS[kind][2] == ():
                    continue
                for damage in QUICK if arguments.quick else DAMAGES:
                    case = Case(binary, folder, state, kind, damage, settle_s)
                    if arguments.only not in f"{state[0]} {kind} {damage}":
                        continue
                    if case.file() is None:
                        print(f"{state[0]:5} | {kind:14} | skipped: this binary made none", flush=True)
                        break
                    outcome = case.run(dice)
                    if outcome is None:
                        continue
                    word = outcome[0].split(":")[0]
                    outcomes[word] = outcomes.get(word, 0) + 1
                    print(f"{state[0]:5} | {kind:14} | {damage:34} | {outcome[0]:8} | {outcome[1][:600]}", flush=True)
    print(f"seed {arguments.seed}: " + ", ".join(f"{count} {word}" for word, count in sorted(outcomes.items())))
    sys.exit(1 if "FAIL" in outcomes else 0)


if __name__ == "__main__":
    main()
