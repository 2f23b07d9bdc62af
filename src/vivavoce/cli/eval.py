"""``vivavoce eval``: measurements with intervals."""

import typer

from vivavoce.cli.eval_conversations import duplex, mini, opened, orders, turns
from vivavoce.cli.eval_tokens import audiolm, clusters, phones, speech_lm, tokens
from vivavoce.cli.eval_voices import descriptions, gallery, sounds, tts, unit_speech, valle

app = typer.Typer(no_args_is_help=True, help="Measure a model; prints tables and writes JSON.")

for command in (mini, orders, turns, gallery, tts, duplex):
    app.command()(command)
app.command("open")(opened)
for command in (tokens, speech_lm, valle, audiolm, phones, clusters, unit_speech, descriptions, sounds):
    app.command()(command)
