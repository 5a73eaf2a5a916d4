"""The real service, for tests of what talks to it."""
import base64
import json
import pathlib
import socket
import subprocess
import time
import urllib.error
import urllib.request


class Service:
    """Serves MODEL until the block ends; then it must end by SIGTERM with exit 0. `log`: a file for what it says meanwhile."""

    def __init__(self, bin_folder, model, *options, log=subprocess.DEVNULL):
        self.process = subprocess.Popen(
            [pathlib.Path(bin_folder) / "holdall-edit", "serve", "--model", model, "--port", "0", "--health-port", "0",
             "--device", "cpu", *options], stderr=subprocess.PIPE, text=True)
        listening = json.loads(self.process.stderr.readline())
        assert listening["event"] == "listening", listening
        self.url, self.health_url = listening["url"], listening["health_url"]
        # Nobody else reads the log: keep the pipe from filling up.
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=log)

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

    def worker_pid(self):
        """Of the process that holds the model."""
        return int(pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()[0])


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(condition, what, seconds=60):
    """Until it is true and raises nothing that the network or an empty answer may raise."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except (OSError, IndexError):
            pass
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def edit_body(picture, prompt="make the red circle blue", **fields):
    """An edit as JSON with a data URL."""
    data = base64.b64encode(pathlib.Path(picture).read_bytes()).decode()
    return json.dumps({"prompt": prompt, "image": "data:image/png;base64," + data, **fields}).encode()


def ask(method, url, body=None, headers={}, timeout=120):
    """(status, headers, JSON or bytes), whatever the status."""
    request = urllib.request.Request(url, body, dict(headers), method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            status, fields, data = reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as error:
        status, fields, data = error.code, error.headers, error.read()
    return status, fields, json.loads(data) if (fields["content-type"] or "").startswith("application/json") else data


def edit(url, picture, headers={}, **fields):
    return ask("POST", url + "/v1/images/edits", edit_body(picture, **fields), {"Content-Type": "application/json", **headers})
