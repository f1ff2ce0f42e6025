#!/usr/bin/env python3
"""Cuts the power under a writing server, again and again, and looks for acknowledged writes that are gone.

The state lies on an ext4 image of its own. At a random moment the server is stopped and the image is copied as the
disk has it then: what the kernel still keeps in memory is lost, as it is when the power goes. The copy is mounted, the
server starts on it, and every user is compared with what was acknowledged; what was under way must be wholly there or
wholly absent. The next round goes on with the copy. Any difference makes the exit status 1.

    sudo tests/power_cut.py target/ci/rollcall [--rounds 20] [--seed N]

It needs root, loop devices, mkfs.ext4 and Python 3.9 or later.
"""

import argparse
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

DIRECTORY = "entra"
BASE = f"/scim/{DIRECTORY}/v2"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
WRITERS = 8
IMAGE_BYTES = 160 << 20
CUT_WITHIN_S = 2.5
READY_WITHIN_S = 60
# Small segments, so that many cuts meet a change of segment; a small image, so that copying it is quick.
SETTINGS = ["storage.segment=1MiB", "storage.reserve=0B", "storage.free_soft=8MiB", "storage.free_hard=4MiB"]


class Server:
    """The server on a mounted image."""

    def __init__(self, binary, folder, image, token=None):
        self.mount = folder / "mount"
        self.mount.mkdir(exist_ok=True)
        subprocess.run(["mount", "-o", "loop", image, self.mount], check=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        control = folder / "admin.sock"
        settings = SETTINGS + [
            f"server.public_url=http://localhost:{self.port}", f"server.state_dir={self.mount / 'state'}",
            f"server.admin_socket={control}", f"scim.listen=127.0.0.1:{self.port}", "tls.mode=off",
        ]
        command = [binary, "serve"] + [part for setting in settings for part in ("--set", setting)]
        self.output = folder / "output"
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        until = time.monotonic() + READY_WITHIN_S
        self.token = token
        while True:
            try:
                self.token = self.token or make_token(binary, control)
                if self.connect()("GET", "/Users?count=0")[0] == 200:
                    return
            except (OSError, subprocess.CalledProcessError):
                pass
            if self.process.poll() is not None or time.monotonic() > until:
                self.end()
                sys.exit("the server does not start:\n" + self.output.read_text()[-4000:])
            time.sleep(0.05)

    def connect(self):
        """A function that sends one request over a connection of its own."""
        wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        head = {"Authorization": "Bearer " + self.token, "Content-Type": "application/scim+json"}

        def send(method, path, body=None):
            wire.request(method, BASE + path, None if body is None else json.dumps(body), head)
            answer = wire.getresponse()
            return answer.status, json.loads(answer.read() or b"null")

        return send

    def cut(self, image, copy):
        """Stops the server where it is, and copies what the disk has."""
        self.process.send_signal(signal.SIGSTOP)
        # Twice the same: the kernel wrote nothing back in between, so the copy is of one moment.
        before, now = None, image.read_bytes()
        while before != now:
            before, now = now, image.read_bytes()
        copy.write_bytes(now)
        self.end()

    def end(self):
        self.process.kill()
        self.process.wait()
        subprocess.run(["umount", self.mount], check=True)


def make_token(binary, control):
    """A directory and a token for it."""
    def ask(*arguments):
        command = [binary, *arguments, "--socket", control, "--output", "json"]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    if not ask("directory", "list")["items"]:
        ask("directory", "create", DIRECTORY)
    return ask("token", "create", "--directory", DIRECTORY, "--scope", "provision")["token"]


class User:
    """What is known of a user: what was acknowledged, and what may have been done beyond that."""

    def __init__(self, number):
        self.number = number
        self.id = None
        self.known = None
        self.pending = None
        self.under_way = False


def body(number, name, mark):
    return {"schemas": [USER], "externalId": number, "userName": name, "title": mark, "nickName": mark * 40}


def write(send, users, writer, dice, count):
    """Writes until the connection breaks."""
    while True:
        living = [user for user in users if user.known]
        choice = dice.random() if living else 0
        mark = f"{dice.getrandbits(32):08x}"
        if choice < 0.4:
            user = User(f"w{writer}-{len(users)}")
            users.append(user)
            user.pending, user.under_way = (user.number, mark), True
            status, answer = send("POST", "/Users", body(user.number, user.number, mark))
            assert status == 201, answer
            user.id = answer["id"]
        elif choice < 0.9:
            user = dice.choice(living)
            name = f"{user.number}-{mark}" if choice < 0.6 else user.known[0]
            user.pending, user.under_way = (name, mark), True
            changed = body(user.number, name, mark).items()
            operations = [{"op": "replace", "path": key, "value": value} for key, value in changed if key != "schemas"]
            status, answer = send("PATCH", f"/Users/{user.id}", {"schemas": [PATCH_OP], "Operations": operations})
            assert status == 200, answer
        else:
            user = dice.choice(living)
            user.pending, user.under_way = None, True
            status, answer = send("DELETE", f"/Users/{user.id}")
            assert status == 204, answer
        user.known, user.under_way = user.pending, False
        count[writer] += 1


def write_until_broken(server, users, writer, dice, count):
    try:
        write(server.connect(), users, writer, dice, count)
    except (OSError, http.client.HTTPException):
        pass


def check(send, users):
    """Compares every user with what the server says; afterwards that is what is known. Returns what is wrong."""
    found, wrong, total = {}, [], None
    while total is None or len(found) < total:
        page = send("GET", f"/Users?count=500&startIndex={len(found) + 1}")[1]
        total = page["totalResults"]
        found.update((resource["externalId"], resource) for resource in page["Resources"])
        if not page["Resources"]:
            break
    if total != len(found):
        wrong.append(f"totalResults {total}, listed {len(found)}")
    for user in users:
        resource = found.pop(user.number, None)
        seen = resource and (resource["userName"], resource["title"])
        if seen != user.known and not (user.under_way and seen == user.pending):
            wrong.append(f"{user.number}: acknowledged {user.known}, pending {user.pending}, found {seen}")
        if resource and resource["nickName"] != resource["title"] * 40:
            wrong.append(f"{user.number}: half a write: {resource}")
        if resource:
            one = send("GET", f"/Users/{resource['id']}")[1]
            by_name = send("GET", f"/Users?filter=userName+eq+%22{seen[0]}%22")[1]["Resources"]
            if one != resource or by_name != [resource]:
                wrong.append(f"{user.number}: the list has {resource}, by id {one}, by name {by_name}")
            user.id = resource["id"]
        user.known, user.under_way = seen, False
    return wrong + [f"nobody made {number}" for number in found]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("binary", type=pathlib.Path)
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    arguments = arguments.parse_args()
    binary, dice = arguments.binary.resolve(), random.Random(arguments.seed)
    users, count = [[] for _ in range(WRITERS)], [0] * WRITERS
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        image, copy = folder / "image", folder / "copy"
        image.write_bytes(b"")
        os.truncate(image, IMAGE_BYTES)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        server = Server(binary, folder, image)
        for cut in range(arguments.rounds):
            threads = [
                threading.Thread(target=write_until_broken, args=(server, users[n], n, random.Random(dice.random()), count))
                for n in range(WRITERS)
            ]
            for thread in threads:
                thread.start()
            time.sleep(dice.uniform(0.05, CUT_WITHIN_S))
            server.cut(image, copy)
            for thread in threads:
                thread.join()
            copy.replace(image)
            server = Server(binary, folder, image, server.token)
            wrong = check(server.connect(), [user for writer in users for user in writer])
            print(f"cut {cut + 1}: {sum(count)} acknowledged writes, {len(wrong)} wrong", flush=True)
            if wrong:
                server.end()
                sys.exit(f"seed {arguments.seed}:\n" + "\n".join(wrong[:20]) + "\n" + server.output.read_text()[-4000:])
        server.end()
        starts = server.output.read_text()
        for rung in ("replayed", "incomplete, never acknowledged", "without its snapshots", "rebuilt it"):
            print(f"starts that {rung}: {starts.count(rung)}")
    print(f"seed {arguments.seed}: {arguments.rounds} cuts, {sum(count)} acknowledged writes, none lost")


if __name__ == "__main__":
    main()
