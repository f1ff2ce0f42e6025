"""Requests on users, each with the checks that always hold for it."""

import re

from tenant.model import comparable, differences
from tenant.player import Part
from tenant.urns import BADGE, ENT, FLAG, PATCH_OP, USER


class Users(Part):
    """What Entra does with users."""

    def same(self, person, resource, what):
        """Checks a returned resource against the model."""
        lines = differences(comparable(person.tree), comparable(resource))
        self.check(not lines, "%s: %s is as sent" % (what, person), "; ".join(lines))
        meta = resource.get("meta") or {}
        self.check(
            resource.get("id") == person.id and meta.get("resourceType") == "User"
            and str(meta.get("location", "")).endswith("/Users/%s" % person.id)
            and bool(meta.get("created")) and bool(meta.get("lastModified")),
            "%s: %s has id and meta" % (what, person), {"id": resource.get("id"), "meta": meta})
        # An extension is named exactly when it is there, and no path has become a name.
        extensions = [k for k in resource if k.lower().startswith("urn:")]
        self.check(
            resource.get("schemas", [None])[0] == USER and sorted(resource["schemas"][1:]) == sorted(extensions),
            "%s: %s names its schemas" % (what, person), resource.get("schemas"))
        odd = [k for k in resource if not re.match(r"^[A-Za-z$][\w$-]*$", k) and k not in (ENT, BADGE)]
        self.check(not odd and "password" not in resource, "%s: %s has only attributes" % (what, person), odd)

    def keep(self, person, answer, what):
        """Checks an answer that carries the whole user, and remembers its version."""
        resource = answer.json()
        self.same(person, resource, what)
        meta = resource.get("meta") or {}
        self.check(answer.header("etag") == meta.get("version") and bool(meta.get("version")),
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

    def create(self, person, what):
        """The query that comes before, and the POST."""
        found = self.find("/Users", 'userName eq "%s"' % person.tree["userName"], what + ", query before")
        self.check(found == [], "%s: nobody has the name yet" % what, found)
        answer = self.ask("POST", "/Users", 201, "%s of %s" % (what, person), body=self.draw.body(person))
        person.id = answer.json().get("id")
        self.check(bool(person.id) and person.id not in self.known.before, "%s: an id" % what, answer)
        self.keep(person, answer, what)
        location = answer.json().get("meta", {}).get("location")
        self.check(answer.header("location") == location, "%s: Location" % what, answer.headers)
