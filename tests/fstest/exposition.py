#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prometheus' text exposition format 0.0.4, strictly: exposition.py [FILE]. One line for each fault, and then exit 1.

Stricter than the format: HELP, TYPE and samples in this order, one label set's names for all of a family, no timestamps
(node_exporter's textfile collector refuses them), no blank lines or other comments, and what promtool's lint asks of names.
"""

import re
import sys

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
VALUE = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|Inf)|NaN")
SUFFIXES = ("_bucket", "_sum", "_count")


class Fault(Exception):
    pass


def number(text):
    if not VALUE.fullmatch(text):
        raise Fault(f"{text!r} is no value")
    return float(text)


def parse_sample(line):
    """Its name, labels as a tuple of pairs in their order, and value."""
    m = NAME.match(line)
    if not m:
        raise Fault("neither a comment nor a sample")
    name, at, labels = m.group(), m.end(), []
    if line[at : at + 1] == "{":
        at += 1
        while True:
            m = LABEL.match(line, at)
            if not m:
                raise Fault("a label is malformed")
            if m.group(1).startswith("__"):
                raise Fault(f"the label {m.group(1)} is reserved")
            labels.append(m.groups())
            at = m.end()
            if line[at : at + 1] == "}":
                at += 1
                break
            if line[at : at + 1] != ",":
                raise Fault("labels are not closed")
            at += 1
    if len({k for k, _ in labels}) != len(labels):
        raise Fault("a label is there twice")
    rest = line[at:]
    if not rest.startswith(" ") or " " in rest[1:]:
        raise Fault("one space and a value, and nothing more, belong behind the name")
    return name, tuple(labels), number(rest[1:])


class Family:
    def __init__(self, name):
        self.name = name
        self.type = None
        self.samples = []  # (suffix, labels, value)

    def add(self, name, labels, value):
        suffix = name[len(self.name) :] if name.startswith(self.name) else None
        if suffix not in (SUFFIXES if self.type == "histogram" else ("",)):
            raise Fault(f"{name} is not of {self.name}, a {self.type}, which is at hand")
        if any(s == suffix and sorted(l) == sorted(labels) for s, l, _ in self.samples):
            raise Fault("this series is there twice")
        names = sorted(k for k, _ in labels if k != "le")
        if self.samples and names != sorted(k for k, _ in self.samples[0][1] if k != "le"):
            raise Fault("other labels than the family's first sample")
        if ("le" in dict(labels)) != (suffix == "_bucket"):
            raise Fault("le is for buckets, and buckets have it")
        if self.type != "gauge" and not 0 <= value < float("inf"):
            raise Fault(f"a {self.type} can't be {value}")
        self.samples.append((suffix, labels, value))

    def finish(self):
        if self.type is None:
            raise Fault(f"{self.name} has no TYPE")
        if (self.type == "counter") != self.name.endswith("_total"):
            raise Fault(f"{self.name} is a {self.type}: counters end in _total, and nothing else does")
        if self.type != "histogram" and self.name.endswith(SUFFIXES):
            raise Fault(f"{self.name} has a histogram's suffix")
        if self.type == "histogram":
            self.finish_histogram()

    def finish_histogram(self):
        of = {}
        for suffix, labels, value in self.samples:
            key = tuple(sorted(p for p in labels if p[0] != "le"))
            of.setdefault(key, {"_bucket": [], "_sum": [], "_count": []})[suffix].append((dict(labels).get("le"), value))
        for key, parts in of.items():
            what = f"{self.name}{dict(key)}"
            if len(parts["_sum"]) != 1 or len(parts["_count"]) != 1:
                raise Fault(f"{what}: one _sum and one _count are wanted")
            bounds = [number(le) for le, _ in parts["_bucket"]]
            counts = [n for _, n in parts["_bucket"]]
            if not bounds or bounds[-1] != float("inf"):
                raise Fault(f"{what}: the last bucket is not +Inf")
            if any(a >= b for a, b in zip(bounds, bounds[1:])):
                raise Fault(f"{what}: bounds do not rise")
            if any(a > b for a, b in zip(counts, counts[1:])):
                raise Fault(f"{what}: buckets are not cumulative")
            if counts[-1] != parts["_count"][0][1]:
                raise Fault(f"{what}: +Inf is not the _count")


def check(text):
    """Yields (line number, fault)."""
    families, current, after_help = {}, None, False
    if not text.endswith("\n"):
        yield 0, "the last line has no newline"
    lines = text.split("\n")
    for at, line in enumerate(lines[:-1] if text.endswith("\n") else lines, 1):
        try:
            if line.startswith("#"):
                m = re.fullmatch(r"# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)", line)
                if not m:
                    raise Fault("a comment that is neither HELP nor TYPE")
                what, name, rest = m.groups()
                if what == "HELP":
                    if current:
                        current.finish()
                    current, after_help = None, False
                    if name in families:
                        raise Fault(f"{name} comes a second time")
                    if re.search(r"\\(?![\\n])", rest):
                        raise Fault("a help text with another escape than \\\\ and \\n")
                    current = families[name] = Family(name)
                    after_help = True
                else:
                    if not after_help or name != current.name:
                        raise Fault("TYPE is not right behind its HELP")
                    if rest not in ("counter", "gauge", "histogram"):
                        raise Fault(f"the type {rest}")
                    current.type, after_help = rest, False
            else:
                if not current or not current.type:
                    raise Fault("a sample before its TYPE")
                current.add(*parse_sample(line))
        except Fault as fault:
            yield at, str(fault)
    try:
        if current:
            current.finish()
    except Fault as fault:
        yield len(lines), str(fault)


def main():
    with open(sys.argv[1], "rb") if len(sys.argv) > 1 else sys.stdin.buffer as f:
        raw = f.read()
    try:
        faults = list(check(raw.decode()))
    except UnicodeDecodeError as e:
        faults = [(0, str(e))]
    for at, fault in faults:
        print(f"line {at}: {fault}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
