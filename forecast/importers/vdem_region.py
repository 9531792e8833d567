"""V-Dem's regions of politics and geography: six of them (variable e_regionpol_6C)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, integers, read_layout

LAYOUTS: tuple[Columns, ...] = ({"state": ("gwcode", "COWcode", "vdem_cowcode"), "region": ("e_regionpol_6C",)},)
NAMES = {
    1: "eastern_europe_central_asia",
    2: "latin_america",
    3: "middle_east_north_africa",
    4: "sub_saharan_africa",
    5: "west",
    6: "asia_pacific",
}


def read(path: Path) -> pd.DataFrame:
    """Return the region of each state.

    Returns
    -------
    pandas.DataFrame
        ``state``, ``region`` (a name of `NAMES`; western Europe, North America, Australia and New Zealand are
        ``west``).
    """
    table, _ = read_layout(path, "vdem_region", LAYOUTS)
    rows = pd.DataFrame({"state": integers(table, "state"), "region": integers(table, "region").map(NAMES)})
    return rows.dropna().drop_duplicates("state", keep="last").reset_index(drop=True)
