"""The character's orders are what people say, its calls what they meant, its talk no order; all of it by seed alone."""

import re
from itertools import islice
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from vivavoce.core import rng
from vivavoce.core.errors import ManifestError
from vivavoce.data.character import Character, heard, sentence_case
from vivavoce.data.orders import Order, Orders, kept_for_testing
from vivavoce.data.sentences import sentences
from vivavoce.data.sheet import DEFAULT, find_sheet, load_sheet
from vivavoce.data.templates import every, fill
from vivavoce.text.normalise import normalise

SHEET = load_sheet()
ORDERS = Orders(SHEET)
PORTER = load_sheet(find_sheet("porter"))

# What people say at the counter, written down by hand: the acceptance test's form.
AMOUNT = r"((a little bit of|a bit of|some|a lot of|lots of) )?"
MILK = AMOUNT + r"(skim milk|whole milk|soy milk|almond milk|milk|cream)"
SUGAR = AMOUNT + r"(brown sugar|sugar|sweetener)"
BEFORE = (
    r"(small|medium|large|(eight|twelve|sixteen|twenty) ounce|(light|medium|dark) roast|(single|double|triple) shot)"
)
DRINK = r"(americano|cappuccino|espresso|iced mocha|latte|mocha|coffee|drip coffee|house coffee|iced coffee)"
FORM = re.compile(
    r"(brew|can i get|can i have|i want|get me|give me|i'd like|make me|may i have) ((a|an) )?"
    rf"({BEFORE} ){{0,3}}{DRINK}( with ({MILK}|{SUGAR}|{MILK} and {SUGAR}|{SUGAR} and {MILK}))?"
)


def test_plain_orders_have_the_accepted_form_and_true_calls():
    said = list(Character().orders(200, seed=1))
    valid = jsonschema_rs.validator_for(SHEET.tool.schema())
    for turn in said:
        assert FORM.fullmatch(turn.user), turn.user
        (call,) = turn.calls
        assert call.name == "order_drink" and valid.is_valid(dict(call.arguments))
        rest = turn.user
        for value in sorted(call.arguments.values(), key=len, reverse=True):
            assert f" {value}" in rest, (turn.user, value)  # kept as said
            rest = rest.replace(value, "", 1)
        left = set(
            re.sub(r"^(brew|can i get|can i have|i want|get me|give me|i'd like|make me|may i have)", "", rest).split()
        )
        assert left <= {"a", "an", "with", "and"}, (turn.user, call.arguments)  # nothing said is left out


def test_every_opening_and_every_value_is_drawn():
    turns = list(Character().orders(1200, seed=2))
    for opening in SHEET.texts("orders", "openings"):
        assert any(turn.user.startswith(opening.lower()) for turn in turns), opening
    used = {value for turn in turns for value in turn.calls[0].arguments.values()}
    assert used == {value for slot in SHEET.tool.slots for value in slot.every()}
    articles = [re.search(r"\b(an? |)(eight|americano|espresso|iced)", turn.user) for turn in turns]
    assert {found[1] for found in articles if found} == {"a ", "an ", ""}


def test_combinations_are_held_out_and_never_single_values():
    train = {ORDERS.draw(rng.stream(seed, "o")).key() for seed in range(400)}
    test = Character(held_out=True)
    kept = {Order(turn.calls[0].arguments).key() for turn in test.orders(200, seed=3)}
    assert not train & kept
    assert all(Order(dict([pair.split("=") for pair in key.split("|")])).held_out for key in kept)
    for slot in SHEET.tool.slots:
        assert not any(Order({slot.name: value}).held_out for value in slot.every())
    share = sum(Orders(SHEET, None).draw(rng.stream(seed, "s")).held_out for seed in range(400)) / 400
    assert 0.05 < share < 0.13


def test_dialogues_hold_nothing_out_of_the_test_side():
    for dialogue in Character().dialogues(60, seed=4):
        for turn in dialogue.turns:
            assert not any(Order(call.arguments).held_out for call in turn.calls)


def test_drills_are_about_what_is_easily_mixed_up():
    dialogues = list(Character().drills(120, seed=4))
    assert dialogues == list(Character().drills(120, seed=4))
    turns = [turn for dialogue in dialogues for turn in dialogue.turns]
    orders = [call.arguments for turn in turns if turn.kind == "order" for call in turn.calls]
    two_amounts = [o for o in orders if len(o.get("milkAmount", "").split()) > 2 and " " in o.get("sugarAmount", "")]
    assert len(two_amounts) > 0.3 * len(orders)
    assert sum("medium" in (o.get("size"), o.get("roast", "").split(" ")[0]) for o in orders) > 0.3 * len(orders)
    assert not any(Order(order).held_out for order in orders)
    assert max(sum(turn.kind == "change" for turn in dialogue.turns) for dialogue in dialogues) > 3
    assert {"last_user", "last_reply", "my_order", "owe"} <= {turn.kind for turn in turns}


def test_the_same_seed_makes_the_same_data():
    one, other = Character(), Character()
    assert list(one.dialogues(30, 7)) == list(other.dialogues(30, 7))
    assert list(one.dialogues(30, 7)) != list(other.dialogues(30, 8))
    assert list(one.talk(30, 7)) == list(other.talk(30, 7))
    assert list(sentences(20, 1)) == list(sentences(20, 1)) != list(sentences(20, 2))
    assert list(islice(sentences(50, 1), 20)) == list(sentences(20, 1))


def test_talk_makes_no_call_and_every_kind_comes_up():
    turns = list(Character().talk(600, seed=5))
    assert not any(turn.calls for turn in turns)
    assert not any(FORM.fullmatch(turn.user) for turn in turns)
    kinds = {turn.kind for turn in turns}
    assert {topic["kind"] for topic in SHEET.said["talk"]} <= kinds
    assert {"mention", "price", "has", "vague", "not_served", "repeat", "style", "role", "sound", "nonsense"} <= kinds
    for turn in turns:
        assert " ".join(normalise(turn.user)) == turn.user
        assert turn.reply[0].isupper() and turn.reply[-1] in ".?!"
        assert "{" not in turn.reply and "(" not in turn.reply
        assert (turn.style is None) == (turn.kind not in {"style", "role"})
        assert (turn.heard is None) == (turn.kind != "sound")


def test_sentences_are_held_out_but_short_ones_are_known():
    train, test = Character(), Character(held_out=True)
    said = {turn.user for turn in train.talk(150, 6)}
    kept = {
        turn.user for turn in test.talk(40, 6) if turn.kind not in {"last_reply", "last_user", "my_order", "cancel"}
    }
    assert not said & kept
    assert not train.sentence_held_out("good morning friend")


def test_changes_repeat_the_whole_order():
    seen = {"values": 0, "removed": 0}
    for seed in range(300):
        draw = rng.stream(seed, "change")
        order = ORDERS.draw(draw)
        said, changed = ORDERS.change(order, draw)
        different = {
            name for name in {*order.slots, *changed.slots} if order.slots.get(name) != changed.slots.get(name)
        }
        assert len(different) == 1
        (name,) = different
        if name in changed.slots:
            assert changed.slots[name] in said
            seen["values"] += 1
        else:
            assert order.slots[name].split()[-1] in said
            seen["removed"] += 1
    assert seen["values"] > 50 and seen["removed"] > 10


def test_a_slip_is_put_right():
    for seed in range(500):
        draw = rng.stream(seed, "slip")
        order = ORDERS.draw(draw)
        said = ORDERS.rich(order, draw)
        for value in order.slots.values():
            assert value in said


def test_history_holds_only_what_was_heard_and_the_next_answer_proves_it():
    checked = cut = 0
    for dialogue in Character().dialogues(150, seed=9):
        for before, turn in zip(dialogue.turns, dialogue.turns[1:], strict=False):
            if turn.kind == "last_reply" and before.kind != "last_reply":
                assert turn.reply.endswith(before.kept)
                checked += 1
                cut += before.cut is not None
            if turn.kind == "last_user":
                assert heard(before.user) in heard(turn.reply)
    assert checked > 30 and cut > 2


def test_prices_add_up():
    character = Character()
    order = Order({"coffeeDrink": "mocha", "size": "large", "numberOfShots": "double shot", "milkAmount": "some milk"})
    assert ORDERS.price(order) == 8
    assert character.wording.money(1) == "one copper" and character.wording.money(8) == "eight coppers"
    assert ORDERS.readback(order) == "a large double shot mocha with some milk"
    assert ORDERS.readback(Order({"coffeeDrink": "espresso"})) == "an espresso"


def test_sentences_start_with_a_capital():
    assert sentence_case("well. i said so? yes") == "Well. I said so? Yes"


def test_templates():
    draw = rng.stream(0, "t")
    made = {fill("(a|b (c|d)) {x} (y|)", {"x": "1"}, draw) for _ in range(200)}
    assert made == {"a 1 y", "a 1", "b c 1 y", "b c 1", "b d 1 y", "b d 1"}
    with pytest.raises(ManifestError, match="asks for"):
        fill("{nothing}", {"x": "1"}, draw)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data.pop("changes"), "lacks changes"),
        (lambda data: data["replies"].pop("offer"), "nothing for replies.offer"),
        (lambda data: data["ask"].pop("last_user"), "nothing for ask.last_user"),
        (lambda data: data.update(talk={}), "talk .* is not a list"),
        (lambda data: data["changes"]["ways"].pop(), "shares of changes.ways .* add up to 0.87"),
        (lambda data: data["orders"]["together"][1].update(slots=["tea"]), "orders.together .* names 'tea'"),
        (lambda data: data["changes"]["ways"][0].pop("slots"), "entry of changes.ways .* no slots"),
        (lambda data: data["orders"]["after"].append("foam"), "name 'foam', which is no slot"),
        (lambda data: data["tool"].pop("slots"), "tool of the character sheet"),
        (lambda data: data["tool"].update(item="drink"), "none of its slots"),
        (lambda data: data["prices"]["base"].pop("latte"), "no price for 'latte'"),
        (lambda data: data["vague"].append("(a|b"), "vague.*bracket"),
        (lambda data: data["roles"].append(False), "entry 21 of roles is False"),
        (
            lambda d: d["tool"]["slots"]["size"]["values"].append(False),  # what YAML makes of a bare ``off``
            r"of tool\.slots\.size\.values is False and no text; put it in quotes",
        ),
    ],
)
def test_a_bad_sheet_says_where(tmp_path: Path, change, says: str):  # type: ignore[no-untyped-def]
    data = yaml.safe_load(DEFAULT.read_text())
    change(data)
    path = tmp_path / "sheet.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ManifestError, match=says):
        load_sheet(path)


def test_no_sheet_and_no_yaml(tmp_path: Path):
    with pytest.raises(ManifestError, match="check the path"):
        load_sheet(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(ManifestError, match="no valid YAML"):
        load_sheet(tmp_path / "bad.yaml")


def test_templates_can_be_listed():
    assert every("(may|june) (first|second (half|)) x") == [
        "may first x", "may second half x", "may second x", "june first x", "june second half x", "june second x",
    ]  # fmt: skip
    assert every("plain") == ["plain"]


def test_a_character_of_another_kind_says_what_it_means():
    valid = jsonschema_rs.validator_for(PORTER.tool.schema())
    for turn in Character(PORTER).orders(150, seed=1, whole=True):
        (call,) = turn.calls
        assert valid.is_valid(dict(call.arguments)) and set(call.arguments) >= {"room", "arrival", "nights", "name"}
        for name, value in call.arguments.items():
            slot = PORTER.tool.slot(name)
            said = [" ".join(value)] if slot.spelled else slot.forms(value)
            assert any(f" {form} " in f" {turn.user} " for form in said), (turn.user, value)
        assert not turn.reply.endswith(("spell it.", "date?", "nights?"))
        assert call.arguments["name"] not in turn.reply.lower().split()  # a name is not read back


def test_what_a_reservation_lacks_is_asked_for_until_it_is_whole():
    asked = answered = 0
    for dialogue in Character(PORTER).dialogues(200, seed=2):
        for before, turn in zip(dialogue.turns, dialogue.turns[1:], strict=False):
            if turn.kind == "answer":
                (old,), (new,) = before.calls, turn.calls
                assert set(old.arguments) < set(new.arguments)
                assert all(new.arguments[name] == value for name, value in old.arguments.items())
                answered += 1
        for turn in dialogue.turns:
            lacks = [call for call in turn.calls if not {"arrival", "nights", "name"} <= set(call.arguments)]
            if lacks and turn.kind in {"order", "change", "answer"}:
                assert turn.reply.endswith(("?", "spell it.")), turn.reply
                asked += 1
    assert asked > 60 and answered > 30


def test_some_words_to_spell_are_kept_for_testing():
    def names(orders: Orders) -> set[str]:
        drawn = (orders.draw(rng.stream(seed, "n"), whole=True).slots["name"] for seed in range(120))
        return {name for name in drawn if name in PORTER.tool.slot("name").values}

    assert not any(map(kept_for_testing, names(Orders(PORTER)) | names(Orders(PORTER, True))))
    assert all(map(kept_for_testing, names(Orders(PORTER, True, unheard=True))))


def test_a_character_is_found_by_name_by_folder_and_by_file(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    copy = tmp_path / "mine" / "sheet.yaml"
    copy.write_bytes(DEFAULT.read_bytes())
    assert find_sheet("innkeeper") == DEFAULT
    assert find_sheet(tmp_path / "mine") == find_sheet("mine", tmp_path) == find_sheet(copy) == copy
    with pytest.raises(ManifestError, match=r"no character 'nobody'; give innkeeper, porter"):
        find_sheet("nobody")


CLERK = load_sheet(Path(__file__).parents[2] / "docs/clerk/sheet.yaml")


def test_the_least_that_a_sheet_may_say_is_enough():
    made = Character(CLERK)
    turns = [*made.orders(100, 1), *made.orders(100, 2, rich=True), *made.talk(200, 3)]
    for dialogue in (*made.dialogues(100, 4), *made.drills(100, 5)):
        turns += dialogue.turns
    valid = jsonschema_rs.validator_for(CLERK.tool.schema())
    assert all(turn.user and turn.reply and "{" not in turn.reply for turn in turns)
    assert all(valid.is_valid(dict(call.arguments)) for turn in turns for call in turn.calls)
    assert {"order", "change", "answer", "cancel", "last_user", "yes", "my_order", "thanks"} <= {t.kind for t in turns}


def test_conversations_end_where_nothing_that_is_held_out_could_follow():
    """An order of two slots has few neighbours, and perhaps none that is kept for testing."""
    held = Character(CLERK, held_out=True)
    single = Order({"ticket": "single ticket", "travelClass": "first class"})
    stuck = [
        order
        for value in CLERK.tool.slot("destination").values
        if (order := single.with_("destination", value))
        and held.orders_of.change(order, rng.stream(0, "change")) is None
    ]
    assert stuck, "every order can be changed; make the sheet of this test smaller"
    made = list(held.dialogues(12, 7))
    assert len(made) == 12 and all(dialogue.turns for dialogue in made)


def test_what_a_section_needs_of_another_is_said(tmp_path: Path):
    said = yaml.safe_load((CLERK.folder / "sheet.yaml").read_text())  # type: ignore[operator]
    said["roles"] = ["a bear"]  # and no `role_requests`
    (tmp_path / "sheet.yaml").write_text(yaml.safe_dump(said))
    with pytest.raises(ManifestError, match="nothing at role_requests"):
        list(Character(load_sheet(tmp_path / "sheet.yaml")).talk(500, 1))


def test_a_sheet_with_too_few_values_to_hold_any_back_says_so(tmp_path: Path):
    said = yaml.safe_load((CLERK.folder / "sheet.yaml").read_text())  # type: ignore[operator]
    said["tool"]["slots"]["destination"]["values"] = ["oxford"]
    said["tool"]["slots"]["travelClass"]["values"] = ["first class"]
    (tmp_path / "sheet.yaml").write_text(yaml.safe_dump(said))
    with pytest.raises(ManifestError, match=r"no combination of slots held out.* more values"):
        list(Character(load_sheet(tmp_path / "sheet.yaml"), held_out=True).orders(1, 1))
