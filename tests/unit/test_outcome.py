"""A tool's result is a few words that can be said: nothing is spelled out, and what was said already is no news."""

import pytest

from vivavoce.assistant.outcome import Outcome, outcome

LATTE = '{"coffeeDrink": "latte", "size": "large"}'


@pytest.mark.parametrize(
    ("result", "facts"),
    [
        ("ready at nine", "ready at nine"),
        ("Your table is free. Please come in.", "Your table is free"),
        ('{"status": "ready", "eta_minutes": 5}', "ready, 5 minutes"),
        ('{"temperature": 21.50, "conditions": "partly_cloudy"}', "temperature 21.5, conditions partly cloudy"),
        ('{"message": "The milk is warm.", "code": 7}', "The milk is warm"),
        ('{"result": {"ready_at": "2026-11-27T09:00:00Z"}}', "ready at 9:00 on 2026-11-27"),
        ('{"content": [{"type": "text", "text": "Sunny and warm."}]}', "Sunny and warm"),
        ('["latte", "mocha"]', "latte and mocha"),
        ('[{"name": "Latte", "price": 4}, {"name": "Mocha", "price": 5}, {"name": "Tea"}]', "Latte, Mocha and Tea"),
        ("[1, 2, 3, 4, 5, 6]", "1, 2, 3 and 3 more"),
        ("42", "42"),
        ("{'waiting': 3}", "waiting 3"),
        ('{"available": false}', "not available"),
        ('{"orderNumber": 17, "id": "9f8e7d6c-0000-4000-8000-1234567890ab"}', "order number 17"),
        ('{"a": 1, "b": 2, "c": 3, "d": 4}', "a 1, b 2, c 3"),
    ],
)
def test_what_there_is_to_tell(result: str, facts: str) -> None:
    assert outcome([result]) == Outcome(True, facts)


@pytest.mark.parametrize(
    "result",
    [
        "", "ok", "null", "true", '{"status": "ok"}', '{"success": true}', "{}", "[]", "日本語", '{"status": 200}',
        '{"success": true, "order": {"size": "large"}, "message": "Your large latte was ordered."}',
        '{"order_id": "9f8e7d6c-0000-4000-8000-1234567890ab", "status": "placed"}', "https://example.com/orders/7",
    ],
)  # fmt: skip
def test_what_tells_nothing_new(result: str) -> None:
    assert outcome([result], [LATTE]) == Outcome()


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ("Error: no such drink", "no such drink"),
        ('{"error": "out of milk"}', "out of milk"),
        ('{"error": {"message": "The counter is closed.", "code": 3}}', "The counter is closed"),
        ('{"success": false, "message": "No more cups"}', "No more cups"),
        ("Traceback (most recent call last):\n  File x\nValueError: bad size", "bad size"),
        ('{"status": "failed"}', ""),
        ("false", ""),
    ],
)
def test_what_did_not_work(result: str, reason: str) -> None:
    assert outcome([result], [LATTE]) == Outcome(False, reason)


def test_several_results_are_one_sentence_and_a_failure_is_not_hidden() -> None:
    assert outcome(["ready at nine", '{"status": "ok"}', "cups: 3"]) == Outcome(True, "ready at nine, cups: 3")
    assert outcome(["ready at nine", '{"error": "no milk"}']) == Outcome(False, "no milk")


def test_a_long_result_is_short_and_a_deep_one_ends() -> None:
    assert len(outcome(["word " * 5000]).facts.split()) <= 30
    assert outcome(["[" * 5000]).worked
    assert outcome(['{"a": ' * 200 + "1" + "}" * 200]) == Outcome()
