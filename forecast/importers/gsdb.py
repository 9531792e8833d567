"""Global Sanctions Data Base: sanction cases (Felbermayr et al. 2020; Syropoulos et al. 2024)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, integers, read_layout
from forecast.importers.names import state_numbers

LAYOUTS: tuple[Columns, ...] = (
    {
        "id": ("case_id",),
        "target": ("sanctioned_state",),
        "sender": ("sanctioning_state",),
        "start_year": ("begin",),
        "end_year": ("end",),
        "trade": ("trade",),
        "arms": ("arms",),
        "military": ("military",),
        "financial": ("financial",),
        "travel": ("travel",),
        "other": ("other",),
    },
)
KINDS = ["trade", "arms", "military", "financial", "travel", "other"]


def read(path: Path) -> pd.DataFrame:
    """Return sanction cases, one row for each target state of a case.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``state`` (the target), ``sender``, ``start_year``, ``end_year``, ``kinds`` (such as
        ``arms+travel``). Cases against groups that are no list of states are left out.
    """
    table, _ = read_layout(path, "gsdb", LAYOUTS)
    kinds = [[kind for kind in KINDS if row[kind] == "1"] for _, row in table[KINDS].iterrows()]
    cases = pd.DataFrame(
        {
            "id": table["id"],
            "state": table["target"].map(state_numbers),
            "sender": table["sender"],
            "start_year": integers(table, "start_year"),
            "end_year": integers(table, "end_year"),
            "kinds": ["+".join(found) for found in kinds],
        }
    )
    return cases.explode("state").dropna(subset="state").astype({"state": "Int64"}).reset_index(drop=True)
