"""Jobs give the same results wherever they run, go on where they stopped, and fail alone."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from forecast.engine import Job, Where, read_result, run_jobs
from forecast.errors import GateError, UsageError


def draw(shared, job):
    """Return a number that depends on the job alone, or fail as the job says."""
    import numpy as np

    match job.facts.get("trouble"):
        case "gate":
            raise GateError("not converged")
        case "bug":
            raise ZeroDivisionError("by nothing")
        case "death":
            os._exit(3)
    with (shared / "calls").open("a") as calls:
        calls.write(f"{job.name} {os.environ.get('OMP_NUM_THREADS')}\n")
    return {"number": float(np.random.default_rng(job.seed).normal()), "third": 1 / 3}


def jobs(count=4, **troubles):
    return [Job(f"job {i}", {"place": i, "trouble": troubles.get(f"job{i}")}) for i in range(count)]


def test_key_and_seed_follow_from_the_facts_alone():
    job = Job("a", {"x": 1, "y": 2})
    assert job.key == Job("another name", {"y": 2, "x": 1}).key != Job("a", {"x": 1, "y": 3}).key
    assert job.seed == int(job.key[:8], 16)


@pytest.mark.parametrize("where", [Where(1), Where(2), Where(2, "local")], ids=["one", "two", "dask"])
def test_results_do_not_depend_on_where_they_were_made(tmp_path, where):
    expected = {job.key: draw(tmp_path, job) for job in jobs()}
    (tmp_path / "calls").unlink()
    results, failures = run_jobs(draw, jobs()[::-1], tmp_path / "kept", tmp_path, where)
    assert results == expected  # to the last bit, also after a passage through JSON
    assert not failures
    assert {line.split()[-1] for line in (tmp_path / "calls").read_text().splitlines()} == {"1"}


def test_what_is_kept_does_not_run_again(tmp_path):
    run_jobs(draw, jobs(2), tmp_path / "kept", tmp_path, Where(1))
    (tmp_path / "kept" / f"{jobs()[1].key}.json").write_text("{torn")  # no result, so it runs again
    results, _ = run_jobs(draw, jobs(3), tmp_path / "kept", tmp_path, Where(1))
    names = [line[:5] for line in (tmp_path / "calls").read_text().splitlines()]
    assert sorted(names) == ["job 0", "job 1", "job 1", "job 2"]
    assert set(results) == {job.key for job in jobs(3)}
    assert read_result(tmp_path / "kept", jobs()[1]) == results[jobs()[1].key]


def test_failures_are_reported_and_stop_nothing(tmp_path):
    troubled = jobs(4, job0="bug", job2="gate")
    results, failures = run_jobs(draw, troubled, tmp_path / "kept", tmp_path, Where(2))
    assert set(results) == {troubled[1].key, troubled[3].key}
    assert [(f.job.name, f.message, f.exit_code) for f in failures] == [
        ("job 0", "ZeroDivisionError: by nothing", 1),
        ("job 2", "not converged", 12),
    ]
    assert read_result(tmp_path / "kept", troubled[0]) is None


def test_a_lost_worker_is_reported(tmp_path):
    _, failures = run_jobs(draw, jobs(1, job0="death"), tmp_path / "kept", tmp_path, Where(1))
    assert "the worker was lost" in failures[0].message


def test_no_scheduler_is_a_usage_error(tmp_path):
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}), pytest.raises(UsageError, match="no Dask"):
        run_jobs(draw, jobs(1), tmp_path / "kept", tmp_path, Where(1, "tcp://127.0.0.1:1"))


SLOW = """
import sys, pathlib
sys.path.insert(0, {tests!r})
import test_engine
from forecast.engine import Job, Where, run_jobs

if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    run_jobs(test_engine.wait, [Job("slow", {{"slow": 1}})], folder / "kept", folder, Where(1))
"""


def wait(shared, _job):
    (shared / "pid").write_text(str(os.getpid()))
    time.sleep(60)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="looks at /proc")
def test_workers_end_with_their_parent(tmp_path):
    script = tmp_path / "slow.py"
    script.write_text(SLOW.format(tests=str(Path(__file__).parent)))
    parent = subprocess.Popen([sys.executable, script, tmp_path])
    for _ in range(600):
        if (tmp_path / "pid").exists() and (worker := (tmp_path / "pid").read_text()):
            break
        time.sleep(0.1)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(100):
        if not alive(worker):
            return
        time.sleep(0.1)
    raise AssertionError("the worker outlives its parent")


def test_kept_results_say_what_they_are(tmp_path):
    run_jobs(draw, jobs(1), tmp_path / "kept", tmp_path, Where(1))
    kept = json.loads((tmp_path / "kept" / f"{jobs()[0].key}.json").read_text())
    assert (kept["name"], kept["facts"]) == ("job 0", {"place": 0, "trouble": None})
