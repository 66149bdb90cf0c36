# SPDX-License-Identifier: MIT
"""A Flask application, protected by two lines."""

import os

from flask import Flask, redirect, request

from sessionfs.flask import SessionFS

app = Flask(__name__)
app.config.update(
    SESSIONFS_MOUNT=os.environ["MOUNT"],
    SESSIONFS_KEY=os.environ.get("KEY"),
    SESSIONFS_RELEASE="2026.03",
)
sessions = SessionFS(app)

# The application as it was, which believes the id that its client sends.
UPLOADS = os.environ["MOUNT"]


@app.post("/login")
def login():
    return sessions.login(redirect("/"), request.form["user"], request.form.get("sid"))


@app.post("/logout")
def logout():
    return sessions.logout(redirect("/"))


@app.get("/")
def index():
    return {"whoami": sessions.mount.whoami().sid}


@app.post("/upload/<name>")
def upload(name):
    folder = os.path.join(UPLOADS, request.form["session_id"])
    os.makedirs(folder, exist_ok=True)
    request.files["file"].save(os.path.join(folder, name))
    return {"files": sorted(os.listdir(folder))}


@app.get("/mine/<name>")
def mine(name):
    with open(os.path.join(sessions.root, name)) as file:
        return file.read(), 200, {"Content-Type": "text/plain"}


@app.errorhandler(PermissionError)
def foreign(error):
    return {"refused": True}, 403
