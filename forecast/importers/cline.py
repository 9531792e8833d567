"""Coup events since 1945 of the Cline Center Coup d'Etat Project (Peyton et al. 2020)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, day_from_parts, integers, read_layout

SLIPS = {"Russia": 365, "Zimbabwe": 552}  # version 2.0 has 393 and 840 for them
INSIDERS, OUTSIDERS = ["military", "palace", "auto"], ["rebel", "popular", "foreign"]
LAYOUTS: tuple[Columns, ...] = (
    {
        "id": ("coup_id",),
        "state": ("cowcode",),
        "country": ("country",),
        "year": ("year",),
        "month": ("month",),
        "day": ("day",),
        "realized": ("realized", "event_realized"),
        "attempt": ("attempt",),
        **{actor: (actor,) for actor in (*INSIDERS, *OUTSIDERS)},
    },
)


def read(path: Path) -> pd.DataFrame:
    """Return coups and attempts; conspiracies that came to no overt move are marked.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``state``, ``day``, ``successful``, ``attempted`` (False for a mere conspiracy),
        ``outsiders`` (rebels, a crowd or foreigners and nobody of the state: an uprising in our words).
    """
    table, _ = read_layout(path, "cline", LAYOUTS)
    yes = {actor: integers(table, actor) == 1 for actor in (*INSIDERS, *OUTSIDERS)}
    realized = integers(table, "realized") == 1
    return pd.DataFrame(
        {
            "id": table["id"],
            "state": table["country"].map(SLIPS).astype("Int64").fillna(integers(table, "state")),
            "day": day_from_parts(table, "year", "month", "day"),
            "successful": realized,
            "attempted": realized | (integers(table, "attempt") == 1),
            "outsiders": pd.DataFrame(yes)[OUTSIDERS].any(axis=1) & ~pd.DataFrame(yes)[INSIDERS].any(axis=1),
        }
    )
