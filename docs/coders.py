"""Fit the model with the first coder's readings, the second's, and both; writes docs/coders.md.

The second coder did not code sanctions, hardship and electoral democracy; for those the first one's stand in every fit.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

import forecast
from forecast.inference import fit_or_load
from forecast.prediction import predict, summarise

COUNTRIES = ("RUS", "UKR", "BLR", "GEO", "KGZ", "KAZ")


def by_coder(data: forecast.Data, coder: str) -> forecast.Data:
    """Return the data with one coder's readings wherever both coded."""
    readings = data.indicators
    twice = readings.groupby("indicator")["coder"].transform("nunique") > 1
    kept = readings[~twice | (readings["coder"] == coder)].reset_index(drop=True)
    return replace(data, indicators=kept)


def reading(table: pd.DataFrame, widths: pd.DataFrame) -> list[str]:
    """Return what the table says, in two sentences; widths are those of the 90% intervals with both coders."""
    first, second = (table.xs(name, level="readings of") for name in ("first coder", "second coder"))
    gaps, moved = (first - second).abs().stack(), ((first - second).abs() / widths).stack()
    country, outcome = gaps.idxmax()
    words, rest = outcome.replace("_", " "), gaps.drop(country).max()
    one, other = first.at[country, outcome], second.at[country, outcome]
    return [
        f"From one coder to the other no probability moves by more than {100 * gaps.max():.1f} points ({country}, {words}:",
        f"{one:.1%} against {other:.1%}), and outside {country} by no more than {100 * rest:.1f}.",
        f"That is at most {moved.max():.0%} of the width of the 90% interval of the same probability, so who coded matters little beside",
        "what the few events leave open; what both coders share, the literature and the days of change, this cannot show.",
    ]


def main() -> None:
    """Write the table."""
    study = forecast.find_study(Path(__file__).parent.parent)
    data, spec = forecast.load_data(study.data), forecast.load_spec(study.models / "default.toml")
    views = {"first coder": by_coder(data, "A"), "second coder": by_coder(data, "B"), "both": data}
    columns, widths = {}, {}
    for name, view in views.items():
        fitted, _ = fit_or_load(study.build, view, spec)
        fitted.require_gate()
        for country in COUNTRIES:
            summary = summarise(predict(fitted, view, country))
            columns[country, name], widths[country] = summary["probability"], summary["p95"] - summary["p05"]
    table = pd.DataFrame(columns).T.rename_axis(["country", "readings of"])
    lines = [
        f"| {country} | {name} | " + " | ".join(f"{value:.1%}" for value in line) + " |"
        for (country, name), line in table.iterrows()
    ]
    head = [
        "# One coder, the other, both",
        "",
        f"Made by `python docs/coders.py`: probabilities over 24 months from {data.known_to}.",
        "",
        *reading(table, pd.DataFrame(widths).T),
        "",
        "| country | readings of | " + " | ".join(name.replace("_", " ") for name in table.columns) + " |",
        "|---|---|" + "---:|" * len(table.columns),
    ]
    order = sorted(range(len(lines)), key=lambda place: place % len(COUNTRIES))
    text = "\n".join([*head, *(lines[place] for place in order)]) + "\n"
    (Path(__file__).parent / "coders.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
