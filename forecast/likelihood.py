"""The likelihood of single rows and challenges under posterior draws, in NumPy.

The formulas of `model.build_model`, by the same lines of `hazards`; constants that no parameter enters are left
out. The tests hold sums over rows against the sampled density.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import log_expit, log_ndtr

from forecast.design import places
from forecast.hazards import Stages, in_blocks, log_hazard, result_score, row_index, true_values
from forecast.schema import RESULTS

REMOVED = RESULTS.index("removed")
Parameters = Mapping[str, Any]


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

    def total(block: slice) -> Any:
        return _total({name: values[block] for name, values in parameters.items()}, design, stages)

    return np.concatenate(in_blocks(total, len(parameters["baseline"])))


def _total(parameters: Parameters, design: xr.Dataset, stages: Stages) -> Any:
    rows, challenges = (part(parameters, design, stages) for part in (row_log_likelihood, challenge_log_likelihood))
    return rows.sum(axis=-1) + challenges.sum(axis=-1)


def _error(parameters: Parameters, spell: Any, latent: int) -> Any:
    if not latent:
        return np.zeros((len(parameters["baseline"]), len(spell), 0))
    return parameters["coding_error"][:, spell]


def row_log_rate(parameters: Parameters, design: xr.Dataset, stages: Stages) -> Any:
    """Return the log rate of each onset row and cause (draw x row x cause)."""
    index = row_index(design)
    error = _error(parameters, index.spell, len(stages.latent))
    x = true_values(design["centre"].to_numpy(), design["spread"].to_numpy(), error, stages.latent)
    return log_hazard(parameters, x, index, stages)


def row_log_likelihood(parameters: Parameters, design: xr.Dataset, stages: Stages) -> Any:
    """Return the log-likelihood of each onset row (draw x row): events x log rate - exposure x rate."""
    log_rate = row_log_rate(parameters, design, stages)
    expected = design["exposure"].to_numpy()[:, None] * np.exp(log_rate)
    return (design["events"].to_numpy() * log_rate - expected).sum(axis=-1)


def challenge_log_likelihood(parameters: Parameters, design: xr.Dataset, stages: Stages) -> Any:
    """Return the log-likelihood of each challenge's result and length (draw x challenge)."""
    kind, spell, group = (places(design, f"challenge_{level}", level) for level in ("kind", "spell", "group"))
    error = _error(parameters, spell, len(stages.latent))
    centre, spread = design["challenge_centre"].to_numpy(), design["challenge_spread"].to_numpy()
    x = true_values(centre, spread, error, stages.latent)
    score = result_score(parameters, x, group, stages)[:, np.arange(len(kind)), kind]
    lower, upper = np.moveaxis(parameters["cutpoints"][:, kind], -1, 0) - score
    return _result(lower, upper, design["result"].to_numpy()) + _length(parameters, design, kind, -upper)


def _result(lower: Any, upper: Any, result: Any) -> Any:
    """Return the log probability of each result; 0 while it is open."""
    failed, not_removed = log_expit(lower), log_expit(upper)
    each = np.stack([failed, not_removed + np.log(-np.expm1(failed - not_removed)), log_expit(-upper)], axis=-1)
    return np.where(result < 0, 0.0, np.take_along_axis(each, np.maximum(result, 0)[None, :, None], axis=-1)[..., 0])


def _length(parameters: Parameters, design: xr.Dataset, kind: Any, removal_logit: Any) -> Any:
    """Return the log-likelihood of each length; of one that goes on, that it has lasted so long."""
    days, ended = design["log_days"].to_numpy(), design["ended"].to_numpy()
    mean, shift = parameters["log_days"][:, kind], parameters["removal_log_days"][:, kind]
    sd, removed = parameters["log_days_sd"][:, kind], design["result"].to_numpy() == REMOVED
    seen = -(((days - mean - shift * removed) / sd) ** 2) / 2 - np.log(sd)
    pending = np.logaddexp(
        log_expit(removal_logit) + log_ndtr((mean + shift - days) / sd),
        log_expit(-removal_logit) + log_ndtr((mean - days) / sd),
    )
    return np.where(design["inherited"].to_numpy(), 0.0, np.where(ended, seen, pending))
