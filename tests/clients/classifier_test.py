"""examples/classifier beside the real service with the starter model: what it flags is refused, before and after the edit.

usage: classifier_test.py BIN EXAMPLES
"""
import base64
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

from service import Service, ask, edit

BIN, EXAMPLES = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
MODEL = EXAMPLES / "starter-model/checkpoint"
PICTURE = MODEL / "golden/recolour.png"


class Classifier(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.words, self.pictures = self.folder / "words.txt", self.folder / "pictures.txt"
        self.words.write_text("gun\n")
        self.pictures.write_text("")
        self.process = self.enterContext(subprocess.Popen(
            [EXAMPLES / "classifier/classifier.py", "--port", "0", "--words", self.words, "--pictures", self.pictures],
            stdout=subprocess.PIPE, text=True))
        self.addCleanup(self.process.kill)
        config = self.folder / "config.json"
        config.write_text(json.dumps({"policy": {"classifier_url": self.process.stdout.readline().strip()}}))
        self.service = self.enterContext(Service(BIN, MODEL, "--config", config))

    def edit(self, prompt="make the red circle blue"):
        status, _, reply = edit(self.service.url, PICTURE, prompt=prompt, seed=1, num_inference_steps=2)
        return status, reply

    def refusal(self, **fields):
        status, reply = self.edit(**fields)
        return status, reply["error"]["code"]

    def checks(self, stage, result):
        _, _, text = ask("GET", self.service.health_url + "/metrics")
        name = f'holdall_policy_checks_total{{result="{result}",stage="{stage}"}} '
        return [int(line[len(name):]) for line in text.decode().splitlines() if line.startswith(name)]

    def test_what_is_flagged_is_refused(self):
        status, reply = self.edit()
        self.assertEqual(status, 200, reply)
        made = base64.b64decode(reply["data"][0]["b64_json"])
        self.assertEqual(self.refusal(prompt="Add a GUN"), (400, "content_policy_violation"))
        self.assertEqual(self.checks("after", "passed"), [1])
        self.pictures.write_text(hashlib.sha256(made).hexdigest() + "  result.png\n")
        self.assertEqual(self.refusal(), (400, "content_policy_violation"))
        self.assertEqual(self.checks("after", "refused"), [1])
        self.pictures.write_text(hashlib.sha256(PICTURE.read_bytes()).hexdigest() + "\n")
        self.assertEqual(self.refusal(), (400, "content_policy_violation"))
        self.assertEqual(self.checks("before", "refused"), [2])

    def test_nothing_passes_without_it(self):
        self.process.kill()
        self.process.wait()
        self.assertEqual(self.refusal(), (503, "content_policy_unavailable"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
