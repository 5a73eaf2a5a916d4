"""The real service, for tests of what talks to it."""
import json
import pathlib
import subprocess
import time
import urllib.request


class Service:
    """Serves MODEL until the block ends; then it must end by SIGTERM with exit 0."""

    def __init__(self, bin_folder, model, *options):
        self.process = subprocess.Popen(
            [pathlib.Path(bin_folder) / "holdall-edit", "serve", "--model", model, "--port", "0", "--health-port", "0",
             "--device", "cpu", *options], stderr=subprocess.PIPE, text=True)
        listening = json.loads(self.process.stderr.readline())
        assert listening["event"] == "listening", listening
        self.url, self.health_url = listening["url"], listening["health_url"]
        # Nobody else reads the log: keep the pipe from filling up.
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)

    def __enter__(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                if urllib.request.urlopen(self.health_url + "/readyz").status == 200:
                    return self
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.05)

    def __exit__(self, *failure):
        self.process.terminate()
        status = self.process.wait(30)
        self.drain.wait(10)
        self.process.stderr.close()
        assert status == 0, "SIGTERM did not end in exit 0"
