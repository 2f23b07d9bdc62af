"""The mind with random weights: calls are valid whatever it wants, quotations true, preparing changes nothing."""

import json
import random
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.core.errors import ToolError
from vivavoce.core.talk import Call, Say, Tool
from vivavoce.generate.constrained import choose
from vivavoce.generate.samplers import Sample
from vivavoce.generate.writer import Line, Writer
from vivavoce.models.mind import MARKS, Exchange, MindConfig, MindModel
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.systems.mini.mind import Mind, MindContext, MindEvent
from vivavoce.text.bpe import learn

TEXTS = ["can i get a large latte with soy milk", "I'd like a latte, please."] * 3
ORDER = Tool(
    name="order_drink",
    parameters={
        "type": "object",
        "properties": {"coffeeDrink": {"enum": ["latte", "mocha", "iced mocha"]}, "size": {"enum": ["small", "large"]}},
        "required": ["coffeeDrink"],
    },
)
OTHER = Tool(
    name="getWeather",
    parameters={
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "minimum": 1},
            "units": {"enum": ["C", "F"]},
        },
        "required": ["city", "days"],
    },
)
DATE = Tool(
    name="on",
    parameters={"properties": {"day": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"}}, "required": ["day"]},
)


BPE = learn(TEXTS, 300)


def fresh(seed: int, spread: float = 0.3) -> Mind:
    torch.manual_seed(seed)
    trunk = TransformerConfig(dim=16, layers=2, heads=2, kv_heads=1, hidden=16, window=400)
    model = MindConfig(bpe=BPE, trunk=trunk, tools=("order_drink",)).build()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=spread)
    return Mind(model)


def answer(mind: Mind, context: MindContext, seed: int = 0, **more: Any) -> list[MindEvent]:
    draw = random.Random(seed).random
    return list(mind.respond(replace(context, limit=8), sampler=Sample(), uniforms=draw, **more))


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 999), user=st.text(max_size=30), tool=st.sampled_from([ORDER, OTHER, DATE]))
def test_forced_calls_are_valid_whatever_the_mind_is(seed: int, user: str, tool: Tool) -> None:
    context = MindContext(user=user, tools=(tool, ORDER), tool_choice=tool.name)
    calls = [event for event in answer(fresh(seed), context, seed) if isinstance(event, Call)]
    assert {call.name for call in calls} == {tool.name}  # a tool that it knows may be called again
    for call in calls:
        jsonschema_rs.validate(tool.parameters, json.loads(call.arguments))


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 999))
def test_no_tool_no_call_and_unknown_tools_wait_to_be_forced(seed: int) -> None:
    mind = fresh(seed)
    for context in (
        MindContext(user="a latte"),
        MindContext(user="a latte", tools=(ORDER,), tool_choice="none"),
        MindContext(user="a latte", tools=(OTHER,)),
    ):
        assert not any(isinstance(event, Call) for event in answer(mind, context, seed))


@settings(deadline=None, max_examples=6)
@given(seed=st.integers(0, 999))
def test_preparing_changes_nothing(seed: int) -> None:
    mind = fresh(seed)
    history = (
        Exchange(user="hello", reply="Well met."),
        Exchange(user="a latte", calls=(Call("order_drink", '{"coffeeDrink": "latte"}'),)),
    )
    early = MindContext(history=history, user="make that", tools=(ORDER,))
    late = MindContext(history=history, user="make that large please", tools=(ORDER,), heard=("fast", "low", "quiet"))
    prepared = mind.prepare(early)
    expected = answer(mind, late, seed)
    assert answer(mind, late, seed, prepared=prepared) == expected
    assert answer(mind, late, seed, prepared=prepared) == expected  # a prepared line can be used again
    assert answer(mind, MindContext(user="something else"), seed, prepared=prepared) == answer(
        mind, MindContext(user="something else"), seed
    )


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 999))
def test_quotations_are_copies(seed: int) -> None:
    mind = fresh(seed)
    prompt = mind.model.asked("say the quick brown fox is here".split())
    line = mind._line(prompt)
    text = mind.model.bpe.decode(mind._copied(line, prompt, "unquote", 40))
    assert text
    assert text in " say the quick brown fox is here"
    assert line.written[-1] == mind.model.mark("unquote")


def test_values_are_chosen_by_the_probability_of_all_their_ids() -> None:
    mind = fresh(3)
    model = mind.model
    options = [model.bpe.encode(text) for text in (" latte;", " large;", " la", " xx;", " xy;")]
    line = mind._line(model.asked(["a", "latte"]))
    with torch.inference_mode():
        scored = []
        for option in options:
            ids = torch.tensor([[[*line.written, *option]]])
            chances = model(ids)[0][0].log_softmax(-1)
            first = len(line.written) - 1
            scored.append(float(sum(chances[first + n, id] for n, id in enumerate(option))))
    torch.testing.assert_close(line.branches(options), torch.tensor(scored), atol=1e-4, rtol=1e-4)
    assert choose(Line(Writer(model.lm)), [[5]]) == 0


def test_history_that_does_not_fit_leaves_from_its_beginning() -> None:
    mind = fresh(0)
    long = tuple(Exchange(user=f"hello {n}", reply="Well met, traveller. " * 3) for n in range(30))
    prompt = mind._prompt(MindContext(history=long, user="what did you say"))
    assert len(prompt) < mind.model.config.trunk.window - 100
    assert prompt[0] == mind.model.mark("tools")
    assert "twenty nine" in mind.model.bpe.decode(id for id in prompt if id < mind.model.bpe.size)
    assert answer(mind, MindContext(history=long, user="hi " * 3000))


def test_tool_choices_that_make_no_sense_are_refused() -> None:
    mind = fresh(0)
    with pytest.raises(ToolError, match="no tool is declared"):
        answer(mind, MindContext(user="x", tool_choice="required"))
    with pytest.raises(ToolError, match="'fly' is not declared; declared are order_drink"):
        answer(mind, MindContext(user="x", tools=(ORDER,), tool_choice="fly"))
    with pytest.raises(ToolError, match="multipleOf"):
        bad = Tool(name="n", parameters={"properties": {"n": {"type": "integer", "multipleOf": 2}}})
        answer(mind, MindContext(user="x", tools=(bad,)))


def test_empty_foreign_and_enormous_texts_are_answered() -> None:
    mind = fresh(1)
    for user in ("", "   ", "你好", "\x00", "a" * 5000, "£3.50 & 7%"):
        for event in answer(mind, MindContext(user=user)):
            assert isinstance(event, MindEvent)


def test_a_call_is_spelled_as_it_is_written() -> None:
    model: MindModel = fresh(0).model
    call = Call("order_drink", '{"coffeeDrink": "iced mocha", "size": "large"}')
    pieces = (b'{"coffeeDrink": ', b'"iced mocha"', b', "size": ', b'"large"', b"}")
    ids: list[int] = []
    text = b""
    for piece in pieces:
        ids += model.spell(text, piece)
        text += piece
    assert model.spelled(call) == ids
    assert model.bpe.decode(ids) == "{ coffeeDrink = iced mocha; size = large;}"
    assert len(MARKS) == len(set(MARKS))


def test_replies_are_phrases_that_join() -> None:
    mind = fresh(5, spread=0.05)
    events = answer(mind, MindContext(user="hello"))
    texts = [event.text for event in events if isinstance(event, Say)]
    assert all(texts)
    assert not texts or not texts[0].startswith(" ")
