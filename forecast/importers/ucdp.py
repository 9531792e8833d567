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
        "over": ("incompatibility",),
        "intensity": ("intensity_level",),
        "type": ("type_of_conflict",),
    },
)
SIDES = {"gwno_a": "a", "gwno_a_2nd": "a ally", "gwno_b": "b", "gwno_b_2nd": "b ally"}
TYPES = {
    "1": "extrasystemic",
    "2": "interstate",
    "3": "intrastate",
    "4": "internationalised",
    "II": "internationalised",
}
OVER = {"1": "territory", "2": "government", "3": "both"}


def read(path: Path) -> pd.DataFrame:
    """Return states in armed conflict, primary and supporting parties alike.

    Returns
    -------
    pandas.DataFrame
        ``conflict``, ``year``, ``state``, ``side`` (``a``, ``a ally``, ``b``, ``b ally``; the government is side a),
        ``type`` (extrasystemic, interstate, intrastate, internationalised), ``over`` (territory, government, both),
        ``inter_state``, ``intensity`` (1: 25 battle deaths in the year, 2: 1,000), ``war`` (intensity 2).
    """
    table, _ = read_layout(path, "ucdp", LAYOUTS)
    key = ["conflict", "year", "over", "intensity", "type"]
    sides = table.melt(key, list(SIDES), var_name="side", value_name="state")
    sides = sides.assign(state=sides["state"].str.split(",")).explode("state", ignore_index=True)
    kind = sides["type"].replace(TYPES)
    intensity = integers(sides, "intensity")
    rows = pd.DataFrame(
        {
            "conflict": sides["conflict"],
            "year": integers(sides, "year"),
            "state": integers(sides.assign(state=sides["state"].str.strip()), "state"),
            "side": sides["side"].map(SIDES),
            "type": kind,
            "over": sides["over"].replace(OVER),
            "inter_state": kind == "interstate",
            "intensity": intensity,
            "war": intensity == 2,
        }
    )
    return rows.dropna(subset="state").drop_duplicates(["conflict", "year", "state"], ignore_index=True)
