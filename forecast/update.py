"""New rows without sampling: a fit's draws are weighted by what the changed rows say, where that can be trusted.

Only rows that differ enter the weights; all others cancel. The weights always refer to the draws of a sampled
fit, never to draws that were themselves reweighted, so a chain of updates does not wear the draws out.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import forecast
from forecast.data import Data
from forecast.design import GROUPINGS, build_design
from forecast.errors import GateError
from forecast.files import digest, write_atomically
from forecast.hazards import build_stages, in_blocks, stack_draws
from forecast.inference import Diagnostics, Fit, describe_run, fit, fit_path, load_fit, peek, save_fit
from forecast.likelihood import log_likelihood
from forecast.psis import effective_draws, resample, smooth_weights
from forecast.schema import CAUSES
from forecast.spec import DECADE, Spec

K_LIMIT = 0.7  # of the Pareto shape: above it the weights have no reliable mean (Vehtari et al. 2024)
CONTENTS = {  # all that a row's or a challenge's likelihood looks at
    "row": ("row_spell", "row_country", "row_group", "row_period", "exposure", "events", "centre", "spread"),
    "challenge": (
        "challenge_kind", "challenge_spell", "challenge_group", "challenge_centre", "challenge_spread", "result", "log_days", "ended", "inherited",
    ),
}  # fmt: skip
LEVELS = {  # each parameter's grouping, and the spread of its population
    "coding_error": ("spell", None), "country_effect": ("country", "country_effect_sd"), "group_effect": ("group", "group_effect_sd"),
    "group_slope": ("group", "group_slope_sd"), "result_group_effect": ("group", "result_group_effect_sd"),
}  # fmt: skip


@dataclass(frozen=True)
class Reweighting:
    """The draws of a fit with weights that make them draws from the posterior of other data.

    Attributes
    ----------
    fit : Fit
        The fit under the levels and the design of the new data; its draws still count the same.
    log_weights : array (draw)
        Over all draws of all chains; they add to one.
    k : float
        Pareto shape of the weights' tail.
    share : float
        Effective draws over draws.
    changed : dict of str to int
        How many rows and challenges went and came.
    """

    fit: Fit
    log_weights: Any
    k: float
    share: float
    changed: dict[str, int]

    @property
    def diagnostics(self) -> Diagnostics:
        """The fit's diagnostics, with effective sample sizes that the weights have lowered."""
        own = self.fit.diagnostics
        low, high = ((value * self.share, where) for value, where in (own.ess_bulk, own.ess_tail))
        return replace(own, ess_bulk=low, ess_tail=high)

    @property
    def objections(self) -> list[str]:
        """What keeps the weights from being trusted; empty when they may be."""
        tail = [f"Pareto k {self.k:.2f} (at most {K_LIMIT})"] if not self.k <= K_LIMIT else []
        return tail + self.diagnostics.failures(self.fit.spec.gate)


def update(parent: Fit, data: Data, *, refit: bool = False, progress: bool = False) -> Fit:
    """Return the fit of new data: reweighted draws of a sampled fit, or a new sample started from it.

    Parameters
    ----------
    parent : Fit
        A sampled fit of the same spec.
    data : Data
        The view to bring in.
    refit : bool
        Sample in any case.
    progress : bool
        Show a progress bar on stderr when sampling.

    Returns
    -------
    Fit
        ``provenance["update"]`` says which was done and why, and names the parent.
    """
    reason = "asked for"
    if not refit:
        try:
            reweighting = reweigh(parent, data)
        except GateError as error:
            reason = str(error)
        else:
            if not reweighting.objections:
                return settle(reweighting, parent, data)
            reason = "; ".join(reweighting.objections)
    result = fit(data, parent.spec, warm=parent.posterior, progress=progress)
    return replace(result, provenance={**result.provenance, "update": {**lineage(parent), "method": "refitted", "reason": reason}})  # fmt: skip


def lineage(parent: Fit) -> dict[str, Any]:
    """Return which fit an update started from."""
    facts = parent.provenance
    return {
        "parent": facts.get("fit_digest", ""),
        "parent_data": facts["data_digest"],
        "parent_known_to": facts["known_to"],
    }


def reweigh(parent: Fit, data: Data) -> Reweighting:
    """Return the draws of a fit, weighted for other data.

    Raises
    ------
    GateError
        When no weights can do it: the calendar of the new data begins earlier.
    """
    spec = parent.spec
    design = build_design(data, spec, like=parent.design)
    if list(design.indexes["period"]) != sorted(design.indexes["period"]):
        raise GateError("the new data begin in an earlier period than the fit")
    rng = np.random.default_rng(spec.sampling.seed)
    posterior, log_ratio = grow(parent, design, rng)
    grown = replace(parent, posterior=posterior, design=design)
    gone, came = compare(parent.design, design)
    parameters, stages = stack_draws(posterior), build_stages(design, spec)
    log_ratio = log_ratio + log_likelihood(parameters, came, stages) - log_likelihood(parameters, gone, stages)
    log_weights, k = smooth_weights(log_ratio)
    counts = {f"{dim}s_{way}": part.sizes[dim] for dim in CONTENTS for way, part in (("gone", gone), ("new", came))}
    return Reweighting(grown, log_weights, k, effective_draws(log_weights) / len(log_weights), counts)


def grow(parent: Fit, design: xr.Dataset, rng: np.random.Generator) -> tuple[xr.Dataset, Any]:
    """Return draws under the levels of a larger design, and the log ratio of their prior densities (draw).

    New levels are drawn from their prior given the draw, so they need no weight. New periods move the last one,
    whose rate is the baseline; the rates of the old ones stay, and only the baseline's prior speaks to that.
    """
    posterior = parent.posterior
    grown = {str(name): _extend(posterior, str(name), design, rng) for name in posterior}
    log_ratio = np.zeros(posterior.sizes["chain"] * posterior.sizes["draw"])
    if design.sizes["period"] > posterior.sizes["period"]:
        grown |= _walk_on(posterior, design, parent.spec.onset.period_years, rng)
        after, before = (_baseline_prior(draws["baseline"], parent.spec) for draws in (grown, posterior))
        log_ratio = after - before
    dims = {str(dim) for values in grown.values() for dim in values.dims}
    coords = {dim: design.indexes[dim].to_numpy() for dim in dims & set(design.indexes)}
    return xr.Dataset(grown).assign_coords(coords), log_ratio


def _extend(posterior: xr.Dataset, name: str, design: xr.Dataset, rng: np.random.Generator) -> xr.DataArray:
    """Return a parameter without its labels, with the levels of a design that it lacks drawn from the population."""
    values = posterior[name].drop_vars(list(posterior[name].coords))
    level, scale = LEVELS.get(name, (None, None))
    count = design.sizes[level] - values.sizes[level] if level else 0
    if not count:
        return values
    shape = [count if dim == level else values.sizes[dim] for dim in values.dims]
    fresh = xr.DataArray(rng.normal(size=shape).astype(values.dtype), dims=values.dims)
    if scale:
        fresh = (fresh * posterior[scale].drop_vars(list(posterior[scale].coords))).transpose(*values.dims)
    return xr.concat([values, fresh], str(level))


def _walk_on(
    posterior: xr.Dataset, design: xr.Dataset, years: int, rng: np.random.Generator
) -> dict[str, xr.DataArray]:
    """Return baseline and period effects after the random walk went on; they are relative to the new last period."""
    effect, step = (posterior[name].drop_vars(list(posterior[name].coords)) for name in ("period_effect", "period_effect_sd"))  # fmt: skip
    effect, count = effect.transpose("chain", "draw", "period", "cause"), design.sizes["period"] - effect.sizes["period"]  # fmt: skip
    noise = xr.DataArray(rng.normal(size=(*effect.shape[:2], count, effect.shape[3])), dims=effect.dims)
    trend = posterior["period_drift"].drop_vars("cause") * years / DECADE if "period_drift" in posterior else 0.0
    walk = (step * noise + trend).transpose(*effect.dims).cumsum("period")
    last = walk.isel(period=-1)
    whole = xr.concat([effect, walk], "period") - last
    return {"baseline": posterior["baseline"].drop_vars("cause") + last, "period_effect": whole}


def _baseline_prior(baseline: xr.DataArray, spec: Spec) -> Any:
    priors = [spec.onset.baseline[cause] for cause in CAUSES]
    z = (baseline.to_numpy() - [prior.mean for prior in priors]) / [prior.sd for prior in priors]
    return -(z**2).sum(axis=-1).ravel() / 2


def compare(old: xr.Dataset, new: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Return what only the old of two designs has, and what only the new one has, both under the new one's levels."""
    levels = {name: new.indexes[name] for name in GROUPINGS}
    only = {dim: _difference(_contents(old, names), _contents(new, names)) for dim, names in CONTENTS.items()}
    gone, came = ({dim: places[side] for dim, places in only.items()} for side in (0, 1))
    return old.isel(gone).drop_vars(GROUPINGS).assign_coords(levels), new.isel(came)


def _contents(design: xr.Dataset, names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    columns = [design[name].to_numpy() for name in names]
    rows = [column if column.ndim == 1 else [line.tobytes() for line in np.ascontiguousarray(column)] for column in columns]  # fmt: skip
    return list(zip(*rows, strict=True))


def _difference(old: list[Any], new: list[Any]) -> tuple[list[int], list[int]]:
    """Return the positions of entries that the other list does not have, or has less often."""
    return _surplus(old, Counter(new)), _surplus(new, Counter(old))


def _surplus(own: list[Any], others: Counter[Any]) -> list[int]:
    places = []
    for place, content in enumerate(own):
        if others[content] > 0:
            others[content] -= 1
        else:
            places.append(place)
    return places


def settle(reweighting: Reweighting, parent: Fit, data: Data) -> Fit:
    """Return equally weighted draws in place of weighted ones, with where they come from."""
    weighted, seed = reweighting.fit, parent.spec.sampling.seed
    chosen = resample(reweighting.log_weights, seed)
    posterior = weighted.posterior
    drawn = {name: (values.dims, _gather(values.to_numpy(), chosen)) for name, values in posterior.items()}
    facts = {
        **lineage(parent), "method": "reweighted", "k": round(reweighting.k, 4),
        "share": round(reweighting.share, 4), **reweighting.changed,
    }  # fmt: skip
    described = describe_run(data, parent.spec)
    return replace(
        weighted,
        posterior=xr.Dataset(drawn, coords=posterior.coords),
        diagnostics=reweighting.diagnostics,
        provenance={
            **described,
            "sampled_with": parent.provenance.get("sampled_with"),
            "fit_digest": digest([facts, described["data_digest"], described["spec_digest"]]),
            "update": facts,
        },
    )


def _gather(values: Any, chosen: Any) -> Any:
    """Return some draws of a parameter (chain x draw x ...), by their positions over all chains."""
    flat, drawn = values.reshape(-1, *values.shape[2:]), np.empty_like(values)
    out = drawn.reshape(flat.shape)
    in_blocks(lambda block: np.take(flat, chosen[block], axis=0, out=out[block], mode="clip"), len(chosen))
    return drawn


def update_latest(build: Path, data: Data, spec: Spec, *, refit: bool = False, progress: bool = False) -> Fit:
    """Return the kept fit of a view, or bring the view into the latest fit before it, and keep the result.

    Without an earlier fit of this spec, sample. Of a reweighted fit only a note is kept, from which `kept_update` makes the
    same draws again: that takes a second, and a copy of the draws would take a hundred megabytes.

    Parameters
    ----------
    build : Path
        Folder of kept fits.
    data : Data
    spec : Spec
    refit, progress : bool
        As for `update`.
    """
    path = fit_path(build, data, spec)
    if path.exists() and not refit:
        return load_fit(path)
    source = latest_fit(build, spec, data.known_to)
    if source is None:
        result = fit(data, spec, progress=progress)
    else:
        result = update(load_fit(source), data, refit=refit, progress=progress)
    if source is not None and result.provenance.get("update", {}).get("method") == "reweighted":
        write_atomically(
            _note_of(path), json.dumps({"parent": source.name, "fit_digest": result.provenance["fit_digest"]})
        )
    else:
        save_fit(result, path)
    return result


def kept_update(build: Path, data: Data, spec: Spec) -> Fit | None:
    """Return the reweighted fit of a view again if an update made one and its parent is still kept, bit for bit."""
    path = fit_path(build, data, spec)
    if path.exists() or not _note_of(path).is_file():
        return None
    note = json.loads(_note_of(path).read_text(encoding="utf-8"))
    source = path.with_name(note["parent"])
    if not source.is_file():
        return None
    parent = load_fit(source)
    result = settle(reweigh(parent, data), parent, data)
    return result if result.provenance["fit_digest"] == note["fit_digest"] else None


def _note_of(path: Path) -> Path:
    return path.with_suffix(".update.json")


def kept_sample(build: Path, data: Data, spec: Spec) -> Fit | None:
    """Return the sampled fit of a view if it is kept, or the latest one before it."""
    own = fit_path(build, data, spec)
    whole = own.exists() and _may_start_from(peek(own), spec)
    path = own if whole else latest_fit(build, spec, data.known_to)
    return load_fit(path) if path else None


def sampled_fit(build: Path, data: Data, spec: Spec, *, progress: bool = False) -> Fit:
    """Return the sampled fit of a view if it is kept, or the latest one before it, or sample and keep it."""
    if (kept := kept_sample(build, data, spec)) is not None:
        return kept
    result = fit(data, spec, progress=progress)
    save_fit(result, fit_path(build, data, spec))
    return result


NAMED = re.compile(r"-(\d{4}-\d{2}-\d{2})-([0-9a-f]{16})\.nc$")


def latest_fit(build: Path, spec: Spec, until: date) -> Path | None:
    """Return the newest kept fit of a spec that was sampled from data known on or before a day."""
    found = [
        (named[1], path.stat().st_mtime, path)
        for path in (build / "fits").glob(f"{spec.name}-*.nc")
        if (named := NAMED.search(path.name)) and date.fromisoformat(named[1]) <= until
    ]
    return next((path for _, _, path in sorted(found, reverse=True) if _may_start_from(peek(path), spec)), None)


def _may_start_from(facts: dict[str, Any], spec: Spec) -> bool:
    same = facts["spec_digest"] == spec.digest and facts["versions"]["regime-forecast"] == forecast.__version__
    return bool(same and facts.get("update", {}).get("method") != "reweighted")


def describe_update(facts: dict[str, Any]) -> str:
    """Return in words what an update did.

    Examples
    --------
    >>> describe_update({"method": "refitted", "reason": "asked for", "parent_known_to": "2024-12-31"})
    'refitted, started from the fit of 2024-12-31: asked for'
    """
    known = facts["parent_known_to"]
    if facts["method"] == "refitted":
        return f"refitted, started from the fit of {known}: {facts['reason']}"
    rows, challenges = (facts[f"{what}s_gone"] + facts[f"{what}s_new"] for what in ("row", "challenge"))
    return (
        f"reweighted the fit of {known} by {rows} changed rows and {challenges} changed challenges: Pareto k "
        f"{facts['k']:.2f}, {facts['share']:.0%} of the draws effective"
    )
