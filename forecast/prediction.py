"""From a posterior to the probability of each outcome, month by month.

Each posterior draw gives one path of the indicators and, by the formulas of `hazards`, one set of
probabilities that add to one. The spread over draws is the uncertainty of the forecast; which part of it
is parameters, coding or paths is found by switching the parts off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from forecast.data import Data
from forecast.design import ONE, YEAR, measure, rescale
from forecast.errors import GateError, UsageError
from forecast.hazards import (
    Index,
    Stages,
    Wiring,
    build_stages,
    in_blocks,
    log_hazard,
    onset_weight,
    products,
    removal_probability,
    result_score,
    stack_draws,
    true_values,
)
from forecast.incidence import Length, Ongoing, arrivals, incidence, incidence_at_end
from forecast.inference import Fit
from forecast.schema import KINDS, OUTCOMES
from forecast.spec import DECADE, Gate

Paths = Literal["walk", "hold"]
SCENARIO_DRAWS = 1000  # a scenario needs few, and a page can carry these
INTERVALS = {"p05": 0.05, "p25": 0.25, "p75": 0.75, "p95": 0.95}


@dataclass(frozen=True)
class Question:
    """What is asked: who, seen from when, over how many months, and under which settings."""

    country: str
    name: str
    leader: str
    spell: str
    group: str
    as_of: date
    horizon: int
    settings: Mapping[str, float]
    paths: Paths = "walk"

    @property
    def end(self) -> date:
        """Last day of the horizon."""
        last: date = month_ends(self.as_of, self.horizon)[-1].date()
        return last


@dataclass(frozen=True)
class Forecast:
    """The answer to a question.

    Attributes
    ----------
    question : Question
    probability : xarray.DataArray
        Chain x draw x month x outcome; adds to one over outcomes.
    attempt : xarray.DataArray
        Chain x draw x month x kind: probability that at least one challenge of that kind begins, or is
        going on already.
    provenance : dict
        The fit's provenance.
    """

    question: Question
    probability: xr.DataArray
    attempt: xr.DataArray
    provenance: Mapping[str, Any]


def month_ends(as_of: date, horizon: int) -> pd.DatetimeIndex:
    """Return the last day of each month of the horizon, counted from the as-of date.

    Examples
    --------
    >>> [str(day.date()) for day in month_ends(date(2022, 1, 31), 2)]
    ['2022-02-28', '2022-03-31']
    """
    return pd.DatetimeIndex([pd.Timestamp(as_of) + pd.DateOffset(months=month) for month in range(1, horizon + 1)])


def ask(
    data: Data, country: str, horizon: int = 24, settings: Mapping[str, float] | None = None, paths: Paths = "walk"
) -> Question:
    """Return a well-formed question about the leader in office on the last day of a view.

    Raises
    ------
    UsageError
        When the country has no leader in office, the horizon is not between 1 and 120 months, or a
        setting names no indicator or lies outside its range.
    """
    spell = data.in_office(country)
    if not 1 <= horizon <= 120:
        raise UsageError(f"the horizon is {horizon} months; ask for 1 to 120")
    settings = dict(settings or {})
    for name, value in settings.items():
        _check_setting(data, name, value)
    period = data.countries[data.countries["country"] == country].sort_values("start").iloc[-1]
    return Question(
        country,
        period["name"],
        spell["leader"],
        spell["spell_id"],
        period["group"],
        data.known_to,
        horizon,
        settings,
        paths,
    )


def _check_setting(data: Data, name: str, value: float) -> None:
    entry = data.codebook.indicators.get(name)
    if entry is None or entry.role == "computed":
        known = ", ".join(key for key, item in data.codebook.indicators.items() if item.role != "computed")
        raise UsageError(f"{name} cannot be set; choose from {known}")
    if not entry.range[0] <= value <= entry.range[1]:
        raise UsageError(f"{name}={value:g} is outside its range {entry.range[0]:g} to {entry.range[1]:g}")


def predict(
    fit: Fit,
    data: Data,
    country: str,
    horizon: int = 24,
    settings: Mapping[str, float] | None = None,
    paths: Paths = "walk",
    seed: int = 0,
) -> Forecast:
    """Return the outcome probabilities for the leader in office.

    Parameters
    ----------
    fit : Fit
    data : Data
        The view that the fit was made from: its last day is the as-of date.
    country : str
    horizon : int
        Months.
    settings : mapping, optional
        Indicators held at a value, such as ``{"war_balance": -0.8}``. Such a scenario is answered on `SCENARIO_DRAWS`
        evenly spaced draws, the same that a report's explorer carries, so that both show the same numbers.
    paths : {"walk", "hold"}
        Let other indicators move as they have moved in the ledger, or hold them at their last reading.
    seed : int
        Of the draws of paths; the same inputs give the same numbers.

    Raises
    ------
    UsageError
        When the fit was made from other data, or the question is not well formed.
    """
    if fit.provenance["data_digest"] != data.digest:
        raise UsageError("the fit was made from other data than these; fit again, or view the data as of the fit's day")
    question = ask(data, country, horizon, settings, paths)
    small = thinned(fit, SCENARIO_DRAWS) if question.settings else fit
    return answer(small, look_ahead(fit, data, question), question, seed)


def thinned(fit: Fit, draws: int = SCENARIO_DRAWS) -> Fit:
    """Return a fit with at most so many evenly spaced draws, for answers that are needed many times."""
    step = -(-fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"] // draws)
    return replace(fit, posterior=fit.posterior.isel(draw=slice(None, None, step)))


@dataclass(frozen=True)
class Outlook:
    """What the data say about the months ahead, the same for every setting and kind of path.

    Attributes
    ----------
    centre, spread : array (month x indicator)
        Latest readings and their standard deviations, scaled; computed indicators move with time.
    step : array (indicator)
        Standard deviation of an indicator's move in a month, scaled; zero where nothing is there to move.
    low, high : array (indicator)
        Ends of each indicator's range, scaled.
    periods : array (month)
        Calendar period of each month.
    years : array (month)
        Length of each month.
    ongoing : Ongoing
    """

    centre: Any
    spread: Any
    step: Any
    low: Any
    high: Any
    periods: Any
    years: Any
    ongoing: Ongoing


def look_ahead(fit: Fit, data: Data, question: Question) -> Outlook:
    """Return the outlook of a question under the scales of a fit."""
    names = list(fit.design.indexes["indicator"])
    scaling = fit.design[["location", "scale", "sd"]].to_dataframe()
    about = (data, question.country, question.spell, question.as_of, question.horizon)
    moments = _moments(*about)
    columns = [rescale(*_measured(*about, name), scaling.loc[name]) for name in names]
    centre, spread = (np.stack([column[part] for column in columns], axis=1) for part in (0, 1))
    low, high = _ranges(data, names)
    location, scale = scaling["location"].to_numpy(), scaling["scale"].to_numpy()
    years = fit.spec.onset.period_years
    return Outlook(
        centre=centre,
        spread=spread,
        step=np.array([_monthly_step(data, question.country, name) for name in names]) / scale,
        low=(low - location) / scale,
        high=(high - location) / scale,
        periods=(moments["middle"].dt.year - moments["middle"].dt.year % years).to_numpy(),
        years=((moments["end"] - moments["start"]) / pd.Timedelta(days=YEAR)).to_numpy(),
        ongoing=_ongoing(data, question),
    )


def _ranges(data: Data, names: list[str]) -> tuple[Any, Any]:
    entries = [data.codebook.indicators.get(name) for name in names]
    low, high = (np.array([entry.range[end] if entry else 1.0 for entry in entries]) for end in (0, 1))
    return low, high


@dataclass(frozen=True)
class Ingredients:
    """What an answer is made from besides the settings: one realisation for each posterior draw.

    Attributes
    ----------
    stages : Stages
    index : Index
        Where each month finds its group effects.
    parameters : dict
        Posterior draws, with levels that the fit has not seen drawn from their population.
    error : array (draw x 1 x latent)
        Standardised coding error.
    noise : array (draw x month x indicator) or None
        Standard normal moves of the indicators; None where they are held.
    arrivals : array (kind x draw x month x month) or None
        See `incidence.arrivals`; None where only one answer is made from these.
    """

    stages: Stages
    index: Index
    parameters: dict[str, Any]
    error: Any
    noise: Any
    arrivals: Any = None

    @property
    def length(self) -> Length:
        """Lengths of challenges."""
        return Length(*(self.parameters[name] for name in ("log_days", "removal_log_days", "log_days_sd")))

    def block(self, draws: slice) -> Ingredients:
        """Return the same for some of the draws."""
        return replace(
            self,
            parameters={name: values[draws] for name, values in self.parameters.items()},
            error=self.error[draws],
            noise=None if self.noise is None else self.noise[draws],
            arrivals=None if self.arrivals is None else self.arrivals[:, draws],
        )


def answer(fit: Fit, outlook: Outlook, question: Question, seed: int = 0, *, coding: bool = True) -> Forecast:
    """Return the forecast of a question, with or without the uncertainty of coding."""
    return respond(fit, _prepare(fit, outlook, question, seed), outlook, question, coding=coding)


def prepare(fit: Fit, outlook: Outlook, question: Question, seed: int = 0) -> Ingredients:
    """Draw everything that a question needs and that its settings leave as it is."""
    parts = _prepare(fit, outlook, question, seed)
    return replace(parts, arrivals=arrivals(parts.length, outlook.years))


def _prepare(fit: Fit, outlook: Outlook, question: Question, seed: int) -> Ingredients:
    """Draw what `prepare` does, without the arrivals, which one answer alone makes block by block."""
    rng = np.random.default_rng([seed, *question.country.encode(), question.horizon])
    stages = build_stages(fit.design, fit.spec)
    index, parameters = _index_months(fit, question, outlook.periods, stack_draws(fit.posterior), rng)
    draws = len(parameters["baseline"])
    error = _coding_error(fit, question, parameters, draws, rng)
    # Every indicator's noise is drawn, also where it is not used, so that a setting leaves other paths as they were.
    noise = rng.normal(size=(draws, *outlook.centre.shape)) if question.paths == "walk" else None
    return Ingredients(stages, index, parameters, error, noise)


def respond(fit: Fit, parts: Ingredients, outlook: Outlook, question: Question, *, coding: bool = True) -> Forecast:
    """Return the forecast of a question from what was drawn for it, under the question's settings."""

    def of(block: slice) -> tuple[Any, Any]:
        own = parts.block(block)
        return _chances(own, indicator_paths(fit, outlook, question, own, coding=coding), outlook)

    blocks = in_blocks(of, len(parts.error))
    return _labelled(fit, question, *(np.concatenate(values) for values in zip(*blocks, strict=True)))


def _chances(parts: Ingredients, x: Any, outlook: Outlook) -> tuple[Any, Any]:
    """Return cumulative outcome and attempt probabilities along indicator paths (draw x month x indicator)."""
    parameters, index, stages = parts.parameters, parts.index, parts.stages
    rate = np.exp(log_hazard(parameters, x, index, stages))
    success = removal_probability(result_score(parameters, x, index.group, stages), parameters["cutpoints"])
    return incidence(rate, success, parts.length, outlook.ongoing, outlook.years, parts.arrivals)


def respond_each(
    fit: Fit, parts: Ingredients, outlook: Outlook, question: Question, cases: Sequence[tuple[str, float]]
) -> Any:
    """Return the probabilities at the horizon's end with one more indicator set in each case.

    They are those of `respond`, many times faster: only the terms that hold the indicator are computed anew.

    Parameters
    ----------
    cases : sequence of (str, float)
        An indicator and its value.

    Returns
    -------
    array (case x draw x outcome)
    """
    parameters, index, stages = parts.parameters, parts.index, parts.stages
    x = indicator_paths(fit, outlook, question, parts)
    rates, scores = log_hazard(parameters, x, index, stages), result_score(parameters, x, index.group, stages)
    weights = onset_weight(parameters, index.group, stages), parameters["result_beta"][:, None, :]
    names = list(fit.design.indexes["indicator"])
    found = np.empty((len(cases), len(x), len(OUTCOMES)))
    for answered, (name, value) in zip(found, cases, strict=True):
        place, moved = names.index(name), x.copy()
        moved[..., place] = _scaled(fit, place, value)
        rate = np.exp(rates + _difference(moved, x, place, stages.onset, weights[0]))
        score = scores + _difference(moved, x, place, stages.result, weights[1])
        success = removal_probability(score, parameters["cutpoints"])
        answered[:] = incidence_at_end(rate, success, parts.length, outlook.ongoing, outlook.years, parts.arrivals)
    return found


def _difference(moved: Any, x: Any, place: int, wiring: Wiring, weight: Any) -> Any:
    """Return what a change of one indicator adds to the log rates or scores of a stage."""
    terms = np.flatnonzero((wiring.first == place) | (wiring.second == place))
    part = Wiring(wiring.first[terms], wiring.second[terms], wiring.target[terms])
    return ((products(moved, part) - products(x, part)) * weight[..., terms]) @ part.target


def _scaled(fit: Fit, place: int, value: float) -> float:
    location, scale = (float(fit.design[part].to_numpy()[place]) for part in ("location", "scale"))
    return (value - location) / scale


def latest_value(data: Data, question: Question, name: str) -> float:
    """Return an indicator's value on the as-of day, in the codebook's units."""
    return float(_measured(data, question.country, question.spell, question.as_of, question.horizon, name)[0][0])


@lru_cache(maxsize=64)
def _moments(data: Data, country: str, spell: str, as_of: date, horizon: int) -> pd.DataFrame:
    """Return one line per month of the horizon, in the form that `design.measure` takes."""
    ends = month_ends(as_of, horizon)
    starts = pd.DatetimeIndex([pd.Timestamp(as_of), *ends[:-1]])
    leader = data.leaders.set_index("spell_id").loc[spell]
    entered = leader["start"] if pd.isna(leader["entered"]) else leader["entered"]
    return pd.DataFrame({
        "country": country, "known": pd.Timestamp(as_of), "now": pd.Timestamp(as_of), "start": starts, "end": ends,
        "middle": starts + (ends - starts) / 2, "entered": entered,
    })  # fmt: skip


@lru_cache(maxsize=128)
def _measured(data: Data, country: str, spell: str, as_of: date, horizon: int, name: str) -> tuple[Any, Any]:
    """Return an indicator in the months ahead; every answer about the same leader reads it once."""
    return measure(data, name, _moments(data, country, spell, as_of, horizon))


def _index_months(
    fit: Fit, question: Question, periods: Any, parameters: dict[str, Any], rng: np.random.Generator
) -> tuple[Index, dict[str, Any]]:
    """Return where each month finds its group effects; levels that the fit has not seen are drawn.

    A new calendar period continues the random walk, a new group or country comes from its population, and
    a new spell has a fresh coding error.
    """
    design, grown = fit.design, dict(parameters)
    period, grown["period_effect"] = walk_periods(design, periods, parameters, rng)
    country = _level(design, "country", question.country)
    if country is None:
        country, grown["country_effect"] = _drawn(parameters, "country_effect", rng)
    group = _level(design, "group", question.group)
    if group is None:
        group, grown["group_effect"] = _drawn(parameters, "group_effect", rng)
        _, grown["result_group_effect"] = _drawn(parameters, "result_group_effect", rng)
        if "group_slope_sd" in parameters:
            _, grown["group_slope"] = _drawn(parameters, "group_slope", rng)
    # One country and group for all months: the terms that they decide are computed once.
    return Index(period, np.array([group]), np.array([country]), None), grown


def _level(design: xr.Dataset, level: str, label: str) -> int | None:
    found = design.indexes[level].get_indexer([label])[0]
    return None if found < 0 else int(found)


def _drawn(parameters: dict[str, Any], name: str, rng: np.random.Generator) -> tuple[int, Any]:
    """Return the position of a new level and the effects with that level drawn from the population."""
    spread = parameters[f"{name}_sd"][:, None, :]
    return parameters[name].shape[1], np.concatenate([parameters[name], spread * rng.normal(size=spread.shape)], axis=1)


def walk_periods(design: xr.Dataset, periods: Any, parameters: dict[str, Any], rng: np.random.Generator) -> Any:
    """Return the position of each period and the period effects; walk and trend go on into new periods."""
    effect, known = parameters["period_effect"], list(design.indexes["period"])
    for new in sorted(set(periods) - set(known)):
        step = parameters["period_effect_sd"] * rng.normal(size=parameters["period_effect_sd"].shape)
        step = step + parameters.get("period_drift", 0.0) * (new - known[-1]) / DECADE
        effect = np.concatenate([effect, effect[:, -1:] + step[:, None]], axis=1)
        known.append(new)
    return np.array([known.index(period) for period in periods]), effect


def indicator_paths(fit: Fit, outlook: Outlook, question: Question, parts: Ingredients, *, coding: bool = True) -> Any:
    """Return the true scaled indicators in each draw and month (draw x month x indicator)."""
    names = list(fit.design.indexes["indicator"])
    centre, spread, step = outlook.centre.copy(), outlook.spread * coding, outlook.step.copy()
    for name in set(question.settings) & set(names):
        place = names.index(name)
        centre[:, place] = _scaled(fit, place, question.settings[name])
        spread[:, place] = step[place] = 0.0
    x = true_values(centre, spread, parts.error, parts.stages.latent)
    if parts.noise is None:
        return x
    walk = (parts.noise * step).cumsum(axis=1)
    return np.clip(x + walk, np.minimum(outlook.low, x), np.maximum(outlook.high, x))


def _coding_error(
    fit: Fit, question: Question, parameters: dict[str, Any], draws: int, rng: np.random.Generator
) -> Any:
    latent = fit.design.sizes["latent"]
    spell = _level(fit.design, "spell", question.spell)
    if spell is None or not latent:
        return rng.normal(size=(draws, 1, latent))
    return parameters["coding_error"][:, [spell], :]


@lru_cache(maxsize=64)
def volatility(data: Data, name: str) -> float:
    """Return the standard deviation of an indicator's move over a year, learnt from the ledger.

    Root of the sum of squared moves between consecutive readings over the sum of the years between
    them. For indicators of war and sanctions only moves while there is one count.
    """
    entry = data.codebook.indicators.get(name)
    if entry is None or entry.role == "computed":
        return 0.0
    own = data.readings_of(name)
    country, coder = (pd.factorize(own[column], sort=True)[0] for column in ("country", "coder"))
    order = np.lexsort((own["observed_on"].to_numpy(), coder, country))
    same = (np.diff(country[order]) == 0) & (np.diff(coder[order]) == 0)
    value = own["value"].to_numpy()[order]
    count = same & ((value[:-1] != 0) | (entry.absent == "missing"))
    time = np.diff(own["observed_on"].to_numpy()[order]) / np.timedelta64(1, "D") / YEAR
    squares, years = float((np.diff(value)[count] ** 2).sum()), float(time[count].sum())
    return float(np.sqrt(squares / years)) if years else 0.0


@lru_cache(maxsize=1024)
def _monthly_step(data: Data, country: str, name: str) -> float:
    """Return the standard deviation of an indicator's move in a month, in the codebook's units."""
    if name == ONE or _absent(data, country, name):
        return 0.0
    return float(volatility(data, name) * np.sqrt(1 / 12))


def _absent(data: Data, country: str, name: str) -> bool:
    """Return whether an indicator of something that may not exist stands at nothing: no war, no sanctions."""
    if data.codebook.indicators[name].absent != "zero":
        return False
    own = data.readings_of(name)
    own = own[own["country"] == country]
    return own.empty or not own[own["observed_on"] == own["observed_on"].max()]["value"].any()


def _ongoing(data: Data, question: Question) -> Ongoing:
    spell = data.leaders.set_index("spell_id").loc[question.spell]
    own = data.events[(data.events["country"] == question.country) & data.events["end"].isna()]
    own = own[own["start"] >= spell["start"]].sort_values("start")
    kinds = tuple(KINDS.index("coup" if kind == "coup_attempt" else "uprising") for kind in own["kind"])
    return Ongoing(kinds, tuple((pd.Timestamp(question.as_of) - own["start"]).dt.days + 1.0))


def _labelled(fit: Fit, question: Question, probability: Any, attempt: Any) -> Forecast:
    chains, draws = fit.posterior.sizes["chain"], fit.posterior.sizes["draw"]
    months = np.arange(1, question.horizon + 1)
    dims, coords = ("chain", "draw", "month"), {"month": months}

    def label(values: Any, last: str, names: tuple[str, ...]) -> xr.DataArray:
        shaped = values.reshape(chains, draws, *values.shape[1:])
        return xr.DataArray(shaped, dims=(*dims, last), coords={**coords, last: list(names)})

    return Forecast(question, label(probability, "outcome", OUTCOMES), label(attempt, "kind", KINDS), fit.provenance)


def summarise(forecast: Forecast, month: int | None = None) -> pd.DataFrame:
    """Return mean and 50% and 90% intervals of each outcome at a month, by default the last."""
    at = forecast.probability.sel(month=month or forecast.question.horizon)
    return summarise_draws(at, "outcome")


def summarise_draws(draws: xr.DataArray, label: str) -> pd.DataFrame:
    """Return mean and 50% and 90% intervals over chains and draws, one line per label."""
    flat = draws.stack(sample=("chain", "draw")).transpose("sample", label).to_numpy()
    table = pd.DataFrame({"probability": flat.mean(axis=0)}, index=pd.Index(draws[label].to_numpy(), name=label))
    for name, level in INTERVALS.items():
        table[name] = np.quantile(flat, level, axis=0)
    return table


def require_mixed(forecast: Forecast, gate: Gate) -> None:
    """Raise GateError unless the chains agree on every published probability."""
    if bad := unmixed(forecast.probability.isel(month=-1), gate):
        raise GateError(f"the probabilities for {forecast.question.country} did not pass the gate: {', '.join(bad)}")


def unmixed(draws: xr.DataArray, gate: Gate) -> list[str]:
    """Return what keeps probabilities (chain x draw x ...) from being published; empty when they may be."""
    import arviz_stats

    entries = draws.stack(entry=[dim for dim in draws.dims if dim not in ("chain", "draw")])
    varies = (entries.std(("chain", "draw"), skipna=False) != 0).to_numpy()
    moving = entries[..., varies].reset_index("entry", drop=True)
    checks = {
        "R-hat": (float(arviz_stats.rhat(moving).max(skipna=False)), gate.rhat, 1),
        "bulk ESS": (float(arviz_stats.ess(moving, method="bulk").min(skipna=False)), gate.ess, -1),
        "tail ESS": (float(arviz_stats.ess(moving, method="tail").min(skipna=False)), gate.ess, -1),
    }
    return [f"{name} {value:.4g}" for name, (value, limit, sign) in checks.items() if not sign * value <= sign * limit]
