#!/usr/bin/env python3
"""Fills the disk under a writing server, gives the room back, and looks for acknowledged writes that are gone.

The state lies on a small ext4 image of its own, and a ballast file takes its room away. Reads must go on, writes be
refused with 503 and Retry-After and resume by themselves once the ballast is gone; the server must not end, unless the
disk was full to the last block, and then with 70. A start on the full disk must work thanks to the reserve. At the end
every user, group and membership is compared with what was acknowledged. Any difference makes the exit status 1. A binary
that writes no groups is tried with users only.

    sudo python3 tests/full_disk.py target/ci/rollcall [--seed N]

It needs root, loop devices, mkfs.ext4 and Python 3.9 or later.
"""

import argparse
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

from faults import appliance
from faults.appliance import Refused, Server, Unsuccessful
from faults.comparison import check
from faults.writers import Crew, team

WRITERS = 4
IMAGE_BYTES = 256 << 20
MIB = 1 << 20
# Large users, so that the disk fills up.
FILLING = 300
# Room at a few MiB: the hard mark is met long before the file system has nothing left.
MARKS = ["storage.free_soft=48MiB", "storage.free_hard=32MiB"]
# No marks: the file system itself says that there is no room, wherever it is met first.
NO_MARKS = ["storage.free_soft=0B", "storage.free_hard=0B"]
SETTINGS = ["storage.segment=1MiB"]
RESTART = 70


class Failed(Exception):
    """What is wrong."""


def expect(true, what):
    if not true:
        raise Failed(what)


class Trial:
    """A server on a small disk, and its writers."""

    def __init__(self, binary, folder, dice, marks, groups):
        self.binary, self.folder, self.settings = binary, folder, SETTINGS + marks
        self.mount, self.token = folder / "mount", None
        self.mount.mkdir(exist_ok=True)
        image = folder / "image"
        image.unlink(missing_ok=True)
        image.touch()
        os.truncate(image, IMAGE_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, self.mount], check=True)
        self.writers = team(WRITERS, dice, groups, FILLING)
        self.server = None

    def start(self, *settings):
        self.server = Server(self.binary, self.folder, self.mount / "state", self.settings + list(settings), self.token)
        self.token = self.server.token

    def fill(self, leave):
        """Takes all room away but this many bytes."""
        found = os.statvfs(self.mount)
        count = found.f_bavail * found.f_frsize - leave
        with open(self.mount / "ballast", "ab") as ballast:
            at = ballast.tell()
            try:
                os.posix_fallocate(ballast.fileno(), at, max(count, 4096))
                while leave == 0:
                    ballast.write(bytes(4096))
                    ballast.flush()
            except OSError:
                pass

    def give_back(self):
        (self.mount / "ballast").unlink()

    def write(self, seconds):
        """Writes for so long. Returns how many writes were acknowledged and how many refused."""
        before = [(writer.count, writer.refused) for writer in self.writers]
        crew = Crew(self.server, self.writers)
        time.sleep(seconds)
        crew.join()
        after = [(writer.count, writer.refused) for writer in self.writers]
        return tuple(sum(new[n] - old[n] for new, old in zip(after, before)) for n in (0, 1))

    def resumes(self, within_s=15):
        until = time.monotonic() + within_s
        while not self.write(0.5)[0]:
            expect(time.monotonic() < until, "writes do not resume")
            expect(self.server.process.poll() is None, "the server has ended")

    def compacts(self, within_s=40):
        """Waits until it takes writes and exports a base, by itself or after ending for a restart."""
        until = time.monotonic() + within_s
        while True:
            ended = self.server.process.poll()
            if ended is not None:
                expect(ended == RESTART, f"it ended with {ended}: {self.server.said()[-500:]}")
                self.start()
            try:
                if self.write(0.5)[0]:
                    return self.server.ask("storage", "compact")
            except Unsuccessful as why:
                expect(time.monotonic() < until, why)
            expect(time.monotonic() < until, "writes do not resume")

    def compare(self):
        wrong = check(self.server.connect(), self.writers)
        expect(not wrong, f"{len(wrong)} wrong: {wrong[:5]}")

    def end(self):
        if self.server:
            self.server.kill()
        subprocess.run(["umount", self.mount], check=True)


def marks(trial):
    """Below the hard mark: refused at once, everything else goes on, and writes resume."""
    trial.start()
    expect(trial.write(1)[0], "nobody wrote")
    trial.fill(16 * MIB)
    time.sleep(1.5)
    done, refused = trial.write(2)
    expect(refused and not done, f"{done} writes, {refused} refusals on a full disk")
    trial.compare()
    trial.give_back()
    trial.resumes()
    trial.compare()
    trial.server.stop()
    trial.start()
    trial.compare()


def reserve(trial):
    """A start on a full disk: the reserve is given up, reads work, writes come back with the room."""
    trial.start("storage.reserve=16MiB")
    trial.write(1)
    time.sleep(1.5)
    expect((trial.mount / "state/reserve").exists(), "there is no reserve")
    trial.server.kill()
    trial.fill(0)
    trial.start("storage.reserve=16MiB")
    expect(any("reserve" in line for line in trial.server.complaints()), "the reserve was not used")
    trial.compare()
    done, refused = trial.write(1)
    expect(refused and not done, f"{done} writes, {refused} refusals on a full disk")
    trial.give_back()
    trial.resumes()
    trial.compare()


def to_the_last_block(trial):
    """No marks: whoever meets the end of the disk first, nothing is lost."""
    trial.start()
    trial.write(1)
    trial.fill(0)
    crew = Crew(trial.server, trial.writers)
    until = time.monotonic() + 40
    while time.monotonic() < until and trial.server.process.poll() is None and sum(w.refused for w in trial.writers) < 20:
        time.sleep(0.1)
    if trial.server.process.poll() is None:
        # Reads go on, whatever failed.
        for user in [user for user in trial.writers[0].users if user.id and user.known and not user.under_way][:20]:
            try:
                trial.server.connect()("GET", f"/Users/{user.id}")
            except Refused as refusal:
                expect(refusal.status == 404 and user.known != user.pending, f"reads do not go on: {refusal}")
            except OSError:
                expect(trial.server.process.poll() is not None, "reads do not go on")
    crew.join()
    expect(sum(writer.refused for writer in trial.writers), "nobody was refused on a full disk")
    ended = trial.server.process.poll()
    trial.give_back()
    if ended is None:
        try:
            ended = trial.server.process.wait(15)
        except subprocess.TimeoutExpired:
            trial.resumes()
    if ended is not None:
        expect(ended == RESTART, f"it ended with {ended}: {trial.server.said()[-500:]}")
        trial.start()
        trial.resumes()
    trial.compare()
    return f"{'ended for a restart' if ended is not None else 'went on by itself'}, nothing lost"


def at_the_base(trial):
    """No room for a base: nothing is left of it, reads go on, and it works with room."""
    if not appliance.knows_storage(trial.binary):
        return "skipped: this binary exports no base"
    trial.start()
    trial.write(4)
    trial.server.ask("storage", "compact")
    trial.write(1)
    trial.fill(MIB // 2)
    try:
        trial.server.ask("storage", "compact")
    except Unsuccessful:
        pass
    time.sleep(3)
    # Without marks the state itself may have met the end of the disk meanwhile, and that ends with a restart.
    if trial.server.process.poll() is None:
        trial.compare()
    trial.give_back()
    trial.compacts()
    trial.compare()
    trial.server.kill()
    trial.start()
    trial.compare()
    return None


TRIALS = {
    "below the hard mark": (marks, MARKS),
    "start on a full disk": (reserve, MARKS),
    "no room for a base": (at_the_base, NO_MARKS),
    "full to the last block": (to_the_last_block, NO_MARKS),
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("binary")
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    arguments = arguments.parse_args()
    dice, failed = random.Random(arguments.seed), False
    binary = appliance.absolute(arguments.binary)
    groups = appliance.knows_groups(binary)
    for name, (trial, marks) in TRIALS.items():
        with tempfile.TemporaryDirectory() as folder:
            disk = Trial(binary, pathlib.Path(folder), dice, marks, groups)
            try:
                print(f"{name}: {trial(disk) or 'nothing lost'}", flush=True)
            except (Failed, appliance.DoesNotStart, Unsuccessful) as why:
                failed = True
                said = "\n".join(disk.server.complaints()[-10:]) if disk.server else ""
                print(f"{name}: FAIL: {str(why)[-1500:]}\n{said[-1500:]}", flush=True)
            finally:
                disk.end()
    print(f"seed {arguments.seed}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
