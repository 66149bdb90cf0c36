# SPDX-License-Identifier: MIT
"""What WSGI and ASGI have in common: where a request's token is, and what is answered to one without."""

from __future__ import annotations

import errno
import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import Callable, Iterable, List, Optional, Tuple, Union

from ._errors import NotBound, SessionError, SessionExpired, SessionRefused, SessionRevoked, TokenAmbiguous

log = logging.getLogger("sessionfs")

Values = Callable[[str], Iterable[str]]
"""All values of a request's header, by its lower-case name."""


@dataclass(frozen=True)
class Cookie:
    """The token is in the cookie `name`. More than one of it is refused: which is meant can't be told."""

    name: str

    def find(self, values: Values) -> Optional[str]:
        found: List[str] = []
        for header in values("cookie"):
            for pair in header.split(";"):
                name, equals, value = pair.strip().partition("=")
                if equals and name == self.name:
                    found.append(value)
        return _only(found, f"the cookie {self.name}")


@dataclass(frozen=True)
class Header:
    """The token is the header `name`; of `Authorization`, what follows `Bearer`."""

    name: str

    def find(self, values: Values) -> Optional[str]:
        found = [value.strip() for value in values(self.name.lower())]
        if self.name.lower() == "authorization":
            words = [value.split(" ", 1) for value in found]
            found = [word[1].strip() for word in words if len(word) == 2 and word[0].lower() == "bearer"]
        return _only(found, f"the header {self.name}")


def _only(found: List[str], what: str) -> Optional[str]:
    if len(found) > 1:
        raise TokenAmbiguous(errno.EKEYREJECTED, f"{what} was sent {len(found)} times", reason="given-twice")
    return found[0] if found and found[0] else None


def missing() -> NotBound:
    return NotBound(errno.ENOKEY, "the request brought no token", reason="no-token")


def is_the_clients(error: SessionError) -> bool:
    """Whether another token would help; else the deployment is at fault, and no request must pass."""
    return isinstance(error, (NotBound, SessionRefused, SessionExpired, SessionRevoked))


def answer(error: SessionError) -> Tuple[HTTPStatus, List[Tuple[str, str]], bytes]:
    """Status, headers and body. They say nothing of the server: the log does, once for each refusal."""
    log.warning("%s", error)
    status = HTTPStatus.UNAUTHORIZED
    if isinstance(error, TokenAmbiguous):
        # Not 401: a new login would add one more.
        status, text = HTTPStatus.BAD_REQUEST, "More than one session token was sent. Delete this site's cookies."
    elif isinstance(error, NotBound):
        text = "Please log in."
    elif isinstance(error, SessionExpired):
        text = "Your session has expired. Please log in again."
    elif isinstance(error, SessionRevoked):
        text = "Your session was ended. Please log in again."
    elif isinstance(error, SessionRefused):
        text = "Your session token is not accepted. Please log in again."
    else:
        # A load balancer may try another instance: of an admitted release, or with a mount that works.
        status, text = HTTPStatus.SERVICE_UNAVAILABLE, "Sessions are not available here at the moment."
    body = (text + "\n").encode()
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append(("WWW-Authenticate", 'Bearer realm="sessionfs"'))
    return status, headers, body


class Paths:
    """A set of requests' paths; what ends in * stands for all that begin so."""

    def __init__(self, paths: Iterable[str]) -> None:
        if isinstance(paths, str):
            raise TypeError(f"{paths!r}: a list of paths, not one")
        given = list(paths)
        for path in given:
            if not path.startswith("/"):
                raise ValueError(f"{path!r}: a path begins with /")
        self._exact = frozenset(path for path in given if not path.endswith("*"))
        self._prefixes = tuple(path[:-1] for path in given if path.endswith("*"))

    def __contains__(self, path: str) -> bool:
        return path in self._exact or path.startswith(self._prefixes)


Source = Union[Cookie, Header]


def source(token: object) -> Optional[Source]:
    """A Cookie, Header or cookie's name as what it is; None for a callable."""
    if isinstance(token, str):
        return Cookie(token)
    if isinstance(token, (Cookie, Header)):
        return token
    if callable(token):
        return None
    raise TypeError(f"token={token!r}: the name of a cookie, a Cookie, a Header, or a callable")
