"""Small Qwen-Image-Edit-2509 checkpoints with random weights, in the released folder layout.

Everything is drawn from fixed seeds, so that the same versions of the reference write the same bytes.
"""

import json
import pathlib
import sys
from dataclasses import dataclass, field

import torch
from diffusers import (
    AutoencoderKLQwenImage, FlowMatchEulerDiscreteScheduler, QwenImageEditPlusPipeline, QwenImageTransformer2DModel)
from transformers import (
    Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor)

sys.path.append(str(pathlib.Path(__file__).resolve().parents[3] / "examples/starter-model"))
import released  # noqa: E402

# The released scheduler's values (Qwen-Image-Edit-2509, scheduler/scheduler_config.json).
SCHEDULER = dict(
    base_image_seq_len=256, base_shift=0.5, max_image_seq_len=8192, max_shift=0.9, num_train_timesteps=1000, shift=1.0,
    shift_terminal=0.02, time_shift_type="exponential", use_dynamic_shifting=True,
)


@dataclass
class Recipe:
    """Sizes of one checkpoint; the defaults are those of the parity fixtures."""

    seed: int = 20250922
    vocabulary: int = 700
    vae_base: int = 24
    vae_mult: tuple = (1, 2, 4, 4)
    vae_res_blocks: int = 1
    z: int = 4
    layers: int = 2
    heads: int = 3
    head_dim: int = 16
    rope_axes: tuple = (8, 4, 4)
    text_hidden: int = 16
    text_heads: int = 2
    mrope: tuple = (1, 1, 2)
    vision_hidden: int = 16
    dtype: torch.dtype = torch.float32
    manifest: dict = field(default_factory=lambda: {"vae_area": 96 * 96, "condition_area": 128 * 128})


def tokenizer(size):
    """A byte-level BPE in which every word of the system template is one token, so that 64 tokens go before the user's."""
    text = [released.TEMPLATE] * 50 + ["Picture 1: make the sky blue and the house red, then add a tree"] * 3
    return released.tokenizer(text + ["把天空变成蓝色", "把背景换成红色的房子"] * 3, size)


@torch.no_grad()
def randomize(module, seed):
    """Weights that keep signals near unit size, norms and biases that would show if they were forgotten."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(module.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        if "norm" in name or name.endswith("gamma") or "ln_q" in name:
            parameter.copy_(1 + 0.2 * noise)
        elif parameter.dim() == 1:
            parameter.copy_(0.1 * noise)
        elif "embed_tokens" in name:
            parameter.copy_(noise)
        else:
            parameter.copy_(noise / (parameter[0].numel() ** 0.5))


def pipeline(recipe):
    tokens, vocabulary, merges = tokenizer(recipe.vocabulary)
    ids = {t: tokens.convert_tokens_to_ids(t) for t in released.SPECIAL}

    transformer = QwenImageTransformer2DModel(
        patch_size=2, in_channels=4 * recipe.z, out_channels=recipe.z, num_layers=recipe.layers,
        attention_head_dim=recipe.head_dim, num_attention_heads=recipe.heads, joint_attention_dim=recipe.text_hidden,
        guidance_embeds=False, axes_dims_rope=recipe.rope_axes)
    values = torch.Generator().manual_seed(recipe.seed)
    vae = AutoencoderKLQwenImage(
        base_dim=recipe.vae_base, z_dim=recipe.z, dim_mult=list(recipe.vae_mult), num_res_blocks=recipe.vae_res_blocks,
        temperal_downsample=[False] + [True] * (len(recipe.vae_mult) - 2),
        latents_mean=[round(v, 4) for v in torch.randn(recipe.z, generator=values).tolist()],
        latents_std=[round(1 + v, 4) for v in torch.rand(recipe.z, generator=values).tolist()])
    text_encoder = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(
        text_config=dict(
            vocab_size=len(tokens), hidden_size=recipe.text_hidden, intermediate_size=recipe.text_hidden,
            num_hidden_layers=2, num_attention_heads=recipe.text_heads, num_key_value_heads=1, rms_norm_eps=1e-6,
            max_position_embeddings=4096, bos_token_id=ids["<|endoftext|>"], eos_token_id=ids["<|im_end|>"],
            rope_parameters=dict(rope_type="default", rope_theta=1000000.0, mrope_section=list(recipe.mrope))),
        vision_config=dict(
            depth=2, hidden_size=recipe.vision_hidden, intermediate_size=2 * recipe.vision_hidden, num_heads=2,
            out_hidden_size=recipe.text_hidden, fullatt_block_indexes=[1], window_size=112, tokens_per_second=2),
        image_token_id=ids["<|image_pad|>"], video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"], vision_end_token_id=ids["<|vision_end|>"]))
    for number, module in enumerate((transformer, vae, text_encoder)):
        randomize(module, recipe.seed + number)
        module.to(recipe.dtype).eval()
    with torch.no_grad():
        vae.decoder.conv_out.weight.mul_(0.3)  # so that few pixels are clamped, which would hide differences
    processor = Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(min_pixels=56 * 56, max_pixels=12845056), tokenizer=tokens,
        video_processor=Qwen2VLVideoProcessor())
    pipe = QwenImageEditPlusPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**SCHEDULER), vae=vae, text_encoder=text_encoder, tokenizer=tokens,
        processor=processor, transformer=transformer)
    return pipe, vocabulary, merges


def save(recipe, folder):
    """Writes the checkpoint to `folder`; returns the pipeline that computes with it."""
    folder = pathlib.Path(folder)
    pipe, vocabulary, merges = pipeline(recipe)
    pipe.save_pretrained(folder)
    # The older pair of files, which the released tokenizer/ folder has too.
    (folder / "tokenizer/vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    (folder / "tokenizer/merges.txt").write_text(
        "#version: 0.2\n" + "".join(" ".join(pair) + "\n" for pair in merges), encoding="utf-8")
    (folder / "holdall.json").write_text(json.dumps(recipe.manifest, indent=2, ensure_ascii=False) + "\n")
    return pipe
