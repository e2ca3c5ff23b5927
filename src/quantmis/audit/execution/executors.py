"""Where groups are computed: in this process, in a process per core, or on a Ray cluster.

The result does not depend on it: a group is a pure function of the work and its rows, and the number of threads that
compute it is part of the work.
"""

import multiprocessing
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from quantmis.audit.execution.cluster import connected, library, require_answer, require_room
from quantmis.audit.execution.computing import compute
from quantmis.audit.execution.progress import Tick
from quantmis.audit.execution.returned import digest_of, require_whole
from quantmis.audit.execution.user_modules import own_modules, owners
from quantmis.audit.execution.work import Group, Job, Work
from quantmis.audit.options import EXECUTORS
from quantmis.errors import UserError
from quantmis.registry import suggestion

ATTEMPTS = 5
KILLED = (
    "finished work is kept: run the same audit again, with smaller groups where memory is short ([audit] memory = 0.5)"
)


class Executor(ABC):
    """Compute what jobs ask for, in any order."""

    @abstractmethod
    def run(self, work: Work, jobs: Iterable[Job], tick: Tick) -> Iterator[tuple[range, Group]]:
        """Yield each group with its models as it is done; `tick` hears of model-steps."""


@dataclass(frozen=True)
class Local(Executor):
    """Compute on this machine: here, or in as many processes as the engine has workers."""

    def run(self, work: Work, jobs: Iterable[Job], tick: Tick) -> Iterator[tuple[range, Group]]:
        """Yield the groups in order."""
        if work.engine.workers == 1:
            for job in jobs:
                yield job.rows, compute(work, job, tick)
            return
        import cloudpickle
        from joblib import Parallel, delayed
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        _ship(cloudpickle, work)
        parallel = Parallel(n_jobs=work.engine.workers, return_as="generator_unordered")
        results: Any = parallel(delayed(_with_rows)(work, job) for job in jobs)
        try:
            for rows, group in results:
                tick(_steps(work, rows))
                yield rows, group
        except TerminatedWorkerError as error:
            raise UserError(
                "a process that trained models was killed, as happens when memory runs out", KILLED
            ) from error
        finally:
            _end(results)


@dataclass(frozen=True)
class Ray(Executor):
    """Compute on the Ray cluster at `address` ("auto": the one of this environment).

    A group whose node dies is computed again elsewhere; Ray sees to that. What comes back must be what was sent.
    """

    address: str = "auto"

    def run(self, work: Work, jobs: Iterable[Job], tick: Tick) -> Iterator[tuple[range, Group]]:
        """Yield the groups as they arrive."""
        ray = library()
        with connected(ray, self.address):
            require_room(ray, work.engine.threads)
            _ship(ray.cloudpickle, work)
            task = ray.remote(num_cpus=work.engine.threads, max_retries=ATTEMPTS)(_signed)
            shared = ray.put(work)
            waiting = [task.remote(shared, job) for job in jobs]
            while waiting:
                done, waiting = ray.wait(waiting)
                rows, group, digest = _result(ray, done[0])
                require_whole(group, digest, rows)
                tick(_steps(work, rows))
                yield rows, group


def executor(name: str, address: str = "auto") -> Executor:
    """Return the executor of that name; `UserError` for another."""
    if name not in EXECUTORS:
        raise UserError(f"unknown executor {name!r}", hint=suggestion(name, EXECUTORS))
    if name == "local":
        return Local()
    if not library().is_initialized():
        require_answer(address)
    return Ray(address)


def _end(results: Any) -> None:
    """Hand out no more work, and end the workers: they would remember today's code when it is changed tomorrow.

    In this order: an end that waits for workers holds what their next work waits for.
    """
    from joblib.externals import loky

    workers: Any = loky.get_reusable_executor  # declared to take less than it does
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joblib says how much it cancels
        results.close()
    workers(reuse=True).shutdown(wait=True)


def _with_rows(work: Work, job: Job) -> tuple[range, Group]:
    """Return a group with its rows, in a process of its own."""
    start_processes_by_fork()
    return job.rows, compute(work, job)


def _signed(work: Work, job: Job) -> tuple[range, Group, str]:
    """Return a group with its rows and its digest, on a machine of its own."""
    rows, group = _with_rows(work, job)
    return rows, group, digest_of(group)


def start_processes_by_fork() -> None:
    """Let a recipe start processes in this one, as `torch.utils.data.DataLoader(num_workers=2)` does.

    joblib's processes would start others in joblib's own way, which can start none but joblib's; and code of the user's
    that came here as values cannot be imported by a process that begins afresh, which a fork need not.
    """
    if "fork" in multiprocessing.get_all_start_methods():
        multiprocessing.set_start_method("fork", force=True)


def _steps(work: Work, rows: range) -> int:
    return len(rows) * work.steps


def _ship(pickler: Any, work: Work) -> None:
    """Send the modules of the user's own code along: other processes and nodes may not find their files."""
    for thing in (work.task.model, work.task.recipe, work.task.loss, *work.quantizers):
        for module in owners(thing):
            for each in own_modules(module):
                pickler.register_pickle_by_value(each)


def _result(ray: Any, reference: Any) -> tuple[range, Group, str]:
    """Return what a task computed; an error of the user's arrives as itself."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, UserError) else error from error
