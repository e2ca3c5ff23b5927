"""quantmis: the privacy audit for quantized models.

import quantmis as qm

result = qm.audit(qm.Task(model=MyModel), qm.Samples(x, y), out="audit")
print(result.ranking)
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from quantmis.audit import audit
from quantmis.search import search

# Threads of torch that wait must sleep, not spin: on a busy machine spinning makes small models 20 times slower. It
# is read when torch is first imported, and a setting of the user's own stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from quantmis import attacks, quantizers, stats, theory
    from quantmis.audit.result import AuditResult
    from quantmis.audit.tables import audit_tables
    from quantmis.audit.target.target import Artefact, Target, Version
    from quantmis.data import Samples
    from quantmis.data.sources import read_samples
    from quantmis.data.texts import Texts
    from quantmis.errors import UserError
    from quantmis.evidence import Evidence
    from quantmis.models import DP, Certificate, Recipe, Task
    from quantmis.models.hugging_face import HuggingFace
    from quantmis.search.result import SearchResult
    from quantmis.stats import Estimate, Unmeasured
    from quantmis.tracking import log_to_mlflow

__version__ = "0.1.0"

__all__ = [
    "DP",
    "Artefact",
    "AuditResult",
    "Certificate",
    "Estimate",
    "Evidence",
    "HuggingFace",
    "Recipe",
    "Samples",
    "SearchResult",
    "Target",
    "Task",
    "Texts",
    "Unmeasured",
    "UserError",
    "Version",
    "attacks",
    "audit",
    "audit_tables",
    "log_to_mlflow",
    "quantizers",
    "read_samples",
    "search",
    "stats",
    "theory",
]

_HOMES = {
    "DP": "quantmis.models",
    "Artefact": "quantmis.audit.target.target",
    "AuditResult": "quantmis.audit.result",
    "Certificate": "quantmis.models",
    "Estimate": "quantmis.stats",
    "Evidence": "quantmis.evidence",
    "HuggingFace": "quantmis.models.hugging_face",
    "Recipe": "quantmis.models",
    "Samples": "quantmis.data",
    "SearchResult": "quantmis.search.result",
    "Target": "quantmis.audit.target.target",
    "Task": "quantmis.models",
    "Texts": "quantmis.data.texts",
    "Unmeasured": "quantmis.stats",
    "UserError": "quantmis.errors",
    "Version": "quantmis.audit.target.target",
    "audit_tables": "quantmis.audit.tables",
    "log_to_mlflow": "quantmis.tracking",
    "read_samples": "quantmis.data.sources",
}
_ROOMS = {"attacks", "quantizers", "stats", "theory"}


def __dir__() -> list[str]:
    """Name what the library offers, for completion."""
    return sorted([*__all__, "__version__"])


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that torch is loaded only where it is needed."""
    if name in _ROOMS:
        return import_module(f"quantmis.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'quantmis' has no attribute {name!r}")
