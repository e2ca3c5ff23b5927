"""The audit: from a task and its samples to loss tables, and from the tables to results.json and the report.

This module imports torch only when an audit is asked for, so that `import quantmis` stays fast.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtyping import jaxtyped

from quantmis.audit.options import OBJECTS, AuditOptions, table

if TYPE_CHECKING:
    from quantmis.attacks import Attack
    from quantmis.audit.result import AuditResult
    from quantmis.audit.target.target import Target
    from quantmis.data import Samples
    from quantmis.models import Task
    from quantmis.quantizers import Quantizer


@jaxtyped(typechecker=None)  # the names in its signature exist only once torch is loaded
def audit(
    task: "Task",
    samples: "Samples",
    *,
    quantizers: "Sequence[str | Quantizer] | None" = None,
    attacks: "Sequence[str | Attack] | None" = None,
    target: "Target | None" = None,
    depth: str | None = None,
    shadows: int | None = None,
    replicates: int | None = None,
    held_out: float = 1 / 3,
    seed: int = 0,
    level: float = 0.95,
    checkpoint_every: int | None = None,
    keep_weights: str = "all",
    canaries: int = 0,
    release: "Sequence[Sequence[str]] | None" = None,
    calibrate_on: str = "held_out",
    engine: str = "auto",
    executor: str = "local",
    address: str = "auto",
    device: str = "auto",
    dtype: str | None = None,
    memory: float = 1.0,
    fresh: bool = False,
    out: str | Path | None = None,
    progress: bool = True,
    command: str = "",
) -> "AuditResult":
    """Audit a model; what stands here is replaced below, where the declaration of the options is known."""
    arguments = locals()
    from quantmis.audit.request import audit_request
    from quantmis.audit.run import run

    options = AuditOptions.of(**{name: arguments[name] for name in AuditOptions.model_fields if name not in OBJECTS})
    folder = None if out is None else Path(out)
    return run(audit_request(task, samples, target, options, folder, command, quantizers, attacks), progress)


audit.__doc__ = f"""Audit how much the quantized versions of a model give away of the samples that it was trained on.

Trains `shadows` models in complementary pairs on halves of the samples (all but the fraction `held_out`, which no
model sees), puts each through every quantizer, attacks every one of them, and ranks the quantizers. With a
`target`, a model already trained, that one is attacked too: *this model* beside *this training algorithm*. Where
nothing says how to train more like it, it is audited as it is, in seconds.

`task`: the model, its loss and its training recipe. `samples`: inputs and targets. `quantizers` and `attacks`: objects
or names. `target`: the trained model, its members and non-members, and its versions that were quantized elsewhere.
`out`: a folder for `results.json`, `report.html`, the loss tables and the store of finished work: an audit that was
killed goes on from there. `progress`: whether to say on stderr how far it is. `command`: the command line that asked
for the audit, for the report. The options, with their defaults:

{table()}

Raises `UserError` for anything that cannot be audited, before a model is trained, and for a model that diverges.
"""
