"""The real binary as a process, what is known of its users, and how both are compared: for the programs beside this folder.

Python 3.9 or later, nothing else.
"""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

DIRECTORY = "entra"
BASE = f"/scim/{DIRECTORY}/v2"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
READY_WITHIN_S = 90


class DoesNotStart(Exception):
    """The server ended, or did not answer in time."""


class Unsuccessful(Exception):
    """A command failed."""


class Refused(Exception):
    """An answer that is neither success nor expected; `status` tells which."""

    def __init__(self, status, head, answer):
        super().__init__(f"{status}: {answer}")
        self.status, self.head, self.answer = status, head, answer


class Server:
    """The server over a state folder: plain HTTP on a free port of loopback. `settings` are further keys."""

    def __init__(self, binary, folder, state, settings=(), token=None, wait=True, environment=None):
        self.binary, self.folder, self.state, self.token = binary, folder, state, token
        self.control = folder / "admin.sock"
        self.output = folder / "output"
        self.began_at = self.output.stat().st_size if self.output.exists() else 0
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        settings = [
            f"server.public_url=http://localhost:{self.port}", f"server.state_dir={state}",
            f"server.admin_socket={self.control}", f"scim.listen=127.0.0.1:{self.port}", "tls.mode=off",
            "metrics.listen=", "storage.reserve=0B", "storage.free_soft=8MiB", "storage.free_hard=4MiB", *settings,
        ]
        command = [binary, "serve"] + [part for setting in settings for part in ("--set", setting)]
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **(environment or {})}
            )
        if wait:
            self.ready()

    def ready(self):
        """Waits until it answers; makes directory and token when it has none."""
        until = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                self.token = self.token or self.make_token()
                self.connect()("GET", "/Users?count=0")
                return
            except (OSError, Unsuccessful, Refused, http.client.HTTPException):
                pass
            if self.process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise DoesNotStart(self.said())
            time.sleep(0.03)

    def ask(self, *arguments):
        """The answer of the command line to `rollcall ARGUMENTS`. `Unsuccessful` with what it said when it failed."""
        command = [self.binary, *arguments, "--socket", self.control, "--output", "json"]
        answer = subprocess.run(command, capture_output=True, text=True)
        if answer.returncode:
            raise Unsuccessful(f"rollcall {' '.join(arguments)}: exit {answer.returncode}: {answer.stdout}{answer.stderr}")
        return json.loads(answer.stdout)

    def make_token(self):
        """A directory and a token for it."""
        if not self.ask("directory", "list")["items"]:
            self.ask("directory", "create", DIRECTORY)
        return self.ask("token", "create", "--directory", DIRECTORY, "--scope", "provision")["token"]

    def connect(self):
        """A function that sends one request over a connection of its own and returns the answer's JSON."""
        wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        head = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json"}

        def send(method, path, body=None):
            wire.request(method, BASE + path, None if body is None else json.dumps(body), head)
            answer = wire.getresponse()
            found = json.loads(answer.read() or b"null")
            if answer.status >= 300:
                raise Refused(answer.status, dict(answer.getheaders()), found)
            return found

        return send

    def said(self):
        """What it printed since it was started."""
        with open(self.output, "rb") as output:
            output.seek(self.began_at)
            return output.read().decode(errors="replace")

    def complaints(self):
        """Its warnings and errors since it was started, without their times."""
        lines = [line for line in self.said().splitlines() if " INFO " not in line]
        return [line.split(" ", 1)[1].strip() if line[:2] == "20" else line for line in lines]

    def kill(self):
        """Ends it at once."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Asks it to stop, and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)


def faulty(folder):
    """The environment of a server whose disk fails as the file `faults` in `folder` says (see inject.c); none without a C
    compiler."""
    library, source = folder / "inject.so", pathlib.Path(__file__).parent / "inject.c"
    try:
        command = [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"]
        subprocess.run(command, check=True)
    except FileNotFoundError:
        return None
    return {"LD_PRELOAD": str(library), "FAULT_FILE": str(folder / "faults")}


def knows_storage(binary):
    """Whether the binary has the command `rollcall storage`."""
    return subprocess.run([binary, "storage", "--help"], capture_output=True).returncode == 0


class User:
    """What is known of a user: what was acknowledged, and what may have been done beyond that."""

    def __init__(self, number):
        self.number = number
        self.id = None
        self.known = None
        self.pending = None
        self.under_way = False

    def __repr__(self):
        return f"{self.number}: acknowledged {self.known}" + (f", pending {self.pending}" if self.under_way else "")


def body(number, name, mark, filling=40):
    return {"schemas": [USER], "externalId": number, "userName": name, "title": mark, "nickName": mark * filling}


class Writer:
    """Writes, and knows what must be there."""

    def __init__(self, number, dice, filling=40):
        self.number, self.dice, self.filling = number, dice, filling
        self.users, self.count, self.refused = [], 0, 0

    def step(self, send):
        """One write of a random kind."""
        living = [user for user in self.users if user.known and not user.under_way]
        choice = self.dice.random() if living else 0
        mark = f"{self.dice.getrandbits(32):08x}"
        if choice < 0.4:
            user = User(f"w{self.number}-{len(self.users)}")
            self.users.append(user)
            user.pending, user.under_way = (user.number, mark), True
            user.id = send("POST", "/Users", body(user.number, user.number, mark, self.filling))["id"]
        elif choice < 0.9:
            user = self.dice.choice(living)
            name = f"{user.number}-{mark}" if choice < 0.6 else user.known[0]
            user.pending, user.under_way = (name, mark), True
            changed = body(user.number, name, mark, self.filling).items()
            operations = [{"op": "replace", "path": key, "value": value} for key, value in changed if key != "schemas"]
            send("PATCH", f"/Users/{user.id}", {"schemas": [PATCH_OP], "Operations": operations})
        else:
            user = self.dice.choice(living)
            user.pending, user.under_way = None, True
            send("DELETE", f"/Users/{user.id}")
        user.known, user.under_way = user.pending, False
        self.count += 1

    def run(self, server, going_on):
        """Writes as long as `going_on` says so and the connection holds. A refusal with 503 leaves its user alone."""
        try:
            send = server.connect()
            while going_on():
                try:
                    self.step(send)
                except Refused as refusal:
                    if refusal.status != 503 or "Retry-After" not in {name.title() for name in refusal.head}:
                        raise
                    self.refused += 1
                    time.sleep(0.02)
        except (OSError, http.client.HTTPException):
            pass


class Crew:
    """Writers at work, each in a thread of its own."""

    def __init__(self, server, writers):
        self.going_on = True
        self.threads = [
            threading.Thread(target=writer.run, args=(server, lambda: self.going_on)) for writer in writers
        ]
        for thread in self.threads:
            thread.start()

    def join(self):
        """Lets them finish what they do."""
        self.going_on = False
        for thread in self.threads:
            thread.join()


def check(send, writers, patience_s=0):
    """Compares everybody with what the server says: list, by id, by name. Afterwards that is what is known.

    Returns what is wrong. For `patience_s` a single user may be refused with 503: it is being repaired."""
    until = time.monotonic() + patience_s
    found, wrong, total = {}, [], None

    def patiently(path):
        while True:
            try:
                return send("GET", path)
            except Refused as refusal:
                if refusal.status != 503 or time.monotonic() > until:
                    return str(refusal)
                time.sleep(0.1)

    while total is None or len(found) < total:
        page = patiently(f"/Users?count=500&startIndex={len(found) + 1}")
        if isinstance(page, str):
            return [f"the list: {page}"]
        total = page["totalResults"]
        found.update((resource["externalId"], resource) for resource in page["Resources"])
        if not page["Resources"]:
            break
    if total != len(found):
        wrong.append(f"totalResults {total}, listed {len(found)}")
    for user in [user for writer in writers for user in writer.users]:
        resource = found.pop(user.number, None)
        seen = resource and (resource["userName"], resource["title"])
        if seen != user.known and not (user.under_way and seen == user.pending):
            wrong.append(f"{user}, found {seen}")
        if resource and resource["nickName"].replace(resource["title"], "") != "":
            wrong.append(f"{user}: half a write: {resource}")
        if resource:
            one = patiently(f"/Users/{resource['id']}")
            by_name = patiently(f"/Users?filter=userName+eq+%22{seen[0]}%22")
            if one != resource or not isinstance(by_name, dict) or by_name["Resources"] != [resource]:
                wrong.append(f"{user}: the list has {resource}, by id {one}, by name {by_name}")
            user.id = resource["id"]
        elif user.id and not patiently(f"/Users/{user.id}").startswith("404"):
            wrong.append(f"{user}: not in the list, but found by id")
        user.known, user.under_way = seen, False
    return wrong + [f"nobody made {number}" for number in found]


def absolute(binary):
    """The binary's path, from anywhere."""
    return pathlib.Path(binary).resolve()
