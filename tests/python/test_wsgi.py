# SPDX-License-Identifier: MIT
"""sessionfs.wsgi, called as a server calls it."""

import errno
import gc
import io
import logging
import unittest
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import world

import sessionfs
from sessionfs import Cookie, Header, Mount
from sessionfs.wsgi import SessionMiddleware


class Wsgi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = world.Daemon()
        cls.addClassCleanup(cls.daemon.stop)
        cls.mount = Mount(cls.daemon.path)
        cls.a = world.token("amina", "aaa")
        cls.b = world.token("bala", "bbb")
        cls.forged = world.token("amina", "aaa", key="forger")
        logging.getLogger("sessionfs").addHandler(logging.NullHandler())

    def setUp(self):
        self.seen = []  # (path of the session, who) for each call of the application

    def app(self, environ, start_response):
        self.seen.append((environ.get("sessionfs.root"), self.mount.whoami().sid))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]

    def call(self, app=None, environ=None, token="sessionfs", close=True, **options):
        """Status, headers, body; the response itself too if it is not to be closed."""
        environ = dict(environ or {})
        setup_testing_defaults(environ)
        got = []

        def start_response(status, headers, exc_info=None):
            got[:] = [int(status.split()[0]), dict(headers)]

        middleware = SessionMiddleware(app or self.app, self.mount, token=token, **options)
        response = middleware(environ, start_response)
        if not close:
            return response
        try:
            body = b"".join(response)
        finally:
            if hasattr(response, "close"):
                response.close()
        self.assertFalse(self.mount.whoami().bound, "unbound after the request")
        return got[0], got[1], body

    def cookie(self, token):
        return {"HTTP_COOKIE": f"theme=dark; sessionfs={token}; other=1"}

    def test_cookie(self):
        """wsgi: the token of the cookie binds the request, and the application gets the session's path"""
        self.assertEqual(self.call(environ=self.cookie(self.a))[::2], (200, b"done"))
        self.assertEqual(self.seen, [(f"{self.mount.path}/self", "aaa")])

    def test_sources(self):
        """wsgi: the token may come in a header, as Authorization: Bearer, or from a callable"""
        for token, environ in (
            (Cookie("sid"), {"HTTP_COOKIE": f"sid={self.a}"}),
            (Header("X-Session-Token"), {"HTTP_X_SESSION_TOKEN": self.a}),
            (Header("Authorization"), {"HTTP_AUTHORIZATION": f"Bearer {self.a}"}),
            (lambda environ: environ["my.token"], {"my.token": self.a}),
        ):
            self.assertEqual(self.call(environ=environ, token=token)[0], 200)
        self.assertEqual([sid for _, sid in self.seen], ["aaa"] * 4)
        with self.assertRaises(TypeError):
            SessionMiddleware(self.app, self.mount, token=7)

    def test_release(self):
        """wsgi: release= names the application's release in each binding"""
        holders = []

        def app(environ, start_response):
            holders.extend(self.daemon.holders("aaa"))
            return self.app(environ, start_response)

        self.call(app, self.cookie(self.a), release="2026.03")
        self.assertEqual([one["release"] for one in holders], ["2026.03"])

    def test_refused(self):
        """wsgi: without a valid token the answer is 401, and the application is not called"""
        revoked = world.token("amina", "over")
        with self.mount.bound(revoked):
            self.daemon.admin("revoke over")
        expired = world.expired("amina", "aaa")
        for environ, words in (
            ({}, b"log in"),
            ({"HTTP_COOKIE": "sessionfs="}, b"log in"),
            ({"HTTP_COOKIE": "sessionfs"}, b"log in"),
            (self.cookie("nonsense"), b"not accepted"),
            (self.cookie(f'"{self.a}"'), b"not accepted"),
            (self.cookie(self.forged), b"not accepted"),
            (self.cookie(world.token("mallory", "aaa")), b"not accepted"),
            (self.cookie(expired), b"expired"),
            (self.cookie(revoked), b"was ended"),
            (self.cookie("v4.public." + "A" * 10240), b"not accepted"),
        ):
            with self.assertLogs("sessionfs", "WARNING") as logs:
                status, headers, body = self.call(environ=environ)
            self.assertEqual(status, 401)
            self.assertIn(words, body)
            self.assertEqual(headers["Content-Length"], str(len(body)))
            self.assertIn("Bearer", headers["WWW-Authenticate"])
            self.assertEqual(headers["Cache-Control"], "no-store")
            self.assertNotIn("v4.public", "".join(logs.output))
            self.assertNotIn(self.mount.path.encode(), body)
        self.assertEqual(self.seen, [])
        self.assertEqual(self.call(environ=self.cookie(self.a))[0], 200)

    def test_twice(self):
        """wsgi: a cookie or a header that is given twice is 400, even where both are good"""
        for token, environ in (
            ("sessionfs", {"HTTP_COOKIE": f"sessionfs={self.a}; sessionfs={self.b}"}),
            ("sessionfs", {"HTTP_COOKIE": f"sessionfs={self.a}; x=y; sessionfs={self.a}"}),
            ("sessionfs", {"HTTP_COOKIE": f"sessionfs={self.a};sessionfs="}),
        ):
            status, headers, body = self.call(environ=environ, token=token)
            self.assertEqual(status, 400)
            self.assertIn(b"More than one session token", body)
        for name, value in (("HTTP_X_TOKEN", f"{self.a},{self.b}"), ("HTTP_X_TOKEN", f"{self.a}, {self.a}")):
            self.assertEqual(self.call(environ={name: value}, token=Header("X-Token"))[0], 401)
        self.assertEqual(self.seen, [])

    def test_optional(self):
        """wsgi: with required=False a request without a valid token passes, unbound, with the error"""
        errors = []

        def app(environ, start_response):
            errors.append(environ.get("sessionfs.error"))
            return self.app(environ, start_response)

        twice = {"HTTP_COOKIE": f"sessionfs={self.a}; sessionfs={self.b}"}
        for environ in ({}, self.cookie(self.forged), twice, self.cookie(self.a)):
            self.assertEqual(self.call(app, environ, required=False)[0], 200)
        self.assertEqual([sid for _, sid in self.seen], [None, None, None, "aaa"])
        self.assertEqual(
            [type(error) for error in errors],
            [sessionfs.NotBound, sessionfs.SessionRefused, sessionfs.TokenAmbiguous, type(None)],
        )

    def test_unbound(self):
        """wsgi: paths that need no session reach the application unbound, and cost the mount nothing; others nearby are bound"""
        unbound = ["/login", "/static/*"]
        for required in (True, False):
            for path in ("/login", "/static/", "/static/a/b"):
                for environ in ({}, self.cookie(self.a), self.cookie(self.forged)):
                    self.seen.clear()
                    before = self.daemon.requests()["write"]
                    status = self.call(environ={**environ, "PATH_INFO": path}, required=required, unbound=unbound)[0]
                    self.assertEqual((status, self.seen), (200, [(None, None)]))
                    self.assertEqual(self.daemon.requests()["write"], before)
            for path in ("/", "/login/", "/login/x", "/logins", "/static", "/x/static/a", "/LOGIN"):
                self.seen.clear()
                environ = {**self.cookie(self.a), "PATH_INFO": path}
                self.assertEqual(self.call(environ=environ, required=required, unbound=unbound)[0], 200)
                self.assertEqual([sid for _, sid in self.seen], ["aaa"])
        self.assertEqual(self.call(environ={"PATH_INFO": "/login/x"}, unbound=unbound)[0], 401)
        for bad, kind in (("/login", TypeError), (["login"], ValueError)):
            with self.assertRaises(kind):
                SessionMiddleware(self.app, self.mount, token="sessionfs", unbound=bad)

    def test_no_mount(self):
        """wsgi: where no sessionfs is mounted the answer is 503, also with required=False"""
        for required in (True, False):
            middleware = SessionMiddleware(self.app, world.T, token="sessionfs", required=required)
            environ = self.cookie(self.a)
            setup_testing_defaults(environ)
            got = []
            body = b"".join(middleware(environ, lambda status, headers: got.append(status)))
            self.assertEqual(got, ["503 Service Unavailable"])
            self.assertNotIn(world.T.encode(), body)
        self.assertEqual(self.seen, [])

    def test_streamed(self):
        """wsgi: a streamed response is in the session to its end, and its close() too"""
        seen = []

        def app(environ, start_response):
            start_response("200 OK", [])
            try:
                for _ in range(3):
                    seen.append(self.mount.whoami().sid)
                    yield b"x"
            finally:
                seen.append(self.mount.whoami().sid)

        self.assertEqual(self.call(app, self.cookie(self.a))[2], b"xxx")
        self.assertEqual(seen, ["aaa"] * 4)

    def test_closed_early(self):
        """wsgi: a streamed response that is closed before its end, or never read, unbinds"""
        closed = []

        class Body:
            def __iter__(self):
                return iter([b"1", b"2"])

            def close(body):
                closed.append(self.mount.whoami().sid)

        def app(environ, start_response):
            start_response("200 OK", [])
            return Body()

        for read in (0, 1):
            response = self.call(app, self.cookie(self.a), close=False)
            for _ in range(read):
                next(iter(response))
            self.assertEqual(self.mount.whoami().sid, "aaa")
            response.close()
            response.close()
            self.assertFalse(self.mount.whoami().bound)
        self.assertEqual(closed, ["aaa", "aaa"])

    def test_dropped(self):
        """wsgi: a response that is dropped without close() unbinds; and one that is kept, by the next request"""
        response = self.call(None, self.cookie(self.a), close=False)
        self.assertEqual(self.mount.whoami().sid, "aaa")
        del response
        gc.collect()
        self.assertFalse(self.mount.whoami().bound)

        kept = self.call(None, self.cookie(self.a), close=False)
        self.assertEqual(self.call(None, {})[0], 401)
        kept = self.call(None, self.cookie(self.a), close=False)
        self.seen.clear()
        self.assertEqual(self.call(None, {}, required=False)[0], 200)
        self.assertEqual(self.seen, [(None, None)])
        second = self.call(None, self.cookie(self.b), close=False)
        kept.close()
        self.assertEqual(self.mount.whoami().sid, "bbb", "the late close of another request")
        second.close()

    def test_raises(self):
        """wsgi: an application that raises, before, within or in closing its response, unbinds"""

        def at_once(environ, start_response):
            raise ValueError

        def within(environ, start_response):
            yield b"x"
            raise ValueError

        class Closing:
            def __iter__(self):
                return iter([])

            def close(self):
                raise ValueError

        for app in (at_once, within, lambda environ, start_response: Closing()):
            with self.assertRaises(ValueError):
                self.call(app, self.cookie(self.a))
            self.assertFalse(self.mount.whoami().bound)

        def leaves(environ, start_response):
            raise SystemExit

        with self.assertRaises(SystemExit):
            self.call(leaves, self.cookie(self.a))
        self.assertFalse(self.mount.whoami().bound)

    def test_head(self):
        """wsgi: a HEAD request is bound, and refused without a body"""
        environ = dict(self.cookie(self.a), REQUEST_METHOD="HEAD")
        self.assertEqual(self.call(environ=environ)[0], 200)
        self.assertEqual(self.seen[0][1], "aaa")
        status, headers, body = self.call(environ={"REQUEST_METHOD": "HEAD"})
        self.assertEqual((status, body), (401, b""))

    def test_file(self):
        """wsgi: the server's own file wrapper stays what it is, and closing it unbinds"""
        with self.mount.bound(self.a) as root, open(f"{root}/f", "wb") as file:
            file.write(b"amina's")
        files = []

        def app(environ, start_response):
            start_response("200 OK", [])
            files.append(open(environ["sessionfs.root"] + "/f", "rb"))
            return environ["wsgi.file_wrapper"](files[0])

        environ = dict(self.cookie(self.a), **{"wsgi.file_wrapper": FileWrapper})
        response = self.call(app, environ, close=False)
        self.assertIsInstance(response, FileWrapper)
        self.assertEqual(self.mount.whoami().sid, "aaa")
        self.assertEqual(b"".join(response), b"amina's")
        response.close()
        self.assertTrue(files[0].closed)
        self.assertFalse(self.mount.whoami().bound)

    def test_refused_upload(self):
        """wsgi: a refused upload is read, within bounds, so that the client hears the answer"""
        for length, left in ((1000, 0), (3 << 20, 2 << 20), (0, 0)):
            body = io.BytesIO(b"x" * length)
            environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(length), "wsgi.input": body}
            self.assertEqual(self.call(environ=environ)[0], 401)
            self.assertEqual(len(body.read()), left)
        for bad in ("x", "-1"):
            environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": bad, "wsgi.input": io.BytesIO(b"x")}
            self.assertEqual(self.call(environ=environ)[0], 401)

    def test_cost(self):
        """wsgi: a request costs two requests to the filesystem, with a token seen before"""

        def app(environ, start_response):
            start_response("200 OK", [])
            return [b"done"]

        def request():
            response = self.call(app, self.cookie(self.a), close=False)
            list(response)
            response.close()

        request()
        first, second = self.daemon.requests(), self.daemon.requests()
        for _ in range(50):
            request()
        third = self.daemon.requests()
        spent = {op: third[op] - 2 * second[op] + first[op] for op in third}
        self.assertEqual({op: count for op, count in spent.items() if count}, {"write": 100})

    def test_specification(self):
        """wsgi: the middleware keeps PEP 3333, as wsgiref's validator sees it"""
        for environ in (self.cookie(self.a), {}):
            environ = dict(environ, REQUEST_METHOD="GET", QUERY_STRING="")
            setup_testing_defaults(environ)

            def app(environ, start_response):
                start_response("200 OK", [("Content-Type", "text/plain")])
                return [b"done"]

            both = validator(SessionMiddleware(validator(app), self.mount, token="sessionfs"))
            response = both(environ, lambda status, headers, exc_info=None: None)
            list(response)
            response.close()

    def test_context(self):
        """wsgi: what the application raises does not carry the refusal of a request that passed"""

        def fails(environ, start_response):
            self.assertEqual(environ["sessionfs.error"].errno, errno.EKEYREJECTED)
            raise ValueError

        with self.assertRaises(ValueError) as caught:
            self.call(fails, self.cookie(self.forged), required=False)
        self.assertIsNone(caught.exception.__context__)
