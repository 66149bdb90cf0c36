# SPDX-License-Identifier: MIT
"""What the replay must show. Each claim is judged by what was counted in the runs; none by how long anything took."""

import os

from deployment import NEW, OLD, RESTARTED, WORKERS
from replay import AMINA, COMPUTERS, HAUWA, SEATS, TABS


class Judge(list):
    """(ok, claim, detail) for each."""

    def equal(self, claim, got, want):
        self.append((got == want, claim, f"got {got!r}, want {want!r}"))

    def more(self, claim, got, than=0):
        self.append((got > than, claim, f"got {got!r}, want more than {than}"))


def judge(runs, files, checker, pictures, people):
    judged = Judge()
    bare, sid, own, observe = runs["bare"], runs["sid"], runs["self"], runs["observe"]
    users = [name for name, _ in people]

    # The bare directory: the incident.
    judged.more("bare: uploads of one user are overwritten by another's", bare.result["overwritten"])
    judged.more("bare: tables are computed from another user's file", bare.result["others_tables"])
    judged.more("bare: in the browser too, a user is shown another's data", len(strangers(bare)))
    judged.equal("bare: nothing was refused", bare.result["refused"], 0)
    judged.more("bare: of two who upload the same name in the browser, at least one does not get their own table",
                sum(seen[2] != 200 or seen[3] != seen[0] for seen in bare.computer.seen), TABS - 1)

    # As <sid>: whoever set a computer up has the id that it remembers; the others are refused.
    owners = {users[at] for at in range(0, COMPUTERS * SEATS, SEATS)} | {AMINA}
    kept_apart(judged, "as <sid>", sid)
    judged.equal("as <sid>: who has the remembered id is served, and nobody else", set(sid.count.right), owners)
    judged.equal("as <sid>: those who have not are refused, each time", set(sid.count.refused), set(users) - owners)
    judged.equal("as <sid>: every upload and table was refused, or right",
                 sid.result["refused"] + sid.result["right_tables"] + sid.count.accepted, asked(sid))
    audited = sid.result["audit"]["refused"]
    judged.equal("as <sid>: the audit has each refusal, under the name of whom it was refused, and of nobody else",
                 {name: (one["times"], sid.count.refused[name], sid.count.refused_uploads[name])
                  for name, one in audited.items() if not as_often(sid.count, name, one["times"])}
                 or set(audited), set(sid.count.refused))
    judged.equal("as <sid>: and with the id that the browser remembered",
                 {name: one["targets"] for name, one in audited.items()},
                 {name: [sid.remembered[name]] for name in sid.count.refused})
    judged.equal("as <sid>: in the browser the other user is shown an error",
                 sorted(status for user, _, status, _ in sid.computer.seen if user == HAUWA), [403] * TABS)

    # Through self: everything works.
    for title, one in (("through self", own), ("with releases observed", observe)):
        kept_apart(judged, title, one)
        judged.equal(f"{title}: every upload is accepted, and every table right",
                     one.result["right_tables"] + one.count.accepted, asked(one))
        judged.equal(f"{title}: nothing is refused, by the application or in the audit",
                     (one.result["refused"], dict(one.result["audit"]["refused"])), (0, {}))
        judged.equal(f"{title}: in the browser everybody is shown their own data",
                     [(status, user == owner) for user, _, status, owner in one.computer.seen], [(200, True)] * 2 * TABS)
    judged.equal("what was deployed is the same application, byte for byte",
                 len({frozenset(one.site.application()) for one in runs.values()}), 1)

    # The cookies, and what is remembered.
    for key, one in runs.items():
        judged.equal(f"{key}: page scripts can read the remembered id, in zustand's form, and no cookie",
                     (one.computer.storage, one.computer.readable),
                     ('{"state":{"session_id":"%s"},"version":0}' % one.remembered[AMINA], ""))

    # The audit, which says what happened.
    for key in ("sid", "self", "observe"):
        judged.equal(f"{key}: the audit has lost nothing", runs[key].result["audit"]["lost"], 0)

    # What it costs, exactly.
    for key in ("sid", "self", "observe"):
        cost = runs[key].result["bind_requests"]
        sent = dict(cost["sent"])
        # When anything was mounted anywhere on the machine, each worker looks once whether it was here.
        if sent.get("getattr", 0) <= cost["requests"]:
            sent.pop("getattr", None)
        judged.equal(f"{key}: bind and unbind are two requests to the filesystem", sent, {"write": 2 * cost["requests"]})

    # Two releases.
    for key, one in runs.items():
        judged.equal(f"{key}: both releases answered, each with what it computes",
                     (set(one.result["releases"]), one.result["false_tables"]), (set(checker.releases), 0))
    judged.equal("the two releases give different answers to the same file",
                 {checker.differs(digest) for digest, data in files.bytes.items() if data.count(b"\n") > 2}, {True})
    told = {(user, name): requests for name, by in observe.result["audit"]["bound"].items()
            for user, requests in by.items() if user in users[:-2]}
    judged.equal("the mount was told which release served whom, as the answers say",
                 told, {pair: requests for pair, requests in observe.count.bound.items() if requests})

    guard = observe.result["guard"]
    judged.equal("the release guard counts the workers of each release, as they were deployed",
                 {name: one["workers"] for name, one in guard["releases"].items()},
                 {checker.name(OLD): WORKERS - RESTARTED, checker.name(NEW): WORKERS + RESTARTED})
    judged.equal("and the binds of each, as the audit has them",
                 {name: one["binds"] for name, one in guard["releases"].items()},
                 {name: sum(by.values()) for name, by in observe.result["audit"]["bound"].items()})
    judged.append((0 < guard["mixed"] <= observe.result["mixed"],
                   "and sees that sessions were served by both, of those that it still holds",
                   f"got {guard['mixed']} of {observe.result['mixed']}"))

    judged.equal("screenshots of before and after were taken",
                 [os.path.basename(path) for path in pictures.taken if os.path.getsize(path) > 10000],
                 ["before.png", "after.png", "before-and-after.png"])
    return judged


def kept_apart(judged, title, one):
    judged.equal(f"{title}: nothing is overwritten, no table is of another's data, no request fails",
                 [one.result[key] for key in ("overwritten", "others_tables", "mixed_tables", "failed")]
                 + one.count.failures, [0, 0, 0, 0])


def as_often(count, name, times):
    """One for each table. For each upload one or two: mkdir, and then a look at what was in its way."""
    return 0 <= times - count.refused[name] <= count.refused_uploads[name]


def strangers(one):
    """What was shown in the browser, in the last round, and was not the user's own."""
    return [seen for seen in one.computer.seen if seen[2] == 200 and seen[3] not in (None, seen[0])]


def asked(one):
    return one.count.uploads + one.count.tables
