"""Claims about what a search may try: lines that users can paste, parts of models, and spaces that are none."""

import re
from pathlib import Path

import pytest
from own_model import GOOD
from torch import nn

import quantmis as qm
from quantmis.audit.config.sections import parsed
from quantmis.audit.search_options import SearchOptions
from quantmis.errors import UserError
from quantmis.quantizers import QUANTIZERS, Mixed, Sign, Ternary, Uniform
from quantmis.registry import spelling
from quantmis.search.parts import parts_of
from quantmis.search.space import PLAIN_FIRST, Space, space_of

FEW = {"families": ["uniform", "ternary", "sign"], "bits": [2, 4], "granularity": ["tensor", 8], "sparsity": [0.5, 0.9]}


def space(parts: tuple[str, ...] = (), **changes: object) -> Space:
    return space_of(SearchOptions.of(**FEW | changes), parts)


class Drawn:
    """Propose what a list of values says, as a sampler would, and check that it may."""

    def __init__(self, **values: object):
        self.values = values

    def suggest_categorical(self, name: str, choices: object) -> object:
        value = self.values.get(name.replace(".", "_"), next(iter(choices)))
        assert value in choices
        return value

    def suggest_int(self, name: str, low: int, high: int) -> int:
        value = int(self.values.get(name.replace(".", "_"), low))
        assert low <= value <= high
        return value


def test_the_versions_of_a_space_are_those_of_a_count_by_hand():
    # uniform: 2 bits x 2 granularities, ternary: 2 shares x 2, sign: 2
    assert len(space().plain) == 10
    assert space().size == 10
    assert space(("2",)).size == 100


def test_a_candidate_becomes_one_line_that_can_be_pasted():
    drawn = Drawn(rest_family="uniform", rest_bits=1, a_own=True, a_family="sign", b_own=True, b_family="sign")
    chosen = space(("a", "b", "c"))
    made = chosen.quantizer(chosen.suggested(drawn))
    assert made == Mixed(of=Uniform(bits=4), at=Sign(), layers="a, b")
    assert spelling(made) == 'mixed(of=uniform(bits=4), at=sign, layers="a, b")'
    assert QUANTIZERS.parse(spelling(made)) == made


def test_three_versions_in_one_model_are_one_line_too():
    model = nn.Sequential(*(nn.Linear(8, 8) for _ in range(3)))
    chosen = space(("0", "1"))
    drawn = Drawn(**{"0_own": True, "0_family": "sign", "1_own": True, "1_family": "ternary", "rest_bits": 1})
    made = QUANTIZERS.parse(spelling(chosen.quantizer(chosen.suggested(drawn))))
    assert [layer.levels for layer in made.quantize(model).layers] == [2, 3, 16]


def test_a_part_with_the_version_of_the_rest_is_no_mixture():
    chosen = space(("a",))
    assert chosen.quantizer(chosen.suggested(Drawn(a_own=True))) == Uniform(bits=2)


def test_every_plain_version_is_reached_from_the_candidate_that_means_it():
    chosen = space(("a",))
    starts = chosen.starts(0, [Sign(), Ternary(sparsity=0.9)])
    assert [chosen.quantizer(each) for each in starts[:2]] == [Sign(), Ternary(sparsity=0.9)]
    assert {chosen.quantizer(each) for each in starts} == set(chosen.plain)
    assert starts == chosen.starts(0, [Sign(), Ternary(sparsity=0.9)])
    assert len(space_of(SearchOptions(), ()).starts(0, [])) == PLAIN_FIRST


def test_a_family_takes_the_nearest_value_that_it_has():
    chosen = space(families=["uniform", "k_means"], bits=[1, 3])
    assert chosen.quantizer(chosen.suggested(Drawn(rest_family="uniform", rest_bits=0))) == Uniform(bits=3)
    assert spelling(chosen.quantizer(chosen.suggested(Drawn(rest_family="k_means")))) == "k_means(bits=1)"


def test_a_family_that_is_written_out_is_one_candidate():
    assert {"uniform(bits=7, narrow=True)"} < {
        spelling(each) for each in space(families=["sign", "uniform(bits=7, narrow=True)"]).plain
    }


def test_what_makes_whole_models_is_tried_alone_and_never_mixed():
    chosen = space(("a",), families=["sign", "gguf"], granularity=["tensor"])
    assert chosen.mixable == ("sign",)
    drawn = Drawn(rest_family="gguf", a_own=True)
    assert spelling(chosen.quantizer(chosen.suggested(drawn))) == spelling(QUANTIZERS.parse("gguf"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"families": ["uniformm"]}, "unknown quantizer 'uniformm'"),
        ({"families": ["identity"]}, "does not quantize"),
        ({"families": ["gptq"], "calibrated": False}, "gptq looks at data"),
        ({"families": ["sign"], "granularity": ["tensor"]}, "one point, sign"),
        ({"families": ["uniform"], "bits": [1]}, "uniform takes none of the bits"),
        ({"families": ["mixed"]}, "parameters that a search does not vary: of, at"),
        ({"granularity": ["row"]}, "granularity is tensor, channel or a number"),
        ({"trainings": 3}, "trainings come in pairs"),
        ({"prefer": "speed"}, "unknown preference"),
        ({"bits": []}, "bits"),
        ({"candidates": 0}, "candidates"),
    ],
)
def test_a_space_that_is_none_is_refused(changes: dict[str, object], message: str):
    with pytest.raises(UserError, match=message) as caught:
        space(**changes)
    assert caught.value.hint


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj, self.o_proj = nn.Linear(8, 8), nn.Linear(8, 8)


class Blocks(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(9, 8)
        self.blocks = nn.ModuleList([Block() for _ in range(4)])
        self.head = nn.Linear(8, 90)


def test_layers_of_a_small_model_differ_each_and_those_of_a_large_one_by_kind():
    small = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    assert parts_of(small, None) == ("2",)
    assert parts_of(Blocks(), None) == ("embed", "*.q_proj", "*.o_proj")
    assert parts_of(nn.Sequential(*(nn.Linear(4, 4) for _ in range(9))), None) == ("first", "last")
    assert parts_of(nn.Linear(4, 4), None) == ()
    assert parts_of(small, []) == ()


def test_a_pattern_that_matches_no_layer_and_two_that_match_one_are_refused():
    with pytest.raises(UserError, match="no layer is named 'haed'") as caught:
        parts_of(Blocks(), ["haed"])
    assert "head" in str(caught.value.hint)
    with pytest.raises(UserError, match="both match blocks"):
        parts_of(Blocks(), ["blocks.0.*", "*.o_proj"])
    with pytest.raises(UserError, match="no layer that quantizers replace"):
        parts_of(nn.ReLU(), None)


def test_a_section_of_an_audit_file_says_what_is_searched():
    file = parsed(
        f"{GOOD}\n[search]\nbits = [2, 3]\ngranularity = ['tensor', 32]\nlayers = ['last']\n".encode(), Path("a")
    )
    assert (file.search.bits, file.search.granularity, file.search.layers) == ([2, 3], ["tensor", 32], ["last"])
    assert file.search.candidates == 300


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("bitz = [2]", "unknown key search.bitz", "did you mean 'bits'"),
        ("bits = [2.5]", "search.bits.0", "The bits of a code"),
        ("trainings = 3", "search.trainings: trainings come in pairs", "complementary pairs"),
        ("apart = 1.0", "search.apart", "share of the samples"),
    ],
)
def test_a_key_that_cannot_be_is_named_beside_what_is_meant(line: str, message: str, hint: str):
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        parsed(f"{GOOD}\n[search]\n{line}\n".encode(), Path("a"))
    assert hint in str(caught.value.hint)


def test_an_option_that_python_misspells_is_refused_beside_the_nearest():
    with pytest.raises(UserError, match="no option 'famlies'") as caught:
        qm.search(None, None, famlies=["sign"])
    assert "'families'" in str(caught.value.hint)
