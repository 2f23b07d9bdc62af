"""How SoundStream is trained (arXiv:2107.03312 §3.4): judges of one spectrum and of the wave at three scales.

Departs: feature distances are relative to the real sound's, as EnCodec has them.
"""

from vivavoce.nn.discriminate import DiscriminatorConfig
from vivavoce.recipes.adversarial import AdversarialRun, recipe_of
from vivavoce.systems.soundstream import soundstream
from vivavoce.train.tasks.codec_adversarial import AdversarialWeights

RECIPE = recipe_of(
    settings=AdversarialRun(
        codec=soundstream(),
        judges=DiscriminatorConfig(windows=(1024,), scales=3),
        weights=AdversarialWeights(wave=0.0, adversarial=1.0, features=100.0, balanced=False, judged=1.0),
        lr=1e-4,
    ),
    tiny={"codec": soundstream(channels=2, dim=16, books=3, size=16)},
)
