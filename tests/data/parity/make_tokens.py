#!/usr/bin/env python3
"""Makes the tokenizer's parity fixtures: small tokenizers and what transformers' Qwen2Tokenizer does with hard strings.

    make_tokens.py FOLDER

FOLDER/strings.txt has one string a line as hexadecimal bytes, not always valid UTF-8: the reference gets it decoded with
"replace". FOLDER/<tokenizer> holds its files and ids.txt: the ids of each string, a line each, decimal.

  json      tokenizer.json as transformers 5 saves it (merges as pairs)
  strings   the same, merges as "a b" strings
  pair      vocab.json, merges.txt, tokenizer_config.json and added_tokens.json, as the released text-to-image folders
  flags     added tokens with every flag: normalized, single_word, lstrip, rstrip
"""

import itertools
import json
import pathlib
import random
import shutil
import sys
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import Qwen2Tokenizer
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]
NOT_SPECIAL = ["<tool_call>", "</tool_call>", "<|fim_pad|>", "<|fim_pad|>>", "ﬁ\u0301x"]
FLAGGED = [
    AddedToken("e\u0301t\u00e9", normalized=True),  # found after NFC
    AddedToken("Word", single_word=True, normalized=False),
    AddedToken("<left>", lstrip=True, normalized=False),
    AddedToken("<right>", rstrip=True, normalized=False),
    AddedToken("<both>", lstrip=True, rstrip=True, normalized=False),
]
SAMPLES = [
    "The quick brown fox jumps over the lazy dog. It's what we'll do, they've said; I'm sure you'd agree.",
    "Make the sky blue, replace the house with a red barn, and remove the text \"SALE 50% OFF\" at 3:45pm!",
    "把图片中的天空变成蓝色，并在左边加一棵大树。保持人物不变！请将背景换成“雪山”。", "繁體中文：請將這張圖片轉為水彩畫風格。",
    "日本語のテキスト：空を青くしてください。カタカナ、ひらがな、漢字。", "한국어: 하늘을 파랗게 바꿔 주세요.",
    "Сделай небо голубым и добавь дерево.", "Κάνε τον ουρανό μπλε.", "اجعل السماء زرقاء وأضف شجرة.", "הפוך את השמיים לכחולים",
    "आकाश को नीला कर दो", "ทำให้ท้องฟ้าเป็นสีฟ้า", "Làm cho bầu trời xanh hơn và thêm một cái cây.", "Ünïcödé çàfé naïve Ångström",
    "def f(x):\n    return x ** 2  # comment\n\n\tif x >= 10: print('ok')\r\n", "https://example.com/a?b=c&d=%20#e",
    "🏠🌳👩‍👩‍👧‍👦 👍🏽 🇨🇳🇫🇷 ❤️ ☃️ ©®™", "1234567890 3.14159 1,000,000 ½ ² Ⅷ 五 ٣", "a\u0301 e\u0301 A\u030a o\u0302\u0323 n\u0303",
]
INVALID = [
    b"\xff", b"a\xc3", b"\xc3(", b"\xe2\x82", b"\xe2\x82\xac\xe2\x82", b"\xf0\x9f\x8f", b"\xf0\x9f\x8f\xa0\xf0\x9f", b"\xed\xa0\x80",
    b"\xed\xb0\x80x", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\x80\x80\x80",
    b"ok \xfe\xfe\xff\xff end", b"<|im_\xffstart|>", b"<|im_start|>\xff<|im_end|>", b"\xe4\xb8\xad\xe6\x96", b"\xf8\x88\x80\x80\x80",
]


def strings():
    rng = random.Random(7)
    out = ["", " ", "\n", "a", "\0", "a\0b", "\u00a0", "\u3000x", "\u180ex", "a\u180e b", "\u200b", "\ufeffx", "\u2028\n", "\u0085a", "\u001c a"]
    out += SAMPLES
    out += [unicodedata.normalize(form, s) for s in SAMPLES for form in ("NFD", "NFKD", "NFKC")]
    # Runs of white space of every kind, in every surrounding.
    for run in (" ", "  ", "   ", "\t", "\n", "\r\n", " \n", "\n ", " \n \n ", "\t\t ", "\u00a0 ", "\u3000\u3000", " \r", "\n\n\n", "\u2003 \n"):
        out += [run, f"a{run}", f"{run}a", f"a{run}b", f"a{run}1", f"!{run}?", f"a{run}'s", f"中{run}文"]
    # Contractions, also in capitals and with letters that fold to them.
    for c in ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'RE", "'Ll", "'\u017f", "'x", "''s", "’s", "'s's", "'sa", "'lla"):
        out += [c, f"it{c}", f"it {c}", f"it{c} x", f"1{c}", f"\n{c}"]
    # Canonical reordering, compositions excluded and not, Hangul, singletons, long runs of marks.
    out += ["a\u0323\u0302", "a\u0302\u0323", "\u1e69", "s\u0323\u0307", "s\u0307\u0323", "\u0344", "\u212b", "\u2126", "\u1112\u1161\u11ab",
            "\u1112\u1161", "\uac00\u11a8", "\u0958", "\u2adc", "\ufb1d", "\u0f71\u0f72\u0f74", "\u0f73", "\U0001d15e", "\u2f800" "\U0002f800",
            "e" + "\u0301\u0316\u0300\u0327" * 40, "\u0301", "\u0301a", "a\u0301" * 50, "\u1100\u1161\u11a8" * 9, "\ufb01x", "ﬁ\u0301x"]
    tokens = SPECIAL + NOT_SPECIAL + [t.content for t in FLAGGED]
    out += [f"{a}{t}{b}" for t in tokens for a, b in (("", ""), ("a", "b"), (" ", " "), ("\n  ", "\t x"), ("中", "文"), (t[:-1], t[1:]))]
    out += [a + b for a, b in itertools.product(tokens, repeat=2)]
    out += ["<|im_start", "<|im_start|", "<<|im_start|>>", "<|im_start|>" * 20, "<|im_start|>user\nhi<|im_end|>\n", "Words", "a Word.", "_Word", "Word1"]
    out += ["a" * 5000, "ab" * 3000, "中" * 1500, "🏠" * 500, " " * 3000, "\n" * 3000, " " * 2000 + "x", "!" * 3000, "=-" * 1000, "9" * 500]
    alphabet = [c for s in SAMPLES for c in s] + list(" \n\t'\u0301\u0327\u200d\ufe0f") + tokens
    out += ["".join(rng.choices(alphabet, k=rng.randrange(1, 60))) for _ in range(300)]
    # Every assigned code point once, in the company of what cuts and composes.
    assigned = [chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) not in ("Cs", "Cn", "Co")]
    for start in range(0, len(assigned), 64):
        out.append("".join(f"a{c}\u0301{c}{c} {c}1" for c in assigned[start:start + 64]))
    result = [s.encode() for s in out] + INVALID
    result += [rng.randbytes(rng.randrange(1, 40)) for _ in range(100)]
    return result


def train():
    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    trainer = trainers.BpeTrainer(
        vocab_size=2500, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    backend.train_from_iterator(SAMPLES * 3 + ["a" * 40, "ab" * 20, "    " * 8, "中" * 16, "====", "!!!!!"] * 2, trainer)
    model = json.loads(backend.to_str())["model"]
    return model["vocab"], [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]


def tokenizer(vocabulary, merges, extra=()):
    result = Qwen2Tokenizer(vocab=vocabulary, merges=merges)
    result.add_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    result.add_tokens([AddedToken(t, special=False, normalized=False) for t in NOT_SPECIAL])
    result.add_tokens(list(extra))
    return result


def main(out):
    texts = strings()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / "strings.txt").write_text("".join(text.hex() + "\n" for text in texts))
    vocabulary, merges = train()
    for name, extra in (("json", ()), ("flags", FLAGGED)):
        reference = tokenizer(vocabulary, merges, extra)
        reference.save_pretrained(out / name)
        ids = [reference(text.decode("utf-8", "replace"))["input_ids"] for text in texts]
        (out / name / "ids.txt").write_text("".join(" ".join(map(str, line)) + "\n" for line in ids))

    shutil.copytree(out / "json", out / "strings", dirs_exist_ok=True)
    saved = json.loads((out / "json/tokenizer.json").read_text(encoding="utf-8"))
    assert all(isinstance(merge, list) for merge in saved["model"]["merges"])
    saved["model"]["merges"] = [" ".join(merge) for merge in saved["model"]["merges"]]
    (out / "strings/tokenizer.json").write_text(json.dumps(saved, ensure_ascii=False), encoding="utf-8")

    (out / "pair").mkdir(exist_ok=True)
    shutil.copy(out / "json/ids.txt", out / "pair/ids.txt")
    (out / "pair/vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (out / "pair/merges.txt").write_text(
        "#version: 0.2\n" + "".join(" ".join(pair) + "\n" for pair in merges), encoding="utf-8")
    added = {token["content"]: token for token in saved["added_tokens"]}
    (out / "pair/added_tokens.json").write_text(json.dumps({content: token["id"] for content, token in added.items()}))
    decoder = {str(token["id"]): {key: token[key] for key in token if key != "id"} for token in added.values() if token["special"]}
    (out / "pair/tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": decoder}))
    print(f"{len(texts)} strings, {len(vocabulary)} tokens")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
