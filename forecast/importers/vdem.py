"""V-Dem: the electoral democracy index (polyarchy) by country and year (Coppedge et al.)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, integers, numbers, read_layout

LAYOUTS: tuple[Columns, ...] = (
    {
        "state": ("COWcode", "vdem_cowcode"),
        "year": ("year",),
        "value": ("v2x_polyarchy",),
        "low": ("v2x_polyarchy_codelow",),
        "high": ("v2x_polyarchy_codehigh",),
    },
)


def read(path: Path) -> pd.DataFrame:
    """Return polyarchy.

    Returns
    -------
    pandas.DataFrame
        ``state``, ``year``, ``value``, ``low``, ``high`` (0 to 1; about one standard deviation either side).
    """
    table, _ = read_layout(path, "vdem", LAYOUTS)
    rows = pd.DataFrame(
        {
            "state": integers(table, "state"),
            "year": integers(table, "year"),
            **{name: numbers(table, name) for name in ("value", "low", "high")},
        }
    )
    return rows.dropna(subset=["state", "value"]).reset_index(drop=True)
