"""The likelihood of single rows and challenges under posterior draws, in NumPy.

The formulas of `model.build_model`, by the same lines of `hazards`; constants that no parameter enters are left
out. The tests hold sums over rows against the sampled density.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import log_expit, log_ndtr

from forecast.design import places
from forecast.hazards import Index, Stages, in_blocks, log_hazard, result_score, row_index, true_values
from forecast.schema import RESULTS

REMOVED = RESULTS.index("removed")
Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Rows:
    """What the likelihood looks at of onset rows, without labels: it is asked for each block of draws."""

    index: Index
    centre: Any  # (row x indicator)
    spread: Any  # (row x indicator)
    exposure: Any  # leader-years (row)
    events: Any  # (row x cause)


@dataclass(frozen=True)
class Challenges:
    """What the likelihood looks at of challenges, without labels."""

    kind: Any
    spell: Any
    group: Any
    centre: Any  # (challenge x indicator)
    spread: Any  # (challenge x indicator)
    result: Any  # place among the results, negative while open
    log_days: Any
    ended: Any
    inherited: Any


def read_rows(design: xr.Dataset) -> Rows:
    """Return the onset rows of a design."""
    return Rows(row_index(design), *(design[name].to_numpy() for name in ("centre", "spread", "exposure", "events")))


def read_challenges(design: xr.Dataset) -> Challenges:
    """Return the challenges of a design."""
    positions = (places(design, f"challenge_{level}", level) for level in ("kind", "spell", "group"))
    names = ("challenge_centre", "challenge_spread", "result", "log_days", "ended", "inherited")
    return Challenges(*positions, *(design[name].to_numpy() for name in names))


def log_likelihood(parameters: Parameters, design: xr.Dataset, stages: Stages) -> Any:
    """Return the log-likelihood of a design's rows and challenges together (draw).

    Parameters
    ----------
    parameters : mapping
        Every parameter, draws first, under the levels of the design.
    design : xarray.Dataset
        Any rows and challenges.
    stages : Stages
    """
    rows, challenges = read_rows(design), read_challenges(design)

    def total(block: slice) -> Any:
        own = {name: values[block] for name, values in parameters.items()}
        onset, results = row_log_likelihood(own, rows, stages), challenge_log_likelihood(own, challenges, stages)
        return onset.sum(axis=-1) + results.sum(axis=-1)

    return np.concatenate(in_blocks(total, len(parameters["baseline"])))


def _error(parameters: Parameters, spell: Any, latent: int) -> Any:
    if not latent:
        return np.zeros((len(parameters["baseline"]), len(spell), 0))
    return parameters["coding_error"][:, spell]


def row_log_rate(parameters: Parameters, rows: Rows, stages: Stages) -> Any:
    """Return the log rate of each onset row and cause (draw x row x cause)."""
    error = _error(parameters, rows.index.spell, len(stages.latent))
    return log_hazard(parameters, true_values(rows.centre, rows.spread, error, stages.latent), rows.index, stages)


def row_log_likelihood(parameters: Parameters, rows: Rows, stages: Stages) -> Any:
    """Return the log-likelihood of each onset row (draw x row): events x log rate - exposure x rate."""
    log_rate = row_log_rate(parameters, rows, stages)
    return (rows.events * log_rate - rows.exposure[:, None] * np.exp(log_rate)).sum(axis=-1)


def challenge_log_likelihood(parameters: Parameters, challenges: Challenges, stages: Stages) -> Any:
    """Return the log-likelihood of each challenge's result and length (draw x challenge)."""
    kind, error = challenges.kind, _error(parameters, challenges.spell, len(stages.latent))
    x = true_values(challenges.centre, challenges.spread, error, stages.latent)
    score = result_score(parameters, x, challenges.group, stages)[:, np.arange(len(kind)), kind]
    lower, upper = np.moveaxis(parameters["cutpoints"][:, kind], -1, 0) - score
    return _result(lower, upper, challenges.result) + _length(parameters, challenges, -upper)


def _result(lower: Any, upper: Any, result: Any) -> Any:
    """Return the log probability of each result; 0 while it is open."""
    failed, not_removed = log_expit(lower), log_expit(upper)
    each = np.stack([failed, not_removed + np.log(-np.expm1(failed - not_removed)), log_expit(-upper)], axis=-1)
    return np.where(result < 0, 0.0, np.take_along_axis(each, np.maximum(result, 0)[None, :, None], axis=-1)[..., 0])


def _length(parameters: Parameters, challenges: Challenges, removal_logit: Any) -> Any:
    """Return the log-likelihood of each length; of one that goes on, that it has lasted so long."""
    kind, days = challenges.kind, challenges.log_days
    mean, shift = parameters["log_days"][:, kind], parameters["removal_log_days"][:, kind]
    sd, removed = parameters["log_days_sd"][:, kind], challenges.result == REMOVED
    seen = -(((days - mean - shift * removed) / sd) ** 2) / 2 - np.log(sd)
    pending = np.logaddexp(
        log_expit(removal_logit) + log_ndtr((mean + shift - days) / sd),
        log_expit(-removal_logit) + log_ndtr((mean - days) / sd),
    )
    return np.where(challenges.inherited, 0.0, np.where(challenges.ended, seen, pending))
