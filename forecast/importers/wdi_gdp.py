"""GDP and growth of the World Development Indicators (World Bank)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import NO_NUMBER, Columns, integers, numbers, read_layout
from forecast.importers.world_bank import read_export

SERIES = {
    "NY.GDP.MKTP.KD": "gdp",
    "NY.GDP.MKTP.KD.ZG": "growth",
    "NY.GDP.PCAP.KD": "income",
    "NY.GDP.PCAP.KD.ZG": "income_growth",
}
LAYOUTS: tuple[Columns, ...] = (
    {"state": ("gwcode",), "year": ("year",), **{ours: (code,) for code, ours in SERIES.items()}},
)


def read(path: Path) -> pd.DataFrame:
    """Return GDP; the World Bank's own export and copies by state number both work.

    Returns
    -------
    pandas.DataFrame
        ``state``, ``year``, ``gdp`` and ``income`` (constant dollars; per head), ``growth`` and ``income_growth``
        (percent a year).
    """
    export = read_export(path, SERIES)
    if export is not None:
        return export
    table, _ = read_layout(path, "wdi_gdp", LAYOUTS)
    values = {ours: numbers(table, ours, NO_NUMBER) for ours in SERIES.values()}
    return pd.DataFrame({"state": integers(table, "state"), "year": integers(table, "year"), **values})
