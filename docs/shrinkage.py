"""Compare ways to hold the panel's effects small by what they foresaw of the eighties and the nineties: python docs/shrinkage.py PANEL

PANEL is a study of `forecast init --panel`. Each form is fitted to what was known at the end of 1979 and of 1989, and scored on the
country-years of the ten years after it, given the readings of their time: exits, challenges and their results together, in nats.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import forecast
from forecast.multiverse import score_ahead
from forecast.prediction import thinned

ORIGINS = (1979, 1989)
AHEAD = 10  # years
ALIKE = 0.3  # prior sd of every effect where the spec's own are not used
DRAWS = 400  # that are scored
LOOSE = {"gate.rhat": 1.05, "gate.ess": 60, "gate.divergences": 20}  # enough for a difference between forms
FORMS: dict[str, dict[str, Any] | None] = {
    "each effect's own fixed sd (as it stands)": None,
    f"one fixed sd of {ALIKE}": {},
    "ridge: one sd for each cause, learnt": {"form": "ridge", "scale": 1.0},
    "regularised horseshoe": {"form": "horseshoe", "scale": 0.1},
}


def shaped(spec: forecast.Spec, form: dict[str, Any] | None) -> forecast.Spec:
    """Return the spec under one form; all but the first know nothing of single effects."""
    if form is None:
        return spec
    changes: dict[str, Any] = {}
    for stage in ("onset", "result"):
        own = getattr(spec, stage).effects
        changes[f"{stage}.effects"] = [{**effect.model_dump(), "mean": 0.0, "sd": ALIKE} for effect in own]
        changes[f"{stage}.shrinkage"] = form or None
    return spec.changed(changes)


def score(data: forecast.Data, spec: forecast.Spec, year: int) -> tuple[pd.Series, str]:
    """Return the log score of each later country-year, and how well the fit mixed."""
    fitted = forecast.fit(data.as_of(f"{year}-12-31"), spec)
    mixed = fitted.diagnostics
    told = score_ahead(thinned(fitted, DRAWS), data.as_of(f"{year + AHEAD}-12-31"), spec.sampling.seed)
    return pd.Series(told), f"R-hat {mixed.rhat[0]:.3f}, {mixed.divergences} divergences"


def main(folder: Path) -> None:
    """Print one line for each form and decade: its score, and the difference to the first with its standard error."""
    study = forecast.find_study(folder)
    data, spec = forecast.load_data(study.data), forecast.load_spec(study.models / "panel.toml")
    spec = spec.changed({**{f"sampling.{name}": 500 for name in ("draws", "tune")}, **LOOSE})
    print(
        "| form | decade | country-years | score | to the first | standard error | mixing |\n|---|---|---:|---:|---:|---:|---|"
    )
    for year in ORIGINS:
        first = None
        for name, form in FORMS.items():
            told, mixed = score(data, shaped(spec, form), year)
            first = told if first is None else first
            gap = (told - first).dropna()
            error = np.sqrt(len(gap)) * gap.std()
            print(f"| {name} | {year + 1}-{year + AHEAD} | {len(told)} | {told.sum():.1f} | {gap.sum():+.1f} | {error:.1f} | {mixed} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
