"""Rolling-origin forecasts of what happens in each country in the next calendar year, and what happened.

An origin is the last day of a year. The model is fitted to the view of the study as of that day and asked about
the year after it, for every country in the frame. The questions are about countries and not leaders: a
successor inherits the rates, as published forecasts of coups have it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import forecast
from forecast.data import Data
from forecast.design import measure, period_of, places, rescale
from forecast.engine import Failure, Job, Where, run_jobs
from forecast.errors import GateError, UsageError
from forecast.hazards import (
    Index,
    Stages,
    build_stages,
    gain_probability,
    log_hazard,
    removal_probability,
    result_score,
    stack_draws,
    true_values,
)
from forecast.incidence import Length, Ongoing, occurrence, removal_pending
from forecast.inference import Fit, fit
from forecast.prediction import INTERVALS, unmixed, walk_periods
from forecast.schema import KINDS
from forecast.spec import Spec

FORMAT = 2  # of the kept results; raise it when the same job would give other numbers
COUNTRY_OUTCOMES = ("coup_attempt", "coup_success", "coup_failed", "uprising", "uprising_removal")
COLUMNS = (
    "country", "gw_code", "name", "origin", "target_year", "outcome", "probability", "p05", "p25", "p75", "p95", "observed",
)  # fmt: skip
ROW = ["country", "target_year", "outcome"]  # what identifies a forecast
STEPS = 4  # of the year, over which the rates are constant
BLOCK = 250  # draws that are worked on at a time, for the sake of memory


@dataclass(frozen=True)
class Backtest:
    """Forecasts of every origin, and what became of the origins.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per country, origin and outcome, with the columns of `COLUMNS`.
    counts : pandas.DataFrame
        ``target_year``, ``outcome``, and ``p05`` and ``p95`` of the number of countries with the event.
    fits : mapping of origin to diagnostics and settings of its fit
    failures : sequence of Failure
    """

    table: pd.DataFrame
    counts: pd.DataFrame
    fits: Mapping[str, Any]
    failures: Sequence[Failure]


def list_origins(data: Data, first: int, last: int) -> list[date]:
    """Return the last day of each year from the first to the last.

    Raises
    ------
    UsageError
        When the years are in the wrong order, or the data do not reach the last.
    """
    if first > last:
        raise UsageError(f"--from {first} is after --to {last}")
    origins = [date(year, 12, 31) for year in range(first, last + 1)]
    for origin in (origins[0], origins[-1]):
        data.as_of(origin)
    return origins


def run_backtest(
    data: Data, spec: Spec, origins: Sequence[date], folder: Path, where: Where | None = None, *, progress: bool = False
) -> Backtest:
    """Return the forecasts of every origin whose fit passes the gate.

    Parameters
    ----------
    data : Data
        The whole study; each origin sees its own view of it.
    spec : Spec
    origins : sequence of date
    folder : Path
        Keeps each origin's result, so that a run that was killed goes on where it stopped.
    where : Where
        Local processes or a Dask cluster; the numbers are the same.
    progress : bool
    """
    jobs = [origin_job(data, spec, origin) for origin in origins]
    results, failures = run_jobs(forecast_origin, jobs, folder, (data, spec), where, progress=progress)
    done = {job.facts["origin"]: results[job.key] for job in jobs if job.key in results}
    rows = pd.DataFrame([row for result in done.values() for row in result["rows"]], columns=list(COLUMNS[:-1]))
    return Backtest(
        table=rows.assign(observed=look_up(data.in_frames(spec.frames), rows))[list(COLUMNS)],
        counts=pd.DataFrame([row for result in done.values() for row in result["counts"]]),
        fits={origin: result["fit"] for origin, result in done.items()},
        failures=failures,
    )


def origin_job(data: Data, spec: Spec, origin: date) -> Job:
    """Return the job of an origin: what was known then, the model, and nothing that came later."""
    facts = {
        "what": f"country-years {FORMAT}", "origin": str(origin), "data": data.as_of(origin).digest, "spec": spec.digest,
        "gate": spec.gate.model_dump(), "version": forecast.__version__,
    }  # fmt: skip
    return Job(f"origin {origin}", facts)


def forecast_origin(shared: tuple[Data, Spec], job: Job) -> dict[str, Any]:
    """Return an origin's forecasts, their counts and the fit's diagnostics, as plain JSON values.

    Where the fit passes the gate and a probability does not, the fit is made once more with more draws.

    Raises
    ------
    GateError
        When the fit or a probability does not pass: nothing is published from it.
    """
    data, spec = shared
    view, settings = data.as_of(job.facts["origin"]), spec.sampling.model_copy(update={"seed": job.seed})
    for sampling in (settings, settings.more_careful()):
        result = fit(view, spec.with_sampling(sampling))
        result.require_gate()
        draws = forecast_countries(result, view, job.seed)
        if not (bad := unmixed(draws, spec.gate)):
            facts = {**vars(result.diagnostics), **result.provenance["sampled_with"]}
            return {"rows": list_rows(view, spec, draws), "counts": count_draws(draws, view, job.seed), "fit": facts}
    raise GateError(f"probabilities did not pass the gate: {', '.join(bad)}")


def list_states(view: Data) -> pd.DataFrame:
    """Return one line per country in the frame on the last day of a view, with the leader in office.

    Returns
    -------
    pandas.DataFrame
        Index country; ``gw_code``, ``name``, ``group``, ``spell_id``, ``entered``, ``since``. A country without a
        leader that day has no ``spell_id``, and is taken to get a leader the day after.
    """
    states = view.countries[view.countries["end"].isna()].sort_values("start").drop_duplicates("country", keep="last")
    leaders = view.leaders[view.leaders["end"].isna()].drop_duplicates("country", keep="last").set_index("country")
    leaders = leaders.assign(since=leaders["start"], entered=leaders["entered"].fillna(leaders["start"]))
    states = states.set_index("country").sort_index()[["gw_code", "name", "group"]]
    states = states.join(leaders[["spell_id", "entered", "since"]])
    return states.assign(entered=states["entered"].fillna(pd.Timestamp(view.known_to)))


def list_moments(view: Data, states: pd.DataFrame, steps: int) -> pd.DataFrame:
    """Return one line per country and step of the year after a view, in the form that `design.measure` takes."""
    now = pd.Timestamp(view.known_to)
    edges = pd.date_range(now, now + pd.DateOffset(years=1), periods=steps + 1)
    each = states.loc[states.index.repeat(steps)]
    middle = np.tile((edges[:-1] + (edges[1:] - edges[:-1]) / 2).to_numpy(), len(states))
    return pd.DataFrame({
        "country": each.index.to_numpy(), "known": now, "now": now, "middle": middle, "entered": each["entered"].to_numpy(),
    })  # fmt: skip


@dataclass(frozen=True)
class _Uprising:
    """An uprising under way: its country's place, the days it has lasted, and its place among the design's challenges."""

    country: int
    days: float
    challenge: int


@dataclass(frozen=True)
class _Outlook:
    """What the data say about the year ahead, the same in every draw; rows are country x step.

    Attributes
    ----------
    centre, spread : array (row x indicator)
    index : Index
    ongoing : sequence of _Uprising
    """

    fit: Fit
    centre: Any
    spread: Any
    index: Index
    ongoing: Sequence[_Uprising]


def forecast_countries(result: Fit, view: Data, seed: int) -> xr.DataArray:
    """Return the probability of each outcome in the year after a view (chain x draw x country x outcome).

    Indicators stand at their latest readings, with the coders' uncertainty; the computed ones move with time.
    A country that the likelihood knows nothing about has an effect drawn from the population, because
    every country in the frame is a level of the design.
    """
    view = view.in_frames(result.spec.frames)
    states, rng = list_states(view), np.random.default_rng(seed)
    moments = list_moments(view, states, STEPS)
    parameters = stack_draws(result.posterior)
    periods = period_of(moments["middle"], result.spec).to_numpy()
    period, parameters["period_effect"] = walk_periods(result.design, periods, parameters, rng)
    parameters["error"] = _coding_error(result.design, states, parameters, rng)
    index = Index(
        period=period,
        group=_positions(result.design, "group", states["group"].loc[moments["country"]]),
        country=_positions(result.design, "country", moments["country"]),
        spell=None,
    )
    outlook = _Outlook(result, *_covariates(result.design, view, moments), index, _ongoing(view, states, result.design))
    draws = len(parameters["baseline"])
    values = np.concatenate([
        _probabilities(outlook, {name: value[start : start + BLOCK] for name, value in parameters.items()})
        for start in range(0, draws, BLOCK)
    ])  # fmt: skip
    chains = result.posterior.sizes["chain"]
    return xr.DataArray(
        values.reshape(chains, draws // chains, *values.shape[1:]),
        dims=("chain", "draw", "country", "outcome"),
        coords={"country": states.index.to_numpy(dtype=object), "outcome": list(COUNTRY_OUTCOMES)},
    )


def _positions(design: xr.Dataset, level: str, labels: pd.Series) -> Any:
    found = design.indexes[level].get_indexer(labels.to_numpy(dtype=object))
    if (found < 0).any():
        raise UsageError(
            f"the fit was made from other data than these: it knows no {level} {labels[found < 0].iloc[0]}"
        )
    return found


def _coding_error(
    design: xr.Dataset, states: pd.DataFrame, parameters: dict[str, Any], rng: np.random.Generator
) -> Any:
    """Return the standardised coding error of each country's leader (draw x country x latent); fresh where unknown."""
    error = rng.normal(size=(len(parameters["baseline"]), len(states), design.sizes["latent"]))
    spell = design.indexes["spell"].get_indexer(states["spell_id"].to_numpy(dtype=object))
    if design.sizes["latent"]:
        error[:, spell >= 0] = parameters["coding_error"][:, spell[spell >= 0]]
    return error


def _covariates(design: xr.Dataset, view: Data, moments: pd.DataFrame) -> tuple[Any, Any]:
    scaling = design[["location", "scale", "sd"]].to_dataframe()
    columns = [rescale(*measure(view, str(name), moments), line) for name, line in scaling.iterrows()]
    centre, spread = (np.stack([column[part] for column in columns], axis=1) for part in (0, 1))
    return centre, spread


def _ongoing(view: Data, states: pd.DataFrame, design: xr.Dataset) -> list[_Uprising]:
    """Return the uprisings under way against the leader in office, or in a country without one."""
    events = view.events[view.events["end"].isna() & (view.events["kind"] == "uprising")]
    events = events[events["country"].isin(states.index)].sort_values("start")
    events = events[~(events["start"] < events["country"].map(states["since"]))]
    challenges = pd.Series(range(design.sizes["challenge"]), index=design["challenge_id"].to_numpy())
    age = (pd.Timestamp(view.known_to) - events["start"]).dt.days + 1.0
    each = (states.index.get_indexer(events["country"]), age, challenges[events["event_id"]])
    return [_Uprising(int(country), float(days), int(row)) for country, days, row in zip(*each, strict=True)]


def _probabilities(outlook: _Outlook, parameters: dict[str, Any]) -> Any:
    """Return the outcome probabilities of some draws (draw x country x outcome)."""
    stages, index = build_stages(outlook.fit.design, outlook.fit.spec), outlook.index
    draws, countries = parameters["error"].shape[:2]
    error = np.repeat(parameters["error"], STEPS, axis=1)
    latent = len(stages.latent) > 0  # measured indicators are the same in every draw
    x = true_values(outlook.centre, outlook.spread, error, stages.latent) if latent else outlook.centre
    rate = np.exp(log_hazard(parameters, x, index, stages))
    score = result_score(parameters, x, index.group, stages)
    success = removal_probability(score, parameters["cutpoints"])
    coup = KINDS.index("coup")  # a coup attempt succeeds if it gains anything; see `observe`
    success[..., coup] = gain_probability(score, parameters["cutpoints"])[..., coup]
    rate, success = (values.reshape(draws, countries, STEPS, -1) for values in (rate, success))
    length = Length(parameters["log_days"], parameters["removal_log_days"], parameters["log_days_sd"])
    years = np.full(STEPS, 1.0 / STEPS)
    found = occurrence(rate, success, length, _pending(outlook, parameters, stages, length, countries), years)
    return np.stack([found[name] for name in COUNTRY_OUTCOMES], axis=-1)


def _pending(outlook: _Outlook, parameters: dict[str, Any], stages: Stages, length: Length, countries: int) -> Any:
    """Return P(an uprising under way removes the leader in the year) (draw x country).

    As in the likelihood, how it will end depends on the conditions under which it began.
    """
    uprising, years = KINDS.index("uprising"), np.full(STEPS, 1.0 / STEPS)
    begun = outlook.fit.design.isel(challenge=[one.challenge for one in outlook.ongoing])
    centre, spread = begun["challenge_centre"].to_numpy(), begun["challenge_spread"].to_numpy()
    x = true_values(centre, spread, parameters["error"][:, [one.country for one in outlook.ongoing]], stages.latent)
    score = result_score(parameters, x, places(begun, "challenge_group", "group"), stages)
    chance = removal_probability(score, parameters["cutpoints"])
    fails = np.ones((len(chance), countries))
    for place, one in enumerate(outlook.ongoing):
        removed = removal_pending(Ongoing((uprising,), (one.days,)), chance[:, place], length, years)
        fails[:, one.country] *= 1.0 - removed[:, uprising]
    return 1.0 - fails


def list_rows(view: Data, spec: Spec, draws: xr.DataArray) -> list[dict[str, Any]]:
    """Return one row per country and outcome: mean and intervals over draws, to six significant digits."""
    states = list_states(view.in_frames(spec.frames))
    flat = draws.stack(sample=("chain", "draw")).transpose("sample", ...).to_numpy()
    quantiles = np.quantile(flat, list(INTERVALS.values()), axis=0)
    numbers = dict(zip(("probability", *INTERVALS), [flat.mean(axis=0), *quantiles], strict=True))
    fixed = {"origin": str(view.known_to), "target_year": view.known_to.year + 1}
    return [
        {"country": state.Index, "gw_code": state.gw_code, "name": state.name, **fixed, "outcome": outcome,
         **{name: float(f"{values[i, j]:.6g}") for name, values in numbers.items()}}
        for i, state in enumerate(states.itertuples()) for j, outcome in enumerate(COUNTRY_OUTCOMES)
    ]  # fmt: skip


def count_draws(draws: xr.DataArray, view: Data, seed: int) -> list[dict[str, Any]]:
    """Return the 90% interval of the number of countries in which each outcome happens."""
    flat = draws.stack(sample=("chain", "draw")).transpose("sample", ...).to_numpy()
    happens = np.random.default_rng(seed).random(flat.shape) < flat
    low, high = np.quantile(happens.sum(axis=1), (0.05, 0.95), axis=0)
    return [
        {"target_year": view.known_to.year + 1, "outcome": outcome, "p05": float(low[j]), "p95": float(high[j])}
        for j, outcome in enumerate(COUNTRY_OUTCOMES)
    ]


def observe(data: Data) -> pd.DataFrame:
    """Return what happened in each country and calendar year in which something did.

    A coup attempt or an uprising counts in the year in which it begins, if it is an onset. An attempt succeeded if
    it did not fail: it removed the leader, or held power without ending the term that the leader table has, as some of
    Powell and Thyne's successes did. Both may happen in one year. A removal by
    an uprising counts in the year in which the uprising ends, or in which a leader leaves by a revolution.

    Returns
    -------
    pandas.DataFrame
        Index (country, target_year), one column per outcome: 1 happened, 0 did not, NaN not known yet because an
        attempt has no result. Years that are not over by the last known day are left out.
    """
    events = data.events.assign(year=data.events["start"].dt.year, over=data.events["end"].dt.year)
    onsets = events[~events["inherited"].astype(bool)]
    coups, risings = onsets[onsets["kind"] == "coup_attempt"], onsets[onsets["kind"] == "uprising"]
    fallen = events[(events["kind"] == "uprising") & (events["result"] == "removed")]
    left = data.leaders[data.leaders["exit"] == "revolution"]
    happened = {
        "coup_attempt": _pairs(coups, "year"),
        "coup_success": _pairs(coups[coups["result"].isin(["removed", "concession"])], "year"),
        "coup_failed": _pairs(coups[coups["result"] == "failed"], "year"),
        "uprising": _pairs(risings, "year"),
        "uprising_removal": _pairs(fallen, "over").union(_pairs(left.assign(over=left["end"].dt.year), "over")),
    }
    years = pd.MultiIndex.from_tuples([], names=ROW[:2])
    for pairs in happened.values():
        years = years.union(pairs)
    table = pd.DataFrame({name: years.isin(pairs).astype(float) for name, pairs in happened.items()}, index=years)
    pending = years.isin(_pairs(coups[coups["result"] == "ongoing"], "year"))
    for name in ("coup_success", "coup_failed"):
        table[name] = table[name].mask(pending & (table[name] == 0))
    return table[table.index.get_level_values("target_year") <= last_whole_year(data)]


def _pairs(rows: pd.DataFrame, year: str) -> pd.MultiIndex:
    pairs = rows[["country", year]].dropna().drop_duplicates().astype({year: int})
    return pd.MultiIndex.from_frame(pairs, names=ROW[:2])


def last_whole_year(data: Data) -> int:
    """Return the last calendar year that was over on the last day of a view."""
    last = data.known_to
    return last.year if (last.month, last.day) == (12, 31) else last.year - 1


def look_up(data: Data, rows: pd.DataFrame) -> pd.Series:
    """Return what happened to each row's country, year and outcome: 0 or 1, missing where it is not known yet."""
    keys = pd.MultiIndex.from_frame(rows[ROW[:2]])
    happened = observe(data).reindex(keys, fill_value=0.0).to_numpy()
    column = [COUNTRY_OUTCOMES.index(outcome) for outcome in rows["outcome"]]
    value = pd.Series(happened[np.arange(len(rows)), column], index=rows.index)
    return value.mask(rows["target_year"] > last_whole_year(data)).astype("Int64")
