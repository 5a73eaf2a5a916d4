"""examples/clients as a newcomer runs them, against the real service with the starter model.

usage: recipes_test.py BIN EXAMPLES
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np
from PIL import Image

from service import Service

BIN, EXAMPLES = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
CLIENTS, MODEL = EXAMPLES / "clients", EXAMPLES / "starter-model/checkpoint"
GREEN, LIGHT_BLUE, RED, BLUE = (179, 230, 179), (168, 214, 240), (224, 36, 38), (33, 84, 219)
CIRCLE, LEFT, RIGHT = (slice(10, 22), slice(10, 22)), (slice(34, 62), slice(2, 22)), (slice(2, 22), slice(42, 62))


class Recipe(unittest.TestCase):
    """A folder in which the script has run, and what it said."""

    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        keys, cls.folder = folder / "keys.json", folder / "pictures"
        cls.folder.mkdir()
        key = subprocess.run([BIN / "holdall-edit", "keys", "add", "--keys", keys, "--name", "newcomer", "--role", "editor"],
                             check=True, capture_output=True, text=True).stdout.strip()
        cls.service = cls.enterClassContext(Service(BIN, MODEL, "--state", folder / "state", "--keys", keys))
        run = cls.run_script(cls.folder, key)
        assert run.returncode == 0, run.stdout + run.stderr
        cls.lines = run.stdout.splitlines()

    @classmethod
    def run_script(cls, folder, key):
        return subprocess.run([*cls.program, CLIENTS / cls.script], cwd=folder, capture_output=True, text=True, timeout=120,
                              env={**os.environ, "BASE_URL": cls.service.url, "API_KEY": key})

    def picture(self, name):
        with Image.open(self.folder / name) as picture:
            self.assertEqual((picture.format, picture.size), ("PNG", (64, 64)))
            return np.asarray(picture.convert("RGB")).astype(int)

    def see(self, picture, place, colour):
        seen = picture[place].reshape(-1, 3).mean(0)
        self.assertLess(np.abs(seen - colour).max(), 25, seen)

    def see_blue_circle(self, name):
        picture = self.picture(name)
        self.see(picture, CIRCLE, BLUE)
        self.see(picture, LEFT, LIGHT_BLUE)
        return picture

    def test_the_circle_is_blue_as_in_the_readme(self):
        shown = np.asarray(Image.open(CLIENTS / "edited.png").convert("RGB")).astype(int)
        self.assertLess(np.abs(self.see_blue_circle("edited.png") - shown).mean(), 1)

    def test_the_mask_keeps_what_it_does_not_select(self):
        picture = self.picture("masked.png")
        self.see(picture, CIRCLE, RED)
        self.see(picture, LEFT, GREEN)
        self.see(picture, RIGHT, LIGHT_BLUE)
        shown = np.asarray(Image.open(CLIENTS / "masked.png").convert("RGB")).astype(int)
        self.assertLess(np.abs(picture - shown).mean(), 1)

    def test_the_stream_has_two_pictures_before_the_last(self):
        pictures = [self.see_blue_circle(f"streamed-{i}.png") for i in (1, 2, 3)]
        self.assertEqual(len({picture.tobytes() for picture in pictures}), 3)

    def test_a_wrong_key_ends_with_what_the_service_says(self):
        with tempfile.TemporaryDirectory() as folder:
            run = self.run_script(folder, "hk-nobody")
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("this key is not known here", run.stderr)


class Curl(Recipe):
    program, script = [], "curl.sh"

    def test_the_job_has_the_same_picture_and_is_told_of(self):
        np.testing.assert_array_equal(self.picture("job.png"), self.picture("edited.png"))
        told = [line for line in self.lines if line.startswith(("job.", "image_edit.completed"))]
        self.assertEqual(told[:3], ["job.queued", "job.started", "image_edit.completed"])
        self.assertRegex(told[3], r"^job\.png: /v1/jobs/job_\w+$")

    def test_the_same_key_is_not_edited_twice(self):
        self.assertEqual(self.lines[-2:], ["attempt-1.png: x-cache miss", "attempt-2.png: x-cache hit"])
        self.see_blue_circle("attempt-1.png")
        self.assertEqual(*((self.folder / f"attempt-{i}.png").read_bytes() for i in (1, 2)))


class OpenAIPython(Recipe):
    program, script = [sys.executable], "openai_python.py"

    def test_several_pictures_become_several_others(self):
        pictures = [self.picture(f"several-{i}.png") for i in (1, 2)]
        self.assertFalse(np.array_equal(*pictures))
        for picture in pictures:
            self.see(picture, LEFT, GREEN)

    def test_errors_say_what_to_change(self):
        self.assertRegex(self.lines[-2], "^400 size: .*WIDTHxHEIGHT")
        self.assertRegex(self.lines[-1], "^404 model_not_found: .*'holdall-starter'")


del Recipe  # it has no script
if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
