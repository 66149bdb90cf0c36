# SPDX-License-Identifier: MIT
"""sessionfs.flask: the two-line form, in process and under gunicorn with several threads."""

import errno
import http.cookies
import json
import os
import shutil
import socket
import subprocess
import threading
import unittest
import uuid

import flask
import world

import sessionfs
from sessionfs import Mount
from sessionfs.flask import SessionFS


class Flask(unittest.TestCase):
    """The application runs as nobody, with a key of its own user."""

    @classmethod
    def setUpClass(cls):
        cls.daemon = world.Daemon()
        cls.addClassCleanup(cls.daemon.stop)
        cls.key = f"{world.T}/flask.key"
        shutil.copy(f"{world.T}/issuer/issuer.key", cls.key)
        os.chmod(cls.key, 0o600)
        os.chown(cls.key, world.NOBODY, world.NOBODY)
        words = ("-k", "gthread", "-w", "2", "--threads", "3", "flask_app:app")
        cls.server = world.Server(world.GUNICORN, cls.daemon.path, *words, KEY=cls.key)
        cls.addClassCleanup(cls.server.stop)

    def post(self, path, fields, token=None, file=None, client=None):
        """Status, headers, body."""
        boundary = uuid.uuid4().hex
        body = b""
        for name, value in fields.items():
            body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        if file is not None:
            body += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'.encode()
            body += file + b"\r\n"
        body += f"--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        if token is not None:
            headers["Cookie"] = f"sessionfs={token}"
        own = client or self.server.client()
        try:
            own.request("POST", path, body=body, headers=headers)
            response = own.getresponse()
            return response.status, response.headers, response.read()
        finally:
            if not client:
                own.close()

    def login(self, user, sid=None):
        status, headers, _ = self.post("/login", {"user": user, **({"sid": sid} if sid else {})})
        self.assertEqual(status, 302)
        return http.cookies.SimpleCookie(headers["Set-Cookie"])["sessionfs"], headers

    def test_cookie(self):
        """flask: login's cookie is Secure, HttpOnly, SameSite=Lax, and lasts as long as the token"""
        cookie, headers = self.login("amina")
        self.assertEqual((cookie["secure"], cookie["httponly"], cookie["samesite"]), (True, True, "Lax"))
        self.assertEqual((cookie["path"], cookie["domain"], cookie["max-age"]), ("/", "", "28800"))
        self.assertEqual(headers["Cache-Control"], "no-store")
        who = self.server.get("/", cookie.value)[1]["whoami"]
        self.assertEqual(len(who), 32)
        self.assertNotEqual(who, self.server.get("/", self.login("amina")[0].value)[1]["whoami"], "a new session")

    def test_logout(self):
        """flask: logout takes the cookie away"""
        status, headers, _ = self.post("/logout", {}, self.login("amina")[0].value)
        cookie = http.cookies.SimpleCookie(headers["Set-Cookie"])["sessionfs"]
        self.assertEqual((cookie.value, cookie["max-age"]), ("", "0"))

    def test_incident(self):
        """flask: an id that another user's browser remembered is refused by the mount, and nothing is mixed"""
        amina, bala = self.login("amina", "amina-1")[0].value, self.login("bala", "bala-1")[0].value
        status, _, body = self.post("/upload/table.csv", {"session_id": "amina-1"}, amina, b"amina's")
        self.assertEqual((status, json.loads(body)), (200, {"files": ["table.csv"]}))
        status, _, body = self.post("/upload/table.csv", {"session_id": "amina-1"}, bala, b"bala's")
        self.assertNotEqual(status, 200)
        self.assertEqual(self.server.get("/mine/table.csv", amina), (200, "amina's"))
        self.assertNotEqual(self.server.get("/mine/table.csv", bala)[0], 200)

    def test_unbound(self):
        """flask: without a valid token a view runs unbound, and what needs a session is 401"""
        self.assertEqual(self.server.get("/"), (200, {"whoami": None}))
        self.assertEqual(self.server.get("/", world.token("amina", "x", key="forger")), (200, {"whoami": None}))
        for token, words in ((None, "log in"), (world.token("amina", "x", key="forger"), "not accepted")):
            status, body = self.server.get("/mine/table.csv", token)
            self.assertEqual(status, 401)
            self.assertIn(words, body)
        # open() in a view raises a plain OSError with ENOKEY.
        status, _, body = self.post("/upload/x", {"session_id": "nobody-1"}, None, b"x")
        self.assertEqual((status, b"log in" in body), (401, True))

    def test_revoked_within(self):
        """flask: a session that ends while a view works in it is 401"""
        cookie = self.login("amina", "over")[0].value
        self.assertEqual(self.server.get("/", cookie)[1]["whoami"], "over")
        self.daemon.admin("revoke over")
        self.assertEqual(self.server.get("/", cookie), (200, {"whoami": None}))
        status, body = self.server.get("/mine/x", cookie)
        self.assertEqual((status, "was ended" in body), (401, True))

    def test_disconnect(self):
        """flask: a browser that goes away in mid-upload leaves nothing bound, no file, and workers that serve"""
        cookie = self.login("amina", "halfway")[0].value
        head = (
            'POST /upload/half.csv HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n'
            f'Content-Length: 1000000\r\nCookie: sessionfs={cookie}\r\n\r\n--b\r\n'
            'Content-Disposition: form-data; name="session_id"\r\n\r\nhalfway\r\n--b\r\n'
            'Content-Disposition: form-data; name="file"; filename="f"\r\n\r\nhalf'
        )
        for _ in range(6):  # each thread of both workers, or nearly
            with socket.create_connection(("127.0.0.1", self.server.port), world.PATIENCE) as client:
                client.sendall(head.encode())
                world.until(lambda: self.daemon.holders("halfway"), "the request is being served")
            world.until(lambda: self.daemon.holders("halfway") == [], "nobody is in that session")
        self.assertNotEqual(self.server.get("/mine/half.csv", cookie)[0], 200)
        for _ in range(6):
            self.assertEqual(self.server.get("/", cookie)[1]["whoami"], "halfway")

    def test_users(self):
        """flask: users who all send one remembered id at the same time never get into each other's session"""
        n, wrong = 8, []
        cookies = [self.login(f"user{i}", f"flask{i}")[0].value for i in range(n)]

        def user(i):
            client = self.server.client()
            try:
                for turn in range(8):
                    mine = self.post(f"/upload/{i}.csv", {"session_id": f"flask{i}"}, cookies[i], b"%d" % i, client)
                    if mine[0] != 200 or json.loads(mine[2]) != {"files": [f"{i}.csv"]}:
                        wrong.append((i, mine))
                    if i:
                        other = self.post(f"/upload/{i}.csv", {"session_id": "flask0"}, cookies[i], b"%d" % i, client)
                        if other[0] == 200:
                            wrong.append((i, other))
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

    def command(self, *words, user=None):
        return subprocess.run(
            ["/usr/bin/python3", "-m", "flask", "--app", "flask_app", "sessions", *words],
            cwd=f"{world.T}/python",
            env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": f"{world.T}/python",
                 "MOUNT": self.daemon.path},
            capture_output=True, text=True, user=user,
        )

    def test_command(self):
        """flask: `flask sessions` lists who is in, as a table and as JSON, and says to whom it does not"""
        mount = Mount(self.daemon.path)
        with mount.bound(world.token("zainab", "listed"), "2026.03"):
            table, report = self.command(), self.command("--json")
        lines = [line.split() for line in table.stdout.splitlines()]
        self.assertEqual(lines[0], ["SID", "USER", "STATE", "HOLDERS", "EXPIRES", "RELEASE"])
        row = [line for line in lines if line[0] == "listed"][0]
        self.assertEqual((row[1:4], row[5]), (["zainab", "live", "1"], "2026.03"))
        self.assertIn("listed", [one["sid"] for one in json.loads(report.stdout)["sessions"]])
        refused = self.command(user=world.NOBODY)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("only root", refused.stderr)


class Configuration(unittest.TestCase):
    def app(self, **config):
        app = flask.Flask("app", instance_path=f"{world.T}/instance", root_path=world.T)
        app.config.update(config)
        return app


    def test_defaults(self):
        """flask: the mount is instance/uploads, and a relative one is of the application"""
        self.assertEqual(SessionFS(self.app()).mount.path, f"{world.T}/instance/uploads")
        self.assertEqual(SessionFS(self.app(SESSIONFS_MOUNT="up")).mount.path, f"{world.T}/up")
        later = SessionFS()
        later.init_app(self.app(SESSIONFS_MOUNT="/srv/up"))
        self.assertEqual(later.mount.path, "/srv/up")

    def test_no_key(self):
        """flask: login without a key says which to configure"""
        app = self.app()
        sessions = SessionFS(app)
        with app.test_request_context():
            with self.assertRaisesRegex(RuntimeError, "SESSIONFS_KEY"):
                sessions.login("x", "amina")

    def test_required(self):
        """flask: SESSIONFS_REQUIRED answers 401 before any view, SESSIONFS_COOKIE names the cookie"""
        daemon = world.Daemon()
        self.addCleanup(daemon.stop)
        key = f"{world.T}/issuer/issuer.key"
        app = self.app(
            SESSIONFS_MOUNT=daemon.path, SESSIONFS_REQUIRED=True, SESSIONFS_COOKIE="__Host-s", SESSIONFS_KEY=key
        )
        sessions = SessionFS(app)

        @app.get("/")
        def index():
            return sessions.mount.whoami().sid

        client = app.test_client(use_cookies=False)
        self.assertEqual(client.get("/").status_code, 401)
        with app.test_request_context():
            cookie = sessions.login("ok", "amina", "aaa").headers["Set-Cookie"]
        self.assertTrue(cookie.startswith("__Host-s="))
        pair = cookie.split(";")[0]
        self.assertEqual(client.get("/", headers={"Cookie": pair}).get_data(as_text=True), "aaa")
        twice = client.get("/", headers={"Cookie": f"{pair}; {pair}"})
        self.assertEqual(twice.status_code, 400)

    def test_handlers(self):
        """flask: the application's own handlers get the errors of the mount, and all others as they were"""
        app = self.app(SESSIONFS_MOUNT=world.T)
        SessionFS(app)
        seen = []

        @app.errorhandler(sessionfs.SessionExpired)
        def expired(error):
            seen.append(error)
            return "expired", 302

        @app.errorhandler(Exception)
        def others(error):
            seen.append(error)
            return "other", 500

        @app.get("/<int:number>")
        def fail(number):
            raise OSError(number, "x")

        client = app.test_client()
        self.assertEqual(client.get(f"/{errno.EKEYEXPIRED}").status_code, 302)
        self.assertEqual(client.get(f"/{errno.ENOKEY}").status_code, 401)
        self.assertEqual(client.get(f"/{errno.ENOSPC}").status_code, 500)
        self.assertEqual([one.errno for one in seen], [errno.EKEYEXPIRED, errno.ENOSPC])
