"""Scores of probabilities against what happened: proper scores, discrimination, calibration, skill.

Plain functions on arrays with one entry per forecast. Log, Brier and ranked probability scores are losses:
lower is better. The reference is Gneiting and Raftery (2007, JASA 102), and for calibration Dimitriadis,
Gneiting and Jordan (2021, PNAS 118, "CORP"); the tests hold them against scoringrules and scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

Floats = np.ndarray[Any, np.dtype[np.float64]]
Score = Callable[[Any, Any], Floats]

CLIP = 1e-4  # a probability nearer to 0 or 1 is moved here before its logarithm is taken, whoever issued it
LEVEL = 0.9  # of every interval and band
DRAWS = 1000  # of every bootstrap


def log_score(probability: Any, observed: Any) -> Floats:
    """Return the negative log probability of what happened, in nats, for each forecast.

    Probabilities are clipped to [0.0001, 0.9999] first, so one impossible thing that happens costs
    9.2 nats and not infinity. The rule is the same for every model.

    Parameters
    ----------
    probability, observed : array (row)
        Probability of the event, and 1 where it happened.

    Examples
    --------
    >>> log_score([0.2, 0.0], [1, 0]).round(4).tolist()
    [1.6094, 0.0001]
    """
    p, happened = np.clip(np.asarray(probability, dtype=float), CLIP, 1 - CLIP), np.asarray(observed, dtype=float)
    loss: Floats = -np.log(np.abs(p + happened - 1.0))
    return loss


def brier_score(probability: Any, observed: Any) -> Floats:
    """Return the squared error of each probability.

    Examples
    --------
    >>> brier_score([0.2], [1]).round(2).tolist()
    [0.64]
    """
    loss: Floats = (np.asarray(probability, dtype=float) - np.asarray(observed, dtype=float)) ** 2
    return loss


def ranked_probability_score(probability: Any, category: Any) -> Floats:
    """Return the squared error of the cumulative probabilities of ordered outcomes, summed over them.

    Parameters
    ----------
    probability : array (row x category)
    category : array (row)
        Position of the category that happened, from 0.

    Examples
    --------
    >>> ranked_probability_score([[0.2, 0.5, 0.3]], [1]).round(2).tolist()
    [0.13]
    """
    p = np.asarray(probability, dtype=float)
    reached = np.arange(p.shape[-1]) >= np.asarray(category, dtype=int)[:, None]
    loss: Floats = ((p.cumsum(axis=-1) - reached) ** 2).sum(axis=-1)
    return loss


def _by_level(probability: Any, observed: Any, weight: Any) -> tuple[Floats, Floats]:
    """Return the weight of events and of non-events at each distinct probability, from the lowest (... x level)."""
    p, happened = np.asarray(probability, dtype=float), np.asarray(observed, dtype=float)
    weight = np.ones(len(p)) if weight is None else np.asarray(weight, dtype=float)
    order = np.argsort(p, kind="stable")
    first = np.flatnonzero(np.diff(p[order], prepend=-np.inf))
    events, others = weight * happened, weight * (1.0 - happened)
    return tuple(np.add.reduceat(side[..., order], first, axis=-1) for side in (events, others))  # type: ignore[return-value]


def _ratio(above: Any, below: Any) -> Any:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=np.asarray(below) > 0)[()]


def area_under_curve(probability: Any, observed: Any, weight: Any = None) -> Any:
    """Return the probability that an event had the higher forecast than a non-event, ties counting half.

    NaN where there are no events, or nothing else.

    Parameters
    ----------
    probability, observed : array (row)
    weight : array (... x row), optional
        How often each row counts; one value is returned for each leading entry.

    Examples
    --------
    >>> float(area_under_curve([0.1, 0.4, 0.4, 0.8], [0, 0, 1, 1]))
    0.875
    """
    events, others = _by_level(probability, observed, weight)
    below = others.cumsum(axis=-1) - others / 2
    return _ratio((events * below).sum(axis=-1), events.sum(axis=-1) * others.sum(axis=-1))


def average_precision(probability: Any, observed: Any, weight: Any = None) -> Any:
    """Return the precision at each distinct probability taken as a threshold, weighted by the events it adds.

    NaN where there are no events.

    Parameters
    ----------
    probability, observed, weight
        As for `area_under_curve`.

    Examples
    --------
    >>> round(float(average_precision([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])), 4)
    0.8333
    """
    events, others = (side[..., ::-1] for side in _by_level(probability, observed, weight))
    flagged = (events + others).cumsum(axis=-1)
    precision = events.cumsum(axis=-1) / np.where(flagged > 0, flagged, 1.0)
    return _ratio((precision * events).sum(axis=-1), events.sum(axis=-1))


def calibrate(probability: Any, observed: Any) -> Floats:
    """Return the event frequency at each forecast by isotonic regression (pool adjacent violators).

    The best recalibration that keeps the order of the forecasts; equal forecasts get equal frequencies.

    Examples
    --------
    >>> calibrate([0.1, 0.2, 0.3, 0.4], [0, 1, 0, 1]).tolist()
    [0.0, 0.5, 0.5, 1.0]
    """
    _, level, count = np.unique(np.asarray(probability, dtype=float), return_inverse=True, return_counts=True)
    frequency = np.bincount(level, np.asarray(observed, dtype=float)) / count
    fitted: Floats = isotonic_regression(frequency, weights=count).x[level]
    return fitted


def decompose(probability: Any, observed: Any, score: Score = brier_score) -> dict[str, float]:
    """Return the parts of a mean score: miscalibration - discrimination + uncertainty.

    Miscalibration is what recalibration would gain, discrimination what the recalibrated forecast gains
    over the observed frequency, uncertainty the score of that frequency.

    Examples
    --------
    >>> parts = decompose([0.1, 0.2, 0.3, 0.4], [0, 1, 0, 1])
    >>> {name: round(value, 3) for name, value in parts.items()}
    {'miscalibration': 0.15, 'discrimination': 0.125, 'uncertainty': 0.25}
    """
    happened = np.asarray(observed, dtype=float)
    mean = float(score(probability, happened).mean())
    recalibrated = float(score(calibrate(probability, happened), happened).mean())
    uncertainty = float(score(np.full(len(happened), happened.mean()), happened).mean())
    return {
        "miscalibration": mean - recalibrated,
        "discrimination": uncertainty - recalibrated,
        "uncertainty": uncertainty,
    }


def draw_calibration(probability: Any, observed: Any, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Return the calibration curve with its consistency band.

    The band holds the curve with 90% probability at each forecast, if events happen exactly as often as
    forecast: the curve of events drawn from the forecasts themselves.

    Returns
    -------
    pandas.DataFrame
        ``probability`` (distinct, rising), ``frequency``, ``low``, ``high``, ``count``.
    """
    p, happened = np.asarray(probability, dtype=float), np.asarray(observed, dtype=float)
    order, rng = np.argsort(p, kind="stable"), np.random.default_rng(seed)
    p, happened = p[order], happened[order]
    distinct, first, count = np.unique(p, return_index=True, return_counts=True)
    drawn = [calibrate(p, rng.random(len(p)) < p)[first] for _ in range(draws)]
    low, high = np.quantile(drawn, _tails(), axis=0)
    return pd.DataFrame({
        "probability": distinct, "frequency": calibrate(p, happened)[first], "low": low, "high": high, "count": count,
    })  # fmt: skip


def _tails() -> tuple[float, float]:
    return (1 - LEVEL) / 2, (1 + LEVEL) / 2


def separate(probability: Any, observed: Any) -> pd.DataFrame:
    """Return forecasts from the lowest to the highest with what happened (Greenhill, Ward and Sacks 2011).

    Returns
    -------
    pandas.DataFrame
        ``probability``, ``observed``, ``expected`` (cumulative probability) and ``happened`` (cumulative events).
    """
    table = pd.DataFrame({"probability": np.asarray(probability, dtype=float), "observed": np.asarray(observed)})
    table = table.sort_values("probability", kind="stable", ignore_index=True)
    return table.assign(expected=table["probability"].cumsum(), happened=table["observed"].cumsum())


def count_events(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return rows, expected and observed events for each combination of some columns.

    Parameters
    ----------
    table : pandas.DataFrame
        With ``probability``, ``observed`` and the columns of `by`.

    Examples
    --------
    >>> table = pd.DataFrame({"year": [1, 1, 2], "probability": [0.5, 0.25, 0.1], "observed": [1, 0, 0]})
    >>> count_events(table, ["year"]).to_dict("list")
    {'year': [1, 2], 'rows': [2, 1], 'expected': [0.75, 0.1], 'observed': [1, 0]}
    """
    sums = {"rows": ("observed", "size"), "expected": ("probability", "sum"), "observed": ("observed", "sum")}
    return table.groupby(by, sort=False).agg(**sums).reset_index()


def resample_countries(countries: Any, draws: int = DRAWS, seed: int = 0) -> Floats:
    """Return how often each row counts in each bootstrap sample of whole countries (draw x row).

    A country's years resemble each other, so countries are drawn and not country-years.

    Examples
    --------
    >>> weight = resample_countries(["A", "A", "B"], draws=50)
    >>> bool((weight[:, 0] == weight[:, 1]).all()), bool((weight[:, 1] + weight[:, 2] == 2).all())
    (True, True)
    """
    names, place = np.unique(np.asarray(countries, dtype=str), return_inverse=True)
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    weight: Floats = drawn[:, place].astype(float)
    return weight


def mean_over(weight: Any, loss: Any) -> Any:
    """Return the mean loss in each bootstrap sample (draw)."""
    return (weight @ np.asarray(loss, dtype=float)) / weight.sum(axis=-1)


def interval(values: Any) -> tuple[float, float]:
    """Return the 90% interval of bootstrap values; NaN where there are none."""
    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    low, high = np.quantile(known, _tails()) if len(known) else (np.nan, np.nan)
    return float(low), float(high)


def skill(loss: Any, reference: Any) -> Any:
    """Return the share of a reference's loss that a forecast saves: 1 perfect, 0 no better, negative worse.

    Examples
    --------
    >>> skill(0.75, 1.0)
    0.25
    """
    return 1.0 - loss / reference
