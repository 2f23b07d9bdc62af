"""The user's model: hearing, thinking and speaking put together."""

from vivavoce.assistant.model import Model, load

__all__ = ["Model", "load"]
