# SPDX-License-Identifier: MIT
"""Debian's Chromium, without a screen, driven over WebDriver: as much of it as is needed here."""

import base64
import http.client
import json
import os
import re
import shutil
import signal
import subprocess

import deployment
import world
from world import PATIENCE, until

CHROMIUM = "/usr/bin/chromium"
DRIVER = "/usr/bin/chromedriver"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # WebDriver's name for "this is an element"
SIZE = "900,760"

# Root can't have the sandbox. The others keep it from looking for hosts that are not this one.
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars""".split()


class Driver(world.Process):
    """A chromedriver, and all that it starts: they have a home below world.T, by which they are found in the end."""

    def __init__(self):
        self.home = f"{world.T}/browser"
        os.mkdir(self.home)
        os.chown(self.home, world.NOBODY, world.NOBODY)
        log = f"{world.T}/chromedriver.log"
        super().__init__([DRIVER, "--port=0"], log, HOME=self.home, TMPDIR=self.home, XDG_RUNTIME_DIR=self.home)
        self.port = None
        until(self._look, "chromedriver listens")
        if not self.port:
            raise AssertionError("chromedriver does not start: " + open(log).read())

    def _look(self):
        with open(self.log) as log:
            found = re.search(r"started successfully on port (\d+)", log.read())
        self.port = found and int(found[1])
        return self.port or self.process.poll() is not None

    def stop(self):
        super().stop()
        for pid in self._left():
            os.kill(pid, signal.SIGKILL)
        until(lambda: not self._left(), "the browsers have ended")

    def _left(self):
        left = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/comm") as comm:
                    if not comm.read().startswith("chrom"):
                        continue
                with open(f"/proc/{pid}/cmdline", "rb") as line, open(f"/proc/{pid}/environ", "rb") as environ:
                    if (self.home.encode() + b"/") in line.read() or f"HOME={self.home}\0".encode() in environ.read():
                        left.append(int(pid))
            except OSError:
                pass  # ended meanwhile
        return left

    def ask(self, method, path, body=None):
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            text = None if method != "POST" else json.dumps(body or {})
            client.request(method, path, body=text, headers={"Content-Type": "application/json"})
            value = json.loads(client.getresponse().read())["value"]
        finally:
            client.close()
        if isinstance(value, dict) and "error" in value:
            raise AssertionError(f"{method} {path}: {value['error']}: {value['message']}")
        return value


class Profile:
    """A Chromium with a profile directory, which stays when it is closed."""

    def __init__(self, driver, directory):
        self.driver = driver
        self.directory = directory
        options = {"binary": CHROMIUM, "args": [*FLAGS, f"--window-size={SIZE}", f"--user-data-dir={directory}"]}
        capabilities = {"alwaysMatch": {"goog:chromeOptions": options}}
        session = driver.ask("POST", "/session", {"capabilities": capabilities})
        self.path = f"/session/{session['sessionId']}"
        self._current = None

    def close(self):
        self.driver.ask("DELETE", self.path)

    def copied(self, directory):
        """The profile of a browser that was closed, copied: as to the next computer of a training."""
        shutil.copytree(self.directory, directory, symlinks=True)
        for name in ("SingletonLock", "SingletonCookie", "SingletonSocket"):
            if os.path.lexists(f"{directory}/{name}"):
                os.unlink(f"{directory}/{name}")
        for at, directories, files in os.walk(directory):
            for name in (*directories, *files):
                os.lchown(os.path.join(at, name), world.NOBODY, world.NOBODY)
        os.chown(directory, world.NOBODY, world.NOBODY)
        return Profile(self.driver, directory)

    def ask(self, method, path, body=None):
        return self.driver.ask(method, self.path + path, body)

    def tabs(self, url, count):
        """That many tabs, with the page in each."""
        tabs = [self.ask("GET", "/window")]
        while len(tabs) < count:
            tabs.append(self.ask("POST", "/window/new", {"type": "tab"})["handle"])
        self._current = None
        tabs = [Tab(self, handle) for handle in tabs]
        for tab in tabs:
            tab.go(url)
        return tabs


class Tab:
    """The application's page, as a user handles it."""

    def __init__(self, profile, handle):
        self.profile = profile
        self.handle = handle

    def ask(self, method, path, body=None):
        if self.profile._current != self.handle:
            self.profile.ask("POST", "/window", {"handle": self.handle})
            self.profile._current = self.handle
        return self.profile.ask(method, path, body)

    def go(self, url):
        self.ask("POST", "/url", {"url": url})
        self.wait()

    def element(self, css):
        found = self.ask("POST", "/element", {"using": "css selector", "value": css})
        return f"/element/{found[ELEMENT]}"

    def click(self, css):
        self.ask("POST", self.element(css) + "/click")

    def type(self, css, text):
        self.ask("POST", self.element(css) + "/value", {"text": text})

    def run(self, script):
        return self.ask("POST", "/execute/sync", {"script": script, "args": []})

    def seen(self):
        """What the page shows, as it marks it: state, status, release, sha256."""
        return self.run("return Object.assign({}, document.body.dataset)")

    def text(self, css):
        return self.ask("GET", self.element(css) + "/text")

    def wait(self):
        """Until the page has its answer."""
        until(lambda: self.seen().get("state") in ("done", "failed"), "the page has an answer")
        return self.seen()

    def remembered(self):
        """What the browser keeps, and sends with every upload."""
        return self.run("return localStorage.getItem('chat-storage')")

    def readable(self):
        """What of the page's cookies its scripts can read."""
        return self.run("return document.cookie")

    def login(self, name):
        self.type("#login [name=name]", name)
        self.type("#login [name=password]", deployment.PASSWORD)
        self.click("#login button")
        return self.wait()

    def logout(self):
        self.click("#logout")
        until(lambda: self.seen().get("status") == "401", "the page is logged out")

    def choose(self, path, analysis=False):
        self.type("#upload [name=file]", path)
        if analysis != self.run("return document.querySelector('[name=analysis]').checked"):
            self.click("#upload [name=analysis]")

    def begin_upload(self):
        """Does not wait: there are other tabs."""
        self.click("#upload button:not([type])")

    def begin_table(self):
        self.click("#show")

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.ask("GET", "/screenshot")))
