"""UCDP/PRIO Armed Conflict Dataset: states in armed conflict, by year (Davies et al. 2025)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, integers, read_layout

LAYOUTS: tuple[Columns, ...] = (
    {
        "conflict": ("conflict_id",),
        "year": ("year",),
        "gwno_a": ("gwno_a",),
        "gwno_a_2nd": ("gwno_a_2nd",),
        "gwno_b": ("gwno_b",),
        "gwno_b_2nd": ("gwno_b_2nd",),
        "intensity": ("intensity_level",),
        "type": ("type_of_conflict",),
    },
)
SIDES = ["gwno_a", "gwno_a_2nd", "gwno_b", "gwno_b_2nd"]
INTER_STATE = ("2", "interstate")


def read(path: Path) -> pd.DataFrame:
    """Return states in armed conflict, primary and supporting parties alike.

    Returns
    -------
    pandas.DataFrame
        ``conflict``, ``year``, ``state``, ``inter_state``, ``war`` (1,000 battle deaths in the year).
    """
    table, _ = read_layout(path, "ucdp", LAYOUTS)
    sides = table.melt(["conflict", "year", "intensity", "type"], SIDES, value_name="state")
    sides = sides.assign(state=sides["state"].str.split(",")).explode("state", ignore_index=True)
    rows = pd.DataFrame(
        {
            "conflict": sides["conflict"],
            "year": integers(sides, "year"),
            "state": integers(sides.assign(state=sides["state"].str.strip()), "state"),
            "inter_state": sides["type"].isin(INTER_STATE),
            "war": integers(sides, "intensity") == 2,
        }
    )
    return rows.dropna(subset="state").drop_duplicates(ignore_index=True)
