"""The onset log-likelihood and its gradient in one pass over the rows.

Sampling spends nearly all its time in this one sum, so it is written as loops that Numba compiles: a
spell's rows share their group, country and coding errors, and each step of the inner loops runs along
those rows. `model.build_model(..., fused=False)` states the same likelihood in plain PyMC, and the
tests hold the two against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytensor.tensor as pt
import xarray as xr
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key

from forecast.hazards import Stages, row_index

MUTABLE = 5  # the first inputs are parameters; the rest are data


@dataclass(frozen=True)
class Rows:
    """The data of the onset stage in the layout of the loops; rows sorted by spell.

    Attributes
    ----------
    bounds : array (spell + 1)
        First row of each spell, and the end of the last.
    spell, group, country : array (spell)
        Positions among the levels of the design.
    period : array (row)
    centre, spread : array (indicator x row)
    latent : array (latent)
        Position of each uncertain indicator.
    first, second, cause : array (effect)
        Factors of each term and the cause that it acts on.
    exposure : array (row)
    events : array (cause x row)
    """

    bounds: Any
    spell: Any
    group: Any
    country: Any
    period: Any
    centre: Any
    spread: Any
    latent: Any
    first: Any
    second: Any
    cause: Any
    exposure: Any
    events: Any


def lay_out(design: xr.Dataset, stages: Stages) -> Rows:
    """Return a design's onset rows in the layout of the loops."""
    index = row_index(design)
    # A spell that crosses into another group (none does today) is cut there.
    block = np.flatnonzero(np.diff(index.spell) | np.diff(index.group) | np.diff(index.country)) + 1
    starts = np.concatenate([[0], block])
    return Rows(
        bounds=np.append(starts, len(index.spell)),
        spell=index.spell[starts],
        group=index.group[starts],
        country=index.country[starts],
        period=index.period,
        centre=np.ascontiguousarray(design["centre"].to_numpy().T),
        spread=np.ascontiguousarray(design["spread"].to_numpy().T),
        latent=stages.latent.argmax(axis=1) if len(stages.latent) else np.zeros(0, dtype=int),
        first=stages.onset.first,
        second=stages.onset.second,
        cause=stages.onset.target.argmax(axis=1),
        exposure=design["exposure"].to_numpy(),
        events=np.ascontiguousarray(design["events"].to_numpy().T),
    )


def _pass_over_rows(
    period_effect, group_effect, country_effect, weight, error,
    bounds, spell, group, country, period, centre, spread, latent, first, second, cause, exposure, events,
):  # fmt: skip
    causes, effects, indicators = events.shape[0], weight.shape[1], centre.shape[0]
    longest, one = np.max(np.diff(bounds)), indicators - 1  # the constant factor stands last
    x, dx = np.empty((indicators, longest)), np.empty((indicators, longest))
    eta, residual = np.empty((causes, longest)), np.empty((causes, longest))
    d_period, d_group = np.zeros_like(period_effect), np.zeros_like(group_effect)
    d_country, d_weight, d_error = np.zeros_like(country_effect), np.zeros_like(weight), np.zeros_like(error)
    total = 0.0
    for block in range(len(spell)):
        start, n = bounds[block], bounds[block + 1] - bounds[block]
        g, j, s = group[block], country[block], spell[block]
        for k in range(indicators):
            for i in range(n):
                x[k, i] = centre[k, start + i]
                dx[k, i] = 0.0
        for m in range(len(latent)):
            k, shift = latent[m], error[s, m]
            for i in range(n):
                x[k, i] += spread[k, start + i] * shift
        for c in range(causes):
            offset = group_effect[g, c] + country_effect[j, c]
            for i in range(n):
                eta[c, i] = offset + period_effect[period[start + i], c]
        for e in range(effects):
            c, a, b, w = cause[e], first[e], second[e], weight[g, e]
            if b == one:
                for i in range(n):
                    eta[c, i] += w * x[a, i]
            else:
                for i in range(n):
                    eta[c, i] += w * x[a, i] * x[b, i]
        for c in range(causes):
            added = 0.0
            for i in range(n):
                rate = exposure[start + i] * np.exp(eta[c, i])
                total += events[c, start + i] * eta[c, i] - rate
                residual[c, i] = events[c, start + i] - rate
                added += residual[c, i]
            d_group[g, c] += added
            d_country[j, c] += added
            for i in range(n):
                d_period[period[start + i], c] += residual[c, i]
        for e in range(effects):
            c, a, b, w = cause[e], first[e], second[e], weight[g, e]
            added = 0.0
            if b == one:
                for i in range(n):
                    added += residual[c, i] * x[a, i]
                    dx[a, i] += residual[c, i] * w
            else:
                for i in range(n):
                    added += residual[c, i] * x[a, i] * x[b, i]
                    dx[a, i] += residual[c, i] * w * x[b, i]
                    dx[b, i] += residual[c, i] * w * x[a, i]
            d_weight[g, e] += added
        for m in range(len(latent)):
            k, added = latent[m], 0.0
            for i in range(n):
                added += dx[k, i] * spread[k, start + i]
            d_error[s, m] += added
    return np.asarray(total), d_period, d_group, d_country, d_weight, d_error


class OnsetLogLikelihood(Op):
    """Log-likelihood of the onset stage, with its gradient as further outputs."""

    __props__ = ()

    def make_node(self, *inputs: Any) -> Apply:
        """Return the node: a scalar, and a gradient shaped like each of the parameters."""
        inputs = tuple(pt.as_tensor_variable(value) for value in inputs)
        return Apply(self, list(inputs), [pt.dscalar(), *(value.type() for value in inputs[:MUTABLE])])

    def perform(self, _node: Apply, inputs: Any, output_storage: Any) -> None:
        """Run the loops in plain Python; only tests of small designs come here."""
        for storage, value in zip(output_storage, _pass_over_rows(*inputs), strict=True):
            storage[0] = value

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        """Return the gradient, which the forward pass has already computed."""
        gradient = [cotangents[0] * output for output in outputs[1:]]
        return gradient + [DisconnectedType()() for _ in inputs[MUTABLE:]]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Only the parameters are connected, and only to the log-likelihood."""
        outputs = len(node.outputs)
        return [[place < MUTABLE, *([False] * (outputs - 1))] for place in range(len(node.inputs))]


@register_funcify_default_op_cache_key(OnsetLogLikelihood)
def _funcify(_op: OnsetLogLikelihood, **_: Any) -> Any:
    return numba_njit(_pass_over_rows, fastmath=True)


def onset_log_likelihood(parameters: dict[str, Any], error: Any, design: xr.Dataset, stages: Stages) -> Any:
    """Return the log-likelihood of all onsets and other exits, as a PyTensor scalar.

    Parameters
    ----------
    parameters : dict
        As for `hazards.log_hazard`.
    error : tensor (spell x latent)
        Standardised coding errors.
    """
    weight = parameters["beta"] + parameters["group_slope"] @ stages.slope
    group = parameters["baseline"] + parameters["group_effect"]
    rows = lay_out(design, stages)
    data = [getattr(rows, name) for name in rows.__dataclass_fields__]
    return OnsetLogLikelihood()(parameters["period_effect"], group, parameters["country_effect"], weight, error, *data)[
        0
    ]
