"""What the priors of the default spec say before any event is seen; writes docs/prior.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pymc as pm

import forecast
from forecast.schema import CAUSES, RESULTS

DRAWS = 500


def main() -> None:
    """Draw from the prior over the real leader-years and write the table."""
    study = forecast.find_study(Path(__file__).parent.parent)
    spec = forecast.load_spec(study.models / "default.toml")
    design = forecast.build_design(forecast.load_data(study.data), spec)
    with forecast.build_model(design, spec):
        drawn = pm.sample_prior_predictive(DRAWS, random_seed=1)["prior_predictive"].to_dataset().isel(chain=0)
    years = float(design["exposure"].sum())
    lines = [
        "# What the priors say",
        "",
        f"Made by `python docs/prior.py`: {DRAWS} draws of the default spec's prior over the {years:.0f} leader-years that it is fitted to.",
        "",
        "| quantity | 5% | median | 95% | what happened |",
        "|---|---:|---:|---:|---:|",
    ]
    odds = {}
    for cause in CAUSES:
        rate = 100 / years * drawn["onset"].sel(cause=cause).sum("row").to_numpy()
        seen = 100 / years * float(design["events"].sel(cause=cause).sum())
        odds[cause] = " to one in ".join(f"{100 / value:.0f}" for value in np.quantile(rate, [0.05, 0.95]))
        lines.append(f"| {cause.replace('_', ' ')} per 100 leader-years | {_quantiles(rate, '.1f')} | {seen:.1f} |")
    result, known = drawn["result"].to_numpy(), design["result"].to_numpy()
    kinds = design["challenge_kind"].to_numpy()[known >= 0]
    for kind in ("coup", "uprising"):
        share = (result[:, kinds == kind] == RESULTS.index("removed")).mean(axis=1)
        seen = (known[known >= 0][kinds == kind] == RESULTS.index("removed")).mean()
        lines.append(f"| share of {kind} challenges that remove the leader | {_quantiles(share, '.0%')} | {seen:.0%} |")
    lines += [
        "",
        f"The ranges are wide and none of them absurd to a historian: from one coup attempt in {odds['coup']} leader-years, uprisings from one in",
        f"{odds['uprising']}, and success from rare to usual. The reference prior is in them; without it they are wider still.",
    ]
    text = "\n".join(lines) + "\n"
    (Path(__file__).parent / "prior.md").write_text(text, encoding="utf-8")
    print(text)


def _quantiles(values: np.ndarray, form: str) -> str:
    return " | ".join(f"{value:{form}}" for value in np.quantile(values, [0.05, 0.5, 0.95]))


if __name__ == "__main__":
    main()
