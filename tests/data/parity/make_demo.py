#!/usr/bin/env python3
"""Makes examples/demo-model: a checkpoint of random weights under 1 MB, in the style of the released folders.

    make_demo.py FOLDER WORKER

WORKER is the holdall-edit-worker that computes the golden edit's outcome.
"""

import json
import pathlib
import shutil
import subprocess
import sys

import torch
from diffusers.utils import logging

import checkpoint
import make

MANIFEST = {
    "name": "holdall-demo",
    "vae_area": 192 * 192,
    "condition_area": 128 * 128,
    "default_steps": 4,
    "default_true_cfg_scale": 1,
    "max_pixels": 16 << 20,
    "warm_up": [[192, 192], [224, 160]],
    "golden": {
        "prompt": "Make the sky blue, then add a tree",
        "image": "golden/input.png",
        "seed": 42,
        "output": "golden/output.png",
        "tolerance": 2,  # grey levels on average: other processors and bfloat16 round differently
    },
}


def released_style(folder):
    """transformers 5 writes its configurations in a style of its own; the released folders have the older one."""
    config = json.loads((folder / "text_encoder/config.json").read_text())
    text = config.pop("text_config")
    rope = text.pop("rope_parameters")
    for key in ("model_type", "layer_types"):
        text.pop(key, None)
    config["vision_config"].pop("rope_parameters", None)
    config["torch_dtype"] = config.pop("dtype")
    config = {**text, **config, "rope_theta": rope["rope_theta"],
              "rope_scaling": {"type": "mrope", "mrope_section": rope["mrope_section"]}}
    write(folder / "text_encoder/config.json", config)

    processor = json.loads((folder / "processor/processor_config.json").read_text())["image_processor"]
    size = processor.pop("size")
    processor.update(min_pixels=size["shortest_edge"], max_pixels=size["longest_edge"], processor_class="Qwen2VLProcessor")
    shutil.rmtree(folder / "processor")
    (folder / "processor").mkdir()
    write(folder / "processor/preprocessor_config.json", processor)

    added = json.loads((folder / "tokenizer/tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    decoder = {str(token.pop("id")): token for token in added}
    (folder / "tokenizer/tokenizer.json").unlink()
    write(folder / "tokenizer/tokenizer_config.json", {
        "add_prefix_space": False, "added_tokens_decoder": decoder, "bos_token": None, "eos_token": "<|im_end|>",
        "errors": "replace", "model_max_length": 131072, "pad_token": "<|endoftext|>", "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer", "unk_token": None})
    (folder / "text_encoder/generation_config.json").unlink()


def write(file, document):
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main(folder, worker):
    logging.set_verbosity_error()
    for name in ("processor", "scheduler", "text_encoder", "tokenizer", "transformer", "vae", "golden"):
        shutil.rmtree(folder / name, ignore_errors=True)
    recipe = checkpoint.Recipe(seed=2509, vae_base=8, vae_mult=(1, 1, 2, 2), dtype=torch.bfloat16, manifest=MANIFEST)
    checkpoint.save(recipe, folder)
    released_style(folder)
    golden = MANIFEST["golden"]
    (folder / "golden").mkdir()
    make.picture(96, 64, seed=0).save(folder / golden["image"])
    subprocess.run([
        worker, "run", "--model", folder, "--image", folder / golden["image"], "--prompt", golden["prompt"],
        "--seed", str(golden["seed"]), "--device", "cpu", "--dtype", "float32", "-q", "-o", folder / golden["output"]],
        check=True, stdout=subprocess.DEVNULL)
    for file in folder.rglob("*.safetensors"):
        file.chmod(0o644)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{folder}: {size} bytes")
    assert size < 1_000_000


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
