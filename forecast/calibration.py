"""Simulation-based calibration: whether the sampler finds what the prior planted.

Parameters are drawn from the prior, events and results from the model given the real leader-days of a part of the spells,
and the model is fitted to them. Over many replications the rank of each planted value among its posterior draws is uniform
(Talts et al. 2018; the envelope after Säilynoja et al. 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import expit
from scipy.stats import binom, truncnorm

import forecast
from forecast.data import Data
from forecast.density import Density, build_density
from forecast.design import places
from forecast.engine import Failure, Job, Where, run_jobs
from forecast.hazards import build_stages, result_score, stack_draws, true_values
from forecast.inference import Fit, describe_run, sample
from forecast.likelihood import read_rows, row_log_rate
from forecast.prediction import answer, ask, look_ahead
from forecast.schema import OUTCOMES, RESULTS
from forecast.sensitivity import GROUPS, UNCHECKED, Lab, flatten
from forecast.spec import Sampling, Spec

FORMAT = 1
REPLICATIONS = 200
EVERY = 12  # of the spells one is kept, and the present leader's
RANKS = 99  # posterior draws among which the planted value is ranked
SETTINGS = Sampling(draws=300, tune=300, chains=2, target_accept=0.9)
LEVELS = (0.5, 0.8, 0.9)


@dataclass(frozen=True)
class Calibration:
    """What the replications show.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per quantity: ``group``, ``quantity``, ``tail`` (the least pointwise tail probability of its ranks' distribution),
        ``limit`` (under which a quantity is outside the simultaneous 95% envelope) and ``outside``.
    coverage : pandas.DataFrame
        ``group``, ``nominal``, ``observed``, ``count``, and ``low`` and ``high``: what chance allows in 95% of cases.
    curves : pandas.DataFrame
        For `charts.plot_ranks`.
    level : float
        Of the envelope.
    failures : sequence of Failure
    """

    table: pd.DataFrame
    coverage: pd.DataFrame
    curves: pd.DataFrame
    level: float
    failures: Sequence[Failure]


def run_calibration(
    lab: Lab, folder: Path, where: Where | None = None, *, replications: int = REPLICATIONS, every: int = EVERY, progress: bool = False
) -> Calibration:  # fmt: skip
    """Return the ranks of planted values over replications.

    Parameters
    ----------
    lab : Lab
        Gives the design, the spec and the question.
    folder : Path
        Keeps each replication's ranks.
    where : Where
    replications : int
    every : int
        Of the spells, one in so many is kept.
    progress : bool
    """
    design = thin_design(lab, every)
    fixed = {
        "what": f"calibration {FORMAT}", "data": lab.data.digest, "spec": lab.fit.spec.digest, "every": every, "country": lab.country,
        "horizon": lab.horizon, "sampling": SETTINGS.model_dump(exclude={"seed"}), "version": forecast.__version__,
    }  # fmt: skip
    jobs = [Job(f"replication {number}", {**fixed, "number": number}) for number in range(1, replications + 1)]
    results, failures = run_jobs(replicate, jobs, folder, (lab.data, lab.fit.spec, design), where, progress=progress)
    ranks = pd.DataFrame([results[job.key]["ranks"] for job in jobs if job.key in results])
    table, curves = judge_ranks(ranks)
    return Calibration(table, cover(ranks), curves, 0.95, failures)


def thin_design(lab: Lab, every: int) -> xr.Dataset:
    """Return the design of one in so many spells and the present leader's."""
    own = ask(lab.data, lab.country, lab.horizon).spell
    spells = list(lab.fit.design.indexes["spell"])
    kept = [name for place, name in enumerate(spells) if place % every == 0 or name == own]
    design = lab.fit.design
    rows, challenges = (np.isin(design[f"{dim}_spell"].to_numpy(), kept) for dim in ("row", "challenge"))
    return design.isel(row=np.flatnonzero(rows), challenge=np.flatnonzero(challenges)).sel(spell=kept)


def draw_prior(density: Density, rng: np.random.Generator) -> xr.Dataset:
    """Return one draw of every parameter from its prior, as a posterior of one draw."""
    parts = []
    for block in density.blocks:
        if block.tail:
            value = np.abs(rng.standard_t(block.tail, size=block.mean.shape)) * block.sd
        elif block.positive:
            value = truncnorm.rvs(
                -block.mean / block.sd, np.inf, block.mean, block.sd, size=block.mean.shape, random_state=rng
            )
        else:
            value = rng.normal(block.mean, block.sd)
        parts.append(np.ravel(np.log(value) if block.positive else value))
    return density.name_draws(np.concatenate(parts)[None, None])


def simulate(design: xr.Dataset, spec: Spec, truth: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    """Return a design whose events, results and lengths are drawn from the model under one draw of its parameters.

    Which challenges there are, and what preceded them, stays as it is: results are drawn given the challenge.
    """
    parameters, stages = stack_draws(truth), build_stages(design, spec)
    rows = read_rows(design)
    events = rng.poisson(rows.exposure[:, None] * np.exp(row_log_rate(parameters, rows, stages)[0]))
    kind, spell, group = (places(design, f"challenge_{level}", level) for level in ("kind", "spell", "group"))
    error = parameters["coding_error"][:, spell] if "coding_error" in parameters else np.zeros((1, len(spell), 0))
    x = true_values(design["challenge_centre"].to_numpy(), design["challenge_spread"].to_numpy(), error, stages.latent)
    score = result_score(parameters, x, group, stages)[0, np.arange(len(kind)), kind]
    cut = expit(parameters["cutpoints"][0, kind] - score[:, None])
    result = (rng.random(len(kind))[:, None] > cut).sum(axis=1)
    removed = result == RESULTS.index("removed")
    mean = parameters["log_days"][0, kind] + parameters["removal_log_days"][0, kind] * removed
    return design.assign(
        events=(("row", "cause"), events.astype(float)), result=("challenge", result), ended=("challenge", np.ones(len(kind), dtype=bool)),
        log_days=("challenge", rng.normal(mean, parameters["log_days_sd"][0, kind])),
    )  # fmt: skip


def replicate(shared: tuple[Data, Spec, xr.Dataset], job: Job) -> dict[str, Any]:
    """Return the ranks of one replication's planted values among its posterior draws, from 0 to 1."""
    data, spec, design = shared
    rng = np.random.default_rng(job.seed)
    truth = draw_prior(build_density(design, spec), rng)
    planted = simulate(design, spec, truth, rng)
    settings = SETTINGS.model_copy(update={"seed": job.seed})
    posterior, diagnostics = sample(planted, spec.with_sampling(settings), unchecked=UNCHECKED)
    step = posterior.sizes["chain"] * posterior.sizes["draw"] / RANKS
    chosen = (np.arange(RANKS) * step).astype(int)
    flat = {name: values[chosen] for name, values in stack_draws(posterior).items()}
    ranks: dict[str, float] = {}
    for label, names in GROUPS.items():
        for name in (name for name in names if name in truth):
            below = (flat[name] < stack_draws(truth)[name]).mean(axis=0)
            ranks |= {f"{label}: {name} {entry}": float(value) for entry, value in enumerate(np.ravel(below))}
    question = ask(data, job.facts["country"], job.facts["horizon"], paths="hold")
    drawn = posterior.stack(sample=("chain", "draw")).isel(sample=chosen).drop_vars(["sample", "chain", "draw"])
    one = drawn.expand_dims("chain").rename(sample="draw").transpose("chain", "draw", ...)
    facts = describe_run(data, spec)
    told, true = (
        flatten(answer(own, look_ahead(own, data, question), question))
        for own in (Fit(draws, planted, spec, diagnostics, facts) for draws in (one, truth))
    )
    ranks |= {
        f"outcome probabilities: {outcome}": float((told[:, o] < true[0, o]).mean())
        for o, outcome in enumerate(OUTCOMES)
    }
    return {"ranks": ranks, "fit": vars(diagnostics)}


def judge_ranks(ranks: pd.DataFrame, level: float = 0.95, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return which quantities' ranks leave the simultaneous envelope of a uniform distribution, and the curves to draw.

    Parameters
    ----------
    ranks : pandas.DataFrame
        Replication x quantity, from 0 to 1 in steps of one over `RANKS`; names begin with the group and a colon.
    """
    grid, count = np.arange(4, RANKS, 5) / RANKS, len(ranks)
    expected = (np.floor(grid * RANKS + 1e-9) + 1) / (RANKS + 1)  # P(rank <= z) among RANKS + 1 equally likely ranks
    rng = np.random.default_rng(seed)
    simulated = rng.integers(RANKS + 1, size=(4000, count)) / RANKS
    limit = float(np.quantile([_least_tail(own, grid, expected) for own in simulated], 1 - level))
    low, high = (binom.ppf(p, count, expected) / count for p in (limit / 2, 1 - limit / 2))
    lines, curves = [], []
    for name, own in ranks.items():
        group, _, quantity = str(name).partition(": ")
        tail = _least_tail(own.to_numpy(), grid, expected)
        lines.append({"group": group, "quantity": quantity, "tail": tail, "limit": limit, "outside": tail < limit})
        reached = (own.to_numpy()[:, None] <= grid + 1e-9).mean(axis=0)
        curves.append(pd.DataFrame({
            "group": group, "quantity": quantity, "rank": grid, "difference": reached - expected, "low": low - expected,
            "high": high - expected, "outside": tail < limit,
        }))  # fmt: skip
    return pd.DataFrame(lines), pd.concat(curves, ignore_index=True)


def _least_tail(ranks: Any, grid: Any, expected: Any) -> float:
    """Return the least two-sided binomial tail probability of a distribution of ranks over a grid."""
    reached = (ranks[:, None] <= grid + 1e-9).sum(axis=0)
    below, above = binom.cdf(reached, len(ranks), expected), binom.sf(reached - 1, len(ranks), expected)
    return float(2 * np.minimum(below, above).min())


def cover(ranks: pd.DataFrame) -> pd.DataFrame:
    """Return how often central intervals hold the planted value, by group, beside what chance allows.

    What chance allows is the 95% range of a binomial; the quantities of one replication depend on each other, so that for a group
    the range is that of the number of replications.
    """
    groups = pd.Index([str(name).partition(": ")[0] for name in ranks.columns])
    singles = {str(name): [name] for name in ranks.columns if str(name).startswith("outcome")}
    lines = []
    for label, columns in {
        **{group: list(ranks.columns[groups == group]) for group in dict.fromkeys(groups)},
        **singles,
    }.items():
        for nominal in LEVELS:
            inside = ((ranks[columns] - 0.5).abs() <= nominal / 2 + 1e-9).to_numpy()
            low, high = binom.ppf([0.025, 0.975], len(ranks), nominal) / len(ranks)
            lines.append({"group": label, "nominal": nominal, "observed": float(inside.mean()), "count": len(ranks), "low": low, "high": high})  # fmt: skip
    return pd.DataFrame(lines)
