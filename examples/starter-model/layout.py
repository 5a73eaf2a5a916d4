"""The starter model's sizes, tokenizer and files: the classes and the folder layout of Qwen-Image-Edit-2509, small."""

import math
import pathlib
import shutil

import numpy as np
import torch
from diffusers import (
    AutoencoderKLQwenImage, FlowMatchEulerDiscreteScheduler, QwenImageEditPlusPipeline, QwenImageTransformer2DModel)
from transformers import (
    Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor)

import autoencoder
import phrases
import released
import scenes

PICTURE = "Picture 1: <|vision_start|><|image_pad|><|vision_end|>"
AREA, CONDITION_AREA = scenes.SIZE ** 2, 32 ** 2
STEPS = 4

AUTOENCODER = dict(base_dim=8, z_dim=16, dim_mult=[1, 2, 4, 8], num_res_blocks=1, temperal_downsample=[False, True, True])
TRANSFORMER = dict(
    patch_size=2, in_channels=64, out_channels=16, num_layers=5, attention_head_dim=32, num_attention_heads=4,
    joint_attention_dim=96, guidance_embeds=False, axes_dims_rope=(8, 12, 12))
TEXT = dict(
    hidden_size=96, intermediate_size=192, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-6,
    max_position_embeddings=4096, tie_word_embeddings=True,
    rope_parameters=dict(rope_type="default", rope_theta=1000000.0, mrope_section=[4, 4, 4]))
VISION = dict(
    depth=2, hidden_size=32, intermediate_size=64, num_heads=2, out_hidden_size=96, patch_size=16, spatial_merge_size=2,
    temporal_patch_size=2, fullatt_block_indexes=[1], window_size=112, tokens_per_second=2)
# sigma = 3 s / (1 + 2 s) for evenly spaced s, whatever the size: 1, 0.9, 0.75, 0.5 in four steps.
SCHEDULER = dict(
    base_image_seq_len=256, base_shift=math.log(3), max_image_seq_len=8192, max_shift=math.log(3), num_train_timesteps=1000,
    shift=1.0, shift_terminal=None, time_shift_type="exponential", use_dynamic_shifting=True)
SPREAD = 2.0  # standard deviation of the normalised latents: clearer than the noise, for the outcome of an edit is certain


def to_tensor(pictures):
    """uint8 (B, H, W, 3) to float (B, 3, H, W) from -1 to 1, as the pipeline's image processor does."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255 * 2 - 1


def to_pictures(tensor):
    """The reverse, rounded as the pipeline does."""
    return ((tensor / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).float() * 255).round().to(torch.uint8).numpy()


def tokenizer():
    """Byte-level BPE with one token for each word of the template and of the phrases. Units are trained one by one, so no
    token joins two words of an instruction: a colour and a shape that never met in training still read as known tokens.
    Returns the tokenizer, its vocabulary and its merges."""
    text = [released.TEMPLATE.format(PICTURE)] * 50
    for word in sorted(set(phrases.words())):
        text += [word, " " + word, word[:1].upper() + word[1:]] * 3 if word.isascii() else [word] * 9
    return released.tokenizer(text, 4000, min_frequency=2)


def text_encoder(tokens):
    ids = {t: tokens.convert_tokens_to_ids(t) for t in released.SPECIAL}
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(
        text_config=TEXT | dict(vocab_size=len(tokens), bos_token_id=ids["<|endoftext|>"], eos_token_id=ids["<|im_end|>"]),
        vision_config=VISION, tie_word_embeddings=True, image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"], vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"]))


def transformer():
    return QwenImageTransformer2DModel(**TRANSFORMER)


def latent_statistics(model):
    """Mean and spread of each latent channel over drawn scenes, for the autoencoder's configuration."""
    rng = np.random.default_rng(2509)
    pictures = [scenes.draw(scenes.random_edit(rng, scenes.KINDS[i % len(scenes.KINDS)])[0]) for i in range(256)]
    with torch.no_grad():
        latents = torch.cat([model.encode(to_tensor(np.stack(pictures[i:i + 64]))) for i in range(0, 256, 64)])
    return ([round(v, 5) for v in latents.mean((0, 2, 3)).tolist()],
            [round(v / SPREAD, 5) for v in latents.std((0, 2, 3)).tolist()])


def pipeline(tokens, encoder, transformer_model, autoencoder_model, statistics):
    """The released pipeline around the trained modules."""
    mean, std = statistics
    vae = AutoencoderKLQwenImage(**AUTOENCODER, latents_mean=mean, latents_std=std)
    autoencoder.to_released(autoencoder_model, vae)
    processor = Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(
            min_pixels=CONDITION_AREA, max_pixels=12845056, patch_size=VISION["patch_size"], merge_size=VISION["spatial_merge_size"],
            temporal_patch_size=VISION["temporal_patch_size"]),
        tokenizer=tokens, video_processor=Qwen2VLVideoProcessor(patch_size=VISION["patch_size"]))
    return QwenImageEditPlusPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**SCHEDULER), vae=vae.eval(), text_encoder=encoder.eval(), tokenizer=tokens,
        processor=processor, transformer=transformer_model.eval())


def save(pipe, folder, vocabulary, merges, manifest):
    """Writes the checkpoint in bfloat16, in the released folders' style; `manifest` becomes holdall.json."""
    folder = pathlib.Path(folder)
    pipe.to(torch.bfloat16).save_pretrained(folder)
    released.style(folder)
    released.write(folder / "tokenizer/vocab.json", vocabulary, indent=None)
    (folder / "tokenizer/merges.txt").write_text(
        "#version: 0.2\n" + "".join(" ".join(pair) + "\n" for pair in merges), encoding="utf-8")
    for name in ("tokenizer_config.json", "vocab.json", "merges.txt"):  # the released processor/ has its own copy too
        shutil.copy(folder / "tokenizer" / name, folder / "processor" / name)
    released.write(folder / "holdall.json", manifest)
    for file in folder.rglob("*.safetensors"):
        file.chmod(0o644)
