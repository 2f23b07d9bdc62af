"""A character sheet: a YAML file that says what a character can do, how people ask for it and how it talks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import yaml

from vivavoce.core.errors import ManifestError
from vivavoce.data.templates import check, every

CHARACTERS: Final = Path(__file__).parent.parent / "characters"
SHEET: Final = "sheet.yaml"
SPELLED: Final = "^[a-z]+$"
"""What stands in a slot that is spelled."""
DEFAULT: Final = CHARACTERS / "innkeeper" / SHEET


@dataclass(frozen=True, slots=True)
class Slot:
    """An argument of the tool: its values, and the amounts that may stand before them."""

    name: str
    values: tuple[str, ...]
    amounts: tuple[str, ...] = ()
    means: tuple[str, ...] = ()
    """Words by which a property of somebody else's tool is known to mean this one."""
    may_mean: tuple[str, ...] = ()
    """Words that say so only where nothing else does ("type", "name")."""
    alike: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Other words for a value or an amount, as tools list them ("L" for large)."""
    numbers: Mapping[str, int] = field(default_factory=dict)
    """What a value is where a number is wanted."""
    said_as: tuple[str, ...] = ()
    """How a value is said, as templates of the whole ``{value}`` or of its ``{first}`` word and the ``{rest}``."""
    phrases: tuple[str, ...] = ()
    """What a value stands in within a sentence ("for {value}"), the first one where the character reads it back."""
    read: str = ""
    """What the character says of it instead, where it cannot be read back ("in your name")."""
    spelled: bool = False
    """Whether any word may stand here, spelled letter by letter; the values are examples."""

    def forms(self, value: str) -> list[str]:
        """All that people say for a value."""
        first, _, rest = value.partition(" ")
        return [form.format(value=value, first=first, rest=rest) for form in self.said_as] or [value]

    def every(self) -> list[str]:
        """Every string that the argument can be."""
        return [*self.values, *(f"{amount} {value}" for amount in self.amounts for value in self.values)]


@dataclass(frozen=True, slots=True)
class SheetTool:
    """What the character can do."""

    name: str
    description: str
    item: str
    slots: tuple[Slot, ...]
    means: tuple[str, ...] = ()
    """Words in the names of other tools that do the same."""
    unlike: tuple[str, ...] = ()
    """Words in the names of tools about the same things that do something else."""
    rest: tuple[str, ...] = ()
    """Names of properties that take what has no property of its own."""

    def slot(self, name: str) -> Slot:
        """A slot by its name."""
        return next(slot for slot in self.slots if slot.name == name)

    def schema(self) -> dict[str, Any]:
        """JSON schema of the arguments."""
        return {
            "type": "object",
            "properties": {
                slot.name: {"type": "string"} | ({"pattern": SPELLED} if slot.spelled else {"enum": slot.every()})
                for slot in self.slots
            },
            "required": [self.item],
            "additionalProperties": False,
        }


@dataclass(frozen=True, slots=True)
class Sheet:
    """A character as its file says; ``said`` holds the templates and lists by their section."""

    name: str
    persona: str
    voice: str
    tool: SheetTool
    said: Mapping[str, Any]
    folder: Path | None = field(default=None, compare=False)
    """Where the file lies, and beside it whatever else belongs to the character."""

    def has(self, *path: str) -> bool:
        """Whether the file says anything at a place."""
        place: Any = self.said
        for key in path:
            if not isinstance(place, Mapping) or key not in place:
                return False
            place = place[key]
        return bool(place)

    def at(self, *path: str) -> Any:
        """What the file says at a place. ManifestError where it says nothing."""
        place: Any = self.said
        for key in path:
            if not isinstance(place, Mapping) or key not in place:
                raise ManifestError(
                    f"the sheet of {self.name!r} has nothing at {'.'.join(path)}, which another section needs; "
                    f"add it as in {DEFAULT}, or leave that section out"
                )
            place = place[key]
        return place

    def texts(self, *path: str) -> list[str]:
        """The list of strings at a place in the file, ``texts("replies", "order")``. ManifestError where none is."""
        found = self.at(*path)
        if not isinstance(found, list) or not found:
            raise ManifestError(
                f"{'.'.join(path)} of the character sheet of {self.name!r} is no list of texts; give one"
            )
        return list(cast("Sequence[str]", found))


def find_sheet(character: str | Path, beside: Path | None = None) -> Path:
    """The sheet of a character: the name of one that comes with the package, a folder with a sheet.yaml, or the sheet.

    A path may be meant from the folder ``beside``. Raises ManifestError that lists the names.
    """
    own = CHARACTERS / character / SHEET
    if len(Path(character).parts) == 1 and own.is_file():
        return own
    for path in (Path(character), *([beside / character] if beside else [])):
        for sheet in (path / SHEET, path):
            if sheet.is_file():
                return sheet
    names = ", ".join(sorted(path.parent.name for path in CHARACTERS.glob(f"*/{SHEET}")))
    raise ManifestError(f"there is no character {str(character)!r}; give {names}, a sheet (YAML) or a folder with one")


_SECTIONS: Final = ("tool", "orders", "changes", "replies", "heard", "talk", "nonsense", "ask", "vague")
"""What every sheet has; a character whose sheet lacks any other section does not talk about that."""
_REPLIES: Final = (
    "order", "cancel", "nothing_to_cancel", "nothing_ordered", "repeat_order", "i_said", "i_said_nothing", "you_said",
    "you_said_nothing", "i_said_unheard", "no_tool", "served", "told", "failed", "failed_because", "ask_item",
    "ask_slot", "ask_field", "ask_number", "offer", "thank", "sorry", "named", "confirmed", "denied",
)  # fmt: skip
_LISTS: Final = frozenset({"talk", "nonsense", "vague"})
_NAMES: Final[Mapping[str, Sequence[str]]] = {
    "orders": ("openings", "more_openings", "greetings", "tails", "slips"),
    "changes": ("ways", "replies"),
    "replies": _REPLIES,
    "ask": ("last_reply", "last_user", "my_order", "cancel", "yes", "no"),
    "heard": ("rate", "pitch", "loudness"),
}
"""What has to be in a section."""


@cache
def load_sheet(path: Path = DEFAULT) -> Sheet:
    """Reads and checks a sheet. Raises ManifestError that names the file, the place in it and what is wrong."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(f"the character sheet {path} cannot be read ({error.strerror}); check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ManifestError(f"the character sheet {path} is no valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise ManifestError(f"the character sheet {path} holds no sections; start from {DEFAULT.name}")
    missing = [name for name in ("name", "persona", "voice", *_SECTIONS) if name not in data]
    if missing:
        raise ManifestError(f"the character sheet {path} lacks {', '.join(missing)}; see {DEFAULT} for each")
    _check_strings(data, path, "")
    tool = _tool(data["tool"], path)
    _check_sections(data, path)
    for item in tool.slot(tool.item).values if "prices" in data else ():
        if not isinstance(data["prices"].get("base", {}).get(item), int):
            raise ManifestError(f"the character sheet {path} has no price for {item!r}; add a number to prices.base")
    named = [*data["orders"].get("before", ()), *data["orders"].get("after", ())]
    if strange := [name for name in named if name not in data["tool"]["slots"]]:
        raise ManifestError(f"the orders of {path} name {strange[0]!r}, which is no slot of the tool; name slots")
    return Sheet(data["name"], data["persona"], data["voice"], tool, data, path.parent)


def _check_sections(data: dict[str, Any], path: Path) -> None:
    """What every sheet has is there, in the form in which it is read."""
    for section in _SECTIONS:
        kind = list if section in _LISTS else dict
        if not isinstance(data[section], kind) or not data[section]:
            form = "a list" if kind is list else "a group of names"
            raise ManifestError(f"{section} in the character sheet {path} is not {form}; see {DEFAULT}")
    lacking = [
        f"{section}.{name}"
        for section, names in _NAMES.items()
        for name in names
        if not isinstance(data[section].get(name), (list, dict)) or not data[section][name]
    ]
    if lacking:
        raise ManifestError(f"the character sheet {path} has nothing for {', '.join(lacking)}; see {DEFAULT}")
    together, ways = data["orders"].get("together") or (), data["changes"]["ways"]
    for place, groups in (("orders.together", together), ("changes.ways", ways)):
        try:
            total = sum(float(group["share"]) for group in groups)
            named = {name for group in groups for name in group["slots"]}
        except (KeyError, TypeError, ValueError) as error:
            raise ManifestError(f"an entry of {place} in {path} has no slots or no share; see {DEFAULT}") from error
        if groups and abs(total - 1) > 1e-6:
            raise ManifestError(f"the shares of {place} in {path} add up to {total:g}; they have to add up to 1")
        if strange := sorted(named - set(data["tool"]["slots"])):
            raise ManifestError(
                f"{place} in {path} names {strange[0]!r}, which is no slot of the tool; name one of them"
            )


def _tool(data: Any, path: Path) -> SheetTool:
    try:
        slots = tuple(
            Slot(
                name,
                tuple(value for listed in slot["values"] for value in every(listed)),
                tuple(slot.get("amounts", ())),
                tuple(slot.get("means", ())),
                tuple(slot.get("may_mean", ())),
                {value: tuple(others) for value, others in slot.get("alike", {}).items()},
                dict(slot.get("numbers", {})),
                tuple(slot.get("said_as", ())),
                tuple(slot.get("phrases", ())),
                slot.get("read", ""),
                bool(slot.get("spelled", False)),
            )
            for name, slot in data["slots"].items()
        )
        known = (tuple(data.get(key, ())) for key in ("means", "unlike", "rest"))
        tool = SheetTool(data["name"], data["description"], data["item"], slots, *known)
    except (KeyError, TypeError, AttributeError) as error:
        raise ManifestError(
            f"the tool of the character sheet {path} is not complete ({error}); it needs name, description, item and "
            "slots, each slot a list of values"
        ) from error
    if tool.item not in data["slots"]:
        raise ManifestError(f"the tool of {path} has the item {tool.item!r}, which is none of its slots; name a slot")
    return tool


def _check_strings(data: Any, path: Path, place: str) -> None:
    """Every text is a string with closed brackets: YAML turns a bare ``no`` or ``8`` into something else."""
    if isinstance(data, dict):
        for key, value in data.items():
            if not isinstance(key, str):
                raise ManifestError(f"{path}: {place or 'the top'} has the key {key!r}, which is no text; quote it")
            _check_strings(value, path, f"{place}.{key}".lstrip("."))
    elif isinstance(data, list):
        for number, value in enumerate(data, 1):
            if isinstance(value, (bool, int, float)) or value is None:
                raise ManifestError(f"{path}: entry {number} of {place} is {value!r} and no text; put it in quotes")
            _check_strings(value, path, f"{place}[{number}]")
    elif isinstance(data, str):
        try:
            check(data)
        except ManifestError as error:
            raise ManifestError(f"{path}: {place}: {error}") from error
