"""Claims about clusters that are none, do not answer, or answer with something else; none of them is started here."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from quantmis.audit.execution import cluster
from quantmis.audit.execution.cluster import connected, require_answer, require_room
from quantmis.audit.execution.executors import executor
from quantmis.audit.execution.returned import digest_of, require_fitting, require_whole
from quantmis.audit.execution.work import Group, Job, Rows, Weights
from quantmis.errors import UserError
from quantmis.tables import VersionTraits

pytest.importorskip("ray")
ANSWER = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


@contextmanager
def listening(answer: Callable[[socket.socket], object]) -> Iterator[str]:
    """Listen at an address of this machine and let `answer` speak to whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = list[socket.socket]()

        def serve() -> None:
            try:
                while True:
                    held.append(server.accept()[0])
                    answer(held[-1])
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        yield "{}:{}".format(*server.getsockname())
        for each in held:
            each.close()


def slowly(connection: socket.socket) -> None:
    for byte in ANSWER:
        time.sleep(0.4)
        connection.sendall(bytes([byte]))


SPEAKERS = {
    "silent": (lambda connection: None, "timed out"),
    "slow": (slowly, "timed out"),
    "a web server": (lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "no Ray cluster"),
    "one that hangs up": (lambda connection: connection.close(), "hung up|reset"),
    "one that shouts": (lambda connection: connection.sendall(b"\xff" * 100_000), "no Ray cluster"),
}


@pytest.mark.parametrize("who", SPEAKERS)
def test_a_listener_that_is_no_cluster_is_refused_in_time(who: str, monkeypatch: pytest.MonkeyPatch):
    answer, message = SPEAKERS[who]
    monkeypatch.setattr(cluster, "PATIENCE", 1.0)
    start = time.monotonic()
    with listening(answer) as address, pytest.raises(UserError, match=f"no Ray cluster at .*({message})") as refused:
        executor("ray", address)
    assert time.monotonic() - start < 3
    assert "ray start --head" in str(refused.value.hint)


def test_a_cluster_is_waited_for_as_long_as_the_documentation_says():
    assert cluster.PATIENCE == 10
    page = (Path(__file__).parents[2] / "docs" / "guides" / "run-on-a-ray-cluster.md").read_text(encoding="utf-8")
    assert "within ten seconds" in page
    assert "a minute" in page
    assert cluster.LONGEST == 60


def test_whoever_begins_to_speak_as_ray_does_passes_the_door():
    with listening(lambda connection: connection.sendall(ANSWER)) as address:
        require_answer(address)


def test_a_cluster_that_answers_and_then_falls_silent_is_left(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster, "LONGEST", 0.5)
    ray = SimpleNamespace(
        is_initialized=lambda: False,
        init=lambda **options: time.sleep(3),
        shutdown=lambda: None,
        exceptions=SimpleNamespace(RayError=RuntimeError),
    )
    with (
        listening(lambda connection: connection.sendall(ANSWER)) as address,
        pytest.raises(UserError, match="it answered, and then not"),
        connected(ray, address),
    ):
        pass


@pytest.mark.parametrize(
    "address",
    [
        *("local", "", "nowhere", "host:", "host:0", "host:65536", "host:1:2", "http://host:80", "ho st:1", "host:1\n"),
        *("-:1", "ray://", "ray://host", "file:///etc/passwd", "host:6379/..", "$(id):1", "a" * 99 + "\x1b[31m:1"),
    ],
)
def test_an_address_that_is_none_is_refused_and_starts_no_cluster(address: str, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UserError, match="expected HOST:PORT"):
        require_answer(address)
    monkeypatch.setenv("RAY_ADDRESS", address)
    if address:
        with pytest.raises(UserError, match="expected HOST:PORT"):
            require_answer("auto")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "[::1]:1", "ray://127.0.0.1:1", "localhost:1"])
def test_an_address_where_nobody_is_is_said_to_be_so(address: str):
    with pytest.raises(UserError, match="no Ray cluster at"):
        require_answer(address)


def test_tls_needs_its_three_files_and_is_spoken_from_the_first_byte(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("RAY_USE_TLS", "1")
    monkeypatch.delenv("RAY_TLS_CA_CERT", raising=False)
    heard = list[bytes]()
    with listening(lambda connection: heard.append(connection.recv(3))) as address:
        with pytest.raises(UserError, match="RAY_TLS_CA_CERT names no file"):
            require_answer(address)
        for name in cluster.TLS:
            monkeypatch.setenv(name, str(tmp_path / "absent.pem"))
        with pytest.raises(UserError, match="RAY_TLS_CA_CERT names no file"):
            require_answer(address)
        monkeypatch.setattr(cluster, "_certificates", lambda: (None, None, None))
        monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", lambda self, certificate, key: None)
        monkeypatch.setattr(cluster, "PATIENCE", 1.0)
        with pytest.raises(UserError, match="no Ray cluster"):
            require_answer(address)
    assert [each[:2] for each in heard if each] == [b"\x16\x03"]  # a handshake of TLS, and no preface in the open


def test_a_group_that_no_node_can_hold_is_refused_instead_of_waited_for():
    nodes = [{"Alive": True, "Resources": {"CPU": 2.0}}, {"Alive": False, "Resources": {"CPU": 64.0}}]
    ray = SimpleNamespace(nodes=lambda: nodes)
    require_room(ray, 2)
    with pytest.raises(UserError, match="needs 4 processors, and no node has more than 2"):
        require_room(ray, 4)


def whole() -> Group:
    losses = np.random.default_rng(0).random((2, 5)).astype(np.float32)
    arrays = {"losses": losses, "signals": losses, "earlier": losses[:, :3], "extracted/greedy": losses > 1}
    weights = Weights({"0/weight": torch.ones(2, 3), "1/weight": torch.zeros(3, dtype=torch.bfloat16)})
    return Group({0: Rows(arrays, [VersionTraits("f", 1.0, 0.5, 3, [])] * 2)}, weights)


JOB = Job(range(2), (0,))
WORK = SimpleNamespace(samples=range(5), quantizers=("identity",))


def changed(**arrays: np.ndarray) -> Group:
    return with_rows(arrays={**whole().versions[0].arrays, **arrays})


def with_rows(**changes: object) -> Group:
    return replace(whole(), versions={0: replace(whole().versions[0], **changes)})


@pytest.mark.usefixtures("unchecked")
def test_a_group_that_came_back_whole_is_taken():
    require_fitting(WORK, JOB, whole())
    require_whole(whole(), digest_of(whole()), range(2))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "group",
    [
        with_rows(arrays={"signals": whole().versions[0].arrays["losses"]}),
        changed(losses=np.zeros((2, 4), np.float32)),
        changed(losses=np.zeros((1, 5), np.float32)),
        changed(losses=np.full((2, 5), np.nan, np.float32)),
        changed(losses=np.full((2, 5), "a")),
        changed(earlier=np.full((2, 3), np.inf)),
        replace(whole(), versions={7: whole().versions[0]}),
        replace(whole(), versions={}),
        with_rows(traits=whole().versions[0].traits[:1]),
    ],
    ids=["no losses", "a sample less", "a model less", "NaN", "words", "infinite", "a stranger", "nothing", "one"],
)
def test_rows_that_are_not_those_that_were_asked_for_are_refused(group: Group):
    with pytest.raises(UserError, match="models 0 to 1 came back with"):
        require_fitting(WORK, JOB, group)


@pytest.mark.usefixtures("unchecked")
def test_a_group_that_changed_on_its_way_is_refused():
    other = whole().versions[0].arrays["losses"].copy()
    other[0, 0] = np.nextafter(other[0, 0], 2)
    assert whole().weights is not None
    weights = [
        replace(whole(), weights=Weights({**whole().weights.tensors, name: tensor}))
        for name, tensor in (("1/weight", torch.zeros(3, dtype=torch.float16)), ("0/weight", torch.ones(3, 2)))
    ]
    for group in (changed(losses=other), with_rows(outside={"file:/a": "absent"}), *weights):
        with pytest.raises(UserError, match="came back changed on their way"):
            require_whole(group, digest_of(whole()), range(2))
