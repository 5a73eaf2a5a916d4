#!/usr/bin/env python3
"""Makes the parity fixtures: a tiny random checkpoint and what the reference computes with it.

    make.py FOLDER
    make.py FOLDER CHECKPOINT    instead: the golden edits of a checkpoint that is there, in float32

FOLDER/model is the checkpoint. Each FOLDER/<case> has request.json, the input pictures, expected.safetensors (float32),
expected.png and, for the cases in BFLOAT16, expected_bf16.safetensors (the same edit by the reference in bfloat16).

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
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as edit_plus
from diffusers.utils import logging
from PIL import Image
from safetensors.torch import save_file

import checkpoint

# vae_area and condition_area are the checkpoint's unless a case says otherwise. Sizes are not square, target grids are odd.
CASES = {
    "one_image": dict(
        images=[(150, 100)], prompt="Make the sky blue, then add a tree!", negative_prompt=" ", seed=42, steps=4,
        true_cfg_scale=4.0),
    "two_images": dict(
        images=[(97, 131), (200, 80)], prompt="把天空变成蓝色，e\u0301 and it's  3 x 12\n\nred", negative_prompt="blurry, 模糊",
        seed=7, steps=3, true_cfg_scale=4.0, size=[112, 80]),
    "no_guidance": dict(
        images=[(64, 64)], prompt="red", negative_prompt=None, seed=123456789012, steps=2, true_cfg_scale=4.0, size=[48, 80]),
    "areas": dict(
        images=[(333, 222)], prompt="a <|fim_pad|> café 🏠", negative_prompt="", seed=3, steps=2, true_cfg_scale=2.5,
        vae_area=160 * 96, condition_area=96 * 96),
}
BFLOAT16 = ("two_images", "no_guidance")  # few: the reference's 3-D convolutions take seconds each in this type


def picture(width, height, seed):
    """Gradients, a disc and noise: smooth places, edges and texture."""
    y, x = np.mgrid[0:height, 0:width]
    rng = np.random.Generator(np.random.PCG64(seed))
    rgb = np.stack([255 * x / width, 255 * y / height, 128 + 100 * np.sin(x / 9 + y / 5)], axis=-1)
    disc = (x - 0.6 * width) ** 2 + (y - 0.4 * height) ** 2 < (0.25 * min(width, height)) ** 2
    rgb[disc] = (240, 30, 60)
    rgb += rng.normal(0, 12, rgb.shape)
    return Image.fromarray(np.clip(rgb, 0, 255).round().astype(np.uint8))


class Recorder:
    """Runs the pipeline and keeps the tensors that pass by."""

    def __init__(self, pipe):
        self.pipe, self.tensors = pipe, {}
        self.embeds = []
        self.inputs = []
        prepare, encode, forward = pipe.prepare_latents, pipe.encode_prompt, pipe.text_encoder.forward

        def prepare_latents(*args, **kwargs):
            noise, image_latents = prepare(*args, **kwargs)
            self.tensors.update(noise=noise, image_latents=image_latents)
            return noise, image_latents

        def encode_prompt(*args, **kwargs):
            embeds, mask = encode(*args, **kwargs)
            assert mask is None
            self.embeds.append(embeds)
            return embeds, mask

        def with_types(*args, **kwargs):
            ids = kwargs["input_ids"]
            self.inputs.append(kwargs)
            return forward(*args, mm_token_type_ids=(ids == pipe.text_encoder.config.image_token_id).int(), **kwargs)

        self.undo = (prepare, encode, forward)
        pipe.prepare_latents, pipe.encode_prompt, pipe.text_encoder.forward = prepare_latents, encode_prompt, with_types

    def close(self):
        self.pipe.prepare_latents, self.pipe.encode_prompt, self.pipe.text_encoder.forward = self.undo

    def run(self, case, pictures, manifest):
        vae_area = case.get("vae_area", manifest["vae_area"])
        edit_plus.VAE_IMAGE_SIZE = vae_area
        edit_plus.CONDITION_IMAGE_SIZE = case.get("condition_area", manifest["condition_area"])
        width, height = case.get("size") or edit_plus.calculate_dimensions(vae_area, pictures[-1].width / pictures[-1].height)

        def after_step(pipe, step, timestep, values):
            self.tensors[f"latents.{step}"] = values["latents"]
            return values

        image = self.pipe(
            image=list(pictures), prompt=case["prompt"], negative_prompt=case["negative_prompt"],
            true_cfg_scale=case["true_cfg_scale"], num_inference_steps=case["steps"], height=height, width=width,
            generator=torch.Generator("cpu").manual_seed(case["seed"]), output_type="pt", callback_on_step_end=after_step,
        ).images[0]
        tensors = dict(self.tensors)
        for name, index in (("", 0), ("negative_", 1)):
            if index < len(self.embeds):
                tensors[name + "prompt_embeds"] = self.embeds[index]
                tensors[name + "input_ids"] = self.inputs[index]["input_ids"]
        tensors["pixel_values"] = self.inputs[0]["pixel_values"]
        tensors["image_grid_thw"] = self.inputs[0]["image_grid_thw"]
        tensors["latents"] = tensors[f"latents.{case['steps'] - 1}"]
        tensors["timesteps"], tensors["sigmas"] = self.pipe.scheduler.timesteps, self.pipe.scheduler.sigmas
        tensors["image"] = image.float()
        return {name: tensor.detach().clone().contiguous() for name, tensor in sorted(tensors.items())}


def write(folder, case, pictures, tensors):
    """What the runtime's test reads of one case, in float32."""
    files = [f"input{i}.png" for i in range(len(pictures))]
    for file, image in zip(files, pictures):
        image.save(folder / file)
    (folder / "request.json").write_text(json.dumps({**case, "images": files}, ensure_ascii=False, indent=2) + "\n")
    array = tensors["image"].permute(1, 2, 0).numpy()
    VaeImageProcessor.numpy_to_pil(array)[0].save(folder / "expected.png")
    return array


def quiet():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    torch.set_num_threads(2)


def golden_edits(out, model):
    quiet()
    manifest = json.loads((model / "holdall.json").read_text(encoding="utf-8"))
    pipe = QwenImageEditPlusPipeline.from_pretrained(model, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    for number, golden in enumerate(manifest["golden"]):
        case = dict(prompt=golden["prompt"], negative_prompt=None, seed=golden["seed"], steps=manifest["default_steps"],
                    true_cfg_scale=1.0)
        folder = out / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        pictures = [Image.open(model / golden["image"]).convert("RGB")]
        recorder = Recorder(pipe)
        tensors = recorder.run(case, pictures, manifest)
        recorder.close()
        save_file(tensors, folder / "expected.safetensors")
        write(folder, case, pictures, tensors)


def main(out):
    quiet()
    recipe = checkpoint.Recipe()
    checkpoint.save(recipe, out / "model")
    for dtype, suffix in ((torch.float32, ""), (torch.bfloat16, "_bf16")):
        # Loaded, not cast: loading keeps the rotary frequencies in float32, as users of the reference have them.
        pipe = QwenImageEditPlusPipeline.from_pretrained(out / "model", torch_dtype=dtype)
        pipe.set_progress_bar_config(disable=True)
        for name, case in CASES.items():
            if suffix and name not in BFLOAT16:
                continue
            folder = out / name
            folder.mkdir(parents=True, exist_ok=True)
            pictures = [picture(*size, seed=i) for i, size in enumerate(case["images"])]
            recorder = Recorder(pipe)
            tensors = recorder.run(case, pictures, recipe.manifest)
            recorder.close()
            save_file(tensors, folder / f"expected{suffix}.safetensors")
            if suffix:
                continue
            array = write(folder, case, pictures, tensors)
            clamped = ((array == 0) | (array == 1)).mean()
            print(f"{name}: {array.shape[1]}x{array.shape[0]}, {clamped:.1%} of the values clamped, "
                  f"{tensors['input_ids'].shape[1]} tokens")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(pathlib.Path(sys.argv[1]))
    elif len(sys.argv) == 3:
        golden_edits(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
    else:
        sys.exit(__doc__)
