"""Gleditsch and Ward's list of independent states (1999)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, days, integers, read_layout

LAYOUTS: tuple[Columns, ...] = (
    {
        "state": ("gwcode", "gwno", "statenumber"),
        "abbreviation": ("stateabb", "gwabbr"),
        "name": ("statename", "countryname"),
        "start": ("startdate", "start"),
        "end": ("enddate", "end"),
    },
)


def read(path: Path) -> pd.DataFrame:
    """Return the times of states.

    Returns
    -------
    pandas.DataFrame
        ``state``, ``abbreviation``, ``name``, ``start``, ``end`` (last day; the list's last day where the state is
        still there).
    """
    table, _ = read_layout(path, "gw_states", LAYOUTS)
    named = table[["abbreviation", "name"]]
    return named.assign(state=integers(table, "state"), start=days(table, "start"), end=days(table, "end"))[
        ["state", "abbreviation", "name", "start", "end"]
    ]
