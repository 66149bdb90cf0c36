# SPDX-License-Identifier: MIT
"""Client of a sessionfs mount: says for whom a thread, a process or a request works.

    from sessionfs import Mount

    mount = Mount("instance/uploads")
    with mount.bound(token) as root:            # this thread, until the block ends
        file.save(os.path.join(root, "report.csv"))

    async with mount.handle(token) as root:     # event loops: a directory instead of a thread
        ...

    mount.process(token)                        # a job: this process and its descendants

Web applications need none of these: see `sessionfs.wsgi`, `sessionfs.asgi` and `sessionfs.flask`.

All errors are subclasses of OSError, with the errno that the mount gave; see `SessionError`. What is bound, and what
ends a binding, is explained in sessionfs-control(5).
"""

from ._errors import (
    NotBound,
    NotMounted,
    ProtocolMismatch,
    ReleaseRefused,
    SessionError,
    SessionExpired,
    SessionRefused,
    SessionRevoked,
    TokenAmbiguous,
    explain,
)
from ._mint import mint
from ._mount import PROTOCOL, Bound, Handle, Identity, Mount, ProcessBinding
from ._request import Cookie, Header

__version__ = "0.1.0"

__all__ = [
    "PROTOCOL",
    "Bound",
    "Cookie",
    "Handle",
    "Header",
    "Identity",
    "Mount",
    "NotBound",
    "NotMounted",
    "ProcessBinding",
    "ProtocolMismatch",
    "ReleaseRefused",
    "SessionError",
    "SessionExpired",
    "SessionRefused",
    "SessionRevoked",
    "TokenAmbiguous",
    "explain",
    "mint",
]
