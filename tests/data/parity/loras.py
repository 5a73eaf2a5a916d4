"""LoRA files in each way that trainers write them, and the reference's pipeline with some of them loaded."""

import copy
import math

import torch
from diffusers import QwenImagePipeline
from diffusers.training_utils import _collate_lora_metadata
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file

ATTENTION = ["to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"]
FEED_FORWARD = ["img_mlp.net.0.proj", "img_mlp.net.2", "txt_mlp.net.0.proj", "txt_mlp.net.2"]
MODULATION = ["img_mod.1", "txt_mod.1"]
OUTSIDE = [
    "img_in", "txt_in", "proj_out", "norm_out.linear", "time_text_embed.timestep_embedder.linear_1",
    "time_text_embed.timestep_embedder.linear_2"]


def factors(transformer, module, rank, generator):
    """A pair whose product is about a third as large as the weight that it changes."""
    weight = transformer.get_submodule(module).weight
    down = torch.randn(rank, weight.shape[1], generator=generator)
    up = torch.randn(weight.shape[0], rank, generator=generator)
    return down, up * (0.3 * weight.std().item() / math.sqrt(rank))


def in_blocks(transformer, names):
    return [f"transformer_blocks.{i}.{'attn.' if name in ATTENTION else ''}{name}"
            for i in range(len(transformer.transformer_blocks)) for name in names]


def by_keys(transformer, modules, seed, name, down=".lora_down.weight", up=".lora_up.weight", alpha=None):
    """What a trainer without peft writes; `name` spells a module."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for number, module in enumerate(modules):
        rank = 2 + number % 3
        tensors[name(module) + down], tensors[name(module) + up] = factors(transformer, module, rank, generator)
        if alpha:
            tensors[name(module) + ".alpha"] = torch.tensor(float(alpha))
    return tensors


def by_peft(transformer, folder, file, seed, **config):
    """What peft and diffusers write themselves, with the adapter's configuration in the metadata."""
    trained = copy.deepcopy(transformer)
    trained.add_adapter(LoraConfig(**config), adapter_name="default")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(trained.named_parameters()):
            if "lora_" in name:
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    QwenImagePipeline.save_lora_weights(
        folder, transformer_lora_layers=get_peft_model_state_dict(trained), weight_name=file,
        **_collate_lora_metadata({"transformer": trained}))


def save(transformer, folder):
    folder.mkdir(exist_ok=True)
    blocks = in_blocks(transformer, ATTENTION + FEED_FORWARD + MODULATION)
    save_file(by_keys(transformer, blocks + OUTSIDE, 1, lambda m: "lora_unet_" + m.replace(".", "_"), alpha=1.5),
              folder / "kohya.safetensors")
    save_file(by_keys(transformer, in_blocks(transformer, ATTENTION), 2, lambda m: m, alpha=8), folder / "plain.safetensors")
    save_file(by_keys(transformer, blocks, 3, lambda m: "diffusion_model." + m, ".lora_A.weight", ".lora_B.weight"),
              folder / "comfy.safetensors")
    by_peft(transformer, folder, "peft.safetensors", 4, r=4, lora_alpha=8, rank_pattern={"to_k": 2},
            target_modules=ATTENTION + FEED_FORWARD)
    by_peft(transformer, folder, "rslora.safetensors", 5, r=4, lora_alpha=3, use_rslora=True, target_modules=ATTENTION)


def load(pipe, files, folder):
    """A pipeline of its own with `files`, name to scale, on its transformer."""
    changed = type(pipe)(**{**pipe.components, "transformer": copy.deepcopy(pipe.transformer)})
    for name in files:
        changed.load_lora_weights(folder / f"{name}.safetensors", adapter_name=name)
    changed.set_adapters(list(files), list(files.values()))
    return changed
