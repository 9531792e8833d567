"""GDP and population since the nineteenth century with their uncertainty (Fariss et al. 2022, in peacesciencer)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, integers, numbers, read_layout

LAYOUTS: tuple[Columns, ...] = (
    {
        "state": ("gwcode",),
        "year": ("year",),
        "income": ("mrgdppc",),
        "income_sd": ("sd_mrgdppc",),
        "gdp": ("pwtrgdp",),
        "population": ("pwtpop",),
        "population_sd": ("sd_pwtpop",),
    },
)


def read(path: Path) -> pd.DataFrame:
    """Return income and population.

    Returns
    -------
    pandas.DataFrame
        ``state``, ``year``, ``income`` and ``income_sd`` (dollars per head), ``gdp`` (millions), ``population`` and
        ``population_sd`` (persons; the file has millions).
    """
    table, _ = read_layout(path, "gdp_pop", LAYOUTS)
    return pd.DataFrame(
        {
            "state": integers(table, "state"),
            "year": integers(table, "year"),
            **{name: numbers(table, name) for name in ("income", "income_sd", "gdp")},
            **{name: numbers(table, name) * 1e6 for name in ("population", "population_sd")},
        }
    )
