"""Pictures of the sensitivity laboratory, as SVG text in the style of `plots`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from forecast.drawing import LABELS
from forecast.plots import COLOURS, STYLE, to_svg

REMOVALS = ("coup", "revolution")
GREY = "#7F7F7F"


def _fit(
    figure: Figure, *, left: float, right: float = 0.15, top: float = 0.35, bottom: float = 0.5, **space: Any
) -> str:
    """Return a figure as SVG with margins in inches."""
    width, height = figure.get_size_inches()
    figure.subplots_adjust(
        left=left / width, right=1 - right / width, top=1 - top / height, bottom=bottom / height, **space
    )
    return to_svg(figure)


def plot_grid(table: pd.DataFrame, first: str, second: str) -> str:
    """Return a heat map of each outcome over two indicators with the width of its 90% interval below; crosses: a warning."""
    outcomes = list(COLOURS)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 5))
        for column, outcome in enumerate(outcomes):
            own = table[table["outcome"] == outcome]
            for row, value in enumerate((own["probability"], own["p95"] - own["p05"])):
                axes = figure.add_subplot(2, len(outcomes), row * len(outcomes) + column + 1)
                shaped = own.assign(value=value).pivot(index=second, columns=first, values="value")
                drawn = axes.pcolormesh(shaped.columns, shaped.index, shaped.to_numpy(), cmap="cividis", vmin=0, shading="nearest")  # fmt: skip
                figure.colorbar(drawn, ax=axes, format=mpl.ticker.PercentFormatter(1.0)).ax.tick_params(labelsize=7)
                far = own[own["warning"] != ""]
                axes.plot(far[first], far[second], "x", color="white", markersize=4)
                axes.set_title(LABELS[outcome] if row == 0 else "width of the 90% interval", fontsize=8, loc="left")
                axes.tick_params(labelsize=7)
                axes.set_xlabel(first.replace("_", " ") if row else "", fontsize=8)
                axes.set_ylabel("" if column else second.replace("_", " "), fontsize=8)
        return _fit(figure, left=0.6, wspace=0.4, hspace=0.35)


def plot_curves(table: pd.DataFrame) -> str:
    """Return both removals as each indicator goes through its range, with 50% and 90% bands; dotted: a warning."""
    names = list(dict.fromkeys(table["indicator"]))
    rows = -(-len(names) // 4)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 2.0 * rows + 0.5))
        grid = figure.subplots(rows, 4, squeeze=False, sharey=True).ravel()
        for axes, name in zip(grid, names, strict=False):
            for outcome in REMOVALS:
                own = table[(table["indicator"] == name) & (table["outcome"] == outcome)]
                axes.fill_between(own["value"], own["p25"], own["p75"], color=COLOURS[outcome], alpha=0.25, linewidth=0)
                axes.fill_between(own["value"], own["p05"], own["p95"], color=COLOURS[outcome], alpha=0.12, linewidth=0)
                axes.plot(own["value"], own["probability"], ":", color=COLOURS[outcome])
                inside = own["probability"].where(own["warning"] == "")
                axes.plot(own["value"], inside, color=COLOURS[outcome], linewidth=2, label=LABELS[outcome])
            axes.set_title(name.replace("_", " "), fontsize=9, loc="left")
            axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0))
            axes.tick_params(labelsize=7)
        for axes in grid[len(names) :]:
            axes.set_visible(False)
        figure.legend(*grid[0].get_legend_handles_labels(), loc="upper right", ncols=2, fontsize=8, frameon=False)
        return _fit(figure, left=0.6, top=0.5, bottom=0.3, hspace=0.45)


def plot_intervals(table: pd.DataFrame, label: str, outcomes: Sequence[str] = REMOVALS) -> str:
    """Return each case's probabilities with 50% and 90% intervals, in the order of the table; a line at the first case."""
    names = list(dict.fromkeys(table[label]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 0.27 * len(names) + 0.9))
        for axes, outcome in zip(figure.subplots(1, len(outcomes), sharey=True), outcomes, strict=True):
            own = table[table["outcome"] == outcome].set_index(label).loc[names]
            places, colour = np.arange(len(names))[::-1], COLOURS[outcome]
            axes.hlines(places, own["p05"], own["p95"], color=colour, linewidth=1.5, alpha=0.5)
            axes.hlines(places, own["p25"], own["p75"], color=colour, linewidth=5, alpha=0.5)
            axes.plot(own["probability"], places, "o", color=colour, markeredgecolor="white", markersize=5)
            axes.axvline(own["probability"].iloc[0], color=GREY, linewidth=0.8, linestyle="--")
            axes.set_yticks(places, names, fontsize=8)
            axes.set_title(LABELS[outcome], fontsize=9, loc="left")
            axes.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0))
            axes.set_xlim(0, None)
            axes.tick_params(axis="x", labelsize=8)
        return _fit(figure, left=2.4, wspace=0.08, bottom=0.35)


def plot_tipping(table: pd.DataFrame) -> str:
    """Return the size of the smallest moves in historical standard deviations; the dashed line is what is credible."""
    wholes = list(table.groupby(["outcome", "target"], sort=False))
    names = list(dict.fromkeys(table["indicator"]))[::-1]
    top = 8.0
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 0.24 * len(names) + 0.9))
        for axes, ((outcome, target), own) in zip(figure.subplots(1, len(wholes), sharey=True), wholes, strict=True):
            size = own.set_index("indicator")["size"].reindex(names)
            reached = np.isfinite(size)
            axes.barh(np.flatnonzero(reached), size[reached].clip(upper=top), color=COLOURS[str(outcome)], height=0.6)
            for place in np.flatnonzero(~reached):
                axes.text(0.1, place, "no move in the range", fontsize=7, va="center", color=GREY)
            for place in np.flatnonzero(size > top):
                axes.text(top, place, f"{size.iloc[place]:.0f}" if reached.iloc[place] else "", fontsize=7, va="center")
            axes.axvline(2.0, color="black", linewidth=0.8, linestyle="--")
            axes.set_xlim(0, top)
            axes.set_ylim(-0.7, len(names) - 0.3)
            axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=8)
            axes.set_title(
                f"{outcome} {target}:\n{own['now'].iloc[0]:.1%} to {own['goal'].iloc[0]:.1%}", fontsize=8, loc="left"
            )
            axes.tick_params(axis="x", labelsize=8)
        return _fit(figure, left=1.5, wspace=0.08, bottom=0.35)


def plot_changes(table: pd.DataFrame, most: int = 36) -> str:
    """Return what the changes that move most do to both removals: the new probability with its 90% interval, the old one dashed.

    Filled marks are weights, open ones refits, crosses weights that are not to be trusted.
    """
    marks = {"weights": ("o", True), "refit": ("o", False), "weights (refused)": ("x", True)}
    moved = table[(table["kind"] != "base") & table["outcome"].isin(REMOVALS)]
    relative = (moved["difference"].abs() / moved["base"]).groupby(moved["change"]).max().sort_values()
    names = list(relative.index[-most:])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 0.2 * len(names) + 0.9))
        for axes, outcome in zip(figure.subplots(1, 2, sharey=True), REMOVALS, strict=True):
            own = moved[(moved["outcome"] == outcome) & moved["change"].isin(names)]
            colour = COLOURS[outcome]
            for line in own.itertuples():
                place, (shape, filled) = names.index(line.change), marks[line.method]
                axes.plot([line.base, line.probability], [place, place], color=colour, linewidth=3, alpha=0.5)
                axes.plot([line.p05, line.p95], [place, place], color=GREY, linewidth=0.7)
                axes.plot(
                    line.probability,
                    place,
                    shape,
                    color=colour,
                    markerfacecolor=colour if filled else "white",
                    markersize=4.5,
                )
            axes.axvline(own["base"].iloc[0], color="black", linewidth=0.8, linestyle="--")
            axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=7)
            axes.set_ylim(-0.7, len(names) - 0.3)
            axes.set_title(LABELS[outcome], fontsize=9, loc="left")
            axes.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0))
            axes.set_xlim(0, float(own[["probability", "p95"]].quantile(0.9).max()) * 1.15)
            axes.tick_params(axis="x", labelsize=8)
        return _fit(figure, left=2.6, wspace=0.06, bottom=0.3)


def plot_family(table: pd.DataFrame, dimensions: Sequence[str]) -> str:
    """Return a specification curve: specs by P(coup) and by P(revolution) with 90% intervals, and their options below.

    The size of a mark is the spec's stacking weight.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 6.2))
        options = [(dimension, value) for dimension in dimensions for value in dict.fromkeys(table[dimension])]
        grid = figure.subplots(2, 2, sharex="col", gridspec_kw={"height_ratios": [1.3, 1]})
        for column, outcome in enumerate(REMOVALS):
            own = table[table["outcome"] == outcome].sort_values("probability").reset_index(drop=True)
            above, below, colour = grid[0][column], grid[1][column], COLOURS[outcome]
            above.vlines(own.index, own["p05"], own["p95"], color=colour, alpha=0.25, linewidth=2)
            above.scatter(
                own.index, own["probability"], s=6 + 400 * own["weight"], color=colour, edgecolor="white", linewidth=0.4
            )
            mixed = float((own["weight"] * own["probability"]).sum())
            above.axhline(mixed, color="black", linewidth=0.8, linestyle="--")
            above.set_title(f"{LABELS[outcome]}: {mixed:.1%} by stacking weight", fontsize=9, loc="left")
            above.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0))
            above.set_ylim(0, float(own["p95"].quantile(0.95)) * 1.1)
            for place, (dimension, value) in enumerate(options):
                used = np.flatnonzero(own[dimension] == value)
                below.plot(used, np.full(len(used), -place), "|", color=colour, markersize=6)
            words = [f"{dimension}: {value}".replace("_", " ") for dimension, value in options]
            below.set_yticks(
                [-place for place in range(len(options))], words if column == 0 else [""] * len(options), fontsize=7
            )
            below.set_xlabel("specs in order of the probability", fontsize=8)
            above.tick_params(labelsize=8)
            below.tick_params(axis="x", labelsize=8)
        return _fit(figure, left=2.1, wspace=0.1, hspace=0.05)


def plot_parts(table: pd.DataFrame) -> str:
    """Return the parts of each probability's variance, which add to one, with 90% intervals in numbers."""
    shades = {"parameters": "#1b1b1f", "coding": "#56B4E9", "paths": "#009E73", "cases": "#E69F00", "model": "#CC79A7"}
    outcomes = list(dict.fromkeys(table["outcome"]))[::-1]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.5 * len(outcomes) + 1.0))
        axes = figure.subplots()
        for place, outcome in enumerate(outcomes):
            left, own = 0.0, table[table["outcome"] == outcome]
            for line in own.itertuples():
                axes.barh(place, line.share, left=left, height=0.6, color=shades[line.source], label=line.source if place == 0 else None)  # fmt: skip
                if line.share > 0.05:
                    text = f"{line.share:.0%}\n({line.p05:.0%}-{line.p95:.0%})"
                    axes.text(left + line.share / 2, place, text, ha="center", va="center", fontsize=6, color="white")
                left += line.share
        axes.set_yticks(range(len(outcomes)), [LABELS[name] for name in outcomes], fontsize=8)
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0))
        axes.tick_params(axis="x", labelsize=8)
        figure.legend(*axes.get_legend_handles_labels(), loc="upper right", ncols=5, fontsize=8, frameon=False)
        return _fit(figure, left=1.6, bottom=0.3)


def plot_ranks(curves: pd.DataFrame, envelope: float) -> str:
    """Return, for each group of quantities, the ranks' distribution less the uniform one, with the simultaneous 95% envelope.

    Parameters
    ----------
    curves : pandas.DataFrame
        ``group``, ``quantity``, ``rank`` (0 to 1), ``difference``, ``low`` and ``high`` (the envelope), ``outside``.
    envelope : float
        Its level.
    """
    groups = list(dict.fromkeys(curves["group"]))
    rows = -(-len(groups) // 3)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 2.1 * rows + 0.4))
        grid = figure.subplots(rows, 3, squeeze=False, sharex=True, sharey=True).ravel()
        for axes, group in zip(grid, groups, strict=False):
            own = curves[curves["group"] == group]
            one = own[own["quantity"] == own["quantity"].iloc[0]]
            axes.fill_between(one["rank"], one["low"], one["high"], color="#0072B2", alpha=0.2, linewidth=0)
            for _, line in own.groupby("quantity"):
                outside = bool(line["outside"].iloc[0])
                axes.plot(
                    line["rank"],
                    line["difference"],
                    color=COLOURS["coup"] if outside else GREY,
                    linewidth=1.4 if outside else 0.7,
                )
            axes.set_title(f"{group} ({own['quantity'].nunique()})", fontsize=9, loc="left")
            axes.tick_params(labelsize=8)
        for axes in grid[len(groups) :]:
            axes.set_visible(False)
        figure.supxlabel(
            f"rank of the truth; band: {envelope:.0%} simultaneous envelope; in colour: outside", fontsize=8
        )
        return _fit(figure, left=0.6, hspace=0.35)
