# SPDX-License-Identifier: MIT
"""What a user sees, before and after: the same user's same report, on the bare directory and through `self`."""

import base64
import os

import world

BEFORE, AFTER = "bare", "self"

PAGE = """<!doctype html>
<meta charset="utf-8">
<style>
  body { font: 20px sans-serif; margin: 0; padding: 16px; display: flex; gap: 16px; background: #e5e5e5; }
  figure { margin: 0; flex: 1; }
  figcaption { padding: 0 0 10px; min-height: 3.2em; }
  img { width: 100%%; border: 2px solid #444; box-sizing: border-box; display: block; }
</style>
<figure><figcaption><b>Before</b>, on a bare directory: %(who)s of %(state)s is shown the data of %(owner)s of
  %(owner_state)s.</figcaption><img src="data:image/png;base64,%(before)s"></figure>
<figure><figcaption><b>After</b>, on the mount, through <code>self</code>: the same upload of the same report, and
  %(who)s&rsquo;s own data.</figcaption><img src="data:image/png;base64,%(after)s"></figure>
"""


class Pictures:
    """Taken while the runs go on. `taken` has the paths of those that were."""

    def __init__(self, directory, states):
        self.directory = directory
        self.states = states  # of the users
        self.taken = []
        self._which = None  # (user, quarter, owner): of the tab that showed another's data
        os.makedirs(directory, exist_ok=True)

    def path(self, name):
        return f"{self.directory}/{name}.png"

    def __call__(self, key, computer):
        if key == BEFORE:
            shown = [one for one in computer.seen if one[2] == 200 and one[3] not in (None, one[0])]
            if shown:
                user, number, _, owner = shown[0]
                self._which = user, number, owner
                self._take("before", computer)
        elif key == AFTER and self._which:
            self._take("after", computer)
            self._together(computer)

    def _take(self, name, computer):
        user, number, _ = self._which
        computer.find(lambda *seen: seen[:2] == (user, number)).screenshot(self.path(name))
        self.taken.append(self.path(name))

    def _together(self, computer):
        user, _, owner = self._which
        page = f"{world.T}/browser/together.html"
        images = {}
        for name in ("before", "after"):
            with open(self.path(name), "rb") as file:
                images[name] = base64.b64encode(file.read()).decode()
        with open(page, "w", encoding="utf-8") as file:
            file.write(PAGE % {"who": user, "state": self.states[user], "owner": owner,
                               "owner_state": self.states[owner], **images})
        tab = computer.tabs[0][2]
        tab.ask("POST", "/url", {"url": f"file://{page}"})
        tab.ask("POST", "/window/rect", {"width": 1500, "height": 760})
        tab.screenshot(self.path("before-and-after"))
        self.taken.append(self.path("before-and-after"))
