# SPDX-License-Identifier: MIT
"""
attack.py MOUNT DIR NAME [WORD...]: makes one attack on a mounted sessionfs and prints what came of it, for attack.t.

Tokens are DIR/alice.token and so on. Each attack is a function; it runs as root unless it becomes somebody. What the
kernel or the daemon answered is printed as the errno's name, or as what was got.
"""
import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import threading
import time
from pathlib import Path

MNT, DIR = sys.argv[1:3]
WORDS = sys.argv[4:]
ALICE, BOB = f"{MNT}/alice-1", f"{MNT}/bob-1"
libc = ctypes.CDLL(None, use_errno=True)
SYS = {"io_setup": 206, "io_getevents": 208, "io_submit": 209} if os.uname().machine == "x86_64" else \
      {"io_setup": 0, "io_getevents": 4, "io_submit": 2}


def bind(kind, who, flags=os.O_RDWR | os.O_CLOEXEC, control=f"{MNT}/.sessionfs"):
    """A control descriptor that carries the binding."""
    fd = os.open(f"{control}/{kind}", flags)
    os.write(fd, b"bind " + Path(DIR, f"{who}.token").read_bytes())
    return fd


def handle(who):
    fd = bind("handle", who)
    return fd, f"{MNT}/" + json.loads(os.read(fd, 8192))["path"]


def attempt(call, *args):
    """What a call gives: text, 0 for anything else, or the errno's name."""
    try:
        got = call(*args)
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e.errno))
    return got.decode() if isinstance(got, bytes) else got if isinstance(got, str) else "0"


def libc_call(name, *args):
    got = getattr(libc, name)(*args)
    if got < 0:
        raise OSError(ctypes.get_errno(), name)
    return got


def get(path):
    return Path(path).read_text()


def put(path, text):
    Path(path).write_text(text)


def become(uid):
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


class Child:
    """A process that does work(self), which may talk and pass descriptors both ways."""

    def __init__(self, work):
        self.end, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid:
            theirs.close()
            return
        self.end = theirs
        status = 1
        try:
            work(self)
            status = 0
        except OSError as e:
            self.say(f"child: {e}")
        finally:
            os._exit(status)

    def say(self, text, *fds):
        socket.send_fds(self.end, [text.encode() or b"\n"], fds)

    def hear(self):
        """The text; descriptors are in self.fds."""
        text, fds, _, _ = socket.recv_fds(self.end, 65536, 16)
        self.fds = list(fds)
        return text.decode()

    def wait(self):
        os.waitpid(self.pid, 0)


def owner():
    """Alice in a process of her own, who passes a directory, an O_RDWR and an O_PATH descriptor, and waits."""
    def work(me):
        bind("thread", "alice")
        os.chdir(ALICE)
        fds = [os.open(".", os.O_RDONLY), os.open("secret", os.O_RDWR), os.open("secret", os.O_PATH)]
        me.say("ready", *fds)
        me.hear()
    child = Child(work)
    child.hear()
    return child


def passed_directory():
    bind("thread", "bob")
    a = owner()
    d = a.fds[0]
    print(attempt(os.listdir, d), attempt(os.stat, d), attempt(lambda: os.open("secret", os.O_RDONLY, dir_fd=d)),
          attempt(lambda: os.open("new", os.O_WRONLY | os.O_CREAT, dir_fd=d)), attempt(lambda: os.unlink("secret", dir_fd=d)),
          attempt(os.fchdir, d))


def passed_file():
    bind("thread", "bob")
    a = owner()
    f = a.fds[1]
    mine = os.open(f"{BOB}/mine", os.O_RDWR)
    r, w = os.pipe()
    print(attempt(os.read, f, 9), attempt(os.write, f, b"x"), attempt(os.sendfile, w, f, 0, 6),
          attempt(os.sendfile, f, mine, 0, 4), attempt(os.splice, f, w, 6), attempt(os.copy_file_range, f, mine, 6),
          attempt(os.copy_file_range, mine, f, 4), attempt(os.ftruncate, f, 0), attempt(os.fstat, f))


def passed_path_descriptor():
    bind("thread", "bob")
    a = owner()
    p = a.fds[2]
    link = f"/proc/self/fd/{p}"
    print(attempt(os.stat, p), attempt(get, link), attempt(os.truncate, link, 0), attempt(os.chmod, link, 0o777),
          attempt(lambda: libc_call("linkat", -100, link.encode(), -100, f"{BOB}/stolen".encode(), 0x400))) # AT_SYMLINK_FOLLOW


def through_proc():
    bind("thread", "bob")
    a = owner()
    proc = f"/proc/{a.pid}"
    fds = [f for f in os.listdir(f"{proc}/fd") if os.readlink(f"{proc}/fd/{f}") == f"{ALICE}/secret"]
    print(attempt(get, f"{proc}/cwd/secret"), attempt(get, f"{proc}/root{ALICE}/secret"),
          *sorted({attempt(get, f"{proc}/fd/{f}") for f in fds}))


def asynchronous():
    """libaio: the descriptor was opened in one session, and is used in another."""
    control = bind("thread", "alice")
    f = os.open(f"{ALICE}/secret", os.O_RDWR)
    os.write(control, b"bind " + Path(DIR, "bob.token").read_bytes())
    context, buf = ctypes.c_ulong(), ctypes.create_string_buffer(b"y" * 16)
    libc_call("syscall", SYS["io_setup"], 4, ctypes.byref(context))
    for opcode in 0, 1: # IOCB_CMD_PREAD, IOCB_CMD_PWRITE
        iocb = ctypes.create_string_buffer(struct.pack("QIiHhIQQqQII", 0, 0, 0, opcode, 0, f, ctypes.addressof(buf), 6, 0, 0, 0, 0))
        pointer, event = ctypes.c_void_p(ctypes.addressof(iocb)), ctypes.create_string_buffer(32)
        libc_call("syscall", SYS["io_submit"], context, ctypes.c_long(1), ctypes.byref(pointer))
        libc_call("syscall", SYS["io_getevents"], context, ctypes.c_long(1), ctypes.c_long(1), event, None)
        result = struct.unpack_from("QQqq", event)[2]
        print(errno.errorcode.get(-result, result), end=" ")
    print(buf.raw[:6].decode())


def by_file_handle():
    """open_by_handle_at, as root, needs a handle of the mount's own: there is none to be had."""
    bind("thread", "alice")
    room, mount_id = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128)), ctypes.c_int()
    print(attempt(lambda: libc_call("name_to_handle_at", -100, f"{ALICE}/secret".encode(), room, ctypes.byref(mount_id), 0)))


def by_dots():
    bind("thread", "bob")
    print(attempt(get, f"{BOB}/../alice-1/secret"), attempt(get, f"{BOB}/../../{MNT[1:].split('/')[-1]}/alice-1/secret"),
          attempt(os.listdir, f"{BOB}/../alice-1"))


def between_sessions():
    """Renames and links with both directories held."""
    control = bind("thread", "alice")
    d = os.open(ALICE, os.O_RDONLY)
    os.write(control, b"bind " + Path(DIR, "bob.token").read_bytes())
    e = os.open(BOB, os.O_RDONLY)
    print(attempt(lambda: os.rename("secret", "secret", src_dir_fd=d, dst_dir_fd=e)),
          attempt(lambda: os.rename("mine", "mine", src_dir_fd=e, dst_dir_fd=d)),
          attempt(lambda: os.link("secret", "secret", src_dir_fd=d, dst_dir_fd=e)),
          attempt(lambda: os.link("mine", "mine", src_dir_fd=e, dst_dir_fd=d)))


def inherited():
    """A thread's binding is not its child's, forked or executed."""
    bind("thread", "alice")

    def work(me):
        me.say(attempt(get, f"{ALICE}/secret"))
    c = Child(work)
    print(c.hear(), os.popen(f"cat {ALICE}/secret 2>&1 | sed 's/.*: //'").read().strip())


def passed_control():
    """A control descriptor that was passed on neither binds its receiver nor lets him unbind its owner."""
    control = bind("thread", "alice")

    def work(me):
        me.hear()
        fd = me.fds[0]
        got = [attempt(os.write, fd, b"unbind\n"), attempt(os.write, fd, b"bind " + Path(DIR, "bob.token").read_bytes()),
               attempt(get, f"{ALICE}/secret")]
        os.close(fd)
        os.close(control)
        me.say(" ".join(got))
    c = Child(work)
    c.say("take", control)
    print(c.hear(), attempt(get, f"{ALICE}/secret"))


def close_unbinds():
    """The worst of many: what the very next call is told after close(2)."""
    kind, seen = WORDS[0], set()
    for _ in range(300):
        fd = bind(kind, "alice")
        path = ALICE if kind != "handle" else f"{MNT}/" + json.loads(os.read(fd, 8192))["path"]
        os.stat(f"{path}/secret")
        os.close(fd)
        seen.add(attempt(os.stat, f"{path}/secret"))
    print(*sorted(seen))


def exec_unbinds():
    """A process that executes away from its control descriptor: what the first call of the new program is told."""
    seen = set()
    for _ in range(150):
        r, w = os.pipe()
        pid = os.fork()
        if not pid:
            bind("process", "alice")
            os.dup2(w, 1)
            os.dup2(w, 2)
            os.execv("/bin/cat", ["cat", f"{ALICE}/secret"])
        os.close(w)
        with os.fdopen(r) as said:
            seen.add(said.read().strip().rsplit(": ", 1)[-1])
        os.waitpid(pid, 0)
    print(*sorted(seen))


def handle_ends():
    """By close, by another bind and by unbind: neither the name nor what is held below it leads anywhere."""
    got = []
    for end in "bind", "unbind":
        fd, path = handle("alice")
        d, f = os.open(path, os.O_RDONLY), os.open(f"{path}/secret", os.O_RDWR)
        os.write(fd, b"unbind\n" if end == "unbind" else b"bind " + Path(DIR, "alice.token").read_bytes())
        got += [attempt(get, f"{path}/secret"), attempt(os.listdir, d), attempt(os.read, f, 9),
                attempt(lambda: os.open("secret", os.O_RDONLY, dir_fd=d))]
    print(*sorted(set(got)))


def bound_path():
    """WORDS[0] is a bind mount of alice's directory."""
    unbound = attempt(get, f"{WORDS[0]}/secret")
    bind("thread", "bob")
    print(unbound, attempt(get, f"{WORDS[0]}/secret"), attempt(os.listdir, WORDS[0]))


def not_cloexec():
    """WORDS[0] is a directory with the control files, under another name."""
    fd = os.open(f"{WORDS[0]}/thread", os.O_RDWR)
    os.set_inheritable(fd, True)
    print(attempt(os.write, fd, b"bind " + Path(DIR, "alice.token").read_bytes()))


def cold_nodes():
    """Files that the daemon knows by their handles alone, stat'ed by an ordinary user."""
    def work(me):
        become(1000)
        bind("thread", "carol")
        for i in range(200):
            put(f"{MNT}/carol-1/{i}", "x")
        me.say("made")
        me.hear()
        with os.scandir(f"{MNT}/carol-1") as names:
            paths = [e.path for e in names]
        me.say(" ".join(sorted({attempt(os.stat, p) for p in paths} | {attempt(get, p) for p in paths})))
    c = Child(work)
    c.hear()
    put("/proc/sys/vm/drop_caches", "2")
    c.say("dropped")
    print(c.hear())


def dropped():
    """A session that was dropped and bound anew by somebody else: what its old holder has leads into neither."""
    old = bind("thread", "eve")
    base = f"{MNT}/eve-1"
    put(f"{base}/f", "old")
    d, f = os.open(base, os.O_RDONLY), os.open(f"{base}/f", os.O_RDWR)
    put(f"{MNT}/.sessionfs/admin", "drop eve-1\n")

    def work(me):
        bind("thread", "mallory")
        me.say(" ".join([attempt(get, f"{base}/f"), str(os.listdir(base)), attempt(put, f"{base}/f", "new")]))
        me.hear()
    c = Child(work)
    print(c.hear(), attempt(get, f"{base}/f"), attempt(os.listdir, d), attempt(os.read, f, 9), attempt(os.write, f, b"x"),
          attempt(lambda: os.open("f", os.O_RDONLY, dir_fd=d)), attempt(os.write, old, b"bind " + Path(DIR, "eve.token").read_bytes()))


def removed_and_made():
    """The session's directory removed and made again: what was held of the first leads nowhere."""
    bind("thread", "dave")
    base = f"{MNT}/dave-1"
    d = os.open(base, os.O_RDONLY)
    os.rmdir(base)
    os.mkdir(base)
    put(f"{base}/f", "x")
    got = {attempt(lambda: os.open("f", os.O_RDONLY, dir_fd=d)), attempt(lambda: os.open("g", os.O_CREAT | os.O_WRONLY, dir_fd=d))}
    print("nowhere" if got <= {"ESTALE", "ENOENT"} else got, os.listdir(base))


def race():
    """WORDS: revoke or drop, then the sessions, each of which exists and is idle. What its user gets who binds meanwhile."""
    seen = set()
    for i, sid in enumerate(WORDS[1:]):
        go, done, got = threading.Event(), threading.Event(), []

        def user():
            go.wait()
            time.sleep(i % 20 * 0.0002)
            bound = attempt(lambda: str(bind("thread", sid)))
            done.wait()
            there = attempt(get, f"{MNT}/{sid}/f") if bound.isdigit() else bound
            got.append("new" if there == "ENOENT" and bound.isdigit() and WORDS[0] == "drop" else there)
            if WORDS[0] == "drop": # then nothing is left of the first, and the sid is free
                got.append(attempt(lambda: str(bind("thread", sid))).isdigit() and attempt(put, f"{MNT}/{sid}/g", "x"))
        thread = threading.Thread(target=user)
        thread.start()
        go.set()
        put(f"{MNT}/.sessionfs/admin", f"{WORDS[0]} {sid}\n")
        done.set()
        thread.join()
        seen |= set(got)
    print(*sorted(map(str, seen)))


def shared_map():
    """A shared map of a writable file: either there is none, or no byte of it is lost."""
    bind("thread", "alice")
    put(f"{ALICE}/map", "a" * 4096)
    fd = os.open(f"{ALICE}/map", os.O_RDWR)
    try:
        with mmap.mmap(fd, 4096) as m:
            m[:4] = b"kept"
            m.flush()
    except OSError as e:
        print(errno.errorcode[e.errno])
        return
    os.close(fd)
    print(get(f"{ALICE}/map")[:4])


def cached_attributes():
    """With hidden names no cached name gives a stranger anything."""
    a = owner()
    bind("thread", "bob")
    room = ctypes.create_string_buffer(256)

    def statx(path):
        libc_call("statx", -100, path.encode(), 0x4000, 0xfff, room) # AT_STATX_DONT_SYNC
    watch = libc_call("inotify_init1", 0)
    print(attempt(statx, f"{ALICE}/secret"), attempt(lambda: os.open(f"{ALICE}/secret", os.O_PATH)),
          attempt(lambda: libc_call("inotify_add_watch", watch, ALICE.encode(), 0xfff)))
    a.say("end")


def gauges():
    counts = {f"sessionfs_{n}": None for n in ("bindings", "sessions", "nodes", "open_files", "passthrough_files")}
    for line in get(f"{MNT}/.sessionfs/metrics").splitlines():
        series, _, value = line.rpartition(" ")
        family = series.partition("{")[0]
        if family in counts:
            counts[family] = (counts[family] or 0) + int(value)
    assert None not in counts.values(), counts
    return counts


def killed():
    """Callers that are killed in the middle of everything leave nothing behind. Sessions go when meta.json is written."""
    put("/proc/sys/vm/drop_caches", "2")

    def work(me):
        if me.number % 2:
            become(1000 + me.number)
        names = ("alice", "bob")

        def loop(k):
            while True:
                who = names[k % 2]
                try:
                    fd = bind(("thread", "process", "handle")[k % 3], who)
                    base = f"{MNT}/{who}-1"
                    with open(f"{base}/k{k % 5}", "w") as f:
                        f.write(who)
                        os.rename(f.name, f"{base}/r{k % 5}")
                    os.listdir(base)
                    os.close(fd)
                except OSError:
                    pass
                k += 1
        for k in range(3):
            threading.Thread(target=loop, args=(k,), daemon=True).start()
        loop(me.number)
    end, n = time.monotonic() + 4, 0
    children = []
    while time.monotonic() < end:
        Child.number = n = n + 1
        children.append(Child(work))
        if len(children) > 3:
            c = children.pop(0)
            time.sleep(0.05) # not to synchronise: to let it be in the middle of something
            os.kill(c.pid, signal.SIGKILL)
            c.wait()
    for c in children:
        os.kill(c.pid, signal.SIGKILL)
        c.wait()
    del children, c
    for _ in range(300): # the kernel's RELEASE and FORGET come late
        put("/proc/sys/vm/drop_caches", "2")
        left = {k: v for k, v in gauges().items() if v}
        if not left:
            break
        time.sleep(0.1)
    print(left or "nothing")


def descendants():
    """Many short-lived children of a bound process: WORDS[0] of them."""
    bind("process", "alice")
    seen = set()
    for _ in range(int(WORDS[0])):
        c = Child(lambda me: me.say(attempt(get, f"{ALICE}/secret")))
        seen.add(c.hear())
        c.wait()
        c.end.close()
    print(*sorted(seen))


def far_down():
    """A descendant WORDS[0] forks below a process that is bound to bob, with a descriptor that leaked from alice's handle."""
    fd, path = handle("alice")
    leaked = os.open(f"{path}/secret", os.O_RDWR)
    bind("process", "bob")

    def below(n):
        if not n:
            print(attempt(os.pread, leaked, 99, 0), attempt(get, f"{path}/secret"), flush=True)
            os._exit(0)
        pid = os.fork()
        if not pid:
            below(n - 1)
        os.waitpid(pid, 0)
        if n < int(WORDS[0]):
            os._exit(0)
    below(int(WORDS[0]))


def starved():
    """
    A user opens as many files as he gets. Meanwhile the leaked descriptor of a handle is tried by a process that is bound
    elsewhere, and the session that it is of is revoked by the command WORDS[0].
    """
    fd, path = handle("carol")
    leaked = os.open(f"{path}/f", os.O_RDWR | os.O_CREAT)
    os.pwrite(leaked, b"carol's", 0)

    def elsewhere(me):
        bind("process", "bob")
        seen = set()
        me.say("ready")
        me.hear()
        for _ in range(20):
            t = threading.Thread(target=lambda: seen.add(attempt(os.pread, leaked, 99, 0)))
            t.start()
            t.join()
        me.say(" ".join(sorted(seen)))
        me.hear()

    def hog(me):
        resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
        bind("process", "bob")
        try:
            while True:
                os.open(f"{BOB}/hoard", os.O_RDONLY | os.O_CREAT)
        except OSError as e:
            me.say(errno.errorcode[e.errno])
            me.hear()

    children = [Child(elsewhere), Child(hog)]
    children[0].hear()
    full = children[1].hear()
    children[0].say("go")
    print(full, children[0].hear(), end=" ")
    before = attempt(os.pwrite, leaked, b"x", 0)
    os.system(WORDS[0])
    end = time.monotonic() + 10
    while attempt(os.pwrite, leaked, b"x", 0) == before and time.monotonic() < end:
        time.sleep(0.1)
    print(before, attempt(os.pwrite, leaked, b"x", 0))
    for c in children:
        c.say("end")
        c.wait()


def hoard():
    """An unbound stranger who opens as many control files as he gets, WORDS[0] at most."""
    def work(me):
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(WORDS[0]), int(WORDS[0])))
        become(65534)
        try:
            while True:
                os.open(f"{MNT}/.sessionfs/thread", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            me.say("full")
            me.hear()
    bind("thread", "alice")
    c = Child(work)
    c.hear()
    print(attempt(get, f"{ALICE}/secret"), attempt(put, f"{ALICE}/more", "x"))
    c.say("end")
    c.wait()


def populate():
    for who in "alice", "bob":
        fd = bind("thread", who)
        put(f"{MNT}/{who}-1/{'secret' if who == 'alice' else 'mine'}", "secret" if who == "alice" else "mine")
        os.close(fd)
    for sid in WORDS:
        fd = bind("thread", sid)
        put(f"{MNT}/{sid}/f", "left")
        os.close(fd)


if __name__ == "__main__":
    globals()[sys.argv[3]]()
    sys.stdout.flush()
    os._exit(0)
