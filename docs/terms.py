"""Say what each part of the panel's spec is worth to its forecasts: python docs/terms.py PANEL > docs/terms.md

PANEL is a study of `forecast init --panel`. Each change of the spec forecasts the years 1965-1999 once more, each from what was known when it began.
So many fits would take days, so parameters stand at the posterior's mode and not in draws from it, which says nothing of uncertainty. With the spec as it
stands the numbers expected and the mean log scores are those of the whole fits in docs/skill.md, to one event and .0001.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import forecast
from forecast.backtest import COUNTRY_OUTCOMES, forecast_countries, list_origins, look_up
from forecast.density import build_density
from forecast.inference import Fit
from forecast.scores import log_score

FIRST, LAST = 1964, 1998
COPIES = 100  # of the mode: the step of the calendar into the coming year is drawn for each
UNUSED = ("excluded", "war_balance", "sanctions", "recent_challenge")
STAGES = ("onset", "result")
SPREADS = {"country_sd": (0.15, 0.5), "group_sd": (0.1, 0.5), "period_sd": (0.1, 0.25)}
WIDTHS = (0.6, 1.6, 2.5)
REGIONAL = ("polyarchy", "infant_mortality", "attempt_history", "campaign")
WIDE = 0.2  # prior sd of an effect per sd of its term, the wider of the two that the spec has
HEAD = """# What each part of the panel's model is worth

Log score of the coming year's forecasts, {countries:,} country-years of {first}-{last}, when one part of `models/panel.toml` is changed: how many nats all forecasts together
become better (+) or worse (-), with the standard error over countries. Twenty of these years are those on which the spec was chosen, so parts that are in flatter
themselves; none after {last} was looked at. Parameters stand at the posterior's mode, which gives the scores of the whole fits in [skill](skill.md) to .0001. Made by

```
forecast init --panel PANEL --sources SOURCES
python docs/terms.py PANEL > docs/terms.md
```

What the tables say: for coups the squared distance from mid democracy and infant mortality carry most; for uprisings population, the same distance, democracy itself and
perhaps the wave of campaigns. One by one most of the other parts are within two standard errors of nothing, since they stand in for each other; all prior sds of the first stage .6 times
as wide cost 5 to 6 nats. Of what was added, widened, narrowed or given to regions, half a nat and two standard errors are gained only by wider priors on the result stage (on
successes, .0002 to .0004 of a mean score, some of which failures lose) and, barely, by a calmer calendar. That is too little to change a spec for, the less as the decade that it is
tested on has been seen and so many changes were tried. So the spec stays.

The spec as it stands: {base}.
"""

Change = dict[str, Any]  # values by their places in the spec


def effects(spec: forecast.Spec, stage: str) -> list[dict[str, Any]]:
    """Return a stage's effects as the spec file has them."""
    return [effect.model_dump() for effect in getattr(spec, stage).effects]


def without(spec: forecast.Spec, term: str) -> Change:
    """Return the change that leaves a term out of both stages."""
    kept = {stage: [one for one in effects(spec, stage) if one["term"] != term] for stage in STAGES}
    return {f"{stage}.effects": own for stage, own in kept.items()}


def beside(spec: forecast.Spec, term: str, sd: float) -> Change:
    """Return the change that adds a term for coups and uprisings."""
    one = {**effects(spec, "onset")[0], "term": term, "on": ["coup", "uprising"], "mean": 0.0, "sd": sd}
    return {"onset.effects": [*effects(spec, "onset"), one]}


def widened(spec: forecast.Spec, stage: str, times: float) -> Change:
    """Return the change that makes the prior sds of a stage's effects so many times as wide."""
    return {f"{stage}.effects": [{**one, "sd": times * one["sd"]} for one in effects(spec, stage)]}


def by_region(spec: forecast.Spec, term: str) -> Change:
    """Return the change that lets a term's effects differ between regions."""
    changed = [
        {**one, "varies_by_group": one["varies_by_group"] or one["term"] == term} for one in effects(spec, "onset")
    ]
    return {"onset.effects": changed}


def other_forms(spec: forecast.Spec) -> dict[str, Change]:
    """Return other spreads of levels, another drift, other widths of effects and regions of their own, by name."""
    forms: dict[str, Change] = {
        f"{place}, mean {mean:g}": {f"onset.{place}": {"mean": mean, "sd": mean / 3}}
        for place, means in SPREADS.items()
        for mean in means
    }
    drift = spec.model_dump()["onset"]["drift"]
    forms["no drift of coups foreseen"] = {"onset.drift": {**drift, "coup": {"mean": 0.0, "sd": 0.1}}}
    forms |= {
        f"effects of the {stage} stage, sds {times:g} times as wide": widened(spec, stage, times)
        for stage in STAGES
        for times in WIDTHS
    }
    return forms | {f"{term}, by region": by_region(spec, term) for term in REGIONAL}


def list_changes(spec: forecast.Spec, sds: pd.Series) -> dict[str, dict[str, Change]]:
    """Return the changes by heading and name; `sds` are those of the unused terms in the model's scale."""
    terms = dict.fromkeys(one["term"] for stage in STAGES for one in effects(spec, stage))
    return {
        "One indicator left out": {term: without(spec, term) for term in terms},
        "One indicator more": {term: beside(spec, term, WIDE / sds[term]) for term in UNUSED},
        "Another form": other_forms(spec),
    }


def foresee(data: forecast.Data, spec: forecast.Spec) -> pd.DataFrame:
    """Return probability and outcome of each country, year and outcome."""
    parts = []
    for origin in list_origins(data, FIRST, LAST):
        view = data.as_of(origin)
        design = forecast.build_design(view, spec)
        ready = build_density(design, spec).whitened()
        mode = ready.name_draws(np.zeros((1, COPIES, ready.size)))
        told = forecast_countries(Fit(mode, design, spec, None, {}), view, seed=1).mean(("chain", "draw"))  # type: ignore[arg-type]
        parts.append(told.to_series().rename("probability").reset_index().assign(target_year=origin.year + 1))
    rows = pd.concat(parts, ignore_index=True)
    return rows.assign(observed=look_up(data.in_frames(spec.frames), rows)).dropna()


def measure(panel: Path, change: Change) -> pd.DataFrame:
    """Return the forecasts under a change of the panel's spec."""
    study = forecast.find_study(panel)
    spec = forecast.load_spec(study.models / "panel.toml")
    return foresee(forecast.load_data(study.data), spec.changed(change))


def scores(rows: pd.DataFrame) -> pd.Series:
    """Return the log score of each forecast in nats, higher is better."""
    nats = -log_score(rows["probability"], rows["observed"].astype(float))
    return pd.Series(np.asarray(nats), pd.MultiIndex.from_frame(rows[["outcome", "country", "target_year"]]))


def compare(rows: pd.DataFrame, base: pd.Series) -> list[str]:
    """Return the gain of each outcome in nats with its standard error over countries."""
    gains = (scores(rows) - base).groupby(["outcome", "country"]).sum()
    return [f"{gains[outcome].sum():+.1f} ({np.sqrt((gains[outcome] ** 2).sum()):.1f})" for outcome in COUNTRY_OUTCOMES]


def summary(rows: pd.DataFrame) -> str:
    """Return the mean log score of each outcome, and how many events were expected and happened."""
    parts = []
    for outcome in COUNTRY_OUTCOMES:
        own = rows[rows["outcome"] == outcome]
        score = -scores(own).mean()
        parts.append(
            f"{outcome.replace('_', ' ')} {score:.4f} ({own['probability'].sum():.0f} expected, {own['observed'].sum():.0f} happened)"
        )
    return "; ".join(parts)


def write(heading: str, gains: dict[str, list[str]]) -> None:
    """Print the gains of some changes as a table, those that cost coup attempts most first."""
    head = [heading, *(outcome.replace("_", " ") for outcome in COUNTRY_OUTCOMES)]
    ordered = sorted(gains.items(), key=lambda item: float(item[1][0].split()[0]))
    lines = [head, ["---", *["---:"] * len(COUNTRY_OUTCOMES)], *([name, *own] for name, own in ordered)]
    print("\n".join("| " + " | ".join(line) + " |" for line in lines), end="\n\n", flush=True)


def main(panel: Path) -> None:
    """Write the page."""
    study = forecast.find_study(panel)
    spec = forecast.load_spec(study.models / "panel.toml")
    changes = list_changes(spec, term_sds(forecast.load_data(study.data), spec))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        first = pool.submit(measure, panel, {})
        jobs = {
            heading: {name: pool.submit(measure, panel, change) for name, change in own.items()}
            for heading, own in changes.items()
        }
        rows = first.result()
        base, years, countries = scores(rows), rows["target_year"], len(rows) // len(COUNTRY_OUTCOMES)
        print(HEAD.format(countries=countries, first=years.min(), last=years.max(), base=summary(rows)))
        for heading, own in jobs.items():
            write(heading, {name: compare(job.result(), base) for name, job in own.items()})


def term_sds(data: forecast.Data, spec: forecast.Spec) -> pd.Series:
    """Return the sd of each unused indicator in the model's scale, in what was known at the end of the last origin."""
    more = effects(spec, "onset") + [{**effects(spec, "onset")[0], "term": term, "on": ["coup"]} for term in UNUSED]
    design = forecast.build_design(data.as_of(f"{LAST}-12-31"), spec.changed({"onset.effects": more}))
    return (design["sd"] / design["scale"]).to_series()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
