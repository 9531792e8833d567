"""REIGN by country and year: government, elections, leader (Bell, Besaw & Frank 2021).

The publisher has a row for each leader and month; the last month of a year stands for the year, as in the
copies by year.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, flags, integers, numbers, read_layout

YEARS: Columns = {
    "state": ("ccode", "gwcode"),
    "year": ("year",),
    "government": ("government",),
    "elected": ("elected",),
    "age": ("age",),
    "male": ("male",),
    "military": ("militarycareer",),
    "months": ("tenure_months",),
    "anticipation": ("anticipation",),
    "referendum_ahead": ("ref_ant",),
    "legislative_ahead": ("leg_ant",),
    "executive_ahead": ("exec_ant",),
    "irregular_ahead": ("irreg_lead_ant",),
    "election_now": ("election_now",),
    "election_recent": ("election_recent",),
    "leader_election_recent": ("lead_recent",),
    "victory_recent": ("victory_recent",),
    "defeat_recent": ("defeat_recent",),
    "change_recent": ("change_recent",),
    "delayed": ("delayed",),
    "since_election": ("lastelection",),
    "since_loss": ("loss",),
    "since_irregular": ("irregular",),
}
MONTHS: Columns = {**YEARS, "month": ("month",)}
LAYOUTS = (MONTHS, YEARS)
NUMBERS = ("age", "months", "since_election", "since_loss", "since_irregular")


def read(path: Path) -> pd.DataFrame:
    """Return what REIGN says of each country at the end of each year.

    Returns
    -------
    pandas.DataFrame
        ``state``, ``year``, ``government`` (such as ``Personal Dictatorship``), ``age`` (years), ``months`` (in
        office), ``since_election``, ``since_loss``, ``since_irregular`` (log of months, as published), and flags:
        ``elected``, ``male``, ``military``, ``anticipation``, ``referendum_ahead``, ``legislative_ahead``,
        ``executive_ahead``, ``irregular_ahead``, ``election_now``, ``election_recent``, ``leader_election_recent``,
        ``victory_recent``, ``defeat_recent``, ``change_recent``, ``delayed``.
    """
    table, layout = read_layout(path, "reign", LAYOUTS)
    typed = {
        "state": integers(table, "state"),
        "year": integers(table, "year"),
        "government": table["government"],
        **{name: numbers(table, name) for name in NUMBERS},
    }
    rest = {name: flags(table, name) for name in YEARS if name not in typed}
    rows = pd.DataFrame({**typed, **rest})
    if layout == 0:
        months = rows.assign(month=integers(table, "month")).sort_values(["state", "year", "month"], kind="stable")
        rows = months.drop_duplicates(["state", "year"], keep="last").drop(columns="month")
    return rows.reset_index(drop=True)
