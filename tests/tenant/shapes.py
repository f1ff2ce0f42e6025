"""How members of groups are added, removed and replaced: every shape that was seen of Entra and of Microsoft's own tests.

The pieces of a PATCH are the same for the same dice. Dialect A is what Entra sends without the flag, B with it."""


def entries(ids, flag, dice):
    """The value list: dialect A has a `$ref` that says nothing, or none."""
    if flag or dice.random() < 0.4:
        return [{"value": one} for one in ids]
    return [{"$ref": None, "value": one} for one in ids]


def adding(ids, flag, dice):
    """Operations that add these members."""
    chance = dice.random()
    if chance < 0.06 and len(ids) == 1:
        return [{"op": "add" if flag else "Add", "path": "members", "value": ids[0]}]
    if chance < 0.12:
        return [{"op": "add" if flag else "Add", "path": "members",
                 "value": [{"value": one, "display": "Whoever it is"} for one in ids]}]
    if chance < 0.18:
        return [{"op": "add" if flag else "Add", "value": {"members": entries(ids, flag, dice)}}]
    if chance < 0.24:
        return [{"op": "add" if flag else "Add", "path": "members", "value": entries([one], flag, dice)} for one in ids]
    return [{"op": "add" if flag else "Add", "path": "members", "value": entries(ids, flag, dice)}]


def removing(ids, flag, dice):
    """Operations that remove these members: by value in dialect A, by filter in B."""
    if flag:
        return [{"op": "remove", "path": 'members[value eq "%s"]' % one} for one in ids]
    return [{"op": "Remove", "path": "members", "value": entries(ids, flag, dice)}]


def replacing(ids, flag, dice):
    """Operations that set the members to exactly these."""
    op = "replace" if flag else "Replace"
    if dice.random() < 0.15:
        return [{"op": op, "value": {"members": entries(ids, flag, dice)}}]
    return [{"op": op, "path": "members", "value": entries(ids, flag, dice)}]


def removing_all(flag):
    """The operation that removes all members: it has no value at all."""
    return [{"op": "remove" if flag else "Remove", "path": "members"}]


def attributes(changes, flag, dice):
    """Operations that set attributes of a group and say nothing of its members: with a path, or in one replace without."""
    op = "replace" if flag else "Replace"
    if flag or dice.random() < 0.3:
        return [{"op": op, "value": dict(changes)}]
    return [{"op": op, "path": path, "value": value} for path, value in changes.items()]
