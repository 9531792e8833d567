"""From tables to arrays: leader-days cut where something changes, and challenges with what preceded them.

A row (a, b] of the onset stage is a stretch of one spell over which nothing in the model changes. What
happens on day b belongs to it, and what was read on day b does not: a reading never explains an event
of its own day. Everything is labelled, and joins that do not match exactly fail.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    rows = cut_rows(data, spec)
    challenges = list_challenges(data)
    indicators = [*spec.indicators, ONE]
    scaling = _scaling(data, indicators, rows)
    labels = _labels(data, spec)
    design = xr.Dataset(
        {
            **_covariates(data, indicators, rows, scaling, "row", ""),
            **_covariates(data, indicators, challenges, scaling, "challenge", "challenge_"),
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
        attrs={"data_digest": data.digest, "spec_digest": spec.digest, "known_to": str(data.known_to)},
    )
    return design.assign_coords(
        **_label_coords(rows, "row", "row_"), **_label_coords(challenges, "challenge", "challenge_")
    )


def cut_rows(data: Data, spec: Spec) -> pd.DataFrame:
    """Return one line per stretch of a spell over which nothing changes, with what ended it."""
    pieces = [_cut_spell(data, spec, spell) for spell in data.leaders.itertuples()]
    return pd.concat(pieces, ignore_index=True)


def _cut_spell(data: Data, spec: Spec, spell: Any) -> pd.DataFrame:
    start, stop = spell.start, _stop(data, spell)
    cuts = _cut_days(data, spec, spell)
    inside = np.unique(cuts[(cuts > start.to_numpy()) & (cuts < stop.to_numpy())])
    edges = np.concatenate([[start.to_numpy()], inside, [stop.to_numpy()]]).astype("datetime64[s]")
    rows = pd.DataFrame({"start": edges[:-1], "end": edges[1:]})
    rows["spell"], rows["country"] = spell.spell_id, spell.country
    rows["group"] = _group_on(data, spell.country, rows["start"])
    rows["period"] = period_of(rows["start"], spec)
    rows["entered"] = spell.start if pd.isna(spell.entered) else spell.entered
    rows["known"] = rows["start"]
    rows["middle"] = rows["start"] + (rows["end"] - rows["start"]) / 2
    for cause in CAUSES:
        rows[cause] = 0
    for event in _onsets(data, spell).itertuples():
        last = max(int(np.searchsorted(edges, event.start.to_numpy(), side="left")) - 1, 0)
        rows.loc[last, "coup" if event.kind == "coup_attempt" else "uprising"] = 1
    if spell.exit not in NO_OTHER_EXIT:
        rows.loc[len(rows) - 1, "other_exit"] = 1
    return rows


def _stop(data: Data, spell: Any) -> pd.Timestamp:
    """Return the end of observation: the exit, or the midnight that ends the last known day."""
    return pd.Timestamp(data.known_to) + pd.Timedelta(days=1) if pd.isna(spell.end) else spell.end


def _onsets(data: Data, spell: Any) -> pd.DataFrame:
    own = data.events[(data.events["country"] == spell.country) & ~data.events["inherited"]]
    return own[(own["start"] >= spell.start) & (own["start"] < _stop(data, spell))]


def _cut_days(data: Data, spec: Spec, spell: Any) -> Days:
    readings = data.indicators[data.indicators["country"] == spell.country]
    used = readings.loc[readings["indicator"].isin(spec.indicators), "observed_on"]
    events = data.events[data.events["country"] == spell.country]
    entered = spell.start if pd.isna(spell.entered) else spell.entered
    ends = events["end"].dropna()
    clocks = [origin + pd.Timedelta(days=YEAR * years) for origin in (entered, *ends) for years in CUT_YEARS]
    first = spell.start.year - spell.start.year % spec.onset.period_years
    periods = [pd.Timestamp(year, 1, 1) for year in range(first, data.known_to.year + 1, spec.onset.period_years)]
    days = pd.DatetimeIndex([*used, *events["start"], *ends, *(day.floor("D") for day in clocks), *periods])
    cuts: Days = days.to_numpy().astype("datetime64[s]")
    return cuts


def _group_on(data: Data, country: str, days: pd.Series) -> list[str]:
    own = data.countries[data.countries["country"] == country].sort_values("start")
    place = np.searchsorted(own["start"].to_numpy(), days.to_numpy(), side="right") - 1
    return list(own["group"].to_numpy()[place])


def period_of(days: pd.Series, spec: Spec) -> pd.Series:
    """Return the first year of the calendar period that each day lies in."""
    return days.dt.year - days.dt.year % spec.onset.period_years


def list_challenges(data: Data) -> pd.DataFrame:
    """Return one line per challenge with its result, length and the moment before it."""
    lines = []
    for spell in data.leaders.itertuples():
        own = data.events[(data.events["country"] == spell.country) & (data.events["start"] >= spell.start)]
        own = own[own["start"] < _stop(data, spell)]
        for event in own.itertuples():
            stop = _stop(data, spell) if pd.isna(event.end) else event.end
            lines.append({
                "id": event.event_id, "spell": spell.spell_id, "country": spell.country,
                "kind": "coup" if event.kind == "coup_attempt" else "uprising",
                "known": max(event.start - pd.Timedelta(days=1), spell.start), "middle": event.start,
                "entered": spell.start if pd.isna(spell.entered) else spell.entered,
                "result": RESULTS.index(event.result) if event.result in RESULTS else -1,
                "log_days": np.log((stop - event.start).days + 1), "ended": not pd.isna(event.end),
                "inherited": bool(event.inherited),
                "group": _group_on(data, spell.country, pd.Series([event.start]))[0],
            })  # fmt: skip
    names = [
        "id",
        "spell",
        "country",
        "kind",
        "known",
        "middle",
        "entered",
        "result",
        "log_days",
        "ended",
        "inherited",
        "group",
    ]
    return pd.DataFrame(lines, columns=names)


def read_indicator(data: Data, name: str, moments: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return value and standard deviation of an indicator at moments; NaN where it is not known.

    Two coders' readings are averaged, and their disagreement widens the spread. An indicator whose
    absence means that the thing does not exist is 0 with no spread before its first reading.

    Parameters
    ----------
    moments : pandas.DataFrame
        ``country`` and ``known``, the day whose readings are in force.
    """
    readings = data.indicators[data.indicators["indicator"] == name]
    value, sd = np.full(len(moments), np.nan), np.full(len(moments), np.nan)
    for country, places in moments.groupby("country").indices.items():
        own = readings[readings["country"] == country]
        days = moments["known"].to_numpy()[places]
        value[places], sd[places] = _in_force(own, days)
    if data.codebook.indicators[name].absent == "zero":
        sd[np.isnan(value)] = 0.0
        value[np.isnan(value)] = 0.0
    return value, sd


def _in_force(readings: pd.DataFrame, days: Days) -> tuple[Floats, Floats]:
    """Return mean and spread over coders of the last reading on or before each day."""
    shape = (max(readings["coder"].nunique(), 1), len(days))
    values, sds = np.full(shape, np.nan), np.full(shape, np.nan)
    for index, (_, own) in enumerate(readings.groupby("coder")):
        ordered = own.sort_values("observed_on", kind="stable")
        last = np.searchsorted(ordered["observed_on"].to_numpy(), days, side="right") - 1
        known = last >= 0
        values[index, known] = ordered["value"].to_numpy()[last[known]]
        sds[index, known] = ((ordered["high"] - ordered["low"]) / RANGE_SDS).to_numpy()[last[known]]
    coders = (~np.isnan(values)).sum(axis=0)
    count = np.where(coders == 0, np.nan, coders)
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
    for country, places in moments.groupby("country").indices.items():
        events = data.events[data.events["country"] == country]
        for place in places:
            recent[place] = _recency(events, moments["known"].iloc[place], moments["middle"].iloc[place])
    return recent


def _recency(events: pd.DataFrame, known: pd.Timestamp, middle: pd.Timestamp) -> float:
    begun = events[events["start"] <= known]
    if begun.empty:
        return 0.0
    if (begun["end"].isna() | (begun["end"] > known)).any():
        return 1.0
    years: float = (middle - begun["end"].max()) / pd.Timedelta(days=YEAR)
    return float(np.exp(-years / RECENCY_YEARS))


def measure(data: Data, name: str, moments: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return value and spread of any indicator, in the codebook's units, at moments."""
    if name == ONE:
        return np.ones(len(moments)), np.zeros(len(moments))
    if data.codebook.indicators[name].role == "computed":
        return compute_indicator(data, name, moments), np.zeros(len(moments))
    return read_indicator(data, name, moments)


def _scaling(data: Data, indicators: list[str], rows: pd.DataFrame) -> pd.DataFrame:
    """Return each indicator's mean over leader-years, half range, and spread where it is not read."""
    weights = ((rows["end"] - rows["start"]) / pd.Timedelta(days=1)).to_numpy()
    lines = []
    for name in indicators:
        value, _ = measure(data, name, rows)
        known = ~np.isnan(value)
        if not known.any():
            raise SpecError(f"indicator {name} has no reading in the data; remove it from the spec or code it")
        mean = np.average(value[known], weights=weights[known])
        sd = np.sqrt(np.average((value[known] - mean) ** 2, weights=weights[known]))
        entry = data.codebook.indicators.get(name)
        lines.append((mean, entry.scale if entry else 1.0, sd))
    scaling = pd.DataFrame(lines, index=indicators, columns=["location", "scale", "sd"])
    scaling.loc[ONE, "location"] = 0.0
    return scaling


def _covariates(
    data: Data, indicators: list[str], moments: pd.DataFrame, scaling: pd.DataFrame, dim: str, prefix: str
) -> dict[str, Any]:
    shape = (len(moments), len(indicators))
    centre, spread, missing = np.empty(shape), np.empty(shape), np.zeros(shape, dtype=bool)
    for column, name in enumerate(indicators):
        centre[:, column], spread[:, column], missing[:, column] = scaled(data, name, moments, scaling.loc[name])
    dims = (dim, "indicator")
    return {f"{prefix}centre": (dims, centre), f"{prefix}spread": (dims, spread), f"{prefix}missing": (dims, missing)}


def scaled(data: Data, name: str, moments: pd.DataFrame, scaling: Any) -> tuple[Floats, Floats, Any]:
    """Return scaled value, spread and missingness of an indicator.

    A missing reading is an unknown value with the mean and spread of the indicator over the data; the
    model estimates it like any other uncertain reading.
    """
    value, sd = measure(data, name, moments)
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
