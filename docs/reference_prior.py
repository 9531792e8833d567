"""Build models/reference_prior.json from a panel study: python docs/reference_prior.py PANEL

The states of the census are left out of the panel, so that nothing that happened in them counts twice. Kept are the base
rates and those effects of the panel's spec that the default spec has on the same scale.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import forecast
from forecast.files import write_atomically
from forecast.inference import fit_or_load

ROOT = Path(__file__).parent.parent
SHARED = ("tenure", "polyarchy")


def without(data: forecast.Data, countries: set[str]) -> forecast.Data:
    """Return a study without some countries."""
    kept = {name: getattr(data, name) for name in ("countries", "leaders", "events", "indicators")}
    return replace(data, **{
        name: table[~table["country"].isin(countries)].reset_index(drop=True) for name, table in kept.items()
    })  # fmt: skip


def lessons(fitted: forecast.Fit) -> tuple[list[str], np.ndarray]:
    """Return the names and draws of what is passed on; a base rate is that of a region not seen before."""
    posterior, rng = fitted.posterior, np.random.default_rng(1)
    new = posterior["group_effect_sd"].to_numpy()
    rates = posterior["baseline"].to_numpy() + new * rng.normal(size=new.shape)
    labels = [str(name) for name in posterior["effect"].to_numpy() if str(name).split(" on ")[0] in SHARED]
    effects = posterior["beta"].sel(effect=labels).to_numpy()
    names = [*(str(cause) for cause in posterior["cause"].to_numpy()), *labels]
    return names, np.concatenate([rates, effects], axis=-1).reshape(-1, len(names))


def main(folder: Path) -> None:
    """Fit the panel and write the file."""
    panel, study = forecast.find_study(folder), forecast.find_study(ROOT)
    census = set(forecast.load_data(study.data).in_frames(("post_soviet_census",)).countries["country"])
    data = without(forecast.load_data(panel.data), census)
    fitted, _ = fit_or_load(panel.build, data, forecast.load_spec(study.models / "panel.toml"))
    fitted.require_gate()
    names, draws = lessons(fitted)
    each = {
        name: {"mean": round(float(m), 4), "sd": round(float(s), 4)}
        for name, m, s in zip(names, draws.mean(0), draws.std(0), strict=True)
    }
    content = {
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
    write_atomically(ROOT / "models" / "reference_prior.json", json.dumps(content, indent=1) + "\n")
    print(json.dumps(each, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
