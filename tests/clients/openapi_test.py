"""schemathesis, unmodified, against the service with the starter model: every answer is one that openapi.json lists.

usage: openapi_test.py BIN MODEL
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import urllib.request

from service import Service

BIN, MODEL = (pathlib.Path(argument) for argument in sys.argv[1:3])


class OpenApi(unittest.TestCase):
    def test_every_answer_is_documented(self):
        with tempfile.TemporaryDirectory() as folder, Service(BIN, MODEL, "--state", folder) as service:
            # Left out: that what the schemas allow is accepted. Whether bytes are a picture is more than a schema says.
            run = subprocess.run(
                [pathlib.Path(sys.executable).parent / "schemathesis", "run", service.url + "/openapi.json", "--checks",
                 "all", "--exclude-checks", "positive_data_acceptance", "--phases", "examples,coverage,fuzzing",
                 "--max-examples", "30", "--seed", "1", "--no-shrink", "--request-timeout", "60", "--warnings", "off",
                 "--report", "json", "--report-json-path", folder + "/report.json"],
                cwd=folder, capture_output=True, text=True)
            self.assertEqual(run.returncode, 0, run.stdout[-8000:] + run.stderr[-2000:])
            # Not by trying nothing: each operation was called, and the examples made pictures.
            metrics = urllib.request.urlopen(service.health_url + "/metrics").read().decode()
            description = json.load(urllib.request.urlopen(service.url + "/openapi.json"))
        for path, operations in description["paths"].items():
            for method in operations:
                self.assertIn(f'method="{method.upper()}",route="{path}"', metrics)
        self.assertIn('holdall_http_requests_total{code="200",method="POST",route="/v1/images/edits"}', metrics)
        self.assertNotIn('code="5', metrics)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
