#!/usr/bin/env python3
"""Makes the text encoder's parity fixtures: what the reference's processor and Qwen2.5-VL give for hard pictures.

    make_vl.py FOLDER

FOLDER/model is make.py's checkpoint as transformers 5 saves it; FOLDER/other is the same in each part's other style: a flat
config with rope_scaling and rope_theta (as released), weights named as the modules are (model.language_model.*,
model.visual.*), the processor in preprocessor_config.json, the tokenizer as vocab.json and merges.txt. Each FOLDER/<case>
has prompt.txt, input<i>.png and expected.safetensors: input_ids, positions, pixel_values, image_grid_thw, hidden (float32),
hidden_bf16.

Positions are three-dimensional: see make.py.
"""

import json
import pathlib
import shutil
import sys
import warnings

import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen2_5_VLForConditionalGeneration

import checkpoint
import make

PICTURE = "Picture {}: <|vision_start|><|image_pad|><|vision_end|>"
CASES = {  # sizes of the pictures (width, height), text
    "text_only": ([], "a red barn, 红色的谷仓 e\u0301!\n"),
    "one_token": ([(28, 28)], "x"),
    "smallest": ([(1, 1)], "grow"),
    "odd": ([(150, 101)], "Make the sky blue, then add a tree!"),
    "whole_windows": ([(224, 112)], "windows that divide"),
    "many_windows": ([(381, 333)], "把天空变成蓝色"),
    "narrow": ([(560, 29)], "a strip"),
    "tall": ([(30, 470)], "a tower"),
    "two": ([(97, 131), (200, 80)], "把背景换成红色的房子, it's  fine\n\n"),
    "three": ([(60, 60), (300, 40), (113, 113)], "<|fim_pad|> 🏠"),
}


def prompt(pictures, text):
    return checkpoint.released.TEMPLATE.format("".join(PICTURE.format(i + 1) for i in range(pictures)) + text)


def save_other(model, other):
    """Rewrites `model` in the other styles."""
    for part in ("text_encoder", "tokenizer", "processor"):
        (other / part).mkdir(parents=True, exist_ok=True)
    renamed = {}
    for name, tensor in load_file(model / "text_encoder/model.safetensors").items():
        for old, new in (("model.", "model.language_model."), ("visual.", "model.visual.")):
            if name.startswith(old):
                name = new + name.removeprefix(old)
                break
        renamed[name] = tensor
    save_file(renamed, other / "text_encoder/model.safetensors", metadata={"format": "pt"})
    config = json.loads((model / "text_encoder/config.json").read_text())
    text = config.pop("text_config")
    rope = text.pop("rope_parameters")
    text.pop("model_type")
    config = {**text, **config, "rope_theta": rope["rope_theta"],
              "rope_scaling": {"type": "mrope", "mrope_section": rope["mrope_section"]}}
    config["vision_config"].pop("rope_parameters", None)
    (other / "text_encoder/config.json").write_text(json.dumps(config, indent=2))
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(model / "tokenizer" / name, other / "tokenizer" / name)
    added = json.loads((model / "tokenizer/tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    decoder = {str(token.pop("id")): token for token in added}
    (other / "tokenizer/tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": decoder}))
    processor = json.loads((model / "processor/processor_config.json").read_text())["image_processor"]
    size = processor.pop("size")
    processor.update(min_pixels=size["shortest_edge"], max_pixels=size["longest_edge"])
    (other / "processor/preprocessor_config.json").write_text(json.dumps(processor, indent=2))


@torch.no_grad()
def main(out):
    warnings.simplefilter("ignore")
    torch.set_num_threads(2)
    shutil.rmtree(out, ignore_errors=True)
    pipe = checkpoint.save(checkpoint.Recipe(), out / "model")
    save_other(out / "model", out / "other")
    # Loaded, not cast: from_pretrained keeps the rotary frequencies in float32.
    narrow = Qwen2_5_VLForConditionalGeneration.from_pretrained(out / "model/text_encoder", dtype=torch.bfloat16).eval()
    wide = Qwen2_5_VLForConditionalGeneration.from_pretrained(out / "model/text_encoder", dtype=torch.float32).eval()
    for name, (sizes, text) in CASES.items():
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        pictures = [make.picture(*size, seed=i) for i, size in enumerate(sizes)]
        for i, picture in enumerate(pictures):
            picture.save(folder / f"input{i}.png")
        text = prompt(len(pictures), text)
        (folder / "prompt.txt").write_text(text, encoding="utf-8", newline="")
        inputs = pipe.processor(text=[text], images=pictures or None, padding=True, return_tensors="pt")
        tensors = {key: inputs[key] for key in ("input_ids", "pixel_values", "image_grid_thw") if key in inputs}
        types = (inputs["input_ids"] == wide.config.image_token_id).int()
        if pictures:
            tensors["positions"] = wide.model.get_rope_index(
                inputs["input_ids"], types, image_grid_thw=inputs["image_grid_thw"])[0][:, 0]
        call = {key: inputs[key] for key in ("input_ids", "attention_mask", "pixel_values", "image_grid_thw") if key in inputs}
        for key, model in (("hidden", wide), ("hidden_bf16", narrow)):
            tensors[key] = model(**call, mm_token_type_ids=types, output_hidden_states=True).hidden_states[-1]
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / "expected.safetensors")
        print(f"{name}: {tensors['input_ids'].shape[1]} tokens, grids {tensors.get('image_grid_thw', torch.empty(0)).tolist()}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
