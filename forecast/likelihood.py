"""The likelihood of single rows and challenges under posterior draws, in NumPy.

The formulas of `model.build_model`, by the same lines of `hazards`; constants that no parameter enters are left
out. The tests hold sums over rows against the sampled density.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    parts = (_rows(design, stages), _challenges(design, stages))

    def total(block: slice) -> Any:
        own = {name: values[block] for name, values in parameters.items()}
        return sum(part(own).sum(axis=-1) for part in parts)

    return np.concatenate(in_blocks(total, len(parameters["baseline"])))


def _error(parameters: Parameters, spell: Any, latent: int) -> Any:
    if not latent:
        return np.zeros((len(parameters["baseline"]), len(spell), 0))
    return parameters["coding_error"][:, spell]


def _rows(design: xr.Dataset, stages: Stages) -> Callable[[Parameters], Any]:
    """Return the function from draws to each onset row's log-likelihood (draw x row): events x log rate - exposure x rate."""
    index, latent = row_index(design), stages.latent
    centre, spread, exposure, events = (design[name].to_numpy() for name in ("centre", "spread", "exposure", "events"))

    def of(parameters: Parameters) -> Any:
        x = true_values(centre, spread, _error(parameters, index.spell, len(latent)), latent)
        log_rate = log_hazard(parameters, x, index, stages)
        return (events * log_rate - exposure[:, None] * np.exp(log_rate)).sum(axis=-1)

    return of


def _challenges(design: xr.Dataset, stages: Stages) -> Callable[[Parameters], Any]:
    """Return the function from draws to the log-likelihood of each challenge's result and length (draw x challenge)."""
    kind, spell, group = (places(design, f"challenge_{level}", level) for level in ("kind", "spell", "group"))
    centre, spread = design["challenge_centre"].to_numpy(), design["challenge_spread"].to_numpy()
    result, latent, lasted = design["result"].to_numpy(), stages.latent, _lasted(design, kind)

    def of(parameters: Parameters) -> Any:
        x = true_values(centre, spread, _error(parameters, spell, len(latent)), latent)
        score = result_score(parameters, x, group, stages)[:, np.arange(len(kind)), kind]
        lower, upper = np.moveaxis(parameters["cutpoints"][:, kind], -1, 0) - score
        return _result(lower, upper, result) + lasted(parameters, -upper)

    return of


def _result(lower: Any, upper: Any, result: Any) -> Any:
    """Return the log probability of each result; 0 while it is open."""
    failed, not_removed = log_expit(lower), log_expit(upper)
    each = np.stack([failed, not_removed + np.log(-np.expm1(failed - not_removed)), log_expit(-upper)], axis=-1)
    return np.where(result < 0, 0.0, np.take_along_axis(each, np.maximum(result, 0)[None, :, None], axis=-1)[..., 0])


def _lasted(design: xr.Dataset, kind: Any) -> Callable[[Parameters, Any], Any]:
    """Return the function to the log-likelihood of each length; of one that goes on, that it has lasted so long."""
    names = ("log_days", "ended", "inherited", "result")
    days, ended, inherited, result = (design[name].to_numpy() for name in names)

    def of(parameters: Parameters, removal_logit: Any) -> Any:
        mean, shift, sd = (parameters[name][:, kind] for name in ("log_days", "removal_log_days", "log_days_sd"))
        seen = -(((days - mean - shift * (result == REMOVED)) / sd) ** 2) / 2 - np.log(sd)
        pending = np.logaddexp(
            log_expit(removal_logit) + log_ndtr((mean + shift - days) / sd),
            log_expit(-removal_logit) + log_ndtr((mean - days) / sd),
        )
        return np.where(inherited, 0.0, np.where(ended, seen, pending))

    return of
