"""The incremental cycles: what happens in a tenant between two of them, all at once over all connections.

One cycle has three waves. In each, no two requests on one object disagree, so what must be there afterwards does not
depend on which came first: in the first people and groups change and members come and go one by one, in the second whole
lists of members are set, in the third the newcomers become members. Then everything is compared."""

import copy
import json
import uuid

from tenant.draw import FILTERED, PLAIN
from tenant.model import Group, Person, clear, get, put
from tenant.player import Part, patch_body
from tenant.urns import ENT


class Task:
    """One thing that happens in a tenant, to one person or group."""

    def __init__(self, what, step, subject, dice, **more):
        self.what, self.step, self.subject, self.dice, self.more = what, step, subject, dice, more

    def __call__(self):
        self.step(self.subject, self.dice, **self.more)

    def __str__(self):
        return "%s, %s" % (self.what, self.subject)


class Cycles(Part):
    """What changes between two cycles, and the requests that Entra makes of it."""

    def __init__(self, player):
        super().__init__(player)
        self.number = 0
        # Names that are taken at the beginning of a cycle, or will be in its first wave.
        self.names = set()
        # Groups that are deleted in the first wave.
        self.doomed = set()

    def run(self):
        """One cycle."""
        self.number += 1
        dice = self.dice("cycle", self.number)
        self.names = self.known.names()
        self.probe()
        people, newcomers = self.plan_people(dice)
        groups, fresh = self.plan_groups(dice) if self.groups else ([], [])
        members = self.plan_members(dice) if self.groups else []
        self.wave(people + groups + members, dice)
        self.settle(newcomers, fresh)
        lists = self.plan_lists(dice) if self.groups else []
        squatters = self.plan_squatters(dice)
        self.wave(lists + squatters, dice)
        self.settle([task.more["newcomer"] for task in squatters], [])
        arrivals = self.plan_arrivals(dice, newcomers, fresh) if self.groups else []
        self.wave(arrivals, dice)
        checks = self.plan_checks(dice)
        self.wave(checks, dice)
        return "%d changes, %d of groups and members" % (
            len(people + groups + members + lists + squatters + arrivals), len(groups + members + lists + arrivals))

    def wave(self, tasks, dice):
        """Everything at once, in any order."""
        dice.shuffle(tasks)

        def change(task):
            task()

        self.each(tasks, change)

    def settle(self, newcomers, fresh):
        """Who came and went is known once a wave is over."""
        self.known.people += [person for person in newcomers if person.id]
        self.known.groups += [group for group in fresh if group.id]
        gone, gone_groups = set(self.known.gone), set(self.known.gone_groups)
        self.known.people = [person for person in self.known.people if person not in gone]
        self.known.groups = [group for group in self.known.groups if group not in gone_groups]

    def probe(self):
        """Entra asks for random names before it begins."""
        for path, attribute in (("/Users", self.draw.matching), ("/Groups", "displayName")):
            self.check(self.find(path, '%s eq "%s"' % (attribute, uuid.uuid4()), "probe of a cycle") == [], "probe of a cycle: empty")

    def task(self, what, step, subject, **more):
        """A task with chance of its own."""
        kind = "group" if isinstance(subject, Group) else "user"
        return Task(what, step, subject, self.dice("cycle", self.number, what, kind, subject.number, len(more)), **more)

    # -- people

    def plan_people(self, dice):
        """What happens to people: at most one thing to each. Also who is new."""
        people = list(self.known.people)
        dice.shuffle(people)
        soft = [person for person in people if person.clean]
        rest = [person for person in people if not person.clean]
        tasks = []
        holders = {person.name.casefold(): person for person in rest}
        for person in soft:
            holder = holders.get(person.clean.casefold())
            chance = dice.random()
            if chance < 0.3:
                tasks.append(self.task("hard delete", self.purge, person))
            elif chance < 0.8 and holder:
                if holder in rest:
                    rest.remove(holder)  # nothing happens to the holder of the name meanwhile
                tasks.append(self.task("restore", self.restore, person, holder=holder))
            elif chance < 0.8 and person.clean.casefold() not in self.names:
                self.names.add(person.clean.casefold())
                tasks.append(self.task("restore", self.restore, person))
        share = len(people)
        for what, step, count in [
            ("update", self.update, share // 7), ("update again", self.again, share // 20), ("rename", self.rename, share // 30),
            ("disable or enable", self.toggle, share // 20), ("soft delete", self.soft_delete, share // 40),
            ("hard delete", self.purge, share // 60), ("manager", self.manager, share // 20),
        ]:
            for person in [rest.pop() for _ in range(min(len(rest) // 2, max(1, count)))]:
                more = {"name": self.draw.other_name(next(self.known.person_numbers))} if step == self.rename else {}
                tasks.append(self.task(what, step, person, **more))
        newcomers = self.plan_returns(dice, 2 + share // 100)
        newcomers += [self.draw.person(next(self.known.person_numbers)) for _ in range(2 + share // 50)]
        tasks += [self.task("create", self.hire, person) for person in newcomers]
        return tasks, newcomers

    def plan_returns(self, dice, count):
        """Some who were deleted come again, under the same name if nobody else took it."""
        found = []
        gone = [person for person in self.known.gone if not person.back]
        for person in dice.sample(gone, min(len(gone), count)):
            name = person.clean or person.name
            if name.casefold() not in self.names:
                self.names.add(name.casefold())
                person.back = True
                again = Person(person.number, copy.deepcopy(person.tree))
                again.tree.update(userName=name, active=True)
                found.append(again)
        return found

    def known_values(self, person, what):
        """What Entra does first with somebody that it knows: read."""
        self.users.read(person, what + ", read before")

    def send(self, person, changes, what, dice):
        """Sends changed values in one of the dialects, and keeps them."""
        flag = self.draw.flag(dice)
        operations = (self.draw.dialect_b if flag else self.draw.dialect_a)(person.tree, changes, dice)
        for path, value in changes.items():
            put(person.tree, path, value)
        self.users.patch(person, operations, "%s by %s" % (what, json.dumps(operations, ensure_ascii=False)), dice, flag=flag,
                         lost=dice.random() < 0.05)

    def update(self, person, dice):
        """Mapped attributes change."""
        self.known_values(person, "update")
        self.send(person, self.draw.changes(person, dice), "update", dice)

    def again(self, person, dice):
        """What is there is sent again: the version stays, whatever happens to memberships meanwhile."""
        self.known_values(person, "update again")
        before = (person.version, person.modified)
        paths = [path for path in PLAIN + FILTERED if get(person.tree, path) is not None]
        changes = {path: get(person.tree, path) for path in dice.sample(paths, min(4, len(paths)))}
        changes["active"] = person.tree["active"]
        self.send(person, changes, "update again", dice)
        self.check(before == (person.version, person.modified), "update again: version and lastModified stay", (before, str(person)))

    def rename(self, person, dice, name):
        """A new name; the old one is free at once."""
        old = person.name
        self.known_values(person, "rename")
        self.send(person, {"userName": name}, "rename", dice)
        self.check(self.find("/Users", 'userName eq "%s"' % old, "query by the old name") == [], "rename: the old name is free")

    def toggle(self, person, dice):
        """Blocked, or unblocked."""
        self.known_values(person, "disable or enable")
        truth = not person.tree.get("active", True)
        person.tree["active"] = truth
        flag = self.draw.flag(dice)
        operation = {"op": "replace", "path": "active", "value": truth} if flag else {
            "op": "Replace", "path": "active", "value": str(truth)}
        for _ in range(1 if dice.random() < 0.8 else 2):
            self.users.patch(person, [operation], "active %s" % truth, dice, flag=flag, lost=dice.random() < 0.1)

    def soft_delete(self, person, dice):
        """Disabled, and the name put behind 32 hex digits."""
        person.clean = person.name
        self.turn(person, "%032x%s" % (dice.getrandbits(128), person.clean), False, "soft delete", dice)

    def turn(self, person, name, active, what, dice):
        """Name and `active` in one PATCH."""
        flag = self.draw.flag(dice)
        person.tree.update(userName=name, active=active)
        self.users.patch(person, self.turning(name, active, flag), what, dice, flag=flag, lost=dice.random() < 0.1)

    @staticmethod
    def turning(name, active, flag):
        """The operations that set name and `active`."""
        if flag:
            return [{"op": "replace", "value": {"userName": name, "active": active}}]
        return [{"op": "Replace", "path": "userName", "value": name}, {"op": "Replace", "path": "active", "value": str(active)}]

    def restore(self, person, dice, holder=None):
        """The way back; refused while somebody else has the name, and the answer tells who."""
        if holder is None:
            clean, person.clean = person.clean, None
            self.turn(person, clean, True, "restore", dice)
            return
        flag = self.draw.flag(dice)
        answer = self.refused("PATCH", "/Users/" + person.id, 409, "restore under a taken name", "uniqueness", flag=flag,
                              body=patch_body(self.turning(person.clean, True, flag), dice))
        self.check(holder.id in str(answer.json().get("detail")), "restore under a taken name: the detail names the holder", answer)
        self.known_values(person, "restore under a taken name")

    def purge(self, person, dice):
        """Deleted for good."""
        self.users.delete(person, "hard delete", lost=dice.random() < 0.1)
        self.known.gone.append(person)

    def hire(self, person, dice):
        """Somebody new, or somebody again under a new id."""
        old = {one.id for one in self.known.gone}
        self.users.create(person, "create", lost=dice.random() < 0.1)
        self.check(person.id not in old, "create: an id that nobody had", person)

    def manager(self, person, dice):
        """Another manager, or none."""
        path = ENT + ":manager"
        boss = dice.choice(self.known.people).id
        if get(person.tree, path) and dice.random() < 0.3:
            clear(person.tree, path)
            self.users.patch(person, [{"op": "Remove", "path": path}], "manager removed", dice)
        else:
            put(person.tree, path, {"value": boss})
            self.users.patch(person, [{"op": "Add", "path": path, "value": boss}], "manager", dice)

    def plan_squatters(self, dice):
        """Somebody else takes the name of one who was soft-deleted."""
        tasks, taken = [], self.known.names()
        for person in self.known.people:
            if person.clean and person.clean.casefold() not in taken and dice.random() < 0.2:
                taken.add(person.clean.casefold())
                newcomer = self.draw.person(next(self.known.person_numbers))
                newcomer.tree["userName"] = person.clean
                tasks.append(self.task("create under a freed name", self.squat, person, newcomer=newcomer))
        return tasks

    def squat(self, person, dice, newcomer):
        """One who takes the name of another."""
        self.users.create(newcomer, "create under the freed name")

    # -- groups

    def plan_groups(self, dice):
        """What happens to groups themselves. Also which are new."""
        groups = list(self.known.groups)
        dice.shuffle(groups)
        tasks, share = [], len(groups)
        for what, step, count in [
            ("delete group", self.dissolve, share // 30), ("rename group", self.title, share // 8),
            ("change group", self.anchor, share // 12), ("update group again", self.entitled, share // 12),
        ]:
            for group in [groups.pop() for _ in range(min(len(groups) // 2, max(1, count)))]:
                tasks.append(self.task(what, step, group))
        fresh = [self.draw.group(next(self.known.group_numbers)) for _ in range(1 + share // 40)]
        taken = {group.name.casefold() for group in self.known.groups}
        for group in dice.sample(self.known.gone_groups, min(1, len(self.known.gone_groups))):
            if group.name.casefold() not in taken:
                tree = dict(group.tree, displayName=group.name.swapcase())
                if tree["displayName"].casefold() == group.name.casefold():
                    fresh.append(Group(next(self.known.group_numbers), tree))
        self.doomed = {task.subject for task in tasks if task.step == self.dissolve}
        tasks += [self.task("create group", self.found, group) for group in fresh]
        return tasks, fresh

    def found(self, group, dice):
        """A new group."""
        self.groups.create(group, "create group", lost=dice.random() < 0.1)

    def dissolve(self, group, dice):
        """A group that is no more."""
        self.groups.delete(group, "delete group", lost=dice.random() < 0.1)
        self.known.gone_groups.append(group)

    def title(self, group, dice):
        """Another name, sometimes with the other attribute."""
        self.groups.read(group, "rename group, read before")
        changes = {"displayName": "%s c%d" % (self.draw.team(dice, group.number), self.number)}
        if dice.random() < 0.3:
            changes["externalId"] = str(uuid.UUID(int=dice.getrandbits(128)))
        self.groups.change(group, changes, "rename group", dice, lost=dice.random() < 0.1)

    def anchor(self, group, dice):
        """Another externalId."""
        self.groups.read(group, "change group, read before")
        self.groups.change(group, {"externalId": str(uuid.UUID(int=dice.getrandbits(128)))}, "change group", dice)

    def entitled(self, group, dice):
        """The name it has, again."""
        self.groups.change(group, {"displayName": group.name}, "update group again", dice)

    # -- memberships

    def plan_members(self, dice):
        """Members come and go one by one, five at once in one group; some requests say what is so already. Each member of
        a group has one direction, so that the order does not matter."""
        tasks = []
        for group in self.known.groups:
            if group in self.doomed or dice.random() < 0.6:
                continue
            self.groups.read(group, "membership changes, read before")
            inside = [one for one in self.known.people if one.id in group.members]
            outside = [one for one in self.known.people if one.id not in group.members]
            for step, among, twice in ((self.join, outside, 0.1), (self.leave, inside, 0.1), (self.join, inside, 1),
                                       (self.leave, outside, 1)):
                some = dice.sample(among, min(len(among), dice.randrange(1, 9) if twice < 1 else dice.randrange(0, 2)))
                among[:] = [one for one in among if one not in some]
                for person in some:
                    for _ in range(2 if dice.random() < 0.1 else 1):
                        tasks.append(self.task("membership %s" % group.number, step, person, group=group))
        return tasks

    def join(self, person, dice, group):
        """One PATCH that adds one member."""
        self.groups.add(group, [person.id], "add of %s" % person, dice, lost=dice.random() < 0.03)

    def leave(self, person, dice, group):
        """One PATCH that removes one member."""
        self.groups.remove(group, [person.id], "removal of %s" % person, dice, lost=dice.random() < 0.03)

    def plan_lists(self, dice):
        """Whole lists: one request a group."""
        groups = dice.sample(self.known.groups, min(len(self.known.groups), 4 + len(self.known.groups) // 8))
        steps = [("replace list", self.replaced), ("remove all", self.emptied), ("add several", self.several),
                 ("remove several", self.fewer), ("add group", self.nested), ("remove groups", self.flat)]
        return [self.task(*steps[position % len(steps)], group) for position, group in enumerate(groups)]

    def replaced(self, group, dice):
        """The list is set: some stay, some come."""
        stay = [one for one in sorted(self.known.members(group)) if dice.random() < 0.5]
        come = [one.id for one in dice.sample(self.known.people, min(len(self.known.people), dice.randrange(1, 30)))]
        self.groups.replace(group, list(dict.fromkeys(stay + come)), "replace list", dice, lost=dice.random() < 0.1)

    def emptied(self, group, dice):
        """Nobody stays."""
        self.groups.remove_all(group, "remove all", dice, lost=dice.random() < 0.1)

    def several(self, group, dice):
        """Many at once."""
        come = dice.sample(self.known.people, min(len(self.known.people), dice.randrange(2, 60)))
        self.groups.add(group, [one.id for one in come], "add several", dice)

    def fewer(self, group, dice):
        """Many at once, and some who were none."""
        inside = sorted(self.known.members(group))
        leave = dice.sample(inside, len(inside) // 2) + [dice.choice(self.known.people).id]
        self.groups.remove(group, leave, "remove several", dice)

    def nested(self, group, dice):
        """Another group as a member; sometimes that closes a loop."""
        self.groups.add(group, [dice.choice(self.known.groups).id], "add group", dice)

    def flat(self, group, dice):
        """All groups among the members leave."""
        groups = {one.id for one in self.known.groups}
        for one in sorted(self.known.members(group) & groups):
            self.groups.remove(group, [one], "remove groups", dice)

    def plan_arrivals(self, dice, newcomers, fresh):
        """The new people join groups, and the new groups get members."""
        tasks = []
        for person in newcomers:
            if person.id:
                for group in dice.sample(self.known.groups, min(3, len(self.known.groups))):
                    tasks.append(self.task("membership %s" % group.number, self.join, person, group=group))
        for group in fresh:
            if group.id:
                for person in dice.sample(self.known.people, min(len(self.known.people), dice.randrange(0, 40))):
                    tasks.append(self.task("membership %s" % group.number, self.join, person, group=group))
        return tasks

    # -- checks

    def plan_checks(self, dice):
        """Entra asks now and then whether it is so: members (G7) and managers."""
        tasks = []
        for group in dice.sample(self.known.groups, min(len(self.known.groups), 20)):
            tasks.append(self.task("membership check", self.member_check, group))
        for person in dice.sample(self.known.people, min(len(self.known.people), 20)):
            tasks.append(self.task("manager check", self.manager_check, person))
        return tasks

    def member_check(self, group, dice):
        """One who is a member, and anybody."""
        inside = sorted(self.known.members(group))
        for member in dice.sample(inside, min(1, len(inside))) + [dice.choice(self.known.people).id]:
            self.groups.is_member(group, member, member in group.members, "membership check", dice)

    def manager_check(self, person, dice):
        """The manager as it is."""
        boss = get(person.tree, ENT + ":manager")
        if boss:
            terms = ['id eq "%s"' % person.id, 'manager eq "%s"' % boss["value"]]
            dice.shuffle(terms)
            found = self.find("/Users", " and ".join(terms), "manager check", more="&attributes=id")
            self.check([one.get("id") for one in found] == [person.id], "manager check: one", found)
