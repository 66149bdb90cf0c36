# SPDX-License-Identifier: MIT
"""An ASGI application for uvicorn."""

import asyncio
import errno
import json
import os

from sessionfs import Mount
from sessionfs.asgi import SessionMiddleware

mount = Mount(os.environ["MOUNT"])
outcomes = []
lifespan = []
crowd = 0
crowded = None


async def reply(send, value, status=200):
    body = json.dumps(value).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def outcome_of(function):
    try:
        function()
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]


async def everybody(n):
    """Waits until n requests are here at the same time."""
    global crowd, crowded
    crowded = crowded or asyncio.Event()
    crowd += 1
    if crowd == n:
        crowded.set()
    await asyncio.wait_for(crowded.wait(), 20)
    crowd -= 1
    if crowd == 0:
        crowded = None


async def upload(scope, receive, send):
    root, name, others = scope["state"]["sessionfs_root"], "table.csv", int(scope["query_string"] or 0)
    written = b""
    with open(f"{root}/{name}", "wb", buffering=0) as file:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                outcomes.append(["disconnected", outcome_of(lambda: os.stat(root))])
                return
            await asyncio.sleep(0)
            file.write(message.get("body", b""))
            written += message.get("body", b"")
            await asyncio.sleep(0)
            if not message.get("more_body"):
                break
    if others:
        await everybody(others)
    with open(f"{root}/{name}", "rb") as file:
        await asyncio.sleep(0)
        same = file.read() == written
    in_thread = await asyncio.get_running_loop().run_in_executor(None, os.listdir, root)
    await asyncio.sleep(0)
    await reply(send, {"same": same, "listed": in_thread, "root": root})
    outcomes.append(["after the response", outcome_of(lambda: os.stat(root))])


async def stream(scope, receive, send):
    """Half of a response; the other when the client has said so, or nothing more when it has gone."""
    root = scope["state"]["sessionfs_root"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half\n", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass
    outcomes.append(["disconnected", outcome_of(lambda: os.stat(root))])


async def websocket(scope, receive, send):
    root = scope["state"]["sessionfs_root"]
    await receive()
    await send({"type": "websocket.accept"})
    listed = outcome_of(lambda: os.listdir(root))
    await send({"type": "websocket.send", "text": json.dumps({"listed": listed})})
    while (await receive())["type"] != "websocket.disconnect":
        pass
    outcomes.append(["disconnected", outcome_of(lambda: os.stat(root))])


async def inner(scope, receive, send):
    if scope["type"] == "lifespan":
        for answer in ("startup", "shutdown"):
            await receive()
            lifespan.append(answer)
            await send({"type": f"lifespan.{answer}.complete"})
    elif scope["type"] == "websocket":
        await websocket(scope, receive, send)
    elif scope["path"] == "/upload":
        await upload(scope, receive, send)
    elif scope["path"] == "/stream":
        await stream(scope, receive, send)
    elif scope["path"] == "/fail":
        raise ValueError("as it was asked to")
    else:
        root = scope["state"]["sessionfs_root"]
        await reply(send, {"listed": outcome_of(lambda: os.listdir(root)), "thread": mount.whoami().bound})


inside = SessionMiddleware(inner, mount, token="sessionfs")


async def application(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/outside/outcomes":
        await reply(send, {"outcomes": outcomes, "lifespan": lifespan})
    else:
        await inside(scope, receive, send)
