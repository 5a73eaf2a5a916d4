"""The family's releases, in small: one set of random weights in the folders of each, and what the reference does with them."""

import copy
import json
import math

import numpy as np
import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler, QwenImageEditInpaintPipeline, QwenImageEditPipeline, QwenImageEditPlusPipeline,
    QwenImageImg2ImgPipeline, QwenImageInpaintPipeline, QwenImagePipeline, QwenImageTransformer2DModel)
from diffusers.pipelines.qwenimage import (
    pipeline_qwenimage_edit as edit, pipeline_qwenimage_edit_inpaint as edit_inpaint, pipeline_qwenimage_edit_plus as edit_plus)

import checkpoint

# Qwen-Image-Lightning's schedule.
LIGHTNING = {**checkpoint.SCHEDULER, "base_shift": math.log(3), "max_shift": math.log(3), "shift_terminal": None}
COMPONENTS = ("scheduler", "vae", "text_encoder", "tokenizer", "processor", "transformer")
calculate_dimensions = edit_plus.calculate_dimensions


def save(recipe, out):
    """Writes one folder for each release, what does not differ from 2509's as a link to it; returns 2509's pipeline."""
    pipe = checkpoint.save(recipe, out / "2509")

    def release(name, kind, own=(), without=()):
        folder = out / name
        folder.mkdir(exist_ok=True)
        index = json.loads((out / "2509/model_index.json").read_text())
        index["_class_name"] = kind
        for part in COMPONENTS:
            if part in without:
                del index[part]
            elif part not in own and not (folder / part).exists():
                (folder / part).symlink_to(f"../2509/{part}")
        (folder / "model_index.json").write_text(json.dumps(index))
        (folder / "holdall.json").write_text(json.dumps(recipe.manifest))
        return folder

    release("2508", "QwenImageEditPipeline")
    release("image", "QwenImagePipeline", without=["processor"])
    FlowMatchEulerDiscreteScheduler(**LIGHTNING).save_pretrained(
        release("lightning", "QwenImageEditPlusPipeline", own=["scheduler"]) / "scheduler")
    folder = release("2511", "QwenImageEditPlusPipeline", own=["transformer"])
    pipe.transformer.register_to_config(zero_cond_t=True)
    pipe.transformer.save_pretrained(folder / "transformer")
    pipe.transformer.register_to_config(zero_cond_t=False)
    folder = release("sharded", "QwenImageEditPlusPipeline", own=["transformer", "vae", "text_encoder"])
    for part in ("transformer", "vae", "text_encoder"):
        getattr(pipe, part).save_pretrained(folder / part, max_shard_size="100KB")
        assert len(list((folder / part).glob("*.safetensors"))) > 1, part
    return pipe


def load(models, dtype):
    """One pipeline for each folder. Loaded, not cast: loading keeps the rotary frequencies in float32, as users have them."""
    plus = QwenImageEditPlusPipeline.from_pretrained(models / "2509", torch_dtype=dtype)
    parts = plus.components
    later = QwenImageTransformer2DModel.from_pretrained(models / "2511/transformer", torch_dtype=dtype)
    assert later.config.zero_cond_t
    return {
        "2509": plus,
        "sharded": plus,  # that sharded weights are the same is ours to show
        "2511": QwenImageEditPlusPipeline(**{**parts, "transformer": later}),
        "2508": QwenImageEditPipeline(**parts),
        "image": QwenImagePipeline(**{name: part for name, part in parts.items() if name != "processor"}),
        "lightning": QwenImageEditPlusPipeline(**{**parts, "scheduler": FlowMatchEulerDiscreteScheduler(**LIGHTNING)}),
    }


def chosen(pipe, case):
    """The pipeline that a user of the reference takes for such a request."""
    strong, masked = "strength" in case, bool(case.get("mask"))
    if isinstance(pipe, QwenImagePipeline) and (strong or masked):
        return (QwenImageInpaintPipeline if masked else QwenImageImg2ImgPipeline)(**pipe.components)
    if isinstance(pipe, QwenImageEditPipeline) and masked:
        return QwenImageEditInpaintPipeline(**pipe.components)
    return type(pipe)(**pipe.components)


def set_areas(vae_area, condition_area):
    edit_plus.VAE_IMAGE_SIZE, edit_plus.CONDITION_IMAGE_SIZE = vae_area, condition_area
    for module in (edit, edit_inpaint):  # the area is a literal there
        module.calculate_dimensions = lambda area, ratio: (*calculate_dimensions(vae_area, ratio), None)


class PlusInpaint:
    """QwenImageEditPlusPipeline with a mask, which the reference does not have: docs/decisions/0010. What
    QwenImageEditInpaintPipeline does before and after each step, around the unchanged pipeline."""

    def __init__(self, pipe, case, picture, mask, width, height):
        self.pipe = pipe
        inpaint = QwenImageEditInpaintPipeline(**{**pipe.components, "scheduler": copy.deepcopy(pipe.scheduler)})
        channels, dtype, steps = pipe.transformer.config.in_channels // 4, pipe.transformer.dtype, case["steps"]
        generator = torch.Generator("cpu").manual_seed(case["seed"])
        self.sigmas = np.linspace(1.0, 1 / steps, steps)
        config = pipe.scheduler.config
        mu = edit_inpaint.calculate_shift(
            height * width // (2 * pipe.vae_scale_factor) ** 2, config.base_image_seq_len, config.max_image_seq_len,
            config.base_shift, config.max_shift)
        edit_inpaint.retrieve_timesteps(inpaint.scheduler, steps, "cpu", sigmas=self.sigmas, mu=mu)
        self.schedule = inpaint.scheduler.sigmas
        self.timesteps, left = inpaint.get_timesteps(steps, case["strength"], "cpu")
        image = inpaint.image_processor.preprocess(picture, height=height, width=width).to(torch.float32)
        self.latents, self.noise, self.clean = inpaint.prepare_latents(
            image, self.timesteps[:1], 1, channels, height, width, dtype, "cpu", generator)
        pixels = inpaint.mask_processor.preprocess(mask, height=height, width=width)
        self.mask, _ = inpaint.prepare_mask_latents(
            pixels, image, 1, channels, 1, height, width, dtype, "cpu", generator)
        self.sigmas = self.sigmas[steps - left:]

    def after_step(self, step, latents):
        kept = self.clean
        if step + 1 < len(self.timesteps):
            kept = self.pipe.scheduler.scale_noise(kept, self.timesteps[step + 1:step + 2], self.noise)
        return (1 - self.mask) * kept + self.mask * latents


def run(pipe, case, pictures, mask, manifest):
    """One case by the reference: the tensors that pass by, and the pictures as (n, 3, H, W) floats."""
    pipe = chosen(pipe, case)
    pipe.set_progress_bar_config(disable=True)
    vae_area = case.get("vae_area", manifest["vae_area"])
    set_areas(vae_area, case.get("condition_area", manifest["condition_area"]))
    tensors, embeds, inputs = {}, [], []
    prepare, encode, forward, scale = pipe.prepare_latents, pipe.encode_prompt, pipe.text_encoder.forward, pipe.scheduler.scale_noise

    def prepare_latents(*args, **kwargs):
        result = prepare(*args, **kwargs)
        if isinstance(pipe, (QwenImageInpaintPipeline, QwenImageEditInpaintPipeline)):
            tensors.update(noise=result[1], source_latents=result[2])
            if isinstance(pipe, QwenImageEditInpaintPipeline):
                tensors["image_latents"] = result[2]
        elif isinstance(pipe, QwenImagePipeline):
            tensors["noise"] = result
        elif not isinstance(pipe, QwenImageImg2ImgPipeline):
            tensors.update(noise=result[0], image_latents=result[1])
        return result

    def encode_prompt(*args, **kwargs):
        result, attention = encode(*args, **kwargs)
        assert attention is None
        embeds.append(result)
        return result, attention

    def with_types(*args, **kwargs):
        inputs.append(kwargs)
        if "pixel_values" in kwargs and kwargs["pixel_values"] is not None:
            kwargs = {**kwargs, "mm_token_type_ids": (kwargs["input_ids"] == pipe.text_encoder.config.image_token_id).int()}
        return forward(*args, **kwargs)

    def scale_noise(sample, timestep, noise):
        if isinstance(pipe, QwenImageImg2ImgPipeline):
            shape = (1, sample.shape[2], *sample.shape[3:])
            tensors.update(source_latents=pipe._pack_latents(sample, *shape), noise=pipe._pack_latents(noise, *shape))
        return scale(sample, timestep, noise)

    width, height = case.get("size") or calculate_dimensions(
        vae_area, pictures[0 if mask else -1].width / pictures[0 if mask else -1].height)
    seeds = range(case["seed"], case["seed"] + case.get("n", 1))
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    arguments = dict(
        prompt=case["prompt"], negative_prompt=case["negative_prompt"], true_cfg_scale=case["true_cfg_scale"],
        num_inference_steps=case["steps"], height=height, width=width, num_images_per_prompt=len(generators),
        generator=generators if len(generators) > 1 else generators[0], output_type="pt")
    plus_inpaint = None
    if isinstance(pipe, QwenImageEditPlusPipeline):
        arguments["image"] = list(pictures)
        if mask:
            plus_inpaint = PlusInpaint(pipe, case, pictures[0], mask, width, height)
            arguments.update(latents=plus_inpaint.latents, sigmas=plus_inpaint.sigmas)
    elif pictures:
        arguments["image"] = pictures[0]
        if mask:
            arguments["mask_image"] = mask
        if "strength" in case:
            arguments["strength"] = case["strength"]

    def after_step(_, step, __, values):
        if plus_inpaint:
            values["latents"] = plus_inpaint.after_step(step, values["latents"])
        tensors[f"latents.{step}"] = values["latents"]
        return values

    if hasattr(pipe, "prepare_mask_latents"):
        prepare_mask = pipe.prepare_mask_latents

        def prepare_mask_latents(*args, **kwargs):
            result = prepare_mask(*args, **kwargs)
            tensors["mask"] = result[0]
            return result
        pipe.prepare_mask_latents = prepare_mask_latents
    pipe.prepare_latents, pipe.encode_prompt = prepare_latents, encode_prompt
    pipe.text_encoder.forward, pipe.scheduler.scale_noise = with_types, scale_noise
    try:
        images = pipe(callback_on_step_end=after_step, **arguments).images.float()
    finally:
        pipe.text_encoder.forward, pipe.scheduler.scale_noise = forward, scale

    for name, index in (("", 0), ("negative_", 1)):
        if index < len(embeds):
            tensors[name + "prompt_embeds"] = embeds[index]
            tensors[name + "input_ids"] = inputs[index]["input_ids"]
    tensors["timesteps"], tensors["sigmas"] = pipe.scheduler.timesteps, pipe.scheduler.sigmas
    steps = sum(name.startswith("latents.") for name in tensors)
    tensors["timesteps"] = tensors["timesteps"][len(tensors["timesteps"]) - steps:]
    if plus_inpaint:
        tensors.update(sigmas=plus_inpaint.schedule, noise=plus_inpaint.noise, source_latents=plus_inpaint.clean,
                       mask=plus_inpaint.mask)
    tensors["latents"] = tensors[f"latents.{steps - 1}"]
    tensors["image"] = images[0]
    return {name: tensor.detach().clone().contiguous() for name, tensor in sorted(tensors.items())}, images
