"""A chat model of other people, with the real SmolLM2: read, templated and answered as its makers meant it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from vivavoce.assistant.calling import Calling
from vivavoce.assistant.chat import ChatConfig, ChatMind
from vivavoce.core.errors import MindError, PartError
from vivavoce.core.talk import Call, Entry, Say, Thought, Tool
from vivavoce.generate.kept import Kept
from vivavoce.generate.writer import Writer
from vivavoce.hub.chat_model import ChatModel, file_of, load_chat
from vivavoce.hub.gguf import read_gguf
from vivavoce.hub.template import ChatTemplate
from vivavoce.hub.text_model import load_text_model
from vivavoce.runtime.beside import ForkedWorkers
from vivavoce.runtime.model import Context
from vivavoce.text.json_schema import arguments_place

NAME = "smollm2-135m-instruct"
TALK: list[dict[str, Any]] = [
    {"role": "user", "content": "What is the capital of France?"},
    {"role": "assistant", "content": "Paris."},
    {"role": "user", "content": "  And of Spain, naïve Señor? 12345 <|im_end|>"},
]
SKY = "Why is the sky blue?"
READ = [
    1,
    9690,
    198,
    2683,
    359,
    253,
    5356,
    5646,
    11173,
    3365,
    3511,
    308,
    34519,
    28,
    7018,
    411,
    407,
    19712,
    8182,
    2,
    198,
    1,
    4093,
    198,
    4898,
    314,
    260,
    6376,
    4461,
    47,
    2,
    198,
    1,
    520,
    9531,
    198,
]
"""What transformers 5.23 makes of the same GGUF file: the ids of that question, and the likeliest ids after each."""
THEIRS = [
    29,
    198,
    19,
    359,
    354,
    7952,
    11173,
    11173,
    338,
    5646,
    9337,
    6335,
    30,
    617,
    288,
    253,
    65,
    511,
    288,
    198,
    1,
    520,
    198,
    57,
    314,
    357,
    476,
    4461,
    47,
    2,
    198,
    1,
    520,
    9531,
    198,
    504,
]
LAST = [10.711, 13.594, 15.442, 9.394, 10.532, 10.756, 5.052, 10.755]
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 1, "maxLength": 20},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
        "unit": {"enum": ["celsius", "fahrenheit"]},
        "tags": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2},
    },
    "required": ["city", "days", "unit", "tags"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def folder(fetched: Callable[[str], Path]) -> Path:
    return fetched(NAME)


@pytest.fixture(scope="module")
def model(folder: Path) -> Iterator[ChatModel]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIVAVOCE_DATA", str(folder.parent.parent))
        yield load_chat(NAME)


def asked(*texts: str, **more: Any) -> Context:
    roles = ("user", "assistant")
    entries = [Entry(id=f"e{n}", text=text, role=roles[n % 2]) for n, text in enumerate(texts)]  # type: ignore[arg-type]
    return Context(entries=tuple(entries), **more)


def said(thoughts: list[Thought]) -> str:
    return "".join(thought.text for thought in thoughts if isinstance(thought, Say))


def test_a_question_is_answered_for_the_ear(model: ChatModel) -> None:
    answer = said(list(ChatMind(model).respond(asked("What is the capital of France?"))))
    assert "Paris" in answer and len(answer) < 200 and "\n" not in answer


def test_kept_turns_give_what_fresh_ones_give(model: ChatModel) -> None:
    mind, short = ChatMind(model), ChatConfig(tokens=12)
    first = said(list(mind.respond(asked("What is water made of?"))))
    again = asked("What is water made of?", first, "And what is ice?")
    line, known = mind._kept.take(mind._prompt(again, _no_tools(model)))
    mind._kept.give(line)
    assert known > 40, "only what is new is read"
    mind.config = short
    assert said(list(mind.respond(again))) == said(list(ChatMind(model, short).respond(again)))


def test_what_stands_before_a_turn_is_read_ahead(model: ChatModel) -> None:
    tools = tuple(Tool(name=name, description=f"{name} the lamp") for name in ("switch", "dim"))
    mind, told = ChatMind(model, ChatConfig(tokens=4)), "You speak with a sailor. " * 20
    before = Context(entries=(), instructions=told, tools=tools)
    for _ in mind.read(before):
        pass
    turn = replace(asked("Where is the wind from?"), instructions=told, tools=tools)
    calling = Calling(model, tools)
    ids = mind._prompt(turn, calling)
    line, known = mind._kept.take(ids)
    mind._kept.give(line)
    assert len(ids) > 150 and known > len(ids) - 20, "only the turn is left to read"
    assert mind._priors, "how likely each tool is was found too"
    fresh = list(ChatMind(model, mind.config).respond(turn))
    assert [t for t in mind.respond(turn) if t != Say("")] == [t for t in fresh if t != Say("")]


def _no_tools(model: ChatModel) -> Any:
    return Calling(model, ())


def test_what_was_cut_off_is_taken_back(model: ChatModel) -> None:
    mind = ChatMind(model, ChatConfig(tokens=8))
    list(mind.respond(asked("Tell me about the moon.")))
    cut = asked("Tell me about the moon.", "The", "How far away is it?")
    assert said(list(mind.respond(cut))) == said(list(ChatMind(model, mind.config).respond(cut)))


def test_nothing_is_computed_for_nobody(model: ChatModel) -> None:
    mind = ChatMind(model)
    thoughts = mind.respond(asked("Tell me a long story."))
    while not next(thoughts).text:  # type: ignore[union-attr]
        pass
    thoughts.close()  # type: ignore[attr-defined]
    (line,) = mind._kept._lines
    assert len(line.written) < 60, "a prompt and a word"


def test_it_answers_in_a_process_of_its_own(model: ChatModel) -> None:
    mind = ChatMind(model, ChatConfig(tokens=6))
    beside = ForkedWorkers((mind,), 1)
    try:
        assert said(list(beside.iterate(partial(mind.respond, asked("Hello"))))).strip()
    finally:
        beside.stop()


@pytest.mark.parametrize("choice", ["required", "weather"])
def test_arguments_are_accepted_by_their_schema(model: ChatModel, choice: str) -> None:
    tools = (Tool(name="clock"), Tool(name="weather", description="The weather in a city.", parameters=SCHEMA))
    (call,) = [
        thought
        for thought in ChatMind(model).respond(asked("How is the weather?", tools=tools, tool_choice=choice))
        if isinstance(thought, Call)
    ]
    place = arguments_place(SCHEMA if call.name == "weather" else {})
    assert place.accepts(call.arguments.encode()) and isinstance(json.loads(call.arguments), dict)
    assert choice == "required" or call.name == choice


def test_arguments_are_what_was_said(model: ChatModel) -> None:
    """Listed values as they were meant, though misheard, and numbers that were said in words."""
    room = {"type": "object", "properties": {"room": {"enum": ["kitchen", "garage", "hall"]}}, "required": ["room"]}
    loud = {"type": "object", "properties": {"percent": {"type": "integer", "maximum": 100}}, "required": ["percent"]}
    for said, schema, arguments in (
        ("Make it bright in the hole.", {**room, "additionalProperties": False}, {"room": "hall"}),
        ("Seventy five would be right.", {**loud, "additionalProperties": False}, {"percent": 75}),
        ("Set it 223.", {**loud, "additionalProperties": False}, {"percent": 23}),
    ):
        tool = Tool(name="set", parameters=schema)
        (call,) = [
            t for t in ChatMind(model).respond(asked(said, tools=(tool,), tool_choice="set")) if isinstance(t, Call)
        ]
        assert json.loads(call.arguments) == arguments


def test_a_template_that_knows_tools_says_how_calls_are_written() -> None:
    source = (
        "{% if tools %}tools {{ tools | tojson }}\n{% endif %}{% for m in messages %}[{{ m.role }}]{{ m.content }}"
        "{% for c in m.tool_calls %}<call>{{ c.function.name }}|{{ c.function.arguments | tojson }}</call>{% endfor %}"
        "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    calls = ChatTemplate(source).calls
    assert calls is not None and (calls.begin, calls.between, calls.end) == ("<call>", "|", "</call>")


def test_a_template_cannot_reach_out_of_its_sandbox() -> None:
    with pytest.raises(MindError, match="chat template"):
        ChatTemplate("{{ ''.__class__.__mro__[1].__subclasses__() }}").render([{"role": "user", "content": "x"}])


def test_files_that_cannot_be_taken_point_to_an_endpoint(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + bytes(20))
    with pytest.raises(PartError, match="fetch it again"):
        load_chat(str(tmp_path / "broken.gguf"))
    (tmp_path / "config.json").write_text('{"model_type": "gemma"}')
    with pytest.raises(PartError, match=r"llama\.cpp"):
        load_chat(str(tmp_path))
    with pytest.raises(PartError, match="http://HOST"):
        load_chat("nonsense")


def test_template_and_tokens_are_those_of_transformers(model: ChatModel, folder: Path) -> None:
    transformers = pytest.importorskip("transformers")
    (kept,) = {path.parent for path in (folder.parent.parent / "converted").glob("*/tokenizer.json")
               if json.loads((path.parent / "chat.json").read_text())["template"] == model.template.source}  # fmt: skip
    tokens = transformers.PreTrainedTokenizerFast(tokenizer_file=str(kept / "tokenizer.json"))
    tokens.chat_template = model.template.source
    for talk in (TALK, [{"role": "system", "content": "Be brief."}, *TALK], TALK[:1]):
        theirs = tokens.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
        assert model.template.render(talk) == theirs
    assert model.tokenizer.encode(model.template.render([{"role": "user", "content": SKY}])) == READ


@torch.inference_mode()
def test_eight_bits_say_what_the_published_weights_say(model: ChatModel) -> None:
    """Against transformers with the weights in 32 bits."""
    ids = model.tokenizer.encode(model.template.render([{"role": "user", "content": SKY}]))
    (scores,) = model.lm(torch.tensor([[ids]]))
    got = scores[0].argmax(-1).tolist()
    assert len(got) == len(THEIRS) and sum(a == b for a, b in zip(got, THEIRS, strict=True)) >= 0.9 * len(THEIRS)
    last = scores[0, -1, :8]
    assert torch.corrcoef(torch.stack([last, torch.tensor(LAST)]))[0, 1] > 0.995


QUESTIONS = [
    "What is the capital of France?", "Why is the sky blue?", "Who wrote Hamlet?", "What is two plus two?",
    "Name a colour.", "How do birds fly?", "What do bees make?", "Say hello.", "What is ice?", "Where is Rome?",
]  # fmt: skip


@pytest.mark.slow
@torch.inference_mode()
def test_in_32_bits_ten_questions_are_answered_as_by_transformers(folder: Path) -> None:
    transformers = pytest.importorskip("transformers")
    found, published = load_text_model(folder), read_gguf(file_of(str(folder)))
    told = {key: value for key, value in published.config.items() if value is not None and key != "model_type"}
    theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(**told)).eval()
    theirs.load_state_dict({name: published.tensor(name) for name in published.names}, strict=False)
    line_of = Kept(Writer(found.lm))
    for number, question in enumerate(QUESTIONS):
        ids = found.text.tokenizer.encode(found.text.template.render([{"role": "user", "content": question}]))
        if not number:
            wanted = theirs(torch.tensor([ids])).logits
            assert (found.lm(torch.tensor([[ids]]))[0] - wanted).abs().max() <= 1e-5 * wanted.abs().max()
        answer = theirs.generate(torch.tensor([ids]), max_new_tokens=8, do_sample=False, eos_token_id=2, pad_token_id=2)
        line, _ = line_of.take(ids)
        line.push(ids[len(line.written) :])
        made: list[int] = []
        while len(made) < 8 and (not made or made[-1] != 2):
            made.append(int(line.scores().argmax()))
            line.push(made[-1:])
        assert made == answer[0, len(ids) :].tolist(), question
