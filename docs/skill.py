"""Write docs/skill.md from a backtest's scores: python docs/skill.py FILE.csv, FILE.csv being what `forecast backtest --out` wrote."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

OUTCOMES = ("coup_attempt", "coup_success", "coup_failed", "uprising_removal", "uprising")
HEAD = """# Skill: forecasts of the coming year for every country

`forecast backtest` fits the panel's spec to what was known on 31 December of each year and asks about the next one. The spec was
chosen on forecasts of 1980-1999 only; the decade below was looked at once. Made by

```
forecast init --panel PANEL --sources SOURCES
forecast backtest --study PANEL --from {first} --to {last} --out FILE.csv
python docs/skill.py FILE.csv
```

**A known fault in these figures.** One of the indicators, `campaign_wave`, is divided by every state that its region has in the whole panel, also by those
that became independent after the origin. That is a small look-ahead, in ours and in the logit, forest and boosting beside it, which use the same
indicators. Another, `spending_per_soldier`, is cut off at its scale's upper end. The table has not been made anew without them.

Log score and Brier: mean over country-years, lower is better. Gain: how much lower ours is, with a 90% interval from drawing whole countries again.

"""


def lines_of(scores: pd.DataFrame, forecasts: pd.DataFrame, outcome: str) -> list[str]:
    """Return one outcome's table."""
    own = scores[(scores["outcome"] == outcome) & (scores["rows"] == scores["rows"].iloc[0])]
    wide = own.pivot_table(index="model", columns="score", values="value")
    gain = own[own["score"] == "log_score"].set_index("model")[["gain", "gain_low", "gain_high"]]
    rows = forecasts[(forecasts["outcome"] == outcome) & forecasts["observed"].notna()]
    expected = rows.groupby("model")["probability"].sum()
    happened = rows[rows["model"] == rows["model"].iloc[0]]["observed"].sum()
    head = [
        f"## {outcome.replace('_', ' ').capitalize()}: {happened:.0f} in {len(rows) // rows['model'].nunique()} country-years",
        "",
    ]
    columns = [name for name in ("log_score", "brier", "auc", "average_precision") if name in wide]
    head += [
        "| model | " + " | ".join(columns) + " | expected | gain of ours on log (90%) |",
        "|---|" + "---:|" * (len(columns) + 2),
    ]
    body = []
    for model, line in wide.sort_values("log_score").iterrows():
        part = gain.loc[model] if model in gain.index else None
        text = (
            ""
            if part is None or pd.isna(part["gain"])
            else f"{part['gain']:.4f} ({part['gain_low']:.4f} to {part['gain_high']:.4f})"
        )
        body.append(
            f"| {model} | "
            + " | ".join(f"{line[name]:.4f}" for name in columns)
            + f" | {expected.get(model, float('nan')):.1f} | {text} |"
        )
    return [*head, *body, ""]


def main(out: Path) -> None:
    """Write the page."""
    scores = pd.read_csv(out.with_suffix(".scores.csv"))
    ours = pd.read_csv(out)
    others = pd.read_csv(out.with_suffix(".baselines.csv"))
    name = next(model for model in scores["model"].unique() if model not in set(others["model"]))
    forecasts = pd.concat([ours.assign(model=name), others])
    origins = pd.to_datetime(ours["origin"]).dt.year
    parts = [line for outcome in OUTCOMES for line in lines_of(scores, forecasts, outcome)]
    text = HEAD.format(first=origins.min(), last=origins.max()) + "\n".join(parts)
    (Path(__file__).parent / "skill.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
