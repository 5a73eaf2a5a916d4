#!/usr/bin/env python3
"""The released starter model by the real service, over HTTP, beside the reference. The model card's figures, with fewer edits.

usage: starter_model_service_test.py HOLDALL-EDIT
"""

import contextlib
import io
import json
import pathlib
import sys
import unittest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "examples/starter-model"
sys.path.insert(0, str(FOLDER))
PROGRAM = sys.argv[1]

import numpy as np  # noqa: E402

import evaluate  # noqa: E402
import scenes  # noqa: E402
from service import Service  # noqa: E402


class Figures(unittest.TestCase):
    def test_the_service_edits_as_well_as_the_reference_and_well_enough(self):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            evaluate.main(["--checkpoint", str(FOLDER / "checkpoint"), "--service", PROGRAM, "--count", "20", "--no-gate"])
        figures = json.loads(printed.getvalue())
        beside = figures["beside_the_reference"]
        self.assertEqual((beside["n"], beside["other_verdicts"]), (20 + 20 + 50, 0))
        self.assertLessEqual(beside["largest_difference_in_grey_levels"], 1)
        few = [line for line in evaluate.shortfalls(figures) if ".n is 20, " not in line]
        self.assertEqual(few, [])


class Requests(unittest.TestCase):
    def test_an_empty_instruction_is_refused_and_another_one_gives_another_picture(self):
        case = evaluate.cases("seen", 1, 7)[0]
        picture = scenes.draw(case["scene"])
        with Service(PROGRAM, FOLDER / "checkpoint") as service:
            first, again, other = (service.edit(picture, prompt, 7, 4) for prompt in
                                   ("make the background black", "make the background black", "make the background beige"))
            np.testing.assert_array_equal(first, again)
            self.assertGreater(np.abs(first.astype(int) - other).mean(), 50)
            with self.assertRaisesRegex(SystemExit, "400 .*'prompt' is required"):
                service.edit(picture, "", 7, 4)

    def test_a_mask_keeps_what_it_does_not_select(self):
        picture = scenes.draw(evaluate.cases("seen", 1, 7)[0]["scene"])
        mask = np.zeros((64, 64), np.uint8)
        mask[:, :32] = 255
        with Service(PROGRAM, FOLDER / "checkpoint") as service:
            edited = service.edit(picture, "make the background black", 7, 4, mask)
        difference = np.abs(edited.astype(int) - picture)
        self.assertGreater(difference[:, :24].mean(), 50)
        self.assertLess(difference[:, 40:].mean(), 10)

    def test_a_checkpoint_that_is_none_is_named(self):
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaisesRegex(SystemExit, "it cannot use '.*golden'"):
            Service(PROGRAM, FOLDER / "checkpoint/golden")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
