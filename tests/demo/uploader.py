# SPDX-License-Identifier: MIT
"""A web application with the incident's bug, and the users who suffer from it.

One browser serves all the users. It remembers one session id and sends it with every upload, whoever is logged in;
the application believes it. Everything else is done as it should be: each request is authenticated, and binds the
worker to its user's session where there is a mount to bind to; a file is complete before it gets its name.

Each round, all users upload a file of the same name at the same moment, each through another worker; then all ask for
the table that the application computes from what it has stored for them.

Prints one line: uploads, overwritten, read by the wrong user, refused, right, and the errno of the refusals; then,
if somebody of one state was shown another state's data, who and how wrong that was. Nothing is assumed: who read
whose data is told by the hash of what was read, what was overwritten by what is still there in the end.
"""

import argparse
import collections
import csv
import errno
import hashlib
import io
import multiprocessing
import os
import signal
import sys

from reports import hashes_below, quarter

QUARTERS = 4


# --- the tables -----------------------------------------------------------------------------------------------------


def table(data):
    """Test positivity by state and LGA."""
    tested, positive = collections.Counter(), collections.Counter()
    for row in csv.DictReader(io.StringIO(data.decode())):
        place = row["state"], row["lga"]
        tested[place] += int(row["tested"])
        positive[place] += int(row["positive"])
    return {place: (tested[place], positive[place]) for place in tested}


def overall(data):
    sums = table(data).values()
    return 100 * sum(positive for _, positive in sums) / sum(tested for tested, _ in sums)


# --- the application ------------------------------------------------------------------------------------------------


class Application:
    def __init__(self, uploads, control):
        self.uploads = uploads
        # Once for each worker thread. Python opens it close-on-exec, as a thread's must be.
        self.control = os.open(control, os.O_RDWR) if control else None

    def handle(self, user, token, view, *args):
        """One request: the token is the authenticated user's, the arguments are the browser's."""
        if self.control is not None:
            os.write(self.control, b"bind " + token + b"\n")
        try:
            return "done", view(self, *args)
        except OSError as e:
            return "refused", errno.errorcode[e.errno]
        finally:
            if self.control is not None:
                os.write(self.control, b"unbind\n")

    def path(self, session_id, name):
        return os.path.join(self.uploads, session_id, name)  # the bug: the session id is the browser's

    def upload(self, session_id, name, body):
        try:
            os.mkdir(os.path.join(self.uploads, session_id))
        except FileExistsError:
            pass
        part = self.path(session_id, f"{name}.{os.getpid()}.part")
        with open(part, "wb") as f:
            f.write(body)
        os.replace(part, self.path(session_id, name))

    def analyse(self, session_id, name):
        with open(self.path(session_id, name), "rb") as f:
            data = f.read()
        return hashlib.sha256(data).hexdigest(), table(data), overall(data)


def serve(pipe, uploads, control, uid):
    """A worker process: a request is received, then all of them begin at once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with its parent
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    application = Application(uploads, control)
    while request := pipe.recv():
        pipe.send("ready")
        pipe.recv()
        pipe.send(application.handle(*request))


# --- the load balancer ----------------------------------------------------------------------------------------------


class Workers:
    def __init__(self, count, *args):
        context = multiprocessing.get_context("fork")
        self.pipes = []
        for _ in range(count):
            ours, theirs = context.Pipe()
            context.Process(target=serve, args=(theirs, *args), daemon=True).start()
            theirs.close()
            self.pipes.append(ours)

    def at_once(self, requests, shift):
        """One request for each worker, none of them begun before all are there. The answers, in the same order."""
        pipes = self.pipes[shift:] + self.pipes[:shift]
        for pipe, request in zip(pipes, requests):
            pipe.send(request)
        for pipe, _ in zip(pipes, requests):
            pipe.recv()
        for pipe, _ in zip(pipes, requests):
            pipe.send("go")
        return [pipe.recv() for pipe, _ in zip(pipes, requests)]


# --- the users ------------------------------------------------------------------------------------------------------


def example(user, state, right, seen, owner, owner_state):
    return (f"{user} of {state}, whose own data say {right:.1f} % positive, was shown {seen:.1f} %:\n"
            f"the data of {owner} of {owner_state}.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uploads", required=True, metavar="DIR", help="what the application writes to")
    parser.add_argument("--kept", required=True, metavar="DIR", help="where to look for what has been kept")
    parser.add_argument("--control", metavar="FILE", help="the mount's .sessionfs/thread")
    parser.add_argument("--tokens", metavar="DIR", help="a token for each user")
    parser.add_argument("--session-id", required=True, metavar="SID", help="what the browser remembers")
    parser.add_argument("--uid", type=int, required=True, help="the account of the workers")
    parser.add_argument("users", nargs="+", metavar="USER:STATE")
    args = parser.parse_args()

    users = [user.split(":") for user in args.users]
    tokens = {user: b"" for user, _ in users}
    for user in tokens if args.tokens else ():
        with open(os.path.join(args.tokens, user), "rb") as f:
            tokens[user] = f.read().strip()

    files = {}  # (user, quarter) -> (name, bytes, hash)
    whose = {}  # hash -> (user, state)
    for user, state in users:
        for number in range(1, QUARTERS + 1):
            name, body = quarter(user, state, number)
            digest = hashlib.sha256(body).hexdigest()
            files[user, number] = name, body, digest
            whose[digest] = user, state

    workers = Workers(len(users), args.uploads, args.control, args.uid)
    count = collections.Counter()
    accepted = set()
    errnos = collections.Counter()
    shown = None

    for number in range(1, QUARTERS + 1):
        mine = [files[user, number] for user, _ in users]

        requests = [(user, tokens[user], Application.upload, args.session_id, name, body)
                    for (user, _), (name, body, _) in zip(users, mine)]
        for (how, what), (_, _, digest) in zip(workers.at_once(requests, number % len(users)), mine):
            count["uploads"] += 1
            if how == "done":
                accepted.add(digest)
            else:
                count["refused"] += 1
                errnos[what] += 1

        requests = [(user, tokens[user], Application.analyse, args.session_id, name)
                    for (user, _), (name, _, _) in zip(users, mine)]
        answers = workers.at_once(requests, (number + 2) % len(users))
        for (user, state), (_, body, digest), (how, what) in zip(users, mine, answers):
            if how != "done":
                continue
            seen, by_lga, percent = what
            if seen == digest and by_lga == table(body):
                count["right"] += 1
            elif whose.get(seen, (user, state))[0] != user:
                count["wrong"] += 1
                owner, owner_state = whose[seen]
                if state != owner_state:
                    shown = shown or example(user, state, overall(body), percent, owner, owner_state)

    count["overwritten"] = len(accepted - hashes_below(args.kept))
    print(count["uploads"], count["overwritten"], count["wrong"], count["refused"], count["right"],
          ",".join(sorted(errnos)) or "-")
    if shown:
        print(shown)


if __name__ == "__main__":
    try:
        main()
    except (EOFError, BrokenPipeError):
        sys.exit("uploader: a worker died")
    except OSError as e:
        sys.exit(f"uploader: {e}")
    except KeyboardInterrupt:
        sys.exit(130)
