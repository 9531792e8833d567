"""Why a forecast is what it is: shares of its spread, its drivers, and the base rates beside it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from forecast.data import Data
from forecast.design import places, read_indicator
from forecast.inference import Fit
from forecast.prediction import Question, latest_value, look_ahead, prepare, respond, respond_each, thinned
from forecast.schema import OUTCOMES

EXITS = {
    "coup": "removed by a coup", "revolution": "removed by a revolution", "foreign": "removed from abroad",
    "natural_death": "died", "frame_end": "the study's window ends",
    "regular": "by the rules", "irregular": "outside the rules",
}  # fmt: skip
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
    drawn = prepare(small, outlook, replace(question, paths="walk"), seed)
    still = replace(drawn, noise=None)
    runs = [
        respond(small, still, outlook, held, coding=False),
        respond(small, still, outlook, held),
        respond(small, drawn if question.paths == "walk" else still, outlook, question),
    ]
    variance = np.stack([run.probability.isel(month=-1).var(("chain", "draw")).to_numpy() for run in runs])
    added = np.maximum(np.diff(np.concatenate([np.zeros_like(variance[:1]), variance]), axis=0), 0.0)
    total = added.sum(axis=0)
    shares = np.divide(added, total, out=np.full_like(added, 1 / len(added)), where=total > 0)
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
    actual = respond(small, parts, outlook, held).probability.isel(month=-1).mean(("chain", "draw")).to_numpy()
    names = [name for name in fit.spec.indicators if can_be_set(data, question, name)]
    averages = [float(fit.design["location"].sel(indicator=name)) for name in names]
    at_average = respond_each(small, parts, outlook, held, list(zip(names, averages, strict=True))).mean(axis=1)
    values = [latest_value(data, question, name) for name in names]
    table = pd.DataFrame({"value": values, "average": averages}, index=pd.Index(names, name="indicator"))
    table[list(OUTCOMES[:2])] = (actual - at_average)[:, :2]
    order = table[list(OUTCOMES[:2])].abs().sum(axis=1).sort_values(ascending=False).index
    return table.loc[order]


def base_rates(data: Data, design: xr.Dataset, group: str) -> pd.DataFrame:
    """Return removals per leader-year in reference classes, with numerator and denominator.

    Classes: the whole frame, the country's group, and leader-years in which the state was at war.
    """
    exposure, rows_group = design["exposure"].to_numpy(), design["row_group"].to_numpy()
    burden = _burden(data, design)
    classes = {
        "all leaders": np.ones(len(exposure), dtype=bool),
        group.replace("_", " "): rows_group == group,
        "leaders at war": burden > 0,
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


def can_be_set(data: Data, question: Question, name: str) -> bool:
    """Return whether a scenario may still set an indicator."""
    return data.codebook.indicators[name].role != "computed" and name not in question.settings


@lru_cache(maxsize=256)
def usual_range(data: Data, name: str) -> tuple[float, float]:
    """Return the 5% and 95% quantiles of an indicator's readings; of war and sanctions, while there are any."""
    values = data.indicators.loc[data.indicators["indicator"] == name, "value"]
    if data.codebook.indicators[name].absent == "zero":
        values = values[values != 0]
    return (float(values.quantile(0.05)), float(values.quantile(0.95))) if len(values) else (0.0, 0.0)


def swings(fit: Fit, data: Data, question: Question) -> pd.DataFrame:
    """Return the probabilities of removal with each indicator at its low and at its high usual value.

    They are the answers of `prediction.predict` to a question with that one setting.

    Returns
    -------
    pandas.DataFrame
        Indicator x (low, high, P(coup) and P(revolution) at each).
    """
    small, outlook = thinned(fit), look_ahead(fit, data, question)
    names = [name for name in fit.spec.indicators if can_be_set(data, question, name)]
    ends = {name: usual_range(data, name) for name in names}
    cases = [(name, ends[name][end]) for end in (0, 1) for name in names]
    found = respond_each(small, prepare(small, outlook, question), outlook, question, cases)
    low, high = found.mean(axis=1).reshape(2, len(names), len(OUTCOMES))
    table = pd.DataFrame.from_dict(ends, orient="index", columns=["low", "high"], dtype=float).rename_axis("indicator")
    for place, outcome in enumerate(OUTCOMES[:2]):
        table[f"{outcome}_low"], table[f"{outcome}_high"] = low[:, place], high[:, place]
    return table


def nearest_analogues(fit: Fit, data: Data, question: Question, count: int = 6) -> pd.DataFrame:
    """Return the moments of other leaders' time in office that were most like the present one.

    The distance between two moments is the root mean square of the differences of their indicators on the
    model's scale, over those read in both. Of each spell only its nearest moment counts, the present spell
    is left out, and so is a moment whose next months (as many as the horizon) are not over.

    Returns
    -------
    pandas.DataFrame
        One line per moment: ``country``, ``spell``, ``start`` and ``end`` of the stretch, ``distance``, and
        ``near`` and ``far``: the indicators in which the two stand out from the average together most, and
        those in which they differ most.
    """
    design, outlook = fit.design, look_ahead(fit, data, question)
    names = [str(name) for name in design["indicator"].to_numpy()]
    used = [place for place, name in enumerate(names) if name in data.codebook.indicators]
    now = outlook.centre[0, used]
    rows, unknown = design["centre"].to_numpy()[:, used], design["missing"].to_numpy().astype(bool)[:, used]
    gap = np.where(unknown, np.nan, rows - now)
    distance = np.sqrt(np.nanmean(np.where(unknown.all(axis=1)[:, None], np.inf, gap**2), axis=1))
    over = pd.DatetimeIndex(design["row_start"].to_numpy()) + pd.DateOffset(months=question.horizon)
    other = (design["row_spell"].to_numpy() != question.spell) & (over <= pd.Timestamp(question.as_of))
    table = pd.DataFrame({
        "country": design["row_country"].to_numpy(), "spell": design["row_spell"].to_numpy(), "start": design["row_start"].to_numpy(),
        "end": design["row_end"].to_numpy(), "distance": distance, "row": np.arange(len(distance)),
    })  # fmt: skip
    best = table[other].sort_values(["distance", "start"]).drop_duplicates("spell").head(count).reset_index(drop=True)
    labels = np.array([names[place] for place in used], dtype=object)
    shared = [_standing_out(now, gap[row], labels) for row in best["row"]]
    return best.drop(columns="row").assign(near=[near for near, _ in shared], far=[far for _, far in shared])


def _standing_out(now: Any, gap: Any, labels: Any, count: int = 3) -> tuple[list[str], list[str]]:
    """Return what two moments have in common and the average has not, and where they differ most."""
    known = np.where(np.isnan(gap), 0.0, np.abs(gap))
    # Scaled indicators have average zero; what differs by half of what stands out is not in common.
    common = np.where(np.isnan(gap), -np.inf, np.abs(now) - 2 * known)
    near = [str(labels[place]) for place in np.argsort(-common, kind="stable")[:count] if common[place] > 0]
    far = [str(labels[place]) for place in np.argsort(-known, kind="stable")[:count] if known[place] > 0]
    return near, far


def what_followed(data: Data, spell: str, start: Any, months: int) -> str:
    """Return in words what became of a leader within so many months."""
    own = data.leaders.set_index("spell_id").loc[spell]
    until = pd.Timestamp(start) + pd.DateOffset(months=months)
    stop = until if pd.isna(own["end"]) else min(own["end"], until)
    events = data.events[data.events["country"] == own["country"]].sort_values("start")
    events = events[(events["start"] > start) & (events["start"] <= stop)]
    told = [
        f"{event.kind.replace('_', ' ')} from {event.start.date()}: {event.result}" for event in events.itertuples()
    ]
    if not pd.isna(own["end"]) and own["end"] <= until:
        told.append(f"left on {own['end'].date()}: {EXITS.get(own['exit'], own['exit'])}")
    else:
        told.append("still in office at the end")
    return "; ".join(told)
