"""The hierarchical competing-risks model in two stages, as a PyMC model.

This is the statement of the model: prior and posterior predictive draws are taken from it, and PyMC's own samplers run on
it. `inference.fit` samples the same posterior through `density`, which is much faster and compiles nothing; the tests
hold log-density and gradient of the two against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from forecast.design import places
from forecast.hazards import (
    Stages,
    build_stages,
    log_hazard,
    result_score,
    row_index,
    true_values,
)
from forecast.schema import CAUSES, KINDS, RESULTS
from forecast.spec import DECADE, Effect, Normal, Onset, Shrinkage, Spec

if TYPE_CHECKING:
    import pymc as pm

REMOVED = RESULTS.index("removed")
LEVELS = ("cause", "kind", "period", "group", "country", "spell", "latent", "effect", "result_effect", "slope")


def build_model(design: xr.Dataset, spec: Spec) -> pm.Model:
    """Return the model of a design under a spec.

    Onset: for cause c and row i of exposure t, events ~ Poisson(t x rate) with

        log rate = baseline_c + period_c + group_c + country_c + terms_i . (effect_c + slope_c[group]),

    the likelihood of cause-specific hazards that are constant over a row. Result: an ordered logit of
    failed < concession < removed given a challenge. Length: log-normal by kind and by whether the
    leader is removed, censored while a challenge goes on. Coded values enter as uncertain readings with one standardised error for each
    spell and indicator.

    Parameters
    ----------
    design : xarray.Dataset
        What `design.build_design` returned.
    spec : Spec
        The spec that the design was built with.

    Returns
    -------
    pymc.Model
        With named dimensions throughout.
    """
    import pymc as pm

    stages = build_stages(design, spec)
    coords = {level: design.indexes[level].to_numpy() for level in LEVELS}
    with pm.Model(coords={**coords, "row": np.arange(design.sizes["row"]), "cut": ["failed", "concession"]}) as model:
        error = _coding_error(coords)
        parameters = _onset_parameters(spec, coords)
        _onset_likelihood(design, stages, parameters, error)
        if design.sizes["challenge"]:
            _result_likelihood(design, spec, stages, error)
        else:
            _result_parameters(spec)
    return model


def _coding_error(coords: dict[str, Any]) -> Any:
    import pymc as pm
    import pytensor.tensor as pt

    if not len(coords["latent"]):
        return pt.zeros((len(coords["spell"]), 0))
    return pm.Normal("coding_error", dims=("spell", "latent"))


def _spread(name: str, prior: float | Normal, of: str) -> Any:
    import pymc as pm

    if isinstance(prior, Normal):
        return pm.TruncatedNormal(name, prior.mean, prior.sd, lower=0.0, dims=of)
    return pm.HalfNormal(name, prior, dims=of)


def _scattered(name: str, level: str, of: str, prior: float | Normal) -> Any:
    """Return group effects, as multiples of a spread for each cause or kind.

    Not centred, also for other exits, where events are many: sampled as they are, the effects' spread
    mixed ten times worse.
    """
    import pymc as pm

    spread = _spread(f"{name}_sd", prior, of)
    return pm.Deterministic(name, spread * pm.Normal(f"{name}_z", dims=(level, of)), dims=(level, of))


def _onset_parameters(spec: Spec, coords: dict[str, Any]) -> dict[str, Any]:
    import pymc as pm

    onset = spec.onset
    mean, sd = _priors([onset.baseline[cause] for cause in CAUSES])
    return {
        "baseline": pm.Normal("baseline", mean, sd, dims="cause"),
        "period_effect": _calendar(onset, coords["period"]),
        "group_effect": _scattered("group_effect", "group", "cause", onset.group_sd),
        "country_effect": _scattered("country_effect", "country", "cause", onset.country_sd),
        "beta": _effects("beta", "effect", onset.effects, onset.shrinkage, CAUSES),
        "group_slope": _slopes(onset.slope_sd, coords),
    }


def _priors(normals: list[Normal]) -> tuple[Any, Any]:
    return np.array([n.mean for n in normals]), np.array([n.sd for n in normals])


def _calendar(onset: Onset, periods: Any) -> Any:
    """Return a random walk over calendar periods, about a trend if the spec has one, that is zero in the last one.

    The baseline is therefore the rate of the present, which is what is forecast from.
    """
    import pymc as pm

    step = _spread("period_effect_sd", onset.period_sd, "cause")
    walk = (step * pm.Normal("period_effect_z", dims=("period", "cause"))).cumsum(axis=0)
    walk = walk - walk[-1]
    if onset.drift:
        mean, sd = _priors([onset.drift[cause] for cause in CAUSES])
        walk = walk + pm.Normal("period_drift", mean, sd, dims="cause") * ((periods - periods[-1]) / DECADE)[:, None]
    return pm.Deterministic("period_effect", walk, dims=("period", "cause"))


def _effects(
    name: str, level: str, effects: tuple[Effect, ...], shrinkage: Shrinkage | None, targets: Sequence[str]
) -> Any:
    """Return the effects of a stage, each with its own prior or under a common scale for each cause or kind."""
    import pymc as pm
    import pytensor.tensor as pt

    pairs = [(effect, targets.index(target)) for effect in effects for target in effect.on]
    mean, sd = _priors([Normal(mean=effect.mean, sd=effect.sd) for effect, _ in pairs])
    if not pairs:
        return pt.zeros(0)
    if shrinkage is None:
        return pm.Normal(name, mean, sd, dims=level)
    of, target = "cause" if targets is CAUSES else "kind", np.array([target for _, target in pairs])
    z = pm.Normal(f"{name}_z", dims=level)
    if shrinkage.form == "ridge":
        scale = sd * pm.HalfNormal(f"{name}_global", shrinkage.scale, dims=of)[target]
    else:
        own = pm.HalfCauchy(f"{name}_global", shrinkage.scale, dims=of)[target] * pm.HalfCauchy(
            f"{name}_local", 1.0, dims=level
        )
        scale = sd * own / pt.sqrt(sd**2 + own**2)
    return pm.Deterministic(name, mean + scale * z, dims=level)


def _slopes(prior: float | Normal, coords: dict[str, Any]) -> Any:
    """Return each group's departure from the common effect, for effects that vary by group."""
    import pytensor.tensor as pt

    if not len(coords["slope"]):
        return pt.zeros((len(coords["group"]), 0))
    return _scattered("group_slope", "group", "slope", prior)


def _onset_likelihood(design: xr.Dataset, stages: Stages, parameters: dict[str, Any], error: Any) -> None:
    import pymc as pm
    import pytensor.tensor as pt

    index = row_index(design)
    x = true_values(design["centre"].to_numpy(), design["spread"].to_numpy(), error[index.spell], stages.latent)
    rate = pt.exp(log_hazard(parameters, x, index, stages))
    exposure = design["exposure"].to_numpy()[:, None]
    pm.Poisson("onset", exposure * rate, observed=design["events"].to_numpy(), dims=("row", "cause"))


def _result_parameters(spec: Spec) -> dict[str, Any]:
    import pymc as pm
    import pytensor.tensor as pt

    result = spec.result
    mean, sd = _priors([result.cutpoints[kind].failed for kind in KINDS])
    first = pm.Normal("failed_cut", mean, sd, dims="kind")
    mean, sd = _priors([result.cutpoints[kind].gap for kind in KINDS])
    gap = pm.TruncatedNormal("concession_gap", mean, sd, lower=0.0, dims="kind")
    mean, sd = _priors([result.log_days[kind] for kind in KINDS])
    return {
        "cutpoints": pm.Deterministic("cutpoints", pt.stack([first, first + gap], axis=-1), dims=("kind", "cut")),
        "result_group_effect": _scattered("result_group_effect", "group", "kind", result.group_sd),
        "result_beta": _effects("result_beta", "result_effect", result.effects, result.shrinkage, KINDS),
        "log_days": pm.Normal("log_days", mean, sd, dims="kind"),
        "log_days_sd": _spread("log_days_sd", result.log_days_sd, "kind"),
        "removal_log_days": pm.Normal("removal_log_days", 0.0, result.removal_log_days_sd, dims="kind"),
    }


def _result_likelihood(design: xr.Dataset, spec: Spec, stages: Stages, error: Any) -> None:
    import pymc as pm

    parameters = _result_parameters(spec)
    kind = places(design, "challenge_kind", "kind")
    spell = places(design, "challenge_spell", "spell")
    group = places(design, "challenge_group", "group")
    centre, spread = design["challenge_centre"].to_numpy(), design["challenge_spread"].to_numpy()
    x = true_values(centre, spread, error[spell], stages.latent)
    score = result_score(parameters, x, group, stages)[np.arange(len(kind)), kind]
    result = design["result"].to_numpy()
    known, cutpoints = result >= 0, parameters["cutpoints"][kind]
    if known.any():
        pm.OrderedLogistic("result", score[known], cutpoints[known], observed=result[known], compute_p=False)
    _length_likelihood(design, parameters, kind, score - cutpoints[:, 1])


def _length_likelihood(design: xr.Dataset, parameters: dict[str, Any], kind: Any, removal_logit: Any) -> None:
    """Lengths of challenges that began under the leader.

    Those that remove the leader have a length of their own. One that goes on will remove him or not, and in
    either case has lasted at least as long as seen, so its likelihood is a mixture of two tails.
    """
    import pymc as pm

    begun, ended = ~design["inherited"].to_numpy(), design["ended"].to_numpy()
    days, removed = design["log_days"].to_numpy(), design["result"].to_numpy() == REMOVED
    mean, sd = parameters["log_days"][kind], parameters["log_days_sd"][kind]
    shift = parameters["removal_log_days"][kind]
    seen, open_ = np.flatnonzero(begun & ended), np.flatnonzero(begun & ~ended)
    if len(seen):
        pm.Normal("length", (mean + shift * removed)[seen], sd[seen], observed=days[seen])
    if len(open_):
        tails = log_pending_tails(removal_logit[open_], days[open_], mean[open_], shift[open_], sd[open_])
        pm.Potential("pending", pm.math.logaddexp(*tails).sum())


def log_pending_tails(logit: Any, days: Any, mean: Any, shift: Any, sd: Any) -> tuple[Any, Any]:
    """Return log P(will remove, lasts beyond) and log P(will not remove, lasts beyond)."""
    import pymc as pm
    from pymc.distributions.dist_math import normal_lccdf

    removes = -pm.math.log1pexp(-logit) + normal_lccdf(mean + shift, sd, days)
    fails = -pm.math.log1pexp(logit) + normal_lccdf(mean, sd, days)
    return removes, fails
