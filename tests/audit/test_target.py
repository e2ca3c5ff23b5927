"""Claims about audits of the very model that is to ship: as it is, beside shadow models, in versions made elsewhere."""

import copy
import importlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import shipped
import torch
from safetensors.torch import save_file
from torch import nn

import quantmis as qm
from quantmis.attacks import LiRA, LossThreshold
from quantmis.audit.config.running import audit_file, plan_file
from quantmis.audit.target.disjoint import disjoint
from quantmis.measures.attack_accuracy_change import ATTACK_ACCURACY_CHANGE
from quantmis.measures.bits_per_weight import BITS_PER_WEIGHT
from quantmis.measures.quantized_weights import QUANTIZED_WEIGHTS
from quantmis.models.rows import row
from quantmis.models.weights import read_weights, weights_digest
from quantmis.quantizers import Uniform
from quantmis.results import BlindBaseline, Results, TargetResult
from quantmis.stats import Estimate, Unmeasured, evaluate
from quantmis.tensor_files import digest_of

pytestmark = pytest.mark.slow

FEW = ["uniform(bits=8)", "ternary(sparsity=0.9)"]


@pytest.fixture(scope="module")
def memorised() -> tuple[nn.Module, qm.Samples]:
    """A model that can only have remembered its members, for their labels are wrong."""
    data = shipped.samples(wrong_labels=True)
    return shipped.trained(data, epochs=150), data


def target(model: nn.Module, **more: object) -> qm.Target:
    return qm.Target(model, shipped.MEMBERS, shipped.OTHERS, **more)


def as_is(model: nn.Module, data: qm.Samples, **more: object) -> Results:
    versions = more.pop("versions", None)
    task = qm.Task(shipped.net, name="mlp")
    given = target(model, versions=versions)
    return qm.audit(task, data, target=given, quantizers=more.pop("quantizers", FEW), progress=False, **more).document


def blind_of(document: Results) -> BlindBaseline:
    assert isinstance(document.target, TargetResult)
    assert isinstance(document.target.blind, BlindBaseline)
    return document.target.blind


def right(document: Results, name: str) -> Estimate:
    record = next(each for each in document.this_model[0] if each.name == name)
    assert isinstance(record["security_upper_bound"], Estimate)
    return record["security_upper_bound"]


def test_a_trained_model_without_a_recipe_is_audited_as_it_is(memorised: tuple[nn.Module, qm.Samples]):
    document = as_is(*memorised)
    assert document.config.depth == "as-is"
    assert document.environment.engine == "nothing was trained"
    assert [each.name for each in document.versions] == ["identity", *FEW]
    assert all(isinstance(each["indicator"], Unmeasured) for each in document.versions)
    assert "QM013" in [each.code for each in document.warnings]


DEPRECATED = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*deprecated:UserWarning")
"""What torch says of its older quantized modules, which people have."""


@DEPRECATED
def test_modules_that_are_no_plain_tensors_inside_are_versions(memorised: tuple[nn.Module, qm.Samples]):
    """What torch.ao packs has no tensor called weight; what is in bfloat16 gets its inputs so."""
    model, data = memorised
    dynamic = torch.ao.quantization.quantize_dynamic(copy.deepcopy(model), {nn.Linear}, dtype=torch.qint8)
    half = copy.deepcopy(model).to(torch.bfloat16)
    versions = {"torch.ao": dynamic, "bfloat16": half}
    document = qm.audit(
        qm.Task(shipped.net), data, target=target(model, versions=versions), quantizers=["sign"], progress=False
    ).document
    rows = target(model).non_members
    x, y = torch.from_numpy(data.x[rows]), data.y[rows]
    with torch.no_grad():
        expected = {
            "torch.ao": torch.cat([dynamic(each[None]) for each in x]).argmax(dim=1).numpy() == y,  # each by itself
            "bfloat16": half(x.bfloat16()).argmax(dim=1).numpy() == y,
        }
    for name, each in expected.items():
        assert document.version(name)["utility"].value == pytest.approx(each.mean())


@DEPRECATED
def test_what_modules_of_other_libraries_hold_is_in_their_digest():
    draw = torch.Generator().manual_seed(0)
    layers = [nn.Linear(8, 4) for _ in range(2)]
    for layer in layers:
        layer.weight.data.copy_(torch.randn(4, 8, generator=draw))
        layer.bias.data.zero_()
    packed = [torch.ao.quantization.quantize_dynamic(nn.Sequential(each), {nn.Linear}) for each in layers]
    digests = [weights_digest(each) for each in packed]
    assert digests[0] != digests[1]
    assert weights_digest(copy.deepcopy(packed[0])) == digests[0]


def test_an_as_is_audit_finds_what_a_model_remembered(memorised: tuple[nn.Module, qm.Samples]):
    document = as_is(*memorised)
    assert right(document, "identity").high < 0.5
    forgetting = document.version("ternary(sparsity=0.9)")[ATTACK_ACCURACY_CHANGE]
    assert isinstance(forgetting, Estimate)
    assert forgetting.high < -0.1


def test_the_numbers_of_an_as_is_audit_are_those_of_the_model(memorised: tuple[nn.Module, qm.Samples]):
    model, data = memorised
    losses = row(model, qm.Task(shipped.net).loss, torch.from_numpy(data.x), torch.from_numpy(data.y)).losses
    evidence = qm.Evidence(losses[None].astype(float), np.arange(600)[None] < 300)
    found = as_is(model, data).version("identity").attacks["loss_threshold"].adaptive
    assert found["auc"].value == pytest.approx(evaluate(LossThreshold().score(evidence), evidence.member).auc.value)


def test_sets_of_one_source_leave_the_blind_baseline_at_a_coin(memorised: tuple[nn.Module, qm.Samples]):
    document = as_is(*memorised)
    assert not blind_of(document).differs
    assert "QM011" not in [each.code for each in document.warnings]


def test_sets_of_two_sources_are_caught_by_the_blind_baseline(memorised: tuple[nn.Module, qm.Samples]):
    model, data = memorised
    brighter = data.x.copy()
    brighter[shipped.OTHERS] += 0.05
    document = as_is(model, qm.Samples(brighter, data.y))
    assert blind_of(document).differs
    assert document.warnings[0].code == "QM011"


def test_labels_alone_give_two_sources_away():
    data = shipped.samples()
    labels = data.y.copy()
    labels[shipped.OTHERS] = np.where(labels[shipped.OTHERS] == 0, 1, labels[shipped.OTHERS])
    labels[shipped.MEMBERS] = np.where(labels[shipped.MEMBERS] == 1, 0, labels[shipped.MEMBERS])
    blank = qm.Samples(np.random.default_rng(0).normal(size=data.x.shape), labels)
    assert blind_of(as_is(shipped.net(), blank, quantizers=["sign"])).differs


@pytest.mark.parametrize("features", [600, 70, 30])
def test_few_samples_of_many_features_are_audited(features: int):
    draw = np.random.default_rng(0)
    data = qm.Samples(draw.normal(size=(60, features)), draw.integers(0, 2, 60))
    given = qm.Target(nn.Linear(features, 2), np.arange(30), np.arange(30, 60))
    document = qm.audit(qm.Task(lambda: nn.Linear(features, 2)), data, target=given, progress=False).document
    assert not blind_of(document).differs


@pytest.fixture(scope="module")
def beside(memorised: tuple[nn.Module, qm.Samples], tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Path]:
    """The target beside eight shadow models, with a version that the loop rounded to 8 bit itself."""
    model, data = memorised
    out = tmp_path_factory.mktemp("beside")
    versions = {
        "<b>ours</b>": qm.Version(Uniform(bits=8).quantize(model).model, like="uniform(bits=8)"),
        "alone": model,
    }
    task = qm.Task(shipped.net, recipe=qm.Recipe(epochs=40, learning_rate=3e-3))
    given = target(model, versions=versions)
    return qm.audit(task, data, target=given, quantizers=FEW, shadows=8, out=out, progress=False).document, out


def test_this_model_stands_beside_this_procedure(beside: tuple[Results, Path]):
    document, _ = beside
    assert document.config.depth == "shadow"
    assert [each.name for each in document.versions] == ["identity", *FEW]
    assert isinstance(document.target, TargetResult)
    assert [each.name for each in document.target.versions] == ["identity", *FEW, "<b>ours</b>", "alone"]
    assert all(each.models == 8 for each in document.versions)
    assert all(each.models == 1 for each in document.target.versions)


def test_the_attacks_on_this_model_have_the_shadow_models_as_references(beside: tuple[Results, Path]):
    document, out = beside
    with np.load(out / "tables/uniform_bits_8.npz") as own, np.load(out / "tables/target/uniform_bits_8.npz") as one:
        columns = one["is_audited"]
        shadows = qm.Evidence(own["losses"][:, columns], own["member"][:, columns], own["signal"][:, columns])
        given = qm.Evidence(one["losses"][:, columns], one["member"][:, columns], one["signal"][:, columns])
    expected = evaluate(LiRA().score(given, shadows), given.member).auc.value
    versions = {each.name: each for each in document.this_model[0]}
    assert versions["uniform(bits=8)"].attacks["lira"].adaptive["auc"].value == pytest.approx(expected)


def test_a_version_made_elsewhere_is_attacked_like_the_quantizer_that_it_is_like(beside: tuple[Results, Path]):
    versions = {each.name: each for each in beside[0].this_model[0]}
    assert versions["<b>ours</b>"].attacks == versions["uniform(bits=8)"].attacks


def test_a_version_like_no_quantizer_is_only_attacked_by_transfer(beside: tuple[Results, Path]):
    lira = {each.name: each for each in beside[0].this_model[0]}["alone"].attacks["lira"]
    assert isinstance(lira.adaptive, Unmeasured)
    assert "like" in lira.adaptive.reason
    assert not isinstance(lira.transfer, Unmeasured)


def test_what_is_not_known_of_a_version_made_elsewhere_has_a_reason(beside: tuple[Results, Path]):
    version = {each.name: each for each in beside[0].this_model[0]}["alone"]
    assert isinstance(version[BITS_PER_WEIGHT], Unmeasured)
    assert isinstance(version[QUANTIZED_WEIGHTS], Unmeasured)


def test_a_hostile_name_arrives_escaped(beside: tuple[Results, Path]):
    page = (beside[1] / "report.html").read_text()
    assert "<b>ours</b>" not in page


def test_versions_come_as_modules_state_dicts_functions_and_tables(
    memorised: tuple[nn.Module, qm.Samples], tmp_path: Path
):
    model, data = memorised
    losses = row(model, qm.Task(shipped.net).loss, torch.from_numpy(data.x), torch.from_numpy(data.y)).losses
    save_file(model.state_dict(), tmp_path / "state.safetensors")
    torch.save(model.state_dict(), tmp_path / "state.pt")
    versions = {
        "module": model,
        "state dict": model.state_dict(),
        "safetensors": tmp_path / "state.safetensors",
        "pt": str(tmp_path / "state.pt"),
        "function": lambda x: model(x) + 0.0,
        "table": qm.Evidence.from_table({"losses": losses, "member": np.arange(600) < 300}),
    }
    document = as_is(model, data, versions=versions, quantizers=["sign"], attacks=["loss_threshold"])
    whole = document.version("identity")
    for name in versions:
        assert document.version(name).attacks == whole.attacks
    assert isinstance(document.version("table")["utility"], Unmeasured)
    assert document.version("module")["utility"] == whole["utility"]


def test_a_file_of_another_tool_is_audited_as_a_version(memorised: tuple[nn.Module, qm.Samples], tmp_path: Path):
    gguf = importlib.import_module("gguf")
    model, data = memorised
    writer = gguf.GGUFWriter(tmp_path / "ours.gguf", "small")
    for name, value in model.state_dict().items():
        packed = value.ndim == 2
        kind = gguf.GGMLQuantizationType.Q8_0 if packed else gguf.GGMLQuantizationType.F32
        array = gguf.quants.quantize(value.numpy(), kind) if packed else value.numpy()
        writer.add_tensor(name, array, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    document = as_is(model, data, versions={"gguf q8_0": tmp_path / "ours.gguf"}, quantizers=["sign"])
    found, whole = document.version("gguf q8_0"), document.version("identity")
    assert 8 < found["bits_per_weight"] < 9
    assert found.attacks["loss_threshold"].adaptive["auc"].value == pytest.approx(
        whole.attacks["loss_threshold"].adaptive["auc"].value, abs=0.02
    )


def test_samples_in_both_sets_are_refused_or_dropped():
    data = shipped.samples()
    x = data.x.copy()
    x[310] = x[10]
    x[320] = x[20] + 1e-5
    both = qm.Samples(x, data.y)
    with pytest.raises(
        qm.UserError, match=r"1 members are among the non-members too \(the same bytes\), .* row 10 and row 310"
    ):
        disjoint(target(shipped.net()), both)
    x[310] += 1.0
    with pytest.raises(qm.UserError, match=r"the same numbers but for rounding\), the first as row 20 and row 320"):
        disjoint(target(shipped.net()), qm.Samples(x, data.y))
    left = disjoint(target(shipped.net(), overlap="drop"), both)
    assert 10 not in left.members
    assert 20 not in left.members
    assert len(left.members) == 298


def test_pictures_that_look_alike_are_counted_and_dropped_only_where_that_is_asked_for():
    draw = np.random.default_rng(0)
    x = draw.random((600, 3, 16, 16), dtype=np.float32)
    x[310] = np.clip(x[10] * 0.9 + 0.05, 0, 1)
    pictures, net = qm.Samples(x, draw.integers(0, 2, 600)), lambda: nn.Sequential(nn.Flatten(), nn.Linear(768, 2))
    given = qm.Target(net(), shipped.MEMBERS, shipped.OTHERS)
    document = qm.audit(qm.Task(net), pictures, target=given, quantizers=["sign"], progress=False).document
    assert isinstance(document.target, TargetResult)
    assert (document.target.near_duplicates, document.target.members) == (1, 300)
    assert "QM014" in [each.code for each in document.warnings]
    left = disjoint(qm.Target(net(), shipped.MEMBERS, shipped.OTHERS, overlap="drop"), pictures)
    assert 10 not in left.members
    assert 310 not in left.non_members


def test_a_model_read_with_its_columns_in_another_order_is_found_out(memorised: tuple[nn.Module, qm.Samples]):
    data = shipped.samples()
    model = shipped.trained(data)
    right = qm.Task(shipped.net)
    codes = [each.code for each in as_is(model, data, quantizers=["sign"]).warnings]
    assert "QM010" not in codes
    wrong = qm.Samples(data.x[:, np.random.default_rng(0).permutation(64)], data.y)
    document = as_is(model, wrong, quantizers=["sign"])
    assert "QM010" in [each.code for each in document.warnings]
    assert document.version("identity")["gain_over_constant_guess"].low <= 0
    with pytest.raises(
        qm.UserError, match=r"has accuracy 0\.\d+ .* on the non-members, and 0\.900 is stated"
    ) as refused:
        qm.audit(right, wrong, target=target(model, utility=0.9), quantizers=["sign"], progress=False)
    assert "in this order" in str(refused.value.hint)
    stated = document.version("identity")["utility"].value
    agreed = qm.audit(right, wrong, target=target(model, utility=stated), quantizers=["sign"], progress=False).document
    assert "QM010" not in [each.code for each in agreed.warnings]


def test_what_is_known_on_members_is_held_against_members(memorised: tuple[nn.Module, qm.Samples]):
    model, data = memorised
    with torch.no_grad():
        right = (model(torch.from_numpy(data.x)).argmax(dim=1).numpy() == data.y).astype(float)
    given = target(model)
    inside, outside = right[given.members].mean(), right[given.non_members].mean()
    assert inside - outside > 0.02, "the sides must differ for this test to say anything"
    stated = target(model, utility=float(outside), members_utility=float(inside))
    document = qm.audit(qm.Task(shipped.net), data, target=stated, quantizers=["sign"], progress=False).document
    assert isinstance(document.target, TargetResult)
    assert (document.target.stated, document.target.stated_members) == (outside, inside)
    wrong = target(model, members_utility=0.5)
    with pytest.raises(qm.UserError, match=r"on the members, and 0\.500 is stated"):
        qm.audit(qm.Task(shipped.net), data, target=wrong, quantizers=["sign"], progress=False)


@pytest.mark.parametrize("quantizers", [["sign"], ["gptq(bits=4)"]])
def test_sixteen_members_and_non_members_are_enough(memorised: tuple[nn.Module, qm.Samples], quantizers: list[str]):
    model, data = memorised
    given = qm.Target(model, np.arange(16), np.arange(300, 316), utility=0.1)
    found = qm.audit(qm.Task(shipped.net), data, target=given, quantizers=quantizers, progress=False).document
    assert found.data.members_per_model == 16


def test_the_most_frequent_class_is_what_a_model_must_beat():
    """Of an imbalanced table, the share of the most frequent class and not that of a coin."""
    draw = np.random.default_rng(0)
    data = qm.Samples(draw.normal(size=(600, 64)), (draw.random(600) < 0.2).astype(int))
    document = as_is(shipped.trained(data), data, quantizers=["sign"])
    found = document.version("identity")
    assert found["utility"].value - found["gain_over_constant_guess"].value == pytest.approx(
        (data.y[shipped.OTHERS] == 0).mean()
    )
    assert found["utility"].low > 0.5
    assert "QM010" in [each.code for each in document.warnings]


def test_the_gap_is_the_accuracy_on_members_less_that_on_the_others(memorised: tuple[nn.Module, qm.Samples]):
    model, data = memorised
    with torch.no_grad():
        right = model(torch.from_numpy(data.x)).argmax(1).numpy() == data.y
    gap = as_is(model, data, quantizers=["sign"]).version("identity")["generalization_gap"]
    assert gap.value == pytest.approx(right[:300].mean() - right[300:].mean())
    assert gap.low < gap.value < gap.high


def bad(**changes: object) -> dict[str, object]:
    return {"weights": shipped.net(), "members": np.arange(300), "non_members": np.arange(300, 600)} | changes


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"members": np.arange(10)}, "members: expected at least 16, got 10"),
        ({"members": np.arange(301)}, "1 rows are both members and non-members, the first is row [300]"),
        ({"members": [0.5] * 20}, "members: expected numbers of rows, got float64"),
        ({"members": [3] * 20}, "members: a row is named twice"),
        ({"members": -np.arange(20)}, "members: row numbers count from 0, got -19"),
        ({"overlap": "ignore"}, "overlap: expected 'refuse' or 'drop', got 'ignore'"),
        ({"versions": {"identity": shipped.net()}}, "identity is full precision itself"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(changes: dict[str, object], message: str):
    with pytest.raises(qm.UserError) as refused:
        qm.Target(**bad(**changes))
    assert message in str(refused.value)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"non_members": np.arange(300, 700)}, {}, "there is no row 699: the samples are rows 0 to 599"),
        ({"members": np.arange(400) < 300}, {}, "expected a mask of 600 samples, got one of 400"),
        ({"non_members": np.arange(700) // 300 == 1}, {}, "expected a mask of 600 samples, got one of 700"),
        ({"weights": {"0.weight": torch.zeros(3)}}, {}, "does not fit the model: 0.bias is missing"),
        ({"weights": "nowhere.safetensors"}, {}, "cannot read the weights nowhere.safetensors"),
        ({"versions": {"ours": qm.Version(shipped.net(), like="int8")}}, {}, "ours: there is no quantizer 'int8'"),
        ({"versions": {"ours": 3}}, {}, "ours: expected a version, got int"),
        ({"versions": {"ours": lambda x: x[:, :1]}}, {}, "ours cannot compute the samples"),
        ({"versions": {"ours": nn.Linear(3, 2)}}, {}, "ours cannot compute the samples"),
        (
            {"versions": {"ours": lambda x: torch.zeros(len(x), 11)}},
            {},
            "it returns [11] for one of them, the model of",
        ),
        ({}, {"attacks": ["lira"]}, "lira needs other models than the one that was given"),
        ({}, {"attacks": ["paired_replicates"]}, "paired_replicates needs other models"),
        ({}, {"depth": "deep"}, "unknown depth 'deep'"),
        ({}, {"depth": "as-is", "shadows": 8}, "depth 'as-is' does not fit shadows=8"),
        (
            {"versions": {"t": qm.Evidence(np.ones((1, 5)), np.ones((1, 5), dtype=bool))}},
            {},
            "t: expected a loss table of 1 model and 600 samples, got (1, 5)",
        ),
    ],
)
def test_an_as_is_audit_that_cannot_be_is_refused(changes: dict[str, object], options: dict[str, object], message: str):
    with pytest.raises(qm.UserError) as refused:
        qm.audit(qm.Task(shipped.net), shipped.samples(), target=qm.Target(**bad(**changes)), progress=False, **options)
    assert message in str(refused.value)


class Trap:
    """Write a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("archive", [False, True])
def test_a_hostile_pickle_given_as_weights_runs_nothing(tmp_path: Path, archive: bool):
    path = tmp_path / "model.pt"
    if archive:
        torch.save({"weight": Trap(tmp_path / "ran")}, path)
    else:
        path.write_bytes(pickle.dumps(Trap(tmp_path / "ran")))
    with pytest.raises(qm.UserError, match=r"(could|can) run any program"):
        read_weights(path)
    assert not (tmp_path / "ran").exists()


def test_the_digest_of_weights_changes_with_one_number():
    model = shipped.net()
    other = copy.deepcopy(model)
    with torch.no_grad():
        other[0].bias[0] += 1e-3
    assert weights_digest(model) == weights_digest(copy.deepcopy(model))
    assert weights_digest(model) != weights_digest(other)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shipped.files(tmp_path)
    return tmp_path


def test_the_digest_of_a_folder_changes_with_its_configuration_and_not_with_its_notes(tmp_path: Path):
    save_file(shipped.net().state_dict(), tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text('{"lora_alpha": 8}')
    before = digest_of(tmp_path)
    (tmp_path / "README.md").write_text("notes")
    assert digest_of(tmp_path) == before
    (tmp_path / "adapter_config.json").write_text('{"lora_alpha": 9}')
    assert digest_of(tmp_path) != before


def test_an_own_classifier_with_a_csv_is_audited_from_a_file_of_fifteen_lines(folder: Path):
    assert len([line for line in shipped.FILE.splitlines() if line]) <= 15
    document = audit_file(folder / "audit.toml", folder / "out", {}).document
    assert document.config.depth == "as-is"
    assert document.data.samples == 600
    assert isinstance(document.target, TargetResult)
    assert (document.target.members, document.target.non_members) == (300, 300)
    assert document.data.features == [64]
    assert (folder / "out" / "report.html").exists()


def test_the_plan_of_an_as_is_audit_trains_nothing(folder: Path):
    found = plan_file(folder / "audit.toml", {})
    assert found.models == 0
    assert found.quantizers == 3
    assert min(found.prepare, found.seconds, found.attack, found.report) > 0


def test_members_may_be_files_of_ids_or_of_rows(folder: Path):
    (folder / "in.txt").write_text("\n".join(f"p{row}" for row in shipped.MEMBERS))
    (folder / "out.txt").write_text("\n".join(f"p{row}" for row in shipped.OTHERS))
    by_id = shipped.FILE.replace('column = "split"\n', "").replace('"train"', '"in.txt"').replace('"test"', '"out.txt"')
    by_id = by_id.replace(
        'target = "digit"', 'target = "digit"\nfeatures = [' + ", ".join(f'"pixel{each}"' for each in range(64)) + "]"
    )
    (folder / "audit.toml").write_text(by_id)
    found = audit_file(folder / "audit.toml", folder / "first", {}).document
    np.save(folder / "in.npy", shipped.MEMBERS)
    np.save(folder / "out.npy", shipped.OTHERS)
    (folder / "audit.toml").write_text(by_id.replace(".txt", ".npy"))
    again = audit_file(folder / "audit.toml", folder / "second", {}).document
    assert found.versions == again.versions


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"model.safetensors"', '"modell.safetensors"', "target.weights: cannot read"),
        ('column = "split"', 'column = "spilt"', "target.column: there is no column 'spilt'"),
        ('members = "train"', 'members = "trian"', "target.members: column 'split' holds no 'trian'"),
        ('column = "split"', "", "target.members: there is no file 'train'"),
        ("weights =", "weigths =", "unknown key target.weigths"),
        ("[audit]", '[[target.versions]]\nname = "x"\n[audit]', "give one of weights, predict or table"),
        ("[audit]", '[[target.versions]]\nnam = "x"\n[audit]', "target.versions.0"),
        ("[audit]", '[[target.versions]]\nname = "x"\ntable = "x.npz"\n[audit]', "target.versions.x: cannot read"),
        ("[audit]", '[audit]\ndepth = "shalow"', "unknown depth 'shalow'"),
    ],
)
def test_a_broken_target_is_told_what_is_wrong(folder: Path, old: str, new: str, message: str):
    assert old in shipped.FILE
    (folder / "audit.toml").write_text(shipped.FILE.replace(old, new, 1))
    with pytest.raises(qm.UserError) as refused:
        audit_file(folder / "audit.toml", folder / "out", {})
    assert message in str(refused.value)
