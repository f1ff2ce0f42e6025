"""Compares users, groups and memberships with what is known of them, in every way in which the server tells them.

Python 3.9 or later, nothing else.
"""

import time

from faults.appliance import Refused

# So many users are asked for by `members.value`; the others' groups are compared through the lists.
ASKED_FOR = 300


class Reader:
    """Reads, and for `patience_s` waits for what is refused with 503: it is being repaired."""

    def __init__(self, send, patience_s):
        self.send, self.until = send, time.monotonic() + patience_s

    def get(self, path):
        """The answer, or why there is none."""
        while True:
            try:
                return ordered(self.send("GET", path))
            except Refused as refusal:
                if refusal.status != 503 or time.monotonic() > self.until:
                    return str(refusal)
                time.sleep(0.1)

    def list(self, kind):
        """All resources of a kind by their externalId, and what is wrong with the list."""
        found, count, total = {}, 0, None
        while total is None or count < total:
            page = self.get(f"/{kind}?count=500&startIndex={count + 1}")
            if isinstance(page, str):
                return None, [f"the list of {kind}: {page}"]
            total = page["totalResults"]
            found.update((resource["externalId"], resource) for resource in page["Resources"])
            count += len(page["Resources"])
            if not page["Resources"]:
                break
        return found, [] if total == len(found) == count else [f"{kind}: totalResults {total}, listed {count}, {len(found)} different"]


def ordered(answer):
    """The answer with members and groups in one order: they have none."""
    resources = answer.get("Resources", [answer]) if isinstance(answer, dict) else []
    for resource in resources:
        for name in ("members", "groups"):
            if name in resource:
                resource[name].sort(key=lambda entry: entry["value"])
    return answer


class Check:
    """One comparison. What is wrong is in `wrong`; afterwards what was found is what is known."""

    def __init__(self, send, writers, patience_s):
        self.reader, self.writers = Reader(send, patience_s), writers
        self.wrong, self.users, self.groups = [], {}, {}

    def run(self):
        for writer in self.writers:
            self.wrong += writer.wrong
            writer.wrong = []
        self.users, wrong = self.reader.list("Users")
        self.wrong += wrong
        if self.users is None:
            return
        if any(writer.team for writer in self.writers):
            self.groups, wrong = self.reader.list("Groups")
            self.wrong += wrong
            if self.groups is None:
                return
        self.every("Users", "userName", [user for writer in self.writers for user in writer.users], self.users,
                   lambda resource: (resource["userName"], resource["title"]))
        self.every("Groups", "displayName", [group for writer in self.writers for group in writer.groups], self.groups,
                   lambda resource: resource["displayName"])
        for resource in self.users.values():
            if resource["nickName"].replace(resource["title"], "") != "":
                self.wrong.append(f"{resource['externalId']}: half a write: {resource}")
        self.members()
        self.both_ways()

    def every(self, kind, name, things, found, seen_in):
        """Each is there or not, as is known of it; list, id and name say the same."""
        strangers = set(found)
        for thing in things:
            strangers.discard(thing.number)
            resource = found.get(thing.number)
            seen = resource and seen_in(resource)
            if seen != thing.known and not (thing.under_way and seen == thing.pending):
                self.wrong.append(f"{thing}, found {seen}")
            if resource:
                one = self.reader.get(f"/{kind}/{resource['id']}")
                by_name = self.reader.get(f"/{kind}?filter={name}+eq+%22{resource[name]}%22")
                if one != resource or not isinstance(by_name, dict) or by_name["Resources"] != [resource]:
                    self.wrong.append(f"{thing}: the list has {resource}, by id {one}, by name {by_name}")
                thing.id = resource["id"]
            elif thing.id and not str(self.reader.get(f"/{kind}/{thing.id}")).startswith("404"):
                self.wrong.append(f"{thing}: not in the list, but found by id")
            thing.known, thing.under_way = seen, False
        self.wrong += [f"nobody made {number}" for number in strangers]

    def members(self):
        """Each group has the members that were acknowledged; what was under way was done wholly or not at all."""
        things = [thing for writer in self.writers for thing in writer.users + writer.groups]
        there = {thing.id: thing for thing in things if thing.known}
        for group in [group for writer in self.writers for group in writer.groups]:
            changes, group.changes = group.changes, {}
            if not group.known:
                continue
            ids = [member["value"] for member in self.groups[group.number].get("members", [])]
            seen = {there[one] for one in ids if one in there}
            if len(seen) != len(ids):
                unknown = [one for one in ids if one not in there]
                self.wrong.append(f"{group}: {len(ids)} members, {len(seen)} different, nobody known: {unknown[:5]}")
            for change in changes.values():
                self.change(group, {thing: stays for thing, stays in change.items() if thing.known}, seen)
            wanted = {thing for thing in group.members if thing.known}
            if seen != wanted:
                missing, surplus = ([thing.number for thing in some][:5] for some in (wanted - seen, seen - wanted))
                self.wrong.append(f"{group}: missing members {missing}, never or no longer members {surplus}")
            # Who was deleted may be acknowledged and is not seen.
            group.members = seen | {thing for thing in group.members if not thing.known}

    def change(self, group, change, seen):
        """One request whose answer did not come: takes it over if it was done."""
        done = [thing for thing, stays in change.items() if stays == (thing in seen) and stays != (thing in group.members)]
        open_still = [thing for thing, stays in change.items() if stays != (thing in seen)]
        if done and open_still:
            self.wrong.append(f"{group}: half a write of members: {[thing.number for thing in done][:5]} done, "
                              f"{[thing.number for thing in open_still][:5]} not")
        for thing in done:
            (group.members.add if change[thing] else group.members.discard)(thing)

    def both_ways(self):
        """The users' `groups` say what the groups' `members` say, and so does the filter on members."""
        parents = {}
        for resource in self.groups.values():
            for member in resource.get("members", []):
                parents.setdefault(member["value"], set()).add(resource["id"])
        for resource in self.users.values():
            direct, above = parents.get(resource["id"], set()), set()
            ahead = list(direct)
            while ahead:
                group = ahead.pop()
                if group not in above:
                    above.add(group)
                    ahead += parents.get(group, ())
            wanted = sorted((group, "direct" if group in direct else "indirect") for group in above)
            seen = [(entry["value"], entry["type"]) for entry in resource.get("groups", [])]
            if seen != wanted:
                self.wrong.append(f"{resource['externalId']}: `groups` {seen}, by the groups' `members` {wanted}")
        if not self.groups:
            return
        ids = sorted(set(parents) | {user.id for writer in self.writers for user in writer.users if user.id})
        for one in ids[:: max(1, len(ids) // ASKED_FOR)]:
            found = self.reader.get(f"/Groups?filter=members.value+eq+%22{one}%22&excludedAttributes=members&count=500")
            found = {resource["id"] for resource in found["Resources"]} if isinstance(found, dict) else found
            if found != parents.get(one, set()):
                self.wrong.append(f"groups with the member {one}: by filter {found}, by the list {parents.get(one)}")


def check(send, writers, patience_s=0):
    """Compares everything with what the server says. Afterwards that is what is known.

    Returns what is wrong. For `patience_s` a single resource may be refused with 503: it is being repaired."""
    comparison = Check(send, writers, patience_s)
    comparison.run()
    return comparison.wrong
