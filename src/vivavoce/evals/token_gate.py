"""The gate: what units must show before a language model is trained on them.

A phone probe finds in them nearly what their teacher knows; the token before tells of the next one, repeats taken out;
frames of one sound repeat. The same ids in another order, and a first book that carries no phones, have to fail.
"""

from collections.abc import Mapping
from dataclasses import dataclass

MOST_ABOVE_TEACHER = 0.05
MOST_PHONE_ERRORS = 0.40
LEAST_GAIN_NATS = 1.0
LEAST_REPEATS = 0.10
REPEATS_FROM_RATE = 25.0
"""Frames per second from which on frames of one sound follow each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What was measured: phone errors by group of recordings beside the teacher's, nats, repeats."""

    phone_errors: Mapping[str, float]
    teacher_errors: Mapping[str, float]
    gain_nats: float
    repeats: float
    rate: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """One condition and whether it holds."""

    what: str
    holds: bool


def verdicts(shown: Shown) -> list[Verdict]:
    """All conditions, in the order in which they are told."""
    found = []
    for group, errors in shown.phone_errors.items():
        teacher = shown.teacher_errors.get(group)
        allowed = MOST_PHONE_ERRORS if teacher is None else min(MOST_PHONE_ERRORS, teacher + MOST_ABOVE_TEACHER)
        beside = "" if teacher is None else f", the teacher's {100 * teacher:.1f} %"
        found.append(
            Verdict(
                f"phone errors, {group}: {100 * errors:.1f} %, at most {100 * allowed:.1f} %{beside}", errors <= allowed
            )
        )
    found.append(
        Verdict(
            f"the token before is worth {shown.gain_nats:.2f} nats, at least {LEAST_GAIN_NATS:g}",
            shown.gain_nats >= LEAST_GAIN_NATS,
        )
    )
    if shown.rate >= REPEATS_FROM_RATE:
        found.append(
            Verdict(
                f"{100 * shown.repeats:.1f} % of frames repeat, at least {100 * LEAST_REPEATS:.0f} %",
                shown.repeats >= LEAST_REPEATS,
            )
        )
    return found
