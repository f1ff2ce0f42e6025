"""Requests on groups, each with the checks that always hold for it."""

from tenant import shapes
from tenant.model import Group, comparable, differences
from tenant.player import Part, patch_body
from tenant.urns import GROUP

# Entra never asks for the members of a group.
EXCLUDED = "excludedAttributes=members"
# What a group may answer, and what one of its members must.
ATTRIBUTES = {"schemas", "id", "externalId", "displayName", "members", "meta"}
MEMBER = {"value", "$ref", "type"}


class Groups(Part):
    """What Entra does with groups."""

    def probe(self):
        """Whether the server writes groups at all; what it says when it does not."""
        body = {"schemas": [GROUP], "displayName": "probe %s" % self.draw.tag}
        answer = self.wire.send("POST", "/Groups", body=body)
        if answer.status == 501:
            return answer.json().get("detail")
        if self.check(answer.status == 201, "probe of groups: created, or 501", answer):
            self.ask("DELETE", "/Groups/%s" % answer.json().get("id"), 204, "delete of the probe")
        return None

    def query(self, condition, what, dice):
        """The matching query: without members, and the parameters in any order."""
        order = {"before": EXCLUDED + "&"} if dice.random() < 0.5 else {"more": "&" + EXCLUDED}
        found = self.find("/Groups", condition, what, flag=dice.random() < 0.3, **order)
        for resource in found:
            self.excludes(resource, what)
        return found

    def excludes(self, resource, what):
        """Members were left out. Where they were not, Entra replaces the list of members from now on, and so do we."""
        if not self.check("members" not in resource, "%s: no `members` when they are excluded" % what, str(resource)[:300]):
            for group in self.known.groups:
                if group.id == resource.get("id"):
                    group.replaces = True

    def same(self, group, resource, what):
        """Checks everything but the members against the model."""
        lines = differences(comparable(group.tree), comparable(resource))
        self.check(not lines, "%s: %s is as sent" % (what, group), "; ".join(lines))
        meta = resource.get("meta") or {}
        good = (resource.get("id") == group.id and resource.get("schemas") == [GROUP] and set(resource) <= ATTRIBUTES
                and meta.get("resourceType") == "Group" and str(meta.get("location", "")).endswith("/Groups/%s" % group.id)
                and bool(meta.get("created")) and bool(meta.get("lastModified")) and bool(meta.get("version")))
        self.check(good, "%s: %s has id, schema, meta, and nothing but attributes" % (what, group),
                   {name: value for name, value in resource.items() if name != "members"})

    def has(self, group, resource, what, living=None):
        """Checks the members of an answer that has them: exactly those of the model, each of them right."""
        living = self.known.living() if living is None else living
        wanted = self.known.members(group, living)
        members = resource.get("members", [])
        seen = [member.get("value") for member in members]
        if set(seen) != wanted or len(seen) != len(wanted) or ("members" in resource) != bool(wanted):
            self.check(False, "%s: members of %s" % (what, group), self.strangers(wanted, seen, living))
            return
        odd = []
        for member in members:
            kind = "Group" if isinstance(living[member["value"]], Group) else "User"
            ref = "/%ss/%s" % (kind, member["value"])
            if set(member) != MEMBER or member["type"] != kind or not str(member["$ref"]).endswith(ref):
                odd.append(member)
        self.check(not odd, "%s: each member of %s has value, $ref and type" % (what, group), odd[:3])

    @staticmethod
    def strangers(wanted, seen, living):
        """What is wrong with a list of members, in words."""
        def named(ids):
            few = ", ".join(str(living.get(one, "somebody unknown, %s" % one)) for one in sorted(ids, key=str)[:5])
            return "%d (%s%s)" % (len(ids), few, ", …" if len(ids) > 5 else "") if ids else "none"
        return "missing: %s; too many: %s; twice: %s" % (
            named(wanted - set(seen)), named(set(seen) - wanted), named({one for one in seen if seen.count(one) > 1}))

    def create(self, group, what, lost=False):
        """The query that comes before, and the POST. If its answer gets lost, the second meets a conflict, and the query
        finds the group (E26)."""
        dice = self.dice("create group", group.number)
        found = self.query(self.draw.group_condition(group), what + ", query before", dice)
        self.check(found == [], "%s: nothing matches yet" % what, found)
        body = self.draw.group_body(group)
        if lost:
            self.wire.send("POST", "/Groups", body=body, lost=True)
            self.refused("POST", "/Groups", 409, what + " again, its answer was lost", "uniqueness", body=body)
            found = self.query(self.draw.group_condition(group), what + ", query after a lost answer", dice)
            self.check(len(found) == 1, "%s: found after a lost answer" % what, found)
            group.id = found[0].get("id") if found else None
            self.read(group, what + ", after a lost answer")
            return
        answer = self.ask("POST", "/Groups", 201, "%s of %s" % (what, group), body=body)
        resource = answer.json()
        group.id, group.version = resource.get("id"), answer.header("etag")
        self.check(bool(group.id) and group.id not in self.known.before, "%s: an id" % what, answer)
        self.same(group, resource, what)
        self.has(group, resource, what)
        meta = resource.get("meta") or {}
        self.check(answer.header("location") == meta.get("location") and group.version == meta.get("version") is not None,
                   "%s: Location and ETag" % what, answer.headers)

    def read(self, group, what):
        """GET by id as Entra does it, without members."""
        answer = self.ask("GET", "/Groups/" + group.id, 200, what, query=EXCLUDED)
        self.excludes(answer.json(), what)
        self.same(group, answer.json(), what)
        group.version = answer.header("etag")
        return answer.json()

    def read_whole(self, group, what):
        """GET by id with the members, compared with the model. Entra never does this."""
        answer = self.ask("GET", "/Groups/" + group.id, 200, what)
        self.same(group, answer.json(), what)
        self.has(group, answer.json(), what)
        self.check(answer.header("etag") == answer.json().get("meta", {}).get("version"), "%s: ETag is meta.version" % what,
                   answer.headers)
        group.version = answer.header("etag")
        return answer.json()

    def patch(self, group, operations, what, dice=None, flag=False, lost=False):
        """A PATCH, which answers nothing but the new version. If the answer gets lost, it is sent again."""
        body = patch_body(operations, dice)
        if lost:
            self.wire.send("PATCH", "/Groups/" + group.id, body=body, flag=flag, lost=True)
        answer = self.ask("PATCH", "/Groups/" + group.id, 204, "%s of %s" % (what, group), body=body, flag=flag)
        self.check(bool(answer.header("etag")), "%s: ETag" % what, answer.headers)
        group.version = answer.header("etag")

    def change(self, group, changes, what, dice, **more):
        """Sets attributes; members stay as they are."""
        flag = self.draw.flag(dice)
        group.tree.update(changes)
        self.patch(group, shapes.attributes(changes, flag, dice), what, dice, flag=flag, **more)

    def add(self, group, ids, what, dice, **more):
        """Adds members in a shape by chance, or as Entra does once members came that it did not ask for."""
        flag = self.draw.flag(dice)
        make = shapes.replacing if group.replaces else shapes.adding
        self.patch(group, make(list(ids), flag, dice), what, dice, flag=flag, **more)
        group.members.update(ids)

    def remove(self, group, ids, what, dice, **more):
        """Removes members in a shape by chance."""
        flag = self.draw.flag(dice)
        self.patch(group, shapes.removing(list(ids), flag, dice), what, dice, flag=flag, **more)
        group.members.difference_update(ids)

    def replace(self, group, ids, what, dice, **more):
        """Sets the members to exactly these."""
        flag = self.draw.flag(dice)
        self.patch(group, shapes.replacing(list(ids), flag, dice), what, dice, flag=flag, **more)
        group.members = set(ids)

    def remove_all(self, group, what, dice, **more):
        """Removes all members."""
        flag = self.draw.flag(dice)
        self.patch(group, shapes.removing_all(flag), what, dice, flag=flag, **more)
        group.members = set()

    def is_member(self, group, member, expected, what, dice):
        """The check of a membership (G7), the two terms in any order."""
        terms = ['id eq "%s"' % group.id, 'members eq "%s"' % member]
        dice.shuffle(terms)
        found = self.find("/Groups", " and ".join(terms), what, more=dice.choice(["", "&attributes=id", "&" + EXCLUDED]))
        self.check([one.get("id") for one in found] == ([group.id] if expected else []),
                   "%s: %s is %smember of %s" % (what, member, "" if expected else "no ", group), found)

    def delete(self, group, what, lost=False):
        """A DELETE; one whose answer got lost finds nothing the second time."""
        if lost:
            self.wire.send("DELETE", "/Groups/" + group.id, lost=True)
            self.refused("DELETE", "/Groups/" + group.id, 404, what + " again, its answer was lost")
        else:
            self.ask("DELETE", "/Groups/" + group.id, 204, "%s of %s" % (what, group))
