# SPDX-License-Identifier: MIT
"""Sessions for ASGI applications, where the requests share threads: each gets a handle, a directory of its own name.

    from sessionfs import Mount
    from sessionfs.asgi import SessionMiddleware

    application = SessionMiddleware(application, Mount("instance/uploads"), token="sessionfs")
"""

from __future__ import annotations

import inspect
import os
from typing import Any, Awaitable, Callable, Iterable, List, MutableMapping, Optional, Union

from ._errors import SessionError
from ._mount import Handle, Mount
from ._request import Cookie, Header, Paths, answer, is_the_clients, missing, source

__all__ = ["Cookie", "Header", "SessionMiddleware"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Token = Union[Optional[str], Awaitable[Optional[str]]]

_POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1


class SessionMiddleware:
    """Opens a handle for each HTTP request and each websocket; its path is `scope["state"]["sessionfs_root"]`, which
    Starlette and FastAPI show as `request.state.sessionfs_root`.

    The handle ends when the response is sent, when the application hears that the client disconnected, or when the
    application returns, whichever is first: what runs in the background afterwards needs a handle of its own.

    `token` is the name of a cookie, `Cookie(name)`, `Header(name)`, or a callable, plain or async, that takes the scope
    and returns the token or None. `release` names the application's release (see `Mount.bound`).

    A request without a valid token is answered 401 and never reaches the application; 400 if it brings two. A websocket
    is closed before it is accepted (which servers make 403 of), or answered the same where the server can. With
    `required=False` they pass, with the error in `scope["state"]["sessionfs_error"]` and no path. Where the mount is
    missing or the release not admitted the answer is 503 either way. Other scopes (lifespan) pass as they are.

    `unbound` are paths of requests that need no session, such as "/login" and "/static/*": they pass as they are, whatever
    token they bring.
    """

    def __init__(
        self,
        app: Application,
        mount: Union[Mount, str, os.PathLike[str]],
        *,
        token: Union[str, Cookie, Header, Callable[[Scope], Token]],
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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] in self._unbound:
            await self.app(scope, receive, send)
            return

        state = dict(scope.get("state") or {})  # the server may share one among all requests
        scope = {**scope, "state": state}
        handle = None
        try:
            token = await self._token(scope)
            if not token:
                raise missing()
            handle = self.mount.handle(token, self.release)
            state["sessionfs_root"] = await handle.__aenter__()
        except SessionError as error:
            if self.required or not is_the_clients(error):
                await _refuse(error, scope, receive, send)
                return
            handle = None
            state["sessionfs_error"] = error.with_traceback(None)  # whose frames hold the state
        # Not in the handler: all that the application raises would have the refusal as its context.
        if handle is None:
            await self.app(scope, receive, send)
            return

        try:
            await self.app(scope, _closing_receive(receive, handle), _closing_send(send, handle))
        finally:
            handle.close()

    async def _token(self, scope: Scope) -> Optional[str]:
        if self._source is None:
            token = self._callable(scope)
            found: Optional[str] = await token if inspect.isawaitable(token) else token
            return found

        def values(name: str) -> List[str]:
            wanted = name.encode("latin-1")
            return [value.decode("latin-1") for key, value in scope["headers"] if key == wanted]

        return self._source.find(values)


def _closing_receive(receive: Receive, handle: Handle) -> Receive:
    async def wrapped() -> Message:
        message = await receive()
        if message["type"] in ("http.disconnect", "websocket.disconnect"):
            handle.close()
        return message

    return wrapped


def _closing_send(send: Send, handle: Handle) -> Send:
    async def wrapped(message: Message) -> None:
        # Before it is sent: who has read the whole response may rely on it.
        if message["type"] == "websocket.close" or (
            message["type"] == "http.response.body" and not message.get("more_body", False)
        ):
            handle.close()
        await send(message)

    return wrapped


async def _refuse(error: SessionError, scope: Scope, receive: Receive, send: Send) -> None:
    status, headers, body = answer(error)
    prefix = ""
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": body.decode().strip()})
            return
        prefix = "websocket."
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": prefix + "http.response.start", "status": status.value, "headers": raw})
    await send({"type": prefix + "http.response.body", "body": b"" if scope.get("method") == "HEAD" else body})
