"""Cumulative incidence: from monthly rates to the probability of each outcome by each month.

Plain arrays, draws first. Coherent by construction: every outcome is a share of the same unit mass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, exprel, log_ndtr, logit, ndtr

from forecast.design import YEAR


@dataclass(frozen=True)
class Ongoing:
    """Challenges that have begun and not ended: their kind and age in days."""

    kind: tuple[int, ...]
    days: tuple[float, ...]


@dataclass(frozen=True)
class Length:
    """Log days of a challenge (draw x kind): mean, what removal adds to it, and standard deviation."""

    mean: Any
    shift: Any
    sd: Any


def incidence(
    rate: Any, success: Any, length: Length, ongoing: Ongoing, years: Any, arrived: Any = None
) -> tuple[Any, Any]:
    """Return cumulative outcome probabilities and attempt probabilities.

    Rates are constant within a month. A challenge that begins in a month begins in its middle on
    average, succeeds with the month's probability, and then takes effect after its length; until
    then the leader is in office. Challenges that fail leave the leader exposed as before.

    Parameters
    ----------
    rate : array (draw x month x cause)
        Per leader-year.
    success : array (draw x month x kind)
        P(removed | challenge).
    length : Length
    ongoing : Ongoing
        Challenges under way at the start.
    years : array (month)
        Length of each month.
    arrived : array (kind x draw x month x month), optional
        `arrivals` of the lengths, where they are at hand.

    Returns
    -------
    probability : array (draw x month x outcome)
    attempt : array (draw x month x kind)
    """
    arrived = arrivals(length, years) if arrived is None else arrived
    leaving = _leaving(rate, success)
    pending, weight = _pending(ongoing, success[:, 0], length, years)
    probability = _outcomes(rate, leaving, arrived, pending, weight, years, ongoing)
    return probability, _attempts(rate[..., :2], leaving, years, ongoing, weight)


def incidence_at_end(rate: Any, success: Any, length: Length, ongoing: Ongoing, years: Any, arrived: Any) -> Any:
    """Return the outcome probabilities of `incidence` in the last month alone (draw x outcome)."""
    pending, weight = _pending(ongoing, success[:, 0], length, years)
    return _outcomes(rate, _leaving(rate, success), arrived[..., -1:], pending[:, -1:], weight, years, ongoing)[:, 0]


def _leaving(rate: Any, success: Any) -> Any:
    """Return the rates of the ways to lose office (draw x month x cause)."""
    return np.concatenate([rate[..., :2] * success, rate[..., 2:]], axis=-1)


def _outcomes(rate: Any, leaving: Any, arrived: Any, pending: Any, weight: Any, years: Any, ongoing: Ongoing) -> Any:
    """Return the outcome probabilities in the months that `arrived` and `pending` are about: all, or the last ones."""
    seen = arrived.shape[-1]
    mass = _mass(leaving, leaving.sum(axis=-1), years)
    took_effect = np.einsum("dsk,kdst->dtk", mass[..., :2], arrived)
    other = mass[..., 2].cumsum(axis=-1)[:, -seen:]
    quiet = np.exp(-np.cumsum(rate.sum(axis=-1) * years, axis=-1))[:, -seen:]
    removed = pending + weight[:, None, None] * took_effect
    other, quiet = weight[:, None] * other, quiet * (0.0 if ongoing.kind else 1.0)
    challenged = np.maximum(1.0 - removed.sum(axis=-1) - other - quiet, 0.0)  # rounding may leave less than nothing
    return np.stack([removed[..., 0], removed[..., 1], other, challenged, quiet], axis=-1)


def occurrence(rate: Any, success: Any, length: Length, pending: Any, years: Any) -> dict[str, Any]:
    """Return the probability that each kind of event happens in a country at least once, whoever rules it.

    The exposure does not end with the leader: a successor inherits the rates. An attempt counts when it
    begins, a removal by an uprising when it takes effect.

    Parameters
    ----------
    rate : array (draw x country x step x cause)
        Per leader-year.
    success : array (draw x country x step x kind)
        P(removed | challenge).
    length : Length
    pending : array (draw x country)
        P(an uprising under way at the start removes the leader within the steps).
    years : array (step)
        Length of each step, in years.

    Returns
    -------
    dict of str to array (draw x country)
        ``coup_attempt``, ``coup_success``, ``coup_failed``, ``uprising`` and ``uprising_removal``.
    """
    coup, uprising = (rate[..., kind] * years for kind in (0, 1))
    fatal = uprising * success[..., 1] * _done_by_the_end(length, 1, years)[:, None, :]
    return {
        "coup_attempt": _at_least_once(coup),
        "coup_success": _at_least_once(coup * success[..., 0]),
        "coup_failed": _at_least_once(coup * (1.0 - success[..., 0])),
        "uprising": _at_least_once(uprising),
        "uprising_removal": 1.0 - (1.0 - pending) * (1.0 - _at_least_once(fatal)),
    }


def _at_least_once(expected: Any) -> Any:
    """Return P(an event in any step) from the expected number in each step, on the last axis."""
    return -np.expm1(-expected.sum(axis=-1))


def _done_by_the_end(length: Length, kind: int, years: Any, parts: int = 8) -> Any:
    """Return P(a challenge that removes, begun somewhere in a step, does so by the end) (draw x step)."""
    starts = np.cumsum(years) - years
    begun = starts[:, None] + years[:, None] * (np.arange(parts) + 0.5) / parts
    return _finished((years.sum() - begun) * YEAR, length, kind).mean(axis=-1)


def removal_pending(ongoing: Ongoing, success: Any, length: Length, years: Any) -> Any:
    """Return P(removed by a challenge under way, by the end) (draw x kind), as in `incidence`.

    Parameters
    ----------
    success : array (draw x kind)
        P(removed | challenge) at the start.
    """
    removed, _ = _pending(ongoing, success, length, years)
    return removed[:, -1, :]


def _mass(rates: Any, total: Any, years: Any) -> Any:
    """Return the probability of each event in each month when any of them ends the exposure."""
    hazard = total * years
    survival = np.exp(-np.cumsum(hazard, axis=-1))
    before = np.concatenate([np.ones_like(survival[:, :1]), survival[:, :-1]], axis=-1)
    # exprel(-h) is (1 - exp(-h)) / h, also where h is zero.
    return rates * (years * before * exprel(-hazard))[..., None]


def arrivals(length: Length, years: Any) -> Any:
    """Return P(a removal has taken effect by a month | its challenge began in a month).

    Returns
    -------
    array (kind x draw x month of beginning x month)
    """
    ends = np.cumsum(years) * YEAR
    begun, seen = np.triu_indices(len(years))
    age = ends[seen] - (ends - years * YEAR / 2)[begun]
    done = np.zeros((2, len(length.mean), len(years), len(years)))
    for kind in (0, 1):
        done[kind][:, begun, seen] = _finished(age, length, kind)
    return done


def _finished(days: Any, length: Length, kind: int) -> Any:
    """Return P(a challenge that removes the leader takes at most so many days), for each draw."""
    shape = (-1, *([1] * np.ndim(days)))
    mean, sd = (length.mean + length.shift)[:, kind].reshape(shape), length.sd[:, kind].reshape(shape)
    return ndtr((np.log(days + 1.0) - mean) / sd)


def _pending(ongoing: Ongoing, success: Any, length: Length, years: Any) -> tuple[Any, Any]:
    """Return removals by challenges under way, and the weight of the worlds in which all of them fail.

    Having lasted so long is itself news: it makes removal less likely where removals are quick.
    """
    removed = np.zeros((len(success), len(years), 2))
    weight = np.ones(len(success))
    ahead = np.cumsum(years) * YEAR
    for kind, days in zip(ongoing.kind, ongoing.days, strict=True):
        chance = _updated(success[:, kind], _log_tail(days, length, kind, 1.0), _log_tail(days, length, kind, 0.0))
        later = np.stack([_log_tail(days + day, length, kind, 1.0) for day in ahead], axis=1)
        left = later - _log_tail(days, length, kind, 1.0)[:, None]
        removed[..., kind] += (weight * chance)[:, None] * -np.expm1(left)
        weight = weight * (1.0 - chance)
    return removed, weight


def _log_tail(days: float, length: Length, kind: int, removes: float) -> Any:
    """Return log P(a challenge lasts longer than so many days)."""
    mean = length.mean[:, kind] + removes * length.shift[:, kind]
    return log_ndtr((mean - np.log(days + 1.0)) / length.sd[:, kind])


def _updated(chance: Any, log_removes: Any, log_fails: Any) -> Any:
    """Return P(removes | has lasted so long) by Bayes' rule."""
    return expit(logit(chance) + log_removes - log_fails)


def _attempts(challenge: Any, leaving: Any, years: Any, ongoing: Ongoing, weight: Any) -> Any:
    """Return P(at least one challenge of each kind begins in office, or is under way)."""
    columns = []
    for kind in (0, 1):
        rest = leaving.sum(axis=-1) - leaving[..., kind]
        begins = _mass(challenge[..., [kind]], challenge[..., kind] + rest, years)[..., 0].cumsum(axis=-1)
        columns.append(np.ones_like(begins) if kind in ongoing.kind else weight[:, None] * begins)
    return np.stack(columns, axis=-1)
