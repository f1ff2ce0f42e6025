"""The plays on groups, one a feature."""

import json
import uuid

from tenant import shapes
from tenant.groups import EXCLUDED
from tenant.model import Group
from tenant.player import Part, patch_body
from tenant.urns import GROUP

# How many members a group of the tenant has; a few have everybody, up to this many.
SIZES = [0, 1, 2, 5, 10, 20, 40, 60]
LARGEST = 300


class GroupPlays(Part):
    """The initial cycle's groups, and then one play after the other, each with groups of its own."""

    def practice(self, name, count=0, **more):
        """A new group with so many people in it."""
        group = self.draw.group(next(self.known.group_numbers))
        group.tree.update(more)
        self.groups.create(group, name)
        self.known.groups.append(group)
        chosen = self.pick((name, group.number), count)
        for person in chosen:
            self.groups.add(group, [person.id], name + ", a member", self.dice(name, group.number, person.number))
        return group, chosen

    def belongs(self, person, groups, what):
        """Reads one user: its `groups` are these, directly, as far as they are among those asked for."""
        resource = self.ask("GET", "/Users/" + person.id, 200, what).json()
        seen = {entry.get("value"): entry.get("type") for entry in resource.get("groups", [])}
        for group, kind in groups:
            self.check(seen.get(group.id) == kind, "%s: %s in %s is %s" % (what, person, group, kind), resource.get("groups"))
        return resource

    # -- the initial cycle

    def creates(self):
        """E8: the query, and the group without members."""
        self.known.groups = [self.draw.group(next(self.known.group_numbers)) for _ in range(self.options.groups)]
        self.each(self.known.groups, lambda group: self.groups.create(group, "create group"))
        self.known.groups = [group for group in self.known.groups if group.id]
        self.check(len({group.id for group in self.known.groups}) == self.options.groups, "create group: every id is new")

    def memberships(self):
        """E8: one PATCH a member, several at once on one group. A few groups have groups in them."""
        count = 0
        for position, group in enumerate(self.known.groups):
            dice = self.dice("memberships", group.number)
            size = LARGEST if position % 25 == 0 else dice.choice(SIZES)
            chosen = dice.sample(self.known.people, min(size, len(self.known.people)))
            if dice.random() < 0.15:
                chosen += dice.sample([other for other in self.known.groups if other is not group], 1)

            def add(member, group=group):
                chance = self.dice("member", group.number, type(member).__name__, member.number)
                for _ in range(1 if chance.random() < 0.95 else 2):
                    self.groups.add(group, [member.id], "add member %d" % member.number, chance)

            self.groups.read(group, "read before its members")
            self.each(chosen, add)
            self.groups.read_whole(group, "read with its members")
            count += len(chosen)
        return "%d members, one PATCH each" % count

    # -- reading

    def matching(self):
        """Groups by name in any case, by externalId in its own, by a member in every spelling."""
        def match(group):
            dice = self.dice("match group", group.number)
            name, external = group.name, group.tree.get("externalId")
            quoted = [json.dumps(text, ensure_ascii=False) for text in (name, name.upper(), name.swapcase())]
            cases = [("displayName eq %s" % quoted[0], {group.id}), ("DisplayName EQ %s" % quoted[1], {group.id}),
                     ("displayName eq %s" % quoted[2], {group.id}), ('id eq "%s"' % group.id, {group.id}),
                     ("displayName eq %s" % json.dumps(name + "x", ensure_ascii=False), set())]
            if external:
                cases += [('externalId eq "%s"' % external, {group.id}), ("externalId eq %s" % external, {group.id})]
                if external != external.upper():
                    cases.append(('externalId eq "%s"' % external.upper(), set()))
            for condition, ids in cases:
                found = self.groups.query(condition, "match " + condition, dice)
                self.check({one.get("id") for one in found} == ids, "match %s: the right ones" % condition, found)
                for one in found:
                    self.groups.same(group, one, "match")

        self.each(self.pick("match groups", 60, self.known.groups), match)

        def whose(person):
            dice = self.dice("whose", person.number)
            ids = {group.id for group in self.known.groups if person.id in group.members}
            condition = dice.choice(['members.value eq "%s"', 'members eq "%s"', 'members[value eq "%s"]']) % person.id
            found = self.groups.query(condition, "groups of a user", dice)
            self.check({one.get("id") for one in found} == ids, "groups of a user by %s" % condition, (ids, found))

        self.each(self.pick("whose", 40), whose)
        self.check(self.groups.query('members.value eq "%s"' % uuid.uuid4(), "groups of nobody", self.dice("nobody")) == [],
                   "groups of nobody: none")

    def checks(self):
        """E9: is this one a member? Both orders of the terms, for members, for others, for nobody."""
        def check(group):
            dice = self.dice("membership checks", group.number)
            inside = sorted(self.known.members(group))
            outside = [person.id for person in self.known.people if person.id not in group.members]
            for among, expected in ((inside, True), (outside, False), ([str(uuid.uuid4())], False)):
                for member in dice.sample(among, min(2, len(among))):
                    self.groups.is_member(group, member, expected, "membership check", dice)

        self.each(self.pick("membership checks", 40, self.known.groups), check)

    def exclusions(self):
        """E10: `members` is absent when excluded, in a large and in an empty group, on every road."""
        large, _ = self.practice("exclusions")
        everybody = [person.id for person in self.known.people]
        self.groups.replace(large, everybody, "everybody at once", self.dice("everybody"))
        self.groups.read_whole(large, "a group of everybody")
        empty, _ = self.practice("exclusions")
        for group in (large, empty):
            dice = self.dice("exclusions", group.number)
            for name in ("excludedAttributes=members", "excludedattributes=MEMBERS", "excludedAttributes=%s:members" % GROUP):
                resource = self.ask("GET", "/Groups/" + group.id, 200, name, query=name).json()
                self.check("members" not in resource, "%s: no members in %s" % (name, group), sorted(resource))
                self.groups.same(group, resource, name)
            self.groups.query(self.draw.group_condition(group), "query of " + str(group), dice)
            only = self.ask("GET", "/Groups/" + group.id, 200, "attributes", query="attributes=displayName").json()
            self.check(set(only) - {"schemas"} == {"id", "displayName"}, "attributes=displayName: that and the id", sorted(only))
            members = self.ask("GET", "/Groups/" + group.id, 200, "attributes", query="attributes=members").json()
            self.groups.has(group, members, "attributes=members")
            operation = {"op": "replace", "path": "externalId", "value": "excluded-%s" % group.id}
            group.tree["externalId"] = operation["value"]
            resource = self.ask("PATCH", "/Groups/" + group.id, 200, "PATCH with " + EXCLUDED, query=EXCLUDED,
                                body=patch_body([operation], dice)).json()
            self.groups.same(group, resource, "answer to a PATCH with " + EXCLUDED)
            self.check("members" not in resource, "answer to a PATCH with %s: no members" % EXCLUDED, sorted(resource))
        page = self.ask("GET", "/Groups", 200, "all groups without members", query=EXCLUDED + "&count=500").json()
        held = [one.get("id") for one in page.get("Resources", []) if "members" in one]
        self.check(not held, "all groups without members: no members", held[:5])
        person = self.pick("exclusions", 1)[0]
        for query, present in (("attributes=groups", True), ("excludedAttributes=groups", False)):
            resource = self.ask("GET", "/Users/" + person.id, 200, query, query=query).json()
            self.check(("groups" in resource) == present, "%s: groups of a user" % query, sorted(resource))

    # -- changing

    def removals(self):
        """E17: only the named one leaves, whatever the shape; who is no member leaves nothing behind."""
        group, people = self.practice("removals", 9)
        ids = [person.id for person in people]
        dice = self.dice("removals")
        outsider = next(person.id for person in self.known.people if person.id not in group.members)
        value = "members[value eq \"%s\"]"
        for what, gone, operations in [
            ("by value, A", ids[:1], [{"op": "Remove", "path": "members", "value": [{"$ref": None, "value": ids[0]}]}]),
            ("by value without $ref", ids[1:2], [{"op": "Remove", "path": "members", "value": [{"value": ids[1]}]}]),
            ("by filter, B", ids[2:3], [{"op": "remove", "path": value % ids[2]}]),
            ("two by value", ids[3:5], [{"op": "Remove", "path": "members", "value": [{"value": one} for one in ids[3:5]]}]),
            ("two by filter", ids[5:7], [{"op": "remove", "path": value % one} for one in ids[5:7]]),
            ("of no member, by value", [], [{"op": "Remove", "path": "members", "value": [{"value": outsider}]}]),
            ("of no member, by filter", [], [{"op": "remove", "path": value % outsider}]),
            ("of one who left", [], [{"op": "Remove", "path": "members", "value": [{"value": ids[0]}]}]),
            ("of nobody known", [], [{"op": "remove", "path": value % uuid.uuid4()}]),
            ("of an empty list", [], [{"op": "Remove", "path": "members", "value": []}]),
        ]:
            before = group.version
            self.groups.patch(group, operations, "removal " + what, dice)
            group.members.difference_update(gone)
            self.check((group.version != before) == bool(gone), "removal %s: the version moves when something changes" % what,
                       (before, group.version))
            self.groups.read_whole(group, "read after removal " + what)
            self.belongs(people[8], [(group, "direct")], "read of one who stays")
        self.belongs(people[0], [(group, None)], "read of one who left")
        self.groups.remove_all(group, "removal of all", dice)
        self.groups.read_whole(group, "read after removal of all")
        self.groups.remove_all(group, "removal of all from nobody", dice)
        self.groups.read_whole(group, "read after removal of all")

    def additions(self):
        """Every shape of adding: several at once, one twice, what is there already, add and remove in one request."""
        group, people = self.practice("additions", 2)
        others = [person for person in self.known.people if person.id not in group.members][:8]
        ids = [person.id for person in others]
        dice = self.dice("additions")
        for what, operations, left in [
            ("a plain value", [{"op": "add", "path": "members", "value": ids[0]}], ids[:1]),
            ("several", [{"op": "Add", "path": "members", "value": [{"$ref": None, "value": one} for one in ids[1:5]]}], ids[1:5]),
            ("one twice", [{"op": "add", "path": "members", "value": [{"value": ids[5]}, {"value": ids[5]}]}], ids[5:6]),
            ("what is there", [{"op": "add", "path": "members", "value": [{"value": ids[0]}]}], []),
            ("of nobody", [{"op": "add", "path": "members", "value": []}], []),
            ("and removal", [{"op": "add", "path": "members", "value": [{"value": ids[6]}]},
                             {"op": "remove", "path": 'members[value eq "%s"]' % ids[6]}], []),
            ("without a path", [{"op": "add", "value": {"members": [{"value": ids[7]}]}}], ids[7:8]),
        ]:
            before = group.version
            self.groups.patch(group, operations, "addition, " + what, dice)
            group.members.update(left)
            if left or "is there" in what:
                self.check((group.version != before) == bool(left), "addition, %s: the version moves when something changes" % what,
                           (before, group.version))
            self.groups.read_whole(group, "read after addition, " + what)
        self.belongs(others[0], [(group, "direct")], "read of one who was added")
        self.groups.replace(group, ids[:3], "replacement", dice)
        self.groups.read_whole(group, "read after replacement")
        version = group.version
        self.groups.replace(group, list(reversed(ids[:3])), "the same replacement", dice)
        self.check(group.version == version, "the same replacement: the version stays", (version, group.version))
        self.belongs(people[0], [(group, None)], "read of one who was replaced")
        born = self.draw.group(next(self.known.group_numbers))
        body = dict(self.draw.group_body(born), members=[{"value": ids[0], "display": "Whoever"}, {"value": ids[1]}])
        answer = self.ask("POST", "/Groups", 201, "create with members", body=body)
        born.id, born.members = answer.json().get("id"), set(ids[:2])
        self.known.groups.append(born)
        self.groups.has(born, answer.json(), "create with members")

    def renames(self):
        """E18, E19: a group keeps its members whatever its name; names are unique in any case."""
        group, people = self.practice("rename group", 3)
        taken, _ = self.practice("rename group, another")
        dice = self.dice("rename group")
        user_version = self.ask("GET", "/Users/" + people[0].id, 200, "read a member").header("etag")
        for operation in ("Replace", "path", "pathless", "externalId", "Add"):
            old = group.name
            new = self.draw.team(dice, group.number) + " " + operation
            changes = {"externalId": str(uuid.UUID(int=dice.getrandbits(128)))} if operation == "externalId" else {"displayName": new}
            group.tree.update(changes)
            name, value = list(changes.items())[0]
            pathless = operation in ("pathless", "externalId")
            body = [{"op": "replace", "value": changes}] if pathless else [
                {"op": operation if operation in ("Replace", "Add") else "replace", "path": name, "value": value}]
            self.groups.patch(group, body, "rename by %s" % operation, dice)
            self.groups.read_whole(group, "read after rename by %s" % operation)
            if name == "displayName":
                quoted = json.dumps(old, ensure_ascii=False)
                self.check(self.groups.query("displayName eq " + quoted, "by the old name", dice) == [], "the old name is free")
            resource = self.belongs(people[0], [(group, "direct")], "read of a member")
            shown = [entry.get("display") for entry in resource.get("groups", []) if entry.get("value") == group.id]
            self.check(shown == [group.name], "a member shows the new name", (shown, group.name))
        version = self.ask("GET", "/Users/" + people[0].id, 200, "read a member").header("etag")
        self.check(version == user_version, "a membership and a group's name are no part of the user's version", (user_version, version))
        for name in (taken.name, taken.name.upper(), taken.name.swapcase()):
            self.refused("POST", "/Groups", 409, "duplicate group", "uniqueness", body={"schemas": [GROUP], "displayName": name})
            for operation in ({"op": "Replace", "path": "displayName", "value": name}, {"op": "replace", "value": {"displayName": name}}):
                self.refused("PATCH", "/Groups/" + group.id, 409, "rename to a taken name", "uniqueness",
                             body=patch_body([shapes.removing_all(True)[0], operation]))
        self.groups.read_whole(group, "read after refused renames")
        cased = group.name.swapcase()
        self.groups.change(group, {"displayName": cased}, "rename in case only", dice)
        self.groups.read_whole(group, "read after a rename in case only")
        before = group.version
        self.groups.change(group, {"displayName": cased}, "rename to the name it has", dice)
        self.check(group.version == before, "rename to the name it has: the version stays", (before, group.version))

    def unknown(self):
        """Members that never existed are left out and the others applied; those that were deleted do not show."""
        group, people = self.practice("unknown members", 2)
        dice = self.dice("unknown members")
        others = [person for person in self.known.people if person.id not in group.members]
        nobody, second = str(uuid.UUID(int=dice.getrandbits(128))), "not-an-id"
        for one in (nobody, second):
            for operations in ([{"op": "Add", "path": "members", "value": [{"value": one}]}],
                               [{"op": "replace", "path": "members", "value": [{"value": one}]}]):
                answer = self.refused("PATCH", "/Groups/" + group.id, 400, "only somebody unknown", "invalidValue",
                                      body=patch_body(operations, dice))
                self.check(one in str(answer.json().get("detail")), "only somebody unknown: the detail names the id", answer)
                self.groups.read_whole(group, "read after somebody unknown")
        self.groups.patch(group, [{"op": "Add", "path": "members", "value": [{"value": nobody}, {"value": others[0].id}, {"value": second}]}],
                          "somebody unknown among others", dice)
        group.members.add(others[0].id)
        self.groups.read_whole(group, "read after somebody unknown among others")
        self.groups.is_member(group, nobody, False, "somebody unknown", dice)
        self.groups.patch(group, [{"op": "replace", "path": "members", "value": [{"value": nobody}, {"value": people[0].id}]}],
                          "replacement with somebody unknown", dice)
        group.members = {people[0].id}
        self.groups.read_whole(group, "read after replacement with somebody unknown")
        if self.known.gone:
            deleted = self.known.gone[0].id
            self.groups.add(group, [deleted], "somebody deleted", dice)
            self.groups.read_whole(group, "read after somebody deleted")
            self.groups.is_member(group, deleted, False, "somebody deleted", dice)
            self.groups.remove(group, [deleted], "removal of somebody deleted", dice)
            self.groups.read_whole(group, "read after removal of somebody deleted")

    def leavers(self):
        """E15, E16, E21, E22: the disabled stay members; the deleted leave all groups, and come back as somebody else."""
        first, people = self.practice("leavers", 4)
        second, _ = self.practice("leavers")
        dice = self.dice("leavers")
        self.groups.add(second, [person.id for person in people], "the same people in another group", dice)
        off, gone = people[0], people[1]
        for active in (False, True):
            off.tree["active"] = active
            self.users.patch(off, [{"op": "Replace", "path": "active", "value": str(active)}], "active %s" % active, dice)
            self.groups.read_whole(first, "read with a member of active %s" % active)
            self.belongs(off, [(first, "direct"), (second, "direct")], "read of a member of active %s" % active)
        before = [self.groups.read_whole(group, "read before a member is deleted")["meta"] for group in (first, second)]
        self.users.delete(gone, "delete of a member")
        self.known.people.remove(gone)
        self.known.gone.append(gone)
        for group, meta in zip((first, second), before):
            after = self.groups.read_whole(group, "read after a member was deleted")["meta"]
            self.check(after["version"] != meta["version"], "a member was deleted: the group's version moves", (meta, after))
            self.groups.is_member(group, gone.id, False, "check of a deleted member", dice)
        found = self.groups.query('members.value eq "%s"' % gone.id, "groups of a deleted user", dice)
        self.check(found == [], "groups of a deleted user: none", found)
        again = self.draw.person(gone.number)
        again.tree = dict(gone.tree)
        self.users.create(again, "create a deleted member again")
        self.known.people.append(again)
        self.check(again.id != gone.id, "create a deleted member again: a new id", again)
        self.belongs(again, [(first, None), (second, None)], "read of one who came back")
        self.groups.add(first, [again.id], "add one who came back", dice)
        self.groups.read_whole(first, "read after one came back")

    def nesting(self):
        """Groups in groups: direct and indirect membership, and loops, which end."""
        top, _ = self.practice("nesting, top")
        middle, _ = self.practice("nesting, middle")
        bottom, people = self.practice("nesting, bottom", 2)
        dice = self.dice("nesting")
        person = people[0]
        self.groups.add(middle, [bottom.id], "a group in a group", dice)
        self.groups.add(top, [middle.id], "a group in a group", dice)
        steps = [(bottom, "direct"), (middle, "indirect"), (top, "indirect")]
        self.belongs(person, steps, "read through two groups")
        self.groups.add(top, [person.id], "directly too", dice)
        self.belongs(person, [(bottom, "direct"), (middle, "indirect"), (top, "direct")], "read directly and through groups")
        self.groups.remove(top, [person.id], "no longer directly", dice)
        self.groups.add(bottom, [top.id], "a loop of three", dice)
        self.groups.add(middle, [middle.id], "a loop of one", dice)
        self.belongs(person, steps, "read through a loop")
        for group in (top, middle, bottom):
            self.groups.read_whole(group, "read of a loop")
        self.groups.is_member(bottom, top.id, True, "check of a group in a group", dice)
        self.groups.remove(middle, [bottom.id], "the loop is cut", dice)
        self.belongs(person, [(bottom, "direct"), (middle, None), (top, None)], "read after the loop was cut")
        self.groups.add(middle, [bottom.id], "the loop is closed", dice)
        self.groups.delete(middle, "delete of a group in a loop")
        self.known.groups.remove(middle)
        self.known.gone_groups.append(middle)
        self.belongs(person, [(bottom, "direct"), (middle, None), (top, None)], "read after a group in between was deleted")
        self.groups.read_whole(top, "read after a member group was deleted")

    def deletes(self):
        """E19, E21 to E23 for groups: deletion, the second one, the name again under a new id, unknown ids."""
        group, people = self.practice("delete group", 3)
        dice = self.dice("delete group")
        self.groups.delete(group, "delete of a group")
        self.known.groups.remove(group)
        self.known.gone_groups.append(group)
        self.refused("GET", "/Groups/" + group.id, 404, "read after delete of a group")
        self.refused("DELETE", "/Groups/" + group.id, 404, "second delete of a group")
        self.refused("PATCH", "/Groups/" + group.id, 404, "patch after delete of a group",
                     body=patch_body(shapes.adding([people[0].id], True, dice)))
        self.check(self.groups.query(self.draw.group_condition(group), "query after delete of a group", dice) == [],
                   "query after delete of a group: none")
        self.belongs(people[0], [(group, None)], "read of a member of a deleted group")
        again = Group(group.number, dict(group.tree))
        self.groups.create(again, "create a deleted group again")
        self.known.groups.append(again)
        self.check(again.id != group.id, "create a deleted group again: a new id", again)
        self.groups.read_whole(again, "read a group created again")
        for unknown in (str(uuid.uuid4()), "not-a-uuid", "with%20space", "%C3%A5", self.known.people[0].id):
            self.refused("GET", "/Groups/" + unknown, 404, "unknown group " + unknown)
            self.refused("DELETE", "/Groups/" + unknown, 404, "delete of unknown group " + unknown)
            self.refused("PATCH", "/Groups/" + unknown, 404, "patch of unknown group " + unknown,
                         body=patch_body(shapes.removing_all(False)))

    def malformed(self):
        """E27 for groups: what is wrong is refused with a sentence, and nothing changes."""
        group, people = self.practice("malformed group", 2)
        add = {"op": "add", "path": "members", "value": [{"value": self.pick("malformed group", 3)[2].id}]}
        for what, scim_type, more in [
            ("unknown op", "invalidSyntax", {"body": patch_body([add, {"op": "increase", "path": "members"}])}),
            ("broken JSON", "invalidSyntax", {"raw": b'{"schemas":["urn:'}),
            ("no schemas", "invalidSyntax", {"body": {"Operations": [add]}}),
            ("number for a name", "invalidValue", {"body": patch_body([add, {"op": "Replace", "path": "displayName", "value": 7}])}),
            ("number for a member", "invalidValue", {"body": patch_body([add, {"op": "Add", "path": "members", "value": [{"value": 7}]}])}),
            ("broken filter", "invalidFilter", {"body": patch_body([add, {"op": "remove", "path": 'members[value eq "%s"' % people[0].id}])}),
        ]:
            self.refused("PATCH", "/Groups/" + group.id, 400, "malformed group PATCH, " + what, scim_type, **more)
            self.groups.read_whole(group, "read after malformed group PATCH, " + what)
        for what, scim_type, more in [
            ("no displayName", "invalidValue", {"body": {"schemas": [GROUP], "externalId": "x"}}),
            ("number for displayName", "invalidValue", {"body": {"schemas": [GROUP], "displayName": 7}}),
            ("empty body", "invalidSyntax", {"raw": b""}),
        ]:
            self.refused("POST", "/Groups", 400, "malformed group POST, " + what, scim_type, **more)
