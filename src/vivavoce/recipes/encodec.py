"""How EnCodec is trained at 24 kHz (arXiv:2210.13438 §3.4): the balancer, judges that rest in a third of the steps."""

from vivavoce.nn.discriminate import DiscriminatorConfig
from vivavoce.recipes.adversarial import AdversarialRun, recipe_of
from vivavoce.systems.encodec import encodec

RECIPE = recipe_of(
    settings=AdversarialRun(codec=encodec(), judges=DiscriminatorConfig(windows=(2048, 1024, 512, 256, 128))),
    tiny={"codec": encodec(channels=2, dim=16, books=4, size=16, choices=(2, 4), memory_layers=1)},
)
