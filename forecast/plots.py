"""Figures as SVG text: same inputs, same bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.dates import AutoDateLocator
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from forecast.data import Data
from forecast.prediction import Forecast

# Okabe and Ito's colours, told apart by colour-blind readers.
COLOURS = {
    "coup": "#D55E00",
    "revolution": "#0072B2",
    "other_exit": "#7F7F7F",
    "survives_challenged": "#E69F00",
    "survives_unchallenged": "#009E73",
}
LABELS = {
    "coup": "Removed by a coup",
    "revolution": "Removed by a revolution",
    "other_exit": "Leaves in another way",
    "survives_challenged": "Survives a challenge",
    "survives_unchallenged": "Survives unchallenged",
}
CODERS = ("#333333", "#0072B2", "#D55E00")
STYLE: Any = {
    "svg.hashsalt": "regime-forecast",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.parse_math": False,  # a dollar sign in a label is a dollar sign
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def to_svg(figure: Figure) -> str:
    """Return a figure as SVG markup without the XML head, ready to stand inside a page."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    for long, short in (
        (r"('DejaVu Sans'), '[^;]*sans-serif", r"\1, sans-serif"),
        (r' transform="rotate\(-0 [^"]*"', ""),
    ):
        text = re.sub(long, short, text)
    return re.sub(r' d="[^"]*"', _shorten, text[text.index("<svg") :])


def _shorten(path: re.Match[str]) -> str:
    """Put a path on one line, with coordinates to a hundredth of a point."""
    line = " ".join(path[0].split())
    return " " + re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", line)


def plot_outcomes(table: pd.DataFrame) -> str:
    """Return the outcome probabilities with their 50% and 90% intervals."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 2.6))
        axes = figure.subplots()
        for place, (outcome, line) in enumerate(table.iloc[::-1].iterrows()):
            colour = COLOURS[str(outcome)]
            axes.plot([line["p05"], line["p95"]], [place, place], color=colour, linewidth=2)
            axes.plot([line["p25"], line["p75"]], [place, place], color=colour, linewidth=7, solid_capstyle="butt")
            axes.plot(line["probability"], place, "o", color="white", markeredgecolor="black", markersize=6)
            axes.annotate(f"{line['probability']:.1%}", (1.01, place), va="center", annotation_clip=False)
        axes.set_yticks(range(len(table)), [LABELS[str(name)] for name in table.index[::-1]])
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.grid(axis="x", alpha=0.3)
        figure.subplots_adjust(left=0.26, right=0.92, top=0.98, bottom=0.12)
    return to_svg(figure)


def plot_incidence(forecast: Forecast, outcomes: Sequence[str] = ("coup", "revolution", "other_exit")) -> str:
    """Return the cumulative incidence of each way to lose office, by month, with 50% and 90% bands."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 2.8))
        for axes, outcome in zip(figure.subplots(1, len(outcomes)), outcomes, strict=True):
            _draw_incidence(axes, forecast, outcome)
        figure.supxlabel(f"months after {forecast.question.as_of}", fontsize=9)
        figure.subplots_adjust(left=0.06, right=0.98, top=0.88, bottom=0.2, wspace=0.25)
    return to_svg(figure)


def _draw_incidence(axes: Any, forecast: Forecast, outcome: str) -> None:
    draws = (
        forecast.probability.sel(outcome=outcome)
        .stack(sample=("chain", "draw"))
        .transpose("sample", "month")
        .to_numpy()
    )
    months = np.arange(draws.shape[1] + 1)
    levels = np.pad(np.quantile(draws, [0.05, 0.25, 0.75, 0.95], axis=0), ((0, 0), (1, 0)))
    colour = COLOURS[outcome]
    axes.fill_between(months, levels[0], levels[3], color=colour, alpha=0.18, linewidth=0)
    axes.fill_between(months, levels[1], levels[2], color=colour, alpha=0.35, linewidth=0)
    axes.plot(months, np.pad(draws.mean(axis=0), (1, 0)), color=colour, linewidth=2)
    axes.set_title(LABELS[outcome], fontsize=10, loc="left")
    axes.set_ylim(0, max(float(levels[3].max()) * 1.1, 0.02))
    axes.set_xlim(0, months[-1])
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))  # as many decimals as the scale needs
    axes.grid(alpha=0.3)


def plot_readings(data: Data, country: str, since: str | None = None, until: str | None = None) -> str:
    """Return the history of each indicator with each coder's 90% range; challenges are vertical lines."""
    own = data.indicators[data.indicators["country"] == country]
    names = [name for name in data.codebook.indicators if name in set(own["indicator"])]
    start = pd.Timestamp(since) if since else own["observed_on"].min()
    end = pd.Timestamp(until or data.known_to)
    if not names:
        return ""
    with mpl.rc_context(STYLE):
        rows = -(-len(names) // 3)
        figure = Figure(figsize=(9, 1.9 * rows + 0.25))
        grid = figure.subplots(rows, 3, sharex=True, squeeze=False).ravel()
        for axes, name in zip(grid, names, strict=False):
            _draw_reading(axes, data, own[own["indicator"] == name], name, (start, end))
            _draw_challenges(axes, data, country, (start, end))
        for axes in grid[len(names) :]:
            axes.set_visible(False)
        height = figure.get_figheight()
        figure.subplots_adjust(left=0.05, right=0.98, top=1 - 0.45 / height, bottom=0.3 / height, hspace=0.28)
        _label_readings(figure, sorted(set(own["coder"])))
    return to_svg(figure)


def _label_readings(figure: Figure, coders: list[str]) -> None:
    lines = [
        Line2D([], [], color=colour, linewidth=1.3, label=f"coder {coder}, with range")
        for colour, coder in zip(CODERS, coders, strict=False)
    ]
    for kind, colour in (("coup attempt", COLOURS["coup"]), ("uprising", COLOURS["revolution"])):
        lines.append(Line2D([], [], color=colour, linewidth=0.9, linestyle=":", label=f"{kind} that failed"))
        lines.append(Line2D([], [], color=colour, linewidth=0.9, label=f"{kind} with a result"))
    figure.legend(handles=lines, loc="upper center", ncols=len(lines), fontsize=6.5, frameon=False, columnspacing=1.2)


def _draw_reading(axes: Any, data: Data, readings: pd.DataFrame, name: str, span: tuple[Any, Any]) -> None:
    start, end = span
    for colour, (_, own) in zip(CODERS, readings.groupby("coder"), strict=False):
        ordered = own[own["observed_on"] < end].sort_values("observed_on")
        ordered = ordered[ordered["observed_on"].shift(-1, fill_value=end) > start]  # what is in force in the span
        if ordered.empty:
            continue
        days = [*ordered["observed_on"].clip(lower=start), end]
        value, low, high = ([*ordered[column], ordered[column].iloc[-1]] for column in ("value", "low", "high"))
        axes.fill_between(days, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
        axes.step(days, value, where="post", color=colour, linewidth=1.3)
    entry = data.codebook.indicators[name]
    axes.set_ylim(entry.range[0] - 0.03, entry.range[1] + 0.03)
    axes.set_xlim(start, end)
    axes.set_title(entry.label, fontsize=9, loc="left")
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_locator(AutoDateLocator(maxticks=5))


def _draw_challenges(axes: Any, data: Data, country: str, span: tuple[Any, Any]) -> None:
    events = data.events[(data.events["country"] == country) & data.events["start"].between(*span)]
    for event in events.itertuples():
        kind = "coup" if event.kind == "coup_attempt" else "revolution"
        axes.axvline(
            event.start, color=COLOURS[kind], linewidth=0.9, linestyle=":" if event.result == "failed" else "-"
        )


def plot_drivers(table: pd.DataFrame, labels: dict[str, str]) -> str:
    """Return how each indicator's present reading moves the two probabilities of removal."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 0.32 * len(table) + 0.9))
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, outcome in ((left, "coup"), (right, "revolution")):
            axes.barh([labels[name] for name in table.index[::-1]], table[outcome][::-1], color=COLOURS[outcome])
            axes.axvline(0, color="black", linewidth=0.8)
            axes.set_title(f"P({outcome})", fontsize=10, loc="left")
            axes.xaxis.set_major_formatter("{x:+.1%}")
            axes.tick_params(labelsize=8)
        height = figure.get_figheight()
        figure.subplots_adjust(left=0.2, right=0.98, top=1 - 0.3 / height, bottom=0.3 / height, wspace=0.1)
    return to_svg(figure)


def _panels(names: Sequence[str], height: float) -> tuple[Figure, list[Any]]:
    """Return a figure with a panel for each name, three beside one another."""
    rows = -(-len(names) // 3)
    figure = Figure(figsize=(9, height * rows))
    grid = list(figure.subplots(rows, 3, squeeze=False).ravel())
    for axes in grid[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(grid, names, strict=False):
        axes.set_title(name, fontsize=9, loc="left")
        axes.tick_params(labelsize=8)
    figure.subplots_adjust(left=0.07, right=0.98, top=1 - 0.06, bottom=0.08, hspace=0.45, wspace=0.28)
    return figure, grid


def plot_calibrations(curves: Mapping[str, pd.DataFrame]) -> str:
    """Return the event frequency against the forecast with the band that a calibrated forecast stays in.

    Square-root scales, because nearly all forecasts of rare events are small.
    """
    with mpl.rc_context(STYLE):
        figure, grid = _panels(list(curves), 2.9)
        for axes, whole in zip(grid, curves.values(), strict=False):
            curve = whole.iloc[np.unique(np.linspace(0, len(whole) - 1, 200).astype(int))]  # as fine as can be seen
            top = float(max(curve[["probability", "frequency"]].max().max(), 0.01)) * 1.05
            axes.set_xscale("function", functions=(_root, np.square))
            axes.set_yscale("function", functions=(_root, np.square))
            axes.fill_between(
                curve["probability"], curve["low"], curve["high"], color="#0072B2", alpha=0.18, linewidth=0
            )
            axes.plot([0, top], [0, top], color="#7F7F7F", linewidth=0.8)
            axes.plot(curve["probability"], curve["frequency"], color="#0072B2", linewidth=1.6)
            each = np.quantile(np.repeat(whole["probability"], whole["count"]), np.linspace(0, 1, 101))
            axes.plot(each, np.zeros(101), "|", color="black", markersize=5, alpha=0.3)
            ticks = [tick for tick in (0, 0.01, 0.03, 0.1, 0.2, 0.4, 0.7, 1.0) if tick == 0 or top / 50 < tick <= top]
            axes.set_xticks(ticks, [f"{tick:.0%}" for tick in ticks])
            axes.set_yticks(ticks, [f"{tick:.0%}" for tick in ticks])
            axes.set_xlim(0, top)
            axes.set_ylim(0, top)
    return to_svg(figure)


def _root(values: Any) -> Any:
    return np.sqrt(np.maximum(values, 0.0))


def plot_separations(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return forecasts from the lowest to the highest, each event a vertical line."""
    with mpl.rc_context(STYLE):
        figure, grid = _panels(list(tables), 1.7)
        for axes, table in zip(grid, tables.values(), strict=False):
            events = table.index[table["observed"] == 1]
            axes.vlines(events, 0, 1, color="#D55E00", linewidth=0.9, transform=axes.get_xaxis_transform())
            axes.plot(table.index, table["probability"], color="black", linewidth=1.2)
            axes.plot(len(table) - table["probability"].sum(), 0, "^", color="black", markersize=6, clip_on=False)
            axes.set_xlim(0, len(table))
            axes.set_ylim(0, None)
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    return to_svg(figure)


def plot_counts(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return expected events with their 90% interval, and observed events, by year."""
    with mpl.rc_context(STYLE):
        figure, grid = _panels(list(tables), 2.2)
        for axes, table in zip(grid, tables.values(), strict=False):
            axes.vlines(table["target_year"], table["p05"], table["p95"], color="#0072B2", linewidth=5, alpha=0.3)
            axes.plot(table["target_year"], table["expected"], "o", color="#0072B2", markersize=4)
            axes.plot(table["target_year"], table["observed"], "x", color="black", markersize=6)
            axes.set_ylim(0, None)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    return to_svg(figure)


def plot_track_record(scored: pd.DataFrame) -> str:
    """Return the probability that each answer gave to what happened, by the end of its horizon, and running means.

    Parameters
    ----------
    scored : pandas.DataFrame
        What `track_record.score_answers` returned.
    """
    models = list(dict.fromkeys(scored["model"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.0))
        left, right = figure.subplots(1, 2)
        for place, model in enumerate(models):
            own = scored[scored["model"] == model].sort_values("horizon_end", kind="stable")
            days = pd.to_datetime(own["horizon_end"])
            colour = "#7F7F7F" if model == "climatology" else list(COLOURS.values())[place % len(COLOURS)]
            left.plot(days, np.exp(-own["log_score"]), "o", color=colour, markersize=4, alpha=0.6, label=model)
            running = own["log_score"].expanding().mean()
            right.plot(days, running, "o-", color=colour, markersize=3, label=model)
        left.set_ylim(0, 1)
        left.set_title("Probability given to what happened", fontsize=10, loc="left")
        right.set_title("Mean log score so far (lower is better)", fontsize=10, loc="left")
        ends = pd.to_datetime(scored["horizon_end"])
        for axes in (left, right):
            axes.tick_params(labelsize=8)
            axes.set_xlim(ends.min() - pd.Timedelta(days=183), ends.max() + pd.Timedelta(days=183))
            axes.xaxis.set_major_locator(AutoDateLocator(maxticks=5))
            axes.grid(alpha=0.3)
        if models:
            left.legend(fontsize=8, frameon=False)
        figure.subplots_adjust(left=0.06, right=0.98, top=0.9, bottom=0.1, wspace=0.15)
    return to_svg(figure)
