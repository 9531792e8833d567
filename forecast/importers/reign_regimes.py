"""REIGN's list of regimes (Bell, Besaw & Frank 2021), which carries Geddes, Wright and Frantz on.

A spreadsheet has read the ends of the case names as dates and left their serials there (``Canada11668``), so a
case is known by its country and first day.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, american_days, integers, read_layout

LAYOUTS: tuple[Columns, ...] = (
    {
        "state": ("cowcode", "ccode"),
        "country": ("gwf_country",),
        "case": ("gwf_casename",),
        "start": ("gwf_startdate",),
        "end": ("gwf_enddate",),
        "type": ("gwf_regimetype",),
    },
)


def read(path: Path) -> pd.DataFrame:
    """Return regimes.

    Returns
    -------
    pandas.DataFrame
        ``id`` (country and first day), ``state``, ``country``, ``start``, ``end`` (the list's last day while it goes
        on), ``type`` (such as ``personal``; words as published, without stray blanks and hyphens).
    """
    table, _ = read_layout(path, "reign_regimes", LAYOUTS)
    start = american_days(table, "start")
    return pd.DataFrame(
        {
            "id": table["country"] + " " + start.dt.strftime("%Y-%m-%d"),
            "state": integers(table, "state"),
            "country": table["country"],
            "start": start,
            "end": american_days(table, "end"),
            "type": table["type"].str.replace("-", " ").str.replace("party based", "party"),
        }
    )
