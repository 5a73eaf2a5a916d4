#!/usr/bin/env python3
"""Measures how many edits come out right (checker.py): on seen and held-out (shape, colour) pairs, per kind and language, and
on phrasings that no template makes. One command prints every figure of the model card:

    evaluate.py --state FOLDER                                 what a training has reached
    evaluate.py --checkpoint FOLDER                            a checkpoint in the released layout, computed by the reference
    evaluate.py --checkpoint FOLDER --service HOLDALL-EDIT     the same, through the real service over HTTP, beside the reference

The checker itself is measured in the same run: the true pictures must pass it after a trip through the autoencoder, the
unedited ones must not. Exits with 1, naming what is missing, if the figures are not those that a released checkpoint needs.
"""

import argparse
import contextlib
import json
import pathlib
import sys

import numpy as np
import torch
from PIL import Image, ImageDraw

import checker
import layout
import phrases
import scenes
from editor import Editor
from service import Service

SETS = ("seen", "held_out", "free")


def cases(name, count, seed):
    """Edits of a set, each with its scene, edit, language, prompt and seed; `free` has as many as there are phrasings."""
    made = []
    if name == "free":
        for i, phrasing in enumerate(phrases.free()):
            rng = np.random.default_rng([seed, 5, i])
            scene, edit = around(rng, phrasing)
            made.append(dict(scene=scene, edit=edit, language=phrasing["language"], prompt=phrasing["text"], seed=seed + i))
        return made
    for i in range(count):
        kind, language = scenes.KINDS[i % 5], phrases.LANGUAGES[i // 5 % 2]
        rng = np.random.default_rng([seed, 4, SETS.index(name), i])
        scene, edit = scenes.random_edit(rng, kind, name == "held_out")
        made.append(dict(scene=scene, edit=edit, language=language, prompt=phrases.instruction(rng, scene, edit, language), seed=seed + i))
    return made


def around(rng, phrasing):
    """A scene in which a free phrasing has one meaning, and the edit it asks for."""
    while True:
        scene, _ = scenes.random_edit(rng, "background")
        cells = [int(c) for c in rng.permutation(4)]
        edit = {key: phrasing[key] for key in ("kind", "shape", "colour", "background") if key in phrasing}
        place = scenes.CELLS.index(phrasing["place"]) if "place" in phrasing else cells[0]
        shape, colour = phrasing.get("of", (None, None))
        if edit["kind"] == "background":
            if np.abs(np.subtract(scenes.BACKGROUNDS[edit["background"]], scene.background.colour)).max() > 24:
                return scene, scenes.Edit(**edit)
            continue
        used = {t for t in (shape, colour) if t}
        pairs = [(s, c) for s in scenes.SHAPES for c in scenes.COLOURS
                 if (s, c) not in scenes.HELD_OUT and not used & {s, c} and s != phrasing.get("shape") and c != phrasing.get("colour")]
        others = [cell for cell in cells if cell != place][:int(rng.integers(1, 3))]
        things = [scenes.Thing(*pairs[rng.integers(len(pairs))], cell, scenes.RADII[rng.integers(len(scenes.RADII))]) for cell in others]
        if shape:
            things.append(scenes.Thing(shape, colour, place, 11))
        if len({t.shape for t in things}) == len(things) and len({t.colour for t in things}) == len(things):
            return scenes.Scene(tuple(things), scene.background), scenes.Edit(cell=place, **edit)


@contextlib.contextmanager
def weights(editor, others):
    """The editor with other weights for a while."""
    own = {name: p.detach().clone() for name, p in editor.named_parameters() if name in others}
    try:
        put(editor, others)
        yield editor
    finally:
        put(editor, own)


@torch.no_grad()
def put(editor, values):
    for name, p in editor.named_parameters():
        if name in values:
            p.copy_(values[name])


def pictures(editor, chosen, steps=layout.STEPS):
    """What the editor makes of the cases."""
    out = []
    for start in range(0, len(chosen), 32):
        part = chosen[start:start + 32]
        out.extend(editor.edit(np.stack([scenes.draw(c["scene"]) for c in part]), [c["prompt"] for c in part],
                               [c["seed"] for c in part], steps))
    return out


def verdicts(made, chosen):
    return [checker.judge(picture, c["scene"], c["edit"])[0] for picture, c in zip(made, chosen)]


class Beside:
    """Makes pictures by the service, and compares them with the reference's."""

    def __init__(self, by_reference, service, steps):
        self.by_reference, self.service, self.steps = by_reference, service, steps
        self.edits, self.largest, self.verdicts = 0, 0, 0

    def __call__(self, chosen):
        theirs = self.by_reference(chosen)
        ours = [self.service.edit(scenes.draw(c["scene"]), c["prompt"], c["seed"], self.steps) for c in chosen]
        self.edits += len(chosen)
        self.largest = max(self.largest, *(int(np.abs(a.astype(int) - b).max()) for a, b in zip(ours, theirs)))
        self.verdicts += int(np.not_equal(verdicts(ours, chosen), verdicts(theirs, chosen)).sum())
        return ours

    def figures(self):
        return {"n": self.edits, "largest_difference_in_grey_levels": self.largest, "other_verdicts": self.verdicts}


def share(values):
    return round(float(np.mean(values)), 3) if len(values) else None


def quick(editor, count, seed=11):
    """Two figures for a training's log."""
    return {name: share(verdicts(pictures(editor, chosen := cases(name, count, seed)), chosen)) for name in ("seen", "held_out")}


def report(make, count, seed):
    """Every figure; `make` turns cases into pictures."""
    result = {"seed": seed}
    for name in SETS:
        chosen = cases(name, count, seed)
        passed = verdicts(make(chosen), chosen)
        result[name] = {"n": len(chosen), "passed": share(passed),
                        "failed": [c["prompt"] for p, c in zip(passed, chosen) if not p]}
        for key, of in (("kind", lambda c: c["edit"].kind), ("language", lambda c: c["language"])):
            groups = sorted({of(c) for c in chosen})
            result[name][key] = {group: share([p for p, c in zip(passed, chosen) if of(c) == group]) for group in groups}
    return result


def calibration(editor, count, seed):
    """The checker's own error, and the autoencoder's."""
    chosen = cases("seen", count, seed) + cases("held_out", count, seed)
    truth = np.stack([scenes.draw(scenes.apply(c["scene"], c["edit"])) for c in chosen])
    with torch.no_grad():
        back = np.concatenate([editor.decode(editor.encode(truth[i:i + 64])) for i in range(0, len(truth), 64)])
    return {"n": len(chosen), "truth": share(verdicts(truth, chosen)), "truth_through_autoencoder": share(verdicts(back, chosen)),
            "unedited": share(verdicts([scenes.draw(c["scene"]) for c in chosen], chosen)),
            "autoencoder_psnr": round(float(np.mean([checker.psnr(a, b) for a, b in zip(back, truth)])), 2)}


def shortfalls(result):
    """What keeps a checkpoint with these figures from being released, in words; nothing if it may be."""
    found = []

    def need(name, value, least):
        if not value >= least:
            found.append(f"{name} is {value}, needed at least {least}")

    need("truth_through_autoencoder", result["calibration"]["truth_through_autoencoder"], 0.97)
    need("unedited pictures that fail", round(1 - result["calibration"]["unedited"], 3), 0.98)
    need("autoencoder_psnr", result["calibration"]["autoencoder_psnr"], 33)
    for name, all_of, each_kind in (("seen", 0.9, 0.8), ("held_out", 0.8, 0.65)):
        need(f"{name}.n", result[name]["n"], 300)
        need(f"{name}.passed", result[name]["passed"], all_of)
        for kind, passed in result[name]["kind"].items():
            need(f"{name}.kind.{kind}", passed, each_kind)
        apart = round(float(np.ptp(list(result[name]["language"].values()))), 3)
        if apart > 0.05:
            found.append(f"{name}: the languages are {apart} apart, at most 0.05 is allowed")
    need("free.passed", result["free"]["passed"], 0.7)
    return found


def from_state(folder, name="editor"):
    """The averaged weights of a training."""
    file = pathlib.Path(folder) / f"{name}.pt"
    state = torch.load(file, weights_only=True)
    editor = Editor()
    editor.load_autoencoder(folder)
    editor.restore(state, file)
    put(editor, state["average"])
    return editor.eval()


def from_checkpoint(folder):
    """A checkpoint in the released layout, in float32."""
    from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLForConditionalGeneration

    import autoencoder
    folder = pathlib.Path(folder)
    editor = Editor()
    vae = AutoencoderKLQwenImage.from_pretrained(folder / "vae", torch_dtype=torch.float32)
    autoencoder.from_released(editor.autoencoder, vae)
    editor.transformer.load_state_dict(QwenImageTransformer2DModel.from_pretrained(folder / "transformer", torch_dtype=torch.float32).state_dict())
    editor.text_encoder.load_state_dict(
        Qwen2_5_VLForConditionalGeneration.from_pretrained(folder / "text_encoder", dtype=torch.float32).state_dict())
    editor.latents_mean.copy_(torch.tensor(vae.config.latents_mean))
    editor.latents_std.copy_(torch.tensor(vae.config.latents_std))
    return editor.eval()


def sheet(rows, made, chosen, columns=4, scale=2):
    """The first cases, unselected: before and outcome, over them the instruction, red with a minus if it did not pass; a picture.
    Chinese needs the font of Debian's fonts-wqy-microhei; without it the edit is named in English."""
    try:
        from PIL import ImageFont
        font = ImageFont.truetype("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", 11)
    except OSError:
        font = None
    side, gap, line = scenes.SIZE * scale, 4, 16
    wide, high = 2 * side + 3 * gap, side + line + gap
    paper = Image.new("RGB", (columns * wide, rows * high), "white")
    pen = ImageDraw.Draw(paper)
    for i, (picture, case) in enumerate(zip(made, chosen)):
        if i >= rows * columns:
            break
        x, y = i % columns * wide, i // columns * high
        for j, one in enumerate((scenes.draw(case["scene"]), picture)):
            paper.paste(Image.fromarray(one).resize((side, side), Image.Resampling.NEAREST), (x + j * (side + gap), y + line))
        passed = checker.judge(picture, case["scene"], case["edit"])[0]
        text = case["prompt"] if font or case["prompt"].isascii() else f"[{case['language']}] {case['edit'].kind} {case['edit'].colour} {case['edit'].shape}{case['edit'].background}"
        pen.text((x, y + 2), ("+ " if passed else "- ") + text[:48], fill="black" if passed else "red", font=font)
    return paper


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--state", type=pathlib.Path)
    source.add_argument("--checkpoint", type=pathlib.Path)
    parser.add_argument("--service", type=pathlib.Path, help="the holdall-edit that makes the pictures")
    parser.add_argument("--no-gate", action="store_true", help="print the figures only")
    parser.add_argument("--count", type=int, default=320, help="edits of each set")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--steps", type=int, default=layout.STEPS)
    parser.add_argument("--sheet", type=pathlib.Path, help="write a contact sheet of the first cases")
    args = parser.parse_args(words)
    torch.set_num_threads(1)
    if args.service and not args.checkpoint:
        parser.error("--service needs --checkpoint")
    editor = from_state(args.state) if args.state else from_checkpoint(args.checkpoint)

    def by_reference(chosen):
        return pictures(editor, chosen, args.steps)

    result = {"steps": args.steps, "calibration": calibration(editor, args.count, args.seed)}
    with Service(args.service, args.checkpoint) if args.service else contextlib.nullcontext() as service:
        beside = Beside(by_reference, service, args.steps) if service else None
        make = beside or by_reference
        result |= report(make, args.count, args.seed)
        if service:
            result["beside_the_reference"] = beside.figures()
            result["seconds"] = {"median": round(float(np.median(service.seconds)), 3), "most": round(max(service.seconds), 3)}
        if args.sheet:
            chosen = cases("seen", 20, args.seed) + cases("held_out", 20, args.seed)
            sheet(10, make(chosen), chosen).save(args.sheet)
    print(json.dumps(result, indent=1, ensure_ascii=False))
    if not args.no_gate and (found := shortfalls(result)):
        sys.exit("not good enough to be released: " + "; ".join(found))


if __name__ == "__main__":
    main()
