"""What an administrator does first: Test Connection, wrong tokens, discovery."""

import re
import urllib.parse
import uuid

from tenant.draw import FILTERED, PLAIN, WORK_MAIL
from tenant.player import Part
from tenant.urns import ENT, GROUP, USER


class Connection(Part):
    """Everything before the first user."""

    def connection_test(self):
        """E1, E2: random names on the matching attribute, and on groups."""
        for _ in range(3):
            for attribute in ("userName", "externalId", WORK_MAIL):
                guess = str(uuid.uuid4())
                self.check(self.find("/Users", '%s eq "%s"' % (attribute, guess), "test connection") == [],
                           "test connection: empty list")
            found = self.find("/Groups", 'displayName eq "%s"' % uuid.uuid4(), "probe of groups")
            self.check(found == [], "probe of groups: empty list", found)
            self.find("/Groups", 'displayName eq "%s"' % uuid.uuid4(), "probe of groups without members",
                      more="&excludedAttributes=members")
        for path in ("//Users", "/Users/"):
            query = "filter=userName+eq+%%22%s%%22" % uuid.uuid4()
            body = self.ask("GET", path, 200, "flag in the URL, %s" % path, query=query, flag=True).json()
            self.check(body.get("totalResults") == 0, "flag in the URL, %s: empty list" % path, body)

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
            self.check(challenge.lower().startswith("bearer"), "%s: WWW-Authenticate: Bearer" % what, challenge)
        twice = self.ask("GET", "/Users", 200, "token pasted with its scheme", query="count=1",
                         authorization="Bearer Bearer " + self.wire.token)
        self.check("Resources" in twice.json(), "token pasted with its scheme: a list", twice)

    def discovery(self):
        """E4: the three documents, and every mapped attribute in the flattened schemas."""
        self.ask("GET", "/ServiceProviderConfig", 200, "ServiceProviderConfig")
        types = self.ask("GET", "/ResourceTypes", 200, "ResourceTypes").json()
        endpoints = {one.get("endpoint") for one in types.get("Resources", [])}
        for endpoint in ["/Users"] + ["/Groups"] * bool(self.groups):
            self.check(endpoint in endpoints, "ResourceTypes has " + endpoint, types)
        document = self.ask("GET", "/Schemas", 200, "Schemas")
        self.check(not re.search(rb":\s*null\b", document.body), "Schemas: no null members")
        flat = set()
        for schema in document.json().get("Resources", []):
            flat |= self.flatten(schema)
        if self.groups:
            group = [one for one in document.json().get("Resources", []) if one.get("id") == GROUP]
            names = {attribute.get("name") for schema in group for attribute in schema.get("attributes", [])}
            self.check({"displayName", "members"} <= names, "Schemas has the group, its name and its members", names)
        mapped = ["userName", "active", "externalId", ENT + ":manager", 'roles[primary eq "True"].value'] + PLAIN + FILTERED
        for path in mapped:
            # externalId is common to all resources; a server may leave it out of the core schema.
            self.check(path.lower() in flat or path == "externalId", "Schemas lists " + path)
        self.check("password" not in flat, "Schemas leaves password out")

    @staticmethod
    def flatten(schema):
        """The names that Microsoft's discovery test makes of one schema, in lower case."""
        prefix = "" if schema.get("id") in (USER, GROUP) else schema.get("id", "") + ":"
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
