"""Why a forecast is what it is: shares of its spread, its drivers, and the base rates beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from forecast.data import Data
from forecast.design import measure, places, read_indicator
from forecast.inference import Fit
from forecast.prediction import Forecast, Question, future_moments, look_ahead, prepare, respond, thinned
from forecast.schema import OUTCOMES

SOURCES_OF_SPREAD = ("parameters", "coding", "paths")


def spread_shares(fit: Fit, data: Data, question: Question, seed: int = 0) -> pd.DataFrame:
    """Return the share of each probability's variance that parameters, coding and paths account for.

    Parts are switched on one after the other: parameters alone, then the coders' ranges, then the
    indicators' paths; each part's share is what it adds.

    Returns
    -------
    pandas.DataFrame
        Outcome x source; each line adds to one.
    """
    held, small, outlook = replace(question, paths="hold"), thinned(fit), look_ahead(fit, data, question)
    parts = prepare(small, outlook, replace(question, paths="walk"), seed)
    still = replace(parts, noise=None)
    runs = [
        respond(small, still, outlook, held, coding=False),
        respond(small, still, outlook, held),
        respond(small, parts if question.paths == "walk" else still, outlook, question),
    ]
    variance = np.stack([run.probability.isel(month=-1).var(("chain", "draw")).to_numpy() for run in runs])
    parts = np.maximum(np.diff(np.concatenate([np.zeros_like(variance[:1]), variance]), axis=0), 0.0)
    total = parts.sum(axis=0)
    shares = np.divide(parts, total, out=np.full_like(parts, 1 / len(parts)), where=total > 0)
    return pd.DataFrame(shares.T, index=pd.Index(OUTCOMES, name="outcome"), columns=list(SOURCES_OF_SPREAD))


def drivers(fit: Fit, data: Data, question: Question, seed: int = 0) -> pd.DataFrame:
    """Return what each indicator's present value does to the probabilities.

    For each indicator: probabilities at its latest reading less those with the indicator at its
    average over the leader-years of the data, everything else held.

    Returns
    -------
    pandas.DataFrame
        Indicator x (value, average, change in P(coup), change in P(revolution)).
    """
    held, small, outlook = replace(question, paths="hold"), thinned(fit), look_ahead(fit, data, question)
    parts = prepare(small, outlook, held, seed)
    actual = _means(respond(small, parts, outlook, held))
    now = future_moments(data, question).iloc[:1]
    lines = []
    for name in fit.spec.indicators:
        if data.codebook.indicators[name].role == "computed" or name in question.settings:
            continue
        average = float(fit.design["location"].sel(indicator=name))
        at_average = replace(held, settings={**question.settings, name: average})
        change = actual - _means(respond(small, parts, outlook, at_average))
        lines.append((name, measure(data, name, now)[0][0], average, change["coup"], change["revolution"]))
    table = pd.DataFrame(lines, columns=["indicator", "value", "average", "coup", "revolution"]).set_index("indicator")
    order = table[["coup", "revolution"]].abs().sum(axis=1).sort_values(ascending=False).index
    return table.loc[order]


def _means(forecast: Forecast) -> pd.Series:
    return forecast.probability.isel(month=-1).mean(("chain", "draw")).to_series()


def base_rates(data: Data, design: xr.Dataset, group: str) -> pd.DataFrame:
    """Return removals per leader-year in reference classes, with numerator and denominator.

    Classes: the whole frame, the country's group, and leader-years in which the state was at war.
    """
    exposure, rows_group = design["exposure"].to_numpy(), design["row_group"].to_numpy()
    burden = _burden(data, design)
    classes = {
        "all leader-years fitted": np.ones(len(exposure), dtype=bool),
        f"group {group}": rows_group == group,
        "state at war": burden > 0,
    }
    removed = _removals(data, design)
    lines = [
        (name, *(int(removed[kind][rows].sum()) for kind in ("coup", "revolution")), float(exposure[rows].sum()))
        for name, rows in classes.items()
    ]
    names = ["reference class", "coups", "revolutions", "leader-years"]
    return pd.DataFrame(lines, columns=names).set_index("reference class")


def _burden(data: Data, design: xr.Dataset) -> Any:
    if "war_burden" not in data.codebook.indicators:
        return np.zeros(design.sizes["row"])
    moments = pd.DataFrame({"country": design["row_country"].to_numpy(), "known": design["row_start"].to_numpy()})
    return read_indicator(data, "war_burden", moments)[0]


def _removals(data: Data, design: xr.Dataset) -> dict[str, Any]:
    """Return, for each row, whether a spell ended in it by coup or by revolution."""
    spells = data.leaders.set_index("spell_id")
    own = places(design, "row_spell", "spell")
    last = np.append(own[1:] != own[:-1], True)
    exits = spells.loc[design["row_spell"].to_numpy(), "exit"].to_numpy()
    return {kind: last & (exits == kind) for kind in ("coup", "revolution")}
