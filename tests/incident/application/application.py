# SPDX-License-Identifier: MIT
"""The application of the incident, small: surveillance officers upload test data, and get test positivity by ward.

Who a user is, it knows by a login. Where the user's files are, it lets the browser say: that is the bug. It knows
nothing of sessionfs.
"""

import csv
import errno
import functools
import hashlib
import io
import json
import os
import re
import secrets

from flask import Flask, g, request
from positivity import RELEASE, table
from werkzeug.security import check_password_hash
from werkzeug.utils import secure_filename

app = Flask(__name__, instance_path=os.environ["INSTANCE"])
app.config["MAX_CONTENT_LENGTH"] = 16 << 20

UPLOADS = os.path.join(app.instance_path, "uploads")
LOGINS = os.path.join(app.instance_path, "logins")
COLUMNS = {"state", "lga", "ward", "facility", "month", "tested", "positive"}

with open(os.path.join(app.instance_path, "accounts.json"), encoding="utf-8") as file:
    ACCOUNTS = json.load(file)


# --- who somebody is: as it should be -------------------------------------------------------------------------------


@app.post("/login", endpoint="login")
def login():
    name = request.form.get("name", "")
    account = ACCOUNTS.get(name)
    if not account or not check_password_hash(account["password"], request.form.get("password", "")):
        return {"error": "No such name, or another password."}, 401
    key = secrets.token_hex(16)
    with open(os.path.join(LOGINS, key), "w", encoding="utf-8") as file:
        file.write(name)
    response = app.make_response({"name": name, "state": account["state"]})
    response.set_cookie("login", key, httponly=True, samesite="Lax")
    return response


def login_file():
    key = request.cookies.get("login", "")
    return os.path.join(LOGINS, key if re.fullmatch("[0-9a-f]{32}", key) else "none")


def login_required(view):
    @functools.wraps(view)
    def checked(*args):
        try:
            with open(login_file(), encoding="utf-8") as file:
                g.user = file.read()
        except FileNotFoundError:
            return {"error": "Please log in."}, 401
        return view(*args)

    return checked


@app.post("/logout", endpoint="logout")
@login_required
def logout():
    os.unlink(login_file())
    response = app.make_response({"name": g.user})
    response.delete_cookie("login")
    return response


@app.get("/account")
@login_required
def account():
    return {"name": g.user, "state": ACCOUNTS[g.user]["state"]}


# --- whose files they are: as it was --------------------------------------------------------------------------------


def new_session_id():
    return secrets.token_hex(16)


def validate_session(view):
    """Believes the session id of the form, and makes one only where there is none."""

    @functools.wraps(view)
    def checked():
        session_id = request.form.get("session_id", "").strip() or new_session_id()
        if not re.fullmatch("[A-Za-z0-9_-]{1,64}", session_id):
            return {"error": "Not a session id."}, 400
        return view(session_id)

    return checked


@app.post("/upload")
@login_required
@validate_session
def upload(session_id):
    """Any number of files."""
    folder = os.path.join(UPLOADS, session_id)
    os.makedirs(folder, exist_ok=True)
    names = []
    for file in request.files.getlist("file"):
        names.append(secure_filename(file.filename))
        file.save(os.path.join(folder, names[-1]))
    return {"session_id": session_id, "files": names}


@app.post("/api/data-analysis/upload")
@login_required
@validate_session
def upload_for_analysis(session_id):
    """One file, whose head is looked at."""
    file = request.files["file"]
    folder = os.path.join(UPLOADS, session_id)
    os.makedirs(folder, exist_ok=True)
    name = secure_filename(file.filename)
    file.save(os.path.join(folder, name))
    with open(os.path.join(folder, name), encoding="utf-8", newline="") as stored:
        missing = COLUMNS - set(next(csv.reader(stored), []))
    if missing:
        return {"error": "The file lacks " + ", ".join(sorted(missing)) + "."}, 400
    return {"session_id": session_id, "files": [name]}


@app.post("/api/tpr")
@login_required
@validate_session
def test_positivity(session_id):
    """The table, of what is stored; and the hash of that."""
    with open(os.path.join(UPLOADS, session_id, secure_filename(request.form["file"])), "rb") as file:
        data = file.read()
    rows, overall = table(csv.DictReader(io.StringIO(data.decode())))
    return {
        "release": RELEASE,
        "session_id": session_id,
        "sha256": hashlib.sha256(data).hexdigest(),
        "overall": overall,
        "rows": rows,
    }


@app.after_request
def name_release(response):
    response.headers["X-Release"] = RELEASE
    return response


@app.errorhandler(OSError)
def failed(error):
    # makedirs says EEXIST of a directory that is there and that it may not see.
    refused = error.errno in (errno.EACCES, errno.EEXIST)
    return {
        "error": "You have no access to that session." if refused else "That did not work.",
        "errno": errno.errorcode.get(error.errno, str(error.errno)),
    }, 403 if refused else 500


@app.get("/")
def page():
    return app.send_static_file("index.html")
