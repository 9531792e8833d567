"""Kill `add`, `update` and `record` at random moments, some in pairs, and see that nothing that was acknowledged is lost.

OMP_NUM_THREADS=1 python benchmarks/kills.py [--kills 200] [--seed 1]

Each run is a process of its own that is forked from this one, so that a kill falls into the work and not into imports. After each
kill the tables must be sound, every row whose add was acknowledged must be there once, the ledger must verify
and hold every acknowledged row, and kept fits must load; at the end each verb must work without repair by hand.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import arviz_stats
import numpy as np
import nutpie

import forecast.changes
import forecast.density
import forecast.ledger
from forecast.cli import app
from forecast.data import load_data
from forecast.inference import load_fit
from forecast.ledger import read_ledger

LOADED = (arviz_stats, nutpie, forecast.changes, forecast.density, forecast.ledger)  # so that a forked process need not
STUDY = Path(__file__).parent.parent / "tests" / "tiny"
SMALL = "\n[sampling]\ndraws = 100\ntune = 200\nchains = 2\n\n[gate]\nrhat = 10.0\ness = 1.0\ndivergences = 1000\n"
VERBS = ("add", "add", "update", "record")
COMPUTED = '\n[recent_challenge]\nlabel = "Time since the last challenge"\nunit = "1 now to 0 never"\nrange = [0.0, 1.0]\nrole = "computed"\nabsent = "missing"\n'
COUNTRIES = ("XNL", "XSL")


def make_study(folder: Path) -> Path:
    """Return a small study with a kept fit."""
    for name in ("data", "models"):
        shutil.copytree(STUDY / name, folder / name, ignore=shutil.ignore_patterns(".*"))
    spec = folder / "models" / "default.toml"
    head, mark, rest = spec.read_text(encoding="utf-8").partition("[onset]")
    spec.write_text(head + SMALL.lstrip() + "\n" + mark + rest, encoding="utf-8")
    codebook = folder / "data" / "codebook.toml"
    text = codebook.read_text(encoding="utf-8")
    codebook.write_text(text if "[recent_challenge]" in text else text + COMPUTED, encoding="utf-8")
    return folder


def command(verb: str, number: int, study: Path, rng: np.random.Generator) -> list[str]:
    """Return the arguments of a verb; each add has a note of its own, by which it is found again."""
    match verb:
        case "add":
            day = np.datetime64("2018-02-01") + np.timedelta64(int(rng.integers(0, 1000)), "D")
            return ["add", "indicator", "--country", str(rng.choice(COUNTRIES)), "--indicator", "elite_division", "--observed-on", str(day), "--value", "0.4",
                    "--low", "0.2", "--high", "0.6", "--known-on", str(day), "--coder", f"c{number}", "--sources", "survey_2015", "--note", f"run {number}",
                    "--study", str(study)]  # fmt: skip
        case "update":
            return ["update", "--country", "XNL", "--horizon", "6", "--study", str(study)]
        case _:
            return ["record", "--horizon", str(int(rng.integers(1, 25))), "--study", str(study)]


def start(arguments: list[str], out: Path) -> int:
    """Fork a process that runs the command and writes its exit code and talk into a file when it is done."""
    child = os.fork()
    if child:
        return child
    said = io.StringIO()
    code = 1
    try:
        with redirect_stdout(said), redirect_stderr(said):
            app(arguments, standalone_mode=True)
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException as error:  # noqa: BLE001 - told to the parent
        said.write(repr(error))
    temporary = out.with_suffix(".part")
    temporary.write_text(json.dumps({"code": code, "said": said.getvalue()}), encoding="utf-8")
    temporary.replace(out)
    os._exit(0)


def inspect(study: Path, acknowledged: list[int], rows: int) -> list[str]:
    """Return what is wrong with a study after a kill."""
    wrong = []
    data = load_data(study / "data")  # raises when a table is torn or unsound
    text = (study / "data" / "indicators.csv").read_text(encoding="utf-8")
    wrong += [f"row of run {number} stands {text.count(f'run {number}\n')} times" for number in acknowledged if text.count(f",run {number}\n") != 1]  # fmt: skip
    ledger = read_ledger(study / "reports" / "ledger.csv")  # raises when the chain is broken
    if len(ledger) < rows:
        wrong.append(f"the ledger has {len(ledger)} rows where {rows} were acknowledged")
    for path in (study / "build" / "fits").glob("[!.]*.nc"):
        load_fit(path)
    assert len(data.indicators)
    return wrong


class Loop:
    """The study under attack, what was acknowledged, and a tally."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng, self.out, self.study = np.random.default_rng(seed), folder, make_study(folder / "study")
        self.number, self.acknowledged, self.wrong = 0, [], []
        run_whole("update", -1, self.study, folder, self.rng)  # samples: there is no fit yet
        self.lengths = {
            verb: run_whole(verb, -n - 2, self.study, folder, self.rng)
            for n, verb in enumerate(("add", "update", "record"))
        }
        self.rows = self.count_rows()
        self.tally = {
            "killed": 0,
            "finished first": 0,
            "refused": 0,
            "killed in pairs": 0,
            **dict.fromkeys(self.lengths, 0),
        }

    def count_rows(self) -> int:
        """Return how many rows the ledger has."""
        return len(read_ledger(self.study / "reports" / "ledger.csv"))

    def strike(self, together: int) -> None:
        """Start one verb or two at once, kill each at a random moment, and inspect the study."""
        batch = []
        for _ in range(together):
            verb, self.number = str(self.rng.choice(VERBS)), self.number + 1
            arguments = command(verb, self.number, self.study, self.rng)
            batch.append((verb, self.number, start(arguments, self.out / f"{self.number}.json")))
        for verb, own, child in batch:
            time.sleep(float(self.rng.uniform(0, 1.1 * self.lengths[verb] * together)))
            if self.rng.random() < 0.9:
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            self.account(verb, own, together)
        self.wrong += inspect(self.study, self.acknowledged, self.rows)
        self.rows = self.count_rows()

    def account(self, verb: str, own: int, together: int) -> None:
        """Enter what became of a process into the tally."""
        done = self.out / f"{own}.json"
        if not done.exists():
            self.tally["killed"] += 1
            self.tally["killed in pairs"] += together == 2
            self.tally[verb] += 1
            return
        said = json.loads(done.read_text(encoding="utf-8"))
        self.tally["refused" if said["code"] else "finished first"] += 1
        if said["code"]:
            self.wrong.append(f"{verb} ended with {said['code']}: {said['said'][-300:]}")
        elif verb == "add":
            self.acknowledged.append(own)


def main() -> None:
    """Run the loop and print its figures."""
    parser = argparse.ArgumentParser(description="Kill verbs at random moments and see that nothing is lost.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(Path(folder), given.seed)
        print("seconds of a whole run:", {verb: round(value, 2) for verb, value in loop.lengths.items()}, flush=True)
        while loop.tally["killed"] < given.kills and len(loop.wrong) < 20:
            loop.strike(2 if loop.rng.random() < 0.3 else 1)
            if loop.number % 10 == 0:
                print({**loop.tally, "problems": len(loop.wrong)}, flush=True)
        for n, verb in enumerate(("add", "update", "record")):
            run_whole(verb, -n - 10, loop.study, loop.out, loop.rng)  # works without repair
        left = [path.name for path in loop.study.rglob(".*") if path.is_file() and path.name != ".lock"]
        print({**loop.tally, "adds acknowledged": len(loop.acknowledged), "rows in the ledger": loop.count_rows(), "problems": len(loop.wrong), "leftovers": left})  # fmt: skip
        print(*loop.wrong, sep="\n")
    sys.exit(bool(loop.wrong))


def run_whole(verb: str, number: int, study: Path, out: Path, rng: np.random.Generator) -> float:
    """Run a verb to its end and return its seconds; it must succeed."""
    began = time.perf_counter()
    os.waitpid(start(command(verb, abs(number) + 10**6, study, rng), out / f"{number}.json"), 0)
    said = json.loads((out / f"{number}.json").read_text(encoding="utf-8"))
    if said["code"]:
        raise SystemExit(f"{verb} failed: {said['said']}")
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
