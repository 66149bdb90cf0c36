# SPDX-License-Identifier: MIT
"""sessionfs.asgi, called as a server calls it, and under Debian's uvicorn."""

import asyncio
import base64
import errno
import json
import logging
import os
import socket
import threading
import unittest

import world

import sessionfs
from sessionfs import Header, Mount
from sessionfs.asgi import SessionMiddleware


class Asgi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = world.Daemon()
        cls.addClassCleanup(cls.daemon.stop)
        cls.mount = Mount(cls.daemon.path)
        cls.a = world.token("amina", "aaa")
        cls.b = world.token("bala", "bbb")
        logging.getLogger("sessionfs").addHandler(logging.NullHandler())

    def setUp(self):
        self.states = []

    async def app(self, scope, receive, send):
        self.states.append(scope["state"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    def scope(self, *headers, kind="http", **more):
        return {
            "type": kind,
            "method": "GET",
            "path": "/",
            "headers": [(name.encode(), value.encode()) for name, value in headers],
            **more,
        }

    def cookie(self, token):
        return ("cookie", f"theme=dark; sessionfs={token}")

    def call(self, scope, app=None, messages=(), token="sessionfs", mount=None, **options):
        """What was sent."""
        sent, left = [], list(messages)

        async def receive():
            return left.pop(0) if left else {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        middleware = SessionMiddleware(app or self.app, mount or self.mount, token=token, **options)
        asyncio.run(middleware(scope, receive, send))
        return sent

    def holders(self):
        return self.daemon.holders("aaa") + self.daemon.holders("bbb")

    def test_handle(self):
        """asgi: each request has a handle, which is gone when its response has ended"""
        seen = []

        async def app(scope, receive, send):
            root = scope["state"]["sessionfs_root"]
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"1", "more_body": True})
            seen.append(os.path.isdir(root))
            await send({"type": "http.response.body", "body": b"2"})
            seen.append(os.path.isdir(root))

        sent = self.call(self.scope(self.cookie(self.a)), app)
        self.assertEqual([one.get("body") for one in sent], [None, b"1", b"2"])
        self.assertEqual(seen, [True, False])
        self.assertEqual(self.holders(), [])

    def test_state(self):
        """asgi: a state that the server shares among requests is not written to"""
        shared = {"db": 1}
        self.call(self.scope(self.cookie(self.a), state=shared))
        self.assertEqual(shared, {"db": 1})
        self.assertEqual(self.states[0]["db"], 1)
        self.assertIn("/~", self.states[0]["sessionfs_root"])

    def test_sources(self):
        """asgi: the token may come in a header, or from a callable, plain or async"""

        async def later(scope):
            await asyncio.sleep(0)
            return self.a

        for token, header in (
            (Header("X-Token"), ("x-token", self.a)),
            (Header("Authorization"), ("authorization", f"bearer {self.a}")),
            (lambda scope: self.a, ("x", "y")),
            (later, ("x", "y")),
        ):
            self.assertEqual(self.call(self.scope(header), token=token)[0]["status"], 200)

    def test_refused(self):
        """asgi: without a valid token the answer is 401, with two 400, and the application is not called"""
        forged = world.token("amina", "aaa", key="forger")
        for headers, token, status in (
            ([], "sessionfs", 401),
            ([self.cookie("")], "sessionfs", 401),
            ([self.cookie(forged)], "sessionfs", 401),
            ([self.cookie(world.token("mallory", "aaa2", "1h", "issuer", "--aud", "x"))], "sessionfs", 401),
            ([self.cookie("A" * 10240)], "sessionfs", 401),
            ([self.cookie(self.a), self.cookie(self.b)], "sessionfs", 400),
            ([("cookie", f"sessionfs={self.a}; sessionfs={self.a}")], "sessionfs", 400),
            ([("x-token", self.a), ("x-token", self.a)], Header("X-Token"), 400),
        ):
            sent = self.call(self.scope(*headers), token=token)
            self.assertEqual([one["type"] for one in sent], ["http.response.start", "http.response.body"])
            self.assertEqual(sent[0]["status"], status)
            names = dict(sent[0]["headers"])
            self.assertEqual(names[b"content-length"], str(len(sent[1]["body"])).encode())
            self.assertEqual(b"www-authenticate" in names, status == 401)
        self.assertEqual(self.states, [])
        head = self.call(self.scope(method="HEAD"))
        self.assertEqual((head[0]["status"], head[1]["body"]), (401, b""))

    def test_optional(self):
        """asgi: with required=False a request without a valid token passes, with the error and no path"""
        forged = world.token("amina", "aaa", key="forger")
        for headers in ([], [self.cookie(forged)], [self.cookie(self.a), self.cookie(self.b)]):
            self.assertEqual(self.call(self.scope(*headers), required=False)[0]["status"], 200)
        self.assertEqual(
            [type(state["sessionfs_error"]) for state in self.states],
            [sessionfs.NotBound, sessionfs.SessionRefused, sessionfs.TokenAmbiguous],
        )
        self.assertFalse(any("sessionfs_root" in state for state in self.states))

    def test_unbound(self):
        """asgi: paths that need no session reach the application without a handle; others nearby have one"""
        for required in (True, False):
            for path in ("/login", "/static/a"):
                for cookies in ((), (self.cookie(self.a),)):
                    scope = self.scope(*cookies, path=path, state={})
                    self.assertEqual(self.call(scope, required=required, unbound=["/login", "/static/*"])[0]["status"], 200)
                    self.assertEqual(self.states.pop(), {})
            self.call(self.scope(self.cookie(self.a), path="/logins"), required=required, unbound=["/login", "/static/*"])
            self.assertIn("sessionfs_root", self.states.pop())
        self.assertEqual(self.call(self.scope(path="/login/x"), unbound=["/login"])[0]["status"], 401)

    def test_no_mount(self):
        """asgi: where no sessionfs is mounted the answer is 503, also with required=False"""
        for required in (True, False):
            sent = self.call(self.scope(self.cookie(self.a)), mount=world.T, required=required)
            self.assertEqual(sent[0]["status"], 503)
        self.assertEqual(self.states, [])

    def test_disconnect(self):
        """asgi: when the client disconnects the handle is gone, though the application goes on"""
        seen = []

        async def app(scope, receive, send):
            root = scope["state"]["sessionfs_root"]
            seen.append(((await receive())["type"], os.path.isdir(root)))
            seen.append(((await receive())["type"], os.path.isdir(root)))

        body = {"type": "http.request", "body": b"x", "more_body": True}
        self.call(self.scope(self.cookie(self.a)), app, [body])
        self.assertEqual(seen, [("http.request", True), ("http.disconnect", False)])

    def test_raises(self):
        """asgi: an application that raises, or is cancelled, leaves no handle"""

        async def fails(scope, receive, send):
            raise ValueError

        with self.assertRaises(ValueError):
            self.call(self.scope(self.cookie(self.a)), fails)
        self.assertEqual(self.holders(), [])

        async def main():
            inside = asyncio.Event()

            async def waits(scope, receive, send):
                inside.set()
                await asyncio.Event().wait()

            middleware = SessionMiddleware(waits, self.mount, token="sessionfs")
            task = asyncio.ensure_future(middleware(self.scope(self.cookie(self.a)), None, None))
            await inside.wait()
            self.assertEqual(len(self.holders()), 1)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        self.assertEqual(self.holders(), [])

    def test_silent(self):
        """asgi: an application that returns without an answer leaves no handle"""

        async def app(scope, receive, send):
            pass

        self.call(self.scope(self.cookie(self.a)), app)
        self.assertEqual(self.holders(), [])

    def test_lifespan(self):
        """asgi: scopes that are no requests pass as they are"""
        seen = []

        async def app(scope, receive, send):
            seen.append(scope)

        scope = {"type": "lifespan", "state": {}}
        self.call(scope, app)
        self.assertIs(seen[0], scope)

    def test_websocket(self):
        """asgi: a websocket has a handle until either side closes it"""
        seen = []

        async def app(scope, receive, send):
            root = scope["state"]["sessionfs_root"]
            await receive()
            await send({"type": "websocket.accept"})
            seen.append(os.path.isdir(root))
            if scope["path"] == "/leave":
                await send({"type": "websocket.close", "code": 1000})
            else:
                await receive()
            seen.append(os.path.isdir(root))

        messages = [{"type": "websocket.connect"}, {"type": "websocket.disconnect"}]
        for path in ("/leave", "/stay"):
            self.call(self.scope(self.cookie(self.a), kind="websocket", path=path), app, messages)
        self.assertEqual(seen, [True, False, True, False])

    def test_websocket_refused(self):
        """asgi: a websocket without a valid token is closed before it is accepted, or answered where that can be"""
        connect = [{"type": "websocket.connect"}]
        sent = self.call(self.scope(kind="websocket"), messages=connect)
        self.assertEqual([(one["type"], one.get("code")) for one in sent], [("websocket.close", 1008)])
        scope = self.scope(kind="websocket", extensions={"websocket.http.response": {}})
        sent = self.call(scope, messages=connect)
        self.assertEqual((sent[0]["type"], sent[0]["status"]), ("websocket.http.response.start", 401))
        self.assertEqual(sent[1]["type"], "websocket.http.response.body")
        self.assertEqual(self.states, [])

    def test_interleaved(self):
        """asgi: requests that take turns at every await find their own files, and not each other's"""
        n = 16
        tokens = [world.token(f"user{i}", f"asgi{i}") for i in range(n)]
        order, wrong = [], []

        async def app(scope, receive, send):
            i, root = scope["i"], scope["state"]["sessionfs_root"]
            for turn in range(10):
                with open(f"{root}/f", "w") as file:
                    await asyncio.sleep(0)
                    file.write(f"{i} {turn}")
                    order.append(i)
                    await asyncio.sleep(0)
                with open(f"{root}/f") as file:
                    await asyncio.sleep(0)
                    if file.read() != f"{i} {turn}":
                        wrong.append(i)
                try:
                    await asyncio.sleep(0)
                    os.stat(f"{self.mount.path}/asgi{(i + 1) % n}/f")
                    wrong.append(i)
                except OSError as error:
                    if error.errno != errno.ENOKEY:
                        wrong.append(error)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        async def request(i):
            async def send(message):
                await asyncio.sleep(0)

            middleware = SessionMiddleware(app, self.mount, token="sessionfs")
            await middleware(self.scope(self.cookie(tokens[i]), i=i), None, send)

        async def main():
            await asyncio.gather(*(request(i) for i in range(n)))

        asyncio.run(main())
        self.assertEqual(wrong, [])
        self.assertNotEqual(order, sorted(order), "they took turns")


class Uvicorn(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = world.Daemon()
        cls.addClassCleanup(cls.daemon.stop)
        cls.server = world.Server(world.UVICORN, cls.daemon.path, "asgi_app:application")
        cls.addClassCleanup(cls.server.stop)
        cls.a = world.token("amina", "aaa")
        cls.b = world.token("bala", "bbb")

    def outcome(self):
        outcomes = self.server.get("/outside/outcomes")[1]["outcomes"]
        return outcomes[-1] if outcomes else None

    def works(self):
        self.assertEqual(self.server.get("/", self.b), (200, {"listed": "ok", "thread": False}))

    def disconnected(self, before):
        """The application has heard that its client went, and its session was closed by then."""
        world.until(lambda: self.count() > before, "the application hears of it")
        self.assertEqual(self.outcome()[0], "disconnected")
        self.assertNotEqual(self.outcome()[1], "ok")
        self.assertEqual(self.daemon.holders("aaa"), [])
        self.works()

    def count(self):
        return len(self.server.get("/outside/outcomes")[1]["outcomes"])

    def test_request(self):
        """uvicorn: a request is in its session, and lifespan passes"""
        self.works()
        self.assertEqual(self.server.get("/outside/outcomes")[1]["lifespan"], ["startup"])

    def test_refused(self):
        """uvicorn: no token, a forged one, one of 10 KB, two of them: refused, and the next request works"""
        forged = world.token("amina", "aaa", key="forger")
        for headers, status in (
            ({}, 401),
            ({"Cookie": f"sessionfs={forged}"}, 401),
            ({"Cookie": "sessionfs=v4.public." + "A" * 10240}, 401),
            ({"Cookie": f"sessionfs={self.a}; sessionfs={self.b}"}, 400),
        ):
            self.assertEqual(self.server.get("/", **headers)[0], status)
            self.works()

    def test_raises(self):
        """uvicorn: an application that raises: 500, and no handle is left"""
        self.assertEqual(self.server.get("/fail", self.a)[0], 500)
        self.assertEqual(self.daemon.holders("aaa"), [])
        self.works()

    def test_users(self):
        """uvicorn: users whose uploads interleave find their own file, and none of each other's"""
        n, rounds, wrong, roots = 12, 5, [], []
        tokens = [world.token(f"user{i}", f"uv{i}") for i in range(n)]

        def user(i):
            client = self.server.client()
            try:
                for turn in range(rounds):
                    body = f"{i} {turn} ".encode() * 20000
                    # All are in the application at the same time: it waits for n.
                    status, reply = self.server.get(f"/upload?{n}", tokens[i], method="POST", body=body, client=client)
                    if status != 200 or not reply["same"] or reply["listed"] != ["table.csv"]:
                        wrong.append((i, status, reply))
                    roots.append(reply["root"])
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
        self.assertEqual(len(set(roots)), n * rounds, "a handle for each request")
        mount = Mount(self.daemon.path)
        for i in range(n):
            with mount.bound(tokens[i]) as root, open(f"{root}/table.csv") as file:
                self.assertEqual(set(file.read().split()), {str(i), str(rounds - 1)})

    def test_after(self):
        """uvicorn: when the response has ended the handle has"""
        before = self.count()
        self.assertEqual(self.server.get("/upload", self.a, method="POST", body=b"x")[0], 200)
        world.until(lambda: self.count() > before, "the application goes on")
        self.assertEqual(self.outcome()[0], "after the response")
        self.assertNotEqual(self.outcome()[1], "ok")

    def test_disconnect_upload(self):
        """uvicorn: a client that disconnects in mid-upload: its handle ends, and the next request works"""
        before = self.count()
        with socket.create_connection(("127.0.0.1", self.server.port), world.PATIENCE) as client:
            client.sendall(
                f"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
                f"Cookie: sessionfs={self.a}\r\n\r\n".encode() + b"x" * 1000
            )
            world.until(lambda: self.daemon.holders("aaa"), "the request is being served")
        self.disconnected(before)

    def test_disconnect_response(self):
        """uvicorn: a client that disconnects in mid-response: its handle ends"""
        before = self.count()
        client = self.server.client()
        client.request("GET", "/stream", headers={"Cookie": f"sessionfs={self.a}"})
        response = client.getresponse()
        self.assertEqual(response.readline(), b"half\n")
        self.assertEqual(len(self.daemon.holders("aaa")), 1)
        response.close()
        client.close()
        self.disconnected(before)

    def test_killed(self):
        """uvicorn: killed in mid-request its handle is gone, and a new one serves"""
        server = world.Server(world.UVICORN, self.daemon.path, "asgi_app:application")
        self.addCleanup(server.stop)
        client = server.client()
        client.request("GET", "/stream", headers={"Cookie": f"sessionfs={self.a}"})
        self.assertEqual(client.getresponse().readline(), b"half\n")
        self.assertEqual(len(self.daemon.holders("aaa")), 1)
        server.process.kill()
        server.process.wait()
        client.close()
        world.until(lambda: self.daemon.holders("aaa") == [], "the handle is gone")
        self.works()

    def test_no_mount(self):
        """uvicorn: no mount, another filesystem, a daemon of another protocol: 503, the log says why; mounted, it serves"""
        path = f"{world.T}/uvicorn-mount"
        server = world.Server(world.UVICORN, path, "asgi_app:application")
        self.addCleanup(server.stop)
        for words in world.no_mounts(path):
            said = len(server.said())
            status, body = server.get("/", self.a)
            self.assertEqual((status, body), (503, "Sessions are not available here at the moment.\n"))
            self.assertIn(words, server.said()[said:])
        daemon = world.Daemon(path=path)
        self.addCleanup(daemon.stop)
        self.assertEqual(server.get("/", self.a)[0], 200)

    def websocket(self, token):
        """A connected websocket, or the status that was answered."""
        client = socket.create_connection(("127.0.0.1", self.server.port), world.PATIENCE)
        key = base64.b64encode(os.urandom(16)).decode()
        cookie = f"Cookie: sessionfs={token}\r\n" if token else ""
        client.sendall(
            f"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{cookie}"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        stream = client.makefile("rb")
        status = int(stream.readline().split()[1])
        while stream.readline().strip():
            pass
        return client, stream, status

    def test_websocket(self):
        """uvicorn: a websocket is in its session until it is closed, and refused without a token"""
        before = self.count()
        client, stream, status = self.websocket(self.a)
        self.assertEqual(status, 101)
        opcode, length = stream.read(2)
        self.assertEqual((opcode, json.loads(stream.read(length))), (0x81, {"listed": "ok"}))
        self.assertEqual(len(self.daemon.holders("aaa")), 1)
        # A close frame: of a mere end of file this uvicorn says nothing to the application.
        client.sendall(bytes([0x88, 0x80, 0, 0, 0, 0]))
        self.disconnected(before)
        stream.close()
        client.close()
        client, stream, status = self.websocket(None)
        stream.close()
        client.close()
        self.assertEqual(status, 403)
        self.works()
