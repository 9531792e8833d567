"""Take the pictures of a report that the README and docs/pictures show: python docs/screenshots.py [FOLDER]

FOLDER has the pages that `forecast report --all` wrote; by default the latest one in reports/. Needs Chromium and playwright.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps
from playwright.sync_api import sync_playwright

from forecast.exports import find_browser
from forecast.files import write_atomically

ROOT = Path(__file__).parent.parent
COUNTRY = "RUS"
COLOURS = 256  # of a picture: enough for a page, at a third of the size
SCREEN, PHONE, PAPER = (1200, 880), (375, 812), (688, 1017)  # paper: A4 within its margins
MARGIN = 53
SHOTS = {  # page, size, what the reader's machine says, element or the first screen
    "report": (COUNTRY, SCREEN, {}, None),
    "report_dark": (COUNTRY, SCREEN, {"color_scheme": "dark"}, None),
    "report_phone": (COUNTRY, PHONE, {}, None),
    "report_print": (COUNTRY, PAPER, {"media": "print"}, None),
    "report_explorer": (f"{COUNTRY}.html#set:war_balance=-0.8&elite_division=0.6", SCREEN, {}, "#explorer"),
    "overview": ("index", SCREEN, {}, None),
}


def take(browser: Any, folder: Path, shot: tuple[str, tuple[int, int], dict[str, str], str | None]) -> bytes:
    """Return one picture as PNG."""
    name, (width, height), media, element = shot
    page = browser.new_page(viewport={"width": width, "height": height})
    page.emulate_media(**media)
    file, _, place = name.partition("#")
    page.goto(f"{(folder / file).with_suffix('.html').resolve().as_uri()}{'#' if place else ''}{place}")
    seen = page.locator(element) if element else page
    raw = seen.screenshot()
    page.close()
    return shrink(raw, MARGIN if media.get("media") == "print" else 0)


def shrink(raw: bytes, margin: int) -> bytes:
    """Return a PNG with few colours, and a margin."""
    buffer = io.BytesIO()
    whole = ImageOps.expand(Image.open(io.BytesIO(raw)).convert("RGB"), margin, "white")
    few = whole.quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def main() -> None:
    """Write the pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else max(path.parent for path in ROOT.glob("reports/*/index.html"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox", "--disable-gpu"])
        for name, shot in SHOTS.items():
            made = take(browser, folder, shot)
            write_atomically(ROOT / "docs" / "pictures" / f"{name}.png", made)
            print(f"wrote docs/pictures/{name}.png, {len(made) // 1000} kB")
        browser.close()


if __name__ == "__main__":
    main()
