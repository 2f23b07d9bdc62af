"""The names of the beta protocol, brought to those of today; what is new already passes unchanged."""

from typing import Any

FORMATS = {
    "pcm16": {"type": "audio/pcm", "rate": 24000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}
CONTENT = {"text": "output_text", "audio": "output_audio"}


def modernise(event: dict[str, Any]) -> dict[str, Any]:
    """A client event with today's names."""
    event = dict(event)
    if event.get("type") == "transcription_session.update":
        event["type"] = "session.update"
        if isinstance(event.get("session"), dict):
            event["session"] = {"type": "transcription", **event["session"]}
    for name in ("session", "response"):
        if isinstance(event.get(name), dict):
            event[name] = modern_settings(event[name])
    if isinstance(event.get("item"), dict):
        event["item"] = modern_item(event["item"])
    response = event.get("response")
    if isinstance(response, dict) and isinstance(response.get("input"), list):
        response["input"] = [modern_item(item) if isinstance(item, dict) else item for item in response["input"]]
    return event


def modern_item(item: dict[str, Any]) -> dict[str, Any]:
    """An item whose assistant contents were called ``text`` and ``audio``."""
    if item.get("role") != "assistant" or not isinstance(item.get("content"), list):
        return item
    content = [
        {**part, "type": CONTENT.get(part["type"], part["type"])}
        if isinstance(part, dict) and isinstance(part.get("type"), str)
        else part
        for part in item["content"]
    ]
    return {**item, "content": content}


def modern_settings(old: dict[str, Any]) -> dict[str, Any]:
    """A session or response with today's fields."""
    new = dict(old)
    if "modalities" in new:
        modalities = new.pop("modalities")
        new.setdefault("output_modalities", _one_modality(modalities))
    elif "output_modalities" in new:
        new["output_modalities"] = _one_modality(new["output_modalities"])
    if "max_response_output_tokens" in new:
        new.setdefault("max_output_tokens", new.pop("max_response_output_tokens"))
    new.pop("temperature", None)
    ways: dict[str, dict[str, Any]] = {"input": {}, "output": {}}
    for way in ways:
        if f"{way}_audio_format" in new:
            ways[way]["format"] = new.pop(f"{way}_audio_format")
    moves = {
        "turn_detection": ("input", "turn_detection"),
        "input_audio_transcription": ("input", "transcription"),
        "input_audio_noise_reduction": ("input", "noise_reduction"),
        "voice": ("output", "voice"),
        "speed": ("output", "speed"),
    }
    for name, (way, field) in moves.items():
        if name in new:
            ways[way][field] = new.pop(name)
    audio = dict(new["audio"]) if isinstance(new.get("audio"), dict) else {}
    for way, found in ways.items():
        given = audio.get(way)
        if isinstance(given, dict) or found:
            merged = {**found, **(given if isinstance(given, dict) else {})}
            if isinstance(merged.get("format"), str) and merged["format"] in FORMATS:
                merged["format"] = FORMATS[merged["format"]]
            audio[way] = merged
    if audio:
        new["audio"] = audio
    new["tools"] = [_tool(tool) for tool in new["tools"]] if isinstance(new.get("tools"), list) else new.get("tools")
    if new["tools"] is None:
        del new["tools"]
    return new


def _one_modality(modalities: Any) -> Any:
    return (
        ["audio"] if isinstance(modalities, list) and sorted(map(str, modalities)) == ["audio", "text"] else modalities
    )


def _tool(tool: Any) -> Any:
    """Chat-style tools wrap the function; realtime ones do not."""
    if isinstance(tool, dict) and tool.get("type") == "function" and isinstance(tool.get("function"), dict):
        return {"type": "function", **tool["function"]}
    return tool
