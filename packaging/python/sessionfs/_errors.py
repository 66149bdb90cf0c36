# SPDX-License-Identifier: MIT
"""What can go wrong, one class for each thing that a caller would do something else about."""

from __future__ import annotations

import errno
import os
from typing import Optional


class SessionError(OSError):
    """Base of all errors here; itself, what has no class of its own (ENFILE, ENOSPC, …).

    `errno` is what the mount gave, `reason` the daemon's word for it where it gave one (sessionfs-control(5),
    DIAGNOSTICS). The text says what to do. No error ever holds a token.
    """

    reason: Optional[str]

    def __init__(
        self, errno: int, strerror: str, filename: Optional[str] = None, *, reason: Optional[str] = None
    ) -> None:
        super().__init__(errno, strerror, filename)
        self.reason = reason


class NotBound(SessionError):
    """ENOKEY: no token was presented, or the binding is over."""


class SessionRefused(SessionError):
    """EKEYREJECTED: the token is malformed, forged, meant for somebody else, or its session is another user's."""


class TokenAmbiguous(SessionRefused):
    """EKEYREJECTED: a request brought more than one token, and which of them is meant can't be told."""


class SessionExpired(SessionError):
    """EKEYEXPIRED: the token is genuine and its time is over."""


class SessionRevoked(SessionError):
    """EKEYREVOKED: the session was ended for good."""


class ReleaseRefused(SessionError):
    """ESTALE at bind: this release of the application is not the one that is admitted."""


class NotMounted(SessionError):
    """ENOENT, ENOTCONN, …: there is no sessionfs at the path, or its daemon is gone."""


class ProtocolMismatch(NotMounted):
    """EPROTONOSUPPORT: there is a sessionfs, and it speaks another protocol than this package."""


_CLASSES = {
    errno.ENOKEY: NotBound,
    errno.EKEYREJECTED: SessionRefused,
    errno.EKEYEXPIRED: SessionExpired,
    errno.EKEYREVOKED: SessionRevoked,
}

_ADVICE = {
    errno.ENOKEY: "no session is bound here: present a token first (Mount.bound, process or handle)",
    errno.EKEYREJECTED: "the token is refused: let the user log in again",
    errno.EKEYEXPIRED: "the session has expired: let the user log in again",
    errno.EKEYREVOKED: "the session was revoked: its token is good for nothing any more, mint one for a new session",
    errno.ESTALE: "this release of the application is not admitted: deploy the one that is, or name it with release=",
    errno.EACCES: "may not be opened: was it mounted by another user, without allow_other?",
    errno.EINVAL: "the bind is not accepted: is a descriptor of the control file inheritable? It must be close-on-exec",
    errno.ENFILE: "the daemon has no room for more bindings or sessions",
}

_REASONS = {
    "sid-of-another-user": "the session id belongs to another user: choose the id on the server at each login, and "
    "never take it from the client",
    "unknown-key": "the token's key is not trusted: put its .pub into keys.d and reload the daemon",
    "bad-audience": "the token is meant for another audience: mint it with the daemon's [tokens] audience",
    "bad-lifetime": "the token is good for longer than the daemon allows: mint it with a shorter ttl",
    "not-yet-valid": "the token is not good yet: compare the clocks of issuer and daemon",
}


def refusal(error: OSError, reason: Optional[str], path: str) -> SessionError:
    """The error that a refused bind raises."""
    number = error.errno or 0
    if number == errno.ESTALE:
        kind: type[SessionError] = ReleaseRefused
    else:
        kind = _CLASSES.get(number, SessionError)
    advice = _REASONS.get(reason or "") or _ADVICE.get(number) or os.strerror(number)
    return kind(number, f"{advice} ({reason})" if reason else advice, path, reason=reason)


def not_mounted(error: OSError, path: str) -> SessionError:
    """The error for a mount that can't be reached, or whose control files can't."""
    number = error.errno or 0
    if number in (errno.ENOENT, errno.ENOTDIR):
        return NotMounted(number, "no sessionfs is mounted here: mount it, and name its mountpoint", path)
    if number in (errno.ENOTCONN, errno.ECONNABORTED, errno.ENODEV, errno.ENXIO, errno.ESTALE):
        return NotMounted(number, "the daemon of this mount is gone: umount -l, and mount it again", path)
    return SessionError(number, _ADVICE.get(number) or os.strerror(number), path)


def explain(error: OSError) -> OSError:
    """The error of a file operation in a session as the class here that says more, if there is one; else itself.

    For ENOKEY, EKEYEXPIRED, EKEYREVOKED and EKEYREJECTED. Not for ESTALE, which has other meanings as well.
    """
    kind = _CLASSES.get(error.errno or 0)
    if kind is None or isinstance(error, SessionError):
        return error
    number = error.errno or 0
    return kind(number, _ADVICE[number], error.filename)
