"""Claims about audits on a Ray cluster of two local nodes."""

import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import ray
from loading_work import loading
from ray.cluster_utils import Cluster
from resumable import work

import quantmis as qm
from quantmis.audit.execution.collect import collect
from quantmis.audit.execution.computing import compute
from quantmis.audit.execution.executors import Local, Ray, executor
from quantmis.audit.execution.progress import Tick
from quantmis.audit.execution.work import Work
from quantmis.data import Samples

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"),
]

STARTS, PATIENCE = 5, 120.0


def asked() -> Work:
    whole = work(recipe=qm.Recipe(epochs=30), checkpoint_every=None)
    return replace(whole, engine=replace(whole.engine, threads=1))


def found(where: Any, tick: Tick = lambda done: None) -> dict[range, dict[str, bytes]]:
    groups = collect(asked(), where, None, tick).groups
    return {
        rows: {
            f"{number}.{name}": array.tobytes()
            for number, version in group.versions.items()
            for name, array in version.arrays.items()
        }
        for rows, group in groups.items()
    }


@pytest.fixture(scope="module")
def expected() -> dict[range, dict[str, bytes]]:
    return found(Local())


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nodes = started()
        yield nodes
        nodes.shutdown()


def started() -> Cluster:
    """Start two nodes; a machine that is busy may need more than the half minute that Ray gives a node."""
    for attempt in range(STARTS):
        nodes = Cluster()
        try:
            nodes.add_node(num_cpus=1, include_dashboard=False)
            nodes.add_node(num_cpus=1)
            nodes.wait_for_nodes(timeout=PATIENCE)
        except Exception:
            nodes.shutdown()
            if attempt == STARTS - 1:
                raise
        else:
            return nodes
    raise AssertionError(STARTS)


@pytest.mark.slow
def test_a_cluster_of_two_nodes_gives_the_same_rows_bit_for_bit(cluster: Cluster, expected: object):
    assert found(Ray(cluster.address)) == expected
    assert not ray.is_initialized()


def test_a_recipe_may_load_its_batches_in_processes_on_a_cluster_too(cluster: Cluster, digits: Samples):
    work = loading(digits)
    groups = dict(Ray(cluster.address).run(work, map(work.job, work.groups()), lambda done: None))
    for rows in work.groups():
        here = compute(work, work.job(rows)).versions[0].arrays["losses"]
        np.testing.assert_allclose(groups[rows].versions[0].arrays["losses"], here, atol=1e-6)


def test_an_error_of_the_users_arrives_as_itself(cluster: Cluster):
    broken = work(recipe=qm.Recipe(epochs=1, learning_rate=1e13, optimizer="sgd"), checkpoint_every=None)
    broken = replace(broken, engine=replace(broken.engine, threads=1))
    with pytest.raises(qm.UserError, match=r"seed address shadow/\d+ diverged"):
        collect(broken, Ray(cluster.address), None, tick=lambda done: None)


def test_a_node_killed_in_mid_run_costs_time_only(cluster: Cluster, expected: object):
    victim = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    alive = [victim]

    def kill_once(_done: int) -> None:
        while alive:
            cluster.remove_node(alive.pop(), allow_graceful=False)

    assert found(Ray(cluster.address), kill_once) == expected
    assert not alive


def test_a_cluster_that_is_not_there_is_said_to_be_missing():
    with pytest.raises(qm.UserError, match=r"no Ray cluster at '127\.0\.0\.1:1'") as refused:
        found(Ray("127.0.0.1:1"))
    assert "ray start --head" in (refused.value.hint or "")


def test_a_cluster_is_knocked_at_before_anything_is_spent(monkeypatch: pytest.MonkeyPatch):
    start = time.monotonic()
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    for address, named in (("auto", "127.0.0.1:1"), ("ray://127.0.0.1:2", "ray://127.0.0.1:2")):
        with pytest.raises(qm.UserError, match=f"no Ray cluster at '{named}'"):
            executor("ray", address)
    assert time.monotonic() - start < 5
    assert executor("local", "nowhere:1") == Local()


def test_an_unknown_executor_is_refused():
    with pytest.raises(qm.UserError, match="unknown executor 'slurm'") as refused:
        executor("slurm")
    assert "local, ray" in (refused.value.hint or "")
