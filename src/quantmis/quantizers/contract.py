"""What every quantizer promises, as checks that a plug-in author can run on one of their own.

`for claim in CLAIMS: claim(quantizer)` raises `AssertionError` with the sentence that does not hold. The checks use
`specimen()`, a model with a layer of each kind, with inputs to calibrate on and a seeded generator for those that want
them. `fingerprints_elsewhere` computes fingerprints in a new process, once for many quantizers.
"""

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from quantmis.errors import UserError
from quantmis.models.losses import CrossEntropy
from quantmis.quantizers import layers as part
from quantmis.quantizers.base import QUANTIZERS, Quantized, Quantizer, needs_supervision
from quantmis.quantizers.probe import require_computes
from quantmis.quantizers.supervision import Labelled, Supervision
from quantmis.registry import spelling

Claim = Callable[[Quantizer], None]


def specimen(seed: int = 0) -> nn.Module:
    """Return a small untrained model: Embedding, Linear, grouped Conv1d, depthwise Conv2d, LayerNorm, Linear.

    >>> specimen()(specimen_inputs()).shape
    torch.Size([64, 3])
    """
    with torch.random.fork_rng(devices=[]):  # layers initialise themselves from the global stream
        torch.manual_seed(seed)
        return nn.Sequential(
            *(nn.Embedding(7, 8), nn.Flatten(), nn.Linear(16, 32), nn.ReLU(), nn.Unflatten(1, (4, 8))),
            *(nn.Conv1d(4, 6, 3, groups=2), nn.ReLU(), nn.Unflatten(2, (2, 3)), nn.Conv2d(6, 6, 2, groups=6)),
            *(nn.Flatten(), nn.LayerNorm(12), nn.Linear(12, 3)),
        )


def specimen_inputs(seed: int = 0) -> Tensor:
    """Return inputs that `specimen()` takes, [64, 2], whole numbers."""
    return torch.randint(0, 7, (64, 2), generator=torch.Generator().manual_seed(seed))


def specimen_calibration(quantizer: Quantizer, seed: int = 0) -> Tensor | Supervision:
    """Return the `specimen_inputs`, or members and held-out samples of them for a quantizer that looks at labels."""
    inputs = specimen_inputs(seed)
    if not needs_supervision(quantizer):
        return inputs
    labels = torch.arange(len(inputs)) % 3
    members, held_out = (Labelled(inputs, labels, rows) for rows in torch.arange(len(inputs)).chunk(2))
    return Supervision(members, held_out, CrossEntropy())


def quantized(quantizer: Quantizer, model: nn.Module | None = None, seed: int = 0) -> Quantized:
    """Return what `quantizer` makes of `model`, of the specimen by default, with a generator seeded by `seed`."""
    stream = torch.Generator().manual_seed(seed)
    return quantizer.quantize(specimen() if model is None else model, specimen_calibration(quantizer), stream)


def is_written_as_it_is_read(quantizer: Quantizer) -> None:
    """Check that the name and parameters that a report shows make the same quantizer again."""
    _hold(QUANTIZERS.parse(spelling(quantizer)) == quantizer, "parse(spelling(quantizer)) is another quantizer")


def leaves_the_model_as_it_is(quantizer: Quantizer) -> None:
    """Check that quantizing works on a copy."""
    model = specimen()
    before = copy.deepcopy(model.state_dict())
    quantized(quantizer, model)
    _hold(all(torch.equal(before[key], value) for key, value in model.state_dict().items()), "the model changed")


def accounts_for_every_layer(quantizer: Quantizer) -> None:
    """Check that each layer is either recorded, with codes within its levels, or listed as untouched."""
    if quantizer.has_codes:
        result = quantized(quantizer)
        names = {layer.name for layer in result.layers} | set(result.untouched)
        _hold(set(part.weights(specimen())) <= names, f"neither quantized nor untouched: {names}")
        _hold(all(layer.levels_used <= layer.levels for layer in result.layers), "more codes than levels")
        _hold(result.entropy_bits <= result.nominal_bits <= result.bits_per_weight, "bits do not add up")


def changes_the_weights(quantizer: Quantizer) -> None:
    """Check that the recorded weights are not those of the model given."""
    own = part.weights(specimen())
    for layer in quantized(quantizer).layers:
        _hold(not torch.equal(layer.dequantize(), own[layer.name]), f"the weights of {layer.name} did not change")


def computes_finite_outputs(quantizer: Quantizer) -> None:
    """Check that the quantized model runs and returns numbers."""
    with torch.no_grad():
        outputs = quantized(quantizer).model.eval()(specimen_inputs())
    _hold(outputs.shape == (64, 3) and bool(torch.isfinite(outputs).all()), "outputs are not finite")


def computes_with_its_record(quantizer: Quantizer) -> None:
    """Check that outputs are those of the recorded weights, and not those of the model before."""
    try:
        require_computes(quantizer.name, specimen(), quantized(quantizer), specimen_inputs())
    except UserError as error:
        _hold(False, str(error))


def repeats_itself(quantizer: Quantizer) -> None:
    """Check that equal models and seeds give equal fingerprints, and another model another one."""
    first = quantized(quantizer).fingerprint
    _hold(first == quantized(quantizer).fingerprint, "the same seed gave another fingerprint")
    _hold(first != quantized(quantizer, specimen(1)).fingerprint, "another model has the same fingerprint")


def leaves_global_randomness_alone(quantizer: Quantizer) -> None:
    """Check that all randomness comes from the generator given."""
    before = torch.get_rng_state()
    quantized(quantizer)
    _hold(torch.equal(before, torch.get_rng_state()), "a global generator was used")


def quantizes_many_as_one_by_one(quantizer: Quantizer) -> None:
    """Check that three models quantized together become what each becomes alone."""
    models, streams = [specimen(seed) for seed in range(3)], [torch.Generator().manual_seed(seed) for seed in range(3)]
    inputs = [specimen_calibration(quantizer, seed) for seed in range(3)]
    together = quantizer.quantize_many(models, inputs, streams)
    for seed, each in enumerate(together):
        stream = torch.Generator().manual_seed(seed)
        alone = quantizer.quantize(models[seed], inputs[seed], stream)
        _hold(each.fingerprint == alone.fingerprint, f"model {seed} becomes another one in company")


CLAIMS: tuple[Claim, ...] = (
    is_written_as_it_is_read,
    leaves_the_model_as_it_is,
    accounts_for_every_layer,
    changes_the_weights,
    computes_finite_outputs,
    computes_with_its_record,
    repeats_itself,
    leaves_global_randomness_alone,
    quantizes_many_as_one_by_one,
)


def fingerprints_elsewhere(quantizers: Sequence[Quantizer]) -> list[str]:
    """Return the fingerprints of the quantized specimen as another Python process computes them."""
    program = (
        "import json, sys; from quantmis.quantizers import QUANTIZERS; from quantmis.quantizers import contract;"
        "print(json.dumps([contract.quantized(QUANTIZERS.parse(each)).fingerprint for each in sys.argv[1:]]))"
    )
    names = [spelling(each) for each in quantizers]
    done = subprocess.run([sys.executable, "-c", program, *names], capture_output=True, text=True, check=True)  # noqa: S603
    return json.loads(done.stdout.splitlines()[-1])


def _hold(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)
