"""A Ray cluster at an address: knocked at with a time limit, connected to by what Ray documents, and left as it was.

Whoever answers is sent the samples, the model and the functions of the audit, and what comes back is unpickled: a
cluster is trusted with everything. So nothing is sent before an address was named that can be one, and the far end has
spoken HTTP/2, which Ray's services do, under TLS where `RAY_USE_TLS` asks for it.
"""

import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from quantmis.errors import UserError, require

PATIENCE = 10.0
"""Seconds in which whoever is at the address must answer."""

LONGEST = 60.0
"""Seconds in which Ray must be connected to a cluster that has answered."""

HOST = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)"
ADDRESS = re.compile(rf"(ray://)?{HOST}:[0-9]{{1,5}}")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""How a connection of HTTP/2 begins (RFC 9113, 3.4): the preface, and an empty frame of settings."""

SETTINGS, HEAD = 4, 9
TLS = ("RAY_TLS_CA_CERT", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY")
START = "start one with `ray start --head`, or give the address of one: --address, or RAY_ADDRESS"


def library() -> Any:
    """Return Ray; `UserError` where it is not installed."""
    try:
        import ray
    except ImportError as error:
        raise UserError("the ray executor needs Ray", hint="pip install 'quantmis[ray]'") from error
    return ray


def require_answer(address: str) -> None:
    """Raise `UserError` unless a cluster answers at HOST:PORT, or "auto": at RAY_ADDRESS, or the one of this machine.

    Ray itself would try for minutes, and takes "local" for the wish to start a cluster.
    """
    where = os.environ.get("RAY_ADDRESS") or address if address == "auto" else address
    if where == "auto":  # Ray looks for the one that `ray start` made here
        return
    require(
        ADDRESS.fullmatch(where) and 0 < int(where.rpartition(":")[2]) < 2**16,
        f"address: expected HOST:PORT of a Ray cluster, got {where!r}",
        hint=START,
    )
    host, _, port = where.removeprefix("ray://").rpartition(":")
    try:
        _knock(host.strip("[]"), int(port))
    except (OSError, ValueError) as error:
        raise absent(where, error) from error


def _knock(host: str, port: int) -> None:
    """Begin a connection of HTTP/2, and raise `OSError` unless the other end begins it too."""
    end = time.monotonic() + PATIENCE
    with socket.create_connection((host, port), timeout=PATIENCE) as plain, _secured(plain, host) as connection:
        connection.sendall(PREFACE)
        start = b""
        while len(start) < HEAD:
            connection.settimeout(max(end - time.monotonic(), 1e-3))  # one that answers byte by byte, too
            block = connection.recv(HEAD - len(start))
            if not block:
                raise ConnectionError("it hung up")
            start += block
    if start[3] != SETTINGS or start[5:9] != bytes(4):
        raise ConnectionError("what answers there is no Ray cluster")


@contextmanager
def _secured(plain: socket.socket, host: str) -> Generator[socket.socket]:
    """Yield a connection as Ray will make it: under TLS where RAY_USE_TLS says so."""
    if os.environ.get("RAY_USE_TLS", "0").lower() not in ("1", "true"):
        yield plain
        return
    authority, certificate, key = _certificates()
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])
    context.check_hostname = False  # certificates of clusters are made for addresses: the authority is what counts
    with context.wrap_socket(plain, server_hostname=host) as connection:
        yield connection


def _certificates() -> list[str]:
    for name in TLS:
        file = os.environ.get(name)
        hint = "RAY_USE_TLS needs RAY_TLS_CA_CERT, RAY_TLS_SERVER_CERT and RAY_TLS_SERVER_KEY"
        require(file and os.path.isfile(file), f"{name} names no file: {file}", hint=hint)
    return [os.environ[name] for name in TLS]


@contextmanager
def connected(ray: Any, address: str) -> Generator[None]:
    """Connect to the cluster, and leave it as it was found; `UserError` where that takes longer than `LONGEST`."""
    if ray.is_initialized():
        yield
        return
    require_answer(address)
    failures = list[BaseException]()
    begun = threading.Thread(target=_begin, args=(ray, address, failures), daemon=True)
    begun.start()
    begun.join(LONGEST)
    if begun.is_alive():
        raise absent(address, f"it answered, and then not for {LONGEST:.0f} seconds")
    for error in failures:
        raise absent(address, error) from error
    try:
        yield
    finally:
        ray.shutdown()


def _begin(ray: Any, address: str, failures: list[BaseException]) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, ValueError, RuntimeError, ImportError, ray.exceptions.RayError) as error:
        failures.append(error)


def require_room(ray: Any, threads: int) -> None:
    """Raise `UserError` unless a node has as many processors as a group needs: Ray would wait for one for ever."""
    most = max((node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]), default=0)
    hint = "give the cluster a larger node, or run with fewer threads: OMP_NUM_THREADS=1"
    require(threads <= most, f"a group needs {threads} processors, and no node has more than {most:g}", hint=hint)


def absent(address: str, error: object) -> UserError:
    """Return what to raise where no cluster answers."""
    return UserError(f"no Ray cluster at {address!r}: {error}", hint=START)
