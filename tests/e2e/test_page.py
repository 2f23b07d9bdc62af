"""The web page in a real Chromium with a recording as its microphone: heard, answered aloud, interrupted, served."""

import base64
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from vivavoce.audio.resample import resample
from vivavoce.data.sheet import load_sheet
from vivavoce.evals.scenes import trimmed
from vivavoce.runtime.fake import decode, silence, utter

pytest.importorskip("playwright", reason="playwright is not installed; pip install playwright")
from playwright.sync_api import Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contract"))
from live_server import serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PACKAGE = Path(__file__).resolve().parents[2] / "src/vivavoce"
PATIENCE = 60_000
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed; apt-get install chromium"),
]

# whatever is connected to the loudspeaker is also kept, so that a test hears what a person would; and lines can break
TAP = """
window.heard = [];
window.lines = [];
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    window.lines.push(this);
  }
};
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...rest) {
  if (to instanceof AudioDestinationNode) {
    const tap = this.context.createScriptProcessor(16384, 1, 1);
    tap.onaudioprocess = (event) => window.heard.push(event.inputBuffer.getChannelData(0).slice());
    connect.call(this, tap);
    connect.call(tap, to);
  }
  return connect.call(this, to, ...rest);
};
"""


# the largest error of a sine of 1 kHz that was brought to 24 kHz, for the rates that microphones have
RESAMPLED = """
import("/sound.js").then(({ Resampler, RATE }) => [16000, 44100, 48000, 96000].map((rate) => {
  const resampler = new Resampler(rate);
  const sine = (seconds) => Math.sin(2 * Math.PI * 1000 * seconds);
  const made = [];
  for (let at = 0; at < rate / 4; at += 128) {
    made.push(...resampler.push(Float32Array.from({ length: 128 }, (_, i) => sine((at + i) / rate))));
  }
  const late = resampler.half / rate;
  return Math.max(...made.map((x, i) => (i > 400 && i < made.length - 400 ? Math.abs(x - sine(i / RATE - late)) : 0)));
}))
"""


class Visit:
    """A page, what it sent and received, and what came out of its loudspeaker."""

    def __init__(self, page: Page) -> None:
        self.page, self.sent, self.received, self.problems = page, [], [], []
        page.set_default_timeout(PATIENCE)
        page.on("websocket", self._follow)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda line: self.problems.append(line.text) if line.type == "error" else None)

    def _follow(self, socket: Any) -> None:
        socket.on("framesent", lambda frame: self.sent.append(json.loads(frame)))
        socket.on("framereceived", lambda frame: self.received.append(json.loads(frame)))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in [*self.sent, *self.received] if event["type"] == kind]

    def until(self, happened: Callable[[], Any], what: str, seconds: float = PATIENCE / 1000) -> Any:
        for _ in range(int(10 * seconds)):
            if found := happened():
                return found
            self.page.wait_for_timeout(100)
        raise AssertionError(f"{what} did not happen; received {[e['type'] for e in self.received][-30:]}")

    def heard(self) -> np.ndarray:
        chunks = self.page.evaluate("import('/sound.js').then(({ toBase64 }) => window.heard.map(toBase64))")
        return np.frombuffer(b"".join(map(base64.b64decode, chunks)), "<i2") / np.float32(32768)


@contextmanager
def visiting(address: str, *, microphone: Path | None = None, refuse: bool = False, **context: Any) -> Iterator[Visit]:
    """Opens the page; without a recording the microphone beeps, or is refused."""
    args = [
        *("--no-sandbox", "--use-fake-device-for-media-stream", "--no-first-run", "--disable-quic"),
        *(
            "--disable-background-networking",
            "--disable-component-update",
            "--autoplay-policy=no-user-gesture-required",
        ),
    ]
    if not refuse:
        args.append("--use-fake-ui-for-media-stream")
    if microphone:
        args.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
    with ExitStack() as stack:
        play = stack.enter_context(sync_playwright())
        browser = play.chromium.launch(executable_path=CHROMIUM, args=args, timeout=2 * PATIENCE)
        stack.callback(browser.close)
        page = browser.new_context(**context).new_page()
        page.add_init_script(TAP)
        visit = Visit(page)
        page.goto(address)
        page.wait_for_selector("html[data-ready]", state="attached")
        yield visit


def recording(path: Path, *pieces: np.ndarray) -> Path:
    sound = np.concatenate(pieces)
    soundfile.write(path, np.repeat(sound, 2), 48_000, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(rows=3) as url:
        yield url


def test_it_hears_answers_aloud_is_interrupted_and_shows_the_order(address, tmp_path):
    story = utter("please tell me the long story of the dragon under the old mountain.")
    clip = recording(
        tmp_path / "talk.wav", silence(3000), story, silence(3500), utter("a large latte please."), silence(9000)
    )
    with visiting(address, microphone=clip) as visit:
        page = visit.page
        page.get_by_role("button", name="Talk", exact=True).click()
        slip = page.locator(".slip:not(.blank)")
        slip.wait_for()
        assert slip.get_by_role("heading").inner_text().lower() == "latte"
        assert "large" in slip.inner_text()
        visit.until(lambda: len(visit.of("response.done")) >= 2, "the second answer")
        cut = visit.until(lambda: visit.of("conversation.item.truncate"), "the truncation")[0]
        whole = [e for e in visit.of("response.output_audio.delta") if e["item_id"] == cut["item_id"]]
        made_ms = sum(len(e["delta"]) * 3 // 4 for e in whole) // 48
        assert 300 < cut["audio_end_ms"] < made_ms
        kept = visit.until(lambda: visit.of("conversation.item.retrieved"), "what was kept")[0]["item"]
        house = page.locator("#lines .house")
        expect(house.first).to_contain_text("cut off", timeout=PATIENCE)
        assert house.first.locator(".said").inner_text().strip() == kept["content"][0]["transcript"]
        assert house.first.locator("del").inner_text().strip()
        expect(page.locator("#lines .you").first).to_contain_text("dragon under the old mountain.", timeout=PATIENCE)
        expect(page.locator("#latency")).to_contain_text(" s", timeout=PATIENCE)
        visit.until(lambda: "latte" in decode(visit.heard()), "the confirmation from the loudspeaker")
        assert "you said" in decode(visit.heard())
        assert not visit.problems and not visit.of("error")


def test_the_tool_is_the_sheets_own(address):
    with visiting(address, refuse=True) as visit:
        page = visit.page
        page.get_by_role("textbox", name="Write instead of speaking").fill("a small mocha please")
        page.keyboard.press("Enter")
        expect(page.locator(".slip:not(.blank)")).to_contain_text("mocha", ignore_case=True, timeout=PATIENCE)
        declared = visit.of("session.update")[0]["session"]["tools"]
        assert [(tool["name"], tool["parameters"]) for tool in declared] == [
            (load_sheet().tool.name, load_sheet().tool.schema())
        ]
        page.get_by_role("button", name="Talk", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("microphone was refused", timeout=PATIENCE)
        visit.until(lambda: "mocha" in decode(visit.heard()), "the answer from the loudspeaker")
        assert not visit.problems and not visit.of("error")


def test_voices_lost_lines_and_the_keyboard(address, tmp_path):
    clip = recording(tmp_path / "voice.wav", np.tile(utter("i agree to this."), 30))
    with visiting(address, microphone=clip) as visit:
        page = visit.page
        field = page.get_by_role("textbox", name="Write instead of speaking")
        field.fill("good evening to you all in this house.")
        field.press("Enter")
        visit.until(lambda: visit.of("response.output_audio.delta"), "an answer")
        assert max(visit.page.evaluate(RESAMPLED)) < 1e-3
        # another voice moves the conversation to another session, with what was said
        page.get_by_role("button", name="Dwarf").click()
        visit.until(lambda: len(visit.of("session.updated")) == 2, "another session")
        assert "dwarf" in visit.of("session.update")[1]["session"]["audio"]["output"]["voice"]
        again = visit.of("session.update")[1]
        carried = visit.sent[visit.sent.index(again) + 1]
        assert carried["item"]["content"][0]["text"] == "good evening to you all in this house."
        # a line that breaks is opened again, and nothing that was said is lost
        page.evaluate("window.lines.at(-1).close()")
        visit.until(lambda: len(visit.of("session.updated")) == 3, "the line again")
        assert visit.of("conversation.item.create")[-2]["item"] == carried["item"]
        expect(page.get_by_role("status").first).to_contain_text("The house", timeout=PATIENCE)
        # a clone needs a name, the tick and the sentence
        page.get_by_text("Clone a voice").click()
        note = page.locator("#clone-note")
        page.get_by_label("Whose voice is it?").fill("Ada")
        page.get_by_role("button", name="Clone", exact=True).click()
        expect(note).to_contain_text("tick the box", timeout=PATIENCE)
        page.get_by_label("It is mine").check()
        page.get_by_role("button", name="Record the sentence").click()
        page.wait_for_timeout(2500)
        page.get_by_role("button", name="Stop recording").click()
        expect(note).to_contain_text("Recorded", timeout=PATIENCE)
        page.get_by_role("button", name="Clone", exact=True).click()
        expect(note).to_contain_text("voice of Ada", timeout=PATIENCE)
        visit.until(lambda: len(visit.of("session.updated")) == 4, "a session in the cloned voice")
        assert visit.of("session.updated")[-1]["session"]["audio"]["output"]["voice"]["id"].startswith("voice_")
        page.get_by_role("button", name="Forget the voice Ada").click()
        expect(page.locator("#mine")).to_be_hidden(timeout=PATIENCE)
        for kept in ("voices", "voice_consents"):  # nothing of a clone stays, its consent neither
            assert page.evaluate(f"fetch('/v1/audio/{kept}').then((answer) => answer.json())")["data"] == []
        # a clip that is no voice leaves no consent behind
        beep = tmp_path / "beep.wav"
        soundfile.write(beep, np.zeros(100), 24_000)
        page.get_by_label("A file with a longer clip").set_input_files(beep)
        expect(page.locator(".file.chosen")).to_have_text("beep.wav")
        page.get_by_role("button", name="Clone", exact=True).click()
        expect(note).to_contain_text("beep.wav", timeout=PATIENCE)
        consents = "fetch('/v1/audio/voice_consents').then((answer) => answer.json())"
        visit.until(lambda: page.evaluate(consents)["data"] == [], "the consent to go")
        visit.problems.clear()  # the browser's own line about the refusal
        # everything is reached by the keyboard: from the text box back to the first button of the counter
        field.focus()
        for _ in range(4):
            page.keyboard.press("Shift+Tab")
            if page.evaluate("document.activeElement.id") == "start":
                break
        assert page.evaluate("document.activeElement.id") == "start"
        assert not visit.problems


@contextmanager
def program(folder: Path, *more: str) -> Iterator[str]:
    """The address of `vivavoce serve` with the bundled model, or as ``more`` says, as a user starts it."""
    command = [
        Path(sys.executable).with_name("vivavoce"),
        "serve",
        "--port",
        "0",
        "--rows",
        "1",
        "--data",
        folder,
        *more,
    ]
    with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            line = server.stdout.readline()
            yield line.split(" at ")[1].split()[0]
        finally:
            server.terminate()


def recorded(number: int) -> np.ndarray:
    """A line of the demo's customer at 48 kHz."""
    pcm, rate = soundfile.read(PACKAGE / f"assistant/recordings/{number}.ogg", dtype="float32")
    return resample(torch.from_numpy(pcm)[None], rate, 48_000)[0].numpy()


def test_the_bundled_model_takes_an_order_and_can_be_hushed(tmp_path, rewrite):
    clip = tmp_path / "order.wav"
    soundfile.write(clip, np.concatenate([np.zeros(2 * 48_000), recorded(2), np.zeros(60 * 48_000)]), 48_000)
    size = {"width": 1280, "height": 820}
    with (
        program(tmp_path) as address,
        visiting(address, microphone=clip, viewport=size) as visit,
    ):
        page = visit.page
        page.get_by_role("button", name="Talk", exact=True).click()
        expect(page.locator(".slip:not(.blank)")).to_contain_text("latte", ignore_case=True, timeout=PATIENCE)
        call = visit.of("response.function_call_arguments.done")[0]
        assert call["name"] == "order_drink" and json.loads(call["arguments"])["coffeeDrink"] == "latte"
        expect(page.locator("#latency b")).to_contain_text(" s", timeout=PATIENCE)
        page.wait_for_timeout(2500)
        page.get_by_role("button", name="Hush").click()
        cut = visit.until(lambda: visit.of("conversation.item.truncate"), "the truncation")[0]
        assert cut["audio_end_ms"] > 0
        visit.until(lambda: visit.of("conversation.item.retrieved"), "what was kept")
        heard = visit.heard()
        assert np.sqrt((heard**2).mean()) > 1e-3 and np.abs(heard).max() > 0.02
        assert not visit.problems and not visit.of("error")
        if rewrite:
            take_pictures(page)


def understood(heard: np.ndarray, said: str) -> float:
    """The share of the words of a reply that an outside recogniser finds, in their order, among all that is sold."""
    from vivavoce.evals.orders import default_orders
    from vivavoce.evals.sphinx import Sphinx
    from vivavoce.evals.word_errors import plain

    wanted = plain(said)
    words = " | ".join(sorted({*wanted, *default_orders().vocabulary}))
    found = Sphinx(f"#JSGF V1.0;\ngrammar talk;\npublic <talk> = ({words})+;\n").words(torch.from_numpy(heard), 24_000)
    same = SequenceMatcher(a=wanted, b=found, autojunk=False).get_matching_blocks()
    return sum(block.size for block in same) / len(wanted)


def test_the_bundled_model_is_understood_and_can_be_interrupted(tmp_path):
    pytest.importorskip("pocketsphinx", reason="pocketsphinx is not installed; pip install pocketsphinx")
    clip = tmp_path / "talk.wav"
    again = np.concatenate([recorded(5), np.zeros(3 * 48_000)])
    sound = np.concatenate([np.zeros(2 * 48_000), recorded(2), np.zeros(15 * 48_000), *[again] * 12])
    soundfile.write(clip, sound, 48_000)
    with program(tmp_path) as address, visiting(address, microphone=clip) as visit:
        page = visit.page
        page.get_by_role("button", name="Talk", exact=True).click()
        expect(page.locator(".slip:not(.blank)")).to_contain_text("latte", ignore_case=True, timeout=PATIENCE)
        visit.until(lambda: visit.of("response.done"), "the answer to the order")
        reply = visit.of("response.output_audio_transcript.done")[0]["transcript"]
        sound = sum(len(e["delta"]) * 3 // 4 for e in visit.of("response.output_audio.delta"))
        page.wait_for_timeout(sound / 48 + 1000)
        heard = visit.heard()
        # "what did you just say?" is asked again and again, and so sooner or later while the answer is still spoken
        cut = visit.until(lambda: visit.of("conversation.item.truncate"), "the interruption")[0]
        whole = [e for e in visit.of("response.output_audio.delta") if e["item_id"] == cut["item_id"]]
        assert 0 < cut["audio_end_ms"] < sum(len(e["delta"]) * 3 // 4 for e in whole) // 48
        visit.until(lambda: visit.of("vivavoce.playback.stopped"), "the end of the sound")
        expect(page.locator("#lines .house").filter(has_text="cut off").first).to_be_visible(timeout=PATIENCE)
        assert not visit.problems and not visit.of("error")
    assert understood(trimmed(heard), reply) > 0.7


def take_pictures(page: Page) -> None:
    """The pictures of the docs: `pytest --golden tests/e2e/test_page.py -k bundled` takes them again."""
    for name, scheme, width in (
        ("page-light", "light", 1280),
        ("page-dark", "dark", 1280),
        ("page-phone", "light", 390),
    ):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 820 if width > 400 else 844})
        page.wait_for_timeout(300)
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        picture.save(PACKAGE.parents[1] / f"docs/pictures/{name}.png", optimize=True)
