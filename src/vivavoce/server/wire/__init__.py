"""The shapes of the Realtime protocol that we read, checked by pydantic.

Field names and values are those of the `openai` package's types; a test compares them. What is unknown is refused
with the path of the field, as OpenAI's server does.
"""
