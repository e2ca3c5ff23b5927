"""Claims about quantized files of other tools: each can be audited as a version of a model, and as the model itself."""

from pathlib import Path

import numpy as np
import pytest
import quantized_files
import shipped
import torch
from torch import nn

import quantmis as qm
from quantmis.audit.config.running import audit_file
from quantmis.quantizers import QUANTIZERS, Sign, Uniform, save
from quantmis.quantizers.formats import restore
from quantmis.results import Results
from quantmis.stats import Estimate, Unmeasured
from quantmis.verify import verify

KINDS = list(quantized_files.FILES)
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of exporters


@pytest.fixture(scope="module")
def memorised() -> tuple[nn.Module, qm.Samples]:
    data = shipped.samples(wrong_labels=True)
    return shipped.trained(data, epochs=150), data


@pytest.fixture(scope="module")
def paths(memorised: tuple[nn.Module, qm.Samples], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    return {kind: write(memorised[0], folder / kind) for kind, write in quantized_files.FILES.items()}


def audited(weights: object, data: qm.Samples, **options: object) -> Results:
    given = qm.Target(weights, shipped.MEMBERS, shipped.OTHERS, versions=options.pop("versions", None))
    return qm.audit(qm.Task(shipped.net), data, target=given, progress=False, **options).document


def auc(document: Results, name: str) -> float:
    return document.version(name).attacks["loss_threshold"].adaptive["auc"].value


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_every_format_is_audited_as_a_version(
    memorised: tuple[nn.Module, qm.Samples], paths: dict[str, Path], kind: str
):
    document = audited(*memorised, versions={"ours": paths[kind]}, quantizers=["sign"])
    found = document.version("ours")
    assert 4 <= found["bits_per_weight"] < 11
    assert auc(document, "ours") == pytest.approx(auc(document, "identity"), abs=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_every_format_is_audited_as_the_model_itself(
    memorised: tuple[nn.Module, qm.Samples], paths: dict[str, Path], kind: str
):
    document = audited(paths[kind], memorised[1])
    [found] = document.versions
    assert found.name == f"{kind} file"
    assert 4 <= found["bits_per_weight"] < 11
    assert isinstance(found["security_upper_bound"], Estimate)
    assert found["security_upper_bound"].high < 0.5


def test_the_model_itself_gives_away_what_it_does_as_a_version(
    memorised: tuple[nn.Module, qm.Samples], paths: dict[str, Path]
):
    version = audited(*memorised, versions={"ours": paths["gptq"]}, quantizers=["sign"])
    assert auc(audited(paths["gptq"], memorised[1]), "gptq file") == auc(version, "ours")


def test_quantizers_that_are_asked_for_are_applied_to_the_weights_of_the_file(
    memorised: tuple[nn.Module, qm.Samples], paths: dict[str, Path], tmp_path: Path
):
    document = audited(paths["gguf"], memorised[1], quantizers=["sign"], out=tmp_path / "out")
    assert [each.name for each in document.versions] == ["gguf file", "sign of the gguf file"]
    assert document.version("sign of the gguf file")["bits_per_weight"] < 1.1
    assert "full precision" not in (tmp_path / "out" / "report.html").read_text().split("glossary")[0].lower()[:2000]
    assert verify(tmp_path / "out").edited == []


def losses(folder: Path, document: Results, name: str) -> np.ndarray:
    with np.load(folder / document.version(name).table, allow_pickle=False) as table:
        return table["losses"][0]


def test_losses_of_a_file_whose_layers_round_their_inputs_are_those_of_that_computation(
    memorised: tuple[nn.Module, qm.Samples], tmp_path: Path
):
    model, data = memorised
    path = quantized_files.fp8(model, tmp_path / "fp8")
    restored, plain = (restore(model, path, rounding=rounding) for rounding in (True, False))
    own = {each: loss_of(each.model, data) for each in (restored, plain)}
    assert np.abs(own[restored] - own[plain]).max() > 1e-3
    alone = audited(path, data, quantizers=["uniform(bits=8)"], out=tmp_path / "alone")
    beside = audited(*memorised, versions={"ours": path}, quantizers=["sign"], out=tmp_path / "beside")
    for folder, document, name in (("alone", alone, "compressed-tensors file"), ("beside", beside, "ours")):
        np.testing.assert_allclose(losses(tmp_path / folder, document, name), own[restored], rtol=1e-4, atol=1e-6)
    requantized = loss_of(Uniform(bits=8).quantize(plain.model).model, data)
    found = losses(tmp_path / "alone", alone, "uniform(bits=8) of the compressed-tensors file")
    np.testing.assert_allclose(found, requantized, rtol=1e-4, atol=1e-6)
    identity = losses(tmp_path / "beside", beside, "identity")  # what a version did to its layers is undone
    np.testing.assert_allclose(identity, loss_of(model, data), rtol=1e-4, atol=1e-6)


def loss_of(model: nn.Module, data: qm.Samples) -> np.ndarray:
    """Return the cross-entropy of each sample in plain PyTorch."""
    with torch.no_grad():
        outputs = model.eval()(torch.from_numpy(data.x))
    return nn.functional.cross_entropy(outputs, torch.from_numpy(data.y), reduction="none").numpy()


def test_a_quantized_model_in_memory_is_a_target(memorised: tuple[nn.Module, qm.Samples]):
    document = audited(Uniform(bits=4).quantize(memorised[0]), memorised[1], quantizers=["sign"])
    assert [each.name for each in document.versions] == ["quantized model", "sign of the quantized model"]


def test_shadow_models_serve_as_references_where_a_quantizer_is_named_like_the_file(
    memorised: tuple[nn.Module, qm.Samples], paths: dict[str, Path]
):
    task = qm.Task(shipped.net, recipe=qm.Recipe(epochs=5))
    for like in ("uniform(bits=8)", None):
        given = qm.Target(paths["gguf"], shipped.MEMBERS, shipped.OTHERS, like=like)
        quantizers = ["uniform(bits=8)"]
        document = qm.audit(task, memorised[1], target=given, quantizers=quantizers, shadows=6, progress=False).document
        lira = {each.name: each for each in document.this_model[0]}["gguf file"].attacks["lira"]
        assert isinstance(lira.adaptive, Unmeasured) == (like is None)
        assert not isinstance(lira.transfer, Unmeasured)
        assert document.versions[0].name == "identity"


def test_a_file_that_is_like_no_quantizer_of_the_audit_is_refused_before_training(paths: dict[str, Path]):
    given = qm.Target(paths["gguf"], shipped.MEMBERS, shipped.OTHERS, like="gguf")
    with pytest.raises(qm.UserError, match="gguf: there is no quantizer 'gguf' in this audit"):
        qm.audit(qm.Task(shipped.net), shipped.samples(), target=given, progress=False)


def test_a_quantized_target_is_named_in_an_audit_file(tmp_path: Path):
    shipped.files(tmp_path)
    quantized_files.gguf(shipped.trained(shipped.samples()), tmp_path / "model.gguf")
    text = shipped.FILE.replace('"model.safetensors"', '"model.gguf"').split("[audit]")[0]
    (tmp_path / "audit.toml").write_text(text)
    document = audit_file(tmp_path / "audit.toml", tmp_path / "out", {}).document
    assert [each.name for each in document.versions] == ["gguf file"]
    (tmp_path / "audit.toml").write_text(text.replace("[target]", '[target]\nrename = { "0" = "7" }'))
    with pytest.raises(qm.UserError, match="the model has no layers named 7"):
        audit_file(tmp_path / "audit.toml", tmp_path / "again", {})


def test_a_record_of_layers_alone_is_a_version_of_a_model_and_no_model(
    memorised: tuple[nn.Module, qm.Samples], tmp_path: Path
):
    layers = QUANTIZERS.parse("uniform(bits=8)").quantize(memorised[0]).layers
    save(layers, tmp_path / "layers.safetensors")
    document = audited(*memorised, versions={"ours": tmp_path / "layers.safetensors"}, quantizers=["uniform(bits=8)"])
    assert document.version("ours").attacks == document.version("uniform(bits=8)").attacks
    with pytest.raises(qm.UserError, match="holds quantized layers and nothing else of a model"):
        audited(tmp_path / "layers.safetensors", memorised[1])


def test_what_a_file_does_to_activations_is_said_where_it_is_not_done(
    memorised: tuple[nn.Module, qm.Samples], paths: dict[str, Path], monkeypatch: pytest.MonkeyPatch
):
    assert not [each for each in audited(paths["onnx"], memorised[1]).versions[0].untouched if "activations" in each]
    monkeypatch.setattr("quantmis.quantizers.base.find_spec", lambda name: None)
    [without] = audited(paths["onnx"], memorised[1]).versions
    assert "activations (rounded where the file runs)" in without.untouched
    assert Sign().quantize(memorised[0]).untouched == ()
