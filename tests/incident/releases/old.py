# SPDX-License-Identifier: MIT
"""Test positivity as the old release computes it: the mean of what the facilities' months say. Small ones weigh as much
as large ones.
"""

import collections

RELEASE = "2025.06"


def table(rows):
    """(a row for each ward, over all), in percent."""
    rates = collections.defaultdict(list)
    for row in rows:
        rates[row["state"], row["lga"], row["ward"]].append(100 * int(row["positive"]) / int(row["tested"]))
    return (
        [[*place, round(sum(each) / len(each), 2)] for place, each in rates.items()],
        round(sum(map(sum, rates.values())) / sum(map(len, rates.values())), 2),
    )
