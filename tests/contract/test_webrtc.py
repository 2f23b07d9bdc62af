"""A WebRTC peer (aiortc) holds a conversation: Opus both ways, events on the data channel."""

import asyncio
import contextlib
import fractions
import json

import httpx
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, AudioResampler
from live_server import serving, unset
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from vivavoce.runtime.fake import decode, silence, utter
from vivavoce.server.settings import Settings

SERVER_EVENT = TypeAdapter(RealtimeServerEvent)


class Microphone(MediaStreamTrack):
    """Gives recorded sound at the pace of a microphone, then silence."""

    kind = "audio"

    def __init__(self):
        super().__init__()
        self.sound, self.at, self.began = np.zeros(0, np.int16), 0, None

    def say(self, pcm):
        self.sound = np.concatenate([self.sound, (pcm * 32767).astype(np.int16)])

    async def recv(self):
        loop = asyncio.get_running_loop()
        self.began = self.began or loop.time()
        await asyncio.sleep(max(0, self.began + self.at / 24_000 - loop.time()))
        piece, self.sound = self.sound[:480], self.sound[480:]
        frame = AudioFrame.from_ndarray(np.pad(piece, (0, 480 - len(piece)))[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 24_000, self.at, fractions.Fraction(1, 24_000)
        self.at += 480
        return frame


class Peer:
    """A browser, more or less."""

    def __init__(self, channel=True):
        self.connection, self.microphone = RTCPeerConnection(), Microphone()
        self.connection.addTrack(self.microphone)
        self.events, self.aside, self.seen, self.heard = asyncio.Queue(), [], [], []
        if channel:
            self.channel = self.connection.createDataChannel("oai-events")
            self.channel.on("message", lambda message: self.events.put_nowait(json.loads(message)))
        self.connection.on("track", lambda track: asyncio.ensure_future(self.listen(track)))

    async def listen(self, track):
        resample = AudioResampler(format="s16", layout="mono", rate=24_000)
        with contextlib.suppress(MediaStreamError):
            while True:
                for part in resample.resample(await track.recv()):
                    self.heard.append(part.to_ndarray().reshape(-1))

    def ears(self):
        return decode(np.concatenate(self.heard) / np.float32(32768))

    async def until(self, kind):
        """The next event of a kind. What the loudspeaker and the model say of a reply comes in any order."""
        for event in self.aside:
            if event["type"] == kind:
                self.aside.remove(event)
                return event
        async with asyncio.timeout(60):
            while True:
                event = await self.events.get()
                SERVER_EVENT.validate_python(event)
                assert not unset(event), event
                self.seen.append(event["type"])
                if event["type"] == kind:
                    return event
                self.aside.append(event)

    async def call(self, address):
        await self.connection.setLocalDescription(await self.connection.createOffer())
        async with httpx.AsyncClient(base_url=address, timeout=60) as http:
            files = {"sdp": (None, self.connection.localDescription.sdp), "session": (None, '{"type": "realtime"}')}
            answer = await http.post("/v1/realtime/calls", files=files)
        assert answer.status_code == 201 and answer.headers["location"].startswith("/v1/realtime/calls/rtc_")
        await self.connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        return answer.headers["location"]


async def test_a_call_is_answered_interrupted_and_remembers_what_was_heard(address):
    peer = Peer()
    place = await peer.call(address)
    try:
        await peer.until("session.created")
        peer.microphone.say(np.concatenate([silence(300), utter("tell me about dragons and gold.")]))
        await peer.until("output_audio_buffer.started")
        await peer.until("response.done")
        async with asyncio.timeout(60):
            while "about" not in peer.ears():
                await asyncio.sleep(0.1)
        peer.microphone.say(np.concatenate([utter("what did you just say?")]))
        await peer.until("output_audio_buffer.cleared")
        cut = await peer.until("conversation.item.truncated")
        again = (await peer.until("response.done"))["response"]["output"][0]["content"][0]["transcript"]
        await peer.until("output_audio_buffer.stopped")
        assert again.startswith("i said: you said: tell me") and not again.endswith("gold.")
        assert 1000 < cut["audio_end_ms"] < 3200
        assert "response.output_audio.delta" not in peer.seen
        async with httpx.AsyncClient(base_url=address) as http:
            assert (await http.post(f"{place}/hangup")).status_code == 200
            assert (await http.post(f"{place}/refer")).json()["error"]["code"] == "not_supported"
    finally:
        await peer.connection.close()


async def test_a_peer_without_a_channel_is_answered_too(address):
    peer = Peer(channel=False)
    await peer.call(address)
    try:
        peer.microphone.say(np.concatenate([silence(300), utter("hello."), silence(800)]))
        async with asyncio.timeout(60):
            while not peer.heard or "hello" not in peer.ears():
                await asyncio.sleep(0.1)
    finally:
        await peer.connection.close()


async def test_a_peer_is_limited_and_told_when_its_time_is_over():
    with serving(Settings(port=0, session_seconds=3.0, events_per_minute=3, responses_per_minute=1)) as address:
        peer = Peer()
        await peer.call(address)
        try:
            await peer.until("session.created")
            for _ in range(2):
                peer.channel.send('{"type": "response.create", "response": {"conversation": "none"}}')
            assert "responses" in (await peer.until("error"))["error"]["message"]
            for _ in range(2):
                peer.channel.send('{"type": "input_audio_buffer.clear"}')
            assert (await peer.until("error"))["error"]["message"].startswith("Too many events")
            assert (await peer.until("error"))["error"]["code"] == "session_expired"
        finally:
            await peer.connection.close()
        async with httpx.AsyncClient(base_url=address) as http:
            assert 'vivavoce_errors_total{code="rate_limit_exceeded"} 2.0' in (await http.get("/metrics")).text


async def test_what_is_no_offer_is_refused(address):
    async with httpx.AsyncClient(base_url=address) as http:
        for body in (b"hello", b""):
            answer = await http.post("/v1/realtime/calls", content=body, headers={"content-type": "application/sdp"})
            assert answer.status_code == 400 and answer.json()["error"]["param"] == "sdp"
        assert (await http.post("/v1/realtime/calls", json={})).status_code == 400


async def test_a_peer_that_never_comes_gives_its_place_back():
    with serving(Settings(port=0, connect_seconds=0.3), rows=1) as address:
        lost, peer = Peer(), Peer()
        await lost.connection.setLocalDescription(await lost.connection.createOffer())
        async with httpx.AsyncClient(base_url=address, timeout=60) as http:
            offer = {"content": lost.connection.localDescription.sdp, "headers": {"content-type": "application/sdp"}}
            assert (await http.post("/v1/realtime/calls", **offer)).status_code == 201
            async with asyncio.timeout(20):
                while "vivavoce_sessions 0" not in (await http.get("/metrics")).text:
                    await asyncio.sleep(0.1)
        await lost.connection.close()
        await peer.call(address)
        await peer.until("session.created")
        await peer.connection.close()
