"""One page for all leaders in office: ranked by each outcome, with what changed since the last issue."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forecast.drawing import LABELS, draw_interval, draw_spark
from forecast.files import write_atomically
from forecast.pages import templates
from forecast.report import FORMAT, NOTICED, all_numbers
from forecast.schema import OUTCOMES


def gather(reports: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the overview's numbers from the numbers of the reports, by country.

    Examples
    --------
    >>> gather({})["leaders"]
    []
    """
    leaders = [
        {
            "country": country, "name": own["question"]["name"], "leader": own["question"]["leader"], "page": f"{country}.html",
            "outcomes": {item["outcome"]: _numbers(item) for item in own["outcomes"]}, "changes": _changes(own["change"]),
            "history": {name: [issue["outcomes"][name]["probability"] for issue in own["history"]] for name in OUTCOMES},
        }
        for country, own in sorted(reports.items())
    ]  # fmt: skip
    first: Mapping[str, Any] = next(iter(reports.values()), {})
    about = {name: first["question"][name] for name in ("as_of", "horizon_months", "horizon_end")} if first else {}
    return {
        "format": FORMAT,
        **about,
        "labels": dict(LABELS),
        "leaders": leaders,
        "rankings": {name: rank(leaders, name) for name in OUTCOMES},
        "provenance": dict(first["provenance"]) if first else {},
    }


def _numbers(item: Mapping[str, Any]) -> dict[str, float]:
    return {name: item[name] for name in ("probability", "p05", "p25", "p75", "p95")}


def _changes(change: Mapping[str, Any] | None) -> dict[str, float] | None:
    return None if change is None else {item["outcome"]: item["difference"] for item in change["outcomes"]}


def rank(leaders: Sequence[Mapping[str, Any]], outcome: str) -> list[str]:
    """Return countries from the likeliest to the least likely."""
    order = sorted(leaders, key=lambda own: (-own["outcomes"][outcome]["probability"], own["country"]))
    return [own["country"] for own in order]


def arrow(difference: float | None) -> str:
    """Return a change as an arrow with words.

    Examples
    --------
    >>> arrow(0.012), arrow(-0.004), arrow(0.0001), arrow(None)
    ('▲ +1.2', '▼ −0.4', 'no change', 'first issue')
    """
    if difference is None:
        return "first issue"
    if abs(difference) < NOTICED:
        return "no change"
    return f"{'▲ +' if difference > 0 else '▼ −'}{100 * abs(difference):.1f}"


def make_overview(reports: Mapping[str, Mapping[str, Any]], template_folder: Path | None = None) -> tuple[str, str]:
    """Return the overview's page and its numbers as JSON."""
    content = gather(reports)
    leaders = {own["country"]: own for own in content["leaders"]}
    rows = {
        name: [
            {
                **leaders[country], **leaders[country]["outcomes"][name],
                "picture": draw_interval(leaders[country]["outcomes"][name], name, _top(content["leaders"], name)),
                "spark": draw_spark(leaders[country]["history"][name]), "arrow": arrow((leaders[country]["changes"] or {}).get(name)),
            }
            for country in content["rankings"][name]
        ]
        for name in OUTCOMES
    }  # fmt: skip
    tops = {name: _top(content["leaders"], name) for name in OUTCOMES}
    page = templates(template_folder).get_template("overview.html.j2").render(**content, rows=rows, tops=tops)
    return page, json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _top(leaders: Sequence[Mapping[str, Any]], name: str) -> float:
    """Return the end of an outcome's scale; where no leader can have it, of a whole scale."""
    return max((own["outcomes"][name]["p95"] for own in leaders), default=0.0) or 1.0


def write_overview(reports: Mapping[str, Mapping[str, Any]], folder: Path, template_folder: Path | None = None) -> Path:
    """Write the overview as index.html with JSON and CSV twins, and return the page's path."""
    page, twin = make_overview(reports, template_folder)
    write_atomically(folder / "index.html", page)
    write_atomically(folder / "index.json", twin)
    write_atomically(folder / "index.csv", all_numbers(json.loads(twin)))
    return folder / "index.html"
