#!/usr/bin/env python3
"""Writes the checkpoint of a training in the released layout.

    export.py STATE FOLDER [WORKER]

With WORKER, a holdall-edit-worker, the golden edit's outcome is computed too and holdall.json names it.
"""

import pathlib
import subprocess
import sys

from PIL import Image

import evaluate
import layout
import scenes

LARGEST = 12_000_000  # bytes of the whole folder
GOLDEN = {"prompt": "把红色的圆变成蓝色", "seed": 42, "tolerance": 2}  # grey levels on average: other processors round differently
GOLDEN_SCENE = scenes.Scene(
    (scenes.Thing("circle", "red", 0, 12, 1, 1), scenes.Thing("star", "yellow", 3, 11, -1, 0)), scenes.Background((232.0, 212.0, 176.0)))
MANIFEST = {
    "name": "holdall-starter", "vae_area": layout.AREA, "condition_area": layout.CONDITION_AREA, "default_steps": layout.STEPS,
    "default_true_cfg_scale": 1, "max_pixels": 16 << 20, "warm_up": [[scenes.SIZE, scenes.SIZE]],
}


def export(state, folder, worker=None):
    """Returns the size in bytes."""
    editor = evaluate.from_state(state)
    statistics = ([round(v, 5) for v in values.tolist()] for values in (editor.latents_mean, editor.latents_std))
    pipe = layout.pipeline(editor.tokens, editor.text_encoder, editor.transformer, editor.autoencoder, tuple(statistics))
    layout.save(pipe, folder, editor.vocabulary, editor.merges, MANIFEST)
    if worker:
        (folder / "golden").mkdir(exist_ok=True)
        Image.fromarray(scenes.draw(GOLDEN_SCENE)).save(folder / "golden/input.png")
        subprocess.run([
            worker, "run", "--model", folder, "--image", folder / "golden/input.png", "--prompt", GOLDEN["prompt"],
            "--seed", str(GOLDEN["seed"]), "--device", "cpu", "--dtype", "float32", "-q", "-o", folder / "golden/output.png"],
            check=True, stdout=subprocess.DEVNULL)
        golden = GOLDEN | {"image": "golden/input.png", "output": "golden/output.png"}
        released.write(folder / "holdall.json", MANIFEST | {"golden": golden})
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if size > LARGEST:
        sys.exit(f"{folder}: {size} bytes, needed at most {LARGEST}")
    return size


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[2])
    print(f"{out}: {export(sys.argv[1], out, *sys.argv[3:])} bytes")
