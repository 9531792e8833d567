"""From tables to arrays: leader-days cut where something changes, and challenges with what preceded them.

A row (a, b] of the onset stage is a stretch of one spell over which nothing in the model changes. What
happens on day b belongs to it, and what was read on day b does not: a reading never explains an event
of its own day. Everything is labelled, and joins that do not match exactly fail.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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
GROUPINGS = ("period", "group", "country", "spell")  # levels that data may add to
NO_OTHER_EXIT = ("in_office", "frame_end", "coup", "revolution")

Days = np.ndarray[Any, np.dtype[np.datetime64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]


def build_design(data: Data, spec: Spec, like: xr.Dataset | None = None) -> xr.Dataset:
    """Return everything that the model is conditioned on.

    Parameters
    ----------
    data : Data
        A study as of a day.
    spec : Spec
        The model; decides which indicators enter and how time is cut.
    like : xarray.Dataset, optional
        A design of the same spec whose levels and scales are kept, so that its posterior fits this one too; levels
        that it does not have come after its own.

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
    data = data.in_frames(spec.frames)
    rows = cut_rows(data, spec)
    challenges = list_challenges(data, spec)
    indicators = [*spec.indicators, ONE]
    measured = {name: measure(data, name, rows) for name in indicators}
    scaling = _scaling(data, measured, rows) if like is None else like[["location", "scale", "sd"]].to_dataframe()
    before = {name: measure(data, name, challenges) for name in indicators}
    labels = _labels(data, spec) if like is None else _extended(_labels(data, spec), like)
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
        attrs={"spec_digest": spec.digest, "known_to": str(data.known_to)},
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
    own = _list_dates(data, spec)
    pieces = [_cut_spell(data, own[spell.country], spell) for spell in data.leaders.itertuples()]
    spells = data.leaders.iloc[np.repeat(np.arange(len(pieces)), [len(edges) - 1 for edges, _ in pieces])]
    rows = pd.DataFrame({
        "start": np.concatenate([edges[:-1] for edges, _ in pieces]), "end": np.concatenate([edges[1:] for edges, _ in pieces]),
        **dict(zip(CAUSES, np.concatenate([counts for _, counts in pieces], axis=1), strict=True)),
        "spell": spells["spell_id"].to_numpy(), "country": spells["country"].to_numpy(), "spell_start": spells["start"].to_numpy(),
        "entered": spells["entered"].fillna(spells["start"]).to_numpy(),
    })  # fmt: skip
    rows["group"] = groups_on(data, rows["country"], rows["start"])
    lag = pd.Timedelta(days=spec.onset.lag_days)
    rows["known"] = (rows["start"] - lag).clip(lower=rows["spell_start"])
    rows["now"] = rows["start"]
    rows["middle"] = rows["start"] + (rows["end"] - rows["start"]) / 2
    rows["period"] = period_of(rows["middle"], spec)
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
    tenure: bool
    recency: bool


def _list_dates(data: Data, spec: Spec) -> dict[str, _Country]:
    """Return the dates of every country; each table is gone through once."""
    lag = np.timedelta64(spec.onset.lag_days, "D")
    step, last = spec.onset.period_years, data.known_to.year
    used = data.indicators.loc[data.indicators["indicator"].isin(spec.indicators), ["country", "observed_on"]]
    readings = {
        country: _seconds(own) + lag for country, own in used.drop_duplicates().groupby("country")["observed_on"]
    }
    events = dict(list(data.events.groupby("country")))
    clocks = {"tenure": "tenure" in spec.indicators, "recency": "recent_challenge" in spec.indicators}
    dates = {}
    for country, first in data.countries.groupby("country")["start"].min().dt.year.items():
        own = events.get(country, data.events.iloc[:0])
        dates[str(country)] = _Country(
            readings=readings.get(country, np.zeros(0, dtype="datetime64[s]")),
            starts=_seconds(own["start"]),
            ends=_seconds(own["end"]),
            kinds=own["kind"].to_numpy(),
            onset=~own["inherited"].to_numpy(dtype=bool),
            periods=_turns(readings.get(country), range(first - first % step, last + 1, step)),
            **clocks,
        )
    return dates


def _turns(readings: Days | None, years: Iterable[int]) -> Days:
    """Return the first days of periods, but not where a reading cuts on the eve: one cut then serves for both."""
    days = np.array([f"{year}-01-01" for year in years], dtype="datetime64[s]")
    eve = days - np.timedelta64(1, "D")
    return days if readings is None else days[~np.isin(eve, readings)]


def groups_on(data: Data, countries: pd.Series, days: pd.Series) -> Any:
    """Return the pooling group of each country on each day."""
    groups = np.empty(len(days), dtype=object)
    moments, places_of = _seconds(days), countries.groupby(countries).indices
    for country, states in data.countries.sort_values("start").groupby("country"):
        own = places_of.get(country, np.zeros(0, dtype=int))
        place = np.searchsorted(_seconds(states["start"]), moments[own], side="right") - 1
        groups[own] = states["group"].to_numpy()[place]
    return groups


def _seconds(days: pd.Series) -> Days:
    moments: Days = days.to_numpy().astype("datetime64[s]")
    return moments


def _cut_spell(data: Data, country: _Country, spell: Any) -> tuple[Days, Any]:
    """Return the edges of a spell's rows (row + 1) and the number of events on each (cause x row)."""
    start, stop = np.datetime64(spell.start, "s"), np.datetime64(_stop(data, spell), "s")
    cuts = _cut_days(country, start if pd.isna(spell.entered) else np.datetime64(spell.entered, "s"))
    edges = np.concatenate([[start], np.unique(cuts[(cuts > start) & (cuts < stop)]), [stop]])
    counts = np.zeros((len(CAUSES), len(edges) - 1), dtype=int)
    own = country.onset & (country.starts >= start) & (country.starts < stop)
    row = np.maximum(np.searchsorted(edges, country.starts[own], side="left") - 1, 0)
    cause = np.where(country.kinds[own] == "coup_attempt", CAUSES.index("coup"), CAUSES.index("uprising"))
    np.add.at(counts, (cause, row), 1)
    counts[CAUSES.index("other_exit"), -1] += spell.exit not in NO_OTHER_EXIT
    return edges, counts


def _cut_days(country: _Country, entered: Any) -> Days:
    """Return every day on which something in a country may change."""
    ended = country.ends[~np.isnat(country.ends)]
    since = np.array([entered], dtype="datetime64[s]")
    clocks = np.concatenate([since[: int(country.tenure)], ended[: len(ended) * country.recency]])
    hands = clocks[:, None] + (np.array(CUT_YEARS) * YEAR).astype("timedelta64[D]")
    days: Days = np.concatenate([country.readings, country.starts, ended, hands.ravel(), country.periods])
    return days


def _stop(data: Data, spell: Any) -> pd.Timestamp:
    """Return the end of observation: the exit, or the midnight that ends the last known day."""
    return pd.Timestamp(data.known_to) + pd.Timedelta(days=1) if pd.isna(spell.end) else spell.end


def period_of(days: pd.Series, spec: Spec) -> pd.Series:
    """Return the first year of the calendar period that each day lies in."""
    return days.dt.year - days.dt.year % spec.onset.period_years


def list_challenges(data: Data, spec: Spec) -> pd.DataFrame:
    """Return one line per challenge with its result, length and the moment before it."""
    day = pd.Timedelta(days=1)
    spells = data.leaders[["spell_id", "country", "entered", "start", "end"]]
    spells = spells.rename(columns={"start": "spell_start", "end": "stop"})
    spells["stop"] = spells["stop"].fillna(pd.Timestamp(data.known_to) + day)
    lines = spells.merge(data.events, on="country")
    lines = lines[(lines["start"] >= lines["spell_start"]) & (lines["start"] < lines["stop"])].reset_index(drop=True)
    result = lines["result"].map({name: place for place, name in enumerate(RESULTS)}).fillna(-1).astype(int)
    challenges = pd.DataFrame({
        "id": lines["event_id"], "spell": lines["spell_id"], "country": lines["country"],
        "kind": np.where(lines["kind"] == "coup_attempt", "coup", "uprising"),
        "known": (lines["start"] - max(spec.onset.lag_days, 1) * day).clip(lower=lines["spell_start"]),
        "now": lines["start"] - day, "middle": lines["start"], "entered": lines["entered"].fillna(lines["spell_start"]),
        "result": result, "log_days": np.log((lines["end"].fillna(lines["stop"]) - lines["start"]).dt.days + 1.0),
        "ended": lines["end"].notna(), "inherited": lines["inherited"].astype(bool),
    })  # fmt: skip
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
    readings = data.readings_of(name)
    value, sd = _in_force(readings, moments["country"], moments["known"])
    if data.codebook.indicators[name].absent == "zero":
        sd[np.isnan(value)] = 0.0
        value[np.isnan(value)] = 0.0
    return value, sd


def _in_force(readings: pd.DataFrame, countries: pd.Series, days: pd.Series) -> tuple[Floats, Floats]:
    """Return mean and spread over coders of each country's last reading on or before each day."""
    code, names = pd.factorize(readings["country"])
    coder, coders = pd.factorize(readings["coder"])
    place, moment = names.get_indexer(countries), _seconds(days).astype(np.int64)
    seen_on, value = _seconds(readings["observed_on"]).astype(np.int64), readings["value"].to_numpy()
    sd = (readings["high"] - readings["low"]).to_numpy() / RANGE_SDS
    values, sds = np.full((len(coders), len(days)), np.nan), np.full((len(coders), len(days)), np.nan)
    for index in range(len(coders)):
        own = np.flatnonzero(coder == index)
        own = own[np.lexsort((seen_on[own], code[own]))]
        last = _last_before(code[own], seen_on[own], place, moment)
        known = last >= 0
        values[index, known], sds[index, known] = value[own][last[known]], sd[own][last[known]]
    seen = (~np.isnan(values)).sum(axis=0)
    count = np.where(seen == 0, np.nan, seen)
    mean = np.nansum(values, axis=0) / count
    between = np.nansum((values - mean) ** 2, axis=0) / count
    return mean, np.sqrt(np.nansum(sds**2, axis=0) / count + between)


def _last_before(code: Any, seen_on: Any, place: Any, moment: Any) -> Any:
    """Return the position of each place's last reading on or before a moment, or -1; readings sorted by place and day."""
    span = 1 << 40  # seconds: more than the calendar has, so that places do not overlap on one line
    last = np.searchsorted(code * span + seen_on, place * span + moment, side="right") - 1
    return np.where((last >= 0) & (place >= 0) & (code[last] == place), last, -1)


def compute_indicator(data: Data, name: str, moments: pd.DataFrame) -> Floats:
    """Return an indicator that follows from the tables: tenure or recent_challenge."""
    if name == "tenure":
        years = (moments["middle"] - moments["entered"]) / pd.Timedelta(days=YEAR)
        tenure: Floats = np.log1p(years.to_numpy(dtype=float))
        return tenure
    recent = np.zeros(len(moments))
    now, middle = _seconds(moments["now"]), _seconds(moments["middle"])
    places_of = moments.groupby("country").indices
    for country, events in data.events.groupby("country"):
        own = places_of.get(country, np.zeros(0, dtype=int))
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


def _extended(labels: dict[str, list[Any]], like: xr.Dataset) -> dict[str, list[Any]]:
    """Return the levels of a design, followed by those that it does not have."""
    grown = {name: list(like.indexes[name]) for name in GROUPINGS}
    return {**labels, **{name: [*own, *(x for x in labels[name] if x not in set(own))] for name, own in grown.items()}}


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
