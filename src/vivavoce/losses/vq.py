"""Losses around a quantiser: a teacher's features for the first book (SpeechTokenizer, arXiv:2308.16692 §3.2)."""

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import cosine_similarity, logsigmoid


def distillation(
    made: Float[Tensor, "B D T"], teacher: Float[Tensor, "B D T"], mask: Bool[Tensor, "B T"]
) -> Float[Tensor, ""]:
    """One minus the cosine between student and teacher per frame, over the frames that count (Mimi's form of it)."""
    distance = 1 - cosine_similarity(made.float(), teacher.float(), dim=1)
    return (distance * mask).sum() / mask.sum().clamp(min=1)


def commitment(x: Float[Tensor, "B D T"], chosen: Float[Tensor, "B D T"]) -> Float[Tensor, ""]:
    """Mean squared distance that pulls vectors towards the entries they chose; the entries get no gradient."""
    return (x - chosen.detach()).square().sum(1).mean()


def distillation_over_time(
    made: Float[Tensor, "B D T"], teacher: Float[Tensor, "B D T"], mask: Bool[Tensor, "B T"]
) -> Float[Tensor, ""]:
    """Minus the log-sigmoid of the cosine over *time* of each feature (SpeechTokenizer's D-axis, §3.2), by features."""
    wide = mask[:, None].float()
    cosine = cosine_similarity(made.float() * wide, teacher.float() * wide, dim=2)
    return -logsigmoid(cosine).mean()
