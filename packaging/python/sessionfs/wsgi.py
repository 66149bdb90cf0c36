# SPDX-License-Identifier: MIT
"""Sessions for WSGI applications, in servers that give each request a thread (gunicorn sync and gthread, and others).

    from sessionfs import Mount
    from sessionfs.wsgi import SessionMiddleware

    application = SessionMiddleware(application, Mount("instance/uploads"), token="sessionfs")
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, List, Optional, Union

from ._errors import SessionError
from ._mount import Bound, Mount
from ._request import Cookie, Header, Paths, answer, is_the_clients, missing, source

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Cookie", "Header", "SessionMiddleware"]

_DISCARD_MAX = 1 << 20  # bytes of a refused request's body, so that the client gets to read the answer


class SessionMiddleware:
    """Binds the thread for the whole of each request, its streamed response included, and always unbinds.

    `token` is the name of a cookie, `Cookie(name)`, `Header(name)`, or a callable that takes the environ and returns
    the token or None. `release` names the application's release (see `Mount.bound`).

    A request without a valid token is answered 401 and never reaches the application; 400 if it brings two. With
    `required=False` such a request passes, unbound, with the error in `environ["sessionfs.error"]`: the mount refuses
    whatever it tries. Where the mount is missing or the release not admitted the answer is 503 either way.

    `unbound` are paths of requests that need no session, such as "/login" and "/static/*": they reach the application as
    they are, whatever token they bring, and the mount refuses them. It saves them what binding costs.

    The application finds the path of the session in `environ["sessionfs.root"]`.
    """

    def __init__(
        self,
        app: WSGIApplication,
        mount: Union[Mount, str, os.PathLike[str]],
        *,
        token: Union[str, Cookie, Header, Callable[[WSGIEnvironment], Optional[str]]],
        release: Optional[str] = None,
        required: bool = True,
        unbound: Iterable[str] = (),
    ) -> None:
        self.app = app
        self.mount = mount if isinstance(mount, Mount) else Mount(mount)
        self.release = release
        self.required = required
        self._unbound = Paths(unbound)
        self._source = source(token)
        self._callable: Any = token

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # What an earlier request may have left, where the server forgot to close its response.
        self.mount.unbind()
        if environ.get("PATH_INFO", "") in self._unbound:
            return self.app(environ, start_response)
        bound = None
        try:
            token = self._token(environ)
            if not token:
                raise missing()
            bound = self.mount.bound(token, self.release)
            environ["sessionfs.root"] = bound.__enter__()
        except SessionError as error:
            if self.required or not is_the_clients(error):
                return _refuse(error, environ, start_response)
            bound = None
            environ["sessionfs.error"] = error.with_traceback(None)  # whose frames hold the environ
        # Not in the handler: all that the application raises would have the refusal as its context.
        if bound is None:
            return self.app(environ, start_response)

        try:
            body = self.app(environ, start_response)
        except BaseException:
            bound.close()
            raise
        return _until_closed(body, bound, environ)

    def _token(self, environ: WSGIEnvironment) -> Optional[str]:
        if self._source is None:
            token: Optional[str] = self._callable(environ)
            return token

        def values(name: str) -> List[str]:
            # The server has joined repeated ones: cookies with "; ", others with ",", which no token has.
            value = environ.get("HTTP_" + name.upper().replace("-", "_"))
            return [] if value is None else [value]

        return self._source.find(values)


def _refuse(error: SessionError, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    status, headers, body = answer(error)
    try:
        left = min(int(environ.get("CONTENT_LENGTH") or 0), _DISCARD_MAX)
        if environ.get("wsgi.input_terminated") and "CONTENT_LENGTH" not in environ:
            left = _DISCARD_MAX
        while left > 0:
            chunk = environ["wsgi.input"].read(min(left, 1 << 16))
            left = left - len(chunk) if chunk else 0
    except (OSError, ValueError):
        pass  # the client went away, or its request is malformed: it does not matter any more
    start_response(f"{status.value} {status.phrase}", headers)
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]


def _until_closed(body: Iterable[bytes], bound: Bound, environ: WSGIEnvironment) -> Iterable[bytes]:
    """The response, which unbinds when the server closes it."""
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and isinstance(body, wrapper):
        # The server knows its own, and sends it by sendfile(2); wrapped once more it would be read and copied.
        response = _Response(body, bound)
        try:
            body.close = response.close  # type: ignore[attr-defined]
            return body
        except AttributeError:
            return response
    return _Response(body, bound)


class _Response:
    def __init__(self, body: Iterable[bytes], bound: Bound) -> None:
        self._body = body
        self._bound = bound
        self._close: Optional[Callable[[], object]] = getattr(body, "close", None)
        self._chunks: Optional[Iterator[bytes]] = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._chunks is None:
            self._chunks = iter(self._body)
        return next(self._chunks)

    def close(self) -> None:
        close, self._close = self._close, None
        try:
            if close:
                close()  # still in the session: what it tidies up is there
        finally:
            self._bound.close()

    def __del__(self) -> None:
        # A server that drops a response without closing it.
        self._bound.close()
