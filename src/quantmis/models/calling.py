"""Call code that somebody else wrote: on a copy of what it may change, and so that its errors name the user's line.

A forward such as `x.sub_(2.0)` changes its inputs in place. Whoever calls a module on samples that are used again, or
that are the user's own array, calls it through `call`.
"""

import sysconfig
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from torch import Tensor, nn

from quantmis.errors import UserError

OURS = str(Path(__file__).resolve().parents[1])
LIBRARIES = tuple({OURS, *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))})
LONGEST = 300


def call(module: nn.Module, x: Tensor, **words: Any) -> Any:
    """Return what `module` makes of a copy of the inputs `x` [samples, ...], which stay as they are."""
    return module(x.clone(), **words)


@contextmanager
def users_errors(doing: str, hint: str = "") -> Generator[None]:
    """Turn whatever is raised here into a `UserError` of the sentence `doing`, the error and the user's line.

    A call of `sys.exit` counts: its exit code would be taken for an answer of ours.
    """
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        places = [hint, layer_of(error), line_of(error)]
        raise UserError(f"{doing}: {message_of(error)}", hint="; ".join(filter(None, places))) from error


def message_of(error: BaseException) -> str:
    """Return the type and the first line of an error.

    >>> message_of(ValueError("no such layer"))
    'ValueError: no such layer'
    """
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:LONGEST]}" if lines else type(error).__name__


def line_of(error: BaseException) -> str:
    """Return the last line of the user's own that was running when `error` was raised; empty where there is none."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_library(frame.filename)]
    return f"raised in line {own[-1].lineno} of {own[-1].filename}: {own[-1].line or ''}".rstrip(": ") if own else ""


def layer_of(error: BaseException) -> str:
    """Return the innermost layer of a library that was running when `error` was raised; empty where there is none."""
    running = [frame.f_locals.get("self") for frame in _frames(error.__traceback__)]
    layers = [each for each in running if isinstance(each, nn.Module) and type(each).__module__.startswith("torch.nn")]
    plain = [each for each in layers if not any(each.children())]
    return f"raised in the layer {plain[-1]!r}" if plain else ""


def _is_library(filename: str) -> bool:
    return filename.startswith(("<frozen", *LIBRARIES)) or "site-packages" in filename


def _frames(trace: TracebackType | None) -> Generator[FrameType]:
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next
