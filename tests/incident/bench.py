# SPDX-License-Identifier: MIT
"""What the mount costs the application: each route on the bare directory and through the mount, in turns.

Both are deployed in full and run at the same time, so that whatever else the machine does hits both. One user asks one
thing at a time: what is measured is how long a request takes, not how many fit.
"""

import statistics

from deployment import USUAL, Site
from reports import COLUMNS, quarter
from users import TABLE, UPLOADS, User

MEGABYTE = 1_000_000
TARGET = 1.10  # at p50


def report():
    """A file of 1 MB, by its last row."""
    name, data = quarter("bench", "Benue", 1, facilities=40)
    cut = data.rindex(b"\n", 0, MEGABYTE) + 1
    assert data.startswith(",".join(COLUMNS).encode()) and MEGABYTE - 100 < cut <= MEGABYTE
    return name, data[:cut]


def steps(user, name, data):
    """(route, what to do), in an order in which each has what it needs."""
    yield "POST /login", user.login
    yield "GET /", lambda: user.request("GET", "/")
    yield "GET /account", lambda: user.request("GET", "/account")
    for path in UPLOADS:
        yield f"POST {path}", lambda path=path: user.upload(path, name, data)
    yield f"POST {TABLE}", lambda: user.table(name)
    yield "POST /logout", user.logout


def measure(rounds, progress):
    """Rows of {route, bare, mount (p50, milliseconds), ratio}."""
    name, data = report()
    people = [("Bench", "Benue")]
    sites = [Site(people, paths, hashing=USUAL) for paths in (None, "self")]
    users = [User(site.port, *people[0]) for site in sites]
    times = {}
    for number in range(-rounds // 10, rounds):  # the first ones warm up
        progress(f"bench: round {max(0, number)} of {rounds}")
        pairs = zip(*(steps(user, name, data) for user in users))
        for turn, ((route, bare), (_, mount)) in enumerate(pairs):
            answers = [None, None]
            # Who is first alternates: the second finds the processor's caches warm.
            for which in ((0, 1), (1, 0))[(number + turn) % 2]:
                answers[which] = (bare, mount)[which]()
            assert [answer.status for answer in answers] == [200, 200], (route, [a.fields for a in answers])
            if number >= 0:
                times.setdefault(route, []).append([answer.seconds for answer in answers])
    for user, site in zip(users, sites):
        user.close()
        site.stop()
    rows = []
    for route, pairs in times.items():
        bare, mount = (statistics.median(times) for times in zip(*pairs))
        rows.append({"route": route, "bare_ms": 1000 * bare, "mount_ms": 1000 * mount, "ratio": mount / bare})
    return rows


def show(rows, rounds):
    print(f"\nA request at p50, uploads of 1 MB, {rounds} rounds in turns (at most {TARGET:.2f} is wanted)\n")
    print(f"  {'route':<32}{'bare':>11}{'the mount':>12}{'ratio':>8}")
    for row in rows:
        print(f"  {row['route']:<32}{row['bare_ms']:>8.2f} ms{row['mount_ms']:>9.2f} ms{row['ratio']:>8.3f}")
