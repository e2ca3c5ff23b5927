"""The audit: from a task and its samples to loss tables, and from the tables to results.json and the report.

This module imports torch only when an audit is asked for, so that `import quantmis` stays fast.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtyping import jaxtyped

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
    keep_weights: bool = False,
    canaries: int = 0,
    calibrate_on: str = "held_out",
    engine: str = "auto",
    executor: str = "local",
    address: str = "auto",
    memory: float = 1.0,
    out: str | Path | None = None,
    progress: bool = True,
    command: str = "",
) -> "AuditResult":
    """Audit how much the quantized versions of a model give away of the samples that it was trained on.

    Trains `shadows` models in complementary pairs on halves of the samples (all but the fraction `held_out`, which no
    model sees), puts each through every quantizer, attacks every one of them, and ranks the quantizers. With a
    `target`, a model already trained, that one is attacked too: *this model* beside *this procedure*. Where nothing
    says how to train more like it, it is audited as it is, in seconds.

    `task`: the model, its loss and its training recipe. `samples`: inputs and targets. `quantizers` and `attacks`:
    objects or names, by default full precision and nine codebooks, and the loss, LiRA and paired-replicates attacks;
    full precision is always measured. `target`: the trained model, its members and non-members, and its versions that
    were quantized elsewhere. `depth`: "shadow" trains 64 shadow models by default, "indicator" 4 replicates, "as-is"
    nothing; by default "as-is" for a target whose task has no recipe, else "shadow". `shadows`: an even number; 0
    leaves out the attacks that need shadow models.
    `replicates`: how many of the models the indicator compares, by default all, at their end and, where
    `checkpoint_every` is given, after every so many epochs. `seed`: the same seed gives the same result. `level`: that
    of all intervals. `keep_weights`: whether `out` keeps the weights of the trained models. `canaries`: how many
    wrongly labelled copies to train on as a control. `calibrate_on`: what quantizers that look at data are shown,
    "held_out" samples or, to measure what that leaks, "members" of the model. `engine`: how models are trained,
    "auto" takes the fastest. `executor`: "local", or "ray" for the cluster at `address`, by default that of this
    environment, with the same result. `memory`: GiB that the models of one group may use while they train.
    `out`: a folder for `results.json`, `report.html`, the loss tables and the store of finished work: an audit
    that was killed goes on from there. `progress`: whether to say on stderr how far it is. `command`: the command line
    that asked for the audit, for the report.

    Raises `UserError` for anything that cannot be audited, before a model is trained, and for a model that diverges.
    """
    from quantmis.audit.run import request, run

    asked = request(
        task,
        samples,
        quantizers=quantizers,
        attacks=attacks,
        target=target,
        depth=depth,
        shadows=shadows,
        replicates=replicates,
        held_out=held_out,
        seed=seed,
        level=level,
        checkpoint_every=checkpoint_every,
        keep_weights=keep_weights,
        canaries=canaries,
        calibrate_on=calibrate_on,
        engine=engine,
        executor=executor,
        address=address,
        memory=memory,
        out=None if out is None else Path(out),
        command=command,
    )
    return run(asked, progress)
