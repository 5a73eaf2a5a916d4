#!/usr/bin/env python3
"""Makes checkpoints of the released sizes without the released weights: every tensor's name, shape and dtype.

    make_released.py FOLDER          2509, 2511, 2508 and image: headers of 58 GB, the data holes in the files; and
                                     facts.json, what the reference's own classes say of them
    make_released.py FOLDER DEPTH    one checkpoint like 2509 of DEPTH layers in each stack, with data

The classes are the reference's, built on the meta device from the released configurations.
"""

import json
import pathlib
import shutil
import struct
import sys

import numpy as np
import torch
from diffusers import AutoencoderKLQwenImage, FlowMatchEulerDiscreteScheduler, QwenImageTransformer2DModel
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2VLImageProcessor

import checkpoint
from checkpoint import released

RELEASES = {  # pipeline, zero_cond_t, whether there is a processor/
    "2509": ("QwenImageEditPlusPipeline", False, True),
    "2511": ("QwenImageEditPlusPipeline", True, True),
    "2508": ("QwenImageEditPipeline", False, True),
    "image": ("QwenImagePipeline", False, False),
}
SHARDS = {"transformer": 5, "text_encoder": 4, "vae": 1}  # files, as released
STEMS = {"transformer": "diffusion_pytorch_model", "text_encoder": "model", "vae": "diffusion_pytorch_model"}
TOKENS = {"text": 250, "target": (64, 64), "reference": (64, 64)}  # of an edit of 1024 x 1024 pixels
VAE = dict(
    base_dim=96, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2, temperal_downsample=[False, True, True],
    latents_mean=[-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508, 0.4134, -0.0715, 0.5517, -0.3632,
                  -0.1922, -0.9497, 0.2503, -0.2921],
    latents_std=[2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743, 3.2687, 2.1526, 2.8652, 1.5579, 1.6382,
                 1.1253, 2.8251, 1.916])


def modules(zero_cond_t, ids, depth=None):
    with torch.device("meta"):
        return {
            "transformer": QwenImageTransformer2DModel(
                patch_size=2, in_channels=64, out_channels=16, num_layers=depth or 60, attention_head_dim=128,
                num_attention_heads=24, joint_attention_dim=3584, guidance_embeds=False, axes_dims_rope=(16, 56, 56),
                **({"zero_cond_t": True} if zero_cond_t else {})),
            "text_encoder": Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(
                text_config=dict(
                    vocab_size=152064, hidden_size=3584, intermediate_size=18944, num_hidden_layers=depth or 28,
                    num_attention_heads=28, num_key_value_heads=4, rms_norm_eps=1e-6, max_position_embeddings=128000,
                    rope_parameters=dict(rope_type="default", rope_theta=1000000.0, mrope_section=[16, 24, 24])),
                vision_config=dict(
                    depth=depth or 32, hidden_size=1280, intermediate_size=3420, num_heads=16, out_hidden_size=3584,
                    fullatt_block_indexes=[7, 15, 23, 31], window_size=112, tokens_per_second=2),
                tie_word_embeddings=False, image_token_id=ids["<|image_pad|>"], video_token_id=ids["<|video_pad|>"],
                vision_start_token_id=ids["<|vision_start|>"], vision_end_token_id=ids["<|vision_end|>"])),
            "vae": AutoencoderKLQwenImage(**VAE),
        }


def stored_name(name):
    """transformers nests its modules deeper than the files are, which are older."""
    return name.replace("model.language_model.", "model.", 1).replace("model.visual.", "visual.", 1)


def write_weights(folder, part, shapes, count, with_data):
    """bfloat16 shards; without data they are holes, which take no space and read as zeros."""
    names = sorted(shapes)
    groups = [names[i * len(names) // count:(i + 1) * len(names) // count] for i in range(count)]
    block = (torch.randn(1 << 20, generator=torch.Generator().manual_seed(1)) * 0.02).to(torch.bfloat16).view(torch.uint8).numpy()
    where = {}
    for number, group in enumerate(groups, 1):
        file = f"{STEMS[part]}.safetensors" if count == 1 else f"{STEMS[part]}-{number:05}-of-{count:05}.safetensors"
        header, offset = {}, 0
        for name in group:
            size = 2 * int(np.prod(shapes[name], dtype=np.int64))
            header[name] = {"dtype": "BF16", "shape": shapes[name], "data_offsets": [offset, offset + size]}
            offset += size
            where[name] = file
        text = json.dumps(header).encode()
        with (folder / file).open("wb") as out:
            out.write(struct.pack("<Q", len(text)) + text)
            if with_data:
                for left in range(offset, 0, -block.nbytes):
                    out.write(block[:left].tobytes())
            out.truncate(8 + len(text) + offset)
    if count > 1:
        (folder / f"{STEMS[part]}.safetensors.index.json").write_text(json.dumps({"weight_map": where}))


def save(folder, release, depth=None):
    kind, zero_cond_t, sees = RELEASES[release]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tokens, vocabulary, merges = checkpoint.tokenizer(700)
    tokens.save_pretrained(folder / "tokenizer")
    ids = {t: tokens.convert_tokens_to_ids(t) for t in released.SPECIAL}
    parts = modules(zero_cond_t, ids, depth)
    FlowMatchEulerDiscreteScheduler(**checkpoint.SCHEDULER).save_pretrained(folder / "scheduler")
    if sees:
        Qwen2VLImageProcessor(min_pixels=56 * 56, max_pixels=12845056).save_pretrained(folder / "processor")
    for part, module in parts.items():
        shapes = {stored_name(name): list(tensor.shape) for name, tensor in module.state_dict().items()}
        (folder / part).mkdir()
        if part == "text_encoder":
            module.config.save_pretrained(folder / part)
        else:
            module.save_config(folder / part)
        write_weights(folder / part, part, shapes, SHARDS[part], with_data=depth is not None)
    classes = {part: type(module).__name__ for part, module in parts.items()}
    (folder / "model_index.json").write_text(json.dumps({
        "_class_name": kind, "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        **{part: ["diffusers", name] for part, name in classes.items()}}))
    return parts


def operations(transformer):
    """What the reference counts for one pass."""
    grids = [(1, *TOKENS["target"]), (1, *TOKENS["reference"])]
    image = sum(rows * columns for _, rows, columns in grids)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        transformer(
            hidden_states=torch.empty(1, image, 64), encoder_hidden_states=torch.empty(1, TOKENS["text"], 3584),
            timestep=torch.empty(1), img_shapes=[grids], return_dict=False)
    return counter.get_total_flops()


def main(out):
    facts = {}
    for release in RELEASES:
        parts = save(out / release, release)
        facts[release] = {
            "parameters": {part: sum(p.numel() for p in module.parameters()) for part, module in parts.items()},
            "operations": operations(parts["transformer"])}
    (out / "facts.json").write_text(json.dumps({"tokens": TOKENS, "releases": facts}, indent=2) + "\n")
    print(json.dumps(facts))


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(pathlib.Path(sys.argv[1]))
    elif len(sys.argv) == 3:
        save(pathlib.Path(sys.argv[1]), "2509", int(sys.argv[2]))
    else:
        sys.exit(__doc__)
