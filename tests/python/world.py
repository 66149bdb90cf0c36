# SPDX-License-Identifier: MIT
"""A scratch directory with keys and a copy of the package that anybody may read; daemons; servers; tokens; clients.

All of it is gone after tear_down(), however the tests ended. What must come about is waited for, on a descriptor
where there is one, and for at most PATIENCE seconds: nothing counts on time having passed.
"""

import contextlib
import http.client
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.realpath(os.path.join(HERE, "../.."))
BUILD = os.path.realpath(os.path.join(ROOT, os.environ.get("SESSIONFS_BUILD", "build/release")))
LIBRARY = os.environ.get("SESSIONFS_LIBRARY") or f"{BUILD}/libsessionfs.so.1"
PATIENCE = 30
NOBODY = 65534

T = ""
_daemons = []
_servers = []


def set_up():
    """Returns why it can't be, or None."""
    global T
    if os.geteuid() != 0:
        return "these tests mount: run them as root"
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse: load the fuse module (modprobe fuse)"
    for program in ("sessionfs", "session-token"):
        if not os.access(os.path.join(BUILD, program), os.X_OK):
            return f"{BUILD}/{program} is not built"
    if not os.path.exists(LIBRARY):
        return f"{LIBRARY} is not built"
    T = tempfile.mkdtemp(prefix="sessionfs-python.")
    os.chmod(T, 0o755)
    for keys in ("issuer", "forger"):
        subprocess.run([f"{BUILD}/session-token", "keygen", f"{T}/{keys}"], check=True, stdout=subprocess.DEVNULL)
    os.mkdir(f"{T}/keys.d")
    shutil.copy(f"{T}/issuer/issuer.pub", f"{T}/keys.d")
    with open(f"{T}/conf", "w") as file:
        file.write(f"[tokens]\nkeys = {T}/keys.d\n[audit]\nto = {T}/audit\n")
    shutil.copytree(os.path.join(ROOT, "packaging/python/sessionfs"), f"{T}/python/sessionfs")
    os.environ["SESSIONFS_LIBRARY"] = shutil.copy(LIBRARY, T)
    shutil.copytree(os.path.join(HERE, "apps"), f"{T}/python", dirs_exist_ok=True)
    return None


def tear_down():
    while _servers:
        with contextlib.suppress(AssertionError):  # one that does not end keeps nobody from the rest
            _servers[-1].stop()
    while _daemons:
        _daemons[-1].stop()
    if T:
        for mount in reversed([m for m in mounts() if m.startswith(T + "/")]):
            subprocess.run(["umount", "-l", mount], check=False)
        shutil.rmtree(T, ignore_errors=True)


def last_words():
    """What servers that run now have logged."""
    text = ""
    for server in _servers:
        with open(server.log, errors="replace") as file:
            text += f"-- {server.log}\n" + "".join(file.readlines()[-40:])
    return text


# -- waiting ----------------------------------------------------------------------------------------------------------


def until(condition, what):
    """Asks again and again, for conditions that nothing tells of."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {PATIENCE} s: {what}")
        select.select([], [], [], 0.002)  # others need the processor to make it true


def wait_exit(pidfd):
    """Waits for the end of a process."""
    if not select.select([pidfd], [], [], PATIENCE)[0]:
        raise AssertionError("a process did not end")


def past(moment):
    """Returns when the clock has passed a moment (Unix time)."""
    while time.time() <= moment:
        select.select([], [], [], max(0.0, moment - time.time()) + 0.001)


def in_child(function):
    """What a function returns in a forked child, as JSON; its exceptions too, as text."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            try:
                result = function()
            except BaseException as error:  # the child must not go on with the tests
                result = repr(error)
            os.write(w, json.dumps(result).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(w)
    with open(r, "rb") as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return json.loads(text)


# -- mounts -----------------------------------------------------------------------------------------------------------


def mounts():
    with open("/proc/self/mounts") as file:
        return [line.split()[1] for line in file]


class Daemon:
    """A daemon with a mount of its own, at .path; again() mounts anew on the same store."""

    count = 0

    def __init__(self, *options, path=None):
        Daemon.count += 1
        self.dir = f"{T}/mount{Daemon.count}"
        self.path = path or f"{self.dir}/mnt"
        self.options = options
        os.makedirs(self.path, exist_ok=True)
        os.makedirs(f"{self.dir}/store", 0o700)
        self.again()

    def again(self):
        words = [f"{BUILD}/sessionfs", "-f", "-c", f"{T}/conf"]
        for option in self.options:
            words += ["-o", option]
        with open("/proc/self/mountinfo") as table, open(f"{self.dir}/log", "ab") as log:
            changes = select.poll()
            changes.register(table, select.POLLPRI)
            self.process = subprocess.Popen(words + [f"{self.dir}/store", self.path], stderr=log)
            _daemons.append(self)
            ended = os.pidfd_open(self.process.pid)
            changes.register(ended, select.POLLIN)
            try:
                while self.path not in mounts():
                    events = changes.poll(PATIENCE * 1000)
                    if not events or ended in dict(events):
                        with open(f"{self.dir}/log") as text:
                            raise AssertionError("sessionfs does not mount: " + text.read())
            finally:
                os.close(ended)

    def kill(self):
        """The daemon dies; the dead mount stays."""
        self.process.kill()
        self.process.wait()
        _daemons.remove(self)

    def detach(self):
        """The mount goes from the path; the daemon stays for those who have files open."""
        subprocess.run(["umount", "-l", self.path], check=True)

    def stop(self):
        self.process.kill()
        self.process.wait()
        if self in _daemons:
            _daemons.remove(self)
        while self.path in mounts():
            self.detach()

    def end(self):
        """The daemon unmounts, and has written all that it had to. (umount(8) would wait for other mount namespaces.)"""
        self.process.terminate()
        self.process.wait(PATIENCE)
        _daemons.remove(self)

    def admin(self, line):
        with open(f"{self.path}/.sessionfs/admin", "w") as file:
            file.write(line + "\n")

    def holders(self, sid):
        with open(f"{self.path}/.sessionfs/sessions") as file:
            for session in json.load(file)["sessions"]:
                if session["sid"] == sid:
                    return session["holders"]
        return []

    def requests(self):
        """How many requests the daemon has had, by operation; without those that the kernel sends when it pleases."""
        counts = {}
        with open(f"{self.path}/.sessionfs/metrics") as file:
            for line in file:
                if line.startswith('sessionfs_requests_total{op="'):
                    op, count = line.split('"')[1], int(line.split()[-1])
                    if op not in ("release", "forget"):
                        counts[op] = count
        return counts


def pretend(directory, version):
    """The control files of a mount, as ordinary files."""
    os.makedirs(f"{directory}/.sessionfs", exist_ok=True)
    for name in ("thread", "process", "handle"):
        open(f"{directory}/.sessionfs/{name}", "w").close()
        os.chmod(f"{directory}/.sessionfs/{name}", 0o666)
    with open(f"{directory}/.sessionfs/version", "w") as file:
        file.write(version)


def no_mounts(directory):
    """What may be where a mount should be, one after the other: gives what must be said of it."""
    os.mkdir(directory)
    yield "no sessionfs is mounted here"
    subprocess.run(["mount", "-t", "tmpfs", "none", directory], check=True)
    yield "no sessionfs is mounted here"
    subprocess.run(["umount", "-l", directory], check=True)
    pretend(directory, '{"version":"9.0","protocol":2,"features":{}}')
    yield "the daemon speaks protocol 2, this package 1"
    shutil.rmtree(f"{directory}/.sessionfs")


def token(sub, sid, ttl="1h", key="issuer", *more):
    words = [f"{BUILD}/session-token", "mint", "--key", f"{T}/{key}/issuer.key"]
    words += ["--sub", sub, "--sid", sid, "--ttl", ttl, *more]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def expired(sub, sid):
    """A genuine token whose time is over."""
    text = token(sub, sid, "1s")
    past(int(time.time()) + 2)
    return text


# -- servers ----------------------------------------------------------------------------------------------------------


class Process:
    """A server that runs as nobody. It may be given a socket that listens already: then nobody waits for it."""

    def __init__(self, command, log, *sockets, **environ):
        self.log = log
        with open(log, "wb") as file:
            self.process = subprocess.Popen(
                command,
                cwd=f"{T}/python",
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": f"{T}/python",
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "SESSIONFS_LIBRARY": os.environ["SESSIONFS_LIBRARY"],
                    **environ,
                },
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                pass_fds=[own.fileno() for own in sockets],
                user=NOBODY,
                group=NOBODY,
                extra_groups=[],
            )
        _servers.append(self)

    def children(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            return [int(pid) for pid in file.read().split()]

    def stop(self):
        if self in _servers:
            _servers.remove(self)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def listener():
    """A socket on a loopback port of its own."""
    own = socket.socket()
    own.bind(("127.0.0.1", 0))
    own.listen(512)
    return own


class Server(Process):
    """A web server for a mount. The word FD in its command becomes the number of its socket."""

    count = 0

    def __init__(self, kind, mount, *words, **environ):
        Server.count += 1
        with listener() as own:
            self.port = own.getsockname()[1]
            command = [word.replace("FD", str(own.fileno())) for word in (*kind, *words)]
            super().__init__(command, f"{T}/server{Server.count}.log", own, MOUNT=mount, **environ)

    def said(self):
        with open(self.log, errors="replace") as file:
            return file.read()

    def client(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def get(self, path, token=None, method="GET", body=None, client=None, **headers):
        """Status and body; JSON where it is."""
        own = client or self.client()
        try:
            if token is not None:
                headers["Cookie"] = f"sessionfs={token}"
            own.request(method, path, body=body, headers=headers)
            response = own.getresponse()
            text = response.read()
            if response.headers.get_content_type() == "application/json" and text:
                return response.status, json.loads(text)
            return response.status, text.decode()
        finally:
            if not client:
                own.close()


# The worker's temporary file would be in /tmp, and is fsync'ed each second; memory is quieter.
GUNICORN = ["/usr/bin/python3", "-m", "gunicorn", "-b", "fd://FD", "--worker-tmp-dir", "/dev/shm", "--timeout", "60"]
UVICORN = ["/usr/bin/python3", "-m", "uvicorn", "--fd", "FD", "--no-access-log"]
