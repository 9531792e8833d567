"""The founding article's claims as statements over the posterior, each with a verdict in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from forecast.data import Data
from forecast.explanation import can_be_set, usual_range
from forecast.inference import Fit
from forecast.prediction import Forecast, Question, look_ahead, prepare, respond_each, thinned
from forecast.spec import Claim

SURE, LEANING = 0.95, 0.80
NEGLIGIBLE = 2.0  # an effect from low to high that at most doubles or halves a rate counts as none


@dataclass(frozen=True)
class Answer:
    """What the posterior says of one claim.

    Attributes
    ----------
    id, statement : str
    quantity : str
        What was looked at.
    estimate, low, high : float
        Posterior median and 90% interval of the quantity, in the unit that `quantity` names.
    support : float
        Posterior probability of what the claim says; NaN where the claim is a count.
    verdict : str
    """

    id: str
    statement: str
    quantity: str
    estimate: float
    low: float
    high: float
    support: float
    verdict: str


def evaluate_claims(fit: Fit, data: Data, forecast: Forecast) -> pd.DataFrame:
    """Return the answer to every claim of the fit's spec, one line each.

    Parameters
    ----------
    fit : Fit
    data : Data
        The view that the fit was made from.
    forecast : Forecast
        Claims about outcomes are answered for its question.
    """
    answers = [_answer(claim, fit, data, forecast) for claim in fit.spec.claims]
    return pd.DataFrame([asdict(item) for item in answers], columns=list(Answer.__dataclass_fields__)).set_index("id")


def _answer(claim: Claim, fit: Fit, data: Data, forecast: Forecast) -> Answer:
    match claim.kind:
        case "effect":
            return _effect(claim, fit, "beta", "effect", "hazard ratio from low to high")
        case "result":
            return _effect(claim, fit, "result_beta", "result_effect", "odds ratio of a better result from low to high")
        case "coup_over_revolution":
            return _coup_over_revolution(claim, forecast)
        case "share":
            return _share(claim, fit, data, forecast.question)
        case "episodes":
            return _episodes(claim, data)


def _effect(claim: Claim, fit: Fit, variable: str, level: str, quantity: str) -> Answer:
    """Sum the named effects; twice an effect is what a move from low to high does to a log rate."""
    labels = [f"{term} on {cause}" for term in claim.terms for cause in claim.on]
    present = (
        [label for label in labels if label in fit.posterior[level].to_numpy()] if variable in fit.posterior else []
    )
    if len(present) < len(labels):
        return Answer(claim.id, claim.statement, quantity, np.nan, np.nan, np.nan, np.nan, "not in this model")
    draws = 2 * fit.posterior[variable].sel({level: present}).sum(level).to_numpy().ravel()
    support = _support(claim.expected, draws)
    return _filled(claim, f"{quantity}: {', '.join(present)}", np.exp(draws), support, _verdict(support))


def _support(expected: str, draws: Any) -> float:
    """Return the posterior probability of the claimed direction, or of a negligible or lowering effect."""
    match expected:
        case "positive":
            return float((draws > 0).mean())
        case "negative":
            return float((draws < 0).mean())
        case _:
            return float((draws < np.log(NEGLIGIBLE)).mean())


def _verdict(support: float) -> str:
    """Return a verdict in words.

    Examples
    --------
    >>> _verdict(0.97), _verdict(0.85), _verdict(0.5), _verdict(0.1)
    ('supported', 'leans towards', 'the data cannot tell', 'leans against')
    """
    for limit, words in ((SURE, "supported"), (LEANING, "leans towards"), (1 - LEANING, "the data cannot tell")):
        if support >= limit:
            return words
    return "leans against" if support > 1 - SURE else "contradicted"


def _filled(claim: Claim, quantity: str, draws: Any, support: float, verdict: str) -> Answer:
    low, middle, high = (float(value) for value in np.quantile(draws, [0.05, 0.5, 0.95]))
    return Answer(claim.id, claim.statement, quantity, middle, low, high, support, verdict)


def _coup_over_revolution(claim: Claim, forecast: Forecast) -> Answer:
    end = forecast.probability.isel(month=-1)
    ratio = (end.sel(outcome="coup") / end.sel(outcome="revolution")).to_numpy().ravel()
    support = float((ratio > 1).mean())
    question = forecast.question
    quantity = f"P(coup) / P(revolution), {question.country} within {question.horizon} months"
    return _filled(claim, quantity, ratio, support, _verdict(support))


def _share(claim: Claim, fit: Fit, data: Data, question: Question) -> Answer:
    """Share of the squared swings of P(coup or revolution) that the term causes.

    Each indicator in turn goes through the middle 90% of its readings, everything else held; the
    interval is over posterior draws.
    """
    small, held, outlook = thinned(fit), replace(question, paths="hold"), look_ahead(fit, data, question)
    names = [name for name in fit.spec.indicators if can_be_set(data, question, name)]
    if not set(claim.terms) <= set(names):
        return Answer(
            claim.id, claim.statement, "share of squared swings", np.nan, np.nan, np.nan, np.nan, "not in this model"
        )
    cases = [(name, end) for name in names for end in usual_range(data, name)]
    found = respond_each(small, prepare(small, outlook, held), outlook, held, cases)
    removed = found[..., :2].sum(axis=-1).reshape(len(names), 2, -1)
    squared = dict(zip(names, (removed[:, 1] - removed[:, 0]) ** 2, strict=True))
    total = sum(squared.values())
    share = sum(squared[name] for name in claim.terms) / total
    others = [swing / total for name, swing in squared.items() if name not in claim.terms]
    support = float(np.mean(share > np.max(others, axis=0)))
    quantity = f"share of squared swings of P(coup or revolution), {question.country}; support: it is the largest"
    return _filled(claim, quantity, share, support, _verdict(support))


def _episodes(claim: Claim, data: Data) -> Answer:
    countries = data.countries[data.countries["group"].isin(claim.groups)]["country"]
    events = data.events[data.events["country"].isin(countries) & (data.events["kind"] == "uprising")]
    starts = data.countries[data.countries["group"].isin(claim.groups)].groupby("country")["start"].min()
    events = events[events["start"] >= events["country"].map(starts)]
    removed = events[events["result"] == "removed"]
    where = ", ".join(f"{country} {count}" for country, count in removed["country"].value_counts().items())
    quantity = f"removals among {len(events)} uprisings ({where})"
    verdict = "supported" if len(removed) else "contradicted"
    return Answer(claim.id, claim.statement, quantity, len(removed), np.nan, np.nan, np.nan, verdict)
