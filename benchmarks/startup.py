"""Time the commands that must answer at once, as multiples of an empty Python process."""

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "empty Python": ["-c", "pass"],
    "forecast --help": ["-m", "forecast", "--help"],
    "forecast check": ["-m", "forecast", "check"],
}
RUNS = 7


def seconds(arguments: list[str]) -> float:
    """Return the median wall time of a Python process with these arguments."""
    times = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])  # the first one warms the caches


if __name__ == "__main__":
    found = {name: seconds(arguments) for name, arguments in COMMANDS.items()}
    base = found["empty Python"]
    for name, value in found.items():
        print(f"{name:<16} {value:6.3f} s   {value / base:5.1f} x")
