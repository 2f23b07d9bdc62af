"""How fast a chat model reads what is new of a prompt and writes: ours in 8 bits beside ``transformers`` with the same
weights (widened to 32 bits), one thread, behind a conversation of 200 tokens.

Wants `vivavoce models get smollm2-135m-instruct`.
"""

import time
from collections.abc import Callable

import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from _report import publish, spread
from vivavoce.generate.writer import Line, Writer
from vivavoce.hub.chat_model import file_of, load_chat
from vivavoce.hub.gguf import read_gguf

NAME = "smollm2-135m-instruct"
BEFORE = 200
NEW = (1, 4, 13, 64)
REPEATS = 15


def milliseconds(read: Callable[[list[int]], None], again: Callable[[], None], new: int) -> dict[str, float]:
    """Of reading so many tokens and scoring the next, behind the same conversation each time."""
    ids = [100 + 7 * place for place in range(new)]
    taken = []
    for _ in range(REPEATS):
        again()
        start = time.perf_counter()
        read(ids)
        taken.append(1000 * (time.perf_counter() - start))
    return spread(taken)


def cropped(kept: DynamicCache) -> None:
    """Back to the conversation."""
    if (more := kept.get_seq_length() - BEFORE) > 0:
        kept.crop(-more)


@torch.inference_mode()
def main() -> None:
    torch.set_num_threads(1)
    before = [1000 + place for place in range(BEFORE)]
    line = Line(Writer(load_chat(NAME).lm))
    line.push(before)
    line.scores()

    def ours(ids: list[int]) -> None:
        line.push(ids)
        line.scores()

    published = read_gguf(file_of(NAME))
    peer = LlamaForCausalLM(LlamaConfig(**published.config)).eval()
    missing, unknown = peer.load_state_dict({name: published.tensor(name) for name in published.names}, strict=False)
    assert not unknown and set(missing) <= {"lm_head.weight"}, "the weights are of another model"
    peer.tie_weights()
    kept = DynamicCache(config=peer.config)
    peer(torch.tensor([before]), past_key_values=kept, logits_to_keep=1)

    def theirs(ids: list[int]) -> None:
        peer(torch.tensor([ids]), past_key_values=kept, logits_to_keep=1)

    rows = []
    for new in NEW:
        mine = milliseconds(ours, lambda: line.back(BEFORE), new)
        other = milliseconds(theirs, lambda: cropped(kept), new)
        rows.append(
            {"new tokens": new, "ours, ms": mine, "transformers, ms": other, "ratio": mine["p50"] / other["p50"]}
        )
    publish("chat", {"model": NAME, "before": BEFORE, "repeats": REPEATS, "threads": 1}, rows)


if __name__ == "__main__":
    main()
