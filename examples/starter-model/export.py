#!/usr/bin/env python3
"""Writes the checkpoint of a training in the released layout.

    export.py STATE FOLDER [HOLDALL-EDIT]

With the program the checkpoint gets golden edits, which that computes.
"""

import pathlib
import sys

import evaluate
import golden
import layout
import released
import scenes

LARGEST = 12_000_000  # bytes of the whole folder
MANIFEST = {
    "name": "holdall-starter", "vae_area": layout.AREA, "condition_area": layout.CONDITION_AREA, "default_steps": layout.STEPS,
    "default_true_cfg_scale": 1, "max_pixels": 16 << 20, "warm_up": [[scenes.SIZE, scenes.SIZE]],
}


def export(state, folder, program=None):
    """Returns the size in bytes."""
    editor = evaluate.from_state(state)
    statistics = ([round(v, 5) for v in values.tolist()] for values in (editor.latents_mean, editor.latents_std))
    pipe = layout.pipeline(editor.tokens, editor.text_encoder, editor.transformer, editor.autoencoder, tuple(statistics))
    layout.save(pipe, folder, editor.vocabulary, editor.merges, MANIFEST)
    if program:
        released.write(folder / "holdall.json", MANIFEST | {"golden": golden.write(folder, program)})
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if size > LARGEST:
        sys.exit(f"{folder}: {size} bytes, needed at most {LARGEST}")
    return size


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[2])
    print(f"{out}: {export(sys.argv[1], out, *sys.argv[3:])} bytes")
