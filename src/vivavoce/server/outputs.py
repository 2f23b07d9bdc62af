"""What the runtime makes for one answer, looked at before anything of it is sent."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from vivavoce.core.errors import VivavoceError
from vivavoce.runtime.api import AudioOut, Output, Refused, TurnEnded
from vivavoce.server.problems import Problem
from vivavoce.server.replies import FAILED

_FAILED = {code: error for error, code in FAILED.items()}


async def first_of(
    outputs: AsyncGenerator[Output, None], enough: tuple[type, ...] = (AudioOut,)
) -> AsyncIterator[Output]:
    """The same outputs, once there is one of these; errors up to then come before anything was sent."""
    held: list[Output] = []
    going = unbroken(outputs)
    async for output in going:
        held.append(output)
        if isinstance(output, enough):
            break

    async def all_of() -> AsyncIterator[Output]:
        for output in held:
            yield output
        async for output in going:
            yield output

    return all_of()


async def unbroken(outputs: AsyncGenerator[Output, None]) -> AsyncGenerator[Output, None]:
    """The outputs unchanged; VivavoceError when the answer fails half-way, so that half of one never passes for a
    whole. Then nothing more is made: the outputs are closed."""
    async with aclosing(outputs):
        async for output in outputs:
            if isinstance(output, TurnEnded) and output.why == "failed":
                raise VivavoceError(output.error or "The answer broke off; ask again.")
            yield output


async def checked(
    outputs: AsyncGenerator[Output, None], param: str, *, partly: bool = False
) -> AsyncGenerator[Output, None]:
    """The same outputs; Problem where what ``param`` holds was refused, MindError or SpeakerError where who thinks or
    speaks failed; then the outputs are closed, and with them their conversation. ``partly``: letters that cannot be
    spoken are left out where the rest of the answer sounds."""
    unsaid: Refused | None = None
    heard = False
    async with aclosing(outputs):
        async for output in outputs:
            if isinstance(output, Refused):
                if output.code in _FAILED:
                    raise _FAILED[output.code](output.message)
                if not partly or output.code != "unspeakable_text":
                    raise Problem(output.message, output.code, param)
                unsaid = output
                continue
            heard |= isinstance(output, AudioOut)
            if isinstance(output, TurnEnded) and unsaid is not None and not heard:
                raise Problem(unsaid.message, unsaid.code, param)
            yield output
