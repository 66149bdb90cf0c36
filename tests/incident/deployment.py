# SPDX-License-Identifier: MIT
"""The application as it was deployed: two instances of gunicorn with six workers each behind nginx, which takes turns.
The second instance was deployed to halfway: some of its workers still run the old release.

All of it is below world.T, listens on loopback ports of its own, and is gone after world.tear_down().
"""

import glob
import json
import os
import shutil
import signal

import world
from reports import hashes_below
from werkzeug.security import generate_password_hash
from world import NOBODY, until

HERE = os.path.dirname(os.path.realpath(__file__))
WORKERS = 6
RESTARTED = 3  # of the second instance's: the others keep the old release
PASSWORD = "as it was"
OLD, NEW = "old", "new"

# How passwords are kept: as an application does it, and with few iterations, where many log in and that is not tested.
USUAL, FEW = "pbkdf2:sha256", "pbkdf2:sha256:5000"
NGINX = f"{world.ROOT}/build/nginx"  # unpacked; or else the system's

# Flask is imported once, by the master; the application by each worker, as without --preload. A worker that is
# restarted imports what `current` leads to by then.
GUNICORN_CONF = """
import os, flask, werkzeug.security
chdir = os.environ["CURRENT"]
workers, timeout, worker_tmp_dir = %d, 60, "/dev/shm"
def post_worker_init(worker):
    open(os.path.join(os.environ["READY"], str(worker.pid)), "w").close()
""" % WORKERS

NGINX_CONF = """
daemon off;
worker_processes 1;
pid %(dir)s/nginx.pid;
error_log %(dir)s/nginx.log;
events { worker_connections 512; }
http {
    access_log off;
    client_max_body_size 16m;
    client_body_temp_path %(dir)s/body;
    proxy_temp_path %(dir)s/proxy;
    fastcgi_temp_path %(dir)s/unused;
    uwsgi_temp_path %(dir)s/unused;
    scgi_temp_path %(dir)s/unused;
    upstream application {
        server 127.0.0.1:%(one)d;
        server 127.0.0.1:%(two)d;
    }
    server {
        listen 127.0.0.1:%(port)d;
        location / {
            proxy_pass http://application;
            proxy_set_header Host $http_host;
        }
    }
}
"""


class Instance(world.Server):
    """A gunicorn, and the link to the release that it runs."""

    def __init__(self, site, name, release):
        self.site = site
        self.dir = f"{site.dir}/{name}"
        self.ready = f"{self.dir}/ready"
        os.makedirs(self.ready)
        os.chown(self.ready, NOBODY, NOBODY)
        self.deploy(release)
        conf = f"{self.dir}/conf.py"
        with open(conf, "w") as file:
            file.write(GUNICORN_CONF)
        module = "application" if site.paths is None else "protected"
        environ = {"CURRENT": f"{self.dir}/current", "READY": self.ready, **site.environ}
        super().__init__(world.GUNICORN[:5], f"{site.dir}/instance/uploads", "-c", conf, f"{module}:app", **environ)

    def deploy(self, release):
        """What workers that start from now on run."""
        link = f"{self.dir}/current"
        os.symlink(self.site.release(release), f"{link}.new")
        os.rename(f"{link}.new", link)

    def wait(self):
        """Until all workers have imported the application."""

        def ready():
            workers = self.children()
            return len(workers) == WORKERS and set(os.listdir(self.ready)).issuperset(map(str, workers))

        until(lambda: ready() or self.process.poll() is not None, f"{self.dir}: its workers are there")
        if self.process.poll() is not None:
            raise AssertionError(f"{self.dir}: gunicorn ended")

    def restart(self, count):
        """Some workers are restarted, as those that had served their number of requests were."""
        before = self.children()
        for pid in before[:count]:
            os.kill(pid, signal.SIGTERM)
        until(lambda: not set(self.children()) & set(before[:count]), f"{self.dir}: its workers have ended")
        self.wait()


class Nginx(world.Process):
    def __init__(self, dir, ports):
        os.makedirs(dir)
        os.chown(dir, NOBODY, NOBODY)
        with world.listener() as listener:
            self.port = listener.getsockname()[1]
            with open(f"{dir}/conf", "w") as file:
                file.write(NGINX_CONF % {"dir": dir, "one": ports[0], "two": ports[1], "port": self.port})
            program, libraries = nginx()
            command = [program, "-p", dir, "-e", f"{dir}/nginx.log", "-c", f"{dir}/conf"]
            # It takes the listening socket over, as it does from the one that it replaces in an upgrade.
            inherited = f"{listener.fileno()};"
            super().__init__(command, f"{dir}/out", listener, NGINX=inherited, LD_LIBRARY_PATH=libraries)


class Site:
    """The application, deployed. `paths` is None without the mount; "sid" or "self" is how it gets to its files."""

    count = 0

    def __init__(self, users, paths, *options, hashing=FEW):
        """Accounts for `users`, as pairs of name and state; `options` are the daemon's."""
        Site.count += 1
        self.paths = paths
        self.dir = f"{world.T}/site{Site.count}"
        self.releases = {}
        instance = f"{self.dir}/instance"
        os.makedirs(f"{instance}/logins")
        os.chown(f"{instance}/logins", NOBODY, NOBODY)
        with open(f"{instance}/accounts.json", "w") as file:
            json.dump(accounts(users, hashing), file)

        self.daemon = None
        self.audit = f"{self.dir}/audit"
        self.kept = f"{instance}/uploads"
        if paths is None:
            os.mkdir(self.kept)
            os.chown(self.kept, NOBODY, NOBODY)
        elif paths == "sid":
            self.daemon = world.Daemon("audit.to=" + self.audit, *options, path=f"{instance}/uploads")
        else:
            # The whole change for an application whose paths can't be trusted.
            self.daemon = world.Daemon("audit.to=" + self.audit, *options)
            os.symlink(f"{self.daemon.path}/self", f"{instance}/uploads")
        if self.daemon:
            self.kept = f"{self.daemon.dir}/store/sessions"

        self.environ = {"INSTANCE": instance, "PATHS": paths or "", "KEY": issuer_key()}
        self.instances = [Instance(self, "one", NEW), Instance(self, "two", OLD)]
        for instance in self.instances:
            instance.wait()
        # The deployment that was not finished.
        self.instances[1].deploy(NEW)
        self.instances[1].restart(RESTARTED)
        self.nginx = Nginx(f"{self.dir}/nginx", [instance.port for instance in self.instances])
        self.port = self.nginx.port
        self.url = f"http://127.0.0.1:{self.port}"

    def release(self, which):
        """The directory of a release, as it is when it is deployed."""
        path = f"{self.dir}/releases/{which}"
        if not os.path.exists(path):
            shutil.copytree(f"{HERE}/application", path)
            shutil.copy(f"{HERE}/releases/{which}.py", f"{path}/positivity.py")
        return path

    def hashes(self):
        """Of all files that have been kept."""
        return hashes_below(self.kept)

    def application(self):
        """The hashes of what was deployed."""
        return hashes_below(f"{self.dir}/releases")

    def stop(self):
        """Servers first: a worker that has its control file open keeps the mount. The audit is complete then."""
        self.nginx.stop()
        for instance in self.instances:
            instance.process.terminate()  # all at once
        for instance in self.instances:
            instance.stop()
        if self.daemon:
            self.daemon.end()

    def events(self):
        """The audit's lines, of a site that was stopped."""
        with open(self.audit, encoding="utf-8") as file:
            return [json.loads(line) for line in file]


def nginx():
    """(its program, where its libraries are), for a user who may not enter the build directory."""
    if not os.path.exists(f"{NGINX}/usr/sbin/nginx"):
        return "/usr/sbin/nginx", ""
    copy = f"{world.T}/nginx"
    if not os.path.exists(copy):
        shutil.copytree(NGINX, copy, symlinks=True, ignore=shutil.ignore_patterns("share"))
    return f"{copy}/usr/sbin/nginx", ":".join(glob.glob(f"{copy}/usr/lib/*-linux-*"))


def accounts(users, hashing):
    password = generate_password_hash(PASSWORD, hashing)
    return {
        name: {"password": password, "state": state, "session": f"{name.lower()}-{os.urandom(4).hex()}"}
        for name, state in users
    }


def issuer_key():
    """A copy for the application's user: nobody else may read it."""
    key = f"{world.T}/application.key"
    if not os.path.exists(key):
        shutil.copy(f"{world.T}/issuer/issuer.key", key)
        os.chmod(key, 0o600)
        os.chown(key, NOBODY, NOBODY)
    return key
