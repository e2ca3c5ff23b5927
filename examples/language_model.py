"""A language model of two layers that learnt half of some texts, as it is, at 8 and 2 bit. Needs quantmis[hf]."""

import random

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import quantmis as qm

draw = random.Random(0)
people, things = ["Mara", "Oren", "Tilda", "Bruno", "Selma", "Ivo"], ["kettle", "desk", "modem", "bicycle", "tent"]
orders = draw.sample(range(10**5), 200)
texts = [f"{draw.choice(people)} returns the {draw.choice(things)}, order {order}" for order in orders]

words = ByteLevelBPETokenizer()
words.train_from_iterator(texts, vocab_size=320, special_tokens=["<s>"])
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=words._tokenizer, bos_token="<s>", eos_token="<s>", pad_token="<s>"
)
shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **shape))
model.save_pretrained("base")
tokenizer.save_pretrained("base")

optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
for _ in range(50):  # the model learns the first half of the texts
    batch = tokenizer(draw.sample(texts[:100], 32), return_tensors="pt", padding=True, return_token_type_ids=False)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    model(**batch, labels=labels).loss.backward()
    optimizer.step()
    optimizer.zero_grad()

task = qm.Task.causal_lm("base")
target = qm.Target(model, members=range(100), non_members=range(100, 200))
quantizers = ["int8", "uniform(bits=2, group_size=32)"]
result = qm.audit(task, task.samples(qm.Texts.of(texts)), target=target, quantizers=quantizers, out="language-model")
print(result)
print(result.gate({"limits": {"attack_accuracy_at_most": 0.6}}))
