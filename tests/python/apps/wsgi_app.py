# SPDX-License-Identifier: MIT
"""A WSGI application for gunicorn. `/outside/…` is outside the middleware: what a thread is when nobody bound it."""

import errno
import json
import os
import threading
from urllib.parse import parse_qs

from sessionfs import Mount
from sessionfs.wsgi import SessionMiddleware

mount = Mount(os.environ["MOUNT"])
outcomes = []


def reply(start_response, value, status="200 OK"):
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(value).encode()]


def who():
    return {"sid": mount.whoami().sid, "pid": os.getpid(), "tid": threading.get_native_id()}


def read_all(environ):
    data, left = b"", int(environ.get("CONTENT_LENGTH") or 0)
    while left:
        chunk = environ["wsgi.input"].read(min(left, 4096))
        if not chunk:
            raise ConnectionError("the client went away")
        data, left = data + chunk, left - len(chunk)
    return data


def gate(name):
    """Waits until the test opens the other end."""
    with open(name) as fifo:
        fifo.read()


def stream(query):
    try:
        yield json.dumps(who()).encode() + b"\n"
        if "gate" in query:
            gate(query["gate"][0])
        if "fail" in query:
            raise ValueError("as it was asked to")
        yield json.dumps(who()).encode() + b"\n"
    finally:
        outcomes.append(["stream closed", mount.whoami().sid])


def application(environ, start_response):
    query = {key: values for key, values in parse_qs(environ["QUERY_STRING"]).items()}
    root, path = environ.get("sessionfs.root"), environ["PATH_INFO"]
    if path == "/who":
        return reply(start_response, who())
    if path == "/upload":
        if "gate" in query:
            gate(query["gate"][0])
        try:
            data = read_all(environ)
        except Exception as error:
            outcomes.append(["upload ended", type(error).__name__, mount.whoami().sid])
            raise
        with open(f"{root}/{query['name'][0]}", "wb") as file:
            file.write(data)
        with open(f"{root}/{query['name'][0]}", "rb") as file:
            back = file.read()
        foreign = None
        if "foreign" in query:
            try:
                os.stat(os.path.join(mount.path, query["foreign"][0]))
            except OSError as error:
                foreign = errno.errorcode[error.errno]
        return reply(start_response, {**who(), "same": back == data, "foreign": foreign})
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return stream(query)
    if path == "/fail":
        raise ValueError("as it was asked to")
    if path == "/file":
        start_response("200 OK", [("Content-Length", str(os.path.getsize(f"{root}/{query['name'][0]}")))])
        return environ["wsgi.file_wrapper"](open(f"{root}/{query['name'][0]}", "rb"))
    return reply(start_response, None, "404 Not Found")


inside = SessionMiddleware(application, mount, token=os.environ.get("COOKIE", "sessionfs"))


def outermost(environ, start_response):
    if environ["PATH_INFO"] == "/outside/who":
        return reply(start_response, who())
    if environ["PATH_INFO"] == "/outside/outcomes":
        return reply(start_response, outcomes)
    return inside(environ, start_response)
