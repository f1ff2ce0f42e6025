#!/usr/bin/env python3
"""Plays Microsoft Entra ID's provisioning service against a SCIM server, over TLS, and checks every answer.

The player keeps its own model of what each user must be. At the end it pages out the whole directory and compares
it with the model, attribute by attribute. Any difference makes the exit status 1.

    tests/entra.py --start target/ci/rollcall              starts and stops `rollcall try` in a temporary directory
    tests/entra.py --url URL --token TOKEN --ca ca.pem     plays against a server that runs already

URL, token and CA may also come from ROLLCALL_TENANT_URL, ROLLCALL_TOKEN and ROLLCALL_CA. Users that were in the
directory before are left alone. The users it makes carry the seed in their names: a second run against the same
directory needs another seed (the default is a new one each time).

What it copies of the real client: no User-Agent; an ADSCIMVersion header; no Content-Type on GET and DELETE;
`application/scim+json; charset=utf-8` on POST and PATCH; space as `+` and quotes as %22 in filters; `Operations`
before `schemas` in half of the PATCHes; both PATCH dialects; several keep-alive connections at once, every second
one limited to TLS 1.2; never a conditional header. It needs Python 3.9 or later and nothing else.
"""

import argparse
import concurrent.futures
import copy
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata
import urllib.parse
import uuid

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENT = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
BADGE = "urn:ietf:params:scim:schemas:extension:Northbridge:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
MEDIA = "application/scim+json"
FLAG = "aadOptscim062020"

WORK_MAIL = 'emails[type eq "work"].value'

# The mapped targets that hold plain text: what a new application maps, and what administrators add.
PLAIN = [
    "displayName", "title", "nickName", "userType", "preferredLanguage", "locale", "timezone", "profileUrl",
    "name.givenName", "name.familyName", "name.formatted", "name.middleName", "name.honorificPrefix",
    ENT + ":employeeNumber", ENT + ":department", ENT + ":costCenter", ENT + ":organization", ENT + ":division",
]
# The mapped targets inside multi-valued attributes. Odd case is as the default mapping has it.
FILTERED = [
    WORK_MAIL, 'emails[type eq "other"].Value',
    'phoneNumbers[type eq "work"].value', 'phoneNumbers[type eq "mobile"].value', 'phoneNumbers[type eq "fax"].value',
    'addresses[type eq "work"].streetAddress', 'addresses[type eq "work"].locality',
    'addresses[type eq "work"].region', 'addresses[type eq "work"].country', 'addresses[type eq "work"].postalCode',
    'addresses[type eq "other"].Formatted',
]
GIVEN = ["Mara", "Åsa", "Zoë", "Jürgen", "Noémie", "Seán", "Łukasz", "Ana María", "Đorđe", "李", "さくら", "Иван",
         "Ola", "D'Arcy", "Priya", "Kwame", "Maximilian", "Straße", "Bo", "Ngọc"]
FAMILY = ["Lindqvist", "O'Neill", "Smith-Jones", "Müller", "Nguyễn", "van der Berg", "D'Angelo", "Østergård", "García",
          "王", "田中", "Петров", "Ode", "Þórsdóttir", "Khan", "Mbeki", "Bauer", "Rossi"]
WORDS = ["Optics", "Lens design", "Field service", "R&D", "Finance / Control", "Ледовая", "研究所", "Coatings \"A\"",
         "back\\slash", "Polish + Grind", "Umeå", "naïve", "100 % glass", "tab\there", "emoji 🔭", "O'Hare"]


class Report:
    """Counts what held and what did not."""

    def __init__(self):
        self.lock = threading.Lock()
        self.passed = 0
        self.failed = 0

    def check(self, holds, what, saw=""):
        """Notes one expectation; tells the first failures in full. Returns whether it held."""
        with self.lock:
            if holds:
                self.passed += 1
                return True
            self.failed += 1
            if self.failed <= 40:
                print("FAILED  %s%s" % (what, ("\n        " + str(saw)[:1500]) if saw != "" else ""), flush=True)
            return False


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
    """Keep-alive connections to the server, one a thread."""

    def __init__(self, url, token, ca):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise SystemExit("the Tenant URL must begin with https:// and name a host, not %r" % url)
        self.host, self.port = parts.hostname, parts.port or 443
        self.base = parts.path.rstrip("/")
        self.token = token
        self.ca = ca
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
                if self.opened % 2 == 0:
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

    def send(self, method, path, query="", body=None, authorization=None, raw=None):
        """One request and its answer. `authorization` None means the right token, "" means no header at all."""
        target = self.base + path + ("?" + query if query else "")
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
        answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        if response.will_close:
            self.hang_up()
        return answer


# ---- the model: what a user must be -------------------------------------------------------------------------------

PATH = re.compile(
    r'^(?:(?P<urn>urn:[^\[\]]*):)?(?P<name>[A-Za-z][\w$-]*)'
    r'(?:\[(?P<key>\w+) eq "?(?P<match>[^"\]]*)"?\])?(?:\.(?P<sub>[$\w]+))?$')
SPELLING = {"value": "value", "formatted": "formatted"}


def split(path):
    """(extension URN or None, attribute, key and value of the filter or None, sub-attribute or None)."""
    found = PATH.match(path)
    urn = found.group("urn")
    sub = found.group("sub")
    chosen = None
    if found.group("key"):
        match = found.group("match")
        chosen = (found.group("key"), True if found.group("key") == "primary" else match)
    return (None if urn == USER else urn, found.group("name"), chosen, SPELLING.get((sub or "").lower(), sub))


def get(tree, path):
    """The value at `path`, or None."""
    urn, name, chosen, sub = split(path)
    value = (tree.get(urn, {}) if urn else tree).get(name)
    if chosen:
        value = next((e for e in value or [] if e.get(chosen[0]) == chosen[1]), None)
    return (value or {}).get(sub) if sub else value


def put(tree, path, value):
    """Sets one value, making the element that a filter does not find."""
    urn, name, chosen, sub = split(path)
    holder = tree.setdefault(urn, {}) if urn else tree
    if chosen:
        elements = holder.setdefault(name, [])
        hits = [e for e in elements if e.get(chosen[0]) == chosen[1]]
        if not hits:
            hits = [{chosen[0]: chosen[1]}]
            elements.extend(hits)
        for hit in hits:
            hit[sub] = value
    elif sub:
        holder.setdefault(name, {})[sub] = value
    else:
        holder[name] = value


def clear(tree, path):
    """Takes one value away."""
    urn, name, chosen, sub = split(path)
    holder = tree.get(urn, {}) if urn else tree
    if chosen:
        for element in holder.get(name, []):
            if element.get(chosen[0]) == chosen[1]:
                element.pop(sub, None)
    elif sub:
        holder.get(name, {}).pop(sub, None)
    else:
        holder.pop(name, None)


def plain(value):
    """The form in which model and answer are compared: null, "" and what is empty are gone, and so is an element
    that says no more than its type; members keep no order, elements do."""
    if isinstance(value, dict):
        kept = {k: plain(v) for k, v in value.items()}
        return {k: v for k, v in kept.items() if v not in (None, "", [], {})}
    if isinstance(value, list):
        kept = [plain(v) for v in value]
        return [v for v in kept if v not in (None, "", [], {}) and not (isinstance(v, dict) and set(v) <= {"type", "primary"})]
    return value


def comparable(tree):
    """A user without what only the server decides. Of a manager only the id counts: `$ref` may be answered or not."""
    tree = copy.deepcopy(tree)
    for name in ("id", "meta", "schemas", "groups"):
        tree.pop(name, None)
    manager = tree.get(ENT, {}).get("manager")
    if isinstance(manager, dict):
        tree[ENT]["manager"] = {"value": manager.get("value")}
    return plain(tree)


def differences(want, have, at=""):
    """Where two trees differ, one line a place."""
    if isinstance(want, dict) and isinstance(have, dict):
        lines = []
        for key in sorted(set(want) | set(have)):
            lines += differences(want.get(key), have.get(key), (at + "." if at else "") + key)
        return lines
    # True == 1 in Python, and not on the wire.
    if type(want) is type(have) and want == have:
        return []
    return ["%s: sent %s, got %s" % (at, json.dumps(want, ensure_ascii=False), json.dumps(have, ensure_ascii=False))]


class Person:
    """One user: the id that the server gave, and what it must answer."""

    def __init__(self, number, tree):
        self.number = number
        self.tree = tree
        self.id = None
        self.version = None
        self.modified = None

    def __str__(self):
        return "user %d (%s, %s)" % (self.number, self.tree.get("userName"), self.id)


# ---- the player ---------------------------------------------------------------------------------------------------


class Player:
    """The conversation: connections, model, and what both say."""

    def __init__(self, wire, seed, users, workers):
        self.wire = wire
        self.seed = seed
        self.tag = "%06x" % (seed & 0xFFFFFF)
        self.report = Report()
        self.pool = concurrent.futures.ThreadPoolExecutor(max_workers=workers)
        self.people = []
        self.gone = []
        self.before = set()
        self.users = users
        self.server = None

    def dice(self, *names):
        """Chance for one step: the same for the same seed, whatever the threads do."""
        return random.Random("/".join(str(n) for n in (self.seed,) + names))

    def each(self, items, step):
        """Runs `step` for every item, several at once; a step that breaks is a failure, not the end."""
        def guarded(item):
            try:
                step(item)
            except Exception as error:  # a failure to tell, whatever it is
                self.wire.hang_up()
                self.report.check(False, "%s: %s" % (getattr(step, "__name__", "step"), item), repr(error))
        list(self.pool.map(guarded, items))

    def pick(self, name, count, among=None):
        """`count` people chosen by chance."""
        among = self.people if among is None else among
        return self.dice("pick", name).sample(among, min(count, len(among)))

    # -- requests with the checks that hold for all of them

    def ask(self, method, path, status, what, **more):
        """Sends a request; checks status, media type and request id."""
        answer = self.wire.send(method, path, **more)
        self.report.check(answer.status == status, "%s: status %d" % (what, status), answer)
        self.report.check(bool(answer.header("x-request-id")), "%s: X-Request-Id" % what, answer.headers)
        if answer.status == 204:
            self.report.check(answer.body == b"", "%s: no body with 204" % what, answer)
        else:
            media = (answer.header("content-type") or "").split(";")[0].strip()
            self.report.check(media == MEDIA, "%s: Content-Type %s" % (what, MEDIA), media)
        return answer

    def refused(self, method, path, status, what, scim_type=None, **more):
        """Sends a request that must be refused with a SCIM error."""
        answer = self.ask(method, path, status, what, **more)
        body = answer.json()
        well_formed = (body.get("schemas") == [ERROR] and body.get("status") == str(status)
                       and isinstance(body.get("detail"), str) and body.get("detail") != "")
        self.report.check(well_formed, "%s: SCIM error with string status and detail" % what, answer)
        self.report.check(body.get("scimType") == scim_type, "%s: scimType %s" % (what, scim_type), answer)
        return answer

    def find(self, path, condition, what, flag=False, more=""):
        """A filtered GET as Entra writes it; returns the resources."""
        query = (FLAG + "&" if flag else "") + "filter=" + urllib.parse.quote_plus(condition) + more
        answer = self.ask("GET", path, 200, what, query=query)
        body = answer.json()
        found = body.get("Resources")
        good = (body.get("schemas") == [LIST] and isinstance(found, list) and body.get("totalResults") == len(found)
                and body.get("itemsPerPage") == len(found) and body.get("startIndex") == 1)
        self.report.check(good, "%s: a ListResponse that counts right" % what, answer)
        return found if isinstance(found, list) else []

    def same(self, person, resource, what):
        """Checks a returned resource against the model."""
        lines = differences(comparable(person.tree), comparable(resource))
        self.report.check(not lines, "%s: %s is as sent" % (what, person), "; ".join(lines))
        meta = resource.get("meta") or {}
        self.report.check(
            resource.get("id") == person.id and meta.get("resourceType") == "User"
            and str(meta.get("location", "")).endswith("/Users/%s" % person.id)
            and bool(meta.get("created")) and bool(meta.get("lastModified")),
            "%s: %s has id and meta" % (what, person), {"id": resource.get("id"), "meta": meta})
        # An extension is named exactly when it is there, and no path has become a name.
        extensions = [k for k in resource if k.lower().startswith("urn:")]
        self.report.check(
            resource.get("schemas", [None])[0] == USER and sorted(resource["schemas"][1:]) == sorted(extensions),
            "%s: %s names its schemas" % (what, person), resource.get("schemas"))
        odd = [k for k in resource if not re.match(r"^[A-Za-z$][\w$-]*$", k) and k not in (ENT, BADGE)]
        self.report.check(not odd and "password" not in resource, "%s: %s has only attributes" % (what, person), odd)

    def keep(self, person, answer, what):
        """Checks an answer that carries the whole user, and remembers its version."""
        resource = answer.json()
        self.same(person, resource, what)
        meta = resource.get("meta") or {}
        self.report.check(answer.header("etag") == meta.get("version") and bool(meta.get("version")),
                          "%s: ETag is meta.version" % what, (answer.header("etag"), meta))
        person.version, person.modified = meta.get("version"), meta.get("lastModified")
        return resource

    def read(self, person, what):
        """GET by id, compared with the model."""
        return self.keep(person, self.ask("GET", "/Users/" + person.id, 200, what), what)

    def patch(self, person, operations, what, dice=None, status=200, flag=False):
        """A PATCH; the model must have been changed already. Checks that the answer is the new state."""
        body = {"schemas": [PATCH_OP], "Operations": operations}
        if dice is not None and dice.random() < 0.5:
            body = {"Operations": operations, "schemas": [PATCH_OP]}
        answer = self.ask("PATCH", "/Users/" + person.id, status, what, body=body, query=FLAG if flag else "")
        if status == 200:
            self.keep(person, answer, what)
        return answer

    # -- making users

    def draw(self, number):
        """What one user is in the directory of the tenant: model and POST body."""
        dice = self.dice("user", number)
        given, family = dice.choice(GIVEN), dice.choice(FAMILY)
        odd = dice.choice(["", "", "", "'", "+", "å", "-"])
        local = "u%d.%s%s" % (number, self.tag, odd)
        name = local + "@northbridge.example"
        if dice.random() < 0.05:  # a guest: #EXT# is stripped as a rule, and not always
            name = "%s_partner.example%s@northbridge.example" % (local, dice.choice(["", "#EXT#"]))
        tree = {"userName": name, "active": dice.random() > 0.03, "displayName": given + " " + family,
                "name": {"givenName": given, "familyName": family, "formatted": given + " " + family}}
        if dice.random() < 0.9:
            mail = {"type": "work", "value": "%s@mail.northbridge.example" % local}
            if dice.random() < 0.8:
                mail["primary"] = True
            tree["emails"] = [mail]
        if dice.random() < 0.85:  # mailNickname: not everybody has one, and two people may share it
            tree["externalId"] = "nick-%s-%d" % (self.tag, number if number % 50 or number > 1000 else 0)
        for path in PLAIN[1:8] + PLAIN[11:] + FILTERED[1:]:
            if dice.random() < 0.45:
                put(tree, path, self.value(dice, path))
        if dice.random() < 0.1:
            put(tree, ENT + ":manager", {"value": str(uuid.UUID(int=dice.getrandbits(128)))})
        if dice.random() < 0.1:
            tree["roles"] = [{"primary": True, "type": "WindowsAzureActiveDirectoryRole", "value": "Reader"}]
        if dice.random() < 0.05:
            tree[BADGE] = {"badge": "B-%d" % number, "floor": 3}
        return Person(number, tree)

    @staticmethod
    def value(dice, path):
        """A value for a mapped attribute. Formats are free text in Entra's own tests."""
        word = dice.choice(WORDS)
        if "phoneNumbers" in path:
            return dice.choice(["+46 70 %07d", "+4670%07d", "tel:+46-70-%07d", "(0)90/%d x12"]) % dice.randrange(10 ** 7)
        if path == "profileUrl":
            return dice.choice(["https://people.northbridge.example/%d", "free text %d"]) % dice.randrange(10 ** 6)
        if "emails" in path:
            return "other.%d@mail.northbridge.example" % dice.randrange(10 ** 9)
        return "%s %d" % (word, dice.randrange(10 ** 6))

    def wanted(self, person):
        """The POST body for a person: the model with the disorder of real requests."""
        dice = self.dice("post", person.number)
        body = {"schemas": [USER, ENT] if ENT in person.tree or dice.random() < 0.5 else [USER]}
        body.update(copy.deepcopy(person.tree))
        if dice.random() < 0.1:
            body["schemas"] = [USER]  # the extension is there and not announced
        elif dice.random() < 0.1:
            body["schemas"] = [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0User"]
        for name in ("addresses", "phoneNumbers", "title", "nickName", "emails", "department", "manager"):
            if name not in body and dice.random() < 0.3:
                body[name] = None
        if "roles" not in body:
            if dice.random() < 0.5:
                body["roles"] = []
        elif dice.random() < 0.5:
            body["roles"][0]["primary"] = "True"
        manager = body.get(ENT, {}).get("manager")
        if manager and dice.random() < 0.5:
            body[ENT]["manager"] = manager["value"]
        if body["active"] is True and dice.random() < 0.1:
            del body["active"]
        elif dice.random() < 0.2:
            body["active"] = "True" if body["active"] else "False"
        body["meta"] = {"resourceType": "User"}
        if dice.random() < 0.1:
            body["shoeSize"] = 43
            body["password"] = "never-to-be-seen-%d" % person.number
        if dice.random() < 0.3:
            items = list(body.items())
            dice.shuffle(items)
            body = dict(items)
        return body

    def create(self, person, what):
        """The query that comes before, and the POST."""
        found = self.find("/Users", 'userName eq "%s"' % person.tree["userName"], what + ", query before")
        self.report.check(found == [], "%s: nobody has the name yet" % what, found)
        answer = self.ask("POST", "/Users", 201, "%s of %s" % (what, person), body=self.wanted(person))
        person.id = answer.json().get("id")
        self.report.check(bool(person.id) and person.id not in self.before, "%s: an id" % what, answer)
        self.keep(person, answer, what)
        location = answer.json().get("meta", {}).get("location")
        self.report.check(answer.header("location") == location, "%s: Location" % what, answer.headers)

    # -- the plays

    def connection_test(self):
        """E1, E2: random names on the matching attribute, and on groups."""
        for _ in range(3):
            for attribute in ("userName", "externalId", WORK_MAIL):
                guess = str(uuid.uuid4())
                self.report.check(self.find("/Users", '%s eq "%s"' % (attribute, guess), "test connection") == [],
                                  "test connection: empty list")
            found = self.find("/Groups", 'displayName eq "%s"' % uuid.uuid4(), "probe of groups")
            self.report.check(found == [], "probe of groups: empty list", found)
            self.find("/Groups", 'displayName eq "%s"' % uuid.uuid4(), "probe of groups without members",
                      more="&excludedAttributes=members")
        for path in ("//Users", "/Users/"):
            query = "%s&filter=userName+eq+%%22%s%%22" % (FLAG, uuid.uuid4())
            body = self.ask("GET", path, 200, "flag in the URL, %s" % path, query=query).json()
            self.report.check(body.get("totalResults") == 0, "flag in the URL, %s: empty list" % path, body)

    def credentials(self, other):
        """E3: no token, wrong tokens, a token of another directory."""
        wrong = self.wire.token[:-10] + ("A" if self.wire.token[-10] != "A" else "B") + self.wire.token[-9:]
        cases = [("no token", ""), ("damaged token", "Bearer " + wrong), ("cut token", "Bearer " + self.wire.token[:40]),
                 ("random text", "Bearer " + uuid.uuid4().hex), ("other scheme", "Basic dXNlcjpwYXNz")]
        if other:
            cases.append(("token of another directory", "Bearer " + other))
        for what, authorization in cases:
            answer = self.refused("GET", "/Users", 401, what, authorization=authorization)
            challenge = answer.header("www-authenticate") or ""
            self.report.check(challenge.lower().startswith("bearer"), "%s: WWW-Authenticate: Bearer" % what, challenge)
        twice = self.ask("GET", "/Users", 200, "token pasted with its scheme", query="count=1",
                         authorization="Bearer Bearer " + self.wire.token)
        self.report.check("Resources" in twice.json(), "token pasted with its scheme: a list", twice)

    def discovery(self):
        """E4: the three documents, and every mapped attribute in the flattened schemas."""
        self.ask("GET", "/ServiceProviderConfig", 200, "ServiceProviderConfig")
        types = self.ask("GET", "/ResourceTypes", 200, "ResourceTypes").json()
        self.report.check(any(t.get("endpoint") == "/Users" for t in types.get("Resources", [])),
                          "ResourceTypes has /Users", types)
        document = self.ask("GET", "/Schemas", 200, "Schemas")
        self.report.check(not re.search(rb":\s*null\b", document.body), "Schemas: no null members")
        flat = set()
        for schema in document.json().get("Resources", []):
            flat |= self.flatten(schema)
        mapped = ["userName", "active", "externalId", ENT + ":manager", 'roles[primary eq "True"].value'] + PLAIN + FILTERED
        for path in mapped:
            # externalId is common to all resources; a server may leave it out of the core schema.
            self.report.check(path.lower() in flat or path == "externalId", "Schemas lists " + path)
        self.report.check("password" not in flat, "Schemas leaves password out")

    @staticmethod
    def flatten(schema):
        """The names that Microsoft's discovery test makes of one schema, in lower case."""
        prefix = "" if schema.get("id") in (USER, "urn:ietf:params:scim:schemas:core:2.0:Group") else schema.get("id", "") + ":"
        names = set()
        for attribute in schema.get("attributes", []):
            name, subs = attribute.get("name", ""), attribute.get("subAttributes", [])
            kinds = [t for s in subs if s.get("name") == "type" for t in s.get("canonicalValues", [])]
            if prefix or attribute.get("type") != "complex" and attribute.get("type") != "reference":
                names.add(prefix + name)
            elif attribute.get("type") == "reference":
                names.add(name)  # Microsoft's test passes these by; ours only asks for more
            elif not attribute.get("multiValued"):
                names |= {"%s.%s" % (name, s["name"]) for s in subs}
            elif kinds:
                names |= {'%s[type eq "%s"].%s' % (name, kind, s["name"]) for kind in kinds for s in subs}
            else:
                names |= {'%s[primary eq "True"].%s' % (name, s["name"]) for s in subs}
        return {n.lower() for n in names}

    def creates(self):
        """E5."""
        self.people = [self.draw(n) for n in range(1, self.users + 1)]
        self.each(self.people, lambda person: self.create(person, "create"))
        self.people = [p for p in self.people if p.id]
        self.report.check(len({p.id for p in self.people}) == self.users, "create: every id is new", len(self.people))

    def matches(self):
        """E6: by every matching attribute, in other case and other spelling too."""
        by_external, by_display = {}, {}
        for person in self.people:
            by_external.setdefault(person.tree.get("externalId"), set()).add(person.id)
            by_display.setdefault(person.tree["displayName"].casefold(), set()).add(person.id)

        def match(person):
            dice = self.dice("match", person.number)
            name, external = person.tree["userName"], person.tree.get("externalId")
            mail = get(person.tree, WORK_MAIL)
            one = {person.id}
            cases = [('userName eq "%s"' % name, one), ('USERNAME EQ "%s"' % name.upper(), one)]
            if dice.random() < 0.2:
                cases.append(('userName eq "%s"' % unicodedata.normalize("NFD", name.swapcase()), one))
                cases.append(('id eq "%s"' % person.id, one))
                cases.append(('id eq "%s" and userName eq "%s"' % (person.id, name), one))
                cases.append(('userName eq "%s" and id eq "%s"' % (name, uuid.uuid4()), set()))
                namesakes = by_display[person.tree["displayName"].casefold()]
                if len(namesakes) <= 100:  # more would not fit on one page
                    cases.append(('displayName eq "%s"' % person.tree["displayName"].upper(), namesakes))
            if external:
                cases.append(('externalId eq "%s"' % external, by_external[external]))
                cases.append(('externalId eq "%s"' % external.upper(), set()))
                if dice.random() < 0.2:
                    cases.append(("externalId eq %s" % external, by_external[external]))
            if mail:
                cases.append(('%s eq "%s"' % (WORK_MAIL, dice.choice([mail, mail.upper(), mail.swapcase()])), one))
                if dice.random() < 0.2:
                    cases.append(('emails[type eq "work"] eq "%s"' % mail, one))
                    cases.append(('emails.value eq "%s"' % mail, one))
            for condition, ids in cases:
                found = self.find("/Users", condition, "match " + condition, flag=dice.random() < 0.3)
                self.report.check({r.get("id") for r in found} == ids, "match %s: the right ones" % condition,
                                  (sorted(ids), [r.get("id") for r in found]))
                for resource in found:
                    if resource.get("id") == person.id:
                        self.same(person, resource, "match")

        self.each(self.people, match)

    def managers(self):
        """E7 and the user half of E9: all forms of a manager, to known people and to nobody."""
        everyone = [p.id for p in self.people]

        def appoint(person):
            dice = self.dice("manager", person.number)
            boss = dice.choice(everyone) if dice.random() < 0.9 else str(uuid.UUID(int=dice.getrandbits(128)))
            reference = "https://%s%s/Users/%s" % (self.wire.host, self.wire.base, boss)
            operation = dice.choice([
                {"op": "Add", "path": ENT + ":manager", "value": boss},
                {"op": "Replace", "path": ENT + ":manager", "value": boss},
                {"op": "Add", "path": "manager", "value": [{"$ref": reference, "value": boss}]},
                {"op": "Add", "path": ENT + ":manager", "value": [{"$ref": None, "value": boss}]},
                {"op": "replace", "path": ENT + ":manager", "value": {"value": boss}},
                {"op": "replace", "value": {ENT + ":manager": boss}},
                {"op": "replace", "value": {ENT: {"manager": {"value": boss}}}},
            ])
            put(person.tree, ENT + ":manager", {"value": boss})
            self.patch(person, [operation], "manager %s" % json.dumps(operation), dice)
            if dice.random() < 0.2:
                terms = ['id eq "%s"' % person.id, 'manager eq "%s"' % boss]
                dice.shuffle(terms)
                found = self.find("/Users", " and ".join(terms), "manager check", more="&attributes=" + dice.choice(["id", "ID"]))
                self.report.check([set(r) - {"schemas"} for r in found] == [{"id"}], "manager check: one, with its id", found)
                terms[1] = 'manager eq "%s"' % uuid.uuid4()
                self.report.check(self.find("/Users", " and ".join(terms), "manager check") == [], "manager check: none")

        self.each(self.pick("managers", self.users // 2), appoint)

        def dismiss(person):
            dice = self.dice("dismiss", person.number)
            boss = person.tree[ENT]["manager"]["value"]
            path = dice.choice([ENT + ":manager", "manager"])
            operation = dice.choice([
                {"op": "Replace", "path": path, "value": ""},
                {"op": "replace", "path": path, "value": {"value": ""}},
                {"op": "replace", "path": path, "value": None},
                {"op": "Remove", "path": path},
                {"op": "remove", "path": '%s[value eq "%s"]' % (path, boss)},
            ])
            clear(person.tree, ENT + ":manager")
            self.patch(person, [operation], "manager removed by %s" % json.dumps(operation), dice)

        self.each(self.pick("dismiss", 40, [p for p in self.people if get(p.tree, ENT + ":manager")]), dismiss)

    def changes(self, person, dice):
        """A new value for some of the mapped attributes: {path: value}."""
        paths = dice.sample(PLAIN, dice.randrange(1, 7)) + dice.sample(FILTERED, dice.randrange(0, 5))
        if dice.random() < 0.3:
            paths.append("externalId")
        return {path: self.value(dice, path) if path != "externalId" else "nick-%s-x%d" % (self.tag, person.number)
                for path in paths}

    @staticmethod
    def dialect_a(tree, changes, dice):
        """One operation an attribute: Add where there was nothing, else Replace."""
        operations = []
        for path, value in changes.items():
            op = "Add" if get(tree, path) is None and dice.random() < 0.8 else "Replace"
            if path in PLAIN and ":" not in path:
                if "." not in path and dice.random() < 0.1:
                    value = [{"$ref": None, "value": value}]
                elif dice.random() < 0.1:
                    path = USER + ":" + path
            operations.append({"op": op, "path": path, "value": value})
        return operations

    @staticmethod
    def dialect_b(tree, changes, dice):
        """Filtered paths apart; everything else in one replace without a path, keyed by paths."""
        operations = [{"op": "add" if get(tree, path) is None else "replace", "path": path, "value": value}
                      for path, value in changes.items() if "[" in path]
        merged = {path: value for path, value in changes.items() if "[" not in path}
        fresh = [path for path in merged if get(tree, path) is None and ":" not in path and dice.random() < 0.5]
        added = [{"op": "add", "path": path, "value": merged.pop(path)} for path in fresh]
        if merged:
            operations.append({"op": dice.choice(["replace", "replace", "add"]), "value": merged})
        return operations + added

    def updates(self):
        """E11 and E12: mapped attributes in both dialects, then the same again, which must change nothing."""
        def update(person):
            for round_number in range(2):
                dice = self.dice("update", person.number, round_number)
                changes = self.changes(person, dice)
                flag = dice.random() < 0.5
                operations = (self.dialect_b if flag else self.dialect_a)(person.tree, changes, dice)
                for path, value in changes.items():
                    put(person.tree, path, value)
                self.patch(person, operations, "update %s" % json.dumps(operations, ensure_ascii=False), dice, flag=flag)
                if dice.random() < 0.3:
                    self.read(person, "read after update")
                if dice.random() < 0.2:
                    before = (person.version, person.modified)
                    self.patch(person, operations, "the same update again", dice, flag=flag)
                    self.report.check(before == (person.version, person.modified),
                                      "the same update again: version and lastModified stay", (before, str(person)))

        self.each(self.people, update)

    def booleans(self):
        """E13: booleans as text in all spellings, and in path filters."""
        def flip(person):
            dice = self.dice("booleans", person.number)
            for spelling, truth in (("False", False), ("True", True), ("false", False), ("true", True), ("TRUE", True)):
                person.tree["active"] = truth
                self.patch(person, [{"op": dice.choice(["Replace", "Add"]), "path": "active", "value": spelling}],
                           "active as %r" % spelling, dice)
            if get(person.tree, WORK_MAIL):
                for spelling, truth in ((False, False), ("True", True)):
                    put(person.tree, 'emails[type eq "work"].primary', truth)
                    self.patch(person, [{"op": "Replace", "path": 'emails[type eq "work"].primary', "value": spelling}],
                               "primary e-mail as %r" % (spelling,), dice)
            for path in ('roles[primary eq "True"].value', "roles[primary eq true].value", 'roles[primary eq "true"].display'):
                put(person.tree, path, "Role of " + path)
                self.patch(person, [{"op": "Add", "path": path, "value": "Role of " + path}], "role by " + path, dice)

        self.each(self.pick("booleans", 40), flip)

    def clears(self):
        """E14: every optional mapped attribute emptied with "", set again, emptied with null."""
        def empty(person):
            dice = self.dice("clear", person.number)
            for nothing in ("", None):
                paths = [p for p in PLAIN + FILTERED if get(person.tree, p) is not None]
                for path in paths:
                    clear(person.tree, path)
                    self.patch(person, [{"op": "replace", "path": path, "value": nothing}],
                               "%s cleared with %s" % (path, json.dumps(nothing)), dice)
                resource = self.read(person, "read after clearing")
                left = [p for p in paths if get(resource, p) not in (None, "")]
                # Whether an element that says no more than its type stays is the server's choice; the model follows.
                for name in ("emails", "phoneNumbers", "addresses"):
                    types = [e.get("type") for e in resource.get(name) or []]
                    if name in person.tree:
                        person.tree[name] = [e for e in person.tree[name] if e.get("type") in types]
                self.report.check(not left, "cleared with %s: nothing left" % json.dumps(nothing), left)
                changes = {p: self.value(dice, p) for p in dice.sample(PLAIN, 5) + dice.sample(FILTERED, 3)}
                operations = self.dialect_a(person.tree, changes, dice)
                for path, value in changes.items():
                    put(person.tree, path, value)
                self.patch(person, operations, "set after clearing", dice)
            path = 'phoneNumbers[type eq "pager"].value'
            self.patch(person, [{"op": "Remove", "path": path}], "removal of what is not there", dice)

        self.each(self.pick("clear", 20), empty)

    def disabling(self):
        """E15, E16: disabled people are visible by id and by name, and come back under the same id."""
        def disable(person):
            dice = self.dice("disable", person.number)
            off = dice.choice([
                {"op": "Replace", "path": "active", "value": "False"}, {"op": "Replace", "path": "active", "value": False},
                {"op": "Add", "path": "active", "value": "False"}, {"op": "replace", "path": "active", "value": False},
                {"op": "replace", "value": {"active": False}}, {"op": "replace", "value": {"active": "False"}},
            ])
            person.tree["active"] = False
            for _ in range(2):
                self.patch(person, [off], "disable by %s" % json.dumps(off), dice)
            self.read(person, "read while disabled")
            found = self.find("/Users", 'userName eq "%s"' % person.tree["userName"], "query while disabled")
            self.report.check([r.get("id") for r in found] == [person.id], "query while disabled: found", found)
            self.refused("POST", "/Users", 409, "create with the name of a disabled user", "uniqueness",
                         body={"schemas": [USER], "userName": person.tree["userName"].upper()})
            if dice.random() < 0.8:
                person.tree["active"] = True
                for _ in range(2):
                    value = dice.choice([True, "True"])
                    self.patch(person, [{"op": "Replace", "path": "active", "value": value}], "enable", dice)

        self.each(self.pick("disable", 100), disable)

    def soft_delete(self):
        """E15a: the mangled name of a soft-deleted user, somebody else under the clean name, and the way back."""
        def fall_and_rise(person):
            dice = self.dice("soft", person.number)
            clean = person.tree["userName"]
            mangled = "%032x%s" % (dice.getrandbits(128), clean)
            person.tree["userName"], person.tree["active"] = mangled, False
            self.patch(person, [{"op": "Replace", "path": "userName", "value": mangled},
                                {"op": "Replace", "path": "active", "value": "False"}], "soft delete", dice)
            second = Person(person.number, {"userName": clean, "active": True})
            self.create(second, "create under the freed name")
            back = [{"op": "Replace", "path": "userName", "value": clean}, {"op": "Replace", "path": "active", "value": "True"}]
            answer = self.refused("PATCH", "/Users/" + person.id, 409, "rename back to a taken name", "uniqueness",
                                  body={"schemas": [PATCH_OP], "Operations": back})
            self.report.check(str(second.id) in str(answer), "rename back: the detail names the holder", answer)
            self.read(person, "read after a refused rename")
            self.ask("DELETE", "/Users/" + second.id, 204, "delete of the second")
            self.gone.append(second)
            person.tree["userName"], person.tree["active"] = clean, True
            self.patch(person, back, "rename back", dice)

        self.each(self.pick("soft", 15), fall_and_rise)

    def renames(self):
        """E19, E20: duplicates and renames."""
        def rename(person):
            dice = self.dice("rename", person.number)
            old = person.tree["userName"]
            self.refused("POST", "/Users", 409, "duplicate create", "uniqueness",
                         body={"schemas": [USER], "userName": dice.choice([old, old.upper(), old.swapcase()])})
            taken = self.people[(self.people.index(person) + 1) % len(self.people)].tree["userName"]
            for operation in ({"op": "Replace", "path": "userName", "value": taken.upper()}, {"op": "replace", "value": {"userName": taken}}):
                self.refused("PATCH", "/Users/" + person.id, 409, "rename to a taken name", "uniqueness",
                             body={"schemas": [PATCH_OP], "Operations": [{"op": "Replace", "path": "title", "value": "lost"}, operation]})
            self.read(person, "read after refused renames")
            new = "renamed-" + old
            person.tree["userName"] = new
            operation = dice.choice([{"op": "Replace", "path": "userName", "value": new}, {"op": "replace", "value": {"userName": new}}])
            self.patch(person, [operation], "rename", dice)
            self.report.check(self.find("/Users", 'userName eq "%s"' % old, "query by the old name") == [], "the old name is free")
            found = self.find("/Users", 'userName eq "%s"' % new.upper(), "query by the new name")
            self.report.check([r.get("id") for r in found] == [person.id], "found by the new name", found)
            cased = new.swapcase()
            person.tree["userName"] = cased
            self.patch(person, [{"op": "Replace", "path": "userName", "value": cased}], "rename in case only", dice)

        chosen = self.pick("rename", 30)
        # One after the other: each looks at its neighbour's name.
        for person in chosen:
            self.each([person], rename)

    def deletes(self):
        """E21, E22, E23: deletion, the second deletion, the same name again, unknown ids."""
        def delete(person):
            self.ask("DELETE", "/Users/" + person.id, 204, "delete of %s" % person)
            self.refused("GET", "/Users/" + person.id, 404, "read after delete")
            self.refused("DELETE", "/Users/" + person.id, 404, "second delete")
            self.refused("PATCH", "/Users/" + person.id, 404, "patch after delete",
                         body={"schemas": [PATCH_OP], "Operations": [{"op": "Replace", "path": "active", "value": "True"}]})
            found = self.find("/Users", 'userName eq "%s"' % person.tree["userName"], "query after delete")
            self.report.check(found == [], "query after delete: nobody", found)
            self.gone.append(person)
            if self.dice("again", person.number).random() < 0.5:
                again = Person(person.number, copy.deepcopy(person.tree))
                self.create(again, "create after delete")
                self.report.check(again.id != person.id, "create after delete: a new id", again.id)
                return again
            return None

        chosen = self.pick("delete", 60)
        born = []
        self.each(chosen, lambda person: born.append(delete(person)))
        left = set(map(id, chosen))
        self.people = [p for p in self.people if id(p) not in left] + [p for p in born if p]
        for unknown in (str(uuid.uuid4()), "not-a-uuid", "with%20space", "%C3%A5", "a%22b"):
            self.refused("GET", "/Users/" + unknown, 404, "unknown id " + unknown)
            self.refused("PATCH", "/Users/" + unknown, 404, "patch of unknown id " + unknown,
                         body={"schemas": [PATCH_OP], "Operations": [{"op": "Replace", "path": "title", "value": "x"}]})

    def walk(self, count, what):
        """Pages through everybody; checks the counting; returns the resources in order."""
        resources, start = [], 1
        while True:
            answer = self.ask("GET", "/Users", 200, what, query="startIndex=%d&count=%d" % (start, count))
            body = answer.json()
            page, total = body.get("Resources", []), body.get("totalResults", 0)
            full = min(count, max(0, total - start + 1))
            self.report.check(body.get("startIndex") == start and body.get("itemsPerPage") == len(page) == full,
                              "%s: page %d counts right" % (what, start),
                              (body.get("startIndex"), body.get("itemsPerPage"), len(page), total))
            resources += page
            start += count
            if start > total or not page:
                return resources

    def paging(self):
        """E24: pages of five while another writer creates, and again in a quiet store."""
        ids = {p.id for p in self.people}
        newcomers = [self.draw(n) for n in range(self.users + 1, self.users + 21)]
        writer = self.pool.submit(lambda: [self.create(p, "create while paging") for p in newcomers])
        seen = [r.get("id") for r in self.walk(5, "paging while others write")]
        writer.result()
        self.report.check(ids <= set(seen), "paging while others write: everybody is there", len(ids - set(seen)))
        self.people += newcomers
        seen = [r.get("id") for r in self.walk(5, "paging in a quiet store")]
        expected = {p.id for p in self.people} | self.before
        self.report.check(len(seen) == len(set(seen)) and set(seen) == expected, "paging in a quiet store: each once",
                          (len(seen), len(set(seen)), len(expected)))

    def malformed(self):
        """E27: what is wrong is refused with a sentence, and nothing changes."""
        person = self.pick("malformed", 1)[0]
        path = "/Users/" + person.id
        total = self.ask("GET", "/Users", 200, "count", query="count=0").json().get("totalResults")

        def operations(*ops):
            return {"schemas": [PATCH_OP], "Operations": list(ops)}

        title = {"op": "Replace", "path": "title", "value": "must not stay"}
        cases = [
            ("unknown op", "invalidSyntax", {"body": operations(title, {"op": "increase", "path": "title", "value": "x"})}),
            ("no op", "invalidSyntax", {"body": operations(title, {"path": "title", "value": "x"})}),
            ("no operations", "invalidSyntax", {"body": {"schemas": [PATCH_OP]}}),
            ("no schemas", "invalidSyntax", {"body": {"Operations": [title]}}),
            ("broken JSON", "invalidSyntax", {"raw": b'{"schemas":["urn:'}),
            ("not an object", "invalidSyntax", {"raw": b"[]"}),
            ("duplicate key", "invalidSyntax", {"raw": b'{"schemas":["%s"],"Operations":[],"Operations":[]}' % PATCH_OP.encode()}),
            ("invalid UTF-8", "invalidSyntax", {"raw": b'{"schemas":["%s"],"Operations":[{"op":"add","path":"title","value":"\xff"}]}' % PATCH_OP.encode()}),
            ("number for text", "invalidValue", {"body": operations(title, {"op": "Replace", "path": "displayName", "value": 7})}),
            ("object for text", "invalidValue", {"body": operations(title, {"op": "Replace", "path": "displayName", "value": {"a": {"b": 1}}})}),
            ("text that is no boolean", "invalidValue", {"body": operations(title, {"op": "Replace", "path": "active", "value": "maybe"})}),
            ("broken path", "invalidPath", {"body": operations(title, {"op": "Replace", "path": "name..familyName", "value": "x"})}),
        ]
        for what, scim_type, more in cases:
            self.refused("PATCH", path, 400, "malformed PATCH, " + what, scim_type, **more)
            self.read(person, "read after malformed PATCH, " + what)
        cases = [
            ("broken JSON", "invalidSyntax", {"raw": b'{"schemas":["' + USER.encode() + b'"],"userName":"broken'}),
            ("no schemas", "invalidSyntax", {"body": {"userName": "nobody-" + self.tag}}),
            ("no userName", "invalidValue", {"body": {"schemas": [USER], "displayName": "Nobody"}}),
            ("number for userName", "invalidValue", {"body": {"schemas": [USER], "userName": 12}}),
            ("empty body", "invalidSyntax", {"raw": b""}),
        ]
        for what, scim_type, more in cases:
            self.refused("POST", "/Users", 400, "malformed POST, " + what, scim_type, **more)
        for condition in ('userName xx "a"', "userName eq", 'userName eq "a" and', "(", 'shoeSize eq "43"'):
            self.refused("GET", "/Users", 400, "malformed filter " + condition, "invalidFilter",
                         query="filter=" + urllib.parse.quote_plus(condition))
        after = self.ask("GET", "/Users", 200, "count", query="count=0").json().get("totalResults")
        self.report.check(total == after, "malformed requests stored nothing", (total, after))

    def comparison(self):
        """Pages out everything and compares it with the model."""
        resources = {r.get("id"): r for r in self.walk(100, "page out")}
        people = {p.id: p for p in self.people}
        self.report.check(set(resources) - self.before == set(people), "at the end: exactly the users that were sent",
                          {"missing": sorted(set(people) - set(resources))[:5], "unknown": sorted(set(resources) - set(people) - self.before)[:5]})
        self.report.check(not [p for p in self.gone if p.id in resources], "at the end: no deleted user")
        attributes = 0
        for identity, person in people.items():
            if identity in resources:
                self.same(person, resources[identity], "at the end")
                attributes += sum(len(v) if isinstance(v, (dict, list)) else 1 for v in comparable(person.tree).values())
        return "%d users, %d values compared" % (len(people), attributes)

    def restart(self, how):
        """E28, only with a server of our own: nothing may be lost."""
        if self.server is not None:
            self.wire.generation += 1  # every thread opens a new connection
            self.server.restart(how, self.report)
            return "by " + how.name
        return "skipped: not our server"

    def play(self, name, step):
        """Runs one play and tells how it went."""
        began, passed, failed = time.monotonic(), self.report.passed, self.report.failed
        try:
            said = step()
        except Exception as error:  # the play ends, the run goes on to the comparison
            self.wire.hang_up()
            said = None
            self.report.check(False, name, repr(error))
        print("%-12s %6d passed %4d failed %7.1f s  %s" % (
            name, self.report.passed - passed, self.report.failed - failed, time.monotonic() - began, said or ""), flush=True)

    def run(self, other):
        """The whole conversation."""
        self.before = {r.get("id") for r in self.walk(500, "page out before")}
        for name, step in [
            ("connection", self.connection_test), ("credentials", lambda: self.credentials(other)), ("discovery", self.discovery),
            ("creates", self.creates), ("matches", self.matches), ("managers", self.managers), ("updates", self.updates),
            ("booleans", self.booleans), ("clears", self.clears), ("restart", lambda: self.restart(signal.SIGTERM)),
            ("disable", self.disabling), ("soft delete", self.soft_delete), ("renames", self.renames), ("deletes", self.deletes),
            ("paging", self.paging), ("malformed", self.malformed), ("restart", lambda: self.restart(signal.SIGKILL)),
            ("comparison", self.comparison),
        ]:
            self.play(name, step)
        self.pool.shutdown()


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


def main():
    """Reads the arguments, plays, tells the sum."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], epilog="Exit status: 0 all held, 1 something did not, 2 usage.")
    parser.add_argument("--start", metavar="BINARY", help="start `BINARY try` in a temporary directory and stop it at the end")
    parser.add_argument("--url", default=os.environ.get("ROLLCALL_TENANT_URL"), help="Tenant URL (ROLLCALL_TENANT_URL)")
    parser.add_argument("--token", default=os.environ.get("ROLLCALL_TOKEN"), help="Secret Token (ROLLCALL_TOKEN)")
    parser.add_argument("--ca", default=os.environ.get("ROLLCALL_CA"), help="PEM file of the CA; without it the system's (ROLLCALL_CA)")
    parser.add_argument("--other-token", help="a token of another directory, which must be refused")
    parser.add_argument("--users", type=int, default=1000, help="how many users to create (default 1000, at least 10)")
    parser.add_argument("--workers", type=int, default=4, help="connections at once (default 4)")
    parser.add_argument("--seed", type=int, help="for the same run again")
    arguments = parser.parse_args()
    if bool(arguments.start) == bool(arguments.url and arguments.token):
        parser.error("give either --start BINARY, or --url and --token")
    if arguments.users < 10 or arguments.workers < 1:
        parser.error("--users is at least 10, --workers at least 1")
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(2 ** 31)

    server = Server(arguments.start) if arguments.start else None
    player = None
    began = time.monotonic()
    try:
        url, token, ca = server.start() if server else (arguments.url, arguments.token, arguments.ca)
        print("seed %d, %d users, %d connections, %s" % (seed, arguments.users, arguments.workers, url), flush=True)
        player = Player(Wire(url, token, ca), seed, arguments.users, arguments.workers)
        player.server = server
        player.run(arguments.other_token)
    finally:
        if server:
            server.stop()
            if player is not None and player.report.failed:
                print("the server said:\n" + server.output())
            server.remove()
    print("seed %d: %d passed, %d failed in %.1f s" % (seed, player.report.passed, player.report.failed, time.monotonic() - began))
    return 1 if player.report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
