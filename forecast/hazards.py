"""The formulas of the model, once.

Each function takes arrays whose last axes are named in its docstring; leading axes (posterior draws)
broadcast. They use only arithmetic, indexing and matrix products, so `model.build_model` calls them on
PyTensor variables and `prediction` calls them on NumPy draws: the model that is fitted and the
model that forecasts are the same lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from forecast.design import ONE, places
from forecast.schema import CAUSES, KINDS
from forecast.spec import Effect, Spec

Tensor = Any  # a NumPy array or a PyTensor variable
Parameters = Mapping[str, Tensor]
BLOCK = 250  # draws that are worked on at a time: their arrays stay in the cache
THREADS = 2


@dataclass(frozen=True)
class Wiring:
    """Which indicators form a stage's effects, and which cause or kind each effect acts on.

    Attributes
    ----------
    first, second : array (effect)
        Positions of the two factors; `second` points at the constant one for a plain term.
    target : array (effect x cause or kind)
        One where the effect acts.
    """

    first: Any
    second: Any
    target: Any


def wire(effects: tuple[Effect, ...], indicators: list[str], targets: Sequence[str]) -> Wiring:
    """Return the wiring of a stage's effects."""
    pairs = [(effect, cause) for effect in effects for cause in effect.on]
    factors = [(*effect.factors, ONE)[:2] for effect, _ in pairs]
    target = np.zeros((len(pairs), len(targets)))
    target[np.arange(len(pairs)), [targets.index(cause) for _, cause in pairs]] = 1.0
    first = np.array([indicators.index(a) for a, _ in factors], dtype=int)
    second = np.array([indicators.index(b) for _, b in factors], dtype=int)
    return Wiring(first, second, target)


@dataclass(frozen=True)
class Index:
    """Where each row finds its group effects: positions, not labels."""

    period: Any
    group: Any
    country: Any
    spell: Any


def row_index(design: xr.Dataset) -> Index:
    """Return the positions of every onset row."""
    return Index(*(places(design, f"row_{level}", level) for level in ("period", "group", "country", "spell")))


@dataclass(frozen=True)
class Stages:
    """The fixed structure of a design under a spec: wiring of both stages, and the latent readings."""

    onset: Wiring
    result: Wiring
    slope: Any  # (slope x effect)
    latent: Any  # (latent x indicator)


def build_stages(design: xr.Dataset, spec: Spec) -> Stages:
    """Return the structure shared by the model and the forecast."""
    indicators = list(design.indexes["indicator"])
    effects, slopes = list(design.indexes["effect"]), list(design.indexes["slope"])
    latent = list(design.indexes["latent"])
    return Stages(
        onset=wire(spec.onset.effects, indicators, CAUSES),
        result=wire(spec.result.effects, indicators, KINDS),
        slope=_selector(slopes, effects),
        latent=_selector(latent, indicators),
    )


def _selector(rows: list[str], columns: list[str]) -> Any:
    matrix = np.zeros((len(rows), len(columns)))
    matrix[np.arange(len(rows)), [columns.index(name) for name in rows]] = 1.0
    return matrix


def true_values(centre: Tensor, spread: Tensor, error: Tensor, latent: Tensor) -> Tensor:
    """Return the indicators' true values: what was coded plus the coder's error.

    Parameters
    ----------
    centre, spread : array (row x indicator)
        Coded value and its standard deviation, scaled.
    error : array (... x row x latent)
        Standardised coding error of the row's spell.
    latent : array (latent x indicator)
        Which indicator each error belongs to.
    """
    return centre + spread * (error @ latent)


def products(x: Tensor, wiring: Wiring) -> Tensor:
    """Return the terms (... x row x effect) from indicators (... x row x indicator)."""
    return x[..., wiring.first] * x[..., wiring.second]


def log_hazard(parameters: Parameters, x: Tensor, index: Index, stages: Stages) -> Tensor:
    """Return the log rate per leader-year (... x row x cause).

    Parameters
    ----------
    parameters : mapping
        ``baseline`` (cause), ``period_effect`` (period x cause), ``group_effect`` (group x cause),
        ``country_effect`` (country x cause), ``beta`` (effect), ``group_slope`` (group x slope).
    x : array (... x row x indicator)
        True values, scaled.
    """
    return (
        parameters["baseline"][..., None, :]
        + parameters["period_effect"][..., index.period, :]
        + parameters["group_effect"][..., index.group, :]
        + parameters["country_effect"][..., index.country, :]
        + (products(x, stages.onset) * onset_weight(parameters, index.group, stages)) @ stages.onset.target
    )


def onset_weight(parameters: Parameters, group: Any, stages: Stages) -> Tensor:
    """Return the weight of each onset term (... x row x effect): its effect, and what the row's group adds to it."""
    return parameters["beta"][..., None, :] + parameters["group_slope"][..., group, :] @ stages.slope


def result_score(parameters: Parameters, x: Tensor, group: Any, stages: Stages) -> Tensor:
    """Return the log odds scale of success (... x challenge x kind) before the cut points.

    Parameters
    ----------
    parameters : mapping
        ``result_group_effect`` (group x kind) and ``result_beta`` (result_effect).
    """
    weighted = products(x, stages.result) * parameters["result_beta"][..., None, :]
    return parameters["result_group_effect"][..., group, :] + weighted @ stages.result.target


def removal_probability(score: Any, cutpoints: Any) -> Any:
    """Return P(removed | challenge) (... x row x kind) from scores and cut points (... x kind x 2)."""
    return 1.0 / (1.0 + np.exp(cutpoints[..., None, :, 1] - score))


def gain_probability(score: Any, cutpoints: Any) -> Any:
    """Return P(not failed | challenge) (... x row x kind): removed, or a concession."""
    return 1.0 / (1.0 + np.exp(cutpoints[..., None, :, 0] - score))


def stack_draws(posterior: xr.Dataset) -> dict[str, Any]:
    """Return every parameter over all draws of all chains (draw x ...); effects that the spec does not have are empty."""
    parameters = {str(name): v.to_numpy().reshape(-1, *v.shape[2:]) for name, v in posterior.items()}
    draws, groups = parameters["group_effect"].shape[:2]
    empty = {"group_slope": (draws, groups, 0), "beta": (draws, 0), "result_beta": (draws, 0)}
    return {**{name: np.zeros(shape) for name, shape in empty.items()}, **parameters}


def in_blocks(work: Callable[[slice], Any], draws: int) -> list[Any]:
    """Return what a function makes of each block of draws, in order; threads, since NumPy lets go of the interpreter."""
    blocks = [slice(start, start + BLOCK) for start in range(0, draws, BLOCK)]
    if len(blocks) == 1:
        return [work(blocks[0])]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, blocks))
