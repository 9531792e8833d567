"""REIGN's list of leaders since 1950 (Bell, Besaw & Frank 2021).

The list is shipped with two columns that have no name, and with names that a spreadsheet has read as dates;
only named columns are used, and a name is only a label here. It has the month in which a leader left, not
the day; the next leader's first day stands in for it where there is one.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, day_from_parts, integers, month_end, read_layout

LAYOUTS: tuple[Columns, ...] = (
    {
        "id": ("leadid",),
        "state": ("ccode",),
        "leader": ("leader",),
        "day": ("sdate",),
        "month": ("smonth",),
        "year": ("syear",),
        "end_month": ("emonth",),
        "end_year": ("eyear",),
        "military": ("militarycareer",),
        "born": ("birthyear",),
    },
)


def read(path: Path) -> pd.DataFrame:
    """Return leader spells.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``state``, ``leader``, ``start``, ``end`` (the next leader's first day if that is in the month of
        exit or the one after, else the last day of the month of exit; missing while in office),
        ``military`` (an officer's career), ``born`` (year).
    """
    table, _ = read_layout(path, "reign_leaders", LAYOUTS)
    rows = pd.DataFrame(
        {
            "id": table["id"],
            "state": integers(table, "state"),
            "leader": table["leader"],
            "start": day_from_parts(table, "year", "month", "day"),
            "end": month_end(table, "end_year", "end_month"),
            "military": integers(table, "military") == 1,
            "born": integers(table, "born"),
        }
    )
    rows = rows.dropna(subset=["state", "start"]).sort_values(["state", "start"], ignore_index=True)
    successor = rows.groupby("state")["start"].shift(-1)
    apart = (successor - rows["end"]).dt.days
    return rows.assign(end=rows["end"].mask(apart.between(-31, 31), successor))
