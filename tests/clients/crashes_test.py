"""crashes_test.py BIN MODEL PICTURE: the real worker is killed while it edits jobs, and so is the service. Each job ends once, and
the service is ready again about as soon as after a start: what it adds is noticing the end and a short pause."""
import os
import pathlib
import signal
import sys
import tempfile
import time
from statistics import median

from service import Service, ask, edit, wait_for

WORKER_ROUNDS, SERVICE_ROUNDS = 2, 5  # of each service; of all


def submit(service, picture, **fields):
    status, headers, job = edit(service.url, picture, {"Prefer": "respond-async"}, **fields)
    assert status == 202, job
    return headers["location"]


def job_at(service, path):
    status, _, job = ask("GET", service.url + path)
    assert status == 200, job
    return job


def is_ready(service):
    return ask("GET", service.health_url + "/readyz")[0] == 200


def kill_worker(service, path):
    """Seconds until the service is ready again."""
    wait_for(lambda: job_at(service, path)["step"], "a step")
    os.kill(service.worker_pid(), signal.SIGKILL)
    began = time.monotonic()
    wait_for(lambda: not is_ready(service), "the loss to be noticed")
    wait_for(lambda: is_ready(service), "the next worker")
    return time.monotonic() - began


def main(bin_folder, model, picture):
    paths, starts, recoveries = [], [], []
    with tempfile.TemporaryDirectory() as state:
        config = pathlib.Path(state, "config.json")
        config.write_text('{"jobs": {"max_attempts": 100}}')
        options = ("--state", state, "--config", config)
        for _ in range(SERVICE_ROUNDS):
            began = time.monotonic()
            service = Service(bin_folder, model, *options).__enter__()
            starts.append(time.monotonic() - began)
            path = submit(service, picture, num_inference_steps=100)
            for _ in range(WORKER_ROUNDS):
                recoveries.append(kill_worker(service, path))
            wait_for(lambda: job_at(service, path)["step"], "a step")
            service.process.kill()
            service.process.wait()
            paths.append(path)
        with Service(bin_folder, model, *options) as service:
            for path in paths:
                wait_for(lambda: job_at(service, path)["status"] == "succeeded", f"the end of {path}")
                events = ask("GET", service.url + path + "/events")[2].decode()
                assert events.count("event: image_edit.completed") == 1, events[-2000:]
                assert job_at(service, path)["attempts"] > WORKER_ROUNDS
            assert edit(service.url, picture)[0] == 200
    print(f"ready {median(starts):.2f} s after a start, {median(recoveries):.2f} s after the worker's end")
    assert median(recoveries) < median(starts) + 1, (starts, recoveries)


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
