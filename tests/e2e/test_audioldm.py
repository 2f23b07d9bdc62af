"""AudioLDM in miniature: trained, asked by words, mixed under speech."""

from functools import partial
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from vivavoce.assistant.scenes import beneath
from vivavoce.audio.files import read_audio
from vivavoce.cli.main import app
from vivavoce.core.errors import SpecError
from vivavoce.core.parts import save_part
from vivavoce.data.scenes import SCENES, Scenes
from vivavoce.evals import sounds
from vivavoce.evals.sounds import Judge, measure
from vivavoce.losses.pairs import paired
from vivavoce.models.vocoder import VocoderConfig, VocosConfig
from vivavoce.nn.convnext import ConvNeXtConfig
from vivavoce.recipes import audioldm
from vivavoce.systems.audioldm import AudioLdm
from vivavoce.train.tasks.latent import LatentTask, VaeTask


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, dict[str, float]]:
    folder = tmp_path_factory.mktemp("audioldm")
    return folder / "run", audioldm.debug(folder)


@pytest.fixture(scope="module")
def maker(made) -> AudioLdm:
    return AudioLdm.load(made[0])


def _waves(maker: AudioLdm, rows: int = 8) -> torch.Tensor:
    sound = maker.model.config.sound
    return Scenes(rows, sound.samples, sound.mel.sample_rate, 5)(0).wave


def test_all_three_learn(made):
    found = made[1]
    assert found["after"] < 0.8 * found["before"], found
    assert found["words contrast"] < 2.2 and found["copies frames"] < 0.6, found


def test_latent_numbers_have_unit_deviation(maker):
    sound = maker.model.sound
    assert abs(float(sound.latents(sound.frames(_waves(maker, 12))).std()) - 1) < 0.2


def test_training_sees_vectors_of_sounds_and_now_and_then_of_no_words(maker):
    sound = maker.model.sound
    task = LatentTask(sound, maker.model.unet, maker.model.config.schedule, 0.1)
    frames = sound.frames(_waves(maker, 2)).repeat(100, 1, 1)
    given, heard = task.condition(frames), sound.contrastive.sounds(frames)
    without = (given - sound.nothing(len(frames))).abs().amax(1) < 1e-6
    assert torch.allclose(given[~without], heard[~without]) and 0.04 < float(without.float().mean()) < 0.17


def test_the_judge_of_patches_learns_and_counts_from_its_step_on(maker):
    run = audioldm.SMALL
    task = VaeTask(maker.model.sound, run.judge, divergence=1e-3, adversarial=0.5, judged_from=7)
    sound = maker.model.config.sound
    batch = Scenes(2, sound.samples, sound.mel.sample_rate, 5)(0)
    assert task.skip("judge", 6) and not task.skip("model", 6)
    assert "adversarial" not in task.losses("model", batch, task.outputs(batch))
    assert not task.skip("judge", 7)
    out = task.outputs(batch)
    assert task.losses("model", batch, out)["adversarial"].weight == 0.5
    judged = torch.autograd.grad(task.losses("judge", batch, out)["judge"].value, task.parameters_of("judge"))
    assert bool(judged[0].any())
    maker.model.requires_grad_(False)


def test_guidance_of_0_is_no_condition(maker):
    x, t = torch.randn(2, *maker.model.config.sound.picture()), torch.tensor([0.2, 0.9])
    words = maker.model.sound.contrastive.texts(["rain", "birds"])
    with torch.no_grad():
        alone = maker.model.unet(x, t, maker.model.sound.nothing(2))
        assert torch.allclose(maker.net(words, 0.0)(x, t), alone, atol=1e-5)
        assert torch.allclose(maker.net(words, 1.0)(x, t), maker.model.unet(x, t, words), atol=1e-5)


def test_a_sound_is_a_function_of_words_and_seed(maker):
    both = maker.make(["rain", "birds"], seeds=[1, 2], steps=4, candidates=2).data
    alone = maker.make(["birds"], seeds=[2], steps=4, candidates=2).data
    assert both.shape == (2, 1, audioldm.SMALL_SOUND.samples) and torch.allclose(both[1:], alone, atol=1e-4)
    assert not torch.allclose(both[1:], maker.make(["birds"], seeds=[3], steps=4, candidates=2).data, atol=1e-4)


def test_the_candidate_that_fits_best_is_kept(maker, monkeypatch):
    sound = maker.model.sound
    heard, seen = sound.contrastive.sounds, []

    def listen(frames: torch.Tensor) -> torch.Tensor:
        seen.append((frames, heard(frames)))
        return seen[-1][1]

    monkeypatch.setattr(sound.contrastive, "sounds", listen)
    made = maker.make(["rain"], seeds=[4], steps=3, candidates=4).data[0]
    frames, vectors = seen[0]
    best = frames[(vectors @ sound.contrastive.texts(["rain"])[0]).argmax()]
    with torch.no_grad():
        assert torch.allclose(maker.vocoder(sound.frames.back(best[None])).clamp(-1, 1), made, atol=1e-5)


def test_a_sound_is_changed_the_less_the_lower_the_strength(maker):
    wave = _waves(maker, 1)
    back = maker.vocoder(maker.model.sound.frames.back(maker.model.sound.sounding(
        maker.model.sound.vae.encode(maker.model.sound.frames(wave)).mean * maker.model.sound.scale)))  # fmt: skip
    far = [
        float(
            (maker.make(["rain"], of=wave, strength=s, steps=5, candidates=1).data[0] - back).square().mean().detach()
        )
        for s in (0.02, 1.0)
    ]
    assert far[0] < 0.5 * far[1], far


def test_rows_of_one_scene_share_what_they_find():
    same = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    right = torch.where(same, 20.0, -20.0)
    assert abs(float(paired(right, same)) - 2 / 3 * torch.log(torch.tensor(2.0))) < 1e-4
    assert float(paired(-right, same)) > 10


def test_a_vocoder_of_other_frames_is_refused(tmp_path):
    net = VocosConfig(inputs=16, trunk=ConvNeXtConfig(dim=16, depth=1), window=1200, hop=300)
    mel = audioldm.SMALL_SOUND.mel
    config = VocoderConfig(
        mel=type(mel)(sample_rate=16000, bins=16, hop=300, window=1200, n_fft=2048, fmax=8e3), net=net
    )
    save_part(tmp_path, "vocoder", config, config.build())
    with pytest.raises(SpecError, match="takes frames of"):
        audioldm.train(audioldm.SMALL, tmp_path, tmp_path / "out")


def test_the_command(made, tmp_path):
    run = CliRunner().invoke
    given = ["sound", "rain on a roof", "--model", str(made[0]), "--steps", "2", "--out", str(tmp_path / "rain.wav")]
    assert run(app, given).exit_code == 0 and "0.64 s" in run(app, given).output
    below = [*given[:-1], str(tmp_path / "mixed.wav"), "--under", str(tmp_path / "rain.wav"), "--snr", "6"]
    assert run(app, below).exit_code == 0
    assert len(read_audio(tmp_path / "mixed.wav", 16000)[0]) == audioldm.SMALL_SOUND.samples
    nothing = run(app, [*given[:1], " ", *given[2:]])
    assert nothing.exit_code == 2 and "say it in words" in nothing.output


def test_a_sound_lies_so_far_below_speech():
    speech, bed = 0.1 * torch.randn(1000), torch.randn(300)
    rest = beneath(speech, bed, 10.0) - speech
    assert abs(10 * float(torch.log10(speech.square().mean() / rest.square().mean())) - 10) < 0.1


def test_the_judge_knows_scenes_and_the_report_has_its_controls(maker, monkeypatch):
    judge = Judge(16000, 0.7, each=12)
    waves, names = judge.sounds(3, "held out", 0)
    assert float((judge(waves) == names).float().mean()) > 0.4
    assert torch.equal(judge(0.1 * waves), judge(waves))  # whatever the level
    monkeypatch.setattr(sounds, "Judge", partial(Judge, each=2))
    report = measure(maker, each=1, steps=1, candidates=1)
    rows = {row.name: row for table in report.tables for row in table.rows}
    assert rows["made from words"].value.n == 6 and rows["made from words, words shuffled"].value.n == 6
    assert set(SCENES) <= set(rows)
