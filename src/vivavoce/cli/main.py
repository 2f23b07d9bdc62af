"""The command ``vivavoce``: what it is made of, and how it says that something is wrong."""

import errno
from logging import WARNING, Handler, LogRecord, getLogger
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vivavoce.cli import data, models, tokens, train, voices
from vivavoce.cli import eval as evaluate
from vivavoce.cli.bench import bench
from vivavoce.cli.converse import ask, demo, transcribe
from vivavoce.cli.models import export
from vivavoce.cli.say import say
from vivavoce.cli.serve import serve, talk
from vivavoce.cli.sound import sound
from vivavoce.core.errors import VivavoceError

_EXTRAS = {
    "fastapi": "serve",
    "uvicorn": "serve",
    "aiortc": "serve",
    "av": "serve",
    "silero_vad": "serve",
    "prometheus_client": "serve",
    "multipart": "serve",
    "tensorboard": "train",
    "pocketsphinx": "eval",
    "pystoi": "eval",
    "pesq": "eval",
    "speechmos": "eval",
    "onnxruntime": "eval",
    "transformers": "hf",
    "faster_whisper": "ears",
}


class _Plain(TyperGroup):
    """Turns a deliberate error into one sentence and exit status 2, unless ``--debug`` asks for the traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """``--debug`` counts wherever it stands, up to ``--``."""
        end = args.index("--") if "--" in args else len(args)
        if "--debug" in args[:end]:
            args = ["--debug", *(word for word in args[:end] if word != "--debug"), *args[end:]]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Runs the chosen command."""
        try:
            return super().invoke(ctx)
        except VivavoceError as error:
            _stop(ctx, str(error), error)
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever reads what we print has seen enough
                raise
            what, why = error.filename or "this", error.strerror or str(error)
            _stop(ctx, f"cannot go on with {what}: {why}; check the disk and the permissions", error)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in _EXTRAS:
                raise
            extra = _EXTRAS[package]
            _stop(ctx, f"this needs the package {package}; install it with: pip install 'vivavoce[{extra}]'", error)


def _stop(ctx: Any, sentence: str, error: Exception) -> None:
    if ctx.params.get("debug"):
        raise error
    typer.echo(f"vivavoce: {sentence}", err=True)
    raise typer.Exit(2) from error


app = typer.Typer(
    name="vivavoce",
    cls=_Plain,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Speak to it and it answers in speech.",
)


class _Said(Handler):
    """Shows warnings of the library as sentences on the error stream."""

    def emit(self, record: LogRecord) -> None:
        """One line."""
        typer.echo(f"vivavoce: {record.getMessage()}", err=True)


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback when something goes wrong.")] = False,
) -> None:
    getLogger("vivavoce").handlers = [_Said(WARNING)]


for command in (demo, ask, say, sound, transcribe, export, serve, talk):
    app.command()(command)
app.add_typer(models.app, name="models")
app.add_typer(voices.app, name="voices")
app.add_typer(tokens.app, name="tokens")
app.add_typer(train.app, name="train")
app.add_typer(data.app, name="data")
app.add_typer(evaluate.app, name="eval")
app.command()(bench)


def main() -> None:
    """Entry point of the command ``vivavoce``."""
    app()


if __name__ == "__main__":
    main()
