"""Build models/reference_prior.json from a panel study, and say what it does: python docs/reference_prior.py PANEL

The states of the census are left out of the panel, so that nothing that happened in them counts twice. Kept are the base
rates and those effects that the default spec has on the same scale. They are fitted under wide priors, because what the
default spec believes beforehand is added when the file is used.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import forecast
from forecast.files import write_atomically
from forecast.inference import fit_or_load
from forecast.schema import KINDS

ROOT = Path(__file__).parent.parent
WIDE = 1.0  # prior sd of what is passed on
SHARED = {
    "tenure": {"varies_by_group": False},
    "polyarchy": {"varies_by_group": False},
    "war_balance": {"varies_by_group": True},
    "sanctions": {"varies_by_group": True},
}
REPLACED = ("sanction_cases", "inter_state_conflict")  # what the panel's spec has in place of the last two


def without(data: forecast.Data, countries: set[str]) -> forecast.Data:
    """Return a study without some countries."""
    kept = {name: getattr(data, name) for name in ("countries", "leaders", "events", "indicators")}
    return replace(data, **{
        name: table[~table["country"].isin(countries)].reset_index(drop=True) for name, table in kept.items()
    })  # fmt: skip


def teaching(spec: forecast.Spec) -> forecast.Spec:
    """Return the panel's spec with the effects that are passed on, under wide priors."""
    on = {effect.term: effect.on for effect in spec.onset.effects}
    kept = [e.model_dump() for e in spec.onset.effects if e.term not in (*SHARED, *REPLACED)]
    shared = [
        {"term": term, "on": on.get(term, KINDS), "mean": 0.0, "sd": WIDE, **more} for term, more in SHARED.items()
    ]
    return spec.changed({"onset.effects": [*shared, *kept]}, name="panel-reference")


def lessons(fitted: forecast.Fit) -> tuple[list[str], np.ndarray]:
    """Return the names and draws of what is passed on: base rates and effects of a region not seen before."""
    posterior, rng = fitted.posterior, np.random.default_rng(1)
    new = posterior["group_effect_sd"].to_numpy()
    rates = posterior["baseline"].to_numpy() + new * rng.normal(size=new.shape)
    labels = [str(name) for name in posterior["effect"].to_numpy() if str(name).split(" on ")[0] in SHARED]
    effects = posterior["beta"].sel(effect=labels).to_numpy().copy()
    for slope in posterior["slope"].to_numpy():
        spread = posterior["group_slope_sd"].sel(slope=slope).to_numpy()
        effects[..., labels.index(str(slope))] += spread * rng.normal(size=spread.shape)
    names = [*(str(cause) for cause in posterior["cause"].to_numpy()), *labels]
    return names, np.concatenate([rates, effects], axis=-1).reshape(-1, len(names))


def describe(names: list[str], draws: np.ndarray, fitted: forecast.Fit) -> dict[str, Any]:
    """Return the file's content."""
    each = {
        name: {"mean": round(float(m), 4), "sd": round(float(s), 4)}
        for name, m, s in zip(names, draws.mean(0), draws.std(0), strict=True)
    }
    return {
        "about": "Base rates per leader-year (log, average indicators, a region not seen before) and effects per half range, of all "
        "states but those of the census",
        "baseline": {name: each[name] for name in names[:3]},
        "effects": {name: each[name] for name in names[3:]},
        "parameters": names,
        "covariance": np.cov(draws.T).round(5).tolist(),
        "provenance": {
            **fitted.provenance,
            "rebuild": "forecast init --panel PANEL --sources SOURCES; python docs/reference_prior.py PANEL",
        },
    }


def main(folder: Path) -> None:
    """Fit the panel, write the file, and print what it does to the priors of the default spec."""
    panel, study = forecast.find_study(folder), forecast.find_study(ROOT)
    census = set(forecast.load_data(study.data).in_frames(("post_soviet_census",)).countries["country"])
    data = without(forecast.load_data(panel.data), census)
    fitted, _ = fit_or_load(panel.build, data, teaching(forecast.load_spec(study.models / "panel.toml")))
    fitted.require_gate()
    content = describe(*lessons(fitted), fitted)
    write_atomically(study.models / "reference_prior.json", json.dumps(content, indent=1) + "\n")
    plain = forecast.load_spec(study.models / "default.toml", "no_reference")
    informed = forecast.load_spec(study.models / "default.toml")
    print(f"{'':<28}{'panel':>14}{'without it':>16}{'default prior':>16}")
    for name, lesson in {**content["baseline"], **content["effects"]}.items():
        print(f"{name:<28}{_pair(lesson['mean'], lesson['sd'])}{_prior(plain, name)}{_prior(informed, name)}")


def _pair(mean: float, sd: float) -> str:
    return f"{mean:9.2f} ({sd:.2f})"


def _prior(spec: forecast.Spec, name: str) -> str:
    if name in spec.onset.baseline:
        prior = spec.onset.baseline[name]
        return _pair(prior.mean, prior.sd)
    found = [e for e in spec.onset.effects for cause in e.on if f"{e.term} on {cause}" == name]
    return _pair(found[0].mean, found[0].sd) if found else f"{'-':>16}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
