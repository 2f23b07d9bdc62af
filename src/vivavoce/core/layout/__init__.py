"""Layouts: how streams of tokens become the grid of a language model, as values with a tested inverse."""

from vivavoce.core.layout.cursor import Cursor, Free, Slot, read
from vivavoce.core.layout.segments import Beside, Grid, Items, Layout, Role, Segment

__all__ = ["Beside", "Cursor", "Free", "Grid", "Items", "Layout", "Role", "Segment", "Slot", "read"]
