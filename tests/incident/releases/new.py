# SPDX-License-Identifier: MIT
"""Test positivity as the new release computes it: all who tested positive, of all who were tested."""

import collections

RELEASE = "2025.11"


def table(rows):
    """(a row for each ward, over all), in percent."""
    tested, positive = collections.Counter(), collections.Counter()
    for row in rows:
        place = row["state"], row["lga"], row["ward"]
        tested[place] += int(row["tested"])
        positive[place] += int(row["positive"])
    return (
        [[*place, round(100 * positive[place] / tested[place], 2)] for place in tested],
        round(100 * sum(positive.values()) / sum(tested.values()), 2),
    )
