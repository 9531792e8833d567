"""From tables to arrays: leader-days cut where something changes, and challenges with what preceded them.

A row (a, b] of the onset stage is a stretch of one spell over which nothing in the model changes. What
happens on day b belongs to it, and what was read on day b does not: a reading never explains an event
of its own day. Everything is labelled, and joins that do not match exactly fail.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from forecast.data import Data
from forecast.errors import SpecError
from forecast.schema import CAUSES, KINDS, RESULTS
from forecast.spec import Effect, Spec

YEAR = 365.25
ONE = "one"  # a constant factor, so that a plain term is the product of an indicator and this
RANGE_SDS = 2 * 1.6448536269514722  # a 90% range spans this many standard deviations
CUT_YEARS = (0.5, 1, 2, 4, 8, 16, 32)  # where tenure and recency, which change daily, are cut
RECENCY_YEARS = 5.0
CHALLENGE_COLUMNS = ["id", "spell", "country", "kind", "known", "now", "middle", "entered", "result", "log_days", "ended", "inherited"]  # fmt: skip
NO_OTHER_EXIT = ("in_office", "frame_end", "coup", "revolution")

Days = np.ndarray[Any, np.dtype[np.datetime64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]


def build_design(data: Data, spec: Spec) -> xr.Dataset:
    """Return everything that the model is conditioned on.

    Parameters
    ----------
    data : Data
        A study as of a day.
    spec : Spec
        The model; decides which indicators enter and how time is cut.

    Returns
    -------
    xarray.Dataset
        ``exposure`` (row; years), ``events`` (row x cause; 0 or 1), ``centre`` and ``spread`` (row x
        indicator; scaled), ``challenge_centre`` and ``challenge_spread`` (challenge x indicator),
        ``result`` (challenge; index into failed, concession, removed, or -1 while ongoing), ``log_days``
        and ``ended`` (challenge), ``location``, ``scale`` and ``sd`` (indicator; in the codebook's units), and the
        labels of each row and challenge.

    Raises
    ------
    SpecError
        When the spec names an indicator that the codebook does not have.
    """
    spec.check_terms(data.codebook.indicators)
    origin, data = data, data.in_frames(spec.frames)
    rows = cut_rows(data, spec)
    challenges = list_challenges(data, spec)
    indicators = [*spec.indicators, ONE]
    measured = {name: measure(data, name, rows) for name in indicators}
    scaling = _scaling(data, measured, rows)
    before = {name: measure(data, name, challenges) for name in indicators}
    labels = _labels(data, spec)
    design = xr.Dataset(
        {
            **_covariates(measured, scaling, "row", ""),
            **_covariates(before, scaling, "challenge", "challenge_"),
            "location": ("indicator", scaling["location"].to_numpy()),
            "scale": ("indicator", scaling["scale"].to_numpy()),
            "sd": ("indicator", scaling["sd"].to_numpy()),
            "exposure": ("row", ((rows["end"] - rows["start"]) / pd.Timedelta(days=YEAR)).to_numpy()),
            "events": (("row", "cause"), rows[list(CAUSES)].to_numpy(dtype=float)),
            "result": ("challenge", challenges["result"].to_numpy(dtype=int)),
            "log_days": ("challenge", challenges["log_days"].to_numpy(dtype=float)),
            "ended": ("challenge", challenges["ended"].to_numpy(dtype=bool)),
            "inherited": ("challenge", challenges["inherited"].to_numpy(dtype=bool)),
        },
        coords={"indicator": indicators, "cause": list(CAUSES), "kind": list(KINDS), **labels},
        attrs={"data_digest": origin.digest, "spec_digest": spec.digest, "known_to": str(data.known_to)},
    )
    return design.assign_coords(
        **_label_coords(rows, "row", "row_"), **_label_coords(challenges, "challenge", "challenge_")
    )


def cut_rows(data: Data, spec: Spec) -> pd.DataFrame:
    """Return one line per stretch of a spell over which nothing changes, with what ended it.

    Returns
    -------
    pandas.DataFrame
        ``start``, ``end``, ``spell``, ``country``, ``group``, ``period``, ``entered``, ``known`` (the day whose
        readings are in force: the spec's lag before the row, but not before the spell), ``now``, ``middle``,
        and for each cause the number of events on the row.
    """
    own = {country: _Country.of(data, spec, country) for country in data.leaders["country"].unique()}
    rows = pd.concat([_cut_spell(data, own[spell.country], spell) for spell in data.leaders.itertuples()])
    rows = rows.reset_index(drop=True)
    rows["group"] = groups_on(data, rows["country"], rows["start"])
    rows["period"] = period_of(rows["start"], spec)
    lag = pd.Timedelta(days=spec.onset.lag_days)
    rows["known"] = (rows["start"] - lag).clip(lower=rows["spell_start"])
    rows["now"] = rows["start"]
    rows["middle"] = rows["start"] + (rows["end"] - rows["start"]) / 2
    return rows


@dataclass(frozen=True)
class _Country:
    """One country's dates, looked up once for all its spells."""

    readings: Days
    starts: Days
    ends: Days
    kinds: Any
    onset: Any
    periods: Days

    @classmethod
    def of(cls, data: Data, spec: Spec, country: str) -> _Country:
        """Return the dates of a country."""
        readings = data.indicators[data.indicators["country"] == country]
        events = data.events[data.events["country"] == country]
        lag = np.timedelta64(spec.onset.lag_days, "D")
        first = data.countries.loc[data.countries["country"] == country, "start"].min().year
        step = spec.onset.period_years
        years = range(first - first % step, data.known_to.year + 1, step)
        return cls(
            readings=_seconds(readings.loc[readings["indicator"].isin(spec.indicators), "observed_on"]) + lag,
            starts=_seconds(events["start"]),
            ends=_seconds(events["end"]),
            kinds=events["kind"].to_numpy(),
            onset=~events["inherited"].to_numpy(dtype=bool),
            periods=np.array([f"{year}-01-01" for year in years], dtype="datetime64[s]"),
        )


def groups_on(data: Data, countries: pd.Series, days: pd.Series) -> Any:
    """Return the pooling group of each country on each day."""
    groups = np.empty(len(days), dtype=object)
    moments = _seconds(days)
    for country, states in data.countries.sort_values("start").groupby("country"):
        own = countries.to_numpy() == country
        place = np.searchsorted(_seconds(states["start"]), moments[own], side="right") - 1
        groups[own] = states["group"].to_numpy()[place]
    return groups


def _seconds(days: pd.Series) -> Days:
    moments: Days = days.to_numpy().astype("datetime64[s]")
    return moments


def _cut_spell(data: Data, country: _Country, spell: Any) -> pd.DataFrame:
    start, stop = np.datetime64(spell.start, "s"), np.datetime64(_stop(data, spell), "s")
    entered = spell.start if pd.isna(spell.entered) else spell.entered
    cuts = _cut_days(country, np.datetime64(entered, "s"))
    edges = np.concatenate([[start], np.unique(cuts[(cuts > start) & (cuts < stop)]), [stop]])
    counts: dict[str, Any] = {cause: np.zeros(len(edges) - 1, dtype=int) for cause in CAUSES}
    own = country.onset & (country.starts >= start) & (country.starts < stop)
    for day, kind in zip(country.starts[own], country.kinds[own], strict=True):
        row = max(int(np.searchsorted(edges, day, side="left")) - 1, 0)
        counts["coup" if kind == "coup_attempt" else "uprising"][row] += 1
    if spell.exit not in NO_OTHER_EXIT:
        counts["other_exit"][-1] += 1
    rows = pd.DataFrame({"start": edges[:-1], "end": edges[1:], **counts})
    return rows.assign(spell=spell.spell_id, country=spell.country, spell_start=spell.start, entered=entered)


def _cut_days(country: _Country, entered: Any) -> Days:
    """Return every day on which something in a country may change."""
    ended = country.ends[~np.isnat(country.ends)]
    clocks = np.concatenate([[entered], ended])[:, None] + (np.array(CUT_YEARS) * YEAR).astype("timedelta64[D]")
    days: Days = np.concatenate([country.readings, country.starts, ended, clocks.ravel(), country.periods])
    return days


def _stop(data: Data, spell: Any) -> pd.Timestamp:
    """Return the end of observation: the exit, or the midnight that ends the last known day."""
    return pd.Timestamp(data.known_to) + pd.Timedelta(days=1) if pd.isna(spell.end) else spell.end


def period_of(days: pd.Series, spec: Spec) -> pd.Series:
    """Return the first year of the calendar period that each day lies in."""
    return days.dt.year - days.dt.year % spec.onset.period_years


def list_challenges(data: Data, spec: Spec) -> pd.DataFrame:
    """Return one line per challenge with its result, length and the moment before it."""
    before = pd.Timedelta(days=max(spec.onset.lag_days, 1))
    lines = []
    by_country = dict(list(data.events.groupby("country")))
    for spell in data.leaders[data.leaders["country"].isin(by_country.keys())].itertuples():
        own = by_country[spell.country]
        own = own[(own["start"] >= spell.start) & (own["start"] < _stop(data, spell))]
        for event in own.itertuples():
            stop = _stop(data, spell) if pd.isna(event.end) else event.end
            lines.append({
                "id": event.event_id, "spell": spell.spell_id, "country": spell.country,
                "kind": "coup" if event.kind == "coup_attempt" else "uprising",
                "known": max(event.start - before, spell.start), "now": event.start - pd.Timedelta(days=1), "middle": event.start,
                "entered": spell.start if pd.isna(spell.entered) else spell.entered,
                "result": RESULTS.index(event.result) if event.result in RESULTS else -1,
                "log_days": np.log((stop - event.start).days + 1), "ended": not pd.isna(event.end),
                "inherited": bool(event.inherited),
            })  # fmt: skip
    challenges = pd.DataFrame(lines, columns=CHALLENGE_COLUMNS)
    return challenges.assign(group=groups_on(data, challenges["country"], challenges["middle"]))


def read_indicator(data: Data, name: str, moments: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return value and standard deviation of an indicator at moments; NaN where it is not known.

    Two coders' readings are averaged, and their disagreement widens the spread. An indicator whose
    absence means that the thing does not exist is 0 with no spread before its first reading.

    Parameters
    ----------
    moments : pandas.DataFrame
        ``country`` and ``known``, the day whose readings are in force.
    """
    readings = readings_of(data, name)
    value, sd = np.full(len(moments), np.nan), np.full(len(moments), np.nan)
    days = _seconds(moments["known"])
    for country, own in moments.groupby("country").indices.items():
        if country in readings:
            value[own], sd[own] = _in_force(readings[country], days[own])
    if data.codebook.indicators[name].absent == "zero":
        sd[np.isnan(value)] = 0.0
        value[np.isnan(value)] = 0.0
    return value, sd


@lru_cache(maxsize=256)
def readings_of(data: Data, name: str) -> dict[str, pd.DataFrame]:
    """Return every country's readings of an indicator."""
    return dict(list(data.indicators[data.indicators["indicator"] == name].groupby("country")))


def _in_force(readings: pd.DataFrame, days: Days) -> tuple[Floats, Floats]:
    """Return mean and spread over coders of the last reading on or before each day."""
    coders = readings["coder"].unique()
    values, sds = np.full((len(coders), len(days)), np.nan), np.full((len(coders), len(days)), np.nan)
    for index, coder in enumerate(coders):
        own = readings[readings["coder"] == coder].sort_values("observed_on", kind="stable")
        last = np.searchsorted(_seconds(own["observed_on"]), days, side="right") - 1
        known = last >= 0
        values[index, known] = own["value"].to_numpy()[last[known]]
        sds[index, known] = ((own["high"] - own["low"]).to_numpy() / RANGE_SDS)[last[known]]
    seen = (~np.isnan(values)).sum(axis=0)
    count = np.where(seen == 0, np.nan, seen)
    mean = np.nansum(values, axis=0) / count
    between = np.nansum((values - mean) ** 2, axis=0) / count
    return mean, np.sqrt(np.nansum(sds**2, axis=0) / count + between)


def compute_indicator(data: Data, name: str, moments: pd.DataFrame) -> Floats:
    """Return an indicator that follows from the tables: tenure or recent_challenge."""
    if name == "tenure":
        years = (moments["middle"] - moments["entered"]) / pd.Timedelta(days=YEAR)
        tenure: Floats = np.log1p(years.to_numpy(dtype=float))
        return tenure
    recent = np.zeros(len(moments))
    now, middle = _seconds(moments["now"]), _seconds(moments["middle"])
    for country, own in moments.groupby("country").indices.items():
        events = data.events[data.events["country"] == country]
        recent[own] = _recency(_seconds(events["start"]), _seconds(events["end"]), now[own], middle[own])
    return recent


def _recency(starts: Days, ends: Days, now: Days, middle: Days) -> Floats:
    """Return 1 while a challenge goes on, and exp(-years since the last one / 5) after it."""
    ended = np.sort(ends[~np.isnat(ends)])
    begun_before = np.searchsorted(np.sort(starts), now, side="right")
    ended_before = np.searchsorted(ended, now, side="right")
    last = np.append(ended, np.datetime64("NaT", "s"))[ended_before - 1]  # none yet: position -1 is NaT
    decay = np.exp(-((middle - last) / np.timedelta64(1, "D")) / YEAR / RECENCY_YEARS)
    recent: Floats = np.where(begun_before > ended_before, 1.0, np.nan_to_num(decay, nan=0.0))
    return recent


def measure(data: Data, name: str, moments: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return value and spread of any indicator, in the codebook's units, at moments."""
    if name == ONE:
        return np.ones(len(moments)), np.zeros(len(moments))
    if data.codebook.indicators[name].role == "computed":
        return compute_indicator(data, name, moments), np.zeros(len(moments))
    return read_indicator(data, name, moments)


Measured = dict[str, tuple[Floats, Floats]]


def _scaling(data: Data, measured: Measured, rows: pd.DataFrame) -> pd.DataFrame:
    """Return each indicator's mean over leader-years, half range, and spread where it is not read."""
    weights = ((rows["end"] - rows["start"]) / pd.Timedelta(days=1)).to_numpy()
    lines = []
    for name, (value, _) in measured.items():
        known = ~np.isnan(value)
        if not known.any():
            raise SpecError(f"indicator {name} has no reading in the data; remove it from the spec or code it")
        mean = np.average(value[known], weights=weights[known])
        sd = np.sqrt(np.average((value[known] - mean) ** 2, weights=weights[known]))
        entry = data.codebook.indicators.get(name)
        lines.append((mean, entry.scale if entry else 1.0, sd))
    scaling = pd.DataFrame(lines, index=list(measured), columns=["location", "scale", "sd"])
    scaling.loc[ONE, "location"] = 0.0
    return scaling


def _covariates(measured: Measured, scaling: pd.DataFrame, dim: str, prefix: str) -> dict[str, Any]:
    columns = [rescale(*pair, scaling.loc[name]) for name, pair in measured.items()]
    parts = zip(("centre", "spread", "missing"), zip(*columns, strict=True), strict=True)
    return {f"{prefix}{part}": ((dim, "indicator"), np.stack(values, axis=1)) for part, values in parts}


def rescale(value: Floats, sd: Floats, scaling: Any) -> tuple[Floats, Floats, Any]:
    """Return scaled value, spread and missingness of a measured indicator.

    A missing reading is an unknown value with the mean and spread of the indicator over the data; the
    model estimates it like any other uncertain reading.
    """
    missing = np.isnan(value)
    value = np.where(missing, scaling["location"], value)
    sd = np.where(missing, scaling["sd"], sd)
    return (value - scaling["location"]) / scaling["scale"], sd / scaling["scale"], missing


def _labels(data: Data, spec: Spec) -> dict[str, list[Any]]:
    """Return the levels of every grouping; training and forecast share them through the design."""
    first, last = data.leaders["start"].min(), pd.Timestamp(data.known_to)
    bounds = period_of(pd.Series([first, last]), spec)
    latent = [name for name in spec.indicators if data.codebook.indicators[name].role == "judgement"]
    return {
        "period": list(range(bounds.iloc[0], bounds.iloc[1] + 1, spec.onset.period_years)),
        "group": sorted(data.countries["group"].unique()),
        "country": sorted(data.countries["country"].unique()),
        "spell": list(data.leaders["spell_id"]),
        "latent": latent,
        "effect": effect_labels(spec.onset.effects),
        "result_effect": effect_labels(spec.result.effects),
        "slope": effect_labels(effect for effect in spec.onset.effects if effect.varies_by_group),
        "result_level": list(RESULTS),
    }


def effect_labels(effects: Iterable[Effect]) -> list[str]:
    """Return one label per effect on one cause, such as ``war_balance on coup``.

    Examples
    --------
    >>> effect_labels([Effect(term="sanctions", on=("coup", "uprising"))])
    ['sanctions on coup', 'sanctions on uprising']
    """
    return [f"{effect.term} on {cause}" for effect in effects for cause in effect.on]


def _label_coords(lines: pd.DataFrame, dim: str, prefix: str) -> dict[str, Any]:
    names = [name for name in ("id", "spell", "country", "group", "period", "kind", "start", "end") if name in lines]
    return {f"{prefix}{name}": (dim, lines[name].to_numpy()) for name in names}


def places(design: xr.Dataset, label: str, level: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the position of each label among the levels of a grouping, all of which must exist."""
    found: np.ndarray[Any, np.dtype[np.int64]] = design.indexes[level].get_indexer(design[label].to_numpy())
    if (found < 0).any():
        unknown = sorted({str(name) for name in design[label].to_numpy()[found < 0]})
        raise SpecError(f"{label} has levels that {level} does not know: {', '.join(unknown)}")
    return found
