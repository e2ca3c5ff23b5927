"""Claims about what a search says to people: its page, its sentences, its line to paste, and its progress."""

import re
import tomllib

import pytest
from pages import Page

from quantmis.report.html import policy
from quantmis.search.judging import Judged
from quantmis.search.page import render
from quantmis.search.record import Candidate, Comparison, Confirmed, Layer, SearchRecord, Worth
from quantmis.search.study import Tried
from quantmis.search.watch import Watch
from quantmis.search.words import sentences, toml
from quantmis.stats import Estimate, Unmeasured

WINNER = 'mixed(of=uniform(bits=4, per="channel"), at=sign, layers="2")'
HOSTILE = "<script>alert(1)</script>"


def worth(exposure: float, utility: float, bits: float = 4.0, **missed: float) -> Worth:
    numbers = [Estimate(each, each - 0.05, each + 0.05) for each in (exposure, utility, utility - 0.9)]
    return Worth(exposure=numbers[0], utility=numbers[1], change=numbers[2], bits=bits, missed=missed)


def confirmed(name: str, before: Worth | None, after: Worth, **more: object) -> Confirmed:
    right = Estimate(0.6, 0.55, 0.65)
    words = {"attacker": right, "missed": [], "of_front": True, **more}
    return Confirmed(quantizer=name, searched=before, again=after, **words)


def record(model: str = "model") -> SearchRecord:
    tried = {WINNER: worth(0.1, 0.88), "sign": worth(0.05, 0.5, 1.0, utility_change_at_least=0.3)}
    return SearchRecord(
        model=model,
        metric="accuracy",
        seed=0,
        trainings=4,
        samples_searched=900,
        samples_confirmed=897,
        space={"families": {"uniform": {}}, "layers": ["2"]},
        points=100,
        limits=["utility_change at least -0.02"],
        not_judged=["tpr at 0.01"],
        prefer="exposure",
        full_precision=worth(0.3, 0.9, 32.0),
        candidates=[
            Candidate(number=number, quantizer=each, worth=tried[each]) for number, each in enumerate((*tried, WINNER))
        ],
        front=[WINNER],
        probe="uniform(bits=2)",
        layers=[
            Layer(layer="0", weights=64, alone=worth(0.28, 0.89), others=worth(0.12, 0.8)),
            Layer(layer="<b>2", weights=32, alone=worth(0.12, 0.8), others=worth(0.28, 0.89)),
        ],
        confirmed=[
            confirmed(WINNER, worth(0.1, 0.88), worth(0.15, 0.87)),
            confirmed("uniform(bits=4)", None, worth(0.25, 0.9), of_front=False, attacker=Unmeasured("no attack")),
        ],
        winner=WINNER,
        comparison=Comparison(
            rival="uniform(bits=4)",
            advantage_less=0.4,
            exposure=Estimate(-0.1, -0.15, -0.05),
            utility=Estimate(-0.01, -0.03, 0.01),
        ),
        notes=["the model, quantized: winner.safetensors"],
    )


def test_the_page_runs_nothing_but_its_own_script_and_loads_nothing():
    source = render(record())
    page = Page(source)
    [style] = re.findall(r"<style>(.*?)</style>", source, re.DOTALL)
    [script] = re.findall(r"<script>(.*?)</script>", source, re.DOTALL)
    [given] = [each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert given == policy(style, script)
    assert not re.search(r"https?://(?!www\.w3\.org)", source)
    assert " style=" not in source
    assert len(source) < 400_000


def test_a_name_that_is_a_program_is_shown_and_not_run():
    source = render(record(HOSTILE))
    assert HOSTILE not in source
    assert "&lt;script&gt;alert(1)" in source
    assert "<b>2" not in source


def test_the_page_shows_the_winner_the_curse_and_what_each_layer_does():
    text = Page(render(record())).text
    assert f"quantizers = ['{WINNER}']" in text
    assert "0.150 (0.100 to 0.200)" in text
    assert "0.100 (0.050 to 0.150)" in text
    assert "the exposure of the 1 confirmed candidates of the front is 0.050 higher" in text
    assert "gives most of the training data away is <b>2" in text
    assert "40 % less advantage of an attacker (told apart by twins)" in text
    assert "tpr at 0.01" in text
    assert "utility_change_at_least by 0.3" in text
    assert "not attacked" in text


def test_a_search_that_was_interrupted_has_a_page_that_confirms_nothing():
    partial = record().model_copy(update={"confirmed": [], "winner": None, "comparison": None, "layers": []})
    text = Page(render(partial.model_copy(update={"notes": ["interrupted"]}))).text
    assert "No version to ship." in text
    assert "Interrupted." in text
    assert "Nothing was measured again yet" in text


@pytest.mark.parametrize("line", [WINNER, "sign", "of('a')"])
def test_the_line_to_paste_is_toml(line: str):
    assert tomllib.loads(f"quantizers = [{toml(line)}]") == {"quantizers": [line]}


def test_a_winner_that_nobody_had_to_search_for_is_said_to_be_one():
    plain = record().model_copy(update={"winner": "uniform(bits=4)", "comparison": None})
    assert any("nobody had to search for" in each for each in sentences(plain))
    assert not any("nobody had to search for" in each for each in sentences(record()))


def test_the_first_sentence_is_the_line_to_paste():
    assert next(sentences(record())) == f"winner: quantizers = ['{WINNER}']"


def test_progress_says_the_best_so_far_and_the_time_left(capsys: pytest.CaptureFixture[str]):
    def tried(number: int, exposure: float, short: float) -> Tried:
        one = Estimate(exposure, 0.0, 1.0)
        return Tried(number, f"version {number}", Judged(one, one, one, 4.0, {"limit": short}))

    watch = Watch(3, "exposure", show=True)
    for number, (exposure, short) in enumerate([(0.1, 1.0), (0.3, 0.0), (0.4, 0.0)]):
        watch.heard(tried(number, exposure, short))
    assert watch.best is not None
    assert watch.best.number == 1
    said = capsys.readouterr().err
    assert "1 of 3" in said
    assert "none within the limits" in said
    assert re.search(r"3 of 3, about 0 s left; best so far: version 1, exposure 0.300", said)
    Watch(3, "bits", show=False).heard(tried(0, 0.1, 0.0))
    assert capsys.readouterr().err == ""
