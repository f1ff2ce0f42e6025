"""Connections to the server as Entra holds them, and the answers."""

import http.client
import json
import ssl
import threading
import urllib.parse

from tenant.urns import FLAG, MEDIA


class Answer:
    """One answer of the server."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def header(self, name):
        """The value of a header, or None."""
        return self.headers.get(name.lower())

    def json(self):
        """The body as JSON; an empty object when it is none, so that checks fail instead of the player."""
        try:
            value = json.loads(self.body.decode("utf-8"))
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def __str__(self):
        return "%d %s" % (self.status, self.body.decode("utf-8", "replace"))


class Wire:
    """Keep-alive connections to the server, one a thread.

    `flag` is how the Tenant URL was typed: `none`, `query` (`…/v2?aadOptscim062020`), `slash` (`…/v2/?aadOptscim062020`,
    which doubles the slash before the endpoint), or `any`: with the flag in some requests. Every second connection is
    limited to TLS 1.2; with `tls12` every one."""

    def __init__(self, url, token, ca, flag="any", tls12=False):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise SystemExit("the Tenant URL must begin with https:// and name a host, not %r" % url)
        self.host, self.port = parts.hostname, parts.port or 443
        self.base = parts.path.rstrip("/")
        self.token = token
        self.ca = ca
        self.flag = flag
        if FLAG.lower() in parts.query.lower():
            self.flag = "slash" if parts.path.endswith("/") else "query"
        self.tls12 = tls12
        self.local = threading.local()
        self.lock = threading.Lock()
        self.opened = 0
        self.generation = 0

    def connection(self):
        """This thread's connection, opened when there is none."""
        if getattr(self.local, "generation", None) != self.generation:
            self.hang_up()
        if getattr(self.local, "connection", None) is None:
            context = ssl.create_default_context(cafile=self.ca)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            with self.lock:
                self.opened += 1
                if self.tls12 or self.opened % 2 == 0:
                    context.maximum_version = ssl.TLSVersion.TLSv1_2
            self.local.connection = http.client.HTTPSConnection(self.host, self.port, timeout=60, context=context)
            self.local.used = False
            self.local.generation = self.generation
        return self.local.connection

    def hang_up(self):
        """Closes this thread's connection."""
        if getattr(self.local, "connection", None) is not None:
            self.local.connection.close()
            self.local.connection = None

    def target(self, path, query, flag):
        """What stands in the request's first line."""
        if self.flag in ("query", "slash") or self.flag == "any" and flag:
            query = FLAG + ("&" + query if query else "")
        slash = "/" if self.flag == "slash" and not path.startswith("//") else ""
        return self.base + slash + path + ("?" + query if query else "")

    def send(self, method, path, query="", body=None, authorization=None, raw=None, flag=False, lost=False):
        """One request and its answer. `authorization` None means the right token, "" means no header at all. With `flag`
        the URL carries the flag, if it ever does. `lost`: the server has answered, and the answer never arrives."""
        target = self.target(path, query, flag)
        headers = {"ADSCIMVersion": "6.0"}
        if authorization is None:
            headers["Authorization"] = "Bearer " + self.token
        elif authorization:
            headers["Authorization"] = authorization
        data = raw
        if body is not None:
            data = json.dumps(body, ensure_ascii=False).encode("utf-8")
        if data is not None:
            headers["Content-Type"] = MEDIA + "; charset=utf-8"
        connection = self.connection()
        try:
            connection.request(method, target, body=data, headers=headers)
            response = connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # An idle connection may have been closed by the server meanwhile; a fresh one may not.
            used, _ = self.local.used, self.hang_up()
            if not used or method == "POST":
                raise
            connection = self.connection()
            connection.request(method, target, body=data, headers=headers)
            response = connection.getresponse()
        self.local.used = True
        if lost:
            self.hang_up()
            return None
        answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        if response.will_close:
            self.hang_up()
        return answer
