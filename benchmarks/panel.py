"""A simulated world: leader-years of many countries with covariates on every cause, challenges and their results."""

from typing import Any

import numpy as np
import xarray as xr

from forecast.design import ONE, effect_labels
from forecast.schema import CAUSES, KINDS, RESULTS
from forecast.spec import Spec

COUNTRIES, GROUPS, PERIODS, COVARIATES, RESULT_COVARIATES = 180, 6, 8, 25, 5
BASELINE = {"coup": -3.3, "uprising": -4.0, "other_exit": -1.8}


def panel_spec() -> Spec:
    """Return the spec of the simulated panel: every covariate on every cause, no shrinkage, no slopes."""
    prior = {"mean": 0.0, "sd": 1.0}
    return Spec.model_validate({
        "name": "simulated",
        "title": "Simulated panel",
        "onset": {
            "baseline": {cause: {"mean": BASELINE[cause], "sd": 1.0} for cause in CAUSES},
            "effects": [{"term": f"x{k}", "on": CAUSES} for k in range(COVARIATES)],
        },
        "result": {
            "cutpoints": {kind: {"failed": prior, "gap": {"mean": 0.5, "sd": 0.5}} for kind in KINDS},
            "log_days": {kind: {"mean": 2.0, "sd": 2.0} for kind in KINDS},
            "effects": [{"term": f"x{k}", "on": KINDS} for k in range(RESULT_COVARIATES)],
        },
    })  # fmt: skip


def simulate_panel(rows: int, seed: int = 1) -> tuple[xr.Dataset, Spec]:
    """Return a design of so many leader-years, drawn from the model of `panel_spec`, and that spec."""
    spec, rng = panel_spec(), np.random.default_rng(seed)
    country, period = np.sort(rng.integers(COUNTRIES, size=rows)), rng.integers(PERIODS, size=rows)
    group = country * GROUPS // COUNTRIES
    lasting, changing = rng.normal(size=(COUNTRIES, COVARIATES)), rng.normal(size=(rows, COVARIATES))
    x = np.column_stack([(lasting[country] + changing) / np.sqrt(2), np.ones(rows)])
    exposure = rng.uniform(0.2, 1.0, rows)
    rate = np.exp(_log_rates(country, group, period, x, rng))
    events = (rng.random(rate.shape) < -np.expm1(-exposure[:, None] * rate)).astype(float)
    place, kind = np.nonzero(events[:, : len(KINDS)])
    none, one = np.zeros_like, np.array([], dtype=str)
    design = xr.Dataset(
        {
            "exposure": ("row", exposure),
            "events": (("row", "cause"), events),
            "centre": (("row", "indicator"), x),
            "spread": (("row", "indicator"), none(x)),
            "challenge_centre": (("challenge", "indicator"), x[place]),
            "challenge_spread": (("challenge", "indicator"), none(x[place])),
            **_results(x[place], kind, rng),
        },
        coords={
            "indicator": [*spec.indicators, ONE],
            "cause": list(CAUSES),
            "kind": list(KINDS),
            "latent": one,
            "slope": one,
            "spell": [0],
            "country": range(COUNTRIES),
            "group": range(GROUPS),
            "period": range(PERIODS),
            "effect": effect_labels(spec.onset.effects),
            "result_effect": effect_labels(spec.result.effects),
            "row_country": ("row", country),
            "row_group": ("row", group),
            "row_period": ("row", period),
            "row_spell": ("row", none(country)),
            "challenge_kind": ("challenge", np.array(KINDS)[kind]),
            "challenge_group": ("challenge", group[place]),
            "challenge_spell": ("challenge", none(place)),
        },
    )
    return design, spec


def _log_rates(country: Any, group: Any, period: Any, x: Any, rng: np.random.Generator) -> Any:
    """Return log rates (row x cause) under effects of a plausible size."""
    causes = len(CAUSES)
    walk = rng.normal(0, 0.2, (PERIODS, causes)).cumsum(axis=0)
    beta = np.append(rng.normal(0, 0.2, (COVARIATES, causes)), np.zeros((1, causes)), axis=0)
    levels = rng.normal(0, 0.4, (GROUPS, causes))[group] + rng.normal(0, 0.4, (COUNTRIES, causes))[country]
    return np.array([BASELINE[cause] for cause in CAUSES]) + (walk - walk[-1])[period] + levels + x @ beta


def _results(x: Any, kind: Any, rng: np.random.Generator) -> dict[str, Any]:
    """Return how challenges ended, and after how long."""
    score = x[:, :RESULT_COVARIATES] @ rng.normal(0, 0.3, RESULT_COVARIATES) + rng.logistic(size=len(kind))
    result = np.searchsorted([0.0, 0.6], score)
    days = np.array([0.7, 4.1])[kind] + 0.5 * (result == RESULTS.index("removed")) + rng.normal(size=len(kind))
    flags = {"ended": True, "inherited": False}
    return {
        "result": ("challenge", result),
        "log_days": ("challenge", days),
        **{name: ("challenge", np.full(len(kind), flag)) for name, flag in flags.items()},
    }
