"""Autocratic regimes by country and year, as on 1 January (Geddes, Wright & Frantz 2014)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import MISSING, Columns, integers, read_layout

LAYOUTS: tuple[Columns, ...] = (
    {
        "state": ("cowcode", "gwf_cowcode"),
        "year": ("year",),
        "type": ("gwf_regimetype",),
        "nonautocracy": ("gwf_nonautocracy",),
    },
)


def read(path: Path) -> pd.DataFrame:
    """Return regimes.

    Returns
    -------
    pandas.DataFrame
        ``state``, ``year``, ``regime`` (``autocracy`` or ``democracy``; warlord, provisional and occupied
        years are neither and left out).
    """
    table, _ = read_layout(path, "gwf", LAYOUTS)
    democracy = table["nonautocracy"] == "democracy"
    autocracy = table["nonautocracy"].isin(MISSING) & ~table["type"].isin(MISSING)
    rows = pd.DataFrame(
        {
            "state": integers(table, "state"),
            "year": integers(table, "year"),
            "regime": pd.Series("autocracy", table.index).where(autocracy, None).mask(democracy, "democracy"),
        }
    )
    return rows.dropna(subset="regime").reset_index(drop=True)
