"""How Mimi is trained (arXiv:2410.00037 §3.3): as EnCodec, with a teacher for its first book.

The last stage, judges alone, goes on from it: ``--from RUN --set weights.wave=0 --set weights.mel=0``.
"""

from vivavoce.nn.discriminate import DiscriminatorConfig
from vivavoce.nn.seanet import SeanetConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.adversarial import TEACHER, AdversarialRun, recipe_of
from vivavoce.recipes.codec_data import CropConfig
from vivavoce.systems.mimi import mimi
from vivavoce.train.tasks.codec_adversarial import AdversarialWeights

_NET = SeanetConfig(dim=16, channels=2, strides=(4, 5, 6, 8), last_kernel=3)
_TRUNK = TransformerConfig(
    dim=16, layers=1, heads=2, kv_heads=2, hidden=32, window=50, norm="layer", gated=False, scaled=0.01, last_norm=False
)  # fmt: skip

RECIPE = recipe_of(
    settings=AdversarialRun(
        codec=mimi(),
        crops=CropConfig(frames=75, played_otherwise=0.0),
        judges=DiscriminatorConfig(windows=(2048, 1024, 512, 256, 128)),
        weights=AdversarialWeights(mel=2.0, adversarial=4.0, features=4.0, over_time=False, judged=1.0),
    ),
    tiny={
        "codec": mimi(net=_NET, trunk=_TRUNK, books=4, size=16, code_dim=8, unquantised=0.0),
        "crops": CropConfig(batch=4, frames=8),
        "weights": AdversarialWeights(mel=20.0, over_time=False),
        "lr": 1e-3,
    },
    teacher=TEACHER,
)
