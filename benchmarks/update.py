"""Time three new monthly readings from `forecast add` to the new probabilities, and a full refit beside them.

Works in a copy of the study with its kept fit; without one the first fit is made first. Three rounds, each of new readings and in fresh
processes; the median counts. Nothing is compiled but what the refit compiles.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import forecast

ROOT = Path(__file__).parent.parent
ROUNDS = 3
ROWS = (("war_balance", 0.3, 0.1, 0.5), ("sanctions", 0.9, 0.8, 1.0), ("elite_division", 0.3, 0.2, 0.5))
HEADER = "country,indicator,observed_on,value,low,high,coder,basis,known_on,sources,note"


def seconds(*arguments: str) -> float:
    """Return the wall time of one command."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "forecast", *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


def copy_study(folder: Path, known_to: date) -> None:
    """Copy tables, specs and the fits of the last coded day."""
    for name in ("data", "models"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "build" / "fits").mkdir(parents=True)
    for path in (ROOT / "build" / "fits").glob(f"default-{known_to}-*.nc"):
        shutil.copy2(path, folder / "build" / "fits")


def new_readings(path: Path, day: date, source: str) -> str:
    """Write three readings of a day to a file and return its name."""
    lines = [f"RUS,{n},{day},{v},{a},{b},A,judgement,{day},{source}," for n, v, a, b in ROWS]
    path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    return str(path)


if __name__ == "__main__":
    data = forecast.load_data(ROOT / "data")
    first = data.known_to + timedelta(days=31)
    source = data.indicators["sources"].iloc[-1].split(";")[0]
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder)
        where = ["--study", folder]
        copy_study(study, data.known_to)
        seconds("fit", *where)
        times: dict[str, list[float]] = {"forecast add, three readings": [], "forecast update": []}
        for number in range(ROUNDS):
            day = first + timedelta(days=number)
            seconds("add", "day", str(day), *where)
            file = new_readings(study / "new.csv", day, source)
            times["forecast add, three readings"].append(seconds("add", "indicator", "--from", file, *where))
            times["forecast update"].append(seconds("update", *where))
        times["forecast update --refit"] = [seconds("update", "--refit", *where)]
    for name, values in times.items():
        print(f"{name:<30} {statistics.median(values):8.2f} s   ({', '.join(f'{value:.2f}' for value in values)})")
    ratio = times["forecast update --refit"][0] / statistics.median(times["forecast update"])
    print(f"refit over update: {ratio:.0f} x")
