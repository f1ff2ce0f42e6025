"""Pages out everything and compares it with what must be there."""

from tenant.model import comparable
from tenant.player import Part


class Comparison(Part):
    """The whole directory, page by page."""

    def walk(self, count, what):
        """Pages through everybody; checks the counting; returns the resources in order."""
        resources, start = [], 1
        while True:
            answer = self.ask("GET", "/Users", 200, what, query="startIndex=%d&count=%d" % (start, count))
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

    def paging(self):
        """E24: pages of five while another writer creates, and again in a quiet store."""
        ids = {p.id for p in self.known.people}
        newcomers = [self.draw.person(n) for n in range(self.options.users + 1, self.options.users + 21)]
        writer = self.player.pool.submit(lambda: [self.users.create(p, "create while paging") for p in newcomers])
        seen = [r.get("id") for r in self.walk(5, "paging while others write")]
        writer.result()
        self.check(ids <= set(seen), "paging while others write: everybody is there", len(ids - set(seen)))
        self.known.people += newcomers
        seen = [r.get("id") for r in self.walk(5, "paging in a quiet store")]
        expected = {p.id for p in self.known.people} | self.known.before
        self.check(len(seen) == len(set(seen)) and set(seen) == expected, "paging in a quiet store: each once",
                   (len(seen), len(set(seen)), len(expected)))

    def comparison(self):
        """Pages out everything and compares it with the model."""
        resources = {r.get("id"): r for r in self.walk(100, "page out")}
        people = {p.id: p for p in self.known.people}
        ids = set(resources) - self.known.before
        self.check(ids == set(people), "at the end: exactly the users that were sent",
                   {"missing": sorted(set(people) - ids)[:5], "unknown": sorted(ids - set(people))[:5]})
        self.check(not [p for p in self.known.gone if p.id in resources], "at the end: no deleted user")
        attributes = 0
        for identity, person in people.items():
            if identity in resources:
                self.users.same(person, resources[identity], "at the end")
                attributes += sum(len(v) if isinstance(v, (dict, list)) else 1 for v in comparable(person.tree).values())
        return "%d users, %d values compared" % (len(people), attributes)
