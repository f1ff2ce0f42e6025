"""Pages out everything and compares it with what must be there."""

from tenant.model import comparable
from tenant.player import Part

# What an entry of a user's `groups` has.
BELONGING = {"value", "$ref", "display", "type"}


class Comparison(Part):
    """The whole directory, page by page."""

    def walk(self, path, count, what):
        """Pages through all users or groups; checks the counting; returns the resources in order."""
        resources, start = [], 1
        while True:
            answer = self.ask("GET", path, 200, what, query="startIndex=%d&count=%d" % (start, count))
            body = answer.json()
            page, total = body.get("Resources", []), body.get("totalResults", 0)
            full = min(count, max(0, total - start + 1))
            self.check(body.get("startIndex") == start and body.get("itemsPerPage") == len(page) == full,
                       "%s: page %d counts right" % (what, start),
                       (body.get("startIndex"), body.get("itemsPerPage"), len(page), total))
            resources += page
            start += count
            if start > total or not page:
                return resources

    def before(self):
        """The ids of everything that was there before us: it is left alone."""
        return {one.get("id") for path in ("/Users", "/Groups") for one in self.walk(path, 500, "page out before")}

    def paging(self):
        """E24: pages of five while another writer creates, and again in a quiet store."""
        def whose(path):
            return {one.id for one in (self.known.people if path == "/Users" else self.known.groups)}

        newcomers = [self.draw.person(next(self.known.person_numbers)) for _ in range(20)]
        groups = [self.draw.group(next(self.known.group_numbers)) for _ in range(20)] if self.groups else []

        def write():
            for person in newcomers:
                self.users.create(person, "create while paging")
            for group in groups:
                self.groups.create(group, "create group while paging")

        writer = self.player.pool.submit(write)
        for path in ("/Users", "/Groups"):
            seen = [one.get("id") for one in self.walk(path, 5, "paging while others write")]
            missing = whose(path) - set(seen)
            self.check(not missing, "paging %s while others write: everybody is there" % path, missing)
        writer.result()
        self.known.people += newcomers
        self.known.groups += groups
        for path in ("/Users", "/Groups"):
            seen = [one.get("id") for one in self.walk(path, 5, "paging in a quiet store")]
            expected = whose(path)
            self.check(len(seen) == len(set(seen)) and set(seen) - self.known.before == expected,
                       "paging %s in a quiet store: each once" % path, (len(seen), len(set(seen)), len(expected)))

    def listed(self, path, count, wanted, gone, what):
        """Pages out one kind; checks that exactly the wanted are there; returns the resources by id."""
        resources = self.walk(path, count, "page out")
        found = {one.get("id"): one for one in resources}
        self.check(len(found) == len(resources), "%s: each of %s once" % (what, path), (len(resources), len(found)))
        ids, wanted = set(found) - self.known.before, {one.id: one for one in wanted}
        back = [str(one) for one in gone if one.id in found]
        self.check(not back, "%s: nothing of %s that was deleted" % (what, path), back[:5])
        self.check(ids == set(wanted), "%s: exactly the %s that were sent" % (what, path[1:].lower()),
                   {"missing": [str(wanted[one]) for one in sorted(set(wanted) - ids)[:5]],
                    "unknown": [found[one].get("userName") or found[one].get("displayName") for one in sorted(ids - set(wanted))[:5]]})
        return found

    def belongs(self, person, resource, wanted, groups, what):
        """Checks the `groups` of one user."""
        entries = resource.get("groups", [])
        seen = {entry.get("value"): entry.get("type") for entry in entries}
        if seen != wanted or len(entries) != len(wanted) or ("groups" in resource) != bool(wanted):
            named = {one: str(group) for one, group in self.known.living().items()}
            self.check(False, "%s: groups of %s" % (what, person), {
                "missing": ["%s %s" % (wanted[one], named[one]) for one in wanted if seen.get(one) != wanted[one]][:5],
                "too many": ["%s %s" % (seen[one], named.get(one, one)) for one in seen if wanted.get(one) != seen[one]][:5],
                "entries": len(entries)})
            return
        odd = []
        for entry in entries:
            group = groups[entry["value"]]
            if (set(entry) != BELONGING or entry["display"] != group.get("displayName")
                    or entry["$ref"] != group.get("meta", {}).get("location")):
                odd.append(entry)
        self.check(not odd, "%s: each group of %s has value, $ref, display and type" % (what, person), odd[:3])

    def whole(self, what, count=100):
        """Compares everything: users with their groups, groups with their members."""
        users = self.listed("/Users", count, self.known.people, self.known.gone, what)
        groups = self.listed("/Groups", count, self.known.groups, self.known.gone_groups, what)
        values = members = 0
        belongings, living = self.known.belongings(), self.known.living()
        for person in self.known.people:
            resource = users.get(person.id)
            if resource:
                self.users.same(person, resource, what)
                if set(belongings[person.id]) <= set(groups):
                    self.belongs(person, resource, belongings[person.id], groups, what)
                values += sum(len(v) if isinstance(v, (dict, list)) else 1 for v in comparable(person.tree).values())
        for group in self.known.groups:
            resource = groups.get(group.id)
            if resource:
                self.groups.same(group, resource, what)
                self.groups.has(group, resource, what, living)
                members += len(resource.get("members", []))
        return "%d users, %d values, %d groups, %d memberships compared" % (
            len(self.known.people), values, len(self.known.groups), members)
