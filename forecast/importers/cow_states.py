"""The Correlates of War list of states (Correlates of War Project 2017)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, day_from_parts, integers, read_layout

LAYOUTS: tuple[Columns, ...] = (
    {
        "state": ("ccode",),
        "abbreviation": ("stateabb",),
        "name": ("statenme",),
        **{f"{end}{part}": (f"{end}{part}",) for end in ("st", "end") for part in ("year", "month", "day")},
    },
)


def read(path: Path) -> pd.DataFrame:
    """Return the times of states.

    Returns
    -------
    pandas.DataFrame
        The columns of `forecast.importers.gw_states.read`.
    """
    table, _ = read_layout(path, "cow_states", LAYOUTS)
    return pd.DataFrame(
        {
            "state": integers(table, "state"),
            "abbreviation": table["abbreviation"],
            "name": table["name"],
            "start": day_from_parts(table, "styear", "stmonth", "stday"),
            "end": day_from_parts(table, "endyear", "endmonth", "endday"),
        }
    )
