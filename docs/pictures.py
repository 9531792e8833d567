"""Draw the data: every spell and challenge by country, what is read and what is missing, who judged it, one ledger.

python docs/pictures.py     writes docs/pictures/*.svg
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

import forecast
from forecast.data import Data
from forecast.design import groups_on
from forecast.drawing import draw_readings, stand_alone
from forecast.plots import COLOURS, STYLE, to_svg
from forecast.report import list_challenges, reading_history

OUT = Path(__file__).parent / "pictures"
MARKS = {"coup_attempt": ("v", 0.2, COLOURS["coup"]), "uprising": ("o", -0.2, COLOURS["revolution"])}
SHADES = ("#9fb0c3", "#c9d3de")
LETTER = 0.0062  # width of a letter as a share of the axis: a name is written where it fits its spell
UNION_ENDS = pd.Timestamp("1991-12-26")


def timelines(data: Data) -> dict[str, str]:
    """Return one picture for each frame; the census has Russia to 1991 above all states since."""
    census, war = data.in_frames(["post_soviet_census"]), data.in_frames(["inter_state_war"])
    start = pd.Timestamp("1991-01-01")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 6.4))
        above, below = figure.subplots(2, 1, gridspec_kw={"height_ratios": [1.6, 15]})
        _draw(above, census, ["RUS"], census.leaders["start"].min(), UNION_ENDS)
        _draw(below, census, sorted(census.leaders["country"].unique()), start, pd.Timestamp(data.known_to))
        _legend(figure)
        figure.subplots_adjust(left=0.11, right=0.99, top=0.93, bottom=0.05, hspace=0.14)
        first = to_svg(figure)
        countries = sorted(war.leaders["country"].unique())
        tall = Figure(figsize=(10, 0.2 * len(countries) + 0.9))
        last = war.countries["end"].max()
        _draw(tall.subplots(), war, countries, war.leaders["start"].min(), last, names=False)
        _legend(tall)
        height = tall.get_figheight()
        tall.subplots_adjust(left=0.19, right=0.99, top=1 - 0.45 / height, bottom=0.3 / height)
        return {"timeline_post_soviet_census": first, "timeline_inter_state_war": to_svg(tall)}


def _draw(axes: Any, data: Data, countries: list[str], first: Any, last: Any, *, names: bool = True) -> None:
    """Draw a bar for each spell and a mark for each challenge between two days."""
    labels = data.countries.drop_duplicates("country", keep="last").set_index("country")["name"]
    short = {country: labels[country].split(" (")[0].split(";")[0] for country in countries}
    countries = sorted(countries, key=lambda country: short[country], reverse=True)
    for place, country in enumerate(countries):
        own = data.leaders[data.leaders["country"] == country].sort_values("start")
        own = own.assign(end=own["end"].fillna(last).clip(upper=last), start=own["start"].clip(lower=first))
        own = own[own["start"] < own["end"]]
        shades = [SHADES[turn % 2] for turn in range(len(own))]
        axes.barh(place, (own["end"] - own["start"]).dt.days, left=own["start"], height=0.66, color=shades)
        for spell in own.itertuples() if names else ():
            surname = spell.leader.rsplit(" ", 1)[-1] if spell.leader != "Nicholas II" else spell.leader
            if (spell.end - spell.start) / (last - first) > LETTER * (len(surname) + 1):
                middle = spell.start + (spell.end - spell.start) / 2
                axes.text(middle, place, surname, ha="center", va="center", fontsize=5.5, color="#333333")
        for event in data.events[data.events["country"] == country].itertuples():
            if first <= event.start <= last:
                shape, above, colour = MARKS[event.kind]
                face = colour if event.result == "removed" else "white"
                axes.plot(event.start, place + above, shape, markersize=4, color=colour, markerfacecolor=face, mew=0.9)
    axes.set_yticks(range(len(countries)), [short[country] for country in countries], fontsize=7)
    axes.set_ylim(-0.7, len(countries) - 0.3)
    axes.set_xlim(first, last)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)


def _legend(figure: Figure) -> None:
    marks = [("v", "coup", "coup attempt"), ("o", "revolution", "uprising")]
    handles = [
        Line2D([], [], linestyle="", marker=shape, color=COLOURS[key], markerfacecolor=face, markersize=5, label=label)
        for shape, key, name in marks
        for face, label in (("white", name), (COLOURS[key], f"{name} that removed the leader"))
    ]
    spells = Patch(color=SHADES[0], label="leader spells, in two shades by turns")
    figure.legend(handles=[spells, *handles], loc="upper center", ncols=5, fontsize=7, frameon=False)


def coverage(data: Data) -> str:
    """Return, by group and indicator, how old the reading in force is and how many there are for each leader-year."""
    age, density, missing = coverage_tables(data)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 0.26 * len(age) + 1.9))
        left, right = figure.subplots(1, 2, sharey=True)
        _heat(left, data, age.clip(upper=4), "{:.1f}", "Mean age of the reading in force, years (blank: none)", 4, age)
        _heat(right, data, density.clip(upper=5), "{:.1f}", "Readings for each leader-year, both coders", 5, density)
        height = figure.get_figheight()
        figure.text(0.01, 0.02, f"Leader-days without a reading where one is due: {missing:.1%}.", fontsize=8)
        figure.subplots_adjust(left=0.14, right=0.99, top=1 - 0.35 / height, bottom=1.3 / height, wspace=0.04)
    return to_svg(figure)


def coverage_tables(data: Data) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Return mean age of the reading in force, readings for each leader-year, and the share of days without one.

    No reading of something that may not exist (war, sanctions) says that there is none, so none is due.
    """
    judged = {name: entry for name, entry in data.codebook.indicators.items() if entry.role == "judgement"}
    first = data.indicators.sort_values(["observed_on", "coder"]).drop_duplicates(
        ["country", "indicator", "observed_on"]
    )
    readings = dict(list(first.groupby(["country", "indicator"])))
    spells = data.leaders.assign(
        end=data.leaders["end"].fillna(pd.Timestamp(data.known_to)),
        group=groups_on(data, data.leaders["country"], data.leaders["start"]),
    )
    lines = [
        (
            spell.group,
            name,
            (spell.end - spell.start).days,
            *_ages(readings.get((spell.country, name)), spell, entry.absent),
            entry.absent,
        )
        for spell in spells.itertuples()
        for name, entry in judged.items()
    ]
    table = pd.DataFrame(lines, columns=["group", "indicator", "days", "known", "aged", "absent"])
    due = table[table["absent"] == "missing"]
    sums = table.groupby(["group", "indicator"])[["days", "known", "aged"]].sum()
    age = (sums["aged"] / sums["known"] / 365.25).unstack()[list(judged)]
    group = groups_on(data, data.indicators["country"], data.indicators["observed_on"])
    counts = data.indicators.groupby([group, "indicator"]).size().rename_axis(["group", "indicator"])
    density = (counts / sums["days"] * 365.25).fillna(0).unstack()[list(judged)]
    return age, density, float(1 - due["known"].sum() / due["days"].sum())


def _ages(readings: pd.DataFrame | None, spell: Any, absent: str) -> tuple[float, float]:
    """Return the days of a spell with a reading in force, and the sum over them of its age in days.

    A reading of "none" does not age.
    """
    if readings is None:
        return 0.0, 0.0
    own = readings[readings["observed_on"] < spell.end]
    days = own["observed_on"].to_numpy()
    counts = (absent == "missing") | (own["value"].to_numpy() != 0)
    ends = np.append(days[1:], np.datetime64(spell.end)) if len(days) else days
    start = np.datetime64(spell.start)
    begun, over = ((np.maximum(edge, start) - days) / np.timedelta64(1, "D") for edge in (days, ends))
    return float(((over - begun) * counts).sum()), float(((over**2 - begun**2) / 2 * counts).sum())


def _heat(axes: Any, data: Data, table: pd.DataFrame, style: str, title: str, most: float, shown: pd.DataFrame) -> None:
    axes.pcolormesh(table.to_numpy(), cmap="Blues", vmin=0, vmax=1.5 * most, edgecolor="white")
    for row, line in enumerate(shown.to_numpy()):
        for column, value in enumerate(line):
            if not np.isnan(value):
                axes.text(column + 0.5, row + 0.5, style.format(value), ha="center", va="center", fontsize=6)
    labels = [data.codebook.indicators[name].label for name in table.columns]
    axes.set_xticks(np.arange(len(labels)) + 0.5, labels, rotation=40, ha="right", fontsize=7)
    axes.set_yticks(np.arange(len(table)) + 0.5, table.index, fontsize=7)
    axes.set_ylim(len(table), 0)
    axes.set_title(title, fontsize=9, loc="left")


def basis(data: Data) -> str:
    """Return how many readings of each indicator were judged by either coder, follow from a table, or are measured."""
    readings = data.indicators
    made = readings["indicator"] == "sanctions"
    source = np.select(
        [readings["basis"] == "measured", made, readings["coder"] == "A"],
        ["measured", "by rule from sanctions.csv", "judged by the first coder"],
        "judged by the second coder, blind",
    )
    counts = readings.groupby([readings["indicator"], source]).size().unstack(fill_value=0)
    names = [name for name, entry in data.codebook.indicators.items()]
    order = ["judged by the first coder", "judged by the second coder, blind", "by rule from sanctions.csv", "measured"]
    counts = counts.reindex(index=names, columns=order, fill_value=0)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.28 * len(names) + 1.0))
        axes = figure.subplots()
        left = np.zeros(len(names))
        for colour, kind in zip(("#555555", "#0072B2", "#E69F00", "#009E73"), order, strict=True):
            axes.barh(range(len(names)), counts[kind], left=left, color=colour, label=kind, height=0.7)
            left += counts[kind].to_numpy()
        for place, name in enumerate(names):
            if data.codebook.indicators[name].role == "computed":
                axes.text(20, place, "computed from spells and challenges, never typed", va="center", fontsize=7)
        axes.set_yticks(range(len(names)), [data.codebook.indicators[name].label for name in names], fontsize=8)
        axes.invert_yaxis()
        axes.tick_params(axis="x", labelsize=8)
        axes.set_xlabel("readings", fontsize=8)
        axes.legend(fontsize=7, frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.42, 1.0))
        height = figure.get_figheight()
        figure.subplots_adjust(left=0.17, right=0.98, top=1 - 0.35 / height, bottom=0.5 / height)
    return to_svg(figure)


def readings(data: Data, country: str, since: str, until: str) -> str:
    """Return each indicator's history, as a report shows it."""
    panels = draw_readings(reading_history(data, country, since, until), list_challenges(data, country), since, until)
    return stand_alone(panels, 4, f"Readings for {country}, {since} to {until}")


def main() -> None:
    """Write the pictures."""
    data = forecast.load_data(forecast.find_study(Path(__file__).parent.parent).data)
    OUT.mkdir(exist_ok=True)
    pictures = timelines(data)
    pictures |= {"coverage": coverage(data), "basis": basis(data)}
    today = str(data.known_to)
    pictures |= {f"readings_{country}": readings(data, country, "1985-01-01", today) for country in ("RUS", "UKR")}
    pictures["readings_RUS_1917"] = readings(data, "RUS", "1900-01-01", "1925-01-01")
    for name, svg in pictures.items():
        (OUT / f"{name}.svg").write_text(svg, encoding="utf-8")
        print(f"wrote docs/pictures/{name}.svg, {len(svg) // 1000} kB")


if __name__ == "__main__":
    main()
