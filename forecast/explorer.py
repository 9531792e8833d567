"""What a page carries so that a browser can answer "what if" as `prediction.predict` does.

The page's script repeats the formulas of `hazards` and `incidence` for one country and the horizon's end. It
takes the same thinned draws, so its numbers are those of ``forecast predict --set`` to three decimals: parameters
are kept as float32, the indicators' random moves as 16-bit whole numbers.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from scipy.special import log_ndtr

from forecast.data import Data
from forecast.design import YEAR
from forecast.explanation import can_be_set, usual_range
from forecast.inference import Fit
from forecast.prediction import Question, look_ahead, prepare, thinned
from forecast.schema import KINDS, OUTCOMES

MOST_MONTHS = 36  # beyond it the random moves would make the page too heavy
STEPS = 7000.0  # of noise in a standard deviation: a 16-bit number reaches to 4.7 of them


def build_explorer(fit: Fit, data: Data, question: Question) -> dict[str, Any] | None:
    """Return the explorer's numbers as JSON values; None where the page cannot have one.

    A page has none when the horizon is over `MOST_MONTHS`, or no indicator can be set.
    """
    names = [str(name) for name in fit.design["indicator"].to_numpy()]
    settable = [name for name in fit.spec.indicators if can_be_set(data, question, name)]
    if question.horizon > MOST_MONTHS or question.settings or not settable:
        return None
    small, outlook = thinned(fit), look_ahead(fit, data, question)
    parts = prepare(small, outlook, question)
    p, stages, index = parts.parameters, parts.stages, parts.index
    slopes = p["group_slope"][:, index.group[0], :] @ stages.slope
    moments = sorted(set(index.period.tolist()))
    base = np.stack(
        [
            p["baseline"]
            + p["period_effect"][:, at]
            + p["group_effect"][:, index.group[0]]
            + p["country_effect"][:, index.country[0]]
            for at in moments
        ],
        axis=1,
    )
    result_base = p["result_group_effect"][:, index.group[0], :] - p["cutpoints"][:, :, 1]
    walking = np.flatnonzero(outlook.step > 0) if parts.noise is not None else np.array([], dtype=int)
    noise = np.clip(
        np.rint((parts.noise[:, :, walking] if len(walking) else np.zeros((1, 1, 0))) * STEPS), -32767, 32767
    )
    scaling = fit.design[["location", "scale"]].to_dataframe()
    return {
        "draws": len(base),
        "total": fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"],
        "months": question.horizon,
        "outcomes": list(OUTCOMES),
        "indicators": names,
        "settable": [_slider(data, name, names.index(name), scaling.loc[name], outlook) for name in settable],
        "years": outlook.years.tolist(),
        "period": [moments.index(at) for at in index.period.tolist()],
        "periods": len(moments),
        "onset": _wiring(stages.onset),
        "result": _wiring(stages.result),
        "centre": outlook.centre.tolist(),
        "spread": outlook.spread.tolist(),
        "step": outlook.step.tolist(),
        "low": outlook.low.tolist(),
        "high": outlook.high.tolist(),
        "walking": walking.tolist(),
        "steps": STEPS,
        "base": _floats(base),
        "weight": _floats(p["beta"] + slopes),
        "result_base": _floats(result_base),
        "result_weight": _floats(p["result_beta"]),
        "error": _floats(np.broadcast_to(parts.error[:, 0, :] @ stages.latent, (len(base), len(names)))),
        "days_mean": _floats(parts.length.mean + parts.length.shift),
        "days_sd": _floats(np.broadcast_to(parts.length.sd, parts.length.mean.shape)),
        "noise": _packed(noise.astype("<i2")),
        "ongoing": _ongoing(parts.length, outlook),
    }


def _slider(data: Data, name: str, place: int, scaling: Any, outlook: Any) -> dict[str, Any]:
    """Return an indicator that can be set: its place, scale, range, usual values and present value."""
    entry, usual = data.codebook.indicators[name], usual_range(data, name)
    present = float(outlook.centre[0, place] * scaling["scale"] + scaling["location"])
    return {
        "name": name, "label": entry.label, "place": place, "location": float(scaling["location"]), "scale": float(scaling["scale"]),
        "least": entry.range[0], "most": entry.range[1], "usual": list(usual), "now": present,
    }  # fmt: skip


def _wiring(wiring: Any) -> dict[str, list[int]]:
    return {
        "first": wiring.first.tolist(),
        "second": wiring.second.tolist(),
        "target": wiring.target.argmax(axis=1).tolist() if len(wiring.target) else [],
    }


def _ongoing(length: Any, outlook: Any) -> list[dict[str, Any]]:
    """Return for each challenge under way what its age says of its success, and when it would take effect."""
    found = []
    for kind, days in zip(outlook.ongoing.kind, outlook.ongoing.days, strict=True):
        mean, sd = length.mean[:, kind], length.sd[:, kind]
        removes = mean + length.shift[:, kind]
        so_far, until = (log_ndtr((removes - np.log(day + 1.0)) / sd) for day in (days, days + _ahead(outlook)))
        fails = log_ndtr((mean - np.log(days + 1.0)) / sd)
        found.append({
            "kind": KINDS[kind], "place": kind, "news": _floats(so_far - fails), "done": _floats(-np.expm1(until - so_far)),
        })  # fmt: skip
    return found


def _ahead(outlook: Any) -> float:
    return float(outlook.years.sum() * YEAR)


def _floats(values: Any) -> str:
    return _packed(np.ascontiguousarray(values, dtype="<f4"))


def _packed(values: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
