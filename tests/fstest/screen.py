#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A program at a terminal: screen.py ROWSxCOLUMNS CMD…, with steps on stdin, one a line.

    expect REGEX       until what the screen shows has it
    widest             says how wide the widest line on the screen is
    lines              says how many lines there are
    size ROWSxCOLUMNS  as if the window had changed
    key KEY            q, ^C or space, or such
    signal NAME        to the program
    run COMMAND        a shell's
    end                until the program ends: its status, and whether it left the terminal as it was

What does not come within PATIENCE tenths of a second ends all, with the last screen.
"""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

PATIENCE = int(os.environ.get("PATIENCE", "100")) / 10
ENTER, LEAVE = b"\033[?1049h", b"\033[?1049l"


def set_size(fd, text):
    rows, columns = map(int, text.split("x"))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))


class Terminal:
    def __init__(self, size, argv):
        self.fd, self.slave = os.openpty()  # the slave stays open, so that the terminal is there when the program has ended
        set_size(self.slave, size)
        self.before = termios.tcgetattr(self.slave)
        self.out = b""

        def own_terminal():
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

        ends = dict.fromkeys(("stdin", "stdout", "stderr"), self.slave)
        self.program = subprocess.Popen(argv, preexec_fn=own_terminal, **ends)

    def read(self, until):
        """More output, if there is some before this moment."""
        ready, _, _ = select.select([self.fd], [], [], max(0, min(0.1, until - time.monotonic())))
        if ready:
            self.out += os.read(self.fd, 65536)

    def screen(self):
        """The lines of the last frame that is whole."""
        frames = self.out.split(b"\033[H")[1:]
        whole = [f for f in frames if b"\033[J" in f]
        text = whole[-1].split(b"\033[J")[0] if whole else self.out.split(ENTER)[-1]
        text = re.sub(rb"\033\[[?0-9]*[A-Za-z]|\r", b"", text)
        return [line.decode(errors="replace") for line in text.split(b"\n")]

    def wait(self, what, condition):
        until = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > until:
                print(f"no {what}: " + " / ".join(self.screen()))
                self.program.kill()
                sys.exit(1)
            self.read(until)

    def expect(self, pattern):
        self.wait(pattern, lambda: re.search(pattern, "\n".join(self.screen())))

    def end(self):
        self.wait("end", lambda: self.program.poll() is not None)
        self.read(time.monotonic() + 0.1)
        same = termios.tcgetattr(self.slave) == self.before
        entered, left = self.out.count(ENTER), self.out.count(LEAVE)
        back = entered == left and self.out.rfind(LEAVE) >= self.out.rfind(b"\033[H")
        print(self.program.returncode, "as it was" if same and back else f"changed: {same=} {entered=} {left=}")


def main():
    terminal = Terminal(sys.argv[1], sys.argv[2:])
    for line in sys.stdin:
        verb, _, rest = line.strip().partition(" ")
        if verb == "expect":
            terminal.expect(rest)
        elif verb == "widest":
            print(max(map(len, terminal.screen())))
        elif verb == "lines":
            print(len(terminal.screen()))
        elif verb == "size":
            set_size(terminal.fd, rest)
        elif verb == "key":
            key = " " if rest == "space" else chr(ord(rest[1]) & 0x1F) if rest.startswith("^") else rest
            os.write(terminal.fd, key.encode())
        elif verb == "signal":
            terminal.program.send_signal(signal.Signals["SIG" + rest])
        elif verb == "run":
            subprocess.run(rest, shell=True, check=True)
        elif verb == "end":
            terminal.end()
        else:
            sys.exit(f"screen.py: {line!r}: no step")


if __name__ == "__main__":
    main()
