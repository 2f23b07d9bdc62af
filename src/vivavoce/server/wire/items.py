"""Items of a conversation: messages, calls and what calls gave back."""

from typing import Annotated, Literal

from pydantic import Field

from vivavoce.server.wire.fields import Name, Strict, Text

ItemId = Annotated[str, Field(min_length=1, max_length=64)]


class InputText(Strict):
    """Written by the user or the system."""

    type: Literal["input_text"]
    text: Text


class InputAudio(Strict):
    """Said by the user."""

    type: Literal["input_audio"]
    audio: str | None = None
    transcript: Text | None = None


class OutputText(Strict):
    """Written by the assistant."""

    type: Literal["output_text"]
    text: Text


UserContent = Annotated[InputText | InputAudio, Field(discriminator="type")]


class _Item(Strict):
    id: ItemId | None = None
    object: Literal["realtime.item"] | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None


class SystemMessage(_Item):
    """Further instructions."""

    type: Literal["message"]
    role: Literal["system"]
    content: list[InputText] = Field(min_length=1)


class UserMessage(_Item):
    """What the user said or wrote."""

    type: Literal["message"]
    role: Literal["user"]
    content: list[UserContent] = Field(min_length=1)


class AssistantMessage(_Item):
    """What the assistant wrote; its sound cannot be made up by a client."""

    type: Literal["message"]
    role: Literal["assistant"]
    content: list[OutputText] = Field(min_length=1)


class FunctionCall(_Item):
    """A call, for example of an earlier conversation."""

    type: Literal["function_call"]
    name: Name
    arguments: Text
    call_id: Name | None = None


class FunctionCallOutput(_Item):
    """What a call gave back."""

    type: Literal["function_call_output"]
    call_id: Name
    output: Text


Message = Annotated[SystemMessage | UserMessage | AssistantMessage, Field(discriminator="role")]
Item = Annotated[Message | FunctionCall | FunctionCallOutput, Field(discriminator="type")]


class ItemReference(Strict):
    """An item of the conversation, by its id."""

    type: Literal["item_reference"]
    id: Name
