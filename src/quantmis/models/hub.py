"""Whether the hub of models can be reached from here."""

import os
import socket
import urllib.parse
import urllib.request

PATIENCE = 3.0
"""Seconds that the hub has to answer."""


def reachable() -> bool:
    """Say whether the hub answers: at once, where the library would try for half a minute."""
    if os.environ.get("HF_HUB_OFFLINE", "0").lower() not in ("", "0", "false", "no"):
        return False
    if urllib.request.getproxies():
        return True
    host = urllib.parse.urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    try:
        socket.create_connection((host.hostname or "", host.port or 443), timeout=PATIENCE).close()
    except OSError:
        return False
    return True
