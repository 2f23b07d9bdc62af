"""``vivavoce serve`` and ``vivavoce talk``: the OpenAI-compatible server, and the web page to talk to."""

from pathlib import Path
from typing import Annotated, Any

import typer

Model = Annotated[
    str,
    typer.Option(
        help="A bundled model (open: other people's ears and mind) or a folder; mini if left out; fake speaks in tones."
    ),
]
MIND = (
    "Who decides what is said: mini, a chat model's name, folder, FILE.gguf or hf:OWNER/NAME, "
    "or http://HOST:PORT/v1#MODEL"
)
Mind = Annotated[str, typer.Option(help=f"{MIND}.")]
Ears = Annotated[str, typer.Option(help="Who finds the words: mini, whisper-base, a folder, or hf:OWNER/NAME.")]
Speaker = Annotated[
    str,
    typer.Option(
        help="Whose voice: mini, kokoro, a folder, hf:OWNER/NAME, or http://HOST:PORT/v1#MODEL, any server of speech."
    ),
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")]
Rows = Annotated[int, typer.Option(min=1, max=64, help="Conversations at once.")]
Data = Annotated[Path | None, typer.Option(envvar="VIVAVOCE_DATA", help="Where voices and consents are kept.")]
Cert = Annotated[Path | None, typer.Option(help="A certificate in PEM; then it is https and wss.")]
Key = Annotated[Path | None, typer.Option(help="The certificate's private key, where its file does not hold it.")]


def serve(
    host: Annotated[str, typer.Option(help="Another address than this machine's own needs --api-key.")] = "127.0.0.1",
    port: Port = 8765,
    api_key: Annotated[
        list[str] | None, typer.Option(envvar="VIVAVOCE_API_KEY", help="Callers must send it; may be repeated.")
    ] = None,
    origin: Annotated[list[str] | None, typer.Option(help="A web origin that may connect; may be repeated.")] = None,
    rows: Rows = 4,
    model: Model = "",
    ears: Annotated[
        list[str] | None,
        typer.Option(
            help="Who finds the words: mini, whisper-base, a folder, or hf:OWNER/NAME; may be repeated, "
            "then clients choose among them and the first is used if they don't."
        ),
    ] = None,
    mind: Annotated[
        list[str] | None,
        typer.Option(
            help=f"{MIND}; may be repeated, then a session's model chooses among them, else the first is used."
        ),
    ] = None,
    speaker: Speaker = "",
    data: Data = None,
    tls_cert: Cert = None,
    tls_key: Key = None,
) -> None:
    """Serves OpenAI's realtime, audio and chat interfaces, a stream of sound at /v1/live, and the web page."""
    _run(
        rows,
        model,
        {"ears": tuple(ears or ()), "mind": tuple(mind or ()), "speaker": speaker},
        data,
        open_page=False,
        host=host,
        port=port,
        api_keys=tuple(api_key or ()),
        origins=tuple(origin or ()),
        tls_cert=tls_cert,
        tls_key=tls_key,
    )


def talk(
    port: Port = 8765,
    rows: Rows = 2,
    model: Model = "",
    ears: Ears = "",
    mind: Mind = "",
    speaker: Speaker = "",
    data: Data = None,
    tls_cert: Cert = None,
    tls_key: Key = None,
) -> None:
    """Opens a web page in which you speak with the model."""
    chosen = {"ears": ears, "mind": mind, "speaker": speaker}
    _run(rows, model, chosen, data, open_page=True, port=port, tls_cert=tls_cert, tls_key=tls_key)


def _run(
    rows: int, model: str, chosen: dict[str, Any], data: Path | None, *, open_page: bool, **settings_given: Any
) -> None:
    """``chosen`` are the parts that are replaced, by what `vivavoce.load` calls them."""
    import logging
    import os
    import sys
    import webbrowser

    from vivavoce.core.places import data_folder
    from vivavoce.server.settings import Settings

    settings = Settings(data=data or data_folder(), **settings_given)

    from vivavoce.runtime.duplex import DuplexEngine
    from vivavoce.runtime.engine import LiveEngine
    from vivavoce.runtime.fake import fake_model
    from vivavoce.server.app import create_app
    from vivavoce.server.run import run

    logging.getLogger("vivavoce").handlers = []  # a server's log has the time and the place instead
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    hears_and_speaks, duplex_name = None, ""
    if model == "fake":
        engine, described = LiveEngine(fake_model(), rows=rows), None
    else:
        import vivavoce
        from vivavoce.assistant.duplex import is_duplex, load_duplex, refuse_duplex

        if open_page:
            refuse_duplex(model)
        elif is_duplex(model):
            hears_and_speaks, duplex_name = load_duplex(Path(model)), Path(model).name
            model = ""  # whatever goes by turns is done by the bundled one
        loaded = vivavoce.load(model, **chosen) if model else vivavoce.load(**chosen)
        engine = loaded.engine(rows, forked=sys.platform == "linux")  # elsewhere a fork is no safe copy
        described = loaded.described
    # its thread begins after the processes were forked
    duplex = None if hears_and_speaks is None else DuplexEngine(hears_and_speaks, rows)

    def ready(address: str) -> None:
        if duplex is not None:
            typer.echo(f"{duplex_name} hears and speaks at once at {address.replace('http', 'ws', 1)}/v1/live.")
        typer.echo(f"Talk to it at {address} (OpenAI clients: base_url={address}/v1). Ctrl-C ends it.")
        screen = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        if open_page and screen:
            webbrowser.open(address)

    run(create_app(engine, settings, described, duplex, duplex_name), settings, ready)
