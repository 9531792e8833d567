"""How far two blind codings agree, and what a data set holds: the numbers behind the data dictionary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from forecast.data import READING_KEY, Data
from forecast.design import groups_on
from forecast.files import digest

ENOUGH = 0.67  # Krippendorff's own lowest limit for tentative conclusions


def paired_readings(data: Data) -> pd.DataFrame:
    """Return the readings that two coders made of one day, one column for each coder.

    Returns
    -------
    pandas.DataFrame
        Index: country, indicator, observed_on, group; columns: coders.
    """
    readings = data.indicators.assign(group=groups_on(data, data.indicators["country"], data.indicators["observed_on"]))
    key = [*(name for name in READING_KEY if name != "coder"), "group"]
    return readings.pivot_table(index=key, columns="coder", values="value").dropna()


def krippendorff_alpha(values: Any) -> float:
    """Return Krippendorff's alpha for interval data without gaps.

    One less observed over expected disagreement: the mean squared difference within units over the mean
    squared difference between any two values [1]_.

    Parameters
    ----------
    values : array (unit x coder)

    Returns
    -------
    float
        1 for full agreement, 0 for what chance would give; NaN where no value differs from another.

    References
    ----------
    .. [1] Krippendorff, K. (2004). Content Analysis: An Introduction to Its Methodology. Sage.

    Examples
    --------
    >>> round(krippendorff_alpha(np.array([[1, 1], [2, 2], [3, 3], [3, 4]])), 3)
    0.889
    """
    values = np.asarray(values, dtype=float)
    coders, pooled = values.shape[1], values.ravel()
    observed = 2 * values.var(axis=1, ddof=0).mean() * coders / (coders - 1)
    expected = 2 * pooled.var(ddof=1)
    return float(1 - observed / expected) if expected else float("nan")


def agreement(data: Data) -> pd.DataFrame:
    """Return alpha by indicator and group, and over all groups, with the number of paired readings.

    Returns
    -------
    pandas.DataFrame
        Index: indicator, group (``all`` first); columns: ``pairs``, ``alpha``, ``mean_gap`` (mean absolute
        difference in the codebook's units).
    """
    pairs = paired_readings(data)
    whole = {(name, "all"): own for name, own in pairs.groupby(level="indicator")}
    parts = dict(list(pairs.groupby(level=["indicator", "group"])))
    lines = {key: _line(own.to_numpy()) for key, own in {**whole, **parts}.items()}
    table = pd.DataFrame(lines, index=["pairs", "alpha", "mean_gap"]).T.astype({"pairs": int})
    return table.rename_axis(["indicator", "group"])


def _line(values: Any) -> tuple[int, float, float]:
    gaps = values.max(axis=1) - values.min(axis=1)
    return len(values), krippendorff_alpha(values), float(gaps.mean())


def signature(data: Data) -> str:
    """Return a text of what a data set holds, so that any change of the data shows as a readable diff."""
    lines = [f"known to {data.known_to}", f"digest {data.digest}", ""]
    for name in ("countries", "leaders", "events", "indicators"):
        table = getattr(data, name)
        lines.append(f"{name}: {len(table)} rows, digest {digest(table.to_csv(index=False))[:16]}")
    lines += ["", "leader spells by group and exit", *_counts(_grouped(data, data.leaders), "exit")]
    lines += ["", "challenges by group, kind and result", *_counts(_grouped(data, data.events), "kind", "result")]
    readings = data.indicators.assign(start=data.indicators["observed_on"])
    lines += ["", "readings by group and indicator", *_counts(_grouped(data, readings), "indicator")]
    lines += [
        "",
        "readings by indicator, coder and basis",
        *_counts(readings, "indicator", "coder", "basis", group=False),
    ]
    return "\n".join(lines) + "\n"


def _grouped(data: Data, table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(group=groups_on(data, table["country"], table["start"]))


def _counts(table: pd.DataFrame, *by: str, group: bool = True) -> list[str]:
    keys = ["group", *by] if group else list(by)
    counts = table.groupby(keys, observed=True).size()
    return [
        f"  {' '.join(map(str, np.atleast_1d(np.array(key, dtype=object))))}: {count}" for key, count in counts.items()
    ]
