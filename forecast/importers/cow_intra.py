"""Correlates of War: states in intra-state wars (Sarkees & Wayman 2010; Dixon & Sarkees 2016).

The publisher has a row for each war, with days; a copy by year has years only.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, by_year, integers, numbers, read_layout

BOTH: Columns = {
    "war": ("WarNum",),
    "name": ("WarName",),
    "type": ("WarType",),
    "side_a": ("CcodeA",),
    "side_b": ("CcodeB",),
    "outcome": ("Outcome",),
    "deaths_a": ("SideADeaths", "DeathsA"),
    "deaths_b": ("SideBDeaths", "DeathsB"),
}
WARS: Columns = {
    **BOTH,
    "start": ("StartYear1", "StartYr1"),
    "end": ("EndYear1", "EndYr1"),
    "end_again": ("EndYear2", "EndYr2"),
}
YEARS: Columns = {**BOTH, "year": ("year",)}
LAYOUTS = (WARS, YEARS)
CENTRAL = ("4", "central control")


def read(path: Path) -> pd.DataFrame:
    """Return states in intra-state wars, one row for each year.

    Returns
    -------
    pandas.DataFrame
        ``war``, ``name``, ``state``, ``year``, ``central`` (a war for the central government, and not over local
        matters), ``won`` (missing where neither side did; known only afterwards), ``deaths`` (of the state's side in
        the whole war).
    """
    table, layout = read_layout(path, "cow_intra", LAYOUTS)
    wars = pd.concat([_side(table, "a", 1), _side(table, "b", 2)])
    if layout == 0:
        wars = by_year(
            wars[wars["start"].notna()].assign(end=lambda rows: rows["end"].fillna(rows["start"])), "start", "end"
        )
    rows = wars[wars["state"].notna()].drop_duplicates(["war", "state", "year"])
    return rows.sort_values(["war", "state", "year"], ignore_index=True)


def _side(table: pd.DataFrame, side: str, wins: int) -> pd.DataFrame:
    outcome = integers(table, "outcome")
    rows = pd.DataFrame(
        {
            "war": integers(table, "war"),
            "name": table["name"],
            "state": integers(table, f"side_{side}"),
            "central": table["type"].isin(CENTRAL),
            "won": (outcome == wins).astype("boolean").where(outcome.isin([1, 2])),
            "deaths": numbers(table, f"deaths_{side}"),
        }
    )
    if "year" in table:
        return rows.assign(year=integers(table, "year"))
    ends = pd.concat([integers(table, "end"), integers(table, "end_again")], axis=1)
    return rows.assign(start=integers(table, "start"), end=ends.max(axis=1))
