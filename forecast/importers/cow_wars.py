"""Correlates of War: states in inter-state wars (Sarkees & Wayman 2010).

The publisher has a row for each state in a war, with days; a directed dyad-year copy has years only.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, day_from_parts, integers, numbers, read_layout, year_end, year_start

PARTICIPANTS: Columns = {
    "war": ("WarNum",),
    "state": ("ccode",),
    "deaths": ("BatDeath",),
    "outcome": ("Outcome",),
    **{f"{part}_{end}": (f"{end}{part}1",) for end in ("Start", "End") for part in ("Year", "Month", "Day")},
    **{f"{part}_End2": (f"End{part}2",) for part in ("Year", "Month", "Day")},
}
DYAD_YEARS: Columns = {
    "war": ("warnum",),
    "state": ("ccode1",),
    "year": ("year",),
    "deaths": ("batdeath1",),
    "outcome": ("outcome1",),
}
LAYOUTS = (PARTICIPANTS, DYAD_YEARS)
LOSER = 2


def read(path: Path) -> pd.DataFrame:
    """Return states in inter-state wars.

    Returns
    -------
    pandas.DataFrame
        ``id`` (war and state number), ``war``, ``state``, ``start``, ``end`` (days; first and last day of the
        years where the file has years only), ``deaths`` (own battle deaths in the whole war), ``lost`` (the state
        was on the losing side; known only afterwards, so never a predictor).
    """
    table, layout = read_layout(path, "cow_wars", LAYOUTS)
    rows = pd.DataFrame(
        {
            "war": integers(table, "war"),
            "state": integers(table, "state"),
            "start": year_start(integers(table, "year")) if layout else _day(table, "Start"),
            "end": year_end(integers(table, "year")) if layout else _day(table, "End2").fillna(_day(table, "End")),
            "deaths": numbers(table, "deaths"),
            "lost": integers(table, "outcome") == LOSER,
        }
    )
    whole = {"start": "min", "end": "max", "deaths": "max", "lost": "max"}
    wars = rows.groupby(["war", "state"], as_index=False).agg(whole)
    return wars.assign(id=wars["war"].astype(str) + "-" + wars["state"].astype(str))


def _day(table: pd.DataFrame, end: str) -> pd.Series:
    return day_from_parts(table, f"Year_{end}", f"Month_{end}", f"Day_{end}")
