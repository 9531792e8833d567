"""A report on paper and as pictures: PDF through Chromium, figures as SVG and PNG."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forecast.drawing import stand_alone
from forecast.errors import UsageError
from forecast.files import write_atomically
from forecast.report import figures

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
PATIENCE = 180  # seconds for one page
SCALE = 2  # dots of a PNG for a unit of its SVG
COLUMNS = {"incidence": 3, "history": 3, "swings": 2, "readings": 4}
ALT = {
    "futures": "A hundred futures, one sign each, by outcome",
    "outcomes": "Probability of each outcome with 50% and 90% intervals",
    "incidence": "Cumulative incidence of coup, revolution and other exit by month with 50% and 90% bands",
    "history": "The probabilities in each issue with their intervals",
    "drivers": "What each indicator's present reading does to the probabilities of coup and revolution",
    "swings": "Probabilities of coup and revolution with each indicator at its low and at its high usual value",
    "shares": "Shares of the variance of each probability: parameters, coding, paths",
    "readings": "History of each indicator with each coder's range and the challenges",
}


def find_browser() -> str:
    """Return the path of a Chromium.

    Raises
    ------
    UsageError
        When there is none.
    """
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    raise UsageError(
        f"a PDF needs Chromium and none of {', '.join(BROWSERS)} is installed; install one (apt install chromium), or "
        "open the HTML page in any browser and print it"
    )


def save_pdf(page: Path) -> Path:
    """Print a page to a PDF beside it and return its path.

    Raises
    ------
    UsageError
        When there is no Chromium, or it fails.
    """
    target = page.with_suffix(".pdf")
    with tempfile.TemporaryDirectory() as folder:
        printed = Path(folder) / "page.pdf"
        command = [
            find_browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
            "--no-first-run", f"--user-data-dir={folder}/profile", "--no-pdf-header-footer", f"--print-to-pdf={printed}", page.resolve().as_uri(),
        ]  # fmt: skip
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)  # noqa: S603
        except subprocess.TimeoutExpired:
            raise UsageError(f"Chromium did not print {page} within {PATIENCE} seconds; try again") from None
        if not printed.exists():
            raise UsageError(f"Chromium could not print {page}: {run.stderr.strip()[-300:] or 'no message'}")
        write_atomically(target, printed.read_bytes())
    return target


def save_figures(content: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write every figure of a report as SVG and PNG with a table of what each shows, and return the paths.

    Raises
    ------
    UsageError
        When the library that makes PNG is not installed.
    """
    question, paths, lines = content["question"], [], ["# Figures", ""]
    for name, panels in figures(content).items():
        alt = f"{ALT[name]}: {question['leader']}, {question['name']}, {question['as_of']} to {question['horizon_end']}"
        picture = stand_alone(panels, COLUMNS.get(name, 1), alt)
        for suffix, made in ((".svg", picture.encode()), (".png", to_png(picture))):
            paths.append(folder / f"{name}{suffix}")
            write_atomically(paths[-1], made)
        lines.append(f"- {name}: {' '.join(alt.split()).replace('<', '&lt;')}")
    write_atomically(folder / "README.md", "\n".join(lines) + "\n")
    return paths


def to_png(picture: str) -> bytes:
    """Return an SVG as PNG, in the same letters on every machine."""
    try:
        import resvg_py
    except ModuleNotFoundError:
        raise UsageError("PNG needs resvg-py: pip install 'regime-forecast[pictures]'") from None
    import matplotlib as mpl

    fonts = Path(mpl.get_data_path()) / "fonts" / "ttf"
    made: bytes = bytes(
        resvg_py.svg_to_bytes(
            svg_string=picture,
            zoom=SCALE,
            skip_system_fonts=True,
            font_files=[str(fonts / "DejaVuSans.ttf"), str(fonts / "DejaVuSans-Bold.ttf")],
            font_family="DejaVu Sans",
        )
    )
    return made
