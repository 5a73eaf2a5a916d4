"""The peer of `./dev bench edit`: diffusers, eager, on two threads, with the weights that holdall-edit has.

    edit_peer.py make MODEL                              a checkpoint of random weights, large enough to be computed with
    edit_peer.py run MODEL PICTURE SIZE STEPS COUNT OUT   COUNT edits to SIZE, written to OUT; says its name after each
"""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "data/parity"))


def make(model):
    import checkpoint
    checkpoint.save(checkpoint.Recipe(
        layers=8, heads=8, head_dim=64, rope_axes=(16, 24, 24), vae_base=32, vae_res_blocks=2, z=16, text_hidden=512,
        text_heads=8, mrope=(8, 12, 12), vision_hidden=320, manifest={"vae_area": 256 * 256, "condition_area": 224 * 224}), model)


def run(model, picture, size, steps, count, out):
    import torch
    from diffusers import QwenImageEditPlusPipeline
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as edit_plus
    from PIL import Image
    torch.set_num_threads(2)
    edit_plus.VAE_IMAGE_SIZE, edit_plus.CONDITION_IMAGE_SIZE = 256 * 256, 224 * 224
    pipe = QwenImageEditPlusPipeline.from_pretrained(model)
    pipe.set_progress_bar_config(disable=True)
    width, height = map(int, size.split("x"))
    image = Image.open(picture).convert("RGB")
    for _ in range(int(count)):
        edited = pipe(image=[image], prompt="Make the sky blue, then add a tree", negative_prompt=" ", true_cfg_scale=4.0,
                      num_inference_steps=int(steps), width=width, height=height, generator=torch.Generator("cpu").manual_seed(0))
        edited.images[0].save(out)
        print(out, flush=True)


if __name__ == "__main__":
    {"make": make, "run": run}[sys.argv[1]](*sys.argv[2:])
