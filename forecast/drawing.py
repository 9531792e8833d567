"""Figures drawn from a report's numbers as small SVG, for a page, a file or a printer.

Panels are at most 340 units wide, so that they stand side by side on a screen and below each other on a
telephone without shrinking their letters. Colours come from classes: a page sets them for light and dark, a
file carries the light ones. Kinds of outcome differ in shape as well as in colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from html import escape
from typing import Any

WIDTH = 340
LABELS = {
    "coup": "Removed by a coup",
    "revolution": "Removed by a revolution",
    "other_exit": "Leaves in another way",
    "survives_challenged": "Survives a challenge",
    "survives_unchallenged": "Survives unchallenged",
}
# After Okabe and Ito, darkened until each stands out from white by 3 to 1.
PALETTE = {
    "coup": "#C24E00", "revolution": "#0072B2", "other_exit": "#6E6E6E", "survives_challenged": "#9C6B00",
    "survives_unchallenged": "#00805C", "ink": "#1b1b1f", "mute": "#55555d", "rule": "#cfcfd6", "paper": "#ffffff",
}  # fmt: skip
STYLE = (
    "".join(f".f-{name}{{fill:var(--{name})}}.s-{name}{{stroke:var(--{name});fill:none}}" for name in PALETTE)
    + ".b90{opacity:.25}.b50{opacity:.5}.bold{font-weight:600}.dots{stroke-dasharray:2 2}"
)
Panel = str
Line = Mapping[str, Any]


def tag(name: str, *children: str, **attributes: Any) -> str:
    """Return an element; attributes are escaped, children are markup already.

    Examples
    --------
    >>> tag("rect", x=1, class_="a")
    '<rect x="1" class="a"/>'
    """
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_short(value))}"' for key, value in attributes.items()
    )
    return f"<{name}{shown}>{''.join(children)}</{name}>" if children else f"<{name}{shown}/>"


def _short(value: Any) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def write(x: float, y: float, text: str, kind: str = "ink", anchor: str = "start", size: int = 12) -> str:
    """Return a line of text, which may say anything."""
    return tag("text", escape(text), x=x, y=y, class_=f"f-{kind}", text_anchor=anchor, font_size=size)


def upright(x: float, y1: float, y2: float, style: str, **more: Any) -> str:
    """Return a vertical line."""
    return tag("line", x1=x, x2=x, y1=y1, y2=y2, class_=style, **more)


def level(y: float, x1: float, x2: float, style: str = "s-rule", **more: Any) -> str:
    """Return a horizontal line."""
    return tag("line", x1=x1, x2=x2, y1=y, y2=y, class_=style, **more)


def bar(x: float, y: float, width: float, height: float, style: str, **more: Any) -> str:
    """Return a rectangle."""
    return tag("rect", x=x, y=y, width=width, height=height, class_=style, **more)


def dot(x: float, y: float, r: float, style: str, **more: Any) -> str:
    """Return a circle."""
    return tag("circle", cx=x, cy=y, r=r, class_=style, **more)


def panel(height: float, title: str, *parts: str, width: int = WIDTH) -> Panel:
    """Return a panel with a title for those who cannot see it."""
    return tag(
        "svg", tag("title", escape(title)), *parts, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {_short(float(height))}",
        width=width, height=float(height), role="img", font_size=12,
    )  # fmt: skip


def stand_alone(panels: Sequence[Panel], columns: int, title: str) -> str:
    """Return panels side by side as one SVG file that carries its colours."""
    sizes = [_size(item) for item in panels]
    wide, rows = (
        max(width for width, _ in sizes) + 20,
        [sizes[at : at + columns] for at in range(0, len(sizes), columns)],
    )
    heights = [max(height for _, height in row) + 16 for row in rows]
    placed = [
        item.replace("<svg ", f'<svg x="{10 + wide * (place % columns)}" y="{_short(8.0 + sum(heights[: place // columns]))}" ', 1)
        for place, item in enumerate(panels)
    ]  # fmt: skip
    width, height = wide * min(columns, len(panels)), sum(heights)
    style = STYLE
    for name, colour in PALETTE.items():
        style = style.replace(f"var(--{name})", colour)
    return tag(
        "svg", tag("title", escape(title)), tag("style", style), tag("rect", width=width, height=float(height), class_="f-paper"), *placed,
        xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {_short(float(height))}", width=width, height=float(height),
        role="img", font_family="DejaVu Sans, sans-serif", font_size=11,
    ) + "\n"  # fmt: skip


def _size(item: Panel) -> tuple[int, float]:
    head = item[: item.index(">")]
    return int(head.split(' width="')[1].split('"')[0]), float(head.split(' height="')[1].split('"')[0])


def percent(value: float) -> str:
    """Return a probability with as many decimals as it needs.

    Examples
    --------
    >>> percent(0.0123), percent(0.00012), percent(0.5)
    ('1.2%', '<0.1%', '50.0%')
    """
    return "<0.1%" if 0 < value < 0.0005 else f"{100 * value:.1f}%"


def of_hundred(probabilities: Mapping[str, float]) -> dict[str, int]:
    """Return whole numbers that add to a hundred and stay within one of a hundred times each probability.

    Examples
    --------
    >>> of_hundred({"a": 0.014, "b": 0.336, "c": 0.65})
    {'a': 1, 'b': 34, 'c': 65}
    """
    counts = {name: int(100 * value) for name, value in probabilities.items()}
    rest = sorted(probabilities, key=lambda name: counts[name] - 100 * probabilities[name])
    for name in rest[: 100 - sum(counts.values())]:
        counts[name] += 1
    return counts


def glyph(outcome: str, x: float, y: float, r: float = 6.0) -> str:
    """Return the sign of an outcome: a triangle, a diamond, a square, a ring with a core, a ring."""
    fill, line = f"f-{outcome}", f"s-{outcome}"
    match outcome:
        case "coup":
            return tag(
                "path", d=f"M{_short(x)} {_short(y - r)}l{_short(r)} {_short(1.8 * r)}h{_short(-2 * r)}z", class_=fill
            )
        case "revolution":
            side = _short(r)
            return tag(
                "path", d=f"M{_short(x)} {_short(y - r)}l{side} {side}l-{side} {side}l-{side} -{side}z", class_=fill
            )
        case "other_exit":
            return bar(x - 0.8 * r, y - 0.8 * r, 1.6 * r, 1.6 * r, fill)
        case "survives_challenged":
            return dot(x, y, 0.8 * r, line, stroke_width=2) + dot(x, y, 0.35 * r, fill)
        case _:
            return dot(x, y, 0.75 * r, line, stroke_width=2)


def draw_futures(outcomes: Sequence[Line]) -> Panel:
    """Return a hundred futures, one sign each."""
    order = [item["outcome"] for item in outcomes for _ in range(item["of_hundred"])]
    signs = [glyph(name, 8.5 + 17 * (place % 20), 9 + 17 * (place // 20)) for place, name in enumerate(order)]
    legend = []
    for row, item in enumerate(outcomes):
        y = 108 + 19 * row
        count = item["of_hundred"] or "fewer than 1"
        legend += [glyph(item["outcome"], 8.5, y - 4), write(24, y, f"{LABELS[item['outcome']]}: {count}")]
    return panel(206, "A hundred futures: " + "; ".join(f"{LABELS[i['outcome']]} {i['of_hundred']}" for i in outcomes), *signs, *legend)  # fmt: skip


def draw_outcomes(outcomes: Sequence[Line]) -> Panel:
    """Return a bar for each outcome with its 50% and 90% intervals."""
    parts, bottom = [], 38 * len(outcomes) + 2
    for tick in range(0, 101, 25):
        x = 6 + 3.2 * tick
        anchor = "start" if tick == 0 else "end" if tick == 100 else "middle"
        parts += [
            upright(x, 16, bottom, "s-rule"),
            write(x, bottom + 14, f"{tick}%", "mute", anchor, 11),
        ]
    for row, item in enumerate(outcomes):
        y, name = 38.0 * row, item["outcome"]
        parts += [write(6, y + 12, LABELS[name]), write(WIDTH - 14, y + 12, percent(item["probability"]), "ink", "end")]
        parts.append(_intervals(item, name, y + 24, lambda value: 6 + 320 * value))
    return panel(bottom + 18, "Probability of each outcome with 50% and 90% intervals", *parts)


def _intervals(item: Line, kind: str, y: float, scale: Any) -> str:
    """Return a thin bar for 90%, a thick one for 50%, and a mark for the mean."""
    low, first, third, high, middle = (float(scale(item[name])) for name in ("p05", "p25", "p75", "p95", "probability"))
    return (
        bar(low, y - 3, max(high - low, 1.0), 6, f"f-{kind} b90")
        + bar(first, y - 5, max(third - first, 1.0), 10, f"f-{kind} b50")
        + bar(middle - 1.5, y - 8, 3, 16, f"f-{kind}")
    )


def draw_incidence(incidence: Sequence[Line], as_of: str) -> list[Panel]:
    """Return cumulative incidence by month, one panel for each way to lose office; removals share a scale."""
    shared = max(line[name]["p95"] for line in incidence for name in ("coup", "revolution"))
    tops = {"coup": shared, "revolution": shared, "other_exit": max(line["other_exit"]["p95"] for line in incidence)}
    return [_curve(incidence, name, _ceiling(top), as_of) for name, top in tops.items()]


def _ceiling(top: float) -> float:
    """Return the round number above a probability."""
    steps = (0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8)
    return next((step for step in steps if step >= top), 1.0)


def _curve(incidence: Sequence[Line], name: str, top: float, as_of: str) -> Panel:
    left, right, high, low, months = 44.0, 330.0, 28.0, 150.0, len(incidence)
    xs = [left + (right - left) * month / months for month in range(months + 1)]

    def heights(quantity: str) -> list[float]:
        return [low, *(low - (low - high) * line[name][quantity] / top for line in incidence)]

    def band(lower: str, upper: str, kind: str) -> str:
        there, back = list(zip(xs, heights(upper), strict=True)), list(zip(xs, heights(lower), strict=True))[::-1]
        return tag("path", d=_path([*there, *back]) + "z", class_=f"f-{name} {kind}")

    ticks = [tick for share in (0.0, 0.5, 1.0) for tick in _tick(share * top, low - (low - high) * share, left, right)]
    step = max(round(months / 4), 1)
    marks = [write(xs[m], low + 16, str(m), "mute", "middle", 11) for m in range(0, months + 1, step)]
    return panel(
        182, f"{LABELS[name]} by month: {percent(incidence[-1][name]['probability'])} after {months} months",
        write(4, 14, LABELS[name]), *ticks, *marks, band("p05", "p95", "b90"), band("p25", "p75", "b50"),
        tag("path", d=_path(zip(xs, heights("probability"), strict=True)), class_=f"s-{name}", stroke_width=2.5),
        write(right, low + 30, f"months after {as_of}", "mute", "end", 11),
    )  # fmt: skip


def _tick(value: float, y: float, left: float, right: float) -> list[str]:
    shown = f"{100 * value:.3g}%"
    return [
        level(y, left, right),
        write(left - 6, y + 4, shown, "mute", "end", 11),
    ]


def _path(points: Any) -> str:
    return "M" + "L".join(f"{_short(float(x))} {_short(float(y))}" for x, y in points)


def draw_drivers(drivers: Sequence[Line]) -> Panel:
    """Return how far each indicator's present reading moves the probabilities of removal."""
    size = max([abs(item[name]) for item in drivers for name in ("coup", "revolution")] + [1e-4])
    parts = [write(180, 14, "Coup", "ink", "middle"), write(284, 14, "Revolution", "ink", "middle")]
    for row, item in enumerate(drivers):
        y = 24 + 20.0 * row
        parts.append(write(126, y + 11, _cut(item["label"], 21), "ink", "end", 11))
        for name, middle in (("coup", 180.0), ("revolution", 284.0)):
            length = 48 * item[name] / size
            parts.append(bar(middle + min(length, 0.0), y + 1, max(abs(length), 0.5), 13, f"f-{name}"))
    bottom = 24 + 20.0 * len(drivers)
    for middle in (180.0, 284.0):
        parts.append(upright(middle, 20, bottom, "s-ink"))
        for side, sign, anchor in ((-48.0, "−", "start"), (48.0, "+", "end")):
            parts.append(write(middle + side, bottom + 14, f"{sign}{100 * size:.2g}", "mute", anchor, 10))
    return panel(bottom + 20, "What each indicator's present reading does to the two probabilities of removal", *parts)


def _cut(text: str, length: int) -> str:
    """Return text shortened so that it fits its column; tables beside the figures have all of it."""
    return text if len(text) <= length else text[: length - 1] + "…"


def draw_swings(swings: Sequence[Line]) -> list[Panel]:
    """Return, for both removals, the probability as each indicator goes from its low to its high usual value."""
    return [_tornado(swings, name) for name in ("coup", "revolution")]


def _tornado(swings: Sequence[Line], name: str) -> Panel:
    order = sorted(swings, key=lambda item: -abs(item[f"{name}_high"] - item[f"{name}_low"]))
    top = _ceiling(max([item[f"{name}_{end}"] for item in swings for end in ("low", "high")] + [0.004]))
    bottom, parts = 24 + 20.0 * len(order), [write(4, 14, f"P({name})")]
    for share in (0.0, 0.5, 1.0):
        x = 132 + 190 * share
        parts += [
            upright(x, 20, bottom, "s-rule"),
            write(x, bottom + 14, f"{100 * top * share:.3g}%", "mute", "middle", 11),
        ]
    for row, item in enumerate(order):
        y = 24 + 20.0 * row
        low, high = (132 + 190 * item[f"{name}_{end}"] / top for end in ("low", "high"))
        parts += [
            write(126, y + 11, _cut(item["label"], 21), "ink", "end", 11),
            level(y + 7, low, high, f"s-{name}", stroke_width=5),
        ]
        parts += [
            dot(low, y + 7, 4.5, "f-paper"), dot(low, y + 7, 4.5, f"s-{name}", stroke_width=2), dot(high, y + 7, 5.5, f"f-{name}"),
        ]  # fmt: skip
    return panel(
        bottom + 20, f"Probability of a {name} with each indicator at its low and at its high usual value", *parts
    )


def draw_shares(shares: Sequence[Line]) -> Panel:
    """Return the parts of each probability's spread: parameters, coding, paths."""
    parts, shades = [], (("parameters", 0.9), ("coding", 0.55), ("paths", 0.25))
    for row, item in enumerate(shares):
        y, x = 38.0 * row, 6.0
        parts.append(write(6, y + 12, LABELS[item["outcome"]]))
        for name, shade in shades:
            width = 326 * item[name]
            parts.append(bar(x, y + 17, width, 13, "f-ink", opacity=shade))
            x += width
    y = 38.0 * len(shares)
    for place, (name, shade) in enumerate(shades):
        x = 6.0 + 110 * place
        parts += [
            bar(x, y + 4, 12, 12, "f-ink", opacity=shade),
            write(x + 17, y + 14, name, "mute", size=11),
        ]
    return panel(y + 22, "Shares of the variance of each probability: parameters, coding, paths", *parts)


def draw_history(
    history: Sequence[Line], outcomes: Sequence[str] = ("coup", "revolution", "other_exit")
) -> list[Panel]:
    """Return the probabilities as issued, one panel for each way to lose office."""
    top = {name: _ceiling(max(issue["outcomes"][name]["p95"] for issue in history)) for name in outcomes}
    return [_issued(history, name, top[name]) for name in outcomes]


def _issued(history: Sequence[Line], name: str, top: float) -> Panel:
    low, high = 116.0, 28.0
    xs = [70 + 240 * (place + 0.5) / len(history) for place in range(len(history))]
    ticks = [tick for share in (0.0, 0.5, 1.0) for tick in _tick(share * top, low - (low - high) * share, 44, 330)]
    parts, middle = [write(4, 14, LABELS[name]), *ticks], []
    for x, issue in zip(xs, history, strict=True):
        line = issue["outcomes"][name]
        y = {key: low - (low - high) * line[key] / top for key in ("probability", "p05", "p25", "p75", "p95")}
        parts += [
            upright(x, y["p05"], y["p95"], f"s-{name} b50", stroke_width=3),
            upright(x, y["p25"], y["p75"], f"s-{name}", stroke_width=6),
        ]
        middle.append((x, y["probability"]))
    parts.append(tag("path", d=_path(middle), class_="s-ink dots"))
    parts += [dot(x, y, 3.5, "f-ink") for x, y in middle]
    parts += [
        write(xs[place], low + 16, history[place]["label"], "mute", "middle", 10)
        for place in sorted({0, len(history) - 1})
    ]
    return panel(138, f"{LABELS[name]}: probability in each issue", *parts)


def draw_spark(values: Sequence[float]) -> Panel:
    """Return a line of a few probabilities, without a scale: the numbers stand beside it."""
    top = max([*values, 1e-4])
    xs = [4 + 72 * (place / max(len(values) - 1, 1)) for place in range(len(values))]
    points = [(x, 20 - 16 * value / top) for x, value in zip(xs, values, strict=True)]
    dot = tag("circle", cx=points[-1][0], cy=points[-1][1], r=3, class_="f-ink")
    words = ", ".join(percent(value) for value in values)
    return panel(
        24, f"Issued so far: {words}", tag("path", d=_path(points), class_="s-ink", stroke_width=1.5), dot, width=80
    )


def draw_interval(item: Line, kind: str, top: float) -> Panel:
    """Return one probability with its intervals on a scale from nothing to `top`."""
    words = f"{percent(item['probability'])}, 90% interval {percent(item['p05'])} to {percent(item['p95'])}"
    return panel(
        24, words, level(12, 2, 198), _intervals(item, kind, 12, lambda value: 2 + 196 * value / top), width=200
    )


def draw_readings(indicators: Sequence[Line], challenges: Sequence[Line], since: str, until: str) -> list[Panel]:
    """Return the history of each indicator with each coder's 90% range; challenges are vertical lines."""
    return [_reading(item, challenges, since, until) for item in indicators]


def _reading(item: Line, challenges: Sequence[Line], since: str, until: str) -> Panel:
    start, end = (date.fromisoformat(day).toordinal() for day in (since, until))
    bottom, top, (least, most) = 92.0, 24.0, item["range"]

    def across(day: str) -> float:
        share = (date.fromisoformat(day).toordinal() - start) / (end - start)
        return 34.0 + 186 * min(max(share, 0.0), 1.0)

    def up(value: float) -> float:
        return float(bottom - (bottom - top) * (value - least) / (most - least))

    parts = [write(2, 14, _cut(item["label"], 34))]
    for value in (least, (least + most) / 2, most):
        parts += [
            level(up(value), 34, 220),
            write(30, up(value) + 4, f"{value:g}", "mute", "end", 10),
        ]
    for event in challenges:
        if since <= event["start"] <= until:
            kind, x = ("coup" if event["kind"] == "coup attempt" else "revolution"), across(event["start"])
            style = f"s-{kind}" + (" dots" if event["result"] == "failed" else "")
            parts.append(upright(x, top, bottom, style, stroke_width=1.5))
    for place, coder in enumerate(item["coders"]):
        parts += _steps(coder["points"], across, up, until, " dots" if place else "")
    parts += [write(34, 106, since[:4], "mute", size=10), write(220, 106, until[:4], "mute", "end", 10)]
    return panel(110, f"{item['label']}, {since[:4]} to {until[:4]}", *parts, width=228)


def _steps(points: Sequence[Sequence[Any]], across: Any, up: Any, until: str, dash: str) -> list[str]:
    """Return one coder's readings as a step line in its range."""
    days = [*(across(point[0]) for point in points), across(until)]
    edges: dict[int, list[tuple[float, float]]] = {}
    for column in (1, 2, 3):
        edges[column] = [(x, up(point[column])) for place, point in enumerate(points) for x in days[place : place + 2]]
    band = tag("path", d=_path([*edges[2], *edges[3][::-1]]) + "z", class_="f-mute", opacity=0.14)
    return [band, tag("path", d=_path(edges[1]), class_=f"s-ink{dash}", stroke_width=1.5)]
