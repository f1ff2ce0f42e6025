"""The conversation: connections, chance, what is known, and the checks that hold for every request."""

import concurrent.futures
import threading
import time
import urllib.parse

from tenant.draw import Draw
from tenant.model import Known
from tenant.urns import ERROR, LIST, MEDIA, PATCH_OP

# So many failures are told in full.
SHOWN = 40


class Report:
    """Counts what held and what did not."""

    def __init__(self):
        self.lock = threading.Lock()
        self.passed = 0
        self.failed = 0

    def check(self, holds, what, saw=""):
        """Notes one expectation; tells the first failures in full. Returns whether it held."""
        with self.lock:
            if holds:
                self.passed += 1
                return True
            self.failed += 1
            if self.failed <= SHOWN:
                print("FAILED  %s%s" % (what, ("\n        " + str(saw)[:1500]) if saw != "" else ""), flush=True)
            return False


class Player:
    """What all parts of the play share."""

    def __init__(self, wire, seed, options):
        self.wire = wire
        self.options = options
        self.draw = Draw(seed, options.matching, options.group_matching, options.dialect)
        self.dice = self.draw.dice
        self.report = Report()
        self.pool = concurrent.futures.ThreadPoolExecutor(max_workers=options.workers)
        self.known = Known()
        self.server = None
        self.users = None
        self.groups = None

    def each(self, items, step):
        """Runs `step` for every item, several at once; a step that breaks is a failure, not the end."""
        def guarded(item):
            try:
                step(item)
            except Exception as error:  # a failure to tell, whatever it is
                self.wire.hang_up()
                self.report.check(False, "%s: %s" % (getattr(step, "__name__", "step"), item), repr(error))
        list(self.pool.map(guarded, items))

    def pick(self, name, count, among=None):
        """`count` people chosen by chance."""
        among = self.known.people if among is None else among
        return self.dice("pick", name).sample(among, min(count, len(among)))

    # -- requests with the checks that hold for all of them

    def ask(self, method, path, status, what, **more):
        """Sends a request; checks status, media type and request id."""
        answer = self.wire.send(method, path, **more)
        self.report.check(answer.status == status, "%s: status %d" % (what, status), answer)
        self.report.check(bool(answer.header("x-request-id")), "%s: X-Request-Id" % what, answer.headers)
        if answer.status == 204:
            self.report.check(answer.body == b"", "%s: no body with 204" % what, answer)
        else:
            media = (answer.header("content-type") or "").split(";")[0].strip()
            self.report.check(media == MEDIA, "%s: Content-Type %s" % (what, MEDIA), media)
        return answer

    def refused(self, method, path, status, what, scim_type=None, **more):
        """Sends a request that must be refused with a SCIM error."""
        answer = self.ask(method, path, status, what, **more)
        body = answer.json()
        well_formed = (body.get("schemas") == [ERROR] and body.get("status") == str(status)
                       and isinstance(body.get("detail"), str) and body.get("detail") != "")
        self.report.check(well_formed, "%s: SCIM error with string status and detail" % what, answer)
        self.report.check(body.get("scimType") == scim_type, "%s: scimType %s" % (what, scim_type), answer)
        return answer

    def find(self, path, condition, what, flag=False, before="", more=""):
        """A filtered GET as Entra writes it, with other parameters before or behind; returns the resources."""
        query = before + "filter=" + urllib.parse.quote_plus(condition) + more
        answer = self.ask("GET", path, 200, what, query=query, flag=flag)
        body = answer.json()
        found = body.get("Resources")
        good = (body.get("schemas") == [LIST] and isinstance(found, list) and body.get("totalResults") == len(found)
                and body.get("itemsPerPage") == len(found) and body.get("startIndex") == 1)
        self.report.check(good, "%s: a ListResponse that counts right" % what, answer)
        return found if isinstance(found, list) else []

    def play(self, name, step):
        """Runs one play and tells how it went."""
        began, passed, failed = time.monotonic(), self.report.passed, self.report.failed
        try:
            said = step()
        except Exception as error:  # the play ends, the run goes on to the comparison
            self.wire.hang_up()
            said = None
            self.report.check(False, name, repr(error))
        print("%-12s %6d passed %4d failed %7.1f s  %s" % (
            name, self.report.passed - passed, self.report.failed - failed, time.monotonic() - began, said or ""), flush=True)


def patch_body(operations, dice=None):
    """The body of a PATCH; in half of them `Operations` comes first."""
    if dice is not None and dice.random() < 0.5:
        return {"Operations": operations, "schemas": [PATCH_OP]}
    return {"schemas": [PATCH_OP], "Operations": operations}


class Part:
    """A part of the play: it speaks and checks through the player."""

    def __init__(self, player):
        self.player = player
        self.wire, self.options, self.known = player.wire, player.options, player.known
        self.users, self.groups = player.users, player.groups
        self.draw, self.dice = player.draw, player.dice
        self.check = player.report.check
        self.each, self.pick = player.each, player.pick
        self.ask, self.refused, self.find = player.ask, player.refused, player.find
