#!/usr/bin/env python3
"""Makes tests/data/random-model: a checkpoint of random weights under 1 MB, in the style of the released folders.

    make_random.py FOLDER WORKER

WORKER is the holdall-edit-worker that computes the golden edit's outcome.
"""

import pathlib
import shutil
import subprocess
import sys

import torch
from diffusers.utils import logging

import checkpoint
import make

MANIFEST = {
    "name": "holdall-demo",
    "vae_area": 192 * 192,
    "condition_area": 128 * 128,
    "default_steps": 4,
    "default_true_cfg_scale": 1,
    "max_pixels": 16 << 20,
    "warm_up": [[192, 192], [224, 160]],
    "golden": {
        "prompt": "Make the sky blue, then add a tree",
        "image": "golden/input.png",
        "seed": 42,
        "output": "golden/output.png",
        "tolerance": 2,  # grey levels on average: other processors and bfloat16 round differently
    },
}


def main(folder, worker):
    logging.set_verbosity_error()
    for name in ("processor", "scheduler", "text_encoder", "tokenizer", "transformer", "vae", "golden"):
        shutil.rmtree(folder / name, ignore_errors=True)
    recipe = checkpoint.Recipe(seed=2509, vae_base=8, vae_mult=(1, 1, 2, 2), dtype=torch.bfloat16, manifest=MANIFEST)
    checkpoint.save(recipe, folder)
    checkpoint.released.style(folder)
    golden = MANIFEST["golden"]
    (folder / "golden").mkdir()
    make.picture(96, 64, seed=0).save(folder / golden["image"])
    subprocess.run([
        worker, "run", "--model", folder, "--image", folder / golden["image"], "--prompt", golden["prompt"],
        "--seed", str(golden["seed"]), "--device", "cpu", "--dtype", "float32", "-q", "-o", folder / golden["output"]],
        check=True, stdout=subprocess.DEVNULL)
    for file in folder.rglob("*.safetensors"):
        file.chmod(0o644)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{folder}: {size} bytes")
    assert size < 1_000_000


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
