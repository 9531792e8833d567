"""What the spread of each probability is made of: parameters, coding, paths, the choice of cases, the choice of model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from forecast.engine import Failure, Where
from forecast.multiverse import read_family, run_multiverse
from forecast.prediction import answer, ask, look_ahead, thinned
from forecast.schema import OUTCOMES
from forecast.sensitivity import Lab, case_patches, flatten, run_changes

SOURCES = ("parameters", "coding", "paths", "cases", "model")
OUTER, CODINGS, WALKS = 400, 4, 4  # draws of parameters, codings for each, paths for each coding
REPEATS = 1000  # of the bootstrap


def spread_sources(lab: Lab, models: Path, folder: Path, where: Where | None = None, *, progress: bool = False) -> tuple[pd.DataFrame, Sequence[Failure]]:  # fmt: skip
    """Return the parts of the variance of each probability, with 90% intervals.

    Parameters, coding and paths by a nested Monte Carlo under the base fit, cases by the jackknife over countries, model by the
    spread of the family's means under its stacking weights. What comes from the cases and the family is read from their
    kept results, or made.

    Returns
    -------
    table : pandas.DataFrame
        ``outcome``, ``source``, ``variance``, ``share`` (adds to one for each outcome), ``p05`` and ``p95`` of the share.
    failures : sequence of Failure
    """
    countries = {name: patch for name, patch in case_patches(lab, {}).items() if name.startswith("country ")}
    cases = run_changes(lab, countries, folder, where, claims=(), progress=progress)
    many = run_multiverse(lab, read_family(models / "multiverse.toml"), folder, where, progress=progress)
    table = divide(nested_draws(lab), cases.table[cases.table["kind"] != "base"], many.table)
    return table, [*cases.failures, *many.failures]


def nested_draws(lab: Lab, seed: int = 0) -> Any:
    """Return probabilities under nested draws (parameters x coding x path x outcome).

    The present leader's coding errors are drawn from their posterior apart from the parameters.
    """
    small = thinned(lab.fit, OUTER)
    chains, draws = small.posterior.sizes["chain"], small.posterior.sizes["draw"]
    rng, inner = np.random.default_rng(seed), CODINGS * WALKS
    posterior = small.posterior.isel(draw=np.repeat(np.arange(draws), inner))
    if "coding_error" in posterior:
        pool = (
            lab.fit.posterior["coding_error"]
            .stack(sample=("chain", "draw"))
            .transpose("sample", "spell", "latent")
            .to_numpy()
        )
        chosen = np.repeat(rng.integers(len(pool), size=chains * draws * CODINGS), WALKS)
        dims = ("chain", "draw", "spell", "latent")
        posterior["coding_error"] = xr.DataArray(
            pool[chosen].reshape(chains, draws * inner, *pool.shape[1:]), dims=dims
        )
    question = ask(lab.data, lab.country, lab.horizon)
    big = replace(small, posterior=posterior)
    found = flatten(answer(big, look_ahead(big, lab.data, question), question, seed))
    return found.reshape(chains * draws, CODINGS, WALKS, len(OUTCOMES))


def components(nested: Any) -> Any:
    """Return the variance that each level of nested draws adds, unbiased (parameters, coding, paths; x outcome)."""
    codings, walks = nested.shape[1:3]
    paths = nested.var(axis=2, ddof=1).mean(axis=(0, 1)) if walks > 1 else np.zeros(nested.shape[-1])
    coding = nested.mean(axis=2).var(axis=1, ddof=1).mean(axis=0) - paths / walks if codings > 1 else paths * 0
    parameters = nested.mean(axis=(1, 2)).var(axis=0, ddof=1) - (coding + paths / walks) / codings
    return np.maximum(np.stack([parameters, coding, paths]), 0.0)


def divide(nested: Any, cases: pd.DataFrame, family: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Return variances and shares by source, from nested draws, answers without each case, and the answers of a family.

    Parameters
    ----------
    nested : array (parameters x coding x path x outcome)
    cases : pandas.DataFrame
        One row per case left out and outcome: ``change``, ``outcome``, ``probability``, ``se``.
    family : pandas.DataFrame
        One row per spec and outcome: ``outcome``, ``weight``, ``probability``, ``se``.
    """
    rng = np.random.default_rng(seed)
    without, without_se = (_wide(cases, "change", value) for value in ("probability", "se"))
    spec = family.groupby("outcome").cumcount()
    means, mean_se, weight = (
        _wide(family.assign(spec=spec), "spec", value) for value in ("probability", "se", "weight")
    )

    def variances(outer: Any, left: Any, specs: Any) -> Any:
        return np.concatenate([components(nested[outer]), [_jackknife(without[left], without_se[left]), _between(means[specs], mean_se[specs], weight[specs, 0])]])  # fmt: skip

    sizes = len(nested), len(without), len(means)
    whole = variances(*(np.arange(size) for size in sizes))
    draws = np.stack([variances(*(rng.integers(size, size=size) for size in sizes)) for _ in range(REPEATS)])
    share, shares = whole / whole.sum(axis=0), draws / draws.sum(axis=1, keepdims=True)
    low, high = np.quantile(shares, [0.05, 0.95], axis=0)
    return pd.DataFrame([
        {"outcome": outcome, "source": source, "variance": whole[s, o], "share": share[s, o], "p05": low[s, o], "p95": high[s, o]}
        for o, outcome in enumerate(OUTCOMES) for s, source in enumerate(SOURCES)
    ])  # fmt: skip


def _wide(table: pd.DataFrame, label: str, value: str) -> Any:
    return table.pivot(index=label, columns="outcome", values=value)[list(OUTCOMES)].to_numpy()


def _jackknife(without: Any, se: Any) -> Any:
    """Return the jackknife variance of a mean over cases, less what is Monte Carlo noise."""
    deviations = ((without - without.mean(axis=0)) ** 2 - se**2).sum(axis=0)
    return np.maximum((len(without) - 1) / len(without) * deviations, 0.0)


def _between(means: Any, se: Any, weight: Any) -> Any:
    share = (weight / max(weight.sum(), 1e-300))[:, None]
    return np.maximum((share * ((means - (share * means).sum(axis=0)) ** 2 - se**2)).sum(axis=0), 0.0)
