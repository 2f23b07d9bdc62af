"""Tools as clients declare them: what of an order reaches ten schemas that the mind was never taught.

Each schema says by hand which arguments an order has under it, so that a mistake in the filling cannot hide itself. An
order counts only if every field is exactly right; where a required field was not said, only if it is asked for.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vivavoce.evals.orders import SpokenOrder, default_orders

Answer = Callable[[str, "Schema"], tuple[list[tuple[str, dict[str, Any]]], str]]
"""What is called (names and arguments) and said when somebody says this and the schema's tool is declared."""
ASKED = "asked"
_OUNCES = {"eight ounce": 8, "twelve ounce": 12, "sixteen ounce": 16, "twenty ounce": 20}
_LETTERS = {"small": "S", "medium": "M", "large": "L", **{said: f"{number}oz" for said, number in _OUNCES.items()}}
_SPACED = {"small": "small", "medium": "medium", "large": "large", **{s: f"{n} oz" for s, n in _OUNCES.items()}}
_SHOTS = {"single shot": 1, "double shot": 2, "triple shot": 3}
_MILKS = {
    "milk": "regular", "skim milk": "skim", "whole milk": "whole", "soy milk": "soy", "almond milk": "almond",
    "cream": "cream",
}  # fmt: skip
_LEVELS = {
    "a little bit of": "light", "a bit of": "light", "some": "normal", "a lot of": "extra", "lots of": "extra"
}  # fmt: skip
_KNOWN = default_orders()
_DRINKS = list(_KNOWN.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A tool as some client declares it, and the arguments that an order has under it (`ASKED`: it has to ask)."""

    name: str
    tool: str
    description: str
    parameters: Mapping[str, Any]
    wanted: Callable[[SpokenOrder], Any]


def front(order: SpokenOrder, *but: str) -> str:
    """The drink with what was said before it, in the order in which it was said."""
    names = [name for name in _KNOWN.before if name in order.slots and name not in but]
    said = sorted((order.slots[name] for name in names), key=lambda value: order.text.index(f" {value}"))
    return " ".join([*said, order.slots["coffeeDrink"]])


def behind(order: SpokenOrder) -> list[str]:
    """What was said after the drink, in its order."""
    said = [order.slots[name] for name in _KNOWN.after if name in order.slots]
    return sorted(said, key=lambda value: order.text.rindex(value))


def whole(order: SpokenOrder, *but: str) -> str:
    """The drink with all that was said of it."""
    extras = behind(order)
    return front(order, *but) + (f" with {' and '.join(extras)}" if extras else "")


def _text(about: str = "") -> dict[str, Any]:
    return {"type": "string", **({"description": about} if about else {})}


def _object(properties: Mapping[str, Any], required: Sequence[str] = ()) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(required), "additionalProperties": False}


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [dict(schema), {"type": "null"}]}


def _some(**fields: Any) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value not in (None, [], "")}


def _milk(order: SpokenOrder) -> tuple[str | None, str | None]:
    """Kind and level of the milk in the words of the seventh schema."""
    said = order.slots.get("milkAmount", "")
    kind = next((milk for milk in sorted(_MILKS, key=len, reverse=True) if said.endswith(milk)), None)
    return _MILKS.get(kind or ""), _LEVELS.get(said.removesuffix(kind or "").strip())


def _after(order: SpokenOrder) -> str:
    return " and ".join(behind(order))


SCHEMAS = (
    Schema(
        name="plain strings",
        tool="place_order",
        description="Places an order.",
        parameters=_object({"drink": _text(), "size": _text(), "extras": _text()}, ["drink"]),
        wanted=lambda o: _some(drink=front(o, "size"), size=o.slots.get("size"), extras=_after(o)),
    ),
    Schema(
        name="the names it knows, without values",
        tool="order_drink",
        description="Order a drink",
        parameters=_object(dict.fromkeys((_KNOWN.item, *_KNOWN.before, *_KNOWN.after), _text()), ["coffeeDrink"]),
        wanted=lambda o: dict(o.slots),
    ),
    Schema(
        name="other names, other values",
        tool="takeOrder",
        description="Take a customer's order at the coffee bar",
        parameters=_object(
            {
                "beverage": {"type": "string", "enum": [drink.title() for drink in _DRINKS]},
                "cupSize": {"type": "string", "enum": list(_SPACED.values())},
                "roastLevel": {"type": "string", "enum": ["light", "medium", "dark"]},
                "espressoShots": {"type": "integer", "minimum": 0, "maximum": 4},
                "milk": _text("Milk or cream, with the amount"),
                "sweetener": _text("Kind and amount of sweetener"),
            },
            ["beverage"],
        ),
        wanted=lambda o: _some(
            beverage=o.slots["coffeeDrink"].title(),
            cupSize=_SPACED.get(o.slots.get("size", "")),
            roastLevel=o.slots.get("roast", "").removesuffix(" roast"),
            espressoShots=_SHOTS.get(o.slots.get("numberOfShots", "")),
            milk=o.slots.get("milkAmount"),
            sweetener=o.slots.get("sugarAmount"),
        ),
    ),
    Schema(
        name="nested objects and a list of texts",
        tool="create_order",
        description="",
        parameters=_object(
            {
                "order": _object(
                    {
                        "drink": _object({"name": _text(), "size": _text()}, ["name"]),
                        "additions": {"type": "array", "items": _text()},
                    },
                    ["drink"],
                )
            },
            ["order"],
        ),
        wanted=lambda o: {
            "order": _some(drink=_some(name=front(o, "size"), size=o.slots.get("size")), additions=behind(o))
        },
    ),
    Schema(
        name="a list of items",
        tool="submitOrder",
        description="Submits the order to the kitchen",
        parameters=_object(
            {
                "items": {
                    "type": "array",
                    "minItems": 1,
                    "items": _object(
                        {
                            "product": {"type": "string", "enum": _DRINKS},
                            "size": {"type": "string", "enum": list(_LETTERS.values())},
                            "quantity": {"type": "integer", "minimum": 1},
                        },
                        ["product"],
                    ),
                },
                "customerName": _text("Name of the customer"),
            },
            ["items"],
        ),
        wanted=lambda o: {"items": [_some(product=o.slots["coffeeDrink"], size=_LETTERS.get(o.slots.get("size", "")))]},
    ),
    Schema(
        name="everything required, null where it was not said",
        tool="create_drink_order",
        description="Create a drink order",
        parameters=_object(
            {
                "drink": {"type": "string", "enum": [drink.upper().replace(" ", "_") for drink in _DRINKS]},
                "size": _or_null({"type": "string", "enum": list(_SPACED.values())}),
                "roast": _or_null({"type": "string", "enum": ["LIGHT", "MEDIUM", "DARK"]}),
                "shots": {"type": ["integer", "null"]},
                "milk": {"type": ["string", "null"]},
                "sugar": {"type": ["string", "null"]},
            },
            ["drink", "size", "roast", "shots", "milk", "sugar"],
        ),
        wanted=lambda o: {
            "drink": o.slots["coffeeDrink"].upper().replace(" ", "_"),
            "size": _SPACED.get(o.slots.get("size", "")),
            "roast": o.slots.get("roast", "").removesuffix(" roast").upper() or None,
            "shots": _SHOTS.get(o.slots.get("numberOfShots", "")),
            "milk": o.slots.get("milkAmount"),
            "sugar": o.slots.get("sugarAmount"),
        },
    ),
    Schema(
        name="kind and amount apart, and a yes or no",
        tool="make_coffee",
        description="Makes a coffee.",
        parameters=_object(
            {
                "coffee": _text("Which coffee"),
                "milk_type": {"type": "string", "enum": list(_MILKS.values())},
                "milk_level": {"type": "string", "enum": ["light", "normal", "extra"]},
                "has_sugar": {"type": "boolean"},
            },
            ["coffee"],
        ),
        wanted=lambda o: _some(
            coffee=front(o), milk_type=_milk(o)[0], milk_level=_milk(o)[1], has_sugar="sugarAmount" in o.slots or None
        ),
    ),
    Schema(
        name="two required texts",
        tool="order_coffee",
        description="Order a coffee.",
        parameters=_object({"drink": _text(), "size": _text()}, ["drink", "size"]),
        wanted=lambda o: {"drink": whole(o, "size"), "size": o.slots["size"]} if "size" in o.slots else ASKED,
    ),
    Schema(
        name="one text for all of it",
        tool="send_to_barista",
        description="Sends an order to the barista.",
        parameters=_object({"request": _text("The customer's whole order")}, ["request"]),
        wanted=lambda o: {"request": whole(o)},
    ),
    Schema(
        name="references, defaults, notes",
        tool="PlaceCoffeeOrder",
        description="Correctly extracted `CoffeeOrder`",
        parameters={
            "$defs": {
                "Size": {"type": "string", "enum": list(_SPACED.values()), "title": "Size"},
                "CoffeeOrder": _object(
                    {
                        "kind": _text("The kind of coffee"),
                        "size": {**_or_null({"$ref": "#/$defs/Size"}), "default": None},
                        "to_go": {"type": "boolean", "default": False, "title": "To Go"},
                        "notes": {**_or_null(_text()), "default": None},
                        "name": {**_or_null(_text()), "default": None, "description": "The customer's name"},
                    },
                    ["kind"],
                ),
            },
            **_object({"order": {"$ref": "#/$defs/CoffeeOrder"}}, ["order"]),
        },
        wanted=lambda o: {
            "order": _some(kind=front(o, "size"), size=_SPACED.get(o.slots.get("size", "")), notes=_after(o))
        },
    ),
)


@dataclass(frozen=True, slots=True)
class Counted:
    """How often each schema was filled exactly, with an invented argument, and what went wrong."""

    exact: Counter[str]
    invented: Counter[str]
    asked_wrong: Counter[str]
    """Times that a call was made although a required field was not said, or was asked for although all was said."""
    asked: Counter[str]
    wrong: tuple[tuple[str, str, object, object], ...]


def measure(answer: Answer, count: int, seed: int = 0, schemas: Sequence[Schema] = SCHEMAS) -> Counted:
    """Says so many orders to every schema."""
    exact, invented, asked_wrong, asked = (Counter[str]() for _ in range(4))
    wrong: list[tuple[str, str, object, object]] = []
    for schema in schemas:
        for order in _KNOWN.orders(count, seed):
            calls, reply = answer(order.text, schema)
            wanted = schema.wanted(order)
            came: object = [arguments for _, arguments in calls] if calls else ASKED if reply.endswith("?") else reply
            right = came == (wanted if wanted == ASKED else [wanted])
            asked[schema.name] += 1
            exact[schema.name] += right
            asked_wrong[schema.name] += (wanted == ASKED) == bool(calls)
            invented[schema.name] += any(not said(value, order.text) for _, made in calls for value in leaves(made))
            if not right:
                wrong.append((schema.name, order.text, wanted, came))
    return Counted(exact, invented, asked_wrong, asked, tuple(wrong))


def leaves(arguments: Any) -> Iterator[Any]:
    """The values in arguments."""
    if isinstance(arguments, Mapping):
        for inner in arguments.values():
            yield from leaves(inner)
    elif isinstance(arguments, list):
        for inner in arguments:
            yield from leaves(inner)
    elif arguments is not None:
        yield arguments


def said(value: Any, text: str) -> bool:
    """Whether an argument was said: its words, or what the schemas above call them."""
    words = set(text.split()) - set(" ".join(_KNOWN.openings).split()) - {"a", "an", "with", "and"}
    if isinstance(value, bool):
        return not value or bool(words & {"sugar", "sweetener"})
    if isinstance(value, int):
        shots = {number: name.split()[0] for name, number in _SHOTS.items()}
        return shots.get(value, "") in words
    back = {
        **{letter: name for name, letter in _LETTERS.items()}, **{spaced: name for name, spaced in _SPACED.items()},
        "regular": "milk",
    }  # fmt: skip
    if any(amount in text for amount, level in _LEVELS.items() if level == value):
        return True
    parts = str(back.get(value) or value).lower().replace("_", " ").split()
    return set(parts) <= words | {"a", "and", "with"}
