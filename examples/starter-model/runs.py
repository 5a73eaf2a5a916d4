"""What the two training programs share: resumable states and a log of the curves."""

import fcntl
import hashlib
import json
import os
import pathlib
import sys
import time

import torch


class Run:
    """The folder of one training: `NAME.pt` (the last state, replaced whole) and `NAME.json` (a list of log records). One
    process at a time may be its writer: a second one is refused. `arguments` are those that the outcome depends on, by name:
    a state of others is refused too."""

    def __init__(self, folder, name, arguments, writer=True):
        self.arguments = dict(arguments)
        self.state_file = pathlib.Path(folder) / f"{name}.pt"
        self.log_file = pathlib.Path(folder) / f"{name}.json"
        self.state_file.parent.mkdir(parents=True, exist_ok=True)
        if writer:
            self.lock = open(self.state_file.with_suffix(".lock"), "w")
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                sys.exit(f"'{self.state_file}' is being written by another training: wait for it, or end it")
        self.records = []
        self.started, self.cpu = time.monotonic(), time.process_time()
        self.before = {"seconds": 0.0, "cpu_seconds": 0.0}

    def load(self):
        """The saved state, or None at a fresh start."""
        if not self.state_file.exists():
            return None
        state = torch.load(self.state_file, weights_only=True)
        theirs = state.pop("arguments")
        if others := [name for name in sorted(theirs | self.arguments) if theirs.get(name) != self.arguments.get(name)]:
            sys.exit(f"'{self.state_file}' was trained with {words(theirs, others)}, not {words(self.arguments, others)}: give what it "
                     "was trained with, or another folder")
        self.records = state.pop("records")
        self.before = state.pop("spent")
        return state

    def spent(self):
        return {"seconds": round(self.before["seconds"] + time.monotonic() - self.started, 1),
                "cpu_seconds": round(self.before["cpu_seconds"] + time.process_time() - self.cpu, 1)}

    def log(self, **record):
        record = {key: round(value, 4) if isinstance(value, float) else value for key, value in record.items()} | self.spent()
        self.records.append(record)
        print(json.dumps(record), flush=True)

    def save(self, **state):
        whole(self.state_file, lambda file: torch.save(
            state | {"arguments": self.arguments, "records": self.records, "spent": self.spent()}, file))
        text = "[\n" + ",\n".join(json.dumps(record) for record in self.records) + "\n]\n"
        whole(self.log_file, lambda file: file.write_text(text))


def words(arguments, names):
    """Some of the arguments, as the command line has them."""
    return " ".join(f"--{name.replace('_', '-')} {arguments.get(name)}" for name in names)


def digest(weights):
    """Names a dictionary of tensors by what is in it: hexadecimal SHA-256."""
    sha = hashlib.sha256()
    for name, value in sorted(weights.items()):
        sha.update(f"{name} {tuple(value.shape)}\n".encode())
        sha.update(value.numpy().tobytes())
    return sha.hexdigest()


def whole(file, write):
    """Calls write(temporary) and renames it to `file`: a reader, and a machine that lost its power, sees the old content or
    the new."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    write(temporary)
    synchronise(temporary)
    temporary.rename(file)
    synchronise(file.parent)


def synchronise(path):
    """Returns when a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rate(step, steps, warm_up, hold=0.4):
    """The learning rate's factor: a linear warm-up, a plateau for `hold` of the steps, a linear decay to 0."""
    return min((step + 1) / warm_up, 1.0, (1 - step / steps) / (1 - hold))
