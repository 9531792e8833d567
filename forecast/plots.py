"""Figures of backtests and of the track record as SVG text: same inputs, same bytes."""

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
from matplotlib.ticker import MaxNLocator, PercentFormatter

from forecast.drawing import LABELS, PALETTE

COLOURS = {name: PALETTE[name] for name in LABELS}
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
