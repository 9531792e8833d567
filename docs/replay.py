"""Replay episodes month by month as they could be seen at the time: the first month sampled, then updates.

python docs/replay.py [NAME ...] [--news] [--refits N] [--study DIR] [--out DIR] [--spec NAME]

For each episode: docs/pictures/replay_NAME.svg and docs/replays/NAME.csv, and a line in docs/replays.md. Months that are in the CSV
are not made again. With --news the picture shows what each month's news did; with --refits N every Nth month is
sampled as well, to compare numbers and seconds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

import forecast
from forecast.changes import explain_change
from forecast.data import Data
from forecast.drawing import LABELS
from forecast.files import write_atomically
from forecast.inference import Fit, fit
from forecast.plots import COLOURS, STYLE, to_svg
from forecast.prediction import predict, summarise
from forecast.spec import Spec
from forecast.update import sampled_fit, update

DOCS = Path(__file__).parent
HORIZON = 12
EPISODES = {
    "russia_2022": ("RUS", "2022-01-31", None),
    "ukraine_2013": ("UKR", "2013-06-30", "2014-01-31"),
    "kyrgyzstan_2004": ("KGZ", "2004-06-30", "2005-02-28"),
    "belarus_2020": ("BLR", "2020-03-31", "2020-12-31"),
    "russia_1903": ("RUS", "1903-12-31", "1907-12-31"),
    "russia_1914": ("RUS", "1914-06-30", "1917-02-28"),
}
REMOVALS = ("coup", "revolution")
SHOWN = 6  # parts of the news that have a colour of their own


def replay(
    study: Any, data: Data, spec: Spec, country: str, months: pd.DatetimeIndex, *, news: bool, refits: int, kept: Path
) -> pd.DataFrame:
    """Return one line per month, outcome and quantity; what is in the kept file is not made again."""
    lines = pd.read_csv(kept).to_dict("records") if kept.exists() else []
    done = {line["month"] for line in lines}
    before: tuple[Fit, Data] | None = None
    root: Fit | None = None
    for number, month in enumerate(months):
        view = data.as_of(month.date())
        if str(month.date()) in done:
            continue
        if root is None:
            root = sampled_fit(study.build, view, spec)
        began = time.perf_counter()
        result = update(root, view) if root.provenance["data_digest"] != view.digest else root
        table = summarise(predict(result, view, country, HORIZON))
        seconds = time.perf_counter() - began
        facts = result.provenance.get("update", {"method": "sampled"})
        if facts["method"] == "refitted":
            root = result
        fixed = {"month": str(month.date()), "method": facts["method"], "k": facts.get("k", np.nan), "share": facts.get("share", 1.0), "seconds": round(seconds, 2)}  # fmt: skip
        lines += [{**fixed, "outcome": name, "part": "probability", **line} for name, line in table.round(6).to_dict("index").items()]  # fmt: skip
        if news:
            earlier = before or (root, data.as_of((month - pd.offsets.MonthEnd()).date()))
            lines += [{**fixed, **line} for line in _news(earlier, (root, view), country)]
        if refits and number % refits == 0 and facts["method"] == "reweighted":
            lines += [{**fixed, **line} for line in _refit(view, spec, country)]
        before = (root, view)
        write_atomically(kept, pd.DataFrame(lines).to_csv(index=False))
        print(month.date(), facts["method"], f"{seconds:.1f} s", table["probability"].round(4).to_dict(), flush=True)
    return pd.DataFrame(lines)


def _news(earlier: tuple[Fit, Data], now: tuple[Fit, Data], country: str) -> list[dict[str, Any]]:
    try:
        table = explain_change(earlier, now, country, HORIZON)
    except forecast.ForecastError:
        return []  # another leader: another question
    parts = table.drop(index=["before", "after"])[list(REMOVALS)]
    flat = parts.stack().reset_index().set_axis(["part", "outcome", "probability"], axis=1)
    return flat[flat["probability"] != 0].round(6).to_dict("records")


def _refit(view: Data, spec: Spec, country: str) -> list[dict[str, Any]]:
    began = time.perf_counter()
    table = summarise(predict(fit(view, spec), view, country, HORIZON))
    seconds = round(time.perf_counter() - began, 2)
    return [{"outcome": name, "part": "refit", "seconds": seconds, **line} for name, line in table.round(6).to_dict("index").items()]  # fmt: skip


def draw(lines: pd.DataFrame, data: Data, country: str) -> str:
    """Return the probabilities of removal through time, and below what each month's news did to them."""
    main = lines[lines["part"] == "probability"]
    news = lines[~lines["part"].isin(["probability", "refit"])]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 5.6 if len(news) else 3.4))
        grid = figure.subplots(2 if len(news) else 1, 2, sharex=True, squeeze=False)
        for column, outcome in enumerate(REMOVALS):
            own = main[main["outcome"] == outcome].sort_values("month")
            days, axes, colour = pd.to_datetime(own["month"]), grid[0][column], COLOURS[outcome]
            axes.fill_between(days, own["p05"], own["p95"], color=colour, alpha=0.15, linewidth=0)
            axes.fill_between(days, own["p25"], own["p75"], color=colour, alpha=0.3, linewidth=0)
            axes.plot(days, own["probability"], color=colour, linewidth=2)
            fresh = own[own["method"] != "reweighted"]
            axes.plot(pd.to_datetime(fresh["month"]), fresh["probability"], "o", color=colour, markersize=4)
            axes.set_title(f"{LABELS[outcome]} within {HORIZON} months; dots: sampled", fontsize=9, loc="left")
            axes.set_ylim(0, None)
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
            for event in data.events[(data.events["country"] == country) & data.events["start"].between(days.min(), days.max())].itertuples():  # fmt: skip
                axes.axvline(event.start, color="black", linewidth=0.8, linestyle=":")
            if len(news):
                _draw_news(grid[1][column], news[news["outcome"] == outcome])
        figure.autofmt_xdate(rotation=0, ha="center")
        figure.subplots_adjust(left=0.07, right=0.98, top=0.94, bottom=0.09, hspace=0.2, wspace=0.16)
    return to_svg(figure)


def _draw_news(axes: Any, news: pd.DataFrame) -> None:
    table = news.pivot_table(index="month", columns="part", values="probability", aggfunc="sum", fill_value=0.0)
    order = table.abs().sum().sort_values(ascending=False).index
    days, up, down = pd.to_datetime(table.index), np.zeros(len(table)), np.zeros(len(table))
    palette = ["#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9"]
    for place, name in enumerate(order):
        value = table[name].to_numpy()
        colour, label = (palette[place], name.replace("_", " ")) if place < SHOWN else ("#BBBBBB", None)
        axes.bar(days, value, width=24, bottom=np.where(value > 0, up, down), color=colour, label=label)
        up, down = up + np.maximum(value, 0), down + np.minimum(value, 0)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_title("what the month's news did", fontsize=9, loc="left")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    if len(order):
        axes.legend(fontsize=7, frameon=False, ncols=2)


def figures_of(name: str, lines: pd.DataFrame) -> str:
    """Return a line of the table: months, updates and refits, seconds, and the distance to samples made beside them."""
    main = lines[(lines["part"] == "probability") & (lines["outcome"] == "coup")]
    update_seconds = main.loc[main["method"] == "reweighted", "seconds"]
    beside = lines[lines["part"] == "refit"].merge(lines[lines["part"] == "probability"], on=["month", "outcome"])
    gap = f"{(beside['probability_x'] - beside['probability_y']).abs().max():.4f}" if len(beside) else "-"
    cost = f"{beside['seconds_x'].mean():.0f}" if len(beside) else "-"
    counts = main["method"].value_counts()
    return (
        f"| {name} | {len(main)} | {counts.get('reweighted', 0)} | {counts.get('refitted', 0)} | {update_seconds.median():.1f} | {cost} | {gap} |"
    )  # fmt: skip


HEAD = [
    "# Episodes replayed month by month",
    "",
    f"Made by `python docs/replay.py`. Each month is forecast over {HORIZON} months from what was known on its last day: the first is sampled, the",
    "later ones are updates. Seconds are wall clock on the machine that made them; the distance is the largest between the",
    "probabilities of an update and of a sample made beside it. The readings were coded later, by people who knew the outcome.",
    "",
    "| episode | months | reweighted | refitted | median seconds of an update | seconds of a sample | largest distance |",
    "|---|---:|---:|---:|---:|---:|---:|",
]


def main() -> None:
    """Replay the episodes that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(EPISODES))
    parser.add_argument("--news", action="store_true")
    parser.add_argument("--refits", type=int, default=0)
    parser.add_argument("--study", type=Path, default=DOCS.parent)
    parser.add_argument("--out", type=Path, default=DOCS)
    parser.add_argument("--spec", default="default")
    given = parser.parse_args()
    study = forecast.find_study(given.study)
    data, spec = forecast.load_data(study.data), forecast.load_spec(study.models / f"{given.spec}.toml")
    for name in given.names or EPISODES:
        country, first, last = EPISODES[name]
        months = pd.date_range(first, last or data.known_to, freq="ME")
        kept = given.out / "replays" / f"{name}.csv"
        lines = replay(study, data, spec, country, months, news=given.news, refits=given.refits, kept=kept)
        write_atomically(given.out / "pictures" / f"replay_{name}.svg", draw(lines, data, country))
    made = sorted((given.out / "replays").glob("*.csv"))
    rows = [figures_of(path.stem, pd.read_csv(path)) for path in made]
    pictures = [f"\n![{path.stem}](pictures/replay_{path.stem}.svg)" for path in made]
    write_atomically(given.out / "replays.md", "\n".join([*HEAD, *rows, *pictures]) + "\n")
    print(*rows, sep="\n")


if __name__ == "__main__":
    main()
