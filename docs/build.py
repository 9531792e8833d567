"""Rebuild the parts of docs/ that are made from the code and the data, so that they cannot drift apart.

python docs/build.py          write them
python docs/build.py --check  say which are out of date, and exit with 1 if any is
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import hindsight

import forecast
from forecast.agreement import ENOUGH, agreement, signature
from forecast.data import Data
from forecast.sanctions import FLAT, KINDS, reach
from forecast.schema import SHARES, TABLES, WORKINGS

DOCS = Path(__file__).parent


def dictionary(data: Data) -> str:
    """Return the data dictionary: tables from the schema, indicators from the codebook."""
    lines = ["# Data dictionary", "", "Made by `make docs` from `forecast/schema.py` and `data/codebook.toml`.", ""]
    for file, row_type in {**TABLES, **WORKINGS}.items():
        lines += [f"## {file}", "", (row_type.__doc__ or "").strip(), "", "| column | meaning |", "|---|---|"]
        lines += [f"| `{name}` | {field.description} |" for name, field in row_type.model_fields.items()]
        lines.append("")
    lines += [*sanction_weights(), "## Indicators", ""]
    for name, entry in data.codebook.indicators.items():
        lines += [f"### `{name}`: {entry.label}", "", f"{entry.unit}; {entry.role}.", ""]
        lines += [f"- {title}: {text}" for title, text in _anchors(entry) if text]
        lines.append("")
    return "\n".join([*lines, *coder_agreement(data)])


def sanction_weights() -> list[str]:
    """Return the weights behind the severity of sanctions as Markdown lines."""
    return [
        "| kind of measure | what belongs here | depth |",
        "|---|---|---:|",
        *(
            f"| {kind} | {text} | {depth:g}{' whoever sends it' if kind in FLAT else ''} |"
            for kind, (depth, text) in KINDS.items()
        ),
        "",
        "| class of share | of the target's trade | weight |",
        "|---|---|---:|",
        *(f"| {name} | {low:.0%} to {high:.0%} | {reach(name)[0]:.2f} |" for name, (low, high) in SHARES.items()),
        "",
    ]


def _anchors(entry: forecast.schema.Indicator) -> list[tuple[str, str]]:  # type: ignore[name-defined]
    absent = {"missing": "unknown, estimated by the model", "zero": "it does not exist: 0"}[entry.absent]
    return [
        ("low", entry.low),
        ("middle", entry.middle),
        ("high", entry.high),
        ("sources", entry.sources),
        ("before the first reading", absent),
        ("claims", ", ".join(entry.claim)),
    ]


def coder_agreement(data: Data) -> list[str]:
    """Return the agreement of two coders as Markdown lines."""
    table = agreement(data)
    lines = [
        "## Agreement of the two coders",
        "",
        "Krippendorff's alpha for interval data. The second coding was made from the vignettes without sight of the first, on the",
        "first coder's dates. Both coders drew on the same literature, so alpha says how well the vignettes pin a reading down; it",
        f"is no proof that both are right. Groups under {ENOUGH} are marked; there the two codings' distance widens the model's",
        "reading, as everywhere.",
        "",
        "| indicator | group | pairs | alpha | mean gap |",
        "|---|---|---:|---:|---:|",
    ]
    for (name, group), line in table.iterrows():
        mark = " **low**" if line["alpha"] < ENOUGH else ""
        lines.append(
            f"| `{name}` | {group} | {line['pairs']:.0f} | {line['alpha']:.2f}{mark} | {line['mean_gap']:.3f} |"
        )
    return [*lines, ""]


PARTS: dict[str, Callable[[Data], str]] = {
    "data_dictionary.md": dictionary,
    "data_signature.txt": signature,
    "hindsight.md": hindsight.page,
}


def main() -> int:
    """Write the parts, or check them."""
    data = forecast.load_data(forecast.find_study(DOCS.parent).data)
    stale = [name for name, make in PARTS.items() if _differs(DOCS / name, make(data))]
    for name in stale:
        if "--check" in sys.argv:
            print(f"docs/{name} is out of date; run make docs")
        else:
            (DOCS / name).write_text(PARTS[name](data), encoding="utf-8")
            print(f"wrote docs/{name}")
    return int(bool(stale) and "--check" in sys.argv)


def _differs(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text(encoding="utf-8") != text


if __name__ == "__main__":
    sys.exit(main())
