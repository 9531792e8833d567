"""Time three new monthly readings from `forecast add` to the new probabilities, and a full refit beside them.

Works in a copy of the study with its kept fits; without one the first fit is made first. Processes are fresh; nothing is compiled.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import forecast

ROOT = Path(__file__).parent.parent
ROWS = (("war_balance", 0.3, 0.1, 0.5), ("sanctions", 0.9, 0.8, 1.0), ("elite_division", 0.3, 0.2, 0.5))
HEADER = "country,indicator,observed_on,value,low,high,coder,basis,known_on,sources,note"


def seconds(*arguments: str) -> float:
    """Return the wall time of one command."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "forecast", *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder)
        for name in ("data", "models", "build"):
            if (ROOT / name).exists():
                shutil.copytree(ROOT / name, study / name)
        where = ["--study", str(study)]
        data = forecast.load_data(study / "data")
        day = data.known_to + timedelta(days=31)
        source = data.indicators["sources"].iloc[-1].split(";")[0]
        lines = [f"RUS,{n},{day},{v},{a},{b},A,judgement,{day},{source}," for n, v, a, b in ROWS]
        (study / "new.csv").write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
        seconds("fit", *where)
        subprocess.run(
            [sys.executable, "-m", "forecast", "add", "day", str(day), *where], check=True, capture_output=True
        )
        times = {
            "forecast add, three readings": seconds("add", "indicator", "--from", str(study / "new.csv"), *where),
            "forecast update": seconds("update", *where),
            "forecast update --refit": seconds("update", "--refit", *where),
        }
    for name, value in times.items():
        print(f"{name:<30} {value:8.2f} s")
    print(f"refit over update: {times['forecast update --refit'] / times['forecast update']:.0f} x")
