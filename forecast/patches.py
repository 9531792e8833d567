"""Named changes to data, spec and cases: one small vocabulary for every "what if it had been coded, assumed or left out".

A patch is a table of `models/patches.toml`, or made by a kind of sensitivity. It changes the view that the design is
built from, the spec, or takes cases out of the likelihood; nothing on disk changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field

from forecast.data import Data
from forecast.design import places
from forecast.errors import UsageError
from forecast.schema import CAUSES, KINDS
from forecast.spec import Effect, Normal, Part, Spec, read_parts

SPREADS = ("group_sd", "country_sd", "period_sd", "slope_sd")


class Cases(Part):
    """Cases to leave out of the likelihood; what happened in them still stands in the history of the others."""

    countries: tuple[str, ...] = ()
    challenges: tuple[str, ...] = Field((), description="their onsets, results and lengths; the time stays")
    wars: tuple[str, ...] = Field((), description="as `list_wars` names them: a country's time at war")
    decades: tuple[int, ...] = ()
    before: date | None = Field(None, description="rows and challenges that begin before a day")


class Scale(Part):
    """Factors on the standard deviations of the top-level priors."""

    baseline: float = Field(1.0, gt=0)
    effects: float = Field(1.0, gt=0)
    spreads: float = Field(1.0, gt=0)
    results: float = Field(1.0, gt=0)
    lengths: float = Field(1.0, gt=0)


class Patch(Part):
    """A named change."""

    title: str = ""
    kind: Literal["priors", "cases", "coding"] = "coding"
    leave_out: Cases | None = None
    events: dict[str, dict[str, Any]] = Field({}, description="columns of challenges by event_id")
    readings: dict[str, Literal["low", "high", "exact"]] = Field({}, description="by indicator, or * for all")
    coder: str | None = Field(None, description="only this coder's readings, wherever more than one coded")
    spec: dict[str, Any] = Field({}, description="values at dotted places, as in a variation")
    scale: Scale | None = None
    without_terms: tuple[str, ...] = Field((), description="indicators whose effects are left out")
    pooled: bool = Field(False, description="no effect varies by group")

    @property
    def changes_data(self) -> bool:
        """Whether the view is another one."""
        return bool(self.events or self.readings or self.coder)

    @property
    def changes_spec(self) -> bool:
        """Whether the spec is another one."""
        return bool(self.spec or self.scale or self.without_terms or self.pooled)


def read_patches(path: Path) -> dict[str, Patch]:
    """Return the named patches of a TOML file.

    Raises
    ------
    SpecError
        When the file is missing, is not TOML, or asks for something unknown.
    """
    return read_parts(path, dict[str, Patch], "patches")


def patched_data(patch: Patch, data: Data) -> Data:
    """Return a view with a patch's recodings."""
    if not patch.changes_data:
        return data
    return replace(data, events=_recoded(patch, data.events), indicators=_reread(patch, data.indicators))


def _recoded(patch: Patch, events: pd.DataFrame) -> pd.DataFrame:
    events = events.copy()
    for name, cells in patch.events.items():
        own = events["event_id"] == name
        if not own.any() or not set(cells) <= set(events.columns):
            raise UsageError(
                f"a patch changes {name}: {', '.join(cells)}, which is no challenge of this view or no column"
            )
        for column, value in cells.items():
            events.loc[own, column] = pd.Timestamp(value) if column in {"start", "end"} else value
    return events


def _reread(patch: Patch, readings: pd.DataFrame) -> pd.DataFrame:
    if patch.coder:
        twice = readings.groupby("indicator")["coder"].transform("nunique") > 1
        readings = readings[~twice | (readings["coder"] == patch.coder)].reset_index(drop=True)
    readings = readings.copy()
    for name, way in patch.readings.items():
        own = readings["indicator"].isin([name] if name != "*" else readings["indicator"].unique())
        if way == "exact":
            readings.loc[own, "low"] = readings.loc[own, "high"] = readings.loc[own, "value"]
        else:
            readings.loc[own, "value"] = readings.loc[own, way]
    return readings


def patched_spec(patch: Patch, spec: Spec) -> Spec:
    """Return a spec under a patch."""
    if patch.spec:
        spec = spec.changed(patch.spec)
    if patch.without_terms or patch.pooled:
        spec = _with_effects(spec, patch)
    spec = _scaled(spec, patch.scale) if patch.scale else spec
    return Spec.model_validate(spec.model_dump())  # a copy would carry the digest of what it was copied from


def _with_effects(spec: Spec, patch: Patch) -> Spec:
    def kept(effects: Sequence[Effect]) -> tuple[Effect, ...]:
        own = [effect for effect in effects if not set(effect.factors) & set(patch.without_terms)]
        return tuple(effect.model_copy(update={"varies_by_group": effect.varies_by_group and not patch.pooled}) for effect in own)  # fmt: skip

    return spec.model_copy(update={
        "onset": spec.onset.model_copy(update={"effects": kept(spec.onset.effects)}),
        "result": spec.result.model_copy(update={"effects": kept(spec.result.effects)}),
    })  # fmt: skip


def _scaled(spec: Spec, by: Scale) -> Spec:
    def wider(prior: Any, factor: float) -> Any:
        if isinstance(prior, Normal):
            return Normal(mean=prior.mean, sd=prior.sd * factor)
        return prior * factor

    def effects(own: Sequence[Effect], factor: float) -> tuple[Effect, ...]:
        return tuple(effect.model_copy(update={"sd": effect.sd * factor}) for effect in own)

    onset, result = spec.onset, spec.result
    cutpoints = {
        kind: cut.model_copy(update={"failed": wider(cut.failed, by.results), "gap": wider(cut.gap, by.results)})
        for kind, cut in result.cutpoints.items()
    }
    return spec.model_copy(update={
        "onset": onset.model_copy(update={
            "baseline": {cause: wider(prior, by.baseline) for cause, prior in onset.baseline.items()},
            "effects": effects(onset.effects, by.effects),
            **{name: wider(getattr(onset, name), by.spreads) for name in SPREADS},
        }),
        "result": result.model_copy(update={
            "cutpoints": cutpoints, "effects": effects(result.effects, by.effects), "group_sd": wider(result.group_sd, by.spreads),
            "log_days": {kind: wider(prior, by.lengths) for kind, prior in result.log_days.items()},
            "log_days_sd": wider(result.log_days_sd, by.lengths), "removal_log_days_sd": result.removal_log_days_sd * by.lengths,
        }),
    })  # fmt: skip


# --- cases of a design --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mask:
    """What belongs to some cases: whole rows, challenges, and single events of rows that stay (row x cause)."""

    rows: Any
    challenges: Any
    events: Any


def list_wars(design: xr.Dataset) -> dict[str, tuple[str, Any, Any]]:
    """Return each country's stretches at war, by a name such as ``RUS 1904-1905``: country, first and last day."""
    burden = _raw(design, "war_burden")
    table = pd.DataFrame({
        "country": design["row_country"].to_numpy(), "start": design["row_start"].to_numpy(), "end": design["row_end"].to_numpy(),
        "at_war": burden > 0,
    }).sort_values(["country", "start"])  # fmt: skip
    turn = (table["at_war"] != table["at_war"].shift()) | (table["country"] != table["country"].shift())
    found = {}
    for _, own in table[table["at_war"]].groupby(turn.cumsum()[table["at_war"]]):
        country, start, end = own["country"].iloc[0], own["start"].iloc[0], own["end"].iloc[-1]
        found[f"{country} {start.year}-{end.year}"] = (country, start, end)
    return found


def _raw(design: xr.Dataset, name: str) -> Any:
    """Return an indicator of each row in the codebook's units; nothing where it is not read or not in the model."""
    if name not in design.indexes["indicator"]:
        return np.zeros(design.sizes["row"])
    own = design.sel(indicator=name)
    value = own["centre"].to_numpy() * float(own["scale"]) + float(own["location"])
    return np.where(own["missing"].to_numpy() | (np.abs(value) < 1e-9), 0.0, value)


def find_cases(design: xr.Dataset, data: Data, cases: Cases) -> Mask:
    """Return what of a design belongs to cases.

    Raises
    ------
    UsageError
        When a case is not in the design.
    """
    starts = pd.to_datetime(pd.Series(design["row_start"].to_numpy()))
    begun = data.events.set_index("event_id")["start"].reindex(design["challenge_id"].to_numpy())
    row_country, country = design["row_country"].to_numpy(), design["challenge_country"].to_numpy()
    rows, challenges = np.isin(row_country, cases.countries), np.isin(country, cases.countries)
    decade = (starts.dt.year // 10 * 10).to_numpy()
    rows |= np.isin(decade, cases.decades)
    challenges |= np.isin(begun.dt.year // 10 * 10, cases.decades)
    if cases.before is not None:
        rows |= (starts < pd.Timestamp(cases.before)).to_numpy()
        challenges |= (begun < pd.Timestamp(cases.before)).to_numpy()
    wars = list_wars(design) if cases.wars else {}
    known = {*row_country, *design["challenge_id"].to_numpy(), *wars}
    if unknown := [name for name in (*cases.countries, *cases.challenges, *cases.wars) if name not in known]:
        raise UsageError(f"no such case in this view: {', '.join(unknown)}")
    for name in cases.wars:
        place, first, last = wars[name]
        rows |= (row_country == place) & ((starts >= first) & (starts < last)).to_numpy()
        challenges |= (country == place) & ((begun >= first) & (begun < last)).to_numpy()
    own = np.isin(design["challenge_id"].to_numpy(), cases.challenges)
    events = _onsets(design, begun, own & ~design["inherited"].to_numpy()) * ~rows[:, None]
    return Mask(rows, challenges | own, events)


def _onsets(design: xr.Dataset, begun: pd.Series, chosen: Any) -> Any:
    """Return the events of chosen challenges on the rows that they ended (row x cause)."""
    taken = np.zeros((design.sizes["row"], len(CAUSES)))
    start, end = design["row_start"].to_numpy(), design["row_end"].to_numpy()
    spell, own = design["row_spell"].to_numpy(), design["challenge_spell"].to_numpy()
    kind = places(design, "challenge_kind", "kind")
    for place in np.flatnonzero(chosen):
        day, cause = np.datetime64(begun.iloc[place]), CAUSES.index(KINDS[kind[place]])
        there = (spell == own[place]) & (design["events"].to_numpy()[:, cause] > taken[:, cause])
        fits = there & (start < day) & (day <= end)
        fits = fits if fits.any() else there & (start == day)  # on a spell's first day
        if fits.any():
            taken[np.flatnonzero(fits)[0], cause] += 1
    return taken


def leave_out(design: xr.Dataset, mask: Mask) -> xr.Dataset:
    """Return a design without some cases, under the same levels and scales."""
    lighter = design.assign(events=design["events"] - mask.events)
    return lighter.isel(row=np.flatnonzero(~mask.rows), challenge=np.flatnonzero(~mask.challenges))
