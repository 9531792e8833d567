"""V-Dem: electoral and liberal democracy by country and year, with their uncertainty (Coppedge et al.)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, integers, numbers, read_layout

INDICES = {"": "v2x_polyarchy", "libdem_": "v2x_libdem"}
PARTS = {"value": "", "low": "_codelow", "high": "_codehigh", "sd": "_sd"}
VALUES: Columns = {
    f"{prefix}{ours}": (f"{index}{ending}",) for prefix, index in INDICES.items() for ours, ending in PARTS.items()
}
LAYOUTS: tuple[Columns, ...] = ({"state": ("COWcode", "vdem_cowcode"), "year": ("year",), **VALUES},)


def read(path: Path) -> pd.DataFrame:
    """Return polyarchy and liberal democracy.

    Returns
    -------
    pandas.DataFrame
        ``state``, ``year``, ``value``, ``low``, ``high``, ``sd`` of polyarchy (0 to 1; low and high are about one
        standard deviation either side), and the same of liberal democracy with the prefix ``libdem_``.
    """
    table, _ = read_layout(path, "vdem", LAYOUTS)
    rows = pd.DataFrame(
        {
            "state": integers(table, "state"),
            "year": integers(table, "year"),
            **{name: numbers(table, name) for name in VALUES},
        }
    )
    return rows.dropna(subset=["state", "value"]).reset_index(drop=True)
