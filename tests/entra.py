#!/usr/bin/env python3
"""Plays Microsoft Entra ID's provisioning service against a SCIM server, over TLS, and checks every answer.

The player keeps its own model of what each user must be. At the end it pages out the whole directory and compares
it with the model, attribute by attribute. Any difference makes the exit status 1.

    tests/entra.py --start target/ci/rollcall              starts and stops `rollcall try` in a temporary directory
    tests/entra.py --url URL --token TOKEN --ca ca.pem     plays against a server that runs already

URL, token and CA may also come from ROLLCALL_TENANT_URL, ROLLCALL_TOKEN and ROLLCALL_CA. Users that were in the
directory before are left alone. The users it makes carry the seed in their names: a second run against the same
directory needs another seed (the default is a new one each time).

What it copies of the real client: no User-Agent; an ADSCIMVersion header; no Content-Type on GET and DELETE;
`application/scim+json; charset=utf-8` on POST and PATCH; space as `+` and quotes as %22 in filters; `Operations`
before `schemas` in half of the PATCHes; both PATCH dialects; several keep-alive connections at once, every second
one limited to TLS 1.2; never a conditional header. It needs Python 3.9 or later and nothing else.
"""
import argparse
import os
import random
import signal
import sys
import time

from tenant.comparison import Comparison
from tenant.connection import Connection
from tenant.player import Player
from tenant.server import Server
from tenant.user_plays import UserPlays
from tenant.users import Users
from tenant.wire import Wire


def restart(player, how):
    """E28, only with a server of our own: nothing may be lost."""
    if player.server is None:
        return "skipped: not our server"
    player.wire.generation += 1  # every thread opens a new connection
    player.server.restart(how, player.report)
    return "by " + how.name


def play(player, other):
    """The whole conversation."""
    player.users = Users(player)
    connection, users, comparison = Connection(player), UserPlays(player), Comparison(player)
    player.known.before = {r.get("id") for r in comparison.walk(500, "page out before")}
    for name, step in [
        ("connection", connection.connection_test), ("credentials", lambda: connection.credentials(other)),
        ("discovery", connection.discovery), ("creates", users.creates), ("matches", users.matches),
        ("managers", users.managers), ("updates", users.updates), ("booleans", users.booleans), ("clears", users.clears),
        ("restart", lambda: restart(player, signal.SIGTERM)), ("disable", users.disabling),
        ("soft delete", users.soft_delete), ("renames", users.renames), ("deletes", users.deletes),
        ("paging", comparison.paging), ("malformed", users.malformed), ("restart", lambda: restart(player, signal.SIGKILL)),
        ("comparison", comparison.comparison),
    ]:
        player.play(name, step)
    player.pool.shutdown()



def main():
    """Reads the arguments, plays, tells the sum."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], epilog="Exit status: 0 all held, 1 something did not, 2 usage.")
    parser.add_argument("--start", metavar="BINARY", help="start `BINARY try` in a temporary directory and stop it at the end")
    parser.add_argument("--url", default=os.environ.get("ROLLCALL_TENANT_URL"), help="Tenant URL (ROLLCALL_TENANT_URL)")
    parser.add_argument("--token", default=os.environ.get("ROLLCALL_TOKEN"), help="Secret Token (ROLLCALL_TOKEN)")
    parser.add_argument("--ca", default=os.environ.get("ROLLCALL_CA"), help="PEM file of the CA; without it the system's (ROLLCALL_CA)")
    parser.add_argument("--other-token", help="a token of another directory, which must be refused")
    parser.add_argument("--users", type=int, default=1000, help="how many users to create (default 1000, at least 10)")
    parser.add_argument("--workers", type=int, default=4, help="connections at once (default 4)")
    parser.add_argument("--seed", type=int, help="for the same run again")
    arguments = parser.parse_args()
    if bool(arguments.start) == bool(arguments.url and arguments.token):
        parser.error("give either --start BINARY, or --url and --token")
    if arguments.users < 10 or arguments.workers < 1:
        parser.error("--users is at least 10, --workers at least 1")
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(2 ** 31)

    server = Server(arguments.start) if arguments.start else None
    player = None
    began = time.monotonic()
    try:
        url, token, ca = server.start() if server else (arguments.url, arguments.token, arguments.ca)
        print("seed %d, %d users, %d connections, %s" % (seed, arguments.users, arguments.workers, url), flush=True)
        player = Player(Wire(url, token, ca), seed, arguments)
        player.server = server
        play(player, arguments.other_token)
    finally:
        if server:
            server.stop()
            if player is not None and player.report.failed:
                print("the server said:\n" + server.output())
            server.remove()
    print("seed %d: %d passed, %d failed in %.1f s" % (seed, player.report.passed, player.report.failed, time.monotonic() - began))
    return 1 if player.report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
