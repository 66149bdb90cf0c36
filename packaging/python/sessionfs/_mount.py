# SPDX-License-Identifier: MIT
"""A mount and its control files.

A control file that is open carries one binding. `_Control` is such a file. It belongs to the process that opened it:
the daemon takes nothing from any other, so a forked child closes what it inherited and opens its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import re
import select
import sys
import threading
from dataclasses import dataclass
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, Mapping, Optional, Union

from ._errors import ProtocolMismatch, SessionError, SessionRefused, explain, not_mounted, refusal

PROTOCOL = 1
"""Of the control files, that this package speaks."""

TOKEN_MAX = 4096  # bytes
REPORT_MAX = 4096  # bytes; a control file's answer is never longer

# Whatever else a token must be is the daemon's to judge, and to audit. This much keeps it one word of the line.
_TOKEN = re.compile(r"[A-Za-z0-9._-]+")
_RELEASE = re.compile(r"[A-Za-z0-9._+-]{1,64}")

# An open control file says so when its daemon is gone, or (EBADF) when somebody closed all descriptors, as daemonizing
# does. ESTALE may also be a refused release: then the second try says it again.
_GONE = (errno.ENOTCONN, errno.ECONNABORTED, errno.ENODEV, errno.ESTALE, errno.EBADF)

# Numbers of open control files. Added after opening and removed before closing, so a fork in between finds no number
# here that is another file's; set operations are atomic.
_fds: set[int] = set()


def _forget_in_child() -> None:
    # A copy would keep the parent's handles alive after the parent closes them.
    for fd in _fds:
        with contextlib.suppress(OSError):
            os.close(fd)
    _fds.clear()


os.register_at_fork(after_in_child=_forget_in_child)


def _bind_line(token: str, release: Optional[str], path: str) -> bytes:
    if not isinstance(token, str):
        raise TypeError(f"the token is {type(token).__name__}, not str")
    if release is not None and not _RELEASE.fullmatch(release):
        raise ValueError(f"release {release!r}: 1 to 64 of A-Z a-z 0-9 . _ + -")
    if len(token) > TOKEN_MAX:
        text, reason = f"the token has {len(token)} characters, and at most {TOKEN_MAX} are allowed", "too-long"
    elif not _TOKEN.fullmatch(token):
        text, reason = "the token is empty, or has characters that no token has (a newline at its end?)", "bad-encoding"
    else:
        return (f"bind {token} release={release}\n" if release else f"bind {token}\n").encode()
    raise SessionRefused(errno.EKEYREJECTED, text, path, reason=reason)


class _Files:
    """The control files of one mount, by its path."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._checked: Optional[int] = None  # the device whose protocol was looked at

    def name(self, name: str) -> str:
        return os.path.join(self.path, ".sessionfs", name)

    def read(self, name: str) -> dict[str, Any]:
        """The object in one of those that are read alone."""
        try:
            with open(self.name(name), encoding="utf-8") as file:
                report = json.load(file)
        except OSError as error:
            raise not_mounted(error, self.path) from None
        except ValueError:
            report = None
        if not isinstance(report, dict):
            raise ProtocolMismatch(errno.EPROTONOSUPPORT, f".sessionfs/{name} is not one JSON object", self.path)
        return report

    def check(self, device: int) -> None:
        """Raises ProtocolMismatch, or NotMounted; asks once for each mount."""
        if self._checked == device:
            return
        protocol = self.read("version").get("protocol")
        if protocol != PROTOCOL:
            raise ProtocolMismatch(
                errno.EPROTONOSUPPORT,
                f"the daemon speaks protocol {protocol}, this package {PROTOCOL}: install the one that fits the other",
                self.path,
            )
        self._checked = device


class _Control:
    """One open control file of a mount: `thread`, `process` or `handle`."""

    def __init__(self, files: _Files, name: str) -> None:
        self.path = files.name(name)
        self._files = files
        self._lasts = name == "thread"  # from one bind to the next, so the mount may change in between
        self._pid = os.getpid()
        # Finalizers unbind too, in whatever thread and moment: hence reentrant.
        self._lock = threading.RLock()
        self._fd = -1
        self._mounts = -1  # /proc/self/mountinfo, or -1
        self._changes = select.poll()  # of that
        self._device = 0  # of the mount that was opened
        self._serial = 0
        self._carries = 0  # the serial of the bind that it carries, 0 for none

    @property
    def mine(self) -> bool:
        """Whether this process opened it."""
        return self._pid == os.getpid()

    def bind(self, line: bytes) -> int:
        """Sends the line; returns a number to unbind with. Carries nothing if this raises."""
        with self._lock:
            self._carries = 0
            while True:
                fresh = self._fd < 0 or self._is_elsewhere()
                if fresh:
                    self._open()
                try:
                    os.write(self._fd, line)
                    break
                except OSError as error:
                    if fresh or error.errno not in _GONE:
                        raise refusal(error, self._reason(), self.path) from None
                    self.close()
            self._serial += 1
            self._carries = self._serial
            return self._serial

    def unbind(self, serial: Optional[int] = None) -> None:
        """Ends the bind of that number, if it is the latest; without a number, the latest. Never raises."""
        if not self.mine:
            return
        with self._lock:
            if not self._carries or serial not in (None, self._carries):
                return
            self._carries = 0
            try:
                os.write(self._fd, b"unbind\n")
            except OSError:
                self.close()  # which ends it as well

    def report(self) -> dict[str, Any]:
        """What it carries, or why its last bind was refused."""
        report: dict[str, Any] = json.loads(os.read(self._fd, REPORT_MAX))
        return report

    def close(self) -> None:
        if not self.mine:
            return
        with self._lock:
            self._carries = 0
            fds = (self._fd, self._mounts)
            self._fd = self._mounts = -1
            for fd in fds:
                if fd >= 0:
                    _fds.discard(fd)
                    with contextlib.suppress(OSError):  # a dead daemon's ENOTCONN: it is closed nevertheless
                        os.close(fd)

    def __del__(self) -> None:
        self.close()

    def _open(self) -> None:
        self.close()
        if self._lasts:
            # From here on poll(2) tells of changes: asking whether it is still the same mount would be a request.
            with contextlib.suppress(OSError):
                self._mounts = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
                _fds.add(self._mounts)
                self._changes = select.poll()
                self._changes.register(self._mounts, select.POLLPRI)
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            _fds.add(self._fd)
            self._device = os.fstat(self._fd).st_dev
            self._files.check(self._device)
        except OSError as error:
            self.close()
            raise error if isinstance(error, SessionError) else not_mounted(error, self._files.path) from None
        except BaseException:
            self.close()
            raise

    def _is_elsewhere(self) -> bool:
        """Whether what is mounted at the path now is another: an open file keeps a mount alive that was detached."""
        if self._mounts < 0 or not self._changes.poll(0):
            return False
        try:
            return os.stat(self._files.path).st_dev != self._device
        except OSError:
            return True

    def _reason(self) -> Optional[str]:
        try:
            reason = self.report().get("reason")
            return reason if isinstance(reason, str) else None
        except (OSError, ValueError):
            return None


def _refuse_shared_thread() -> None:
    """A thread that several requests share at a time would carry one into another's session."""
    if asyncio._get_running_loop() is not None:  # documented for this; the other one makes an exception each time
        raise RuntimeError("an event loop runs in this thread, and its tasks would share the binding: use Mount.handle")
    for module, patched, what in (
        ("gevent.monkey", "is_module_patched", "threading"),
        ("eventlet.patcher", "is_monkey_patched", "thread"),
    ):
        ask = getattr(sys.modules.get(module), patched, None)
        if ask and ask(what):
            raise RuntimeError(f"{module} makes greenlets of threads, which would share the binding: use Mount.handle")


class Bound:
    """Binds the thread that enters it; made by `Mount.bound`."""

    def __init__(self, mount: Mount, token: str, release: Optional[str]) -> None:
        self._mount = mount
        self._token = token
        self._release = release
        self._control: Optional[_Control] = None
        self._serial = 0

    def __enter__(self) -> str:
        _refuse_shared_thread()
        control = self._mount._thread_control()
        try:
            line = _bind_line(self._token, self._release, control.path)
        except BaseException:
            control.unbind()  # as the daemon does when it refuses
            raise
        self._serial = control.bind(line)
        self._control = control
        return os.path.join(self._mount.path, "self")

    def close(self) -> None:
        """Ends this binding: in any thread, more than once, and not that of a later one. Never raises."""
        control, self._control = self._control, None
        if control:
            control.unbind(self._serial)

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()
        _raise_explained(error)


def _raise_explained(error: Optional[BaseException]) -> None:
    if isinstance(error, OSError):
        better = explain(error)
        if better is not error:
            raise better from error


class ProcessBinding:
    """A binding of this process; made by `Mount.process`. Lasts until `close`, or as long as the process."""

    def __init__(self, mount: Mount, control: _Control) -> None:
        self._mount = mount
        self._control = control

    def close(self) -> None:
        """Ends it. In a forked child nothing: the binding is its parent's. Never raises."""
        self._control.unbind()
        self._control.close()

    def __enter__(self) -> str:
        return os.path.join(self._mount.path, "self")

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()
        _raise_explained(error)


class Handle:
    """A session as a directory, for whoever knows its name; made by `Mount.handle`. For `with` and `async with`."""

    def __init__(self, mount: Mount, token: str, release: Optional[str]) -> None:
        self._mount = mount
        self._token = token
        self._release = release
        self._control: Optional[_Control] = None

    def __enter__(self) -> str:
        control = _Control(self._mount._files, "handle")
        control.bind(_bind_line(self._token, self._release, control.path))
        name = control.report().get("path")
        if not isinstance(name, str):
            raise SessionError(errno.EPROTO, "the daemon gave no handle", control.path)
        self._control = control
        return os.path.join(self._mount.path, name)

    def close(self) -> None:
        """Ends it: its name leads nowhere any more. More than once; never raises."""
        control, self._control = self._control, None
        if control:
            control.unbind()  # the kernel tells of a close when it pleases
            control.close()

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()
        _raise_explained(error)

    async def __aenter__(self) -> str:
        # The first bind of a session makes directories, perhaps on a network store. If this is cancelled meanwhile, the
        # thread finishes, and ends what nobody waits for.
        opening = asyncio.get_running_loop().run_in_executor(None, self.__enter__)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(self._abandon)
            raise

    def _abandon(self, opening: asyncio.Future[str]) -> None:
        if not opening.cancelled():
            opening.exception()  # looked at, so that nobody is told of it
        self.close()

    async def __aexit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        # Not in a thread: unbinding never waits for the store, and a task that is being cancelled can't await.
        self.__exit__(kind, error, trace)


@dataclass(frozen=True)
class Identity:
    """Who a caller is to the mount, as `.sessionfs/self` tells it."""

    bound: bool
    """Whether the binding is good now."""
    scope: Optional[str] = None
    """thread or process."""
    sub: Optional[str] = None
    """The user."""
    sid: Optional[str] = None
    """The session."""
    exp: Optional[datetime] = None
    """When it ends; UTC."""
    error: Optional[str] = None
    """The name of an errno, where a binding is not good any more."""
    reason: Optional[str] = None
    """A word for it."""


class Mount:
    """A sessionfs mount.

    `path` is the mountpoint, or a symbolic link to its `self`; a relative one is of the directory that is current now.
    Making a Mount does not look for it, so a module may have one before the mount is there. Good for all threads, and
    across fork and remount.

    Each thread that binds keeps one control file open, so `umount` says that the mount is busy while the application
    runs. Stop the application or the daemon first, or detach (`umount -l`) and mount again: the next bind finds it.
    """

    path: str
    """Of the mountpoint; absolute."""

    def __init__(self, path: Union[str, os.PathLike[str]]) -> None:
        self.path = os.path.abspath(os.fspath(path))
        if os.path.islink(self.path):
            # Not realpath: `self` leads each caller elsewhere.
            target = os.path.join(os.path.dirname(self.path), os.readlink(self.path))
            if os.path.basename(target) == "self":
                self.path = os.path.dirname(os.path.abspath(target))
        self._files = _Files(self.path)
        self._local = threading.local()
        self._process: Optional[_Control] = None

    def __repr__(self) -> str:
        return f"Mount({self.path!r})"

    def bound(self, token: str, release: Optional[str] = None) -> Bound:
        """Context: the calling thread is in the token's session. Gives the path of the session, `PATH/self`.

        `release` names the release of the application, 1 to 64 of `A-Z a-z 0-9 . _ + -`.

        A thread has one binding, and there is no stack: within another `bound` of the thread it takes its place, and
        leaves the thread unbound at its end. An OSError that leaves the block with one of the errnos below is raised as
        its class here.

        Two requests to the filesystem; a few more when a thread does it for the first time.

        Raises, at the beginning, SessionRefused, SessionExpired, SessionRevoked, ReleaseRefused, NotMounted,
        ProtocolMismatch, SessionError for other errnos; RuntimeError where requests share a thread (a running event
        loop, gevent, eventlet): use `handle` there; ValueError for a bad release.
        """
        return Bound(self, token, release)

    def process(self, token: str, release: Optional[str] = None) -> ProcessBinding:
        """Binds this process, all its threads, and its descendants for as long as their line of parents reaches it.

        Bound when this returns; the result may be used as a context, closed, or ignored. A later call takes its place.
        Raises what `bound` does, but no RuntimeError.
        """
        control = _Control(self._files, "process")
        control.bind(_bind_line(token, release, control.path))
        self._process = control
        return ProcessBinding(self, control)

    def handle(self, token: str, release: Optional[str] = None) -> Handle:
        """Context, for `async with` and for `with`: gives the path of a directory that is the session.

        It works in all threads and tasks that are not bound to another session, for whoever knows the name, while the
        context lasts: the name is a secret, and belongs in no log. Raises what `bound` does, but no RuntimeError.
        """
        return Handle(self, token, release)

    def unbind(self) -> None:
        """Ends what the calling thread has from `bound`, by whomever and however long ago. Never raises."""
        control = getattr(self._local, "control", None)
        if control is not None:
            control.unbind()

    def whoami(self) -> Identity:
        """Who the calling thread is to the mount, whatever bound it. Raises NotMounted."""
        report = self._files.read("self")
        known = {key: report[key] for key in ("scope", "sub", "sid", "error", "reason") if key in report}
        exp = report.get("exp")
        if exp:
            known["exp"] = datetime.strptime(exp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
        return Identity(bound=bool(report.get("bound")), **known)

    def version(self) -> Mapping[str, Any]:
        """`version`, `protocol` and `features` of the daemon. Raises NotMounted."""
        return self._files.read("version")

    def sessions(self) -> Mapping[str, Any]:
        """The live sessions and their holders (sessionfs-control(5), sessions). For root, and the daemon's user.

        Raises NotMounted, and SessionError with EACCES.
        """
        return self._files.read("sessions")

    def _thread_control(self) -> _Control:
        control: Optional[_Control] = getattr(self._local, "control", None)
        if control is None or not control.mine:
            control = self._local.control = _Control(self._files, "thread")
        return control
