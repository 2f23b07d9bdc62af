"""`/v1/audio/transcriptions` and `/v1/audio/translations`: a recording to words with their times."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, File, Form, UploadFile
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from vivavoce.audio.pcm import to_int16
from vivavoce.core.errors import VivavoceError
from vivavoce.core.talk import Heard, Word
from vivavoce.runtime.api import SessionConfig, TurnConfig, UserText
from vivavoce.runtime.failures import explained, log_failure
from vivavoce.runtime.model import RATE, HearingOptions, Pcm
from vivavoce.server.ears import ears_of, hearing_of, language_of
from vivavoce.server.items import logprobs_of
from vivavoce.server.problems import Problem
from vivavoce.server.replies import ERRORS, broken, sse, upload_bytes, warned
from vivavoce.server.service import Service
from vivavoce.server.sound_files import read_upload
from vivavoce.server.transcripts import subtitles, verbose

LONGEST_PIECE = 30 * RATE
SHORTEST_PIECE = 20 * RATE
HUSH = RATE // 10
MOST_BEFORE = 200
"""Characters of the piece before that the next one is heard with."""


def pieces(pcm: Pcm) -> list[tuple[int, Pcm]]:
    """A long recording cut where it is quietest, with the place of each piece."""
    found, at = [], 0
    while len(pcm) - at > LONGEST_PIECE:
        window = pcm[at + SHORTEST_PIECE : at + LONGEST_PIECE]
        blocks = window[: len(window) // HUSH * HUSH].reshape(-1, HUSH)
        cut = at + SHORTEST_PIECE + int(np.argmin((blocks**2).mean(axis=1))) * HUSH + HUSH // 2
        found.append((at, pcm[at:cut]))
        at = cut
    return [*found, (at, pcm[at:])]


class Transcriber:
    """Answers with the words of a file that was sent."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def answered(
        self,
        file: UploadFile,
        hearing: HearingOptions,
        response_format: str,
        *,
        stream: bool = False,
        granularities: list[str] | None = None,
        certain: bool = False,
    ) -> Response:
        """What is said in the file, in one of the formats."""
        data = await upload_bytes(file, self._service.settings.upload_bytes, "file")
        warnings: list[str] = []
        heard = await _begun(self._pieces(data, file.filename or "", hearing, warnings))
        head, remarks = warned(warnings), {"warnings": warnings} if warnings else {}
        if stream:
            return StreamingResponse(_events(heard, certain, warnings), headers=head, media_type="text/event-stream")
        parts = [part async for part in heard]
        samples = sum(part.samples for part in parts)
        text = " ".join(part.text for part in parts if part.text)
        words = [word for part in parts for word in part.words]
        if response_format == "text":
            return PlainTextResponse(f"{text}\n", headers=head)
        if response_format in ("srt", "vtt"):
            return PlainTextResponse(subtitles(words, "srt" if response_format == "srt" else "vtt"), headers=head)
        if response_format == "verbose_json":
            task = "translate" if hearing.translate else "transcribe"
            return JSONResponse(verbose(parts, granularities or [], task) | remarks, headers=head)
        answer: dict[str, Any] = {"text": text, "usage": {"type": "duration", "seconds": samples / RATE}}
        answer |= {"logprobs": logprobs_of(tuple(words))} if certain else {}
        return JSONResponse(answer | remarks, headers=head)

    async def _pieces(
        self, data: bytes, name: str, hearing: HearingOptions, warnings: list[str]
    ) -> AsyncIterator[UserText]:
        """The words of each piece, with times from the beginning of the recording; a row is taken before anything is
        decoded.

        What is wrong with a recording that is read all the same is added to ``warnings`` before the first piece.
        """
        async with self._service.session(SessionConfig(turns=TurnConfig(kind="none"), only_listen=True)):
            pcm, warning = await run_in_threadpool(read_upload, data, name)
            warnings += [warning] if warning else []
            wanted = hearing
            for at, part in pieces(np.pad(pcm, (0, max(0, RATE // 10 - len(pcm))))):
                heard = await self._heard(part, wanted)
                words = tuple(replace(w, start=w.start + at, end=w.end + at) for w in heard.words)
                text = " ".join(word.text for word in words)
                # the next piece goes on in the same language, and with what this one ends with
                prompt = f"{hearing.prompt} {text[-MOST_BEFORE:].partition(' ')[2]}".strip()
                wanted = replace(hearing, language=heard.language or hearing.language, prompt=prompt)
                yield UserText("", "", True, text, words, len(part), heard.speech, heard.language)

    async def _heard(self, part: Pcm, hearing: HearingOptions) -> Heard:
        try:
            heard = await asyncio.wrap_future(self._service.engine.hear_sound(to_int16(part), hearing))
        except VivavoceError:
            raise
        except Exception as error:  # a broken model
            log_failure(error)
            raise VivavoceError(explained(error)) from error
        return heard.until(len(part))


async def _begun(parts: AsyncIterator[UserText]) -> AsyncIterator[UserText]:
    """The same pieces, once the first is there; what is wrong with the recording is said before that."""
    first = await anext(parts)

    async def every() -> AsyncIterator[UserText]:
        yield first
        async for part in parts:
            yield part

    return every()


async def _events(parts: AsyncIterator[UserText], certain: bool, warnings: list[str]) -> AsyncIterator[str]:
    texts: list[str] = []
    words: list[Word] = []
    samples = 0
    try:
        async for part in parts:
            samples += part.samples
            delta = f" {part.text}" if texts and part.text else part.text
            more = {"logprobs": logprobs_of(part.words)} if certain else {}
            if delta:
                texts.append(delta)
                words += part.words
                yield sse({"type": "transcript.text.delta", "delta": delta, **more})
    except VivavoceError as error:
        yield sse(broken(error))
        return
    tokens = {"type": "tokens", "input_tokens": samples // 960, "output_tokens": len(words)}
    done = {"text": "".join(texts), "usage": {**tokens, "total_tokens": samples // 960 + len(words)}}
    more: dict[str, Any] = {"logprobs": logprobs_of(tuple(words))} if certain else {}
    more |= {"warnings": warnings} if warnings else {}
    yield sse({"type": "transcript.text.done", **done, **more})


def router(service: Service) -> APIRouter:
    """The endpoint."""
    routes = APIRouter(prefix="/v1/audio", tags=["audio"])
    words = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
    plain = {"schema": {"type": "string"}}
    content = {"application/json": {"schema": words}, "text/plain": plain, "text/event-stream": plain}
    answers = {**ERRORS, 200: {"description": "The words", "content": content}}
    transcriber = Transcriber(service)

    @routes.post("/transcriptions", summary="Speech to text", response_class=Response, responses=answers)
    async def transcriptions(
        file: Annotated[UploadFile, File(description="Any recording: WAV, FLAC, Ogg, MP3, M4A, WebM …")],
        model: Annotated[str, Form()],
        response_format: Annotated[
            Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"], Form()
        ] = "json",
        language: Annotated[str | None, Form()] = None,
        prompt: Annotated[str | None, Form(max_length=4000, description="Shows style and spelling")] = None,
        keywords: Annotated[list[str] | None, Form(alias="keywords[]", description="Words that are likely")] = None,
        temperature: Annotated[float, Form(ge=0, le=1, description="Changes nothing")] = 0.0,
        stream: Annotated[bool, Form()] = False,
        timestamp_granularities: Annotated[
            list[Literal["word", "segment"]] | None, Form(alias="timestamp_granularities[]")
        ] = None,
        include: Annotated[list[Literal["logprobs"]] | None, Form(alias="include[]")] = None,
    ) -> Response:
        """What is said in a recording; other fields of OpenAI's request are taken and change nothing."""
        info = ears_of(model, service.ears)
        if response_format == "diarized_json":
            raise Problem("Speakers are not told apart; use verbose_json.", "not_supported", "response_format")
        if stream and response_format not in ("json", "text"):
            message = f"A stream has events and no {response_format}; leave response_format or stream out."
            raise Problem(message, "invalid_value", "response_format")
        code = language_of([language] if language else [], info, "language")
        hearing = hearing_of(info, code, prompt=prompt, keywords=keywords, find_out=True)
        return await transcriber.answered(
            file,
            hearing,
            response_format,
            stream=stream,
            granularities=list(timestamp_granularities or []),
            certain=bool(include),
        )

    @routes.post("/translations", summary="Speech to English text", response_class=Response, responses=answers)
    async def translations(
        file: Annotated[UploadFile, File(description="Any recording: WAV, FLAC, Ogg, MP3, M4A, WebM …")],
        model: Annotated[str, Form()],
        response_format: Annotated[Literal["json", "text", "srt", "verbose_json", "vtt"], Form()] = "json",
        prompt: Annotated[str | None, Form(max_length=4000, description="Shows style and spelling")] = None,
        temperature: Annotated[float, Form(ge=0, le=1, description="Changes nothing")] = 0.0,
    ) -> Response:
        """What is said in a recording, in English; for ears that know more languages."""
        hearing = hearing_of(ears_of(model, service.ears), "", prompt=prompt, translate=True, find_out=True)
        return await transcriber.answered(file, hearing, response_format)

    return routes
