"""``vivavoce demo``, ``ask``, ``say`` and ``transcribe``: talk to the model from the command line."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vivavoce.core.voice import Voice

_Voice = Annotated[str, typer.Option("--voice", help='How it should sound, in words: "a gruff old innkeeper".')]
_Like = Annotated[Path | None, typer.Option("--like", help="A clip of a voice to imitate; needs --consent.")]
_Consent = Annotated[str, typer.Option("--consent", help="Who agreed that the clip's voice is imitated.")]
_Seed = Annotated[int, typer.Option("--seed", help="For what is drawn at random.")]
_Model = Annotated[Path | None, typer.Option("--model", help="A folder of parts; the bundled model if left out.")]
_Ears = Annotated[
    str, typer.Option("--ears", help="Who finds the words: mini, whisper-base, a folder, or hf:OWNER/NAME.")
]
_Mind = Annotated[
    str,
    typer.Option(
        "--mind",
        help="Who decides what is said: mini, a chat model's name, folder, FILE.gguf or hf:OWNER/NAME, or http://HOST:PORT/v1#MODEL.",
    ),
]
_Speaker = Annotated[
    str,
    typer.Option(
        "--speaker", help="Whose voice: mini, kokoro, a folder, or http://HOST:PORT/v1#MODEL, any server of speech."
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per file.")]


def _voice(words: str, like: Path | None, consent: str) -> "Voice":
    from vivavoce.core.errors import VoiceError
    from vivavoce.core.voice import Consent, Voice

    if consent and like is None:
        raise VoiceError("--consent says who agreed to a clip, but there is no clip; give --like CLIP, or leave it out")
    if like is not None:
        return Voice.like(like, consent=Consent(consent) if consent else None, description=words)
    return Voice.described(words) if words else Voice()


def demo(
    out: Annotated[Path, typer.Option("--out", help="Where to write.")] = Path("demo-out"),
    fast: Annotated[bool, typer.Option("--fast", help="Take the recordings in faster than real time.")] = False,
    model: _Model = None,
) -> None:
    """Holds a whole spoken conversation from recordings and shows what came of it."""
    import json

    from rich.console import Console

    from vivavoce.assistant.demo import Line, demonstrate
    from vivavoce.assistant.model import load
    from vivavoce.assistant.turn import Called, Finished, Happening, Saying, Understood
    from vivavoce.core.places import BUNDLED

    console = Console(highlight=False)
    shown = {"turn": 0, "saying": False}

    def tell(number: int, line: Line, happening: Happening) -> None:
        if shown["turn"] != number:
            shown.update(turn=number, saying=False)
            console.print(f"\n[bold]{number}[/]  a recording of: {line.says}")
        if isinstance(happening, Understood):
            console.print(f"   [cyan]heard[/]   {happening.transcript.transcript}")
        elif isinstance(happening, Called):
            console.print(f"   [yellow]calls[/]   {happening.name} {json.dumps(happening.arguments)}")
        elif isinstance(happening, Saying):
            console.print(happening.delta if shown["saying"] else f"   [green]says[/]    {happening.delta}", end="")
            shown["saying"] = True
        elif isinstance(happening, Finished):
            turn = happening.turn
            sounds = line.voice.description or "the voice of a clip"
            first = "no sound" if turn.first_audio_ms is None else f"first sound after {turn.first_audio_ms:.0f} ms"
            speed = "" if turn.rtf is None else f", real-time factor {turn.rtf:.2f}"
            console.print(f"\n           [dim]{first}{speed}; voice: {sounds}[/]")

    console.print("A customer orders at the counter; everything you see is worked out now, on this machine.")
    turns = demonstrate(load(model or BUNDLED), out, fast=fast, tell=tell)
    console.print(f"\nWrote {len(turns)} replies, conversation.wav, conversation.json and conversation.png to {out}/.")
    console.print("Next: [bold]vivavoce talk[/] to speak with it yourself, [bold]vivavoce ask[/] with a recording,")
    console.print('or [bold]vivavoce say "Welcome!" --voice "an old wizard, slow" -o welcome.wav[/]')


def ask(
    files: Annotated[
        list[Path], typer.Argument(help="Recordings of questions or orders; a .txt file is a written one.")
    ],
    voice: _Voice = "",
    like: _Like = None,
    consent: _Consent = "",
    conversation: Annotated[bool, typer.Option("--conversation", help="The files are turns of one talk.")] = False,
    text_only: Annotated[bool, typer.Option("--text-only", help="Do not speak the answers.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the spoken answers.")] = None,
    json: _Json = False,
    seed: _Seed = 0,
    model: _Model = None,
    ears: _Ears = "",
    mind: _Mind = "",
    speaker: _Speaker = "",
) -> None:
    """Answers recordings (or texts): one independent spoken turn per file."""
    import json as formats

    import torch

    from vivavoce.assistant.model import finished, load, question_of
    from vivavoce.audio.files import write_audio
    from vivavoce.core.errors import VivavoceError
    from vivavoce.core.places import BUNDLED
    from vivavoce.runtime.model import RATE

    sounding = _voice(voice, like, consent)
    loaded = load(model or BUNDLED, ears=ears, mind=mind, speaker=speaker)
    talk = loaded.conversation(voice=sounding, seed=seed)
    failed = False
    written: set[Path] = set()
    for number, path in enumerate(files):
        try:
            question, warning = question_of(path)
            if not conversation and number:
                talk = loaded.conversation(voice=sounding, seed=seed)
            turn = finished(talk.ask(question, speak=not text_only))
            turn.warning = warning
            audio = None
            if len(turn.audio):
                audio = _answer_file(out or Path("answers"), path.stem, written)
                write_audio(audio, torch.from_numpy(turn.audio), RATE)
        except VivavoceError as error:
            failed = True
            _fault(path, error, json)
            continue
        _warn(path, turn.warning)
        found = {"path": str(path), **turn.json(audio=None if audio is None else str(audio))}
        if json:
            typer.echo(formats.dumps(found))
        else:
            typer.echo(f"{path}\n  heard  {turn.transcript}\n  says   {turn.reply}")
            for why in turn.unsaid:
                typer.echo(f"vivavoce: {path}: a part of the answer was not spoken: {why}", err=True)
            for call in turn.calls:
                typer.echo(f"  calls  {call['name']} {formats.dumps(call['arguments'])}")
            if audio is not None:
                typer.echo(f"  wrote  {audio}")
    if failed:
        raise typer.Exit(2)


def _fault(path: Path, error: Exception, as_json: bool) -> None:
    """Says what is wrong with one of several files; the others go on."""
    import json

    if as_json:
        typer.echo(json.dumps({"path": str(path), "error": str(error)}))
    else:
        typer.echo(f"vivavoce: {path}: {error}", err=True)


def _warn(path: Path, warning: str) -> None:
    """Says on the error stream what was wrong with a recording that was read all the same."""
    if warning:
        typer.echo(f"vivavoce: {path}: {warning}", err=True)


def _answer_file(folder: Path, stem: str, written: set[Path]) -> Path:
    """Where an answer goes; two questions of one name do not overwrite each other's."""
    file, count = folder / f"{stem}.answer.wav", 1
    while file in written:
        count += 1
        file = folder / f"{stem}-{count}.answer.wav"
    written.add(file)
    return file


def say(
    text: Annotated[str, typer.Argument(help="What to say.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The audio file to write.")],
    voice: _Voice = "",
    like: _Like = None,
    consent: _Consent = "",
    scene: Annotated[
        str, typer.Option("--scene", help="Where it should sound, in words; for speakers that know.")
    ] = "",
    seed: _Seed = 0,
    speaker: _Speaker = "",
    model: _Model = None,
) -> None:
    """Speaks a text in a described or imitated voice."""
    import numpy as np
    import torch

    from vivavoce.assistant.model import load
    from vivavoce.assistant.sentences import say_sentences, system_of
    from vivavoce.audio.files import write_audio
    from vivavoce.core.errors import VoiceError
    from vivavoce.core.places import BUNDLED
    from vivavoce.runtime.model import RATE

    sounding = _voice(voice, like, consent)
    if system_of(speaker) is not None:
        ears = load(model or BUNDLED)
        said = say_sentences(
            Path(speaker), text, sounding, hear=lambda clip: ears.transcribe(clip).transcript, scene=scene, seed=seed
        )
        wave, rate = said.wave, said.sample_rate
        if said.heard:
            typer.echo(f"vivavoce: the clip was heard to say: {said.heard}", err=True)
    else:
        if scene:
            raise VoiceError("this speaker knows no scenes; give --speaker FOLDER with one that does")
        loaded = load(model or BUNDLED, speaker=speaker)
        wave = torch.from_numpy(np.concatenate(list(loaded.say(text, voice=sounding, seed=seed))))
        rate = RATE
    write_audio(out, wave, rate)
    typer.echo(f"wrote {out}: {len(wave) / rate:.1f} s")


def transcribe(
    files: Annotated[list[Path], typer.Argument(help="Recordings of speech.")],
    json: _Json = False,
    model: _Model = None,
    ears: _Ears = "",
    language: Annotated[str, typer.Option("--language", help="A code such as de; found out if left out.")] = "auto",
    prompt: Annotated[str, typer.Option("--prompt", help="Text that shows style and spelling.")] = "",
    keyword: Annotated[list[str] | None, typer.Option("--keyword", help="A word that is likely; repeatable.")] = None,
    translate: Annotated[bool, typer.Option("--translate", help="Into English.")] = False,
) -> None:
    """Writes down what is said in recordings, with the time and confidence of every word."""
    import json as formats

    from vivavoce.assistant.model import load
    from vivavoce.core.errors import VivavoceError
    from vivavoce.core.places import BUNDLED
    from vivavoce.runtime.model import HearingOptions

    loaded = load(model or BUNDLED, ears=ears)
    options = HearingOptions(language=language, prompt=prompt, keywords=tuple(keyword or ()), translate=translate)
    failed = False
    for path in files:
        try:
            heard = loaded.transcribe(path, options=options)
        except VivavoceError as error:
            failed = True
            _fault(path, error, json)
            continue
        _warn(path, heard.warning)
        if json:
            typer.echo(formats.dumps({"path": str(path), **heard.json()}))
        else:
            typer.echo(heard.transcript if len(files) == 1 else f"{path}: {heard.transcript}")
    if failed:
        raise typer.Exit(2)
