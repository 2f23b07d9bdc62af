"""How SpeechTokenizer is trained (arXiv:2308.16692): a teacher for the first book, judges of three kinds.

Departs: mel distances are SoundStream's, at a tenth of the weight, as they sum more resolutions.
"""

from vivavoce.nn.discriminate import DiscriminatorConfig
from vivavoce.recipes.adversarial import TEACHER, AdversarialRun, recipe_of
from vivavoce.recipes.codec_data import CropConfig
from vivavoce.systems.speechtokenizer import speechtokenizer
from vivavoce.train.tasks.codec_adversarial import AdversarialWeights

RECIPE = recipe_of(
    settings=AdversarialRun(
        codec=speechtokenizer(),
        crops=CropConfig(batch=6, frames=150, played_otherwise=0.0),
        judges=DiscriminatorConfig(periods=(2, 3, 5, 7, 11), scales=3),
        weights=AdversarialWeights(
            wave=500.0,
            mel=4.5,
            adversarial=1.0,
            features=2.0,
            commitment=10.0,
            teacher=120.0,
            balanced=False,
            game="squares",
            judged=1.0,
        ),
        lr=1e-4,
        betas=(0.9, 0.99),
    ),
    tiny={"codec": speechtokenizer(channels=2, dim=16, books=3, size=16)},
    teacher=TEACHER,
)
