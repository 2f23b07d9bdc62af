"""What every test gets: seeds, one thread, a way to write golden files again, and other people's models."""

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import annotations  # noqa: F401 - from now on, and before anything of the package, checks remember what has passed
import parsing  # noqa: F401
from vivavoce.core.errors import PartError
from vivavoce.hub import codecs
from vivavoce.hub.catalogue import find
from vivavoce.hub.fetch import place
from vivavoce.models.back import SeanetBackConfig
from vivavoce.models.codec import CodecConfig
from vivavoce.models.front import SeanetFrontConfig
from vivavoce.nn.quantize import ResidualConfig
from vivavoce.nn.seanet import SeanetConfig
from vivavoce.systems.encodec import ChunkedCodec, Chunks

ROOT = Path(__file__).resolve().parent.parent
FETCHED = Path(os.environ.get("VIVAVOCE_DATA") or ROOT / ".venv" / "data")
"""Where `make models` puts what the tests use; looked up before any test chooses a data folder of its own."""

torch.set_num_threads(1)  # the tensors are tiny; more threads only wait for each other


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="write golden files and snapshots instead of comparing")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written rather than compared."""
    return bool(request.config.getoption("--golden"))


@pytest.fixture
def snapshot(rewrite: bool) -> Callable[[str, Any], None]:
    """Compares a value with the JSON file of that name under tests/rules/snapshots."""

    def compare(name: str, value: Any) -> None:
        path = ROOT / "tests/rules/snapshots" / f"{name}.json"
        if rewrite:
            path.write_text(json.dumps(value, indent=1) + "\n")
        assert path.exists(), f"{path} is missing; `make golden` writes it"
        assert value == json.loads(path.read_text()), f"{name} changed; if that is meant, `make golden` writes it again"

    return compare


@pytest.fixture
def stereo(tmp_path: Path) -> Path:
    """A codec for whole stereo recordings, as others load it."""
    net = SeanetConfig(
        dim=8, channels=4, strides=(4, 5), skip="conv", memory="lstm", memory_layers=1, causal=False, edge="reflect",
        trim="both", normed=True, wave_channels=2,
    )  # fmt: skip
    codec = CodecConfig(
        front=SeanetFrontConfig(net=net, sample_rate=24_000),
        quantizer=ResidualConfig(dim=8, code_dim=0, books=4, size=16),
        back=SeanetBackConfig(net=net),
    ).build()
    codec.quantizer.start(0.05 * torch.randn(1, 8, 64))
    codecs.write(ChunkedCodec(codec.eval(), Chunks(samples=2_400, step=2_000)), tmp_path / "stereo")
    return tmp_path / "stereo"


@pytest.fixture(scope="session")
def fetched() -> Callable[[str], Path]:
    """Gives the folder of a model of the catalogue; the test is skipped where it was not fetched.

    With VIVAVOCE_REQUIRE_MODELS=1 it fails instead. The folder lies in a data folder that VIVAVOCE_DATA can name.
    """

    def folder(name: str) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("VIVAVOCE_DATA", str(FETCHED))
            try:
                return place(find(name))
            except PartError as error:
                if os.environ.get("VIVAVOCE_REQUIRE_MODELS") == "1":
                    pytest.fail(str(error))
                pytest.skip(f"{error} (`make models` fetches what the tests use)")

    return folder


@pytest.fixture(scope="session", autouse=True)
def undrawn() -> Iterator[None]:
    """Nobody looks at the curves of miniatures, which cost most of a second each; `tests/unit/test_train.py` draws."""
    import vivavoce.train.recipe as recipe

    class Undrawn(recipe.Curves):
        def end(self, run: Any) -> None:
            """Nothing."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "Curves", Undrawn)
        yield
