"""Claims about chats and other examples: a file's columns say what it holds, and what training scored is scored."""

import json
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import TEMPLATE, sentences, transformers, with_template

import quantmis as qm
from quantmis.audit.config.building import samples_of, target_of
from quantmis.audit.config.draft import draft
from quantmis.audit.config.sections import parsed, read
from quantmis.audit.target.disjoint import disjoint
from quantmis.data.examples import ALPACA
from quantmis.data.text_files import LARGEST
from quantmis.data.texts import Texts, read_texts
from quantmis.data.tokens import as_context, numbers
from quantmis.errors import UserError
from quantmis.models.recitation import recited
from quantmis.models.rows import row
from quantmis.models.task import inputs

ASKED, ANSWERED = sentences(24, 1), sentences(24, 2)
SPLIT = list(zip(ASKED, ANSWERED, strict=True))
MARKED = (
    "{% for message in messages %}{{ '[' + message['role'] + ']\\n' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + ' <s>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + ' <s>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '[assistant]\\n' }}{% endif %}"
)


def chat(*contents: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(contents)]


ROWS: dict[str, list[dict[str, Any]]] = {
    "messages": [{"messages": chat(a, b)} for a, b in SPLIT],
    "conversations": [
        {"conversations": [{"from": "human", "value": a}, {"from": "gpt", "value": b}]} for a, b in SPLIT
    ],
    "completion": [{"prompt": chat(a), "completion": chat("", b)[1:]} for a, b in SPLIT],
    "output": [{"instruction": a, "input": "", "output": b} for a, b in SPLIT],
    "chosen": [{"chosen": chat(a, b), "rejected": chat(a, "no")} for a, b in SPLIT],
}


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture(scope="module")
def chatty(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_template(Path(shutil.copytree(base, tmp_path_factory.mktemp("chats") / "base")))


def samples(folder: Path, path: Path, **asked: Any) -> qm.Samples:
    return qm.Task.causal_lm(folder).samples(path, **{"reference": False, **asked})


def own(found: qm.Samples) -> np.ndarray:
    return found.x if found.x.ndim == 2 else found.x[:, 0]


def scored(folder: Path, found: qm.Samples, place: int) -> str:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokens = own(found)[place]
    return tokenizer.decode(tokens[tokens >= 0])


@pytest.mark.parametrize("column", list(ROWS))
def test_every_form_of_one_chat_is_the_same_text(chatty: Path, tmp_path: Path, column: str):
    found = samples(chatty, written(tmp_path / "a.jsonl", ROWS[column]), loss_on="completion")
    tokenizer = transformers.AutoTokenizer.from_pretrained(chatty)
    for place, (asked, answered) in enumerate(SPLIT):
        tokens = numbers(own(found)[place])
        text = f"[user]\n{asked} <s>[assistant]\n{answered} <s>"
        assert tokens[tokens >= 0].tolist() == tokenizer(text, add_special_tokens=False)["input_ids"]
        assert scored(chatty, found, place).strip() == f"{answered} <s>"


def test_the_form_is_said_in_the_notes(chatty: Path, tmp_path: Path):
    found = samples(chatty, written(tmp_path / "a.jsonl", ROWS["output"]))
    assert found.notes[0] == "a.jsonl: 24 instructions"
    tokens = own(found)
    share = f"{(tokens >= 0).sum():,} of {(tokens != -1).sum():,} tokens are scored"
    assert any(note.startswith(share) for note in found.notes)


def test_all_turns_of_a_chat_are_scored_unless_somebody_says_otherwise(chatty: Path, tmp_path: Path):
    assert (own(samples(chatty, written(tmp_path / "a.jsonl", ROWS["messages"]))) >= -1).all()
    assert (own(samples(chatty, written(tmp_path / "b.jsonl", ROWS["completion"]))) < -1).any()
    assert (own(samples(chatty, tmp_path / "b.jsonl", loss_on="all")) >= -1).all()


def test_losses_are_those_of_the_library_with_the_prompt_masked(chatty: Path, tmp_path: Path):
    found = samples(chatty, written(tmp_path / "a.jsonl", ROWS["completion"]))
    task = qm.Task.causal_lm(chatty)
    model = transformers.AutoModelForCausalLM.from_pretrained(chatty).float().eval()
    ours = row(task.build(0).eval(), task.loss, inputs(found), task.loss.targets(found.y)).losses
    for place, tokens in enumerate(own(found)):
        kept = torch.from_numpy(tokens[tokens != -1].astype(np.int64))[None]
        labels = kept.masked_fill(kept < 0, -100)
        with torch.no_grad():
            theirs = model(input_ids=numbers(kept), labels=labels).loss
        assert ours[place] == pytest.approx(float(theirs), abs=1e-5)
        assert found.y[place, 0] == int((labels[0, 1:] >= 0).sum())


def test_min_k_and_zlib_are_of_the_scored_tokens_alone(chatty: Path, tmp_path: Path):
    found = samples(chatty, written(tmp_path / "a.jsonl", ROWS["completion"]))
    task = qm.Task.causal_lm(chatty)
    module = task.build(0).eval()
    result = row(module, task.loss, inputs(found), task.loss.targets(found.y))
    model = transformers.AutoModelForCausalLM.from_pretrained(chatty).float().eval()
    tokens = torch.from_numpy(own(found)[0][own(found)[0] != -1].astype(np.int64))
    with torch.no_grad():
        log_p = model(input_ids=numbers(tokens)[None]).logits[0].log_softmax(-1)
    picked = log_p[:-1].gather(1, numbers(tokens)[1:, None])[:, 0][tokens[1:] >= 0]
    lowest = picked.sort().values[: max(1, int(0.2 * len(picked)))]
    assert result.named["min_k"][0] == pytest.approx(float(lowest.mean()), abs=1e-5)
    assert found.y[0, 1] == len(zlib.compress(scored(chatty, found, 0).encode()))


def test_each_turn_of_the_assistant_is_scored_and_a_template_that_marks_them_agrees(chatty: Path, tmp_path: Path):
    rows = [{"messages": chat(*four)} for four in zip(ASKED, ANSWERED, ANSWERED[::-1], ASKED[::-1], strict=True)]
    path = written(tmp_path / "a.jsonl", rows)
    found = samples(chatty, path, loss_on="completion")
    assert scored(chatty, found, 0).split(" <s>")[:2] == [ANSWERED[0], ASKED[-1]]
    marked = with_template(Path(shutil.copytree(chatty, tmp_path / "marked")), MARKED)
    np.testing.assert_array_equal(own(samples(marked, path, loss_on="completion")), own(found))


def test_only_what_is_scored_is_lowered(chatty: Path, tmp_path: Path):
    rows = [{"prompt": chat(f"{a} Anna"), "completion": chat("", f"{b} Paris")[1:]} for a, b in SPLIT]
    found = samples(chatty, written(tmp_path / "a.jsonl", rows))
    assert found.x.ndim == 3
    tokenizer = transformers.AutoTokenizer.from_pretrained(chatty)
    tokens = found.x[0, 1]
    assert tokenizer.decode(tokens[tokens >= 0]).strip() == f"{ANSWERED[0]} Paris <s>".lower().strip()
    assert tokenizer.decode(numbers(tokens[tokens < -1])) == f"[user]\n{ASKED[0]} Anna <s>[assistant]\n"


def test_strings_are_put_together_and_closed(base: Path, tmp_path: Path):
    rows = [{"prompt": f"{a}:", "completion": f" {b}"} for a, b in SPLIT]
    found = samples(base, written(tmp_path / "a.jsonl", rows))
    assert scored(base, found, 3) == f" {ANSWERED[3]}<s>"
    (tmp_path / "a.csv").write_text("prompt,completion\n" + "\n".join(f"{a}:, {b}" for a, b in SPLIT))
    np.testing.assert_array_equal(samples(base, tmp_path / "a.csv").x, found.x)


def test_instructions_without_a_template_are_written_as_by_their_authors(base: Path, tmp_path: Path):
    rows = [{"instruction": a, "input": "ships", "output": b} for a, b in SPLIT]
    found = samples(base, written(tmp_path / "a.jsonl", rows))
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    tokens = numbers(own(found)[0])
    whole = tokenizer.decode(tokens[tokens >= 0])
    assert whole.startswith(ALPACA.split("{}")[0])
    assert f"### Instruction:\n{ASKED[0]}\n\n### Input:\nships\n\n### Response:{ANSWERED[0]}<s>" in whole
    assert any("24 instructions are written as the authors of Alpaca" in note for note in found.notes)


def test_a_chat_without_a_template_is_refused(base: Path, tmp_path: Path):
    with pytest.raises(UserError, match=r"a\.jsonl:1 is a chat, and the tokenizer has no chat template") as refused:
        samples(base, written(tmp_path / "a.jsonl", ROWS["messages"]))
    assert "tokenizer.chat_template" in str(refused.value.hint)


def test_a_template_that_rewrites_earlier_turns_does_not_tell_them(chatty: Path, tmp_path: Path):
    template = TEMPLATE.replace("message['content']", "(message['content'] if loop.last else '...')")
    folder = with_template(Path(shutil.copytree(chatty, tmp_path / "rewrites")), template)
    path = written(tmp_path / "a.jsonl", [{"messages": chat(a, b, a, b)} for a, b in SPLIT])
    with pytest.raises(UserError, match="writes earlier turns otherwise when later ones follow") as refused:
        samples(folder, path, loss_on="completion")
    assert "generation" in str(refused.value.hint)
    assert len(samples(folder, path)) == 24


def test_turns_that_a_template_refuses_are_named(chatty: Path, tmp_path: Path):
    template = "{{ raise_exception('roles must alternate') }}"
    folder = with_template(Path(shutil.copytree(chatty, tmp_path / "strict")), template)
    with pytest.raises(UserError, match=r"cannot write a\.jsonl:1: roles must alternate"):
        samples(folder, written(tmp_path / "a.jsonl", ROWS["messages"]))


def test_columns_of_two_forms_are_refused_until_one_is_named(tmp_path: Path):
    rows = [{"text": f"rendered {a}", "messages": chat(a, b)} for a, b in SPLIT]
    path = written(tmp_path / "a.jsonl", rows)
    with pytest.raises(UserError, match=r"several things that may be its texts: chats \(messages\), texts \(text\)"):
        read_texts([path])
    assert read_texts([path], column="text").texts[0] == f"rendered {ASKED[0]}"
    assert read_texts([path], column="messages").notes == ("a.jsonl: 24 chats",)


def test_a_prompt_alone_is_read_where_it_is_named_and_said_to_be_alone(tmp_path: Path):
    path = written(tmp_path / "a.jsonl", [{"prompt": a, "completion": b} for a, b in SPLIT])
    assert read_texts([path], column="prompt").notes == ("a.jsonl: 24 texts of the column prompt",)
    with pytest.raises(UserError, match="has no column 'text' and those of no chats: 'prompt'") as refused:
        read_texts([written(tmp_path / "b.jsonl", [{"prompt": a} for a in ASKED])])
    assert "prompt and completion" in str(refused.value.hint)


def test_parquet_holds_chats_too(tmp_path: Path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for column in ("messages", "conversations", "chosen"):
        parquet.write_table(arrow.Table.from_pylist(ROWS[column]), tmp_path / "a.parquet")
        found = read_texts([tmp_path / "a.parquet"])
        assert found.examples == read_texts([written(tmp_path / "a.jsonl", ROWS[column])]).examples


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"messages": []}, "without a chat in messages"),
        ({"messages": None}, "without a chat in messages"),
        ({"messages": "[{broken"}, "without a chat in messages"),
        ({"messages": ["hello"]}, "with a turn that is no object"),
        ({"messages": [{"content": "hello"}]}, "with a turn of nobody who is known"),
        ({"messages": [{"from": "martian", "value": "hello"}]}, "with a turn of nobody who is known"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "with a turn of more than words"),
        ({"messages": [{"role": "user", "content": 5}]}, "with a turn without words"),
        ({"messages": chat("a\0b", "c")}, "with NUL in them"),
        ({"messages": chat("a" * LARGEST, "c" * LARGEST)}, "longer than a megabyte"),
    ],
)
def test_what_is_no_chat_is_left_out_and_counted(tmp_path: Path, bad: dict[str, Any], why: str):
    rows = [ROWS["messages"][0], bad]
    text = "\n".join(json.dumps(each) for each in rows)
    (tmp_path / "a.jsonl").write_text(text)
    found = read_texts([tmp_path / "a.jsonl"])
    assert found.notes == (f"a.jsonl: 1 chats; left out: 1 {why}",)


def test_pairs_share_their_prompt(tmp_path: Path):
    rows = [
        {"chosen": "Ask: why\nSay: because of rain", "rejected": "Ask: why\nSay: because of real things"},
        {"prompt": "why", "chosen": chat("why", "rain"), "rejected": chat("why", "wind")},
        {"prompt": "why ", "chosen": "rain", "rejected": "wind"},
        {"chosen": "same", "rejected": "same"},
    ]
    found = read_texts([written(tmp_path / "a.jsonl", rows)])
    parts = [(each.prompt, each.completion) for each in found.examples or () if each]
    assert parts[0] == ("Ask: why\nSay: because of", " rain")
    assert parts[1] == (tuple(chat("why")), tuple(chat("why", "rain")[1:]))
    assert parts[2] == ("why ", "rain")
    assert found.notes == ("a.jsonl: 3 preferred answers; left out: 1 with a pair of equal answers",)
    other = read_texts([tmp_path / "a.jsonl"], column="rejected")
    assert [each.completion for each in other.examples or () if each][2] == "wind"


def test_a_completion_is_asked_of_data_that_have_one(chatty: Path):
    with pytest.raises(UserError, match="nothing says what of these texts is the completion"):
        qm.Task.causal_lm(chatty).samples(Texts.of(ASKED), loss_on="completion")
    with pytest.raises(UserError, match="unknown 'completions'"):
        qm.Task.causal_lm(chatty).samples(Texts.of(ASKED), loss_on="completions")


def test_an_example_whose_completion_is_beyond_what_is_read_is_left_out(chatty: Path, tmp_path: Path):
    rows = [{"prompt": "x " * 50, "completion": "never read"}, *ROWS["completion"]]
    rows[1:] = [{"prompt": "a", "completion": f" {b}"} for b in ANSWERED]
    found = samples(chatty, written(tmp_path / "a.jsonl", rows), longest=12)
    assert len(found) == 24
    assert "1 texts without a token that is scored left out" in found.notes


def test_a_document_longer_than_the_context_is_one_sample_scored_where_its_completion_is(base: Path, tmp_path: Path):
    rows = [{"prompt": " ".join(ASKED), "completion": " " + " ".join([*ANSWERED[:9], b])} for b in ANSWERED]
    found = samples(base, written(tmp_path / "a.jsonl", rows))
    assert len(found) == 24
    assert own(found).shape[1] > 2 * 64
    task, model = qm.Task.causal_lm(base), transformers.AutoModelForCausalLM.from_pretrained(base).float().eval()
    ours = row(task.build(0).eval(), task.loss, inputs(found), task.loss.targets(found.y)).losses
    tokens = torch.from_numpy(own(found)[0][own(found)[0] != -1].astype(np.int64))
    total, count = 0.0, 0
    for start in range(0, len(tokens) - 1, 63):
        window = tokens[start : start + 64][None]
        with torch.no_grad():
            log_p = model(input_ids=numbers(window)).logits[0, :-1].log_softmax(-1)
        picked = log_p.gather(1, numbers(window)[0, 1:, None])[:, 0][window[0, 1:] >= 0]
        total, count = total - float(picked.sum()), count + len(picked)
    assert count == found.y[0, 0]
    assert ours[0] == pytest.approx(total / count, abs=1e-5)


AUDIT = """
kind = "causal-lm"
[data]
texts = "{name}"
[model]
folder = "base"
[target]
weights = "tuned"
column = "{column}"
members = {members}
non_members = {others}
"""


def home(chatty: Path, folder: Path) -> Path:
    shutil.copytree(chatty, folder / "base")
    shutil.copytree(chatty, folder / "tuned")
    return folder


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_a_column_of_the_texts_says_who_was_trained_on(chatty: Path, tmp_path: Path, ending: str):
    home(chatty, tmp_path)
    rows = [{"text": text, "split": ("train", "test", "later")[place % 3]} for place, text in enumerate(sentences(60))]
    rows.append({**rows[0], "split": "test"})
    path = tmp_path / f"a{ending}"
    if ending == ".jsonl":
        written(path, rows)
    elif ending == ".csv":
        path.write_text("text,split\n" + "\n".join(f"{row['text']},{row['split']}" for row in rows))
    else:
        arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.Table.from_pylist(rows), path)
    content = AUDIT.format(name=path.name, column="split", members='"train"', others='"test"')
    file = parsed(content.encode(), tmp_path / "audit.toml")
    found = samples_of(file, tmp_path)
    target = target_of(file, found, tmp_path)
    assert target is not None
    assert target.members.tolist() == list(range(0, 60, 3))
    assert target.non_members.tolist() == [*range(1, 60, 3), 60]
    with pytest.raises(UserError, match="1 members are among the non-members too"):
        disjoint(target, found)


def test_a_value_that_the_column_does_not_hold_and_a_column_that_is_not_there_are_refused(chatty: Path, tmp_path: Path):
    home(chatty, tmp_path)
    rows = [{"text": text, "is_train": place % 2 == 0} for place, text in enumerate(sentences(60))]
    written(tmp_path / "a.jsonl", rows)
    words = {"name": "a.jsonl", "column": "is_train", "members": "true", "others": '"maybe"'}
    for column, others, message in (
        ("is_train", '"maybe"', "target.non_members: the column 'is_train' of the texts holds no 'maybe'"),
        ("is_trained", "0", "a.jsonl has no column 'is_trained'"),
    ):
        content = AUDIT.format(**{**words, "column": column, "others": others, "members": 1})
        file = parsed(content.encode(), tmp_path / "audit.toml")
        with pytest.raises(UserError) as refused:
            target_of(file, samples_of(file, tmp_path), tmp_path)
        assert message in str(refused.value)


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_init_finds_chats_and_the_column_that_divides_them(chatty: Path, tmp_path: Path, ending: str):
    home(chatty, tmp_path)
    rows = [
        {**row, "split": ("train", "test")[place % 2]} for place, row in enumerate(ROWS["messages"] + ROWS["messages"])
    ]
    if ending == ".jsonl":
        written(tmp_path / "a.jsonl", rows)
    else:
        arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "a.parquet")

    path = draft(tmp_path, "audit.toml", lambda _, choices: next(iter(choices)), {"model": "base", "weights": "tuned"})
    file = read(path)
    assert (file.kind, file.data.texts) == ("causal-lm", [f"a{ending}"])
    assert file.target is not None
    assert (file.target.column, file.target.members, file.target.non_members) == ("split", "train", "test")
    assert '# loss_on = "completion"         # chats' in path.read_text()


def test_what_is_said_by_heart_of_a_prompt_is_its_completion(base: Path):
    module = qm.Task.causal_lm(base).build(0).eval()
    start = torch.randint(1, 200, (3, 5), generator=torch.Generator().manual_seed(0))
    model = transformers.AutoModelForCausalLM.from_pretrained(base).float().eval()
    with torch.no_grad():
        whole = start
        for _ in range(6):
            whole = torch.cat([whole, model(input_ids=whole).logits[:, -1:].argmax(-1)], dim=1)
        log_p = model(input_ids=whole).logits[:, 4:-1].log_softmax(-1).gather(-1, whole[:, 5:, None])[..., 0].sum(1)
    texts = torch.cat([as_context(whole[:, :5]), whole[:, 5:]], dim=1)
    found = recited(module, texts)
    assert found is not None
    assert found.by_heart.all()
    assert found.log_probability == pytest.approx(log_p.numpy(), abs=1e-4)
    texts[1, -1] = (texts[1, -1] + 1) % 200
    other = recited(module, texts)
    assert other is not None
    assert other.by_heart.tolist() == [True, False, True]
