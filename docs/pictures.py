"""Draw the data: every spell and challenge by country, what is read and what is missing, one country's ledger.

python docs/pictures.py     writes docs/pictures/*.svg
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import forecast
from forecast.data import Data
from forecast.design import groups_on
from forecast.plots import COLOURS, STYLE, plot_readings, to_svg

OUT = Path(__file__).parent / "pictures"
KIND = {"coup_attempt": "coup", "uprising": "revolution"}


def timeline(data: Data, frame: str) -> str:
    """Return one bar for each spell and one mark for each challenge, by country."""
    view = data.in_frames([frame])
    countries = sorted(view.leaders["country"].unique(), reverse=True)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 0.24 * len(countries) + 1))
        axes = figure.subplots()
        for place, country in enumerate(countries):
            own = view.leaders[view.leaders["country"] == country].sort_values("start")
            ends = own["end"].fillna(pd.Timestamp(view.known_to))
            shades = np.where(np.arange(len(own)) % 2, "#c9d3de", "#9fb0c3")
            axes.barh(place, (ends - own["start"]).dt.days, left=own["start"], height=0.62, color=shades)
            _marks(axes, view, country, place)
        axes.set_yticks(range(len(countries)), countries, fontsize=7)
        axes.set_ylim(-0.7, len(countries) - 0.3)
        axes.set_title(
            "Leader spells; challenges: orange coup attempts, blue uprisings, filled where the leader fell",
            fontsize=9,
            loc="left",
        )
        height = figure.get_figheight()
        figure.subplots_adjust(left=0.06, right=0.99, top=1 - 0.35 / height, bottom=0.35 / height)
    return to_svg(figure)


def _marks(axes: object, data: Data, country: str, place: int) -> None:
    events = data.events[data.events["country"] == country]
    for event in events.itertuples():
        colour = COLOURS[KIND[event.kind]]
        face = colour if event.result == "removed" else "white"
        axes.plot(event.start, place, "v", markersize=5, color=colour, markerfacecolor=face, markeredgewidth=1)  # type: ignore[attr-defined]


def coverage(data: Data) -> str:
    """Return the share of a group's spells that have a reading of each indicator in force, and how many readings."""
    readings = data.indicators.assign(group=groups_on(data, data.indicators["country"], data.indicators["observed_on"]))
    counts = readings.groupby(["group", "indicator"]).size().unstack(fill_value=0)
    counts = counts[[name for name in data.codebook.indicators if name in counts]]
    judged = readings.assign(judged=readings["basis"] == "judgement").groupby("indicator")["judged"].mean()
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.3 * len(counts) + 1.6))
        axes = figure.subplots()
        axes.imshow(np.log10(counts + 1), aspect="auto", cmap="Blues")
        for row, line in enumerate(counts.to_numpy()):
            for column, count in enumerate(line):
                axes.text(
                    column,
                    row,
                    f"{count}",
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="white" if count > 150 else "black",
                )
        labels = [f"{data.codebook.indicators[name].label}\n{judged[name]:.0%} judged" for name in counts.columns]
        axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right", fontsize=7)
        axes.set_yticks(range(len(counts)), counts.index, fontsize=7)
        axes.set_title("Readings by group and indicator", fontsize=9, loc="left")
        height = figure.get_figheight()
        figure.subplots_adjust(left=0.17, right=0.99, top=1 - 0.3 / height, bottom=1.1 / height)
    return to_svg(figure)


def main() -> None:
    """Write the pictures."""
    data = forecast.load_data(forecast.find_study(Path(__file__).parent.parent).data)
    OUT.mkdir(exist_ok=True)
    pictures = {f"timeline_{frame}": timeline(data, frame) for frame in sorted(data.countries["frame"].unique())}
    pictures |= {"coverage": coverage(data), "readings_RUS": plot_readings(data, "RUS", "1985-01-01")}
    for name, svg in pictures.items():
        (OUT / f"{name}.svg").write_text(svg, encoding="utf-8")
        print(f"wrote docs/pictures/{name}.svg")


if __name__ == "__main__":
    main()
