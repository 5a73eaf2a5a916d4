#!/usr/bin/env python3
"""Makes the parity fixtures: tiny random checkpoints and what the reference computes with them.

    make.py FOLDER
    make.py FOLDER CHECKPOINT    instead: the golden edits of a checkpoint that is there, in float32

FOLDER/models/<model> are the checkpoints, of the same weights: releases.py; FOLDER/loras what changes them. Each FOLDER/<case> has request.json, the input
pictures, expected.safetensors (float32), expected0.png and, for the cases in BFLOAT16, expected_bf16.safetensors (the same by
the reference in bfloat16).

The reference is diffusers and transformers as pinned in requirements.txt, with one correction: diffusers 0.42.1 does not
pass `mm_token_type_ids`, and transformers 5 then silently gives image tokens one-dimensional text positions. The models
were trained with three-dimensional positions, which diffusers 0.37.1 with transformers 4.57.6
computes; so `mm_token_type_ids` is passed here.
"""

import json
import pathlib
import sys
import warnings

import numpy as np
import torch
from diffusers import QwenImageEditPlusPipeline
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils import logging
from PIL import Image
from safetensors.torch import save_file

import checkpoint
import loras
import releases

# vae_area and condition_area are the checkpoint's unless a case says otherwise. Sizes are not square, target grids are odd.
# A mask is of the first picture's size; `strength` is the reference's default unless a case says otherwise.
CASES = {
    "one_image": dict(
        model="2509", images=[(150, 100)], prompt="Make the sky blue, then add a tree!", negative_prompt=" ", seed=42, steps=4,
        true_cfg_scale=4.0),
    "two_images": dict(
        model="2509", images=[(97, 131), (200, 80)], prompt="把天空变成蓝色，e\u0301 and it's  3 x 12\n\nred",
        negative_prompt="blurry, 模糊", seed=7, steps=3, true_cfg_scale=4.0, size=[112, 80]),
    "no_guidance": dict(
        model="2509", images=[(64, 64)], prompt="red", negative_prompt=None, seed=123456789012, steps=2, true_cfg_scale=4.0,
        size=[48, 80]),
    "areas": dict(
        model="2509", images=[(333, 222)], prompt="a <|fim_pad|> café 🏠", negative_prompt="", seed=3, steps=2,
        true_cfg_scale=2.5, vae_area=160 * 96, condition_area=96 * 96),
    "sharded": dict(
        model="sharded", images=[(90, 60)], prompt="shards", negative_prompt=None, seed=8, steps=2, true_cfg_scale=1.0),
    "2511": dict(
        model="2511", images=[(97, 131), (140, 80)], prompt="两张图片 in one", negative_prompt=" ", seed=2511, steps=2,
        true_cfg_scale=3.0, size=[80, 112]),
    "2511_alone": dict(
        model="2511", images=[(60, 60)], prompt="blue", negative_prompt=None, seed=11, steps=2, true_cfg_scale=1.0),
    "2508": dict(
        model="2508", images=[(131, 97)], prompt="把房子变成红色", negative_prompt=" ", seed=2508, steps=3, true_cfg_scale=4.0),
    "2508_size": dict(
        model="2508", images=[(50, 90)], prompt="wider", negative_prompt=None, seed=5, steps=2, true_cfg_scale=4.0,
        size=[112, 48]),
    "edit_inpaint": dict(
        model="2508", images=[(101, 150)], mask=True, strength=0.7, prompt="paint it 蓝色", negative_prompt=" ", seed=77, steps=4,
        true_cfg_scale=4.0),
    "plus_inpaint": dict(
        model="2509", images=[(120, 90), (64, 64)], mask=True, strength=0.8, prompt="like Picture 2", negative_prompt=" ",
        seed=78, steps=4, true_cfg_scale=4.0),
    "t2i": dict(
        model="image", images=[], prompt="一只红色的猫 in a café", negative_prompt=" ", seed=2512, steps=4, true_cfg_scale=4.0,
        size=[80, 112]),
    "img2img": dict(
        model="image", images=[(150, 100)], prompt="at night", negative_prompt=" ", seed=4, steps=5, true_cfg_scale=4.0,
        strength=0.5, size=[112, 80]),
    "inpaint": dict(
        model="image", images=[(133, 90)], mask=True, prompt="a door", negative_prompt="", seed=9, steps=5, true_cfg_scale=3.0,
        strength=0.75, size=[112, 80]),
    "inpaint_whole": dict(
        model="image", images=[(64, 64)], mask=True, prompt="a door", negative_prompt=None, seed=10, steps=2, true_cfg_scale=1.0,
        strength=1.0, size=[80, 80]),
    "lightning": dict(
        model="lightning", images=[(90, 60)], prompt="fast", negative_prompt=None, seed=6, steps=4, true_cfg_scale=1.0),
    "lightning_8": dict(
        model="lightning", images=[(60, 90)], prompt="less fast", negative_prompt=None, seed=8, steps=8, true_cfg_scale=1.0),
    "lora_kohya": dict(
        model="2509", images=[(90, 60)], prompt="in ink", negative_prompt=" ", seed=61, steps=2, true_cfg_scale=4.0,
        loras={"kohya": 1.0}),
    "lora_peft": dict(
        model="2509", images=[(90, 60)], prompt="in ink", negative_prompt=None, seed=62, steps=2, true_cfg_scale=1.0,
        loras={"peft": 1.0}),
    "lora_several": dict(
        model="2511", images=[(60, 60)], prompt="in ink", negative_prompt=None, seed=63, steps=2, true_cfg_scale=1.0,
        loras={"plain": 0.75, "comfy": -0.5, "rslora": 1.25}),
    "several": dict(
        model="image", images=[], prompt="three of them", negative_prompt=" ", seed=300, n=3, steps=2, true_cfg_scale=4.0,
        size=[80, 48]),
}
# Few: the reference's 3-D convolutions take seconds each in this type.
BFLOAT16 = ("two_images", "no_guidance", "2511_alone", "inpaint_whole")


def picture(width, height, seed):
    """Gradients, a disc and noise: smooth places, edges and texture."""
    y, x = np.mgrid[0:height, 0:width]
    rng = np.random.Generator(np.random.PCG64(seed))
    rgb = np.stack([255 * x / width, 255 * y / height, 128 + 100 * np.sin(x / 9 + y / 5)], axis=-1)
    disc = (x - 0.6 * width) ** 2 + (y - 0.4 * height) ** 2 < (0.25 * min(width, height)) ** 2
    rgb[disc] = (240, 30, 60)
    rgb += rng.normal(0, 12, rgb.shape)
    return Image.fromarray(np.clip(rgb, 0, 255).round().astype(np.uint8))


def drawn_mask(width, height):
    """A disc with a soft, coloured edge, on black."""
    y, x = np.mgrid[0:height, 0:width]
    distance = np.hypot((x - 0.55 * width) / width, (y - 0.45 * height) / height)
    soft = np.clip((0.4 - distance) / 0.1, 0, 1)[..., None] * (255, 230, 250)
    return Image.fromarray(soft.round().astype(np.uint8))


def encoded(image, folder, name):
    image.save(folder / name)
    return name


def write(folder, case, pictures, mask, tensors, images):
    """What the runtime's test reads of one case, in float32."""
    request = {**case, "images": [encoded(image, folder, f"input{i}.png") for i, image in enumerate(pictures)]}
    if mask:
        request["mask"] = encoded(mask, folder, "mask.png")
    if "loras" in case:
        request.update(loras=list(case["loras"]), lora_scales=list(case["loras"].values()))
    (folder / "request.json").write_text(json.dumps(request, ensure_ascii=False, indent=2) + "\n")
    save_file(tensors, folder / "expected.safetensors")
    for i, image in enumerate(images):
        VaeImageProcessor.numpy_to_pil(image.permute(1, 2, 0).numpy())[0].save(folder / f"expected{i}.png")


def quiet():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    torch.set_num_threads(2)


def golden_edits(out, model):
    quiet()
    manifest = json.loads((model / "holdall.json").read_text(encoding="utf-8"))
    pipe = QwenImageEditPlusPipeline.from_pretrained(model, torch_dtype=torch.float32)
    for number, golden in enumerate(manifest["golden"]):
        case = dict(model="2509", prompt=golden["prompt"], negative_prompt=None, seed=golden["seed"],
                    steps=manifest["default_steps"], true_cfg_scale=1.0)
        folder = out / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        pictures = [Image.open(model / golden["image"]).convert("RGB")]
        tensors, images = releases.run(pipe, case, pictures, None, manifest)
        write(folder, case, pictures, None, tensors, images)


def main(out):
    quiet()
    recipe = checkpoint.Recipe()
    loras.save(releases.save(recipe, out / "models").transformer, out / "loras")
    for dtype, suffix in ((torch.float32, ""), (torch.bfloat16, "_bf16")):
        pipes = releases.load(out / "models", dtype)
        for name, case in CASES.items():
            if suffix and name not in BFLOAT16:
                continue
            folder = out / name
            folder.mkdir(parents=True, exist_ok=True)
            pictures = [picture(*size, seed=i) for i, size in enumerate(case["images"])]
            mask = drawn_mask(*case["images"][0]) if case.get("mask") else None
            pipe = pipes[case["model"]]
            if "loras" in case:
                pipe = loras.load(pipe, case["loras"], out / "loras")
            tensors, images = releases.run(pipe, case, pictures, mask, recipe.manifest)
            if suffix:
                save_file(tensors, folder / f"expected{suffix}.safetensors")
                continue
            write(folder, case, pictures, mask, tensors, images)
            clamped = ((images == 0) | (images == 1)).float().mean().item()
            print(f"{name}: {images.shape[3]}x{images.shape[2]}, {clamped:.1%} of the values clamped, "
                  f"{tensors['input_ids'].shape[1]} tokens")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(pathlib.Path(sys.argv[1]))
    elif len(sys.argv) == 3:
        golden_edits(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
    else:
        sys.exit(__doc__)
