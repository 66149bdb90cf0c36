# SPDX-License-Identifier: MIT
"""The incident, replayed: the same users, with the same files, in four deployments of the same application.

Twelve computers were set up for a training, each by one of those who use it: its browser got a session id then. Four
people use each computer's copies at once, each with an account of their own, from four states. A thirteenth computer is a
real browser: its profile is copied, and two people use the two at once, in several tabs.

Who read whose data is told by the hash of what the application computed from; what was overwritten, by what is still there
when all have had their answers.
"""

import collections
import csv
import functools
import hashlib
import importlib.util
import io
import json
import os
import re
import statistics
import subprocess
import threading
import time

import browser
import deployment
import world
from deployment import Site
from reports import STATES, quarter
from users import TABLE, UPLOADS, User

COMPUTERS, SEATS = 12, 4
QUARTERS = 4
TABS = 3
TRAINING = "training.csv"
AMINA, HAUWA = "Amina", "Hauwa"  # the browser's

RUNS = [
    ("bare", "a bare directory", None, ()),
    ("sid", "the mount, as <sid>", "sid", ()),
    ("self", "the mount, through self", "self", ()),
    ("observe", "the same, and releases", "self", ("release.policy=observe",)),
]


def people():
    """(name, state), four for each computer, and last those of the browser."""
    names = list(STATES)
    seats = [(f"{state.lower().replace(' ', '-')}-{seat + 1}", state)
             for seat in range(COMPUTERS * SEATS // len(names)) for state in names]
    return [*seats, (AMINA, "Benue"), (HAUWA, "Kebbi")]


def release(which):
    """The module of a release, as the workers have it."""
    spec = importlib.util.spec_from_file_location(which, f"{deployment.HERE}/releases/{which}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Files:
    """What each person uploads: in each round another state of each quarter, so that no two uploads are the same.

    The names are the same for all. `whose` tells by its hash to whom what was read belongs.
    """

    def __init__(self, people, facilities):
        self.whose = {}
        self.bytes = {}  # by hash, of the first round and the training
        self._base = {}
        self._lock = threading.Lock()
        for name, state in people:
            for number in range(1, QUARTERS + 1):
                self._base[name, number] = (state, *quarter(name, state, number, facilities))

    def get(self, name, number, turn):
        """(file name, content, hash). A late report comes with each round. Number 0 is the training's."""
        state, file, content = self._base[name, number or 1]
        late = f"{state},Late reports,Ward 1,PHC {turn + 1},2025-{3 * (number or 1):02},{100 + turn},{10 + number}\n"
        if not number:
            file, content = TRAINING, content[: content.index(b"\n") + 1]
        content += late.encode()
        digest = hashlib.sha256(content).hexdigest()
        with self._lock:
            self.whose[digest] = name
            if turn == 0:
                self.bytes[digest] = content
        return file, content, digest


class Checker:
    """Whether a table is what a release computes from a content."""

    def __init__(self, files):
        self.files = files
        self._modules = {which: release(which) for which in (deployment.OLD, deployment.NEW)}
        self.releases = {module.RELEASE: module for module in self._modules.values()}

    def name(self, which):
        """What a release calls itself."""
        return self._modules[which].RELEASE

    @functools.lru_cache(maxsize=None)
    def table(self, digest, name):
        return self.releases[name].table(csv.DictReader(io.StringIO(self.files.bytes[digest].decode())))

    def holds(self, fields):
        """True too for later rounds' contents, which are too many to compute all again."""
        if fields["sha256"] not in self.files.bytes:
            return True
        rows, overall = self.table(fields["sha256"], fields["release"])
        return fields["rows"] == rows and fields["overall"] == overall

    def differs(self, digest):
        """Whether the releases answer differently."""
        one, other = (self.table(digest, name) for name in self.releases)
        return one != other


class Count:
    """What happened in a run. Threads add to it."""

    def __init__(self, files, checker):
        self.files = files
        self.checker = checker
        self.lock = threading.Lock()
        self.uploads = self.tables = 0  # asked for
        self.accepted = self.others = self.mixed = self.false = self.failed = self.overwritten = 0
        self.right = collections.Counter()  # tables, by user
        self.refused = collections.Counter()  # by user
        self.refused_uploads = collections.Counter()  # of them
        self.answers = collections.Counter()  # by (user, release), of the users by HTTP
        self.bound = collections.Counter()  # the same, of requests that were bound
        self.seconds = collections.defaultdict(list)  # by route
        self.failures = []
        self._there = set()  # hashes that were accepted in this round

    def answer(self, user, answer, digest=None):
        """Of a user by HTTP; the hash of what was uploaded or should be seen."""
        with self.lock:
            self.seconds[answer.path].append(answer.seconds)
            self.answers[user, answer.release] += 1
            self.bound[user, answer.release] += answer.bound
        if answer.path in UPLOADS:
            self.upload(user, answer.status, digest)
        elif answer.path == TABLE:
            holds = answer.status != 200 or self.checker.holds(answer.fields)
            self.table(user, answer.status, digest, answer.fields.get("sha256"), holds)
        elif answer.status != 200:
            self.other(user, answer.path, answer.status)

    def upload(self, user, status, digest):
        with self.lock:
            self.uploads += 1
            if status == 200:
                self.accepted += 1
                self._there.add(digest)
        if status != 200:
            self.other(user, "upload", status)

    def table(self, user, status, digest, seen, holds=True):
        """`holds`: the table is what its release computes from what it says that it was computed from."""
        with self.lock:
            self.tables += 1
        if status != 200:
            self.other(user, "table", status)
            return
        with self.lock:
            self.false += not holds
            if seen == digest:
                self.right[user] += 1
            elif self.files.whose.get(seen, user) != user:
                self.others += 1
            else:
                self.mixed += 1  # of an upload that another one was written into

    def other(self, user, what, status):
        with self.lock:
            if status == 403:
                self.refused[user] += 1
                self.refused_uploads[user] += what == "upload"
            else:
                self.failed += 1
                self.failures.append((user, what, status))

    def look(self, site):
        """At the end of a round: what was accepted and is not there."""
        self.overwritten += len(self._there - site.hashes())
        self._there.clear()


# --- the users by HTTP ----------------------------------------------------------------------------------------------


class Crowd:
    """Those of the twelve computers."""

    def __init__(self, site, count, people):
        self.count = count
        self.users = [User(site.port, *person) for person in people]
        for at in range(0, len(self.users), SEATS):
            self._set_up(self.users[at : at + SEATS])

    def _set_up(self, users):
        """A computer is set up by the first who uses it, who logs out properly; its browser is copied as it is."""
        first = users[0]
        file, content, digest = self.count.files.get(first.name, 0, 0)
        self.count.answer(first.name, first.login())
        self.count.answer(first.name, first.upload(UPLOADS[0], file, content), digest)
        self.count.answer(first.name, first.logout())
        for user in users[1:]:
            user.remembered = first.remembered
        for user in users:
            self.count.answer(user.name, user.login())

    def round(self, turn, beside):
        """All at once, each in order; the seconds that it took. `beside` is done meanwhile."""
        ready = threading.Barrier(len(self.users) + 1)
        broken = []

        def one(user):
            files = [self.count.files.get(user.name, number, turn) for number in range(1, QUARTERS + 1)]
            ready.wait(world.PATIENCE)
            try:
                for number, (file, content, digest) in enumerate(files):
                    answer = user.upload(UPLOADS[number % 2], file, content)
                    self.count.answer(user.name, answer, digest)
                    self.count.answer(user.name, user.table(file), digest)
            except Exception as error:
                broken.append(error)

        threads = [threading.Thread(target=one, args=(user,), daemon=True) for user in self.users]
        for thread in threads:
            thread.start()
        ready.wait(world.PATIENCE)
        begun = time.perf_counter()
        beside()
        for thread in threads:
            thread.join()
        if broken:
            raise broken[0]
        return time.perf_counter() - begun

    def close(self):
        for user in self.users:
            user.close()


# --- the browser ----------------------------------------------------------------------------------------------------


class Computer:
    """The thirteenth: two copies of a browser's profile, with several tabs each."""

    def __init__(self, driver, site, count):
        self.count = count
        self.dir = f"{driver.home}/{os.path.basename(site.dir)}"
        self.files = f"{self.dir}/files"
        os.makedirs(self.files)
        for path in (self.dir, self.files):
            os.chown(path, world.NOBODY, world.NOBODY)

        first = browser.Profile(driver, f"{self.dir}/one")
        tab = first.tabs(site.url, 1)[0]
        tab.login(AMINA)
        digest = self._choose(tab, AMINA, 0, 0)
        tab.begin_upload()
        count.upload(AMINA, int(tab.wait()["status"]), digest)
        tab.logout()
        self.storage = tab.remembered()
        first.close()

        second = first.copied(f"{self.dir}/two")
        self.profiles = [browser.Profile(driver, first.directory), second]
        self.tabs = []  # (user, quarter, tab)
        for user, profile in zip((AMINA, HAUWA), self.profiles):
            tabs = profile.tabs(site.url, TABS)
            assert tabs[0].remembered() == self.storage, "the profile's copy remembers the same"
            tabs[0].login(user)
            self.readable = tabs[0].readable()
            for tab in tabs[1:]:
                tab.go(site.url)  # logged in as the first tab is
            self.tabs += [(user, number, tab) for number, tab in enumerate(tabs, 1)]
        self.seen = []  # (user, quarter, status, whose data)

    def _choose(self, tab, user, number, turn):
        file, content, digest = self.count.files.get(user, number, turn)
        directory = f"{self.files}/{user}-{turn}"
        os.makedirs(directory, exist_ok=True)
        with open(f"{directory}/{file}", "wb") as out:
            out.write(content)
        tab.choose(f"{directory}/{file}", analysis=number % 2 == 0)
        return digest

    def round(self, turn):
        """All tabs upload, then all show their tables."""
        digests = [self._choose(tab, user, number, turn) for user, number, tab in self.tabs]
        for _, _, tab in self.tabs:
            tab.begin_upload()
        for (user, _, tab), digest in zip(self.tabs, digests):
            self.count.upload(user, int(tab.wait()["status"]), digest)
        for _, _, tab in self.tabs:
            tab.begin_table()
        self.seen = []
        for (user, number, tab), digest in zip(self.tabs, digests):
            page = tab.wait()
            sha256 = page.get("sha256") if page["status"] == "200" else None
            self.count.table(user, int(page["status"]), digest, sha256)
            self.seen.append((user, number, int(page["status"]), self.count.files.whose.get(sha256)))

    def find(self, condition):
        """The first tab whose (user, quarter, status, whose data) is so, or None."""
        for (_, _, tab), seen in zip(self.tabs, self.seen):
            if condition(*seen):
                return tab
        return None

    def close(self):
        for profile in self.profiles:
            profile.close()


# --- a run ----------------------------------------------------------------------------------------------------------


class Run:
    """`result` is what is shown; the others are for claims. The site has been stopped."""

    def __init__(self, result, site, count, computer, remembered):
        self.result = result
        self.remembered = remembered  # ids, by user
        self.site = site
        self.count = count
        self.computer = computer


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def run(key, paths, options, files, checker, driver, rounds, pictures, progress):
    """One deployment, from its start to its end. What was counted, as documented in tests/incident/run."""
    everybody = people()
    site = Site(everybody, paths, *options)
    count = Count(files, checker)
    crowd = Crowd(site, count, everybody[:-2])
    computer = Computer(driver, site, count)
    count.look(site)
    count.seconds.clear()  # users who come one after the other are no load
    seconds = 0.0
    for turn in range(rounds):
        progress(f"{key}: round {turn + 1} of {rounds}")
        seconds += crowd.round(turn, lambda turn=turn: computer.round(turn))
        count.look(site)
    times = dict(count.seconds)
    count.seconds = collections.defaultdict(list)
    pictures(key, computer)
    cost = bind_cost(site, count, crowd.users[0]) if site.daemon else None
    guard = observed(site) if key == "observe" else None
    computer.close()
    crowd.close()
    site.stop()

    audit = audited(site) if site.daemon else None
    result = {
        "run": key,
        "users": len(everybody),
        "uploads": count.uploads,
        "overwritten": count.overwritten,
        "others_tables": count.others,
        "mixed_tables": count.mixed,
        "right_tables": sum(count.right.values()),
        "false_tables": count.false,
        "refused": sum(count.refused.values()),
        "failed": count.failed,
        "requests_per_second": round(sum(map(len, times.values())) / seconds, 1),
        "latency_ms": {
            route: {"p50": round(1000 * statistics.median(each), 2), "p99": round(1000 * percentile(each, 0.99), 2)}
            for route, each in sorted(times.items())
        },
        "browser": [dict(zip(("user", "quarter", "status", "shown"), seen)) for seen in computer.seen],
        "bind_requests": cost,
        "releases": answered(count),
        "audit": audit,
        "mixed": len(set.intersection(*map(set, audit["bound"].values()))) if audit else None,
        "guard": guard,
    }
    remembered = {user.name: user.remembered for user in crowd.users}
    remembered[AMINA] = remembered[HAUWA] = json.loads(computer.storage)["state"]["session_id"]
    return Run(result, site, count, computer, remembered)


def answered(count):
    """Which release answered whom, by the answers: for each release its users and requests."""
    found = {}
    for (_, name), requests in count.answers.items():
        one = found.setdefault(name, {"users": 0, "requests": 0})
        one["users"] += 1
        one["requests"] += requests
    return found


def observed(site):
    """What the release guard has seen, as session-ls(1) tells it from the daemon's heartbeat."""
    found = {}

    def beaten():
        words = [f"{world.BUILD}/session-ls", "--releases", "--json", site.daemon.path]
        instance = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)["instances"][0]
        found["mixed"] = instance["mixed"]
        found["releases"] = {
            one["release"]: {key: one[key] for key in ("workers", "sessions", "binds")} for one in instance["releases"]
        }
        with open(f"{site.daemon.path}/.sessionfs/metrics") as file:
            binds = re.search(r'^sessionfs_binds_total\{scope="thread"\} (\d+)$', file.read(), re.MULTILINE)
        return sum(one["binds"] for one in found["releases"].values()) == int(binds[1])

    world.until(beaten, "the heartbeat has all binds")
    return found


def audited(site):
    """What the daemon wrote of a run: refusals by user, binds by release and user, and how many events it lost."""
    refused, bound = {}, {}
    with open(f"{site.daemon.dir}/log", encoding="utf-8") as log:
        lost = sum(map(int, re.findall(r"audit: (\d+) events lost", log.read())))
    for event in site.events():
        if event["event"] == "refused":
            one = refused.setdefault(event["sub"], {"times": 0, "targets": set()})
            one["times"] += event.get("repeated", 1)
            one["targets"].add(event["target"])
        elif event["event"] == "bind":
            bound.setdefault(event["release"], collections.Counter())[event["sub"]] += 1
        elif event["event"] == "dropped":
            lost += event["count"]
    for one in refused.values():
        one["targets"] = sorted(one["targets"])
    return {"refused": refused, "bound": bound, "lost": lost}


def bind_cost(site, count, user, requests=50):
    """Requests to the filesystem, by operation, of that many to the application that touch no file of the mount."""
    counts = []  # reading them makes requests too, the same ones each time

    def rest():
        """A worker unbinds when its answer is on its way already."""
        counts[:] = [*counts[-1:], site.daemon.requests()]
        return len(counts) == 2 and counts[0]["write"] == counts[1]["write"]

    world.until(rest, "no worker is bound")
    before, after = counts
    reading = {op: after[op] - before[op] for op in after}
    for _ in range(requests):
        answer = user.request("GET", "/none")  # bound, and not found
        assert answer.status == 404, answer.status
        count.bound[user.name, answer.release] += answer.bound
    readings = 0

    def over():
        nonlocal readings
        readings += 1
        counts.append(site.daemon.requests())
        return counts[-1]["write"] >= after["write"] + 2 * requests

    world.until(over, "the last worker has unbound")
    spent = {op: counts[-1][op] - after[op] - readings * reading[op] for op in after}
    return {"requests": requests, "sent": {op: number for op, number in spent.items() if number}}
