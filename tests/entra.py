#!/usr/bin/env python3
"""Plays Microsoft Entra ID's provisioning service, a whole tenant, against a SCIM server over TLS, and checks every answer.

The player keeps its own model of what each user and group must be. First it plays the initial cycle: users, groups,
memberships (one PATCH a member, several at once on one group), managers; and each feature once. Then come incremental
cycles, in which people and groups change, come, go and return at random, over all connections at once, in both PATCH
dialects, with answers that get lost on the way. After each cycle everything is paged out and compared with the model,
attribute by attribute, users with their groups, groups with their members. At last members of one group come and go in
parallel. Any difference makes the exit status 1.

    tests/entra.py --start target/ci/rollcall              starts and stops `rollcall try` in a temporary directory
    tests/entra.py --url URL --token TOKEN --ca ca.pem     plays against a server that runs already

    … --users 2000 --groups 200 --cycles 10                a larger tenant, and a longer time
    … --no-plays --cycles 0 --parallel-members 20          one group under parallel changes of members
    … --no-plays --cycles 0 --rate 25 --seconds 600        mixed load, with p99 and statuses; 429 and 5xx are failures

URL, token and CA may also come from ROLLCALL_TENANT_URL, ROLLCALL_TOKEN and ROLLCALL_CA. What was in the directory
before is left alone. The users and groups it makes carry the seed in their names: a second run against the same
directory needs another seed (the default is a new one each time). A server that writes no groups (501) is played with
users only.

What it copies of the real client: no User-Agent; an ADSCIMVersion header; no Content-Type on GET and DELETE;
`application/scim+json; charset=utf-8` on POST and PATCH; space as `+` and quotes as %22 in filters; `Operations`
before `schemas` in half of the PATCHes; both PATCH dialects; several keep-alive connections at once, every second
one limited to TLS 1.2; never a conditional header; groups are read without members, and one that shows them all the same
has its members replaced from then on instead of added. It needs Python 3.9 or later and nothing else.
"""

import argparse
import os
import random
import signal
import sys
import time

from tenant.comparison import Comparison
from tenant.connection import Connection
from tenant.cycles import Cycles
from tenant.group_plays import GroupPlays
from tenant.groups import Groups
from tenant.load import Load
from tenant.parallel import ParallelMembers
from tenant.player import SHOWN, Player
from tenant.server import Server
from tenant.user_plays import UserPlays
from tenant.users import Users
from tenant.wire import Wire

SIGNALS = (signal.SIGTERM, signal.SIGKILL)


def restart(player, how):
    """E28, only with a server of our own: nothing may be lost."""
    if player.server is None:
        return "skipped: not our server"
    player.wire.generation += 1  # every thread opens a new connection
    player.server.restart(how, player.report)
    return "by " + how.name


def groups(player):
    """The requests on groups, or None where there are none."""
    if not player.options.groups:
        print("groups: switched off; only users are played")
        return None
    found = Groups(player)
    why = found.probe()
    if why is None:
        return found
    print("groups: the server writes none (501: %s); only users are played" % why)
    return None


def initial(player):
    """The initial cycle, in Entra's order."""
    users = UserPlays(player)
    player.play("creates", users.creates)
    if player.groups:
        plays = GroupPlays(player)
        player.play("groups", plays.creates)
        player.play("members", plays.memberships)
    player.play("managers", users.managers)


def features(player, comparison):
    """Each feature once."""
    users, plays = UserPlays(player), GroupPlays(player)
    steps = [("matches", users.matches), ("updates", users.updates), ("booleans", users.booleans), ("clears", users.clears)]
    if player.groups:
        steps += [("group match", plays.matching), ("checks", plays.checks), ("exclusions", plays.exclusions)]
    steps += [("restart", lambda: restart(player, signal.SIGTERM)), ("disable", users.disabling),
              ("soft delete", users.soft_delete), ("renames", users.renames), ("deletes", users.deletes)]
    if player.groups:
        steps += [("removals", plays.removals), ("additions", plays.additions), ("group names", plays.renames),
                  ("unknown", plays.unknown), ("leavers", plays.leavers), ("nesting", plays.nesting),
                  ("group ends", plays.deletes), ("bad groups", plays.malformed)]
    steps += [("paging", comparison.paging), ("malformed", users.malformed), ("restart", lambda: restart(player, signal.SIGKILL)),
              ("comparison", lambda: comparison.whole("after the plays"))]
    for name, step in steps:
        player.play(name, step)


def play(player):
    """The whole conversation."""
    options = player.options
    player.groups = groups(player)
    player.users = Users(player)
    connection, comparison = Connection(player), Comparison(player)
    player.known.before = comparison.before()
    player.play("connection", connection.connection_test)
    if options.plays:
        player.play("credentials", lambda: connection.credentials(options.other_token))
        player.play("discovery", connection.discovery)
    initial(player)
    if options.plays:
        features(player, comparison)
    cycles = Cycles(player)
    for number in range(1, options.cycles + 1):
        player.play("cycle %d" % number, cycles.run)
        if number % 3 == 0:
            player.play("restart", lambda: restart(player, SIGNALS[number % 2]))
        # Now and then in small pages: they must hold the same.
        count = 5 if number % 4 == 2 else 100
        player.play("comparison", lambda: comparison.whole("after cycle %d" % number, count))
    if options.parallel_members and player.groups:
        player.play("parallel", lambda: ParallelMembers(player).rounds(options.parallel_members))
        player.play("comparison", lambda: comparison.whole("after parallel members"))
    if options.rate:
        player.play("load", lambda: Load(player).drive(options.rate, options.seconds))
        player.play("comparison", lambda: comparison.whole("after the load"))
    player.pool.shutdown()


def parse():
    """The arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], epilog="Exit status: 0 all held, 1 something did not, 2 usage.")
    parser.add_argument("--start", metavar="BINARY", help="start `BINARY try` in a temporary directory and stop it at the end")
    parser.add_argument("--url", default=os.environ.get("ROLLCALL_TENANT_URL"), help="Tenant URL (ROLLCALL_TENANT_URL)")
    parser.add_argument("--token", default=os.environ.get("ROLLCALL_TOKEN"), help="Secret Token (ROLLCALL_TOKEN)")
    parser.add_argument("--ca", default=os.environ.get("ROLLCALL_CA"), help="PEM file of the CA; without it the system's (ROLLCALL_CA)")
    parser.add_argument("--other-token", help="a token of another directory, which must be refused")
    parser.add_argument("--users", type=int, default=1000, help="how many users to create (default 1000, at least 20)")
    parser.add_argument("--groups", type=int, help="how many groups to create (default a tenth of the users; 0 switches them off)")
    parser.add_argument("--cycles", type=int, default=2, help="how many incremental cycles (default 2)")
    parser.add_argument("--parallel-members", type=int, default=3, metavar="ROUNDS",
                        help="how many rounds of parallel changes of one group's members (default 3)")
    parser.add_argument("--no-plays", dest="plays", action="store_false", help="leave out what tries each feature once")
    parser.add_argument("--rate", type=float, default=0, help="at the end, a mixed load of so many requests a second")
    parser.add_argument("--seconds", type=float, default=600, help="how long the load lasts (default 600)")
    parser.add_argument("--workers", type=int, default=5, help="connections at once (default 5)")
    parser.add_argument("--dialect", choices=["a", "b", "both"], default="both",
                        help="of updates: a without the flag, b with it, or now this, now that (default)")
    parser.add_argument("--matching", choices=["userName", "externalId", "mail"], default="userName",
                        help="attribute by which users are matched (default userName)")
    parser.add_argument("--group-matching", choices=["displayName", "externalId"], default="displayName",
                        help="attribute by which groups are matched (default displayName)")
    parser.add_argument("--flag", choices=["any", "none", "query", "slash"], default="any",
                        help="how aadOptscim062020 stands in the Tenant URL: in some requests (default), not at all, at its "
                        "end, or behind a slash; a --url that has it decides itself")
    parser.add_argument("--tls12", action="store_true", help="TLS 1.2 on all connections, not only every second one")
    parser.add_argument("--seed", type=int, help="for the same run again")
    arguments = parser.parse_args()
    if bool(arguments.start) == bool(arguments.url and arguments.token):
        parser.error("give either --start BINARY, or --url and --token")
    if arguments.users < 20 or arguments.workers < 1:
        parser.error("--users is at least 20, --workers at least 1")
    if arguments.groups is None:
        arguments.groups = arguments.users // 10
    if arguments.seed is None:
        arguments.seed = random.SystemRandom().randrange(2 ** 31)
    return arguments


def main():
    """Reads the arguments, plays, tells the sum."""
    arguments = parse()
    seed = arguments.seed
    server = Server(arguments.start) if arguments.start else None
    player = None
    began = time.monotonic()
    try:
        url, token, ca = server.start() if server else (arguments.url, arguments.token, arguments.ca)
        print("seed %d, %d users, %d groups, %d connections, %s" % (seed, arguments.users, arguments.groups, arguments.workers, url),
              flush=True)
        player = Player(Wire(url, token, ca, arguments.flag, arguments.tls12), seed, arguments)
        player.server = server
        play(player)
    finally:
        if server:
            server.stop()
            if player is not None and player.report.failed:
                print("the server said at last:\n" + server.output())
            server.remove()
    if player.report.failed > SHOWN:
        print("only the first %d failures were shown" % SHOWN)
    print("seed %d: %d passed, %d failed in %.1f s" % (seed, player.report.passed, player.report.failed, time.monotonic() - began))
    return 1 if player.report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
