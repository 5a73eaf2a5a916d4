"""Edits by holdall-edit, over HTTP: what a user gets, and how long it takes."""

import base64
import io
import json
import subprocess
import time

import requests
import numpy as np
from PIL import Image


def png(values):
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


class Service:
    """A running service of one checkpoint on this machine's processor; end it by leaving its `with`."""

    def __init__(self, program, checkpoint):
        self.process = subprocess.Popen(
            [program, "serve", "--model", checkpoint, "--device", "cpu", "--port", "0", "--health-port", "0"],
            stderr=subprocess.PIPE, text=True)
        listening = self.process.stderr.readline()
        if not listening:
            raise SystemExit(f"'{program}' ended with exit code {self.process.wait()}")
        self.log = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)  # so that the pipe never fills
        listening = json.loads(listening)
        self.url = listening["url"] + "/v1/images/edits"
        self.seconds = []  # of each edit
        try:
            while requests.get(listening["health_url"] + "/readyz", timeout=60).status_code != 200:
                if self.process.poll() is not None:
                    raise SystemExit(f"'{program}' ended with exit code {self.process.returncode}: it cannot use '{checkpoint}'")
                time.sleep(0.05)
        except requests.ConnectionError as error:
            self.close()
            raise SystemExit(f"'{program}' does not get ready: it cannot use '{checkpoint}': {error}") from error

    def edit(self, picture, prompt, seed, steps, mask=None):
        """The edited picture, uint8 (H, W, 3); `mask`, uint8 (H, W): what is white is repainted."""
        files = {"image": picture} if mask is None else {"image": picture, "mask": mask}
        files = {name: (f"{name}.png", png(values), "image/png") for name, values in files.items()}
        started = time.monotonic()
        reply = requests.post(self.url, files=files, timeout=60,
                              data={"prompt": prompt, "seed": seed, "num_inference_steps": steps, "size": "auto"})
        self.seconds.append(time.monotonic() - started)
        if reply.status_code != 200:
            raise SystemExit(f"the service refused '{prompt}': {reply.status_code} {reply.text}")
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(reply.json()["data"][0]["b64_json"]))).convert("RGB"))

    def close(self):
        self.process.terminate()
        self.process.wait(60)
        self.log.wait(10)
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
