# SPDX-License-Identifier: MIT
"""sessionfs.wsgi under Debian's gunicorn: real workers, connections and clients."""

import http.client
import json
import os
import signal
import socket
import threading
import unittest

import world

from sessionfs import Mount


class Gate:
    """A FIFO on which the application waits."""

    count = 0

    def __init__(self):
        Gate.count += 1
        self.name = f"{world.T}/gate{Gate.count}"
        os.mkfifo(self.name)
        os.chmod(self.name, 0o644)

    def open(self):
        """Returns when the application is there."""
        os.close(os.open(self.name, os.O_WRONLY))


class Gunicorn:
    """What holds for each kind of worker."""

    words = ()

    @classmethod
    def setUpClass(cls):
        cls.daemon = world.Daemon()
        cls.addClassCleanup(cls.daemon.stop)
        cls.server = world.Server(world.GUNICORN, cls.daemon.path, *cls.words, "wsgi_app:outermost")
        cls.addClassCleanup(cls.server.stop)
        cls.a = world.token("amina", "aaa")
        cls.b = world.token("bala", "bbb")

    def outcome(self):
        return self.server.get("/outside/outcomes")[1][-1]

    def works(self):
        """The same workers serve on, unbound but when they are bound."""
        self.assertEqual(self.server.get("/who", self.b)[1]["sid"], "bbb")
        self.assertIsNone(self.server.get("/outside/who")[1]["sid"])

    def test_bound(self):
        """a request is in its session, and nothing is bound between requests"""
        for _ in range(5):
            self.assertEqual(self.server.get("/who", self.a)[1]["sid"], "aaa")
            self.works()

    def test_refused(self):
        """no token, a forged one, one of 10 KB, two of them: refused, and the next request works"""
        forged = world.token("amina", "aaa", key="forger")
        for headers, status in (
            ({}, 401),
            ({"Cookie": f"sessionfs={forged}"}, 401),
            ({"Cookie": "sessionfs=v4.public." + "A" * 10240}, 400),  # gunicorn's own limit
            ({"Cookie": f"sessionfs={self.a}; sessionfs={self.b}"}, 400),
        ):
            self.assertEqual(self.server.get("/who", **headers)[0], status)
            self.works()

    def test_two_cookie_lines(self):
        """two cookie headers with a token each are refused"""
        client = self.server.client()
        client.putrequest("GET", "/who")
        client.putheader("Cookie", f"sessionfs={self.a}")
        client.putheader("Cookie", f"sessionfs={self.b}")
        client.endheaders()
        self.assertIn(client.getresponse().status, (400, 401))
        client.close()
        self.works()

    def test_refused_upload(self):
        """an upload of 1 MB without a token hears 401"""
        for _ in range(3):
            self.assertEqual(self.server.get("/upload?name=f", method="POST", body=b"x" * 1000000)[0], 401)
        self.works()

    def test_raises(self):
        """an application that raises: 500, and the next request works"""
        self.assertEqual(self.server.get("/fail", self.a)[0], 500)
        self.works()

    def test_stream(self):
        """a streamed response is in its session while others come and go"""
        gate = Gate()
        client = self.server.client()
        client.request("GET", f"/stream?gate={gate.name}", headers={"Cookie": f"sessionfs={self.a}"})
        response = client.getresponse()
        first = json.loads(response.readline())
        self.assertEqual(first["sid"], "aaa")
        self.meanwhile()
        gate.open()
        second = json.loads(response.readline())
        self.assertEqual((second["sid"], second["tid"]), ("aaa", first["tid"]))
        self.assertEqual(response.read(), b"")
        client.close()
        self.works()
        self.assertEqual(self.outcome(), ["stream closed", "aaa"])

    def meanwhile(self):
        pass

    def test_stream_raises(self):
        """a streamed response that raises is unbound"""
        client = self.server.client()
        client.request("GET", "/stream?fail=1", headers={"Cookie": f"sessionfs={self.a}"})
        response = client.getresponse()
        self.assertEqual(json.loads(response.readline())["sid"], "aaa")
        with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
            response.read()
        client.close()
        self.works()

    def test_head(self):
        """HEAD: the response is never read, and unbound"""
        self.assertEqual(self.server.get("/stream", self.a, method="HEAD"), (200, ""))
        self.works()

    def test_file(self):
        """a file sent by sendfile(2) is the session's own"""
        for token, text in ((self.a, b"amina's" * 5000), (self.b, b"bala's" * 5000)):
            self.server.get("/upload?name=sent", token, method="POST", body=text)
        self.assertEqual(self.server.get("/file?name=sent", self.a), (200, "amina's" * 5000))
        self.assertEqual(self.server.get("/file?name=sent", self.b), (200, "bala's" * 5000))
        self.works()

    def test_disconnect(self):
        """a client that disconnects in mid-upload: unbound, and the next request works"""
        gate = Gate()
        with socket.create_connection(("127.0.0.1", self.server.port), world.PATIENCE) as client:
            client.sendall(
                f"POST /upload?name=half&gate={gate.name} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
                f"Cookie: sessionfs={self.a}\r\n\r\n".encode() + b"x" * 1000
            )
        gate.open()
        self.works()
        world.until(lambda: self.outcome()[0] == "upload ended", "the application hears of it")
        self.assertEqual(self.outcome(), ["upload ended", "ConnectionError", "aaa"])
        world.until(lambda: self.daemon.holders("aaa") == [], "nobody is in that session")
        self.works()

    def test_keep_alive(self):
        """requests of several users on one connection are each in their own session"""
        client = self.server.client()
        for i in range(20):
            token, sid = ((self.a, "aaa"), (self.b, "bbb"))[i % 2]
            self.assertEqual(self.server.get("/who", token, client=client)[1]["sid"], sid)
            self.assertEqual(self.server.get("/who", client=client)[0], 401)
        client.close()

    def test_users(self):
        """users who upload at the same time find their own file, and none of each other's"""
        n, rounds, wrong = 12, 10, []
        tokens = [world.token(f"user{i}", f"up{i}") for i in range(n)]

        def user(i):
            client = self.server.client()
            try:
                for turn in range(rounds):
                    body = f"{i} {turn} ".encode() * 1000
                    path = f"/upload?name=table.csv&foreign=up{(i + 1) % n}/table.csv"
                    status, reply = self.server.get(path, tokens[i], method="POST", body=body, client=client)
                    if status != 200 or reply["sid"] != f"up{i}" or not reply["same"] or reply["foreign"] != "EACCES":
                        wrong.append((i, status, reply))
            except BaseException as error:
                wrong.append((i, error))
            finally:
                client.close()

        users = [threading.Thread(target=user, args=(i,)) for i in range(n)]
        for thread in users:
            thread.start()
        for thread in users:
            thread.join()
        self.assertEqual(wrong, [])
        mount = Mount(self.daemon.path)
        for i in range(n):
            with mount.bound(tokens[i]) as root, open(f"{root}/table.csv") as file:
                self.assertEqual(set(file.read().split()), {str(i), str(rounds - 1)})

    def test_killed(self):
        """a worker killed in mid-request: its binding is gone before its number serves anybody else"""
        # The number may go to some process of the machine's first: then once more.
        for _ in range(10):
            who = self.with_number(self.kill_in_request())
            world.until(lambda: self.daemon.holders("aaa") == [], "the binding is gone")
            self.works()  # sometimes the new worker has the number
            if who:
                break
        self.assertEqual(who, [False, None])

    def kill_in_request(self):
        """The number of the thread that was in the session."""
        gate = Gate()
        client = self.server.client()
        client.request("GET", f"/stream?gate={gate.name}", headers={"Cookie": f"sessionfs={self.a}"})
        worker = json.loads(client.getresponse().readline())
        self.assertEqual([one["tid"] for one in self.daemon.holders("aaa")], [worker["tid"]])
        pidfd = os.pidfd_open(worker["pid"])
        os.kill(worker["pid"], signal.SIGKILL)
        world.wait_exit(pidfd)
        os.close(pidfd)
        client.close()
        return worker["tid"]

    def with_number(self, number):
        """Who a new process is that has this number, or None if none gets it."""
        mount = Mount(self.daemon.path)

        def child():
            who = mount.whoami()
            return [os.getpid(), who.bound, who.sid]

        for _ in range(200):
            with open("/proc/sys/kernel/ns_last_pid", "w") as file:
                file.write(str(number - 1))
            pid, *who = world.in_child(child)
            if pid == number:
                return who
        return None

    def test_remount(self):
        """a daemon that dies: 503; mounted again, the same workers serve"""
        daemon = world.Daemon()
        self.addCleanup(daemon.stop)
        server = world.Server(world.GUNICORN, daemon.path, *self.words, "wsgi_app:outermost")
        self.addCleanup(server.stop)
        before = {server.get("/who", self.a)[1]["pid"] for _ in range(4)}
        daemon.kill()
        self.assertEqual(server.get("/who", self.a)[0], 503)
        daemon.detach()
        self.assertEqual(server.get("/who", self.a)[0], 503)
        daemon.again()
        status, reply = server.get("/who", self.a)
        self.assertEqual((status, reply["sid"]), (200, "aaa"))
        self.assertIn(reply["pid"], before)


    def test_no_mount(self):
        """no mount, another filesystem, a daemon of another protocol: 503, the log says why; mounted, the same worker serves"""
        path = f"{world.T}/{type(self).__name__}-mount"
        server = world.Server(world.GUNICORN, path, *self.words, "wsgi_app:outermost")
        self.addCleanup(server.stop)
        for words in world.no_mounts(path):
            said = len(server.said())
            status, body = server.get("/who", self.a)
            self.assertEqual((status, body), (503, "Sessions are not available here at the moment.\n"))
            self.assertIn(words, server.said()[said:])
        workers = server.children()
        daemon = world.Daemon(path=path)
        self.addCleanup(daemon.stop)
        status, reply = server.get("/who", self.a)
        self.assertEqual((status, reply["sid"]), (200, "aaa"))
        self.assertEqual([reply["pid"]], workers)


class Sync(Gunicorn, unittest.TestCase):
    words = ("-k", "sync", "-w", "1")


class SyncPreloaded(Gunicorn, unittest.TestCase):
    words = ("-k", "sync", "-w", "1", "--preload")


class Gthread(Gunicorn, unittest.TestCase):
    words = ("-k", "gthread", "-w", "1", "--threads", "4")

    def meanwhile(self):
        # Among them the other threads of the pool.
        seen = {self.server.get("/who", self.b)[1]["sid"] for _ in range(10)}
        self.assertEqual(seen, {"bbb"})
        self.assertEqual({self.server.get("/outside/who")[1]["sid"] for _ in range(10)}, {None})


def load_tests(loader, tests, pattern):
    # The claims are the same for each kind of worker: name it.
    for suite in tests:
        for test in suite:
            kind = type(test).__name__.lower()
            test.shortDescription = lambda kind=kind, test=test: f"gunicorn {kind}: {test._testMethodDoc}"
    return tests
