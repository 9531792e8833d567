"""Many independent fits: on local processes or on a Dask cluster, resumable, and the same wherever they run.

A job is a name and the facts that decide its result. Its key is their digest, its seed follows from
the key, and its result is a JSON file named after the key. So a result does not depend on where, when or
beside what it was made, a run that was killed goes on where it stopped, and one that fails stops no other.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import connection, forkserver, get_all_start_methods, get_context, parent_process
from pathlib import Path
from typing import Any

from forecast.errors import ForecastError, UsageError
from forecast.files import digest, write_atomically

Work = Callable[[Any, "Job"], Any]  # (what all jobs share, the job) -> a JSON-like result
THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
METHOD = "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
_shared: list[Any] = []  # of a worker process: what all jobs share, received once


@dataclass(frozen=True)
class Job:
    """One unit of work.

    Attributes
    ----------
    name : str
        How people call it.
    facts : mapping
        JSON-like; everything that decides the result, digests of data and spec included.
    """

    name: str
    facts: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        """Name under which the result is kept."""
        return digest(dict(self.facts))[:16]

    @property
    def seed(self) -> int:
        """Seed of everything random in the job."""
        return int(self.key[:8], 16)


@dataclass(frozen=True)
class Failure:
    """Why a job has no result, and the exit code of that kind of trouble."""

    job: Job
    message: str
    exit_code: int


@dataclass(frozen=True)
class Where:
    """Where jobs run: so many local processes, or a Dask scheduler's address, or ``local`` for a Dask cluster here."""

    workers: int = 0  # 0: one for each core
    dask: str | None = None

    @property
    def count(self) -> int:
        """Number of local workers."""
        return self.workers or os.cpu_count() or 1


def run_jobs(
    work: Work, jobs: Sequence[Job], folder: Path, shared: Any, where: Where | None = None, *, progress: bool = False
) -> tuple[dict[str, Any], list[Failure]]:
    """Return the result of every job by its key, and the failures.

    Parameters
    ----------
    work : function of (shared, job)
        At the top of a module, so that another process finds it; returns a JSON-like value.
    jobs : sequence of Job
    folder : Path
        Keeps the results; a job whose result is there does not run again.
    shared : object
        What all jobs read, such as the data; sent to each worker once. What decides results belongs in the facts too.
    where : Where
    progress : bool
        Say on stderr what is done.

    Raises
    ------
    UsageError
        When there is no such Dask cluster.
    """
    kept = {job.key: read_result(folder, job) for job in jobs}
    missing = [job for job in {job.key: job for job in jobs}.values() if kept[job.key] is None]
    failures = []
    with _progress(len(jobs), len(jobs) - len(missing), shown=progress) as advance, ExitStack() as stack:
        submit = stack.enter_context(_executor(where or Where(), shared, len(missing))) if missing else None
        futures = {submit(work, job): job for job in missing} if submit else {}
        for future in as_completed(futures):
            job, answer = futures[future], _answer(future)
            if "failed" in answer:
                failures.append(Failure(job, answer["failed"], answer["exit_code"]))
            else:
                kept[job.key] = _keep(folder, job, answer["result"])
            advance(job.name)
    failures.sort(key=lambda failure: jobs.index(failure.job))
    return {key: result for key, result in kept.items() if result is not None}, failures


def read_result(folder: Path, job: Job) -> Any:
    """Return the kept result of a job, or None where there is none that can be read."""
    try:
        return json.loads((folder / f"{job.key}.json").read_text(encoding="utf-8"))["result"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(folder: Path, job: Job, result: Any) -> Any:
    """Write a result in one step, and return it as it will be read."""
    text = json.dumps({"name": job.name, "facts": dict(job.facts), "result": result}, default=str)
    write_atomically(folder / f"{job.key}.json", text)
    return json.loads(text)["result"]


def _answer(future: Future[dict[str, Any]]) -> dict[str, Any]:
    """Return what came of a job, also when its worker was lost."""
    if error := future.exception():
        return {"failed": f"the worker was lost: {type(error).__name__}: {error}", "exit_code": 1}
    return future.result()


def attempt(work: Work, shared: Any, job: Job) -> dict[str, Any]:
    """Do a job where it is; trouble of any kind becomes an answer, because it must not stop the others."""
    try:
        return {"result": work(shared, job)}
    except ForecastError as error:
        return {"failed": str(error), "exit_code": error.exit_code}
    except Exception as error:  # noqa: BLE001 - reported by name with the other failures
        return {"failed": f"{type(error).__name__}: {error}", "exit_code": 1}


Submit = Callable[[Work, Job], Future[dict[str, Any]]]


@contextmanager
def _executor(where: Where, shared: Any, jobs: int) -> Iterator[Submit]:
    """Open an executor and return how a job is sent to it; each worker has one thread for linear algebra."""
    if where.dask:
        with _dask_client(where) as client:
            there = client.scatter(shared, broadcast=True, hash=False)
            executor: Executor = client.get_executor(pure=False)
            yield lambda work, job: executor.submit(attempt, work, there, job)
        return
    with local_workers(min(where.count, jobs), shared) as pool:
        yield lambda work, job: pool.submit(_attempt_shared, work, job)


@contextmanager
def local_workers(count: int, shared: Any) -> Iterator[ProcessPoolExecutor]:
    """Open fresh processes that hold what all jobs share, use one thread for linear algebra, and end when this one does.

    Fresh ones, because the threads of the sampler and of BLAS do not survive a fork; where the system can, copies of a process
    that has done nothing but import (`warm_up`).
    """
    with _one_thread(), ExitStack() as stack:
        pool = ProcessPoolExecutor(count, get_context(METHOD), _receive, (shared,))
        stack.callback(pool.shutdown, cancel_futures=True)
        yield pool


def warm_up(*modules: str) -> None:
    """Let the process that workers are copied from import modules while this one does other things."""
    if METHOD == "forkserver":
        with _one_thread():
            get_context(METHOD).set_forkserver_preload(list(modules))
            forkserver.ensure_running()


def shared_by_all() -> Any:
    """Return, in a worker process, what all jobs share."""
    return _shared[0]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let new processes use one thread for linear algebra: workers share the cores, and sums keep their order."""
    before = {name: os.environ.get(name) for name in THREAD_SETTINGS}
    os.environ.update(dict.fromkeys(THREAD_SETTINGS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _receive(shared: Any) -> None:
    """Start a worker process: keep what all jobs share, and end when the parent process does."""
    _shared[:] = [shared]
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := parent_process()) is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _attempt_shared(work: Work, job: Job) -> dict[str, Any]:
    return attempt(work, shared_by_all(), job)


@contextmanager
def _dask_client(where: Where) -> Iterator[Any]:
    if "dask" in sys.modules and sys.modules["dask"] is None:
        del sys.modules["dask"]  # the command keeps it out until it is needed
    try:
        import distributed
    except ImportError:
        raise UsageError("--dask needs the library distributed: pip install 'regime-forecast[dask]'") from None
    with ExitStack() as stack:
        address: Any = where.dask
        if where.dask == "local":
            cluster = distributed.LocalCluster(n_workers=where.count, threads_per_worker=1, dashboard_address=None)
            address = stack.enter_context(cluster)
        try:
            client = distributed.Client(address)
        except (OSError, ValueError) as error:
            raise UsageError(f"there is no Dask scheduler at {where.dask}: {error}") from None
        yield stack.enter_context(client)


@contextmanager
def _progress(total: int, done: int, *, shown: bool) -> Iterator[Callable[[str], None]]:
    """Show a bar on a terminal, or a line for each job where there is none."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, quiet=not shown, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("waiting for the first", total=total, completed=done)

        def advance(name: str) -> None:
            bar.update(task, advance=1, description=name)
            console.print(f"{name} ({bar.tasks[0].completed:.0f} of {total})")

        yield advance
