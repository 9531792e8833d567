"""Write docs/skill.md from three backtests: python docs/skill.py TEST.csv CHOSEN.csv EARLIER.csv, as `forecast backtest --out` wrote them.

TEST.csv has the decade that is only looked at, CHOSEN.csv the years on which the spec was chosen, EARLIER.csv years before them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from forecast.scores import log_score

OUTCOMES = ("coup_attempt", "coup_success", "coup_failed", "uprising_removal", "uprising")
# Of the first look at 2001-2010: log scores of ours and of the logit, and the events that ours expected. Its whole tables
# are in this page's history; the forecasts were not kept.
FIRST_LOOK = {
    "coup_attempt": (0.0582, 0.0573, 30.3),
    "coup_success": (0.0355, 0.0340, 15.6),
    "coup_failed": (0.0313, 0.0325, 15.3),
    "uprising_removal": (0.0312, 0.0299, 10.0),
    "uprising": (0.1375, 0.1357, 64.2),
}
# Of the second look: log score of ours and the events that it expected; the logit's are those of now.
SECOND_LOOK = {
    "coup_attempt": (0.0576, 29.6),
    "coup_success": (0.0351, 15.3),
    "coup_failed": (0.0311, 14.9),
    "uprising_removal": (0.0308, 10.1),
    "uprising": (0.1371, 62.5),
}
# Log scores of coup attempt, success and failure that were measured by others on 1,666 of these country-years.
MEASURED_BEFORE = {
    "climatology of ten years": (0.0729, 0.0410, 0.0415),
    "random forest": (0.0647, 0.0402, 0.0359),
    "penalised logit": (0.0627, 0.0388, 0.0343),
    "hierarchical logit": (0.0590, 0.0357, 0.0326),
    "aim": (0.0570, 0.0345, 0.0315),
}
# States whose number in Archigos is not in the Correlates of War's list or not in REIGN that year: last origin with one.
UNMATCHED = {"DEU": 1999, "YEM": 1999, "TWN": 1999, "SRB": 2005}
HEAD = """# Skill: forecasts of the coming year for every country

`forecast backtest` fits the panel's spec to what was known on 31 December of each year and asks about the next one. Made by

```
forecast init --panel PANEL --sources SOURCES
forecast backtest --study PANEL --from {first} --to {last} --out TEST.csv
forecast backtest --study PANEL --from 1979 --to 1998 --out CHOSEN.csv
forecast backtest --study PANEL --from 1964 --to 1978 --out EARLIER.csv
python docs/skill.py TEST.csv CHOSEN.csv EARLIER.csv
```

Log score and Brier: mean over country-years, lower is better. Gain: how much lower ours is, with a 90% interval from drawing whole countries again.

## This decade was looked at twice, and forecast a third time

The spec is chosen on forecasts of 1980-1999 only, and the decade was to be looked at once. After the first look one of the indicators was found to look ahead:
`campaign_wave` was divided by every state that its region ever had, also by those that became independent after the origin. Another,
`spending_per_soldier`, was cut off at its scale's upper end. Both are mended, a test moves knowledge dates and watches every indicator, and the decade was
forecast anew. Baselines see the same indicators, so theirs changed too. Between the two looks the model changed as well, and whoever reads the second table
should know that we had seen the first:

- the priors of the two mended indicators keep their size per standard deviation;
- an uprising under way is judged by the conditions under which it began, as in the likelihood, and no longer by today's. On 1980-1999 this left the
  log score of removals by uprising where it was and took the removals expected from uprisings under way from 15.7 to 13.2, where 10 happened;
- three terms more on the result of an uprising: an armed or unarmed campaign under way, and personal rule. On 1980-1999 they took the log score of removals from
  .0320 to .0312 (19 removals in 3,169 country-years). Most of that is within noise: without any term at all it is .0321.

The figures of 1980-1999 in this list are from short fits of the uprisings alone; `forecast backtest --from 1979 --to 1998` makes whole ones. Terms and priors of coup
attempts and their results were not chosen anew: on 1980-1999 nothing said that the model expects too many (128 attempts where 119 happened, see below).

The third time nothing was chosen: the same model, priors and data, sampled in coordinates that are fitted to the posterior (`docs/decisions/README.md`), 1,000 draws a chain
and not 1,500. What differs from the second look is Monte Carlo noise.

What the figures say: against the logit on the same indicators ours is better on failed attempts and not told apart from it on the rest; boosting is better on
successes. Removals by uprising are not surely better forecast than by climatology. About a third too many attempts are expected, in each of their kinds. Of the four figures measured
before, all are beaten on attempts and failures, and the best of them is equalled on successes; the aim is reached on none of the three, on failures by .0002. In 1980-1999,
on which the spec was chosen, ours leads the logit on all five outcomes, with intervals above zero on attempts and successes, and expects about a tenth more attempts and a fifth more successes than happened: nearly
twice as many country-years and five times as many attempts, but years that the choice has seen. In 1965-1979, whose forecasts took no part in the choice, it has the best log score of all seven
models on attempts, failures, uprisings and removals by them, and equals the logit's on successes; intervals are above zero against the logit on failures and uprisings and against
climatology on all five, and about as many events are expected as happened. So the decade's shortfall against the logit and its excess of expected attempts, which rest on 22 attempts, may well be chance.

{looks}
## Beside figures measured before

These figures were measured by others on 1,666 country-years of the decade; ours has 1,700, every country with a leader in Archigos on 31 December. One rule that
gives 1,666 is to ask besides that the state's number in Archigos stands in the Correlates of War's list of states and in REIGN that year. It drops Germany, Yemen and
Taiwan for ten years and Serbia for four, which the lists number differently or leave out, and in which none of these events happened, so scores become a little higher. The
ten-year climatology, which leaves little to choose, comes out within .0001 of the given figures on these rows, so they are probably the same.

{measured_before}
## The years on which the spec was chosen

These twenty origins were sampled in a first form of the fitted coordinates, which gives the same but for Monte Carlo noise.

{chosen}
## Fifteen years before those of the choice

The choice was made on forecasts of 1980-1999, and no forecast of 1965-1979 took part in it. They were made once, with the spec as it stands. They are not wholly innocent: a prior
knows that coups have become rarer, and the forecasts of 1980-1999 had learnt from these years, so that what explains them had better chances to be chosen. `docs/terms.md` had looked at these years a little earlier, with parts of the spec
changed one at a time; nothing was changed for it.

{earlier}
{outcomes}
"""


def label(outcome: str) -> str:
    """Return an outcome in words."""
    return outcome.replace("_", " ").capitalize()


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Return a table whose columns after the first stand to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return ["| " + " | ".join(line) + " |" for line in lines] + [""]


def mean_log(forecasts: pd.DataFrame, model: str, outcome: str) -> float:
    """Return a model's mean log score of an outcome."""
    rows = forecasts[(forecasts["model"] == model) & (forecasts["outcome"] == outcome)]
    return float(log_score(rows["probability"], rows["observed"].astype(float)).mean())


def looks(forecasts: pd.DataFrame, ours: str) -> list[str]:
    """Return the looks beside each other."""
    rows = []
    for outcome, (own, logit, expected) in FIRST_LOOK.items():
        now = forecasts[(forecasts["model"] == ours) & (forecasts["outcome"] == outcome)]
        second, expected_then = SECOND_LOOK[outcome]
        scores = (own, second, mean_log(forecasts, ours, outcome), logit, mean_log(forecasts, "logit", outcome))
        counts = (
            f"{expected:.1f}",
            f"{expected_then:.1f}",
            f"{now['probability'].sum():.1f}",
            f"{now['observed'].sum():.0f}",
        )
        rows.append([label(outcome), *(f"{score:.4f}" for score in scores), *counts])
    head = [
        "log score",
        "ours, first",
        "ours, second",
        "ours, now",
        "logit, first",
        "logit, now",
        "expected, first",
        "expected, second",
        "expected, now",
        "happened",
    ]
    return table(head, rows)


def as_measured_before(forecasts: pd.DataFrame, ours: str) -> list[str]:
    """Return scores on the 1,666 country-years of figures that others measured."""
    last = forecasts["country"].map(UNMATCHED).fillna(9999)
    rows = forecasts[pd.to_datetime(forecasts["origin"]).dt.year <= last]
    outcomes = OUTCOMES[:3]
    size = len(rows[(rows["model"] == ours) & (rows["outcome"] == outcomes[0])])
    happened = [rows[(rows["model"] == ours) & (rows["outcome"] == name)]["observed"].sum() for name in outcomes]
    lines = [[f"{name}, as given", *(f"{score:.4f}" for score in scores)] for name, scores in MEASURED_BEFORE.items()]
    lines += [
        [f"**{model}, here**", *(f"{mean_log(rows, model, name):.4f}" for name in outcomes)]
        for model in (ours, "logit", "boosting", "random_forest", "climatology_10")
    ]
    heads = [f"{label(name)} ({count:.0f})" for name, count in zip(outcomes, happened, strict=True)]
    return [f"Log scores on {size:,} country-years:", "", *table(["log score", *heads], lines)]


def read(out: Path) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    """Return the name of our model, the forecasts of all models and their scores."""
    scores = pd.read_csv(out.with_suffix(".scores.csv"))
    own, others = pd.read_csv(out), pd.read_csv(out.with_suffix(".baselines.csv"))
    ours = next(model for model in scores["model"].unique() if model not in set(others["model"]))
    return ours, pd.concat([own.assign(model=ours), others]), scores


def pool(forecasts: pd.DataFrame, models: list[str]) -> pd.DataFrame:
    """Return the plain average of some models' forecasts."""
    rows = forecasts[forecasts["model"].isin(models)]
    keys = ["country", "target_year", "outcome", "observed"]
    return rows.groupby(keys, as_index=False, observed=True)["probability"].mean().assign(model="pool")


def side_by_side(out: Path) -> list[str]:
    """Return how the models and a pool of them did in the years of a backtest."""
    ours, forecasts, scores = read(out)
    shown = [ours, "logit", "boosting", "random_forest", "climatology_10"]
    forecasts = pd.concat([forecasts, pool(forecasts, shown[:3])])
    kept = scores[scores["rows"] == scores["rows"].iloc[0]].set_index(["score", "model", "outcome"])
    rows = []
    for outcome in OUTCOMES:
        own = forecasts[(forecasts["outcome"] == outcome) & (forecasts["model"] == ours)]
        line = kept.loc[("log_score", "logit", outcome)]
        brier = " / ".join(
            f"{kept.loc[('brier', model, outcome), 'value']:.4f}" for model in (ours, "logit", "climatology_10")
        )
        cells = [f"{mean_log(forecasts, model, outcome):.4f}" for model in (*shown[:3], "pool", *shown[3:])]
        rows.append([f"{label(outcome)} ({own['observed'].sum():.0f})", f"{own['probability'].sum():.0f}", *cells,
                     f"{line['gain']:.4f} ({line['gain_low']:.4f} to {line['gain_high']:.4f})", brier])  # fmt: skip
    years = pd.to_datetime(own["origin"]).dt.year
    title = f"Log scores on {len(own):,} country-years of {years.min() + 1}-{years.max() + 1}; pool: the average of the three before it."
    heads = [*shown[:3], "pool", *shown[3:]]
    return [
        title,
        "",
        *table(
            ["log score", "ours expects", *heads, "gain on logit (90%)", f"Brier: {ours} / logit / climatology_10"],
            rows,
        ),
    ]


def lines_of(scores: pd.DataFrame, forecasts: pd.DataFrame, outcome: str) -> list[str]:
    """Return one outcome's table."""
    own = scores[(scores["outcome"] == outcome) & (scores["rows"] == scores["rows"].iloc[0])]
    wide = own.pivot_table(index="model", columns="score", values="value")
    gain = own[own["score"] == "log_score"].set_index("model")[["gain", "gain_low", "gain_high"]]
    rows = forecasts[(forecasts["outcome"] == outcome) & forecasts["observed"].notna()]
    expected = rows.groupby("model")["probability"].sum()
    happened = rows[rows["model"] == rows["model"].iloc[0]]["observed"].sum()
    columns = [name for name in ("log_score", "brier", "auc", "average_precision") if name in wide]
    body = []
    for model, line in wide.sort_values("log_score").iterrows():
        part = gain.loc[model]
        text = "" if pd.isna(part["gain"]) else "{gain:.4f} ({gain_low:.4f} to {gain_high:.4f})".format(**part)
        body.append([str(model), *(f"{line[name]:.4f}" for name in columns), f"{expected[model]:.1f}", text])
    title = f"## {label(outcome)}: {happened:.0f} in {len(rows) // rows['model'].nunique()} country-years"
    return [title, "", *table(["model", *columns, "expected", "gain of ours on log (90%)"], body)]


def main(test: Path, years: Path, before: Path) -> None:
    """Write the page."""
    ours, forecasts, scores = read(test)
    origins = pd.to_datetime(forecasts["origin"]).dt.year
    text = HEAD.format(
        first=origins.min(),
        last=origins.max(),
        looks="\n".join(looks(forecasts, ours)),
        measured_before="\n".join(as_measured_before(forecasts, ours)),
        chosen="\n".join(side_by_side(years)),
        earlier="\n".join(side_by_side(before)),
        outcomes="\n".join(line for outcome in OUTCOMES for line in lines_of(scores, forecasts, outcome)),
    )
    (Path(__file__).parent / "skill.md").write_text(text.rstrip() + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
