"""Why a forecast changed: the way from one to the other in steps, each of which replaces one kind of knowledge.

In this order: re-coding of what was known, events and elapsed time, each indicator's new readings (in the codebook's order
and in its reverse, averaged), model. What is left is the sampler's; parts below noise are counted as noise too, so
the parts add up to the change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecast.data import EVENT_KEY, READING_KEY, Data
from forecast.errors import UsageError
from forecast.inference import Fit, fit
from forecast.prediction import Forecast, answer, ask, look_ahead
from forecast.schema import OUTCOMES
from forecast.update import Reweighting, kept_sample, reweigh

RECODING, EVENTS, MODEL, NOISE = (
    "re-coding of the past",
    "events and elapsed time",
    "model or spec",
    "Monte Carlo noise",
)
NOISE_SDS = 2.0  # a part within so many standard errors of nothing is noise
Parts = dict[str, dict[str, float]]
KEYS = {"countries": ["country", "start"], "leaders": ["spell_id"], "events": EVENT_KEY, "indicators": READING_KEY}


@dataclass(frozen=True)
class State:
    """A forecast on the way: weighted draws of the end-of-horizon probabilities.

    Attributes
    ----------
    draws : array (draw x outcome)
    weight : array (draw)
        Adds to one.
    sample : str
        Digest of the sampled fit that the draws belong to: two states of one sample share its noise.
    """

    draws: Any
    weight: Any
    sample: str

    @property
    def probability(self) -> Any:
        """Weighted mean (outcome)."""
        return self.weight @ self.draws


def explain_change(
    old: tuple[Fit, Data], new: tuple[Fit, Data], country: str, horizon: int, later_horizon: int | None = None
) -> pd.DataFrame:
    """Return what moved each probability from one forecast to a later one.

    Parameters
    ----------
    old, new : tuple of Fit and Data
        A view and a sampled fit of it, or of an earlier one, which is then reweighted.
    country : str
    horizon, later_horizon : int
        Months ahead of each view; give the later one fewer months to ask about one and the same day.

    Returns
    -------
    pandas.DataFrame
        Part x outcome: first ``before``, last ``after``, and between them parts that add to the difference. Noise comes last
        among the parts. ``table.attrs["noise"]`` has each part's standard error (part x outcome).

    Raises
    ------
    UsageError
        When the leader is another one, so that the question is.
    """
    (first, before), (last, after) = old, new
    months = {"old": horizon, "new": later_horizon or horizon}
    if ask(before, country).spell != ask(after, country).spell:
        raise UsageError(
            f"{country} has another leader on {after.known_to} than on {before.known_to}: another question"
        )
    start, root = _step(first, before, country, months["old"])
    end, _ = _step(last, after, country, months["new"])
    states = {}
    for name, view in list_steps(before, after).items():
        states[name], root = _step(root, view, country, months["old" if name == RECODING else "new"])
    changes, errors = _decompose(start, states, end, [*_indicators(before, after)])
    if first.spec.digest == last.spec.digest:
        changes[NOISE] = changes.pop(MODEL)
        errors[NOISE] = errors.pop(MODEL)
    return _tabulate(start, end, changes, errors)


def explain_issue(
    fitted: Fit, data: Data, forecast: Forecast, issue: Mapping[str, Any], build: Path | None = None
) -> Parts:
    """Return what a forecast differs by from one that the ledger has, as parts that add up.

    The issue is made again from the fit that is kept of its day, or from the latest one before it, or by weights on today's.
    What the numbers as issued differ by from those is the work of a re-coding or of another model, as the digests tell.

    Parameters
    ----------
    fitted : Fit
    data : Data
    forecast : Forecast
        The forecast of now, which the fit made of the data.
    issue : mapping
        One of `ledger.issues_before`.
    build : Path, optional
        Folder of kept fits; an issue of the same day needs none.

    Returns
    -------
    dict of str to dict of str to float
        Part to outcome to change; the largest first, noise last.
    """
    now, question, view = _state_of(forecast), forecast.question, data
    table = pd.DataFrame([now.probability, now.probability], index=["before", "after"], columns=list(OUTCOMES))
    if build is not None and issue["as_of"] != str(data.known_to):
        view = data.as_of(issue["as_of"])
        first = kept_sample(build, view, fitted.spec) or fitted
        table = explain_change((first, view), (fitted, data), question.country, question.horizon)
    gap = table.loc["before"] - pd.Series({name: line["probability"] for name, line in issue["outcomes"].items()})
    parts = table.drop(index=["before", "after"])
    known = gap.abs() > NOISE_SDS * np.sqrt(2 * (_influence(now) ** 2).sum(axis=0))
    for name, amount in ((_differing(issue, fitted, view), gap.where(known, 0.0)), (NOISE, gap.where(~known, 0.0))):
        parts.loc[name] = amount + (parts.loc[name] if name in parts.index else 0.0)
    parts = parts[parts.ne(0).any(axis=1) | (parts.index == NOISE)]
    order = parts.drop(index=NOISE).abs().max(axis=1).sort_values(ascending=False).index
    return {str(name): {str(key): float(value) for key, value in parts.loc[name].items()} for name in [*order, NOISE]}


def _differing(issue: Mapping[str, Any], fitted: Fit, view: Data) -> str:
    """Return why an issue made again is another one: its data were coded otherwise, its model was another, or both."""
    facts = fitted.provenance
    model = (issue["spec_digest"], issue["version"]) != (facts["spec_digest"], facts["versions"]["regime-forecast"])
    recoded = issue["data_digest"] != view.digest
    return (
        f"{RECODING}, and another {MODEL}" if model and recoded else MODEL if model else RECODING if recoded else NOISE
    )


def list_steps(before: Data, after: Data) -> dict[str, Data]:
    """Return the views between two, each with one more kind of knowledge than the last; readings in two orders."""
    known = _keys(before.indicators)
    names = _indicators(before, after)
    steps = {RECODING: recode(before, after), EVENTS: _with_readings(after, known, ())}
    for order, label in ((names, "+"), (names[::-1], "-")):
        for count in range(1, len(names)):
            steps[f"{label}{count}"] = _with_readings(after, known, order[:count])
    steps["all"] = after
    return steps


def _keys(readings: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(readings[READING_KEY])


def _indicators(before: Data, after: Data) -> list[str]:
    """Return the indicators with readings that the earlier view does not have, in the codebook's order."""
    new = after.indicators[~_keys(after.indicators).isin(_keys(before.indicators))]
    return [name for name in after.codebook.indicators if name in set(new["indicator"])]


def recode(before: Data, after: Data) -> Data:
    """Return an earlier view with its rows as a later view codes them, ended where the earlier one ends."""
    stamp, kept = pd.Timestamp(before.known_to), {}
    for name, key in KEYS.items():
        rows = getattr(after, name)
        rows = rows[pd.MultiIndex.from_frame(rows[key]).isin(pd.MultiIndex.from_frame(getattr(before, name)[key]))]
        if "known_on" in rows:  # a correction is taken as if it had been known
            rows = rows.assign(known_on=rows["known_on"].where(rows["known_on"] <= stamp, stamp))
        kept[name] = rows.reset_index(drop=True)
    return replace(after, corrected={}, **kept).as_of(before.known_to)


def _with_readings(after: Data, known: pd.MultiIndex, names: Any) -> Data:
    """Return a view without new readings, except those of some indicators."""
    own = _keys(after.indicators).isin(known) | after.indicators["indicator"].isin(list(names))
    return replace(after, indicators=after.indicators[own].reset_index(drop=True))


def _step(root: Fit, view: Data, country: str, horizon: int) -> tuple[State, Fit]:
    """Return the state of a view, by weights or, where they are not to be trusted, from a new sample."""
    reweighting = reweigh(root, view)
    if reweighting.objections:
        root = fit(view, root.spec, warm=root.posterior)
        return _state(root, view, country, horizon), root
    return _state(reweighting.fit, view, country, horizon, reweighting), root


def _state(fitted: Fit, view: Data, country: str, horizon: int, reweighting: Reweighting | None = None) -> State:
    question = ask(view, country, horizon)
    return _state_of(answer(fitted, look_ahead(fitted, view, question), question), reweighting)


def _state_of(forecast: Forecast, reweighting: Reweighting | None = None) -> State:
    draws = forecast.probability.isel(month=-1).to_numpy()
    draws = draws.reshape(-1, draws.shape[-1])
    weight = np.exp(reweighting.log_weights) if reweighting else np.full(len(draws), 1 / len(draws))
    return State(draws, weight, str(forecast.provenance.get("fit_digest")))


def _decompose(
    start: State, states: Mapping[str, State], end: State, names: list[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return each part's change and standard error (outcome)."""
    changes = {RECODING: _change(start, states[RECODING]), EVENTS: _change(states[RECODING], states[EVENTS])}
    errors = {RECODING: _error(start, states[RECODING]), EVENTS: _error(states[RECODING], states[EVENTS])}
    ways = [["+", names], ["-", names[::-1]]]
    found: dict[str, list[tuple[Any, Any]]] = {name: [] for name in names}
    for label, order in ways:
        stops = [states[EVENTS], *(states[f"{label}{count}"] for count in range(1, len(order))), states["all"]]
        for name, a, b in zip(order, stops[:-1], stops[1:], strict=False):
            found[name].append((_change(a, b), _error(a, b)))
    for name, both in found.items():
        changes[name] = np.mean([change for change, _ in both], axis=0)
        errors[name] = np.max([error for _, error in both], axis=0)
    changes[MODEL], errors[MODEL] = _change(states["all"], end), _error(states["all"], end)
    return changes, errors


def _change(a: State, b: State) -> Any:
    return b.probability - a.probability


def _influence(state: State) -> Any:
    return state.weight[:, None] * (state.draws - state.probability)


def _error(a: State, b: State) -> Any:
    """Return the standard error of a difference: draws that both share do not count."""
    one, other = _influence(a), _influence(b)
    if a.sample == b.sample and one.shape == other.shape:
        return np.sqrt(((other - one) ** 2).sum(axis=0))
    return np.sqrt((one**2).sum(axis=0) + (other**2).sum(axis=0))


def _tabulate(start: State, end: State, changes: dict[str, Any], errors: dict[str, Any]) -> pd.DataFrame:
    parts = pd.DataFrame.from_dict(changes, orient="index", columns=list(OUTCOMES))
    noise = pd.DataFrame.from_dict(errors, orient="index", columns=list(OUTCOMES))
    shown = parts.where(parts.abs() > NOISE_SDS * noise, 0.0)
    if NOISE in shown.index:
        shown = shown.drop(index=NOISE)
    whole = pd.Series(end.probability - start.probability, index=list(OUTCOMES))
    shown.loc[NOISE] = whole - shown.sum()
    table = pd.concat([
        pd.DataFrame([start.probability], index=["before"], columns=list(OUTCOMES)), shown,
        pd.DataFrame([end.probability], index=["after"], columns=list(OUTCOMES)),
    ]).rename_axis("part")  # fmt: skip
    table.attrs["noise"] = noise
    return table


def preview(fitted: Fit, before: Data, after: Data, country: str, horizon: int = 24) -> pd.DataFrame:
    """Return the probabilities of a country before and after new rows, by weights on a fit's draws alone.

    Returns
    -------
    pandas.DataFrame
        Outcome x (before, after, change). ``table.attrs["objections"]`` says why the weights are not to be trusted, if so.
    """
    columns, objections = {}, []
    for name, view in (("before", before), ("after", after)):
        reweighting = reweigh(fitted, view)
        objections += reweighting.objections
        columns[name] = _state(reweighting.fit, view, country, horizon, reweighting).probability
    table = pd.DataFrame(columns, index=pd.Index(OUTCOMES, name="outcome"))
    table["change"] = table["after"] - table["before"]
    table.attrs["objections"] = list(dict.fromkeys(objections))
    return table
