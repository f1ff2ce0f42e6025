"""Mixed load at a fixed rate, as in an initial cycle, and a burst: how long answers take, and which they are."""

import collections
import concurrent.futures
import threading
import time
import urllib.parse
import uuid

from tenant import shapes
from tenant.draw import WORK_MAIL
from tenant.model import put
from tenant.player import Part, patch_body

BURST = 100


class Load(Part):
    """E25. Waiting for a free connection counts: each request has its time, whether the ones before are answered or not."""

    def __init__(self, player):
        super().__init__(player)
        self.lock = threading.Lock()
        self.took = collections.defaultdict(list)
        self.statuses = collections.Counter()
        self.untouched = collections.deque()

    def drive(self, rate, seconds):
        """So many requests a second for so long, and then a hundred at once."""
        self.untouched.extend(self.known.people)
        connections = max(self.options.workers, min(64, int(rate)))
        count, began = int(rate * seconds), time.monotonic() + 0.1
        with concurrent.futures.ThreadPoolExecutor(max_workers=connections) as pool:
            list(pool.map(lambda number: self.one(number, began + number / rate), range(count)))
        lasted = time.monotonic() - began
        self.tell("%d requests in %.0f s over %d connections" % (count, lasted, connections))
        self.took.clear()
        with concurrent.futures.ThreadPoolExecutor(max_workers=BURST) as pool:
            ready = threading.Barrier(BURST)
            list(pool.map(lambda number: self.burst(count + number, ready), range(BURST)))
        self.tell("burst of %d at once, with their handshakes" % BURST)
        print("    statuses: " + ", ".join("%s: %d" % item for item in sorted(self.statuses.items())), flush=True)
        return "%.1f requests/s" % (count / lasted)

    def burst(self, number, ready):
        """One of those that come at once."""
        ready.wait(60)
        self.one(number, time.monotonic())

    def tell(self, what):
        """Prints how long they took."""
        print("    " + what)
        for kind, took in sorted(self.took.items()):
            took.sort()
            at = {share: took[min(len(took) - 1, int(len(took) * share))] * 1000 for share in (0.5, 0.99)}
            print("    %-16s %7d   p50 %7.1f ms   p99 %7.1f ms   max %7.1f ms" % (
                kind, len(took), at[0.5], at[0.99], took[-1] * 1000), flush=True)

    def one(self, number, due):
        """One request at its time."""
        time.sleep(max(0, due - time.monotonic()))
        kind, status, saw = "broken", None, ""
        try:
            kind, step = self.choose(number)
            answer, expected = step(self.dice("load", number, "step"), number)
            status, saw = answer.status, answer
        except Exception as error:  # whatever it is, it is counted and told
            self.wire.hang_up()
            expected, saw = None, repr(error)
        took = time.monotonic() - due
        with self.lock:
            for name in (kind, "all"):
                self.took[name].append(took)
            self.statuses["%s %s" % (kind, status or "no answer")] += 1
        self.check(status is not None and status == expected, "load: %s answers %s" % (kind, expected), saw)

    def choose(self, number):
        """What comes next: mostly what an initial cycle does."""
        chance = self.dice("load", number).random()
        if chance < 0.35:
            return "match", self.match
        if chance < 0.6:
            return "create user", self.create
        if chance < 0.9 and self.known.groups:
            return "add member", self.join
        if chance < 0.95:
            return "read user", self.read
        return "update user", self.update

    def match(self, dice, number):
        """The matching query, for somebody known or not."""
        name = dice.choice(self.known.people).name if dice.random() < 0.5 else str(uuid.uuid4())
        return self.wire.send("GET", "/Users", query="filter=" + urllib.parse.quote_plus('userName eq "%s"' % name)), 200

    def create(self, dice, number):
        """Somebody new."""
        person = self.draw.person(next(self.known.person_numbers))
        answer = self.wire.send("POST", "/Users", body=self.draw.body(person))
        if answer.status == 201:
            person.id = answer.json().get("id")
            with self.lock:
                self.known.people.append(person)
                self.untouched.append(person)
        return answer, 201

    def join(self, dice, number):
        """A member more."""
        group, person = dice.choice(self.known.groups), dice.choice(self.known.people)
        flag = self.draw.flag(dice)
        answer = self.wire.send("PATCH", "/Groups/" + group.id, flag=flag,
                                body=patch_body(shapes.adding([person.id], flag, dice), dice))
        if answer.status == 204:
            group.members.add(person.id)
        return answer, 204

    def read(self, dice, number):
        """Somebody by id."""
        return self.wire.send("GET", "/Users/" + dice.choice(self.known.people).id), 200

    def update(self, dice, number):
        """Another e-mail and title for one whom nobody else updates at the moment."""
        with self.lock:
            person = self.untouched.popleft()
        changes = {"title": self.draw.value(dice, "title"), WORK_MAIL: self.draw.value(dice, WORK_MAIL)}
        flag = self.draw.flag(dice)
        operations = (self.draw.dialect_b if flag else self.draw.dialect_a)(person.tree, changes, dice)
        for path, value in changes.items():
            put(person.tree, path, value)
        answer = self.wire.send("PATCH", "/Users/" + person.id, flag=flag, body=patch_body(operations, dice))
        with self.lock:
            self.untouched.append(person)
        return answer, 200
