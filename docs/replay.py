"""Replay episodes month by month as they could be seen at the time: the first month sampled, then updates.

python docs/replay.py [NAME ...] [--news] [--refits N] [--study DIR] [--out DIR] [--spec NAME]

For each episode: docs/pictures/replay_NAME.svg and docs/replay/NAME.csv, and a section of docs/replay.md. Months that are in the CSV
are not made again. With --news the picture shows what each month's news did; with --refits N every Nth month is
sampled as well, to compare numbers and seconds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import arviz_stats
import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.dates import AutoDateLocator
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

import forecast
from forecast.changes import NOISE, explain_change
from forecast.data import Data
from forecast.drawing import LABELS
from forecast.files import write_atomically
from forecast.inference import Fit, fit, fit_or_load
from forecast.plots import COLOURS, STYLE, to_svg
from forecast.prediction import predict, summarise, thinned
from forecast.spec import Spec
from forecast.update import update

DOCS = Path(__file__).parent
HORIZON = 12
NEWS_DRAWS = 2000
EPISODES = {
    "russia_2022": ("RUS", "2022-01-31", None, None),
    "ukraine_2013": ("UKR", "2013-06-30", "2014-01-31", None),
    "kyrgyzstan_2004": ("KGZ", "2004-06-30", "2005-02-28", None),
    "belarus_2020": ("BLR", "2020-03-31", "2020-12-31", None),
    "russia_1903": ("RUS", "1902-12-31", "1907-12-31", "few_lengths"),  # how long challenges last was hardly known
    "russia_1914": ("RUS", "1914-06-30", "1917-10-31", "few_lengths"),
}
REMOVALS = ("coup", "revolution")
SHOWN = 6  # parts of the news that have a colour of their own
OTHERS = "the others and noise"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#BBBBBB")


def replay(
    study: Any, data: Data, spec: Spec, country: str, months: pd.DatetimeIndex, *, news: bool, refits: int, kept: Path
) -> pd.DataFrame:
    """Return one line per month, outcome and quantity; what is in the kept file is not made again."""
    lines = pd.read_csv(kept).to_dict("records") if kept.exists() else []
    done = {line["month"] for line in lines}
    root: Fit | None = None
    for number, month in enumerate(months):
        view = data.as_of(month.date())
        if str(month.date()) in done:
            continue
        if root is None:
            root, _ = fit_or_load(study.build, data.as_of(months[0].date()), spec)
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
            earlier = data.as_of((month - pd.offsets.MonthEnd()).date())
            lines += [{**fixed, **line} for line in _news(root, earlier, view, country)]
        if refits and number % refits == 0 and facts["method"] == "reweighted":
            lines += [{**fixed, **line} for line in _refit(view, spec, country, facts["share"])]
        write_atomically(kept, pd.DataFrame(lines).to_csv(index=False))
        print(month.date(), facts["method"], f"{seconds:.1f} s", table["probability"].round(4).to_dict(), flush=True)
    return pd.DataFrame(lines)


def _news(root: Fit, earlier: Data, view: Data, country: str) -> list[dict[str, Any]]:
    """Return what a month's news did, by weights on some of the draws of one sample, so that its noise cancels."""
    small = thinned(root, NEWS_DRAWS)
    try:
        table = explain_change((small, earlier), (small, view), country, HORIZON)
    except forecast.ForecastError:
        return []  # another leader: another question
    parts = table.drop(index=["before", "after"])[list(REMOVALS)]
    flat = parts.stack().reset_index().set_axis(["part", "outcome", "probability"], axis=1)
    return flat[flat["probability"] != 0].round(6).to_dict("records")


def _refit(view: Data, spec: Spec, country: str, share: float) -> list[dict[str, Any]]:
    """Return a sample's probabilities, with the standard error of their distance to those of an update."""
    began = time.perf_counter()
    result = predict(fit(view, spec), view, country, HORIZON)
    table = summarise(result)
    seconds = round(time.perf_counter() - began, 2)
    last = result.probability.isel(month=-1)
    table["error"] = last.std(("chain", "draw")).to_numpy() * np.sqrt(
        (1 + 1 / share) / arviz_stats.ess(last).to_numpy()
    )
    return [{"outcome": name, "part": "refit", "seconds": seconds, **line} for name, line in table.round(6).to_dict("index").items()]  # fmt: skip


def draw(lines: pd.DataFrame, data: Data, country: str) -> str:
    """Return the probabilities of removal through time, and below what each month's news did to them."""
    main = lines[lines["part"] == "probability"]
    news = lines[~lines["part"].isin(["probability", "refit"])]
    days = pd.to_datetime(main["month"])
    own = data.events[(data.events["country"] == country) & data.events["start"].between(days.min(), days.max())]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 6.2 if len(news) else 3.4))
        grid = figure.subplots(2 if len(news) else 1, 2, sharex=True, squeeze=False)
        for outcome, column in zip(REMOVALS, grid.T, strict=True):
            _draw_probability(column[0], main[main["outcome"] == outcome].sort_values("month"), outcome)
            for start in own["start"]:
                column[0].axvline(start, color="black", linewidth=0.8, linestyle=":")
        if len(news):
            _draw_news(figure, grid[1], news)
        for axes in grid.ravel():
            axes.tick_params(labelsize=8)
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
            axes.yaxis.set_major_locator(MaxNLocator(5))
            axes.xaxis.set_major_locator(AutoDateLocator(maxticks=8))
        figure.subplots_adjust(
            left=0.07, right=0.98, top=0.95, bottom=0.16 if len(news) else 0.1, hspace=0.2, wspace=0.16
        )
    return to_svg(figure)


def _draw_probability(axes: Any, own: pd.DataFrame, outcome: str) -> None:
    days, colour = pd.to_datetime(own["month"]), COLOURS[outcome]
    axes.fill_between(days, own["p05"], own["p95"], color=colour, alpha=0.15, linewidth=0)
    axes.fill_between(days, own["p25"], own["p75"], color=colour, alpha=0.3, linewidth=0)
    axes.plot(days, own["probability"], color=colour, linewidth=2)
    fresh = own[own["method"] != "reweighted"]
    axes.plot(pd.to_datetime(fresh["month"]), fresh["probability"], "o", color=colour, markersize=4)
    axes.set_title(f"{LABELS[outcome]} within {HORIZON} months; dots: sampled", fontsize=9, loc="left")
    axes.set_ylim(0, None)


def _draw_news(figure: Figure, row: Any, news: pd.DataFrame) -> None:
    """Stack each month's parts, the same part in the same colour under both outcomes; small parts together."""
    size = news.assign(size=news["probability"].abs() / news.groupby("outcome")["probability"].transform("std"))
    order = size[size["part"] != NOISE].groupby("part")["size"].sum().sort_values(ascending=False).index[:SHOWN]
    label = news["part"].where(news["part"].isin(order), OTHERS)
    table = news.assign(part=label).pivot_table(index="month", columns=["outcome", "part"], values="probability", aggfunc="sum", fill_value=0.0)  # fmt: skip
    days = pd.to_datetime(table.index)
    for axes, outcome in zip(row, REMOVALS, strict=True):
        up, down = np.zeros(len(table)), np.zeros(len(table))
        for name, colour in zip([*order, OTHERS], PALETTE, strict=False):
            value = table.get((outcome, name), pd.Series(0.0, table.index)).to_numpy()
            axes.bar(days, value, width=24, bottom=np.where(value > 0, up, down), color=PALETTE[-1] if name == OTHERS else colour, label=name.replace("_", " "))  # fmt: skip
            up, down = up + np.maximum(value, 0), down + np.minimum(value, 0)
        axes.axhline(0, color="black", linewidth=0.6)
        axes.set_title("What the month's news did", fontsize=9, loc="left")
    figure.legend(*row[0].get_legend_handles_labels(), fontsize=8, frameon=False, ncols=4, loc="lower center")


def figures_of(name: str, lines: pd.DataFrame) -> str:
    """Return a line of the table: months by method, seconds, and the distance to samples made beside them."""
    main = lines[(lines["part"] == "probability") & (lines["outcome"] == "coup")]
    counts, later = main["method"].value_counts(), main[main["method"] != "sampled"]
    row = [name, len(main), counts.get("reweighted", 0), counts.get("refitted", 0), f"{main.loc[main['method'] == 'reweighted', 'seconds'].median():.1f}"]  # fmt: skip
    beside = lines[lines["part"] == "refit"].merge(lines[lines["part"] == "probability"], on=["month", "outcome"])
    if len(beside):
        gap, cost = (beside["probability_x"] - beside["probability_y"]).abs(), beside["seconds_x"].median()
        z = gap / beside["error_x"]
        row += [beside["month"].nunique(), f"{cost:.0f}", f"{later['seconds'].mean() / cost:.3f}", f"{gap.max():.4f}", f"{z.max():.1f}", f"{z.mean():.2f}"]  # fmt: skip
    else:
        row += ["-"] * 6
    return f"| {' | '.join(map(str, row))} |"


HEAD = [
    "# Episodes replayed month by month",
    "",
    f"Made by `python docs/replay.py --news --refits 6`. Each month is forecast over {HORIZON} months from what was known on its last day: the first is sampled,",
    "the later ones are updates, each of which reweights the last sample or, where the weights cannot be trusted, samples anew. Every sixth month was",
    "sampled as well: the cost is the mean of an update, months that were sampled anew included, over the median of those samples; distances are",
    "between their probabilities, of all outcomes, and in standard errors of the two Monte Carlo means (0.8 is expected on average). Seconds are wall",
    "clock on the machine that made them, on one core that others used too. The readings were coded later, by people who knew the outcome.",
    "A sample reads the average leader-year, for which the priors of the rates are stated, from its own rows, and an update from those of the sample that it started from: where history",
    "is short, as in 1914, the two differ by that as well as by Monte Carlo error.",
    "The two early episodes are of `--variation few_lengths`, because hardly a challenge had ended; views before 2011 do without the reference prior.",
    "In the pictures bands are 50% and 90% intervals, and a dotted line is the start of a challenge.",
    "",
    "| episode | months | reweighted | refitted | median seconds, reweighted | beside | seconds, sampled | cost | largest distance | in errors | mean, in errors |",
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
]
READINGS = {  # what each picture shows, in two sentences
    "russia_2022": "Removal by a coup stays unlikely until the mutiny of June 2023, which multiplies it in one month, nearly all of it by the event itself; "
    "calmer readings of elite division in August take a good part of that back, and quiet months the rest, slowly. Revolution stays under one in a hundred "
    "throughout: losses, the balance of the war and then elite division double it in the autumn of 2022, and the fall of elite division after the mutiny "
    "halves it again.",
    "russia_1903": "The war with Japan moves hardly anything, because hardly any history stands behind the model yet: what came with Bloody Sunday in January 1905 had "
    "been given one in a hundred. The uprising itself then makes a removal within a year three in ten, its months without one take a third of that, and its end in a "
    "concession nearly all; the mutinies of July 1906 do the same for a month.",
    "russia_1914": "The model was surprised by February 1917, which it had given three in a hundred at the end of 1916 and two in the first months of the war: readings of 1915 lift it "
    "by a third and those of November 1916 by a quarter. After the Tsar's fall it gives the governments of 1917 one in eleven to one in five within a year, and a coup "
    "after Kornilov's attempt one in seventeen.",
    "ukraine_2013": "A revolution within a year stands at one in twenty through the autumn and at nearly one in four by the end of December, half of that by the "
    "campaign's beginning itself and the rest by readings of divided elites, opposition and mobilisation. A coup, which did not come either, never reaches "
    "one in a hundred.",
    "kyrgyzstan_2004": "The model was surprised: removal by an uprising in March 2005 had been given 2% in the autumn and 3% in February. Readings of November raise elite "
    "division and the unity of the opposition a little, and nothing after that foretells the four weeks in which the government fell.",
    "belarus_2020": "Four in a thousand in the spring becomes one in five in September, first by a more united opposition, then by the protests' beginning and their size. "
    "Each quiet month takes some of it back, and the end of the protests in December two thirds; a coup stays at one in two hundred or less.",
}


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
    data = forecast.load_data(study.data)
    for name in given.names or EPISODES:
        country, first, last, variation = EPISODES[name]
        months = pd.date_range(first, last or data.known_to, freq="ME")
        spec = forecast.load_spec(study.models / f"{given.spec}.toml", variation, known_to=months[0].date())
        kept = given.out / "replay" / f"{name}.csv"
        lines = replay(study, data, spec, country, months, news=given.news, refits=given.refits, kept=kept)
        write_atomically(given.out / "pictures" / f"replay_{name}.svg", draw(lines, data, country))
    made = {name: path for name in EPISODES if (path := given.out / "replay" / f"{name}.csv").exists()}
    rows = [figures_of(name, pd.read_csv(path)) for name, path in made.items()]
    pictures = [f"\n{READINGS.get(name, '')}\n\n![{name}](pictures/replay_{name}.svg)" for name in made]
    write_atomically(given.out / "replay.md", "\n".join([*HEAD, *rows, *pictures]) + "\n")
    print(*rows, sep="\n")


if __name__ == "__main__":
    main()
