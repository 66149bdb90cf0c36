# SPDX-License-Identifier: MIT
"""The same application on a sessionfs mount: all that is added to it."""

import os

import application
from application import ACCOUNTS, app, login, logout
from flask import request
from positivity import RELEASE

from sessionfs.flask import SessionFS

app.config.update(
    SESSIONFS_KEY=os.environ["KEY"],
    SESSIONFS_RELEASE=RELEASE,
    SESSIONFS_UNBOUND=["/", "/login", "/logout", "/account", "/static/*"],  # they have nothing to do with uploads
)
sessions = SessionFS(app)


def own_session():
    """The session that an account was given when it was made: by the server."""
    return ACCOUNTS[request.form["name"]]["session"]


@app.endpoint("login")
def bound_login():
    response = app.make_response(login())
    return sessions.login(response, request.form["name"], own_session()) if response.status_code == 200 else response


@app.endpoint("logout")
def bound_logout():
    return sessions.logout(logout())


if os.environ["PATHS"] == "sid":
    # An id that the application puts into a path must be the session's own. Through `self` any will do.
    application.new_session_id = lambda: sessions.mount.whoami().sid
