"""Templates of pages that need nothing from outside, and in which whatever stands in the tables is only text."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from forecast.drawing import PALETTE, STYLE, percent

# The colours of the figures on a dark page, each 3 to 1 from it or better.
DARK = {
    "coup": "#F28A45", "revolution": "#5AB4E8", "other_exit": "#A9A9B2", "survives_challenged": "#E2B13C", "survives_unchallenged": "#3CCB9B",
    "ink": "#ececf1", "mute": "#b3b3bd", "rule": "#44444d", "paper": "#17171b",
}  # fmt: skip


@lru_cache
def templates(folder: Path | None = None) -> jinja2.Environment:
    """Return the template environment: everything is escaped, and a missing value is an error.

    Parameters
    ----------
    folder : Path, optional
        Templates, styles and scripts of the same names in it take precedence over the package's own.
    """
    loaders: list[jinja2.BaseLoader] = [jinja2.PackageLoader("forecast", "templates")]
    if folder is not None:
        loaders.insert(0, jinja2.FileSystemLoader(folder))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=jinja2.select_autoescape(["html", "html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": lambda value: "-" if value is None else ">99.9%" if 0.9995 <= value < 1 else f"{100 * value:.1f}%",
        "probability": lambda value: "-" if value is None else percent(value),
        "points": points,
        "digits": _digits,
        "number": lambda value: "-" if value is None else f"{value:.2f}",
        "cell": _markdown_cell,
        "csp_hash": csp_hash,
        "inert_json": _inert_json,
    }
    environment.globals |= {"asset": lambda name: _asset(environment, name), "colours": _colours}
    return environment


def _digits(value: float | None) -> str:
    """Return a ratio to two digits."""
    if value is None:
        return "-"
    return "<0.01" if 0 < value < 0.01 else f"{float(f'{value:.2g}'):,g}"


def points(difference: float) -> str:
    """Return a difference of probabilities in percentage points; what rounds to nothing has no sign."""
    text = f"{100 * difference:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def csp_hash(text: str) -> str:
    """Return the source expression by which a content security policy allows one inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(str(text).encode()).digest()).decode()}'"


def _asset(environment: jinja2.Environment, name: str) -> Markup:
    """Return a style or script as it stands in its file."""
    loader = environment.loader
    if loader is None:
        raise jinja2.TemplateNotFound(name)
    return Markup(loader.get_source(environment, name)[0])  # noqa: S704 - a file of the package or of the user's folder


def _colours() -> Markup:
    """Return the style of the figures: colours for light, dark and print."""
    light, dark = ("".join(f"--{name}:{colour};" for name, colour in palette.items()) for palette in (PALETTE, DARK))
    text = f":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}{STYLE}"
    return Markup(text)  # noqa: S704 - constants


def _inert_json(value: Mapping[str, Any]) -> Markup:
    """Return JSON that cannot end the element in which it stands."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))  # noqa: S704


def _markdown_cell(value: Any) -> str:
    """Return text that cannot break out of a Markdown table or become markup."""
    text = str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
    return text.replace("<", "&lt;").replace(">", "&gt;").replace("[", "\\[").replace("]", "\\]")
