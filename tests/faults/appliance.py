"""The real binary as a process: for the programs beside this folder.

Python 3.9 or later, nothing else.
"""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

DIRECTORY = "entra"
BASE = f"/scim/{DIRECTORY}/v2"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
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


def knows_groups(binary):
    """Whether the binary writes groups."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        server = Server(binary, folder, folder / "state")
        try:
            server.connect()("POST", "/Groups", {"schemas": [GROUP], "displayName": "probe"})
            return True
        except Refused as refusal:
            if refusal.status != 501:
                raise
            return False
        finally:
            server.kill()


def absolute(binary):
    """The binary's path, from anywhere."""
    return pathlib.Path(binary).resolve()
