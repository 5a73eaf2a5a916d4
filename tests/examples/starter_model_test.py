#!/usr/bin/env python3
"""Tests of examples/starter-model. Run with the reference environment's Python; arguments name tests, as unittest's do."""

import contextlib
import gc
import io
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import warnings
from unittest import mock

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "examples/starter-model"
sys.path.insert(0, str(FOLDER))
warnings.simplefilter("ignore")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from diffusers import QwenImageEditPlusPipeline  # noqa: E402
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as edit_plus  # noqa: E402
from diffusers.utils import logging  # noqa: E402
from PIL import Image  # noqa: E402

import checker  # noqa: E402
import editor  # noqa: E402
import evaluate  # noqa: E402
import layout  # noqa: E402
import phrases  # noqa: E402
import released  # noqa: E402
import runs  # noqa: E402
import scenes  # noqa: E402
import train_autoencoder  # noqa: E402
import train_editor  # noqa: E402

logging.set_verbosity_error()
torch.set_num_threads(1)


def edits(count, held_out=False, seed=1):
    rng = np.random.default_rng(seed)
    return [scenes.random_edit(rng, scenes.KINDS[i % 5], held_out) for i in range(count)]


def pairs(scene):
    return {(thing.shape, thing.colour) for thing in scene.things}


def by_pipeline(pipe, picture, case):
    """The released pipeline's edit of a picture."""
    pipe.set_progress_bar_config(disable=True)
    edit_plus.VAE_IMAGE_SIZE, edit_plus.CONDITION_IMAGE_SIZE = layout.AREA, layout.CONDITION_AREA
    return np.asarray(pipe(
        image=[Image.fromarray(picture)], prompt=case["prompt"], true_cfg_scale=1.0, num_inference_steps=layout.STEPS,
        height=scenes.SIZE, width=scenes.SIZE, generator=torch.Generator().manual_seed(case["seed"])).images[0])


class Scenes(unittest.TestCase):
    def test_the_same_seed_draws_the_same_edits(self):
        self.assertEqual(edits(50), edits(50))
        self.assertNotEqual(edits(50), edits(50, seed=2))

    def test_no_training_picture_has_a_held_out_pair(self):
        for scene, edit in edits(2000):
            self.assertFalse(pairs(scene) & scenes.HELD_OUT, (scene, edit))
            self.assertFalse(pairs(scenes.apply(scene, edit)) & scenes.HELD_OUT, (scene, edit))

    def test_a_held_out_edit_is_about_a_held_out_pair(self):
        for scene, edit in edits(500, held_out=True):
            about = scene if edit.kind in ("remove", "background") else scenes.apply(scene, edit)
            self.assertTrue(pairs(about) & scenes.HELD_OUT, (scene, edit))

    def test_every_shape_and_every_colour_of_the_held_out_pairs_is_trained(self):
        seen = set().union(*(pairs(scenes.apply(*edit)) for edit in edits(2000)))
        self.assertEqual(seen, set(itertools.product(scenes.SHAPES, scenes.COLOURS)) - scenes.HELD_OUT)

    def test_an_edit_changes_its_cell_only(self):
        for scene, edit in edits(200):
            changed = (scenes.draw(scene) != scenes.draw(scenes.apply(scene, edit))).any(-1)
            self.assertTrue(changed.any(), edit)
            if edit.kind != "background":
                changed[scenes.cell_slice(edit.cell)] = False
                self.assertFalse(changed.any(), edit)


class Phrases(unittest.TestCase):
    def test_a_reference_means_one_object_and_says_so(self):
        rng = np.random.default_rng(3)
        words = {"shape": phrases.SHAPE_WORDS, "colour": phrases.COLOUR_WORDS, "cell": phrases.PLACE_WORDS}
        for (scene, edit), language in itertools.product(edits(300), phrases.LANGUAGES):
            if edit.kind not in ("remove", "recolour", "replace"):
                continue
            thing = scene.at(edit.cell)
            text, named = phrases.reference(rng, scene, thing, language)
            self.assertEqual([t for t in scene.things if all(getattr(t, a) == getattr(thing, a) for a in named)], [thing], text)
            for attribute in named:
                self.assertTrue(any(w in text for w in words[attribute][language][getattr(thing, attribute)]), (text, attribute))

    def test_no_template_makes_a_free_phrasing(self):
        self.assertEqual(len(phrases.free()), 50)
        for phrasing in phrases.free():
            for template in phrases.TEMPLATES[phrasing["language"]][phrasing["kind"]]:
                for before in ["", *phrases.BEFORE[phrasing["language"]]]:
                    pattern = re.escape(before) + re.sub(r"\\\{\w\\\}", ".+", re.escape(template.lstrip("!")))
                    pattern += "(" + "|".join(re.escape(a) for a in ["", "?", *phrases.AFTER[phrasing["language"]]]) + ")"
                    match = re.fullmatch(pattern, phrasing["text"], re.IGNORECASE)
                    self.assertFalse(match and self.made(template, pattern, phrasing), (phrasing["text"], template))

    @staticmethod
    def made(template, pattern, phrasing):
        """Whether the slots hold what templates put there, judged by a thousand tries."""
        rng = np.random.default_rng(9)
        for _ in range(1000):
            scene, edit = evaluate.around(rng, phrasing)
            if phrases.instruction(rng, scene, edit, phrasing["language"]).lower() == phrasing["text"].lower():
                return True
        return False

    def test_the_templates_prefix_is_64_tokens_and_no_token_joins_a_colour_and_a_shape(self):
        tokens, _, _ = layout.tokenizer()
        self.assertEqual(len(tokens(released.PREFIX)["input_ids"]), 64)
        for colours, shapes in itertools.product(phrases.COLOUR_WORDS["zh"].values(), phrases.SHAPE_WORDS["zh"].values()):
            for colour, shape in itertools.product(colours, shapes):
                self.assertEqual(tokens(colour + "的" + shape)["input_ids"], [i for w in (colour, "的", shape) for i in tokens(w)["input_ids"]])


class Checker(unittest.TestCase):
    def test_the_truth_passes_and_the_unedited_picture_does_not(self):
        for scene, edit in edits(300) + edits(300, held_out=True):
            self.assertTrue(checker.judge(scenes.draw(scenes.apply(scene, edit)), scene, edit)[0], edit)
            self.assertFalse(checker.judge(scenes.draw(scene), scene, edit)[0], edit)

    def test_a_wrong_edit_does_not_pass(self):
        rng = np.random.default_rng(5)
        for scene, edit in edits(300):
            wrong = {
                "add": lambda: scenes.Edit("add", edit.cell, edit.shape, next(c for c in scenes.COLOURS if c != edit.colour)),
                "remove": lambda: scenes.Edit("recolour", edit.cell, colour="brown" if scene.at(edit.cell).colour != "brown" else "pink"),
                "recolour": lambda: scenes.Edit("recolour", edit.cell, colour=next(
                    c for c in scenes.COLOURS if c not in (edit.colour, scene.at(edit.cell).colour))),
                "replace": lambda: scenes.Edit("replace", edit.cell, next(
                    s for s in scenes.SHAPES if s not in (edit.shape, scene.at(edit.cell).shape)), edit.colour),
                "background": lambda: scenes.Edit("background", background=next(
                    b for b in scenes.BACKGROUNDS if b != edit.background)),
            }[edit.kind]()
            passed, findings = checker.judge(scenes.draw(scenes.apply(scene, wrong)), scene, edit)
            self.assertFalse(passed, (edit, wrong, findings))

    def test_a_damaged_neighbour_does_not_pass(self):
        for scene, edit in edits(200):
            after = scenes.apply(scene, edit)
            others = [t for t in after.things if t.cell != edit.cell]
            if others:
                damaged = scenes.apply(after, scenes.Edit("remove", others[0].cell))
                self.assertFalse(checker.judge(scenes.draw(damaged), scene, edit)[0], edit)

    def test_noise_and_emptiness_do_not_pass(self):
        rng = np.random.default_rng(6)
        for scene, edit in edits(50):
            self.assertFalse(checker.judge(rng.integers(0, 256, (64, 64, 3)), scene, edit)[0])
            self.assertFalse(checker.judge(np.full((64, 64, 3), (255, 0, 255)), scene, edit)[0])


class Figures(unittest.TestCase):
    """Which figures a released checkpoint needs."""

    def good(self):
        part = {"n": 300, "passed": 0.95, "kind": dict.fromkeys(scenes.KINDS, 0.9), "language": {"en": 0.97, "zh": 0.93}}
        return json.loads(json.dumps({
            "calibration": {"truth_through_autoencoder": 0.97, "unedited": 0.02, "autoencoder_psnr": 33.0},
            "seen": part, "held_out": part, "free": {"n": 50, "passed": 0.7}}))

    def test_good_ones_fall_short_of_nothing(self):
        self.assertEqual(evaluate.shortfalls(self.good()), [])

    def test_each_that_falls_short_is_named(self):
        for part, name, value in (
                ("calibration", "truth_through_autoencoder", 0.969), ("calibration", "truth_through_autoencoder", float("nan")),
                ("calibration", "autoencoder_psnr", 32.9), ("seen", "n", 299), ("held_out", "n", 299),
                ("seen", "passed", 0.899), ("held_out", "passed", 0.799), ("free", "passed", 0.699)):
            figures = self.good()
            figures[part][name] = value
            found = evaluate.shortfalls(figures)
            self.assertEqual(len(found), 1, found)
            self.assertRegex(found[0], rf"{name} is {value}, needed at least")
        for part, too_few in (("seen", 0.79), ("held_out", 0.64)):
            for kind in scenes.KINDS:
                figures = self.good()
                figures[part]["kind"][kind] = too_few
                self.assertEqual(evaluate.shortfalls(figures)[0].split(" is ")[0], f"{part}.kind.{kind}")
        figures = self.good()
        figures["calibration"]["unedited"] = 0.03
        self.assertIn("unedited", evaluate.shortfalls(figures)[0])
        figures = self.good()
        figures["held_out"]["language"] = {"en": 0.91, "zh": 0.97}
        self.assertIn("0.06 apart", evaluate.shortfalls(figures)[0])


class FastPath(unittest.TestCase):
    def test_it_makes_the_pictures_of_the_released_pipeline(self):
        torch.manual_seed(0)
        model = editor.Editor().eval()
        with torch.no_grad():
            for name, p in [*model.transformer.named_parameters(), *model.text_encoder.named_parameters()]:
                if p.dim() > 1:
                    p.copy_(torch.randn_like(p) * p[0].numel() ** -0.5)
                else:
                    p.copy_(0.1 * torch.randn_like(p) + ("norm" in name or "ln_q" in name))
            model.latents_mean.copy_(torch.randn(16) * 0.1)
            model.latents_std.copy_(0.5 + torch.rand(16))
        chosen = evaluate.cases("seen", 6, 1)
        before = [scenes.draw(c["scene"]) for c in chosen]
        fast = model.edit(np.stack(before), [c["prompt"] for c in chosen], [c["seed"] for c in chosen])
        pipe = layout.pipeline(model.tokens, model.text_encoder, model.transformer, model.autoencoder,
                               (model.latents_mean.tolist(), model.latents_std.tolist()))
        for picture, case, ours in zip(before, chosen, fast):
            theirs = by_pipeline(pipe, picture, case)
            difference = np.abs(theirs.astype(int) - ours)
            self.assertGreater(theirs.std(), 5)
            self.assertLessEqual(difference.max(), 1)  # a value that lies between two levels may round either way
            self.assertLess((difference > 0).mean(), 0.001)


class Start(unittest.TestCase):
    def test_it_begins_as_the_unedited_picture(self):
        torch.manual_seed(0)
        model = editor.Editor()
        train_editor.initialise(model)
        source = layout.SPREAD * torch.randn(4, 16, 64)
        ids, lengths = model.tokenize(["remove the star"] * 4)
        noise = torch.randn(4, 16, 64)
        with torch.no_grad():
            text = model.read(ids, torch.zeros(4, 4, 1536))
            velocity = model.velocity(noise, source, text, lengths, torch.ones(4))
        error = (velocity - (noise - source)).square().mean() / source.square().mean()
        self.assertLess(error.item(), 0.1)


class Smoke(unittest.TestCase):
    def test_it_leaves_the_states_of_a_real_training_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            stub = pathlib.Path(folder) / "python"  # shows its arguments in the place of training
            stub.write_text('#!/bin/sh\necho "$@"\n')
            stub.chmod(0o755)
            output = subprocess.run(
                [FOLDER / "train.sh", "--smoke"], check=True, stdout=subprocess.PIPE, text=True,
                env=os.environ | {"HOLDALL_REFERENCE_PYTHON": str(stub), "HOLDALL_CACHE": folder, "TMPDIR": folder}).stdout
            state = pathlib.Path(re.search(r"train_editor.py --state (\S+)", output)[1])
            self.assertNotEqual(state, pathlib.Path(folder) / "starter-model")
            self.assertEqual(os.listdir(folder), ["python"])


class Training(unittest.TestCase):
    """One smoke run of train.sh, from nothing to a checkpoint and its figures."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.state = pathlib.Path(cls.folder.name)
        cls.output = subprocess.run(
            [FOLDER / "train.sh", "--smoke", "--workers", "2", cls.state], check=True, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"HOLDALL_REFERENCE_PYTHON": sys.executable}).stdout

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_it_prints_every_figure_with_its_count_and_seed(self):
        figures = json.loads(self.output[self.output.index("{\n"):])
        self.assertEqual([figures[name]["n"] for name in evaluate.SETS], [10, 10, 50])
        self.assertEqual(set(figures["seen"]["kind"]), set(scenes.KINDS))
        self.assertEqual(set(figures["seen"]["language"]), set(phrases.LANGUAGES))
        self.assertEqual(figures["calibration"]["truth"], 1)
        self.assertEqual(figures["calibration"]["unedited"], 0)
        self.assertIn("seed", figures)

    def test_a_model_that_edits_nothing_is_not_good_enough_to_be_released(self):
        with contextlib.redirect_stdout(io.StringIO()) as printed, self.assertRaisesRegex(SystemExit, "seen.passed is 0.0, needed"):
            evaluate.main(["--state", str(self.state), "--count", "5"])
        self.assertIn('"seen"', printed.getvalue())

    def test_a_model_that_edits_nothing_is_not_good_enough_to_be_released(self):
        with contextlib.redirect_stdout(io.StringIO()) as printed, self.assertRaisesRegex(SystemExit, "seen.passed is 0.0, needed"):
            evaluate.main(["--state", str(self.state), "--count", "5"])
        self.assertIn('"seen"', printed.getvalue())

    def test_the_checkpoint_is_the_released_layout_and_computes_the_same(self):
        checkpoint = self.state / "checkpoint"
        size = sum(file.stat().st_size for file in checkpoint.rglob("*") if file.is_file())
        self.assertLess(size, 12_000_000)
        ours = evaluate.from_checkpoint(checkpoint)
        pipe = QwenImageEditPlusPipeline.from_pretrained(checkpoint, torch_dtype=torch.float32)
        self.compare(ours, pipe)

    def compare(self, ours, pipe):
        case = evaluate.cases("seen", 1, 1)[0]
        picture = scenes.draw(case["scene"])
        fast = ours.edit(picture[None], [case["prompt"]], [case["seed"]])[0]
        self.assertLessEqual(np.abs(by_pipeline(pipe, picture, case).astype(int) - fast).max(), 1)

    def test_an_interrupted_training_goes_on_as_if_it_had_not_been(self):
        states = []
        for stops in (["4"], ["2", "4"]):
            with tempfile.TemporaryDirectory() as folder:
                (pathlib.Path(folder) / "autoencoder.pt").write_bytes((self.state / "autoencoder.pt").read_bytes())
                for stop in stops:
                    with contextlib.redirect_stdout(io.StringIO()):
                        train_editor.train(0, train_editor.arguments([
                            "--state", folder, "--read-steps", "1", "--steps", "4", "--stop", stop, "--batch", "4", "--workers", "1",
                            "--log-every", "2", "--judge-count", "0"]))
                    gc.collect()  # closes the lock
                states.append(torch.load(pathlib.Path(folder) / "editor.pt", weights_only=True))
        whole, parts = states
        self.assertTrue(all(torch.equal(whole["average"][name], parts["average"][name]) for name in whole["average"]))
        self.assertEqual([record["step"] for record in parts["records"]], [0, 2, 4])

    def test_a_state_of_another_autoencoder_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            arguments = train_editor.arguments(["--state", str(folder), "--workers", "1", "--steps", "4"])
            state = torch.load(self.state / "editor.pt", weights_only=True)
            torch.save(state | {"arguments": {name: getattr(arguments, name) for name in train_editor.OUTCOME}}, folder / "editor.pt")
            other = torch.load(self.state / "autoencoder.pt", weights_only=True)
            next(iter(other["model"].values())).add_(1)
            torch.save(other, folder / "autoencoder.pt")
            with self.assertRaisesRegex(SystemExit, "editor.pt' was trained with another autoencoder"):
                train_editor.train(0, arguments)
            with self.assertRaisesRegex(SystemExit, "another autoencoder"):
                evaluate.from_state(folder)
        state = torch.load(self.state / "editor.pt", weights_only=True)
        self.assertFalse([name for name in state["editor"] if name.startswith("autoencoder")])

    def test_a_second_training_in_the_same_folder_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            first = runs.Run(folder, "editor", {})
            with self.assertRaisesRegex(SystemExit, "written by another training"):
                runs.Run(folder, "editor", {})
            first.lock.close()
            runs.Run(folder, "editor", {}).lock.close()

    def test_a_training_goes_on_with_its_own_arguments_only(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("autoencoder.pt", "editor.pt"):
                (pathlib.Path(folder) / name).write_bytes((self.state / name).read_bytes())
            with self.assertRaisesRegex(SystemExit, "editor.pt' was trained with --batch 6 --workers 2, not --batch 5 --workers 1: "):
                train_editor.train(0, train_editor.arguments([
                    "--state", folder, "--read-steps", "2", "--steps", "4", "--batch", "5", "--workers", "1"]))
            gc.collect()  # closes the lock
            with self.assertRaisesRegex(SystemExit, "autoencoder.pt' was trained with --steps 8, not --steps 9: "):
                train_autoencoder.main(["--state", folder, "--steps", "9", "--batch", "8"])

    def test_a_state_is_on_the_disk_before_it_takes_the_old_ones_place(self):
        calls, rename = [], pathlib.Path.rename

        def renamed(path, target):
            calls.append("rename")
            return rename(path, target)

        with tempfile.TemporaryDirectory() as folder, \
                mock.patch("os.fsync", lambda descriptor: calls.append(os.readlink(f"/proc/self/fd/{descriptor}"))), \
                mock.patch.object(pathlib.Path, "rename", renamed):
            folder = pathlib.Path(folder).resolve()
            runs.whole(folder / "state", lambda file: file.write_text("new"))
            self.assertEqual((folder / "state").read_text(), "new")
        self.assertEqual(calls, [str(folder / f".state.{os.getpid()}"), "rename", str(folder)])

    def test_two_workers_learn_from_twice_the_samples(self):
        state = torch.load(self.state / "editor.pt", weights_only=True)
        self.assertEqual(state["step"], 4)
        self.assertEqual(state["records"][-1]["samples"], 4 * 6 * 2)


if __name__ == "__main__":
    unittest.main()
