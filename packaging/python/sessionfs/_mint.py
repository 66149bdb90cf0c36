# SPDX-License-Identifier: MIT
"""Minting session tokens, through the C library sessionfs(3): Python's standard library can't sign."""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
import functools
import json
import os
from typing import Any, Mapping, Optional, Union

from ._errors import SessionError

AUDIENCE = "sessionfs"
TTL = 28800
"""Seconds: a working day."""

_SONAME = "libsessionfs.so.1"


class _Claims(ctypes.Structure):
    """struct sessionfs_claims."""

    _fields_ = [
        ("sub", ctypes.c_char_p),
        ("sid", ctypes.c_char_p),
        ("aud", ctypes.c_char_p),
        ("ttl", ctypes.c_int64),
        ("nbf", ctypes.c_int64),
        ("jti", ctypes.c_char_p),
        ("iss", ctypes.c_char_p),
        ("extra", ctypes.c_char_p),
    ]


@functools.lru_cache(maxsize=None)
def _library() -> ctypes.CDLL:
    name = os.environ.get("SESSIONFS_LIBRARY") or ctypes.util.find_library("sessionfs") or _SONAME
    try:
        library = ctypes.CDLL(name)
        library.sessionfs_mint.argtypes = [
            ctypes.c_char_p,
            ctypes.POINTER(_Claims),
            ctypes.POINTER(ctypes.c_void_p),
            ctypes.POINTER(ctypes.c_char_p),
        ]
        library.sessionfs_mint.restype = ctypes.c_int
        library.sessionfs_free.argtypes = [ctypes.c_void_p]
        library.sessionfs_free.restype = None
    except (OSError, AttributeError) as error:
        raise SessionError(
            errno.ELIBACC, f"minting needs {_SONAME}: install it, or name it in SESSIONFS_LIBRARY ({error})", name
        ) from None
    return library


def _bytes(text: Optional[str], what: str) -> Optional[bytes]:
    if text is None:
        return None
    if "\0" in text:
        raise ValueError(f"{what} has a NUL in it")  # where C would take it to end
    return text.encode()


def mint(
    key: Union[str, os.PathLike[str]],
    sub: str,
    sid: Optional[str] = None,
    *,
    audience: str = AUDIENCE,
    ttl: int = TTL,
    claims: Optional[Mapping[str, Any]] = None,
) -> str:
    """Makes a session token, for a user whom you have authenticated.

    `key` is the file of the issuer's secret key (`session-token keygen`): regular, owned by the caller or root, and
    nobody else may have access. `sub` is the user, 1 to 255 bytes of UTF-8 without control characters. `sid` is the
    session, 1 to 128 of `A-Z a-z 0-9 . _ -`, not starting with `.` or `~`, not "self"; random by default. `ttl` is how
    long it is good from now on, in seconds. `claims` are further ones, which the daemon ignores.

    Raises ValueError for a claim that breaks its rule or makes the token longer than 4096 bytes, OSError for the key
    file, SessionError (ELIBACC) where the C library isn't installed.
    """
    if not sub:
        raise ValueError("sub is empty: a token needs a user")
    if not 0 < ttl < 1 << 40:
        raise ValueError(f"ttl is {ttl} seconds: a token must be good for some time")
    path = os.fspath(key)
    if "\0" in path:
        raise ValueError("key has a NUL in it")
    want = _Claims(
        sub=_bytes(sub, "sub"),
        sid=_bytes(sid, "sid"),
        aud=_bytes(audience, "audience"),
        ttl=int(ttl),
        extra=None if claims is None else json.dumps(dict(claims)).encode(),
    )
    token, reason = ctypes.c_void_p(), ctypes.c_char_p()
    library = _library()
    result = library.sessionfs_mint(os.fsencode(path), ctypes.byref(want), ctypes.byref(token), ctypes.byref(reason))
    if result:
        text = (reason.value or os.strerror(-result).encode()).decode(errors="replace")
        if -result in (errno.EINVAL, errno.EMSGSIZE):
            raise ValueError(text)
        raise OSError(-result, text, path)
    try:
        return ctypes.string_at(token.value or 0).decode("ascii")
    finally:
        library.sessionfs_free(token)
