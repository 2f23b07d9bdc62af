"""Where half precision is worth it."""

from functools import cache

import torch


@cache
def bf16_pays(device: str) -> bool:
    """Whether this kind of device multiplies bfloat16 itself; a processor that does not is twenty times slower with it.

    Torch versions that cannot tell what a processor has get float32 there.
    """
    if device != "cpu":
        return True
    has = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(has.get("amx_bf16") or has.get("avx512_bf16"))
