"""How fast a language model learns: a step of ours beside one of ``transformers`` with the same weights, one thread.

A step reads rows of text, scores every next token, goes back and changes all weights (AdamW), in single precision and,
where the processor multiplies it itself, in bfloat16. Both take turns, so that what else the machine does meets both;
numbers are tokens per second of processor time. Wants `vivavoce models get smollm2-135m-instruct`.
"""

import time
from collections.abc import Callable

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from _report import publish, spread
from vivavoce.hub.chat_model import file_of
from vivavoce.hub.gguf import read_gguf
from vivavoce.hub.text_model import load_text_model
from vivavoce.train.precision import bf16_pays
from vivavoce.train.tasks.grid import GridBatch, GridTask

NAME = "smollm2-135m-instruct"
ROWS, TOKENS = 4, 256
REPEATS = 5


def stepping(model: nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[bool], float]:
    """A step of training, in half precision or not; gives the loss before it."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)

    def step(half: bool) -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            found = loss()
        found.backward()
        optimizer.step()
        optimizer.zero_grad()
        return found.item()

    return step


def main() -> None:
    torch.set_num_threads(1)
    ids = torch.randint(1000, 40_000, (ROWS, TOKENS), generator=torch.Generator().manual_seed(1))
    lm = load_text_model(NAME, TOKENS).lm.train()
    batch = GridBatch(ids[:, None], torch.ones(ROWS, 1, TOKENS))
    task = GridTask(lm)
    ours = stepping(lm, lambda: task.losses("model", batch, task.outputs(batch))["tokens"].value)

    published = read_gguf(file_of(NAME))
    peer = LlamaForCausalLM(LlamaConfig(**published.config)).train()
    missing, unknown = peer.load_state_dict({name: published.tensor(name) for name in published.names}, strict=False)
    assert not unknown and set(missing) <= {"lm_head.weight"}, "the weights are of another model"
    peer.tie_weights()
    theirs = stepping(peer, lambda: peer(input_ids=ids, labels=ids, use_cache=False).loss)

    rows = []
    for half in (False, True) if bf16_pays("cpu") else (False,):
        taken: dict[str, list[float]] = {"ours": [], "transformers": []}
        losses = [ours(half), theirs(half)]
        assert abs(losses[0] - losses[1]) < 0.05 * losses[1], f"they do not learn the same: {losses}"
        for _ in range(REPEATS):
            for name, step in (("ours", ours), ("transformers", theirs)):
                start = time.process_time()
                step(half)
                taken[name].append(ROWS * TOKENS / (time.process_time() - start))
        mine, other = spread(taken["ours"]), spread(taken["transformers"])
        rows.append(
            {
                "precision": "bfloat16" if half else "single",
                "ours, tokens/s": mine,
                "transformers, tokens/s": other,
                "ratio": mine["p50"] / other["p50"],
            }
        )
    publish("learning", {"model": NAME, "rows": ROWS, "tokens": TOKENS, "repeats": REPEATS, "threads": 1}, rows)


if __name__ == "__main__":
    main()
