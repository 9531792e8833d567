"""Archigos: leaders and the manner of their exit (Goemans, Gleditsch & Chiozza 2009)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, days, integers, read_layout

LAYOUTS: tuple[Columns, ...] = (
    {
        "id": ("obsid",),
        "state": ("ccode", "gwcode"),
        "leader": ("leader",),
        "start": ("startdate",),
        "end": ("enddate",),
        "exit": ("exit",),
        "exitcode": ("exitcode",),
    },
)

EXITS = {
    "Regular": "regular",
    "Natural Death": "natural_death",
    "Suicide": "natural_death",
    "Retired Due to Ill Health": "ill_health",
    "Foreign": "foreign",
    "Still in Office": "in_office",
}
IRREGULAR = {  # beginnings of exitcode where exit is Irregular
    "Removed by Military": "coup",
    "Removed by Other Government Actors": "coup",
    "Removed in Military Power Struggle": "coup",
    "Popular Protest": "revolution",
    "Removed by Rebels": "revolution",
    "Assassination": "assassination",
}


def read(path: Path) -> pd.DataFrame:
    """Return leader spells.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``state`` (number), ``leader``, ``start``, ``end``, ``exit`` (this package's words, or
        ``irregular`` where the publisher does not say by whom, or missing), ``armed`` (removed by rebels,
        and not by unarmed protest).
    """
    table, _ = read_layout(path, "archigos", LAYOUTS)
    return pd.DataFrame(
        {
            "id": table["id"],
            "state": integers(table, "state"),
            "leader": table["leader"],
            "start": days(table, "start"),
            "end": days(table, "end"),
            "exit": [manner(*pair) for pair in zip(table["exit"], table["exitcode"], strict=True)],
            "armed": table["exitcode"].str.contains("Rebels", regex=False),
        }
    )


def manner(exit_: str, exitcode: str) -> str | None:
    """Return the manner of an exit in this package's words.

    Some copies have a stray quotation mark before the code; it is stripped with the blanks.

    Examples
    --------
    >>> manner("Irregular", "Removed by Rebels, without Foreign Support")
    'revolution'
    >>> manner("Irregular", '"Removed by Military'), manner("Irregular", "Unknown"), manner("Unknown", "Unknown")
    ('coup', 'irregular', None)
    """
    if exit_ != "Irregular":
        return EXITS.get(exit_)
    code = exitcode.strip(' "')
    return next((ours for begin, ours in IRREGULAR.items() if code.startswith(begin)), "irregular")
