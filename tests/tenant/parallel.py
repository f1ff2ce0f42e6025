"""One group, many connections: members come and go one a request, all at once, and none may get lost."""

import uuid

from tenant.player import Part

MEMBERS = 120


class ParallelMembers(Part):
    """Rounds on one group, each compared exactly."""

    def rounds(self, count):
        """So many rounds. Every member has one direction in a round, so the outcome does not depend on the order; some
        requests are sent twice, some ask for what is so already, and the group's externalId changes meanwhile."""
        group = self.draw.group(next(self.known.group_numbers))
        self.groups.create(group, "parallel members")
        self.known.groups.append(group)
        people = self.pick("parallel members", MEMBERS)
        sent = 0
        for number in range(count):
            dice = self.dice("parallel round", number)
            steps = []
            for person in people:
                stay, again = person.id in group.members, dice.random() < 0.1
                come = dice.random() < 0.5
                if come != stay or again:
                    steps += [(person, come)] * (2 if dice.random() < 0.1 else 1)
            steps += [(None, str(uuid.UUID(int=dice.getrandbits(128)))) for _ in range(3)]
            dice.shuffle(steps)

            def step(which, group=group, number=number, steps=steps):
                person, come = steps[which]
                chance = self.dice("parallel step", number, which)
                if person is None:
                    self.groups.change(group, {"externalId": come}, "another externalId while members change", chance)
                elif come:
                    self.groups.add(group, [person.id], "parallel add", chance)
                else:
                    self.groups.remove(group, [person.id], "parallel removal", chance)

            before = group.version
            self.each(range(len(steps)), step)
            sent += len(steps)
            self.latest(group, {come for person, come in steps if person is None})
            self.groups.read_whole(group, "after parallel round %d" % (number + 1))
            self.check(group.version != before, "parallel round: the version moves", (before, group.version))
            for person in dice.sample(people, 5):
                resource = self.ask("GET", "/Users/" + person.id, 200, "user after a parallel round").json()
                held = group.id in [entry.get("value") for entry in resource.get("groups", [])]
                self.check(held == (person.id in group.members), "after parallel round %d: groups of %s" % (number + 1, person),
                           resource.get("groups"))
        return "%d rounds, %d requests" % (count, sent)

    def latest(self, group, sent):
        """Takes over which externalId came last."""
        resource = self.ask("GET", "/Groups/" + group.id, 200, "which externalId came last", query="attributes=externalId").json()
        group.tree["externalId"] = resource.get("externalId")
        self.check(group.tree["externalId"] in sent, "which externalId came last: one of those sent", (resource, sent))
