# SPDX-License-Identifier: MIT
"""mint, through the C library."""

import errno
import json
import os
import subprocess
import threading
import unittest
from datetime import datetime
from unittest import mock

import world

import sessionfs
from sessionfs import Mount, mint


class Mint(unittest.TestCase):
    def setUp(self):
        self.key = f"{world.T}/issuer/issuer.key"

    def claims(self, token):
        words = [f"{world.BUILD}/session-token", "verify", "--keys", f"{world.T}/keys.d"]
        result = subprocess.run(words, input=token, check=True, capture_output=True, text=True)
        return json.loads(result.stdout)["claims"]

    def test_mint(self):
        """mint: a token with the claims it was given, that the daemon takes"""
        token = mint(self.key, "amina@example.org", "march", ttl=60, claims={"role": "é", "n": [1]})
        claims = self.claims(token)
        self.assertEqual(
            {key: claims[key] for key in ("sub", "sid", "aud", "role", "n")},
            {"sub": "amina@example.org", "sid": "march", "aud": "sessionfs", "role": "é", "n": [1]},
        )
        times = [datetime.fromisoformat(claims[key].replace("Z", "+00:00")) for key in ("iat", "exp")]
        self.assertEqual((times[1] - times[0]).total_seconds(), 60)
        daemon = world.Daemon()
        self.addCleanup(daemon.stop)
        with Mount(daemon.path).bound(token):
            self.assertEqual(Mount(daemon.path).whoami().sub, "amina@example.org")

    def test_random(self):
        """mint: without a sid it is random, and a token is good for eight hours"""
        claims = [self.claims(mint(self.key, "amina")) for _ in range(2)]
        self.assertNotEqual(claims[0]["sid"], claims[1]["sid"])
        self.assertGreaterEqual(len(claims[0]["sid"]), 22)
        times = [datetime.fromisoformat(claims[0][key].replace("Z", "+00:00")) for key in ("iat", "exp")]
        self.assertEqual((times[1] - times[0]).total_seconds(), 8 * 3600)

    def test_claims(self):
        """mint: a claim that breaks its rule is ValueError, and nothing is cut short in silence"""
        for sub, sid, more in (
            ("", None, {}),
            ("x" * 256, None, {}),
            ("a\nb", None, {}),
            ("amina\0mallory", None, {}),
            ("\ud800", None, {}),
            ("amina", "self", {}),
            ("amina", "../x", {}),
            ("amina", "", {}),
            ("amina", "x\0y", {}),
            ("amina", None, {"ttl": 0}),
            ("amina", None, {"ttl": -1}),
            ("amina", None, {"ttl": 1 << 64}),
            ("amina", None, {"audience": "a\0b"}),
            ("amina", None, {"claims": {"big": "x" * 5000}}),
            ("amina", None, {"claims": {"sub": "mallory"}}),
        ):
            with self.assertRaises(ValueError, msg=(sub, sid, more)):
                mint(self.key, sub, sid, **more)

    def test_key(self):
        """mint: a key file that is missing, open to others or no key is an OSError that names it"""
        loose, empty = f"{world.T}/loose.key", f"{world.T}/empty.key"
        with open(self.key) as good, open(loose, "w") as file:
            file.write(good.read())
        os.chmod(loose, 0o644)
        os.close(os.open(empty, os.O_CREAT | os.O_WRONLY, 0o600))
        for path, number in ((f"{world.T}/none", errno.ENOENT), (loose, errno.EPERM), (empty, errno.EBADMSG)):
            with self.assertRaises(OSError) as caught:
                mint(path, "amina")
            self.assertEqual((caught.exception.errno, caught.exception.filename), (number, path))
        with self.assertRaises(ValueError):
            mint(self.key + "\0", "amina")

    def test_threads(self):
        """mint: threads may mint at the same time"""
        tokens = []
        threads = [
            threading.Thread(target=lambda i=i: tokens.extend(mint(self.key, f"user{i}") for _ in range(20)))
            for i in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len({self.claims(token)["sid"] for token in tokens}), 80)

    def test_no_library(self):
        """mint: without the C library a SessionError says what to install, and all else works"""
        self.addCleanup(sessionfs._mint._library.cache_clear)
        for name in (f"{world.T}/none.so", f"{world.BUILD}/session-token", "libc.so.6"):
            sessionfs._mint._library.cache_clear()
            with mock.patch.dict(os.environ, SESSIONFS_LIBRARY=name):
                with self.assertRaisesRegex(sessionfs.SessionError, "libsessionfs.so.1") as caught:
                    mint(self.key, "amina")
                self.assertEqual(caught.exception.errno, errno.ELIBACC)
