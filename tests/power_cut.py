#!/usr/bin/env python3
"""Cuts the power under a working server, again and again, and looks for acknowledged writes that are gone.

The state lies on an ext4 image of its own. At a random moment the server is stopped and the image is copied as the
disk has it then: what the kernel still keeps in memory is lost, as it is when the power goes. The copy is mounted, the
server starts on it, and every user, group and membership is compared with what was acknowledged; what was under way must
be wholly there or wholly absent. The next round goes on with the copy. Any difference makes the exit status 1. A binary that
writes no groups is tried with users only.

    sudo python3 tests/power_cut.py target/ci/rollcall [--rounds 20] [--seed N]

The moments: under eight writers, with a segment of the commit log every few hundred writes; in the first second of an
empty state; while the server starts over a state, with replay and checkpoint; while it stops, with checkpoint and snapshot;
and, when the binary has `rollcall storage compact`, while that exports a base and rebuilds the state.

It needs root, loop devices, mkfs.ext4 and Python 3.9 or later.
"""

import argparse
import collections
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

from faults import appliance
from faults.appliance import DoesNotStart, Server, Unsuccessful
from faults.comparison import check
from faults.writers import Crew, team

WRITERS = 8
IMAGE_BYTES = 192 << 20
# Then a new image: comparing everybody who ever was takes longer each time, and each image begins with a first start.
ROUNDS_AN_IMAGE = 8
# Small segments, so that many cuts meet a change of segment.
SETTINGS = ["storage.segment=1MiB"]
# Rungs of the ladder that a start tells of.
RUNGS = ("replayed", "incomplete, never acknowledged", "without its snapshots", "rebuilt it", "from the base")
# Latest moment of a cut, in seconds.
WITHIN_S = {"writing": 1.5, "compact": 2.0, "stop": 0.6, "start": 0.5, "first start": 1.0}


def content(image):
    """The image's data, hole by hole: (offset, bytes) of each extent."""
    extents = []
    with open(image, "rb") as file:
        at, end = 0, os.fstat(file.fileno()).st_size
        while at < end:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            to = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            extents.append((at, os.pread(file.fileno(), to - at, at)))
            at = to
    return extents


class Disk:
    """An image, mounted."""

    def __init__(self, folder):
        self.folder, self.image, self.mount = folder, folder / "image", folder / "mount"
        self.mount.mkdir(exist_ok=True)
        self.image.unlink(missing_ok=True)
        self.image.touch()
        os.truncate(self.image, IMAGE_BYTES)
        subprocess.run(["mkfs.ext4", "-q", self.image], check=True)
        self.put_in()

    def put_in(self):
        subprocess.run(["mount", "-o", "loop", self.image, self.mount], check=True)

    def take_out(self):
        subprocess.run(["umount", self.mount], check=True)

    def cut(self, server):
        """Stops the server where it is, and goes on with what the disk has."""
        server.process.send_signal(signal.SIGSTOP)
        # A signal is sent at once and heeded when a thread gets a processor: until then it writes and acknowledges.
        # One that has ended is stopped for good.
        if server.process.poll() is None:
            os.waitid(os.P_PID, server.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        # Twice the same: the kernel wrote nothing back in between, so the copy is of one moment.
        before, now = None, content(self.image)
        while before != now:
            before, now = now, content(self.image)
        copy = self.folder / "copy"
        with open(copy, "wb") as file:
            for at, data in now:
                os.pwrite(file.fileno(), data, at)
            file.truncate(IMAGE_BYTES)
        server.kill()
        self.take_out()
        copy.replace(self.image)
        self.put_in()


class Rounds:
    """Cuts over one binary."""

    def __init__(self, binary, folder, dice):
        self.binary, self.folder, self.dice = binary, folder, dice
        self.kinds = ["writing", "writing", "stop", "start"]
        if appliance.knows_storage(binary):
            self.kinds += ["compact", "compact"]
        self.groups = appliance.knows_groups(binary)
        self.disk, self.server, self.token, self.writers = None, None, None, []
        self.cuts, self.count = collections.Counter(), 0

    def start(self, wait=True):
        self.server = Server(self.binary, self.folder, self.disk.mount / "state", SETTINGS, self.token, wait=wait)
        self.token = self.server.token

    def new_image(self):
        """A first start on an empty disk, and a cut in it."""
        self.end()
        self.disk, self.token = Disk(self.folder), None
        self.writers = team(WRITERS, self.dice, self.groups)
        self.start(wait=False)
        time.sleep(self.dice.uniform(0, WITHIN_S["first start"]))
        return "first start"

    def moment(self):
        """Lets one kind of moment come. Returns the kind, and who writes."""
        kind = self.dice.choice(self.kinds)
        wait_s = self.dice.uniform(0.01, WITHIN_S[kind])
        crew = None
        if kind == "start":
            self.server.kill()
            self.start(wait=False)
        else:
            crew = Crew(self.server, self.writers)
        if kind == "compact":
            # Its answer, if there is one, is not what counts.
            threading.Thread(target=self.compact, args=(self.server,), daemon=True).start()
        if kind == "stop":
            time.sleep(self.dice.uniform(0.05, 0.5))
            self.server.process.send_signal(signal.SIGTERM)
        time.sleep(wait_s)
        return kind, crew

    def compact(self, server):
        try:
            server.ask("storage", "compact")
        except (Unsuccessful, ValueError):
            pass

    def round(self, number):
        """One cut and the comparison after it. Returns kind and what is wrong."""
        crew = None
        if number % ROUNDS_AN_IMAGE == 0:
            kind = self.new_image()
        else:
            kind, crew = self.moment()
        self.disk.cut(self.server)
        if crew:
            crew.join()
        self.start()
        self.cuts[kind] += 1
        return kind, check(self.server.connect(), self.writers, 10)

    def end(self):
        if self.server:
            self.count += sum(writer.count for writer in self.writers)
            self.server.kill()
            self.disk.take_out()
            self.server = None


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("binary")
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rounds = Rounds(appliance.absolute(arguments.binary), pathlib.Path(folder), random.Random(arguments.seed))
        try:
            for number in range(arguments.rounds):
                began = time.monotonic()
                try:
                    kind, wrong = rounds.round(number)
                except DoesNotStart as why:
                    sys.exit(f"seed {arguments.seed}: it does not start:\n{str(why)[-4000:]}")
                took = time.monotonic() - began
                writes = sum(writer.count for writer in rounds.writers)
                print(f"cut {number + 1}, {kind}: {writes} acknowledged writes, {len(wrong)} wrong, {took:.1f} s", flush=True)
                if wrong:
                    said = "\n".join(rounds.server.complaints()[-20:])
                    sys.exit(f"seed {arguments.seed}:\n" + "\n".join(wrong[:20]) + "\n" + said)
        finally:
            rounds.end()
        starts = (pathlib.Path(folder) / "output").read_text(errors="replace")
        for rung in RUNGS:
            print(f"starts that {rung}: {starts.count(rung)}")
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(rounds.cuts.items()))
    print(f"seed {arguments.seed}: {arguments.rounds} cuts ({kinds}), {rounds.count} acknowledged writes, none lost")


if __name__ == "__main__":
    main()
