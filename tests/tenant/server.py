"""A server of our own to play against."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from tenant.wire import Wire


class Server:
    """`rollcall try` in a directory of its own."""

    def __init__(self, binary):
        self.binary = os.path.abspath(binary)
        self.folder = tempfile.mkdtemp(prefix="rollcall-entra-")
        self.state = os.path.join(self.folder, "state")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = None

    def start(self):
        """Starts it and waits until it answers; returns Tenant URL, token and CA file."""
        with open(os.path.join(self.folder, "output"), "ab") as output:
            self.process = subprocess.Popen([self.binary, "try", "--port", str(self.port), "--dir", self.state],
                                            stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.folder)
        url = "https://localhost:%d/scim/try/v2" % self.port
        until = time.monotonic() + 120
        saw = "nothing yet"
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise SystemExit("%s ended with status %s:\n%s" % (self.binary, self.process.returncode, self.output()))
            try:
                with open(os.path.join(self.state, "token")) as file:
                    token = file.read().strip()
                wire = Wire(url, token, self.ca())
                answer = wire.send("GET", "/Users", query="count=0")
                wire.hang_up()
                if answer.status == 200:
                    return url, token, self.ca()
                saw = str(answer)
            except (OSError, http.client.HTTPException) as error:
                saw = repr(error)
            time.sleep(0.05)
        self.stop()
        raise SystemExit("%s did not answer within 120 s (%s):\n%s" % (self.binary, saw, self.output()))

    def ca(self):
        """The CA file that it wrote."""
        for folder, _, names in os.walk(self.state):
            if "ca.pem" in names:
                return os.path.join(folder, "ca.pem")
        raise OSError("no ca.pem under %s yet" % self.state)

    def output(self):
        """The end of what it printed."""
        with open(os.path.join(self.folder, "output"), "rb") as file:
            return file.read()[-4000:].decode("utf-8", "replace")

    def restart(self, how, report):
        """Ends it with a signal and starts it again."""
        self.process.send_signal(how)
        status = self.process.wait(60)
        if how == signal.SIGTERM:
            report.check(status == 0, "SIGTERM ends the server with status 0", status)
        self.start()

    def stop(self):
        """Ends it for good."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def remove(self):
        """Deletes its directory."""
        shutil.rmtree(self.folder, ignore_errors=True)
