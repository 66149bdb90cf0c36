#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What several instances must agree on, from the side of one: started on each at once, and compared by who started it.

    race.py bind MOUNT WHEN TOKEN-FILE…       binds the tokens one after the other, the i-th at WHEN + i * STEP: a line for
                                              each, 0 or the errno's name
    race.py use MOUNT SECONDS READY TOKEN-FILE
                                              binds, makes the file READY, and writes and reads a file until that is refused: the time of the
                                              last that was granted and of the first that was refused, and its errno

WHEN is in Unix seconds, and so are the times.
"""

import errno
import os
import sys
import time

STEP = 0.02


def read(path):
    with open(path, "rb") as f:
        return f.read().strip()


def control(mount):
    return os.open(os.path.join(mount, ".sessionfs/thread"), os.O_RDWR | os.O_CLOEXEC)


def name(error):
    return errno.errorcode.get(error.errno, str(error.errno))


def bind(mount, when, *files):
    lines = [b"bind " + read(f) + b"\n" for f in files]
    fd = control(mount)
    for i, line in enumerate(lines):
        time.sleep(max(0.0, float(when) + i * STEP - time.time()))
        try:
            os.write(fd, line)
            print(0)
        except OSError as e:
            print(name(e))


def use(mount, seconds, ready, file):
    fd = control(mount)
    os.write(fd, b"bind " + read(file) + b"\n")
    path = os.path.join(mount, "self/in-use")
    last, end = 0.0, time.time() + float(seconds)
    open(ready, "w").close()
    while time.time() < end:
        now = time.time()
        try:
            f = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                os.pwrite(f, b"x", 0)
                os.pread(f, 1, 0)
            finally:
                os.close(f)
            last = now
        except OSError as e:
            print(f"{last:.3f} {time.time():.3f} {name(e)}")
            return
        time.sleep(0.005)
    print(f"{last:.3f} {time.time():.3f} 0")


if __name__ == "__main__":
    {"bind": bind, "use": use}[sys.argv[1]](*sys.argv[2:])
