# SPDX-License-Identifier: MIT
"""Mount: bindings of threads and processes, handles, forks, remounts, errors."""

import asyncio
import errno
import gc
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
import types
import unittest
from datetime import timezone
from unittest import mock

import world

import sessionfs
from sessionfs import Mount


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = world.Daemon()
        cls.addClassCleanup(cls.daemon.stop)
        cls.path = cls.daemon.path
        cls.a = world.token("amina", "aaa")
        cls.b = world.token("bala", "bbb")

    def setUp(self):
        gc.collect()  # what other tests left in tracebacks
        self.mount = Mount(self.path)

    def sid(self, mount=None):
        return (mount or self.mount).whoami().sid

    def refused(self, kind, number, token, release=None):
        """Binding raises this; nothing is bound then; the next works."""
        with self.assertRaises(kind) as caught:
            with self.mount.bound(token, release):
                self.fail("bound")
        self.assertEqual(caught.exception.errno, number)
        self.assertIsInstance(caught.exception, sessionfs.SessionError)
        self.assertNotIn(token.strip() or "v4.public", str(caught.exception))
        self.assertFalse(self.mount.whoami().bound)
        with self.mount.bound(self.a):
            self.assertEqual(self.sid(), "aaa")
        return caught.exception


class Threads(Case):
    def test_bound(self):
        """bound: the thread is in the session within the block, and in none after it"""
        with self.mount.bound(self.a, release="r1.0") as root:
            self.assertEqual(root, f"{self.path}/self")
            with open(f"{root}/f", "w") as file:
                file.write("amina's")
            who = self.mount.whoami()
            self.assertEqual((who.bound, who.scope, who.sub, who.sid), (True, "thread", "amina", "aaa"))
            self.assertEqual(who.exp.tzinfo, timezone.utc)
            self.assertEqual(self.daemon.holders("aaa")[0]["release"], "r1.0")
        self.assertEqual(self.mount.whoami(), sessionfs.Identity(bound=False))
        with self.assertRaises(OSError) as caught:
            open(f"{self.path}/aaa/f")
        self.assertEqual(caught.exception.errno, errno.ENOKEY)

    def test_exception(self):
        """bound: an exception in the block unbinds, and passes"""
        with self.assertRaises(KeyError):
            with self.mount.bound(self.a):
                raise KeyError
        self.assertFalse(self.mount.whoami().bound)

    def test_generator(self):
        """bound: a generator that is closed, or dropped, in the block unbinds"""

        def work():
            with self.mount.bound(self.a):
                yield self.sid()

        for end in (lambda one: one.close(), lambda one: None):
            one = work()
            self.assertEqual(next(one), "aaa")
            end(one)
            del one
            gc.collect()
            self.assertFalse(self.mount.whoami().bound)

    def test_no_stack(self):
        """bound: an inner one takes the outer's place, and nothing is bound after it"""
        with self.mount.bound(self.a):
            with self.mount.bound(self.b):
                self.assertEqual(self.sid(), "bbb")
            self.assertFalse(self.mount.whoami().bound)
        self.assertFalse(self.mount.whoami().bound)

    def test_out_of_order(self):
        """bound: the late end of an earlier one leaves a later one alone"""
        first, second = self.mount.bound(self.a), self.mount.bound(self.b)
        first.__enter__()
        second.__enter__()
        first.close()
        self.assertEqual(self.sid(), "bbb")
        second.close()
        self.assertFalse(self.mount.whoami().bound)

    def test_ended_elsewhere(self):
        """bound: ended in another thread it unbinds its own"""
        bound = self.mount.bound(self.a)
        bound.__enter__()
        other = threading.Thread(target=bound.close)
        other.start()
        other.join()
        self.assertFalse(self.mount.whoami().bound)

    def test_threads(self):
        """bound: threads that work at the same time are each in their own session"""
        n, rounds, wrong = 8, 20, []
        tokens = [world.token(f"user{i}", f"thread{i}") for i in range(n)]
        step = threading.Barrier(n, timeout=world.PATIENCE)

        def work(i):
            try:
                for turn in range(rounds):
                    with self.mount.bound(tokens[i]) as root:
                        step.wait()
                        with open(f"{root}/f", "w") as file:
                            file.write(f"{i} {turn}")
                        step.wait()
                        with open(f"{root}/f") as file:
                            if file.read() != f"{i} {turn}" or self.sid() != f"thread{i}":
                                wrong.append(i)
                        try:
                            os.stat(f"{self.path}/thread{(i + 1) % n}/f")
                            wrong.append(i)
                        except OSError as error:
                            if error.errno != errno.EACCES:
                                wrong.append(error)
                    step.wait()
                    if self.mount.whoami().bound:
                        wrong.append(i)
            except BaseException as error:
                step.abort()
                wrong.append(error)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(n)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_thread_end(self):
        """bound: a thread that ends in the block leaves no binding and no descriptor"""
        before = set(os.listdir("/proc/self/fd"))

        def work():
            bound = self.mount.bound(self.b)
            bound.__enter__()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        gc.collect()
        self.assertEqual(set(os.listdir("/proc/self/fd")), before)
        world.until(lambda: self.daemon.holders("bbb") == [], "the binding is gone")

    def test_one_descriptor(self):
        """bound: a thread keeps one control file open, close-on-exec, however often it binds"""
        for _ in range(3):
            with self.mount.bound(self.a):
                pass
        ours = [
            fd for fd in os.listdir("/proc/self/fd")
            if os.path.exists(f"/proc/self/fd/{fd}") and os.readlink(f"/proc/self/fd/{fd}").startswith(self.path)
        ]
        self.assertEqual(len(ours), 1)
        self.assertFalse(os.get_inheritable(int(ours[0])))

    def test_cost(self):
        """bound: two requests to the filesystem, with a token seen before"""
        with self.mount.bound(self.a):
            pass
        first = self.daemon.requests()
        second = self.daemon.requests()
        for _ in range(50):
            with self.mount.bound(self.a, "r1.0"):
                pass
        third = self.daemon.requests()
        asking = {op: second[op] - first[op] for op in second}
        spent = {op: third[op] - second[op] - asking[op] for op in third}
        self.assertEqual({op: count for op, count in spent.items() if count}, {"write": 100})

    def test_copy(self):
        """a file of 1 MB that is copied by 16 KiB, as web frameworks do it, is written by four requests"""
        with self.mount.bound(self.a) as root:
            before = self.daemon.requests()["write"]
            with open(f"{root}/copied", "wb") as file:
                shutil.copyfileobj(io.BytesIO(b"x" * 1000000), file, 16384)
            self.assertEqual(self.daemon.requests()["write"] - before, 4)

    def test_event_loop(self):
        """bound: refused where an event loop runs, whose tasks would share it"""

        async def main():
            with self.assertRaisesRegex(RuntimeError, "Mount.handle"):
                with self.mount.bound(self.a):
                    self.fail("bound")
            return self.mount.whoami().bound

        self.assertFalse(asyncio.run(main()))

    def test_greenlets(self):
        """bound: refused where greenlets pass for threads"""
        fakes = {
            "gevent.monkey": types.SimpleNamespace(is_module_patched=lambda what: what == "threading"),
            "eventlet.patcher": types.SimpleNamespace(is_monkey_patched=lambda what: what == "thread"),
        }
        for name, fake in fakes.items():
            with mock.patch.dict(sys.modules, {name: fake}):
                with self.assertRaisesRegex(RuntimeError, "Mount.handle"):
                    with self.mount.bound(self.a):
                        self.fail("bound")
        with self.mount.bound(self.a):
            self.assertEqual(self.sid(), "aaa")

    def test_explained(self):
        """bound: an error of the mount that leaves the block is raised as its class here"""
        with self.assertRaises(sessionfs.SessionRevoked) as caught:
            with self.mount.bound(world.token("amina", "over")) as root:
                self.daemon.admin("revoke over")
                open(f"{root}/f", "w")
        self.assertEqual(caught.exception.errno, errno.EKEYREVOKED)
        self.assertEqual(caught.exception.filename, f"{self.path}/self/f")
        with self.assertRaises(PermissionError):
            with self.mount.bound(self.a):
                open(f"{self.path}/bbb/f")

    def test_foreign_descriptors(self):
        """bound: after somebody closed all descriptors the next bind opens its own"""
        with self.mount.bound(self.a):
            pass
        control = self.mount._thread_control()
        os.close(control._fd)
        with self.mount.bound(self.a):
            self.assertEqual(self.sid(), "aaa")


class Refusals(Case):
    def test_forged(self):
        """a forged token is SessionRefused, with the daemon's word for it"""
        error = self.refused(sessionfs.SessionRefused, errno.EKEYREJECTED, world.token("amina", "aaa", key="forger"))
        self.assertEqual(error.reason, "unknown-key")
        self.assertIn("keys.d", str(error))

    def test_other_user(self):
        """a token for another user's session is SessionRefused, and says that the id is reused"""
        error = self.refused(sessionfs.SessionRefused, errno.EKEYREJECTED, world.token("mallory", "aaa"))
        self.assertEqual(error.reason, "sid-of-another-user")
        self.assertIn("never take it from the client", str(error))

    def test_audience(self):
        """a token for another audience is SessionRefused"""
        token = world.token("amina", "aaa", "1h", "issuer", "--aud", "other")
        self.assertEqual(self.refused(sessionfs.SessionRefused, errno.EKEYREJECTED, token).reason, "bad-audience")

    def test_expired(self):
        """an expired token is SessionExpired"""
        error = self.refused(sessionfs.SessionExpired, errno.EKEYEXPIRED, world.expired("amina", "aaa"))
        self.assertIn("log in again", str(error))

    def test_revoked(self):
        """a revoked session is SessionRevoked"""
        token = world.token("amina", "gone")
        with self.mount.bound(token):
            self.daemon.admin("revoke gone")
        self.refused(sessionfs.SessionRevoked, errno.EKEYREVOKED, token)

    def test_long(self):
        """a token of 10 KB is SessionRefused, and never sent"""
        first, second = self.daemon.requests(), self.daemon.requests()
        with self.assertRaises(sessionfs.SessionRefused) as caught:
            with self.mount.bound("v4.public." + "A" * 10000):
                self.fail("bound")
        third = self.daemon.requests()
        self.assertEqual(third["write"] - second["write"], second["write"] - first["write"])
        self.assertEqual(caught.exception.reason, "too-long")
        self.refused(sessionfs.SessionRefused, errno.EKEYREJECTED, "v4.public." + "A" * 10000)

    def test_injection(self):
        """a token with more words or lines in it is SessionRefused, and adds nothing to what is sent"""
        for bad in (self.b + " release=evil", self.b + "\nunbind", "\n", " ", "", self.b + "\n", self.b + "\0", "ä"):
            self.refused(sessionfs.SessionRefused, errno.EKEYREJECTED, bad)

    def test_refused_unbinds(self):
        """a refused bind ends what the thread had, whoever refuses it"""
        for bad in ("no token", "nonsense", world.token("amina", "aaa", key="forger")):
            with self.mount.bound(self.a):
                with self.assertRaises(sessionfs.SessionRefused):
                    self.mount.bound(bad).__enter__()
                self.assertFalse(self.mount.whoami().bound)

    def test_types(self):
        """a token that is no text, and a release that is no word, are errors of the program"""
        with self.assertRaises(TypeError):
            self.mount.bound(self.a.encode()).__enter__()
        for bad in ("", "two words", "x" * 65, "line\n"):
            with self.assertRaises(ValueError):
                self.mount.bound(self.a, bad).__enter__()

    def test_release(self):
        """ESTALE at bind is ReleaseRefused, after the control file was opened afresh once"""
        with self.mount.bound(self.a):
            pass
        write, tries = os.write, []

        def stale(fd, data):
            if data.startswith(b"bind"):
                tries.append(fd)
                raise OSError(errno.ESTALE, "Stale file handle")
            return write(fd, data)

        with mock.patch("os.write", stale), self.assertRaises(sessionfs.ReleaseRefused) as caught:
            self.mount.bound(self.a, "old").__enter__()
        self.assertEqual((len(tries), caught.exception.errno), (2, errno.ESTALE))

    def test_pickle(self):
        """errors survive pickling, as multiprocessing does it, with errno and reason"""
        error = self.refused(sessionfs.SessionRefused, errno.EKEYREJECTED, "nonsense")
        copy = pickle.loads(pickle.dumps(error))
        for one in ("__class__", "errno", "reason", "filename", "strerror"):
            self.assertEqual(getattr(copy, one), getattr(error, one))

    def test_explain(self):
        """explain makes the errnos of sessions their classes, and leaves others alone"""
        for number, kind in (
            (errno.ENOKEY, sessionfs.NotBound),
            (errno.EKEYREJECTED, sessionfs.SessionRefused),
            (errno.EKEYEXPIRED, sessionfs.SessionExpired),
            (errno.EKEYREVOKED, sessionfs.SessionRevoked),
        ):
            error = sessionfs.explain(OSError(number, "x", "name"))
            self.assertEqual((type(error), error.errno, error.filename), (kind, number, "name"))
            self.assertIs(sessionfs.explain(error), error)
        for number in (errno.ESTALE, errno.EACCES, None):
            error = OSError(number, "x")
            self.assertIs(sessionfs.explain(error), error)


class Processes(Case):
    def whoami(self):
        script = "import sys, sessionfs; print(sessionfs.Mount(sys.argv[1]).whoami().sid)"
        return subprocess.run(
            ["/usr/bin/python3", "-c", script, self.path],
            env={"PYTHONPATH": f"{world.T}/python"}, check=True, capture_output=True, text=True,
        ).stdout.strip()

    def test_process(self):
        """process: its threads and children are in the session, until it is closed"""

        def job():
            binding = self.mount.process(self.a)
            inner = []
            thread = threading.Thread(target=lambda: inner.append(self.sid()))
            thread.start()
            thread.join()
            inner.append(self.whoami())
            gc.collect()
            inner.append(self.sid())
            binding.close()
            return inner + [self.whoami(), self.sid()]

        self.assertEqual(world.in_child(job), ["aaa", "aaa", "aaa", "None", None])

    def test_ignored(self):
        """process: a result that nobody keeps stays bound; a later call takes its place; a thread's own wins"""

        def job():
            self.mount.process(self.a)
            gc.collect()
            first = self.sid()
            with self.mount.process(self.b):
                second = self.sid()
                with self.mount.bound(self.a):
                    third = self.sid()
            return [first, second, third, self.sid()]

        self.assertEqual(world.in_child(job), ["aaa", "bbb", "aaa", None])

    def test_child_close(self):
        """process: a forked child can't end its parent's binding, and may have its own"""

        def job():
            binding = self.mount.process(self.a)

            def child():
                binding.close()
                first = self.sid()
                self.mount.process(self.b)
                return [first, self.sid()]

            return [world.in_child(child), self.sid()]

        self.assertEqual(world.in_child(job), [["aaa", "bbb"], "aaa"])

    def test_refused(self):
        """process: a refused token raises, and nothing is bound"""
        with self.assertRaises(sessionfs.SessionRefused):
            self.mount.process("nonsense")
        self.assertFalse(self.mount.whoami().bound)


class Forks(Case):
    def test_child_unbound(self):
        """fork: a child has nothing of its parent's thread binding, binds by itself, and changes nothing for the parent"""
        with self.mount.bound(self.a):

            def child():
                first = self.sid()
                with self.mount.bound(self.b):
                    second = self.sid()
                return [first, second, self.sid()]

            self.assertEqual(world.in_child(child), [None, "bbb", None])
            self.assertEqual(self.sid(), "aaa")

    def test_child_leaves(self):
        """fork: a child that leaves the parent's block does not end the parent's binding"""
        bound = self.mount.bound(self.a)
        bound.__enter__()

        def child():
            bound.__exit__(None, None, None)
            self.mount.unbind()
            return self.sid()

        self.assertIsNone(world.in_child(child))
        self.assertEqual(self.sid(), "aaa")
        bound.close()

    def test_number_reused(self):
        """fork: where a child's own file has the number of the parent's control file, nothing is written to it"""
        bound = self.mount.bound(self.a)
        bound.__enter__()
        number = self.mount._thread_control()._fd
        r, w = os.pipe()

        def child():
            os.dup2(w, number)
            bound.close()
            self.mount.unbind()
            with self.mount.bound(self.b):
                return self.sid()

        self.assertEqual(world.in_child(child), "bbb")
        os.close(w)
        self.assertEqual(os.read(r, 100), b"")
        os.close(r)
        bound.close()

    def test_no_copies(self):
        """fork: a child keeps no copy of any thread's control file, nor of a handle's"""
        go, bound = threading.Event(), threading.Event()

        def work():
            with self.mount.bound(self.b):
                bound.set()
                go.wait(world.PATIENCE)

        thread = threading.Thread(target=work)
        thread.start()
        bound.wait(world.PATIENCE)
        try:
            with self.mount.bound(self.a), self.mount.handle(self.a):

                def child():
                    fds = (f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd"))
                    names = [os.readlink(fd) for fd in fds if os.path.lexists(fd)]
                    return [name for name in names if name.startswith(self.path) or "mountinfo" in name]

                self.assertEqual(world.in_child(child), [])
        finally:
            go.set()
            thread.join()

    def test_prefork(self):
        """fork: workers forked from a process that has bound before are each in their own session"""
        with self.mount.bound(self.a):
            pass
        with self.mount.handle(self.a):
            pids, pipes = [], []
            for i in range(4):
                token = world.token(f"user{i}", f"fork{i}")
                r, w = os.pipe()
                pid = os.fork()
                if pid == 0:
                    status = 1
                    try:
                        for _ in range(50):
                            with self.mount.bound(token):
                                assert self.sid() == f"fork{i}"
                        status = 0
                    finally:
                        os._exit(status)
                os.close(w)
                pids.append(pid)
                pipes.append(r)
            self.assertEqual([os.waitpid(pid, 0)[1] for pid in pids], [0] * 4)
            for r in pipes:
                os.close(r)

    def test_threads_and_forks(self):
        """fork: while other threads bind and unbind, children find nothing of theirs, and bind by themselves"""
        stop, wrong = threading.Event(), []

        def work():
            while not stop.is_set():
                with self.mount.bound(self.b):
                    if self.sid() != "bbb":
                        wrong.append(self.sid())

        def child():
            first = self.sid()
            with self.mount.bound(self.a):
                return [first, self.sid()]

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(20):
                self.assertEqual(world.in_child(child), [None, "aaa"])
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong, [])


class Handles(Case):
    def test_handle(self):
        """handle: a directory that is the session for all threads, until the block ends"""
        with self.mount.handle(self.a) as root:
            self.assertRegex(os.path.basename(root), r"^~[A-Za-z0-9_-]{43}$")
            with open(f"{root}/h", "w") as file:
                file.write("x")
            seen = []
            thread = threading.Thread(target=lambda: seen.append(os.listdir(root)))
            thread.start()
            thread.join()
            self.assertIn("h", seen[0])
            self.assertFalse(self.mount.whoami().bound)
        with self.assertRaises(OSError):
            os.stat(f"{root}/h")

    def test_forked_copy(self):
        """handle: it ends with its block though a forked child lives on"""
        r, w = os.pipe()
        handle = self.mount.handle(self.a)
        with handle as root:
            copy = os.dup(handle._control._fd)  # as of a child that was forked past Python
            pid = os.fork()
            if pid == 0:
                os.close(w)
                os.read(r, 1)
                os._exit(0)
            self.assertTrue(os.path.isdir(root))
        self.assertFalse(os.path.isdir(root))
        os.close(copy)
        os.close(r)
        os.close(w)
        os.waitpid(pid, 0)

    def test_interleaved(self):
        """handle: tasks that take turns at every await each stay in their own session"""
        n = 20
        tokens = [world.token(f"user{i}", f"task{i}") for i in range(n)]
        order = []

        async def work(i):
            async with self.mount.handle(tokens[i]) as root:
                for turn in range(10):
                    with open(f"{root}/f", "w") as file:
                        await asyncio.sleep(0)
                        file.write(f"{i} {turn}")
                    await asyncio.sleep(0)
                    with open(f"{root}/f") as file:
                        await asyncio.sleep(0)
                        self.assertEqual(file.read(), f"{i} {turn}")
                    order.append(i)

        async def main():
            await asyncio.gather(*(work(i) for i in range(n)))

        asyncio.run(main())
        self.assertNotEqual(order, sorted(order), "they took turns")
        for i in range(n):
            with self.mount.bound(tokens[i]) as root, open(f"{root}/f") as file:
                self.assertEqual(file.read(), f"{i} 9")
            self.assertEqual(self.daemon.holders(f"task{i}"), [])

    def test_cancelled(self):
        """handle: a task that is cancelled while its handle is opened leaves none open"""
        opening, go = threading.Event(), threading.Event()
        bind = sessionfs._mount._Control.bind
        closed = []
        handle = self.mount.handle(self.b)

        def slow(control, line):
            opening.set()
            go.wait(world.PATIENCE)
            serial = bind(control, line)
            closed.append(control)
            return serial

        async def main():
            async def work():
                async with handle:
                    self.fail("entered")

            task = asyncio.ensure_future(work())
            await asyncio.get_running_loop().run_in_executor(None, opening.wait, world.PATIENCE)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            go.set()

        with mock.patch("sessionfs._mount._Control.bind", slow):
            asyncio.run(main())
        self.assertEqual(len(closed), 1, "the handle was opened after all")
        self.assertEqual(self.daemon.holders("bbb"), [], "and closed, not only dropped")

    def test_cancelled_inside(self):
        """handle: a task that is cancelled within the block closes it at once"""

        async def main():
            inside = asyncio.Event()

            async def work():
                async with self.mount.handle(self.b):
                    inside.set()
                    await asyncio.Event().wait()

            task = asyncio.ensure_future(work())
            await inside.wait()
            self.assertEqual(len(self.daemon.holders("bbb")), 1)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertEqual(self.daemon.holders("bbb"), [])

        asyncio.run(main())

    def test_refused(self):
        """handle: a refused token raises, and leaves no descriptor"""
        before = os.listdir("/proc/self/fd")

        async def main():
            async with self.mount.handle("nonsense"):
                self.fail("entered")

        with self.assertRaises(sessionfs.SessionRefused):
            asyncio.run(main())
        gc.collect()
        self.assertEqual(os.listdir("/proc/self/fd"), before)


class Mounts(unittest.TestCase):
    """Where the mount is not there, is another, or goes."""

    def setUp(self):
        self.dir = f"{world.T}/{self._testMethodName}"
        os.makedirs(f"{self.dir}/.sessionfs")

    def refused(self, kind, number, path, words):
        mount = Mount(path)
        for act in (
            lambda: mount.bound("v4.public.x").__enter__(),
            lambda: mount.process("v4.public.x"),
            lambda: mount.handle("v4.public.x").__enter__(),
        ):
            with self.assertRaises(kind) as caught:
                act()
            self.assertEqual(caught.exception.errno, number)
            self.assertRegex(str(caught.exception), words)
        return mount

    def test_nothing(self):
        """no mount at the path: NotMounted, which says what to do"""
        for path, number in ((f"{self.dir}/none", errno.ENOENT), (self.dir, errno.ENOENT), ("/dev/null", errno.ENOTDIR)):
            mount = self.refused(sessionfs.NotMounted, number, path, "no sessionfs is mounted here")
            with self.assertRaises(sessionfs.NotMounted):
                mount.whoami()

    def test_other_filesystem(self):
        """another filesystem mounted at the path: NotMounted"""
        subprocess.run(["mount", "-t", "tmpfs", "none", self.dir], check=True)
        try:
            self.refused(sessionfs.NotMounted, errno.ENOENT, self.dir, "no sessionfs is mounted here")
        finally:
            subprocess.run(["umount", self.dir], check=True)

    def test_protocol(self):
        """a daemon of another protocol: ProtocolMismatch with both numbers, and it gets no token"""
        world.pretend(self.dir, json.dumps({"version": "9.0", "protocol": 2, "features": {}}))
        self.refused(sessionfs.ProtocolMismatch, errno.EPROTONOSUPPORT, self.dir, "protocol 2, this package 1")
        self.assertEqual(os.path.getsize(f"{self.dir}/.sessionfs/thread"), 0)

    def test_nonsense(self):
        """a version that can't be read as one: ProtocolMismatch"""
        for text in ("", "[]", "{", "\xff", '{"protocol":"1"}'):
            world.pretend(self.dir, text)
            self.refused(sessionfs.ProtocolMismatch, errno.EPROTONOSUPPORT, self.dir, "protocol|JSON")

    def test_no_version(self):
        """files of that name without a daemon get no token"""
        world.pretend(self.dir, "")
        os.unlink(f"{self.dir}/.sessionfs/version")
        self.refused(sessionfs.NotMounted, errno.ENOENT, self.dir, "no sessionfs is mounted here")
        self.assertEqual(os.path.getsize(f"{self.dir}/.sessionfs/thread"), 0)

    def test_late(self):
        """a Mount may be made before the mount, with a relative path, and the directory change"""
        daemon = world.Daemon()
        self.addCleanup(daemon.stop)
        token = world.token("amina", "aaa")
        daemon.stop()
        here = os.getcwd()
        try:
            os.chdir(daemon.dir)
            mount = Mount("mnt")
        finally:
            os.chdir(here)
        with self.assertRaises(sessionfs.NotMounted):
            mount.bound(token).__enter__()
        daemon.again()
        with mount.bound(token):
            self.assertEqual(mount.whoami().sid, "aaa")

    def test_link(self):
        """a symbolic link to the mount's self names the mount, and one to the mount itself too"""
        daemon = world.Daemon()
        self.addCleanup(daemon.stop)
        os.symlink("mnt/self", f"{daemon.dir}/uploads")
        os.symlink(daemon.path, f"{daemon.dir}/link")
        token = world.token("amina", "aaa")
        for name in ("uploads", "link"):
            mount = Mount(f"{daemon.dir}/{name}")
            with mount.bound(token) as root:
                self.assertEqual(mount.whoami().sid, "aaa")
                open(f"{root}/f", "w").close()
                self.assertEqual(os.listdir(f"{daemon.dir}/uploads"), ["f"])

    def test_dead_daemon(self):
        """a dead daemon is NotMounted; a new mount serves the same thread, process and event loop again"""
        daemon = world.Daemon()
        self.addCleanup(daemon.stop)
        mount, token = Mount(daemon.path), world.token("amina", "aaa")
        with mount.bound(token):
            pass
        bound = mount.bound(token)
        bound.__enter__()
        daemon.kill()
        bound.close()
        with self.assertRaisesRegex(sessionfs.NotMounted, "mount it again"):
            mount.bound(token).__enter__()
        with self.assertRaisesRegex(sessionfs.NotMounted, "mount it again"):
            mount.whoami()
        daemon.detach()
        with self.assertRaisesRegex(sessionfs.NotMounted, "no sessionfs is mounted"):
            mount.bound(token).__enter__()
        daemon.again()
        for _ in range(2):
            with mount.bound(token):
                self.assertEqual(mount.whoami().sid, "aaa")
        with mount.handle(token) as root:
            os.listdir(root)

    def test_reopened_at_once(self):
        """a mount replaced between two binds is noticed by the second, without an error"""
        daemon = world.Daemon()
        self.addCleanup(daemon.stop)
        mount, token = Mount(daemon.path), world.token("amina", "aaa")
        with mount.bound(token):
            pass
        daemon.kill()
        daemon.detach()
        daemon.again()
        with mount.bound(token):
            self.assertEqual(mount.whoami().sid, "aaa")

    def test_detached(self):
        """a mount detached while its daemon lives is not bound by mistake: what lies below is NotMounted"""
        daemon = world.Daemon()
        self.addCleanup(daemon.stop)
        mount, token = Mount(daemon.path), world.token("amina", "aaa")
        with mount.bound(token):
            pass
        old = daemon.process
        daemon.detach()
        with self.assertRaises(sessionfs.NotMounted):
            mount.bound(token).__enter__()
        old.wait(world.PATIENCE)  # nobody has a file open there any more
        daemon.again()
        with mount.bound(token):
            self.assertEqual(mount.whoami().sid, "aaa")

    def test_replaced_alive(self):
        """a mount detached and made again while its daemon lives binds the thread in the new one"""
        daemon = world.Daemon()
        self.addCleanup(daemon.stop)
        mount, token = Mount(daemon.path), world.token("amina", "aaa")
        with mount.bound(token):
            pass
        old = daemon.process
        daemon.detach()
        daemon.again()
        with mount.bound(token):
            self.assertEqual(mount.whoami().sid, "aaa")
        old.wait(world.PATIENCE)
