"""A declared family of specs: all fitted, weighed by how well they foresaw what came after an origin, and asked the claims.

The weights are stacking weights (Yao et al. 2018) of the log predictive density of each country-year after the origin
under the fit to what was known at it: leave-future-out, given the readings of those years. The best mixture and no single spec is what
the weights describe; a spec with a small weight may be as good as its neighbour that has a large one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import logsumexp

from forecast.data import Data
from forecast.design import YEAR, build_design
from forecast.engine import Failure, Where, run_jobs
from forecast.hazards import build_stages, stack_draws
from forecast.inference import Fit
from forecast.likelihood import challenge_log_likelihood, read_challenges, read_rows, row_log_likelihood
from forecast.patches import Patch, patched_data
from forecast.sensitivity import Lab, refit, refit_job, sample_patched
from forecast.spec import Gate, Part, Sampling, Spec, read_parts
from forecast.update import grow

UNIVERSE = Sampling(draws=300, tune=200, chains=2, target_accept=0.8)  # of each fit of the family, two for each spec
UNIVERSE_GATE = Gate(rhat=1.1, ess=30, divergences=6)  # that each must pass: enough for a mean among a hundred others
ROUNDS = 5000  # of the weights' climb


class Family(Part):
    """A family of specs: one option of each dimension, in every combination; and the origin of the weights."""

    origin: date
    dimensions: dict[str, dict[str, Patch]]

    @property
    def patches(self) -> dict[tuple[str, ...], Patch]:
        """The patch of each spec by its options."""
        options = [list(own.items()) for own in self.dimensions.values()]
        return {tuple(name for name, _ in chosen): join([patch for _, patch in chosen]) for chosen in itertools.product(*options)}  # fmt: skip


@dataclass(frozen=True)
class Multiverse:
    """What a family of specs says.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per spec and outcome: a column for each dimension, ``weight``, ``elpd`` (sum of log predictive densities after
        the origin), ``outcome``, ``probability``, intervals and ``se``.
    claims : pandas.DataFrame
        One row per claim: support and verdicts over the family, by stacking weight and by equal weight.
    lpd : pandas.DataFrame
        Log predictive density, spec x country-year.
    failures : sequence of Failure
        Specs without a result; they have no weight.
    """

    table: pd.DataFrame
    claims: pd.DataFrame
    lpd: pd.DataFrame
    failures: Sequence[Failure]


def read_family(path: Path) -> Family:
    """Return the family that a TOML file declares.

    Raises
    ------
    SpecError
        When the file is missing, is not TOML, or is no family.
    """
    return read_parts(path, Family, "a family of specs")


def join(patches: Sequence[Patch]) -> Patch:
    """Return one patch that does what several do; of a value that two set, the last one counts.

    Examples
    --------
    >>> join([Patch(pooled=True), Patch(coder="A")]).model_dump(exclude_defaults=True)
    {'coder': 'A', 'pooled': True}
    """
    merged: dict[str, Any] = {}
    for patch in patches:
        for name, value in patch.model_dump(exclude_defaults=True, exclude={"title", "kind"}).items():
            match value:
                case dict():
                    merged[name] = {**merged.get(name, {}), **value}
                case tuple():
                    merged[name] = (*merged.get(name, ()), *value)
                case _:
                    merged[name] = value
    return Patch.model_validate(merged)


def run_multiverse(
    lab: Lab, family: Family, folder: Path, where: Where | None = None, *, sampling: Sampling = UNIVERSE, gate: Gate = UNIVERSE_GATE, progress: bool = False
) -> Multiverse:  # fmt: skip
    """Return what every spec of a family says, weighed by what it foresaw.

    Parameters
    ----------
    lab : Lab
        The family's base.
    family : Family
    folder : Path
        Keeps each fit's result.
    where : Where
    sampling : Sampling
        Of each of the two fits of a spec.
    gate : Gate
        That each must pass.
    progress : bool
    """
    patches, lab = family.patches, replace(lab, sampling=sampling, gate=gate)
    names = {options: ", ".join(option.replace("_", " ") for option in options) for options in patches}
    whole = {options: refit_job(lab, names[options], patch) for options, patch in patches.items()}
    past = {
        options: refit_job(lab, f"{names[options]}, to {family.origin}", patch, as_of=str(family.origin))
        for options, patch in patches.items()
    }
    jobs = [job for options in patches for job in (whole[options], past[options])]
    shared = (lab.data, lab.fit.spec, lab.warm)
    results, failures = run_jobs(fit_universe, jobs, folder, shared, where, progress=progress)
    done = [options for options in patches if whole[options].key in results and past[options].key in results]
    lpd = pd.DataFrame(
        [results[past[options].key]["lpd"] for options in done], index=[names[options] for options in done]
    ).dropna(axis=1)  # specs of other frames share only some country-years
    weights = stack_weights(lpd.to_numpy()) if done else np.zeros(0)
    lines, told = [], []
    for options, weight, elpd in zip(done, weights, lpd.sum(axis=1), strict=True):
        known = {**dict(zip(family.dimensions, options, strict=True)), "weight": weight, "elpd": elpd}
        result = results[whole[options].key]
        lines += [{**known, **row} for row in result["rows"]]
        told += [{**known, **row} for row in result["claims"]]
    return Multiverse(pd.DataFrame(lines), answer_claims(pd.DataFrame(told)), lpd, failures)


def fit_universe(shared: tuple[Data, Spec, xr.Dataset], job: Any) -> dict[str, Any]:
    """Return the answers of a spec fitted to all data, or what its fit to the past foresaw."""
    if "as_of" not in job.facts:
        return refit(shared, job)
    result, _ = sample_patched(shared, job)
    patch = Patch.model_validate(job.facts["patch"])
    return {"lpd": score_ahead(result, patched_data(patch, shared[0]), job.seed), "fit": vars(result.diagnostics)}


def score_ahead(past: Fit, data: Data, seed: int) -> dict[str, float]:
    """Return the log predictive density of each country-year after a fit's last day, given the readings of that time.

    Parameters
    ----------
    past : Fit
    data : Data
        A later view.
    seed : int
        Of new levels, which are drawn from their population.
    """
    origin = pd.Timestamp(past.provenance["known_to"]) + pd.Timedelta(days=1)
    design = build_design(data, past.spec, like=past.design)
    posterior, _ = grow(past, design, np.random.default_rng(seed))
    parameters, stages = stack_draws(posterior), build_stages(design, past.spec)
    pieces, unit = cut_years(design, origin)
    begun = data.events.set_index("event_id")["start"].reindex(design["challenge_id"].to_numpy())
    later = np.flatnonzero((begun >= origin).to_numpy())
    units = [f"{country} {day.year}" for country, day in zip(design["challenge_country"].to_numpy()[later], begun.iloc[later], strict=True)]  # fmt: skip
    values = np.concatenate([
        row_log_likelihood(parameters, read_rows(pieces), stages),
        challenge_log_likelihood(parameters, read_challenges(design.isel(challenge=later)), stages),
    ], axis=1)  # fmt: skip
    names, place = np.unique([*unit, *units], return_inverse=True)
    total = values @ np.eye(len(names))[place]
    return dict(zip(map(str, names), (logsumexp(total, axis=0) - np.log(len(total))).tolist(), strict=True))


def cut_years(design: xr.Dataset, origin: pd.Timestamp) -> tuple[xr.Dataset, list[str]]:
    """Return a design's rows after a day cut at New Year, and the country-year of each; what ends a row is in its last piece."""
    start = np.maximum(design["row_start"].to_numpy(), np.datetime64(origin)).astype("datetime64[s]")
    end = design["row_end"].to_numpy().astype("datetime64[s]")
    index, exposure, last, unit = [], [], [], []
    for row in np.flatnonzero(end > start):
        years = range(pd.Timestamp(start[row]).year, (pd.Timestamp(end[row]) - pd.Timedelta(days=1)).year + 1)
        for year in years:
            first, stop = (np.datetime64(f"{when}-01-01", "s") for when in (year, year + 1))
            days = (min(stop, end[row]) - max(first, start[row])) / np.timedelta64(1, "D")
            index.append(row)
            exposure.append(days / YEAR)
            last.append(float(year == years[-1]))
            unit.append(f"{design['row_country'].to_numpy()[row]} {year}")
    pieces = design.isel(row=index)
    events = pieces["events"] * xr.DataArray(last, dims="row")
    return pieces.assign(exposure=("row", np.array(exposure)), events=events), unit


def stack_weights(lpd: Any) -> Any:
    """Return the weights (spec) whose mixture has the greatest sum of log predictive densities.

    Parameters
    ----------
    lpd : array (spec x unit)

    Examples
    --------
    >>> stack_weights(np.log([[0.9, 0.1], [0.1, 0.9], [0.2, 0.2]])).round(3).tolist()
    [0.5, 0.5, 0.0]
    """
    density = np.exp(lpd - lpd.max(axis=0))
    weights = np.full(len(density), 1 / len(density))
    for _ in range(ROUNDS):
        weights = weights * (density / (weights @ density)).mean(axis=1)
    return weights / weights.sum()


def answer_claims(told: pd.DataFrame) -> pd.DataFrame:
    """Return how far each claim holds over a family, by stacking weight and by equal weight.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``specs`` (that can answer), ``answered`` (their weight), and for both weightings ``support`` (mean), ``holds`` (share
        in which the claim is supported or leaned towards) and ``fails`` (leaned against or contradicted); shares of what can answer.
    """
    lines = []
    for name, own in told.groupby("id", sort=False) if len(told) else ():
        known = own[own["support"].notna()]
        line: dict[str, Any] = {
            "id": name,
            "specs": len(known),
            "answered": known["weight"].sum() if len(known) else 0.0,
        }
        for label, weight in (("stacked", known["weight"]), ("equal", pd.Series(1.0, known.index))):
            total = max(float(weight.sum()), 1e-300)
            line[f"support_{label}"] = float((weight * known["support"].astype(float)).sum() / total)
            for word, verdicts in (
                ("holds", ("supported", "leans towards")),
                ("fails", ("leans against", "contradicted")),
            ):
                line[f"{word}_{label}"] = float(weight[known["verdict"].isin(verdicts)].sum() / total)
        lines.append(line)
    return pd.DataFrame(lines)
