# SPDX-License-Identifier: MIT
"""Sessions for Flask applications, in two lines:

    from sessionfs.flask import SessionFS
    sessions = SessionFS(app)

and at login:

    return sessions.login(redirect("/"), user.name)

Configuration, from `app.config` at the time of SessionFS(app) or init_app:

    SESSIONFS_MOUNT      the mountpoint; instance/uploads by default, a relative one is of the application's root_path
    SESSIONFS_COOKIE     name of the cookie, "sessionfs"; behind TLS "__Host-sessionfs" is better: no other host of the
                         domain can then set it
    SESSIONFS_KEY        file of the issuer's secret key, for login()
    SESSIONFS_AUDIENCE   "sessionfs"
    SESSIONFS_TTL        seconds that a login is good, 28800
    SESSIONFS_RELEASE    name of the application's release, none by default
    SESSIONFS_REQUIRED   False: a request without a valid token reaches the application unbound, as login pages must,
                         and an operation that needs a session is answered 401. True: it is answered 401 at once.
    SESSIONFS_UNBOUND    paths of requests that need no session, such as "/login" and "/static/*"; none by default. They
                         save what binding costs, and reach the application whatever SESSIONFS_REQUIRED is.

The command `flask sessions` lists who is in.
"""

from __future__ import annotations

import errno
import json
import os
from typing import Any, Optional

import click
from flask import Flask, Response, current_app, request
from flask.cli import with_appcontext
from flask.typing import ResponseReturnValue

from ._errors import SessionError, explain
from ._mint import AUDIENCE, TTL, mint
from ._mount import Mount
from ._request import answer, missing
from .wsgi import SessionMiddleware

__all__ = ["SessionFS"]

_DEFAULTS = {
    "SESSIONFS_COOKIE": "sessionfs",
    "SESSIONFS_KEY": None,
    "SESSIONFS_AUDIENCE": AUDIENCE,
    "SESSIONFS_TTL": TTL,
    "SESSIONFS_RELEASE": None,
    "SESSIONFS_REQUIRED": False,
    "SESSIONFS_UNBOUND": (),
}


class SessionFS:
    """The extension. `mount` is the application's Mount, once there is an application."""

    mount: Mount

    def __init__(self, app: Optional[Flask] = None) -> None:
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Puts the WSGI middleware around the application, and answers 401 where a view has no session."""
        for key, value in _DEFAULTS.items():
            app.config.setdefault(key, value)
        path = app.config.setdefault("SESSIONFS_MOUNT", os.path.join(app.instance_path, "uploads"))
        self.mount = Mount(os.path.join(app.root_path, path))
        replace: Any = app  # methods are replaced, which type checkers don't like
        replace.wsgi_app = SessionMiddleware(
            app.wsgi_app,
            self.mount,
            token=app.config["SESSIONFS_COOKIE"],
            release=app.config["SESSIONFS_RELEASE"],
            required=app.config["SESSIONFS_REQUIRED"],
            unbound=app.config["SESSIONFS_UNBOUND"],
        )
        app.extensions["sessionfs"] = self
        app.cli.add_command(
            click.Command("sessions", callback=_with_appcontext(_sessions), params=[_JSON], help=_HELP)
        )

        # A view's open() raises a plain OSError. A handler for OSError would take all others from the application's own;
        # so it is made one of ours first, and the application may have handlers for those too.
        handle = app.handle_user_exception

        def explained(error: Exception) -> Any:
            return handle(explain(error) if isinstance(error, OSError) else error)

        replace.handle_user_exception = explained
        app.register_error_handler(SessionError, _answer)

    @property
    def root(self) -> str:
        """The path of the request's session, to be joined with file names. Raises NotBound, which is answered 401."""
        root: Optional[str] = request.environ.get("sessionfs.root")
        if root is None:
            raise request.environ.get("sessionfs.error") or missing()
        return root

    def login(self, response: ResponseReturnValue, sub: str, sid: Optional[str] = None) -> Response:
        """Mints a token for the user `sub`, whom you have authenticated, and sets it as the response's cookie.

        The cookie is Secure, HttpOnly and SameSite=Lax: page scripts can't read it, so it can't end up in localStorage.
        The session is a new one of random id, or `sid`: never one that the client named. Counts from the next request.

        `response` may be anything that a view may return. Raises what `sessionfs.mint` does; RuntimeError without
        SESSIONFS_KEY.
        """
        config = current_app.config
        if not config["SESSIONFS_KEY"]:
            raise RuntimeError("SESSIONFS_KEY is not set: name the file of the issuer's key (session-token keygen)")
        token = mint(
            config["SESSIONFS_KEY"],
            sub,
            sid,
            audience=config["SESSIONFS_AUDIENCE"],
            ttl=config["SESSIONFS_TTL"],
        )
        answered = current_app.make_response(response)
        answered.set_cookie(
            config["SESSIONFS_COOKIE"],
            token,
            max_age=int(config["SESSIONFS_TTL"]),
            path="/",
            secure=True,
            httponly=True,
            samesite="Lax",
        )
        answered.headers["Cache-Control"] = "no-store"
        return answered

    def logout(self, response: ResponseReturnValue) -> Response:
        """Takes the cookie away. The token itself stays good until its `exp`, or until its session is revoked."""
        answered = current_app.make_response(response)
        answered.delete_cookie(
            current_app.config["SESSIONFS_COOKIE"], path="/", secure=True, httponly=True, samesite="Lax"
        )
        return answered


def _answer(error: SessionError) -> Response:
    status, headers, body = answer(error)
    return Response(body, status.value, headers)


_with_appcontext: Any = with_appcontext  # typed in newer Flasks alone

_HELP = "Lists the sessions that are bound, or in use, on this mount. For root, and the daemon's user."
_JSON = click.Option(
    ["--json", "as_json"], is_flag=True, help="One JSON object, as .sessionfs/sessions gives it."
)


def _sessions(as_json: bool) -> None:
    mount: Mount = current_app.extensions["sessionfs"].mount
    try:
        report = mount.sessions()
    except SessionError as error:
        if error.errno == errno.EACCES:
            raise click.ClickException(f"{mount.path}: only root, or the daemon's user, may see the sessions") from None
        raise click.ClickException(f"{mount.path}: {error.strerror}") from None
    if as_json:
        click.echo(json.dumps(report))
        return
    rows = [("SID", "USER", "STATE", "HOLDERS", "EXPIRES", "RELEASE")]
    for session in sorted(report["sessions"], key=lambda one: str(one["sid"])):
        rows.append(
            (
                session["sid"],
                session["sub"],
                session["state"],
                str(len(session["holders"])),
                session["expires"] or "-",
                session["release"] or "-",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
