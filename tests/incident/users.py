# SPDX-License-Identifier: MIT
"""Users by plain HTTP. Each does what the page in the browser does, and remembers what its browser does."""

import http.client
import http.cookies
import json
import time
import uuid

import deployment
import world

UPLOADS = ("/upload", "/api/data-analysis/upload")  # the two routes
TABLE = "/api/tpr"
UNBOUND = ("/", "/login", "/logout", "/account")  # they need no session, see protected.py


class Answer:
    """`seconds` from the request's first byte to the answer's last; `status` 0 where there was none. `bound`: the request
    was to be bound, by the token that it brought."""

    def __init__(self, path, status, fields, release, seconds, bound):
        self.path = path
        self.status = status
        self.fields = fields
        self.release = release
        self.seconds = seconds
        self.bound = bound


def multipart(fields, name=None, content=None):
    """(content type, body), with a file if it has a name."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in fields.items()
    ]
    if name is not None:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        parts += [head.encode() + b"Content-Type: text/csv\r\n\r\n", content, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", b"".join(parts)


class User:
    """`remembered` is the session id that the user's browser keeps, over logins and logouts."""

    def __init__(self, port, name, state, remembered=""):
        self.name = name
        self.state = state
        self.remembered = remembered
        self.cookies = {}
        self._client = http.client.HTTPConnection("127.0.0.1", port, timeout=world.PATIENCE)

    def close(self):
        self._client.close()

    def request(self, method, path, kind=None, body=None):
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if kind:
            headers["Content-Type"] = kind
        bound = bool(self.cookies.get("sessionfs")) and path not in UNBOUND
        begun = time.perf_counter()
        try:
            self._client.request(method, path, body=body, headers=headers)
            response = self._client.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            self._client.close()  # the next request connects anew
            return Answer(path, 0, {}, None, time.perf_counter() - begun, bound)
        seconds = time.perf_counter() - begun
        for header in response.headers.get_all("Set-Cookie", ()):
            for name, morsel in http.cookies.SimpleCookie(header).items():
                self.cookies[name] = morsel.value
        fields = json.loads(text) if response.headers.get_content_type() == "application/json" else {}
        return Answer(path, response.status, fields, response.headers["X-Release"], seconds, bound)

    def post(self, path, fields, *file):
        answer = self.request("POST", path, *multipart(fields, *file))
        self.remembered = answer.fields.get("session_id", self.remembered)
        return answer

    def login(self):
        return self.post("/login", {"name": self.name, "password": deployment.PASSWORD})

    def logout(self):
        return self.post("/logout", {})

    def upload(self, path, name, content):
        return self.post(path, {"session_id": self.remembered}, name, content)

    def table(self, name):
        return self.post(TABLE, {"session_id": self.remembered, "file": name})
