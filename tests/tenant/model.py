"""What each user must be, and how that is compared with an answer."""

import copy
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


class Known:
    """Everything that must be there, and nothing else but what was there before."""

    def __init__(self):
        self.people = []
        self.gone = []
        self.before = set()
