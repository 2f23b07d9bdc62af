"""Several minds behind one set of ears and one voice; every conversation says which it means."""

from collections.abc import Iterator, Mapping

from vivavoce.assistant.endpoint import EndpointMind
from vivavoce.core.errors import ConfigError
from vivavoce.core.talk import Thought
from vivavoce.runtime.model import Context, ReadingAhead, Thinking

MINI = "mini"


class Minds:
    """Thinking for the runtime by the mind that a conversation has chosen; the first where it has chosen none."""

    def __init__(self, minds: Mapping[str, Thinking]) -> None:
        """``minds`` by name, at least one."""
        self._minds = dict(minds)
        self.names = tuple(self._minds)
        self.elsewhere = frozenset(name for name, mind in self._minds.items() if isinstance(mind, EndpointMind))

    def read(self, context: Context) -> Iterator[None]:
        """Reads ahead for the mind that is meant, where it can."""
        mind = self._minds.get(context.mind or self.names[0])
        return mind.read(context) if isinstance(mind, ReadingAhead) else iter(())

    def respond(self, context: Context) -> Iterator[Thought]:
        """The reply of the mind that is meant; ConfigError when it is not there."""
        mind = self._minds.get(context.mind or self.names[0])
        if mind is None:
            raise ConfigError(f"there is no mind {context.mind!r}; loaded are {', '.join(self.names)}")
        return mind.respond(context)


def name_of(choice: str, mind: Thinking) -> str:
    """What clients call a mind: its own name, or what was chosen."""
    return getattr(mind, "name", "") or choice or MINI
