"""Writers, and what is known of the users and groups that they write: what was acknowledged, and what may have been done
beyond that.

Each writer has users of its own, does one write at a time, and knows its outcome unless the answer did not come. Groups
belong to one writer too, except for the first two: in those all writers put users of their own, one member a request.
Python 3.9 or later, nothing else.
"""

import http.client
import random
import threading
import time

from faults.appliance import GROUP, Refused

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
# The share of writes that concern groups, where there are groups.
GROUPS_SHARE = 0.4
SHARED = 2


class Thing:
    """What is known of a user or group. `known` is what was acknowledged, None when it is not there; `pending` what may
    have been done beyond that, while `under_way`."""

    def __init__(self, number):
        self.number = number
        self.id = None
        self.known = None
        self.pending = None
        self.under_way = False

    def __repr__(self):
        return f"{self.number}: acknowledged {self.known}" + (f", pending {self.pending}" if self.under_way else "")


class User(Thing):
    """A user. What is known are its name and the mark that all other attributes have."""


class Group(Thing):
    """A group. What is known is its name.

    `members` are those that were acknowledged. Who was deleted stays among them and does not show. `changes` are what may
    have been done beyond that: for each writer, who is a member and who is not, wholly or not at all."""

    def __init__(self, number, shared=False):
        super().__init__(number)
        self.shared = shared
        self.members = set()
        self.changes = {}


def body(number, name, mark, filling=40):
    """A user: its number to know it by, and its mark in all else."""
    return {"schemas": [USER], "externalId": number, "userName": name, "title": mark, "nickName": mark * filling}


def references(things):
    """Members, as they are sent."""
    return [{"value": thing.id} for thing in things]


class Writer:
    """Writes, and knows what must be there. `team` are all writers, when there are groups; None when there are none."""

    def __init__(self, number, dice, filling):
        self.number, self.dice, self.filling, self.team = number, dice, filling, None
        self.users, self.groups = [], []
        # Acknowledged writes that changed something, refusals, and what must not be.
        self.count, self.refused, self.wrong = 0, 0, []

    def step(self, send):
        """One write of a random kind."""
        living = [user for user in self.users if user.known and not user.under_way]
        if self.team and living and self.dice.random() < GROUPS_SHARE:
            self.write_group(send, living)
        else:
            self.write_user(send, living)

    def write_user(self, send, living):
        choice = self.dice.random() if living else 0
        mark = f"{self.dice.getrandbits(32):08x}"
        if choice < 0.4:
            user = User(f"w{self.number}-{len(self.users)}")
            self.users.append(user)
            user.pending, user.under_way = (user.number, mark), True
            user.id = send("POST", "/Users", body(user.number, user.number, mark, self.filling))["id"]
        elif choice < 0.9:
            user = self.dice.choice(living)
            name = f"{user.number}-{mark}" if choice < 0.6 else user.known[0]
            user.pending, user.under_way = (name, mark), True
            changed = body(user.number, name, mark, self.filling).items()
            operations = [{"op": "replace", "path": key, "value": value} for key, value in changed if key != "schemas"]
            send("PATCH", f"/Users/{user.id}", {"schemas": [PATCH_OP], "Operations": operations})
        else:
            user = self.dice.choice(living)
            user.pending, user.under_way = None, True
            send("DELETE", f"/Users/{user.id}")
        self.acknowledged(user)

    def acknowledged(self, thing):
        """What was pending has been done."""
        thing.known, thing.under_way = thing.pending, False
        self.count += 1

    def write_group(self, send, living):
        own = [group for group in self.groups if self.may(group) and not group.shared]
        shared = [group for group in self.team[0].groups if self.may(group) and group.shared]
        choice = self.dice.random()
        if choice < 0.08 or not own:
            self.create_group(send, living)
        elif choice < 0.35 and shared:
            group, user = self.dice.choice(shared), self.dice.choice(living)
            self.change(send, group, {user: user not in group.members})
        elif choice < 0.6:
            group = self.dice.choice(own)
            self.change(send, group, {self.somebody(living): True})
        elif choice < 0.75:
            group = self.dice.choice(own)
            if group.members:
                self.change(send, group, {self.dice.choice(sorted(group.members, key=lambda thing: thing.number)): False})
        elif choice < 0.8:
            group = self.dice.choice(own)
            few = self.dice.sample(living, min(len(living), 3))
            self.change(send, group, {user: user not in group.members for user in few})
        elif choice < 0.87:
            self.replace(send, self.dice.choice(own), living)
        elif choice < 0.94:
            self.rename(send, self.dice.choice(own))
        else:
            self.delete_group(send, self.dice.choice(own))

    def may(self, group):
        """Whether nothing of what this writer did to a group is open."""
        return group.known and not group.under_way and self.number not in group.changes

    def somebody(self, living):
        """Mostly one of its own users; also another writer's, one that was deleted, or a group."""
        choice = self.dice.random()
        if choice < 0.1:
            living = [group for group in self.groups if group.known and not group.shared] or living
        elif choice < 0.2:
            living = [user for user in self.users if user.id and not user.known and not user.under_way] or living
        elif choice < 0.5:
            other = self.dice.choice(self.team)
            living = [user for user in list(other.users) if user.id and user.known] or living
        return self.dice.choice(living)

    def create_group(self, send, living):
        shared = self is self.team[0] and len(self.groups) < SHARED
        group = Group(f"g{self.number}-{len(self.groups)}", shared)
        self.groups.append(group)
        group.members = set(self.dice.sample(living, min(len(living), self.dice.choice([0, 0, 1, 5]))))
        group.pending, group.under_way = group.number, True
        new = {"schemas": [GROUP], "externalId": group.number, "displayName": group.number, "members": references(group.members)}
        group.id = send("POST", "/Groups", new)["id"]
        self.acknowledged(group)

    def patch(self, send, group, operations):
        send("PATCH", f"/Groups/{group.id}", {"schemas": [PATCH_OP], "Operations": operations})

    def change(self, send, group, change):
        """Members come and go in one request: by value, or by filter."""
        operations = []
        for thing, stays in change.items():
            if stays:
                operations.append({"op": "add", "path": "members", "value": references([thing])})
            elif self.dice.random() < 0.5:
                operations.append({"op": "Remove", "path": "members", "value": references([thing])})
            else:
                operations.append({"op": "remove", "path": f'members[value eq "{thing.id}"]'})
        group.changes[self.number] = change
        self.patch(send, group, operations)
        self.settle(group)

    def replace(self, send, group, living):
        """The list of members is set."""
        few = self.dice.sample(living, min(len(living), self.dice.randrange(1, 10)))
        stay = [thing for thing in group.members if thing.known and self.dice.random() < 0.5]
        members = dict.fromkeys(few + stay)
        group.changes[self.number] = {thing: thing in members for thing in [*group.members, *members]}
        self.patch(send, group, [{"op": "replace", "path": "members", "value": references(members)}])
        self.settle(group)

    def settle(self, group):
        """What this writer did to the members of a group is acknowledged. It counts when something had to be stored."""
        change = group.changes.pop(self.number)
        self.count += any(thing.known and stays != (thing in group.members) for thing, stays in change.items())
        for thing, stays in change.items():
            (group.members.add if stays else group.members.discard)(thing)

    def rename(self, send, group):
        group.pending, group.under_way = f"{group.number}-{self.dice.getrandbits(32):08x}", True
        self.patch(send, group, [{"op": "replace", "path": "displayName", "value": group.pending}])
        self.acknowledged(group)

    def delete_group(self, send, group):
        group.pending, group.under_way = None, True
        send("DELETE", f"/Groups/{group.id}")
        self.acknowledged(group)

    def run(self, server, going_on):
        """Writes as long as `going_on` says so and the connection holds. A refusal with 503 leaves its user or group alone;
        any other is wrong, and ends the writer."""
        try:
            send = server.connect()
            while going_on():
                try:
                    self.step(send)
                except Refused as refusal:
                    if refusal.status != 503 or "Retry-After" not in {name.title() for name in refusal.head}:
                        self.wrong.append(f"writer {self.number} was refused: {refusal}")
                        return
                    self.refused += 1
                    time.sleep(0.02)
        except (OSError, http.client.HTTPException):
            pass


def team(count, dice, groups, filling=40):
    """So many writers, who write groups too or do not."""
    writers = [Writer(number, random.Random(dice.random()), filling) for number in range(count)]
    for writer in writers:
        writer.team = writers if groups else None
    return writers


class Crew:
    """Writers at work, each in a thread of its own."""

    def __init__(self, server, writers):
        self.going_on = True
        self.threads = [
            threading.Thread(target=writer.run, args=(server, lambda: self.going_on)) for writer in writers
        ]
        for thread in self.threads:
            thread.start()

    def join(self):
        """Lets them finish what they do."""
        self.going_on = False
        for thread in self.threads:
            thread.join()
