"""The plays on users, one a feature."""

import copy
import json
import unicodedata
import urllib.parse
import uuid

from tenant.draw import FILTERED, PLAIN, WORK_MAIL
from tenant.model import Person, clear, get, put
from tenant.player import Part
from tenant.urns import ENT, PATCH_OP, USER


class UserPlays(Part):
    """One play after the other, each with some of the people."""

    def creates(self):
        """E5."""
        self.known.people = [self.draw.person(next(self.known.person_numbers)) for _ in range(self.options.users)]
        self.each(self.known.people, lambda person: self.users.create(person, "create"))
        self.known.people = [p for p in self.known.people if p.id]
        self.check(len({p.id for p in self.known.people}) == self.options.users, "create: every id is new", len(self.known.people))

    def matches(self):
        """E6: by every matching attribute, in other case and other spelling too."""
        by_external, by_display = {}, {}
        for person in self.known.people:
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
                self.check({r.get("id") for r in found} == ids, "match %s: the right ones" % condition,
                           (sorted(ids), [r.get("id") for r in found]))
                for resource in found:
                    if resource.get("id") == person.id:
                        self.users.same(person, resource, "match")

        self.each(self.known.people, match)

    def managers(self):
        """E7 and the user half of E9: all forms of a manager, to known people and to nobody."""
        everyone = [p.id for p in self.known.people]

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
            self.users.patch(person, [operation], "manager %s" % json.dumps(operation), dice)
            if dice.random() < 0.2:
                terms = ['id eq "%s"' % person.id, 'manager eq "%s"' % boss]
                dice.shuffle(terms)
                found = self.find("/Users", " and ".join(terms), "manager check", more="&attributes=" + dice.choice(["id", "ID"]))
                self.check([set(r) - {"schemas"} for r in found] == [{"id"}], "manager check: one, with its id", found)
                terms[1] = 'manager eq "%s"' % uuid.uuid4()
                self.check(self.find("/Users", " and ".join(terms), "manager check") == [], "manager check: none")

        self.each(self.pick("managers", self.options.users // 2), appoint)

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
            self.users.patch(person, [operation], "manager removed by %s" % json.dumps(operation), dice)

        self.each(self.pick("dismiss", 40, [p for p in self.known.people if get(p.tree, ENT + ":manager")]), dismiss)

    def updates(self):
        """E11 and E12: mapped attributes in both dialects, then the same again, which must change nothing."""
        def update(person):
            for round_number in range(2):
                dice = self.dice("update", person.number, round_number)
                changes = self.draw.changes(person, dice)
                flag = self.draw.flag(dice)
                operations = (self.draw.dialect_b if flag else self.draw.dialect_a)(person.tree, changes, dice)
                for path, value in changes.items():
                    put(person.tree, path, value)
                self.users.patch(person, operations, "update %s" % json.dumps(operations, ensure_ascii=False), dice, flag=flag)
                if dice.random() < 0.3:
                    self.users.read(person, "read after update")
                if dice.random() < 0.2:
                    before = (person.version, person.modified)
                    self.users.patch(person, operations, "the same update again", dice, flag=flag)
                    self.check(before == (person.version, person.modified),
                               "the same update again: version and lastModified stay", (before, str(person)))

        self.each(self.known.people, update)

    def booleans(self):
        """E13: booleans as text in all spellings, and in path filters."""
        def flip(person):
            dice = self.dice("booleans", person.number)
            for spelling, truth in (("False", False), ("True", True), ("false", False), ("true", True), ("TRUE", True)):
                person.tree["active"] = truth
                self.users.patch(person, [{"op": dice.choice(["Replace", "Add"]), "path": "active", "value": spelling}],
                           "active as %r" % spelling, dice)
            if get(person.tree, WORK_MAIL):
                for spelling, truth in ((False, False), ("True", True)):
                    put(person.tree, 'emails[type eq "work"].primary', truth)
                    self.users.patch(person, [{"op": "Replace", "path": 'emails[type eq "work"].primary', "value": spelling}],
                               "primary e-mail as %r" % (spelling,), dice)
            for path in ('roles[primary eq "True"].value', "roles[primary eq true].value", 'roles[primary eq "true"].display'):
                put(person.tree, path, "Role of " + path)
                self.users.patch(person, [{"op": "Add", "path": path, "value": "Role of " + path}], "role by " + path, dice)

        self.each(self.pick("booleans", 40), flip)

    def clears(self):
        """E14: every optional mapped attribute emptied with "", set again, emptied with null."""
        def empty(person):
            dice = self.dice("clear", person.number)
            for nothing in ("", None):
                paths = [p for p in PLAIN + FILTERED if get(person.tree, p) is not None]
                for path in paths:
                    clear(person.tree, path)
                    self.users.patch(person, [{"op": "replace", "path": path, "value": nothing}],
                               "%s cleared with %s" % (path, json.dumps(nothing)), dice)
                resource = self.users.read(person, "read after clearing")
                left = [p for p in paths if get(resource, p) not in (None, "")]
                # Whether an element that says no more than its type stays is the server's choice; the model follows.
                for name in ("emails", "phoneNumbers", "addresses"):
                    types = [e.get("type") for e in resource.get(name) or []]
                    if name in person.tree:
                        person.tree[name] = [e for e in person.tree[name] if e.get("type") in types]
                self.check(not left, "cleared with %s: nothing left" % json.dumps(nothing), left)
                changes = {p: self.draw.value(dice, p) for p in dice.sample(PLAIN, 5) + dice.sample(FILTERED, 3)}
                operations = self.draw.dialect_a(person.tree, changes, dice)
                for path, value in changes.items():
                    put(person.tree, path, value)
                self.users.patch(person, operations, "set after clearing", dice)
            path = 'phoneNumbers[type eq "pager"].value'
            self.users.patch(person, [{"op": "Remove", "path": path}], "removal of what is not there", dice)

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
                self.users.patch(person, [off], "disable by %s" % json.dumps(off), dice)
            self.users.read(person, "read while disabled")
            found = self.find("/Users", 'userName eq "%s"' % person.tree["userName"], "query while disabled")
            self.check([r.get("id") for r in found] == [person.id], "query while disabled: found", found)
            self.refused("POST", "/Users", 409, "create with the name of a disabled user", "uniqueness",
                         body={"schemas": [USER], "userName": person.tree["userName"].upper()})
            if dice.random() < 0.8:
                person.tree["active"] = True
                for _ in range(2):
                    value = dice.choice([True, "True"])
                    self.users.patch(person, [{"op": "Replace", "path": "active", "value": value}], "enable", dice)

        self.each(self.pick("disable", 100), disable)

    def soft_delete(self):
        """E15a: the mangled name of a soft-deleted user, somebody else under the clean name, and the way back."""
        def fall_and_rise(person):
            dice = self.dice("soft", person.number)
            clean = person.tree["userName"]
            mangled = "%032x%s" % (dice.getrandbits(128), clean)
            person.tree["userName"], person.tree["active"] = mangled, False
            self.users.patch(person, [{"op": "Replace", "path": "userName", "value": mangled},
                                {"op": "Replace", "path": "active", "value": "False"}], "soft delete", dice)
            second = Person(person.number, {"userName": clean, "active": True})
            self.users.create(second, "create under the freed name")
            back = [{"op": "Replace", "path": "userName", "value": clean}, {"op": "Replace", "path": "active", "value": "True"}]
            answer = self.refused("PATCH", "/Users/" + person.id, 409, "rename back to a taken name", "uniqueness",
                                  body={"schemas": [PATCH_OP], "Operations": back})
            self.check(str(second.id) in str(answer), "rename back: the detail names the holder", answer)
            self.users.read(person, "read after a refused rename")
            self.ask("DELETE", "/Users/" + second.id, 204, "delete of the second")
            self.known.gone.append(second)
            person.tree["userName"], person.tree["active"] = clean, True
            self.users.patch(person, back, "rename back", dice)

        self.each(self.pick("soft", 15), fall_and_rise)

    def renames(self):
        """E19, E20: duplicates and renames."""
        def rename(person):
            dice = self.dice("rename", person.number)
            old = person.tree["userName"]
            self.refused("POST", "/Users", 409, "duplicate create", "uniqueness",
                         body={"schemas": [USER], "userName": dice.choice([old, old.upper(), old.swapcase()])})
            taken = self.known.people[(self.known.people.index(person) + 1) % len(self.known.people)].tree["userName"]
            for operation in ({"op": "Replace", "path": "userName", "value": taken.upper()}, {"op": "replace", "value": {"userName": taken}}):
                self.refused("PATCH", "/Users/" + person.id, 409, "rename to a taken name", "uniqueness",
                             body={"schemas": [PATCH_OP], "Operations": [{"op": "Replace", "path": "title", "value": "lost"}, operation]})
            self.users.read(person, "read after refused renames")
            new = "renamed-" + old
            person.tree["userName"] = new
            operation = dice.choice([{"op": "Replace", "path": "userName", "value": new}, {"op": "replace", "value": {"userName": new}}])
            self.users.patch(person, [operation], "rename", dice)
            self.check(self.find("/Users", 'userName eq "%s"' % old, "query by the old name") == [], "the old name is free")
            found = self.find("/Users", 'userName eq "%s"' % new.upper(), "query by the new name")
            self.check([r.get("id") for r in found] == [person.id], "found by the new name", found)
            cased = new.swapcase()
            person.tree["userName"] = cased
            self.users.patch(person, [{"op": "Replace", "path": "userName", "value": cased}], "rename in case only", dice)

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
            self.check(found == [], "query after delete: nobody", found)
            self.known.gone.append(person)
            if self.dice("again", person.number).random() < 0.5:
                again = Person(person.number, copy.deepcopy(person.tree))
                self.users.create(again, "create after delete")
                self.check(again.id != person.id, "create after delete: a new id", again.id)
                return again
            return None

        chosen = self.pick("delete", 60)
        born = []
        self.each(chosen, lambda person: born.append(delete(person)))
        left = set(map(id, chosen))
        self.known.people = [p for p in self.known.people if id(p) not in left] + [p for p in born if p]
        for unknown in (str(uuid.uuid4()), "not-a-uuid", "with%20space", "%C3%A5", "a%22b"):
            self.refused("GET", "/Users/" + unknown, 404, "unknown id " + unknown)
            self.refused("PATCH", "/Users/" + unknown, 404, "patch of unknown id " + unknown,
                         body={"schemas": [PATCH_OP], "Operations": [{"op": "Replace", "path": "title", "value": "x"}]})

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
            self.users.read(person, "read after malformed PATCH, " + what)
        cases = [
            ("broken JSON", "invalidSyntax", {"raw": b'{"schemas":["' + USER.encode() + b'"],"userName":"broken'}),
            ("no schemas", "invalidSyntax", {"body": {"userName": "nobody-" + self.draw.tag}}),
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
        self.check(total == after, "malformed requests stored nothing", (total, after))
