"""Requests on users, each with the checks that always hold for it."""

import re

from tenant.model import comparable, differences
from tenant.player import Part, patch_body
from tenant.urns import BADGE, ENT, USER


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

    def patch(self, person, operations, what, dice=None, status=200, flag=False, lost=False):
        """A PATCH; the model must have been changed already. Checks that the answer is the new state. If the answer gets
        lost, it is sent again."""
        body = patch_body(operations, dice)
        if lost:
            self.wire.send("PATCH", "/Users/" + person.id, body=body, flag=flag, lost=True)
        answer = self.ask("PATCH", "/Users/" + person.id, status, what, body=body, flag=flag)
        if status == 200:
            self.keep(person, answer, what)
        return answer

    def delete(self, person, what, lost=False):
        """A DELETE; one whose answer got lost finds nothing the second time."""
        if lost:
            self.wire.send("DELETE", "/Users/" + person.id, lost=True)
            self.refused("DELETE", "/Users/" + person.id, 404, what + " again, its answer was lost")
        else:
            self.ask("DELETE", "/Users/" + person.id, 204, "%s of %s" % (what, person))

    def create(self, person, what, lost=False):
        """The query that comes before, and the POST. If its answer gets lost, the second meets a conflict, and the query
        finds the user (E26)."""
        found = self.find("/Users", self.draw.condition(person), what + ", query before")
        self.check(found == [], "%s: nobody matches yet" % what, found)
        body = self.draw.body(person)
        if lost:
            self.wire.send("POST", "/Users", body=body, lost=True)
            self.refused("POST", "/Users", 409, what + " again, its answer was lost", "uniqueness", body=body)
            found = self.find("/Users", self.draw.condition(person), what + ", query after a lost answer")
            self.check(len(found) == 1, "%s: found after a lost answer" % what, found)
            person.id = found[0].get("id") if found else None
            self.read(person, what + ", after a lost answer")
            return
        answer = self.ask("POST", "/Users", 201, "%s of %s" % (what, person), body=body)
        person.id = answer.json().get("id")
        self.check(bool(person.id) and person.id not in self.known.before, "%s: an id" % what, answer)
        self.keep(person, answer, what)
        location = answer.json().get("meta", {}).get("location")
        self.check(answer.header("location") == location, "%s: Location" % what, answer.headers)
