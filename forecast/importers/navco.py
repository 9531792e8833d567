"""NAVCO 1: maximalist campaigns (Chenoweth & Shay 2020)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, integers, read_layout
from forecast.importers.names import state_number

LAYOUTS: tuple[Columns, ...] = (
    {
        "id": ("NAVCOID", "navco1designation", "id"),
        "name": ("CAMPAIGN",),
        "place": ("LOCATION",),
        "start_year": ("BYEAR",),
        "end_year": ("EYEAR",),
        "success": ("SUCCESS",),
        "limited": ("LIMITED",),
        "ongoing": ("ONGOING",),
        "armed": ("VIOL",),
        "regime_change": ("REGCHANGE",),
    },
)


def read(path: Path) -> pd.DataFrame:
    """Return campaigns.

    Returns
    -------
    pandas.DataFrame
        ``id`` (the publisher's number and the first year), ``name``, ``place``, ``state`` (missing where the place is no state), ``start_year``,
        ``end_year``, ``result`` (failed, concession, removed, ongoing), ``armed``, ``regime_change``.
    """
    table, _ = read_layout(path, "navco", LAYOUTS)
    yes = {name: integers(table, name) == 1 for name in ("success", "limited", "ongoing", "armed", "regime_change")}
    result = pd.Series("failed", table.index).mask(yes["ongoing"], "ongoing")
    return pd.DataFrame(
        {
            "id": table["id"] + "-" + table["start_year"],  # the publisher's number stands for several campaigns
            "name": table["name"],
            "place": table["place"],
            "state": table["place"].map(state_number).astype("Int64"),
            "start_year": integers(table, "start_year"),
            "end_year": integers(table, "end_year"),
            "result": result.mask(yes["limited"], "concession").mask(yes["success"], "removed"),
            "armed": yes["armed"],
            "regime_change": yes["regime_change"],
        }
    )
