"""What users and groups must be, and how that is compared with an answer."""

import copy
import itertools
import json
import re

from tenant.urns import ENT, USER

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
    """A user or group without what only the server decides. Of a manager only the id counts: `$ref` may be answered or not."""
    tree = copy.deepcopy(tree)
    for name in ("id", "meta", "schemas", "groups", "members"):
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
        # The name that a soft-deleted user had before, and gets back.
        self.clean = None
        # Whether a deleted user came again, as somebody else.
        self.back = False

    @property
    def name(self):
        """The userName."""
        return self.tree["userName"]

    def __str__(self):
        return "user %d (%s, %s)" % (self.number, self.tree.get("userName"), self.id)


class Group:
    """One group: the id that the server gave, what it must answer, and the ids of its members, people or groups. Those
    that were deleted meanwhile stay among them: `Known.members` tells who shows."""

    def __init__(self, number, tree):
        self.number = number
        self.tree = tree
        self.members = set()
        self.id = None
        self.version = None
        # Entra replaces the whole list once an answer had members in it that it asked to leave out.
        self.replaces = False

    @property
    def name(self):
        """The displayName."""
        return self.tree["displayName"]

    def __str__(self):
        return "group %d (%s, %s)" % (self.number, self.tree.get("displayName"), self.id)


class Known:
    """Everything that must be there, and nothing else but what was there before."""

    def __init__(self):
        self.people, self.gone = [], []
        self.groups, self.gone_groups = [], []
        self.before = set()
        self.person_numbers, self.group_numbers = itertools.count(1), itertools.count(1)

    def living(self):
        """Everybody and every group, by id."""
        return {thing.id: thing for thing in self.people + self.groups}

    def members(self, group, living=None):
        """The ids that must show in a group: whoever was deleted does not."""
        return group.members & set(self.living() if living is None else living)

    def names(self):
        """All userNames, folded."""
        return {person.name.casefold() for person in self.people}

    def belongings(self):
        """What the users' `groups` must say: {id of a user: {id of a group: "direct" or "indirect"}}."""
        living = self.living()
        parents = {}
        for group in self.groups:
            for member in self.members(group, living):
                parents.setdefault(member, set()).add(group.id)
        found = {}
        for person in self.people:
            direct = parents.get(person.id, set())
            above, ahead = set(), list(direct)
            while ahead:  # loops of groups end here too
                group = ahead.pop()
                if group not in above:
                    above.add(group)
                    ahead += parents.get(group, ())
            found[person.id] = {group: "direct" if group in direct else "indirect" for group in above}
        return found
