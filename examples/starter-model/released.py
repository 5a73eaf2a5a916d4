"""What every checkpoint in the style of the released Qwen-Image-Edit-2509 folders shares, whatever its sizes: the prompt
template, the special tokens, a byte-level tokenizer and the files."""

import json
import shutil

from diffusers import QwenImageEditPlusPipeline
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import Qwen2Tokenizer
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

TEMPLATE = QwenImageEditPlusPipeline(*[None] * 6).prompt_template_encode
PREFIX, SUFFIX = TEMPLATE.split("{}")
DROPPED = 64  # tokens of PREFIX: the pipeline drops this many, whatever the tokenizer

SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
]
NOT_SPECIAL = [
    "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>",
    "<|file_sep|>",
]


def tokenizer(text, vocab_size, **options):
    """Byte-level BPE trained on `text`; `options` are the trainer's. Returns the tokenizer, its vocabulary and its merges."""
    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    for token in SPECIAL:
        text = [part for line in text for part in line.split(token)]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False, **options)
    backend.train_from_iterator(text, trainer)
    model = json.loads(backend.to_str())["model"]
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]
    result = Qwen2Tokenizer(vocab=model["vocab"], merges=merges, model_max_length=131072)
    result.add_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    result.add_tokens([AddedToken(t, special=False, normalized=False) for t in NOT_SPECIAL])
    count = len(result(PREFIX)["input_ids"])
    assert count == DROPPED, f"the template's prefix is {count} tokens, needed {DROPPED}"
    return result, model["vocab"], merges


def style(folder):
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


def write(file, document, indent=2):
    file.write_text(json.dumps(document, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")
