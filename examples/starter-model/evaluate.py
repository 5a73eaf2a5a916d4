#!/usr/bin/env python3
"""Measures how many edits come out right (checker.py): on seen and held-out (shape, colour) pairs, per kind and language, and
on phrasings that no template makes. One command prints every figure of the model card:

    evaluate.py --state FOLDER                          what a training has reached
    evaluate.py --checkpoint FOLDER                     a checkpoint in the released layout
    evaluate.py --write FOLDER, then --pictures FOLDER  any other program: inputs, prompts and seeds out, pictures back in

The checker itself is measured in the same run: the true pictures must pass it after a trip through the autoencoder, the
unedited ones must not.
"""

import argparse
import contextlib
import json
import pathlib

import numpy as np
import torch
from PIL import Image, ImageDraw

import checker
import layout
import phrases
import scenes
from editor import Editor

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


def share(values):
    return round(float(np.mean(values)), 3) if len(values) else None


def quick(editor, count, seed=11):
    """Two figures for a training's log."""
    return {name: share(verdicts(pictures(editor, chosen := cases(name, count, seed)), chosen)) for name in ("seen", "held_out")}


def report(make, count, seed):
    """Every figure; `make` turns (set, cases) into pictures."""
    result = {"seed": seed}
    for name in SETS:
        chosen = cases(name, count, seed)
        passed = verdicts(make(name, chosen), chosen)
        result[name] = {"n": len(chosen), "passed": share(passed)}
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
    """The first cases, unselected: before, truth and outcome with the instruction and a mark; a picture."""
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


def write(folder, count, seed):
    """Inputs for another program: NAME/0000.png and jobs.json with prompt and seed of each."""
    jobs = []
    for name in SETS:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i, case in enumerate(cases(name, count, seed)):
            Image.fromarray(scenes.draw(case["scene"])).save(folder / name / f"{i:04}.png")
            jobs.append({"image": f"{name}/{i:04}.png", "prompt": case["prompt"], "seed": case["seed"], "output": f"{name}/{i:04}.out.png"})
    (folder / "jobs.json").write_text(json.dumps(jobs, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return jobs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--state", type=pathlib.Path)
    source.add_argument("--checkpoint", type=pathlib.Path)
    source.add_argument("--write", type=pathlib.Path)
    source.add_argument("--pictures", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=320, help="edits of each set")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--steps", type=int, default=layout.STEPS)
    parser.add_argument("--sheet", type=pathlib.Path, help="write a contact sheet of the first cases")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.write:
        print(f"{args.write}: {len(write(args.write, args.count, args.seed))} edits")
        return
    result = {}
    if args.pictures:
        def make(name, chosen):
            return [np.asarray(Image.open(args.pictures / name / f"{i:04}.out.png").convert("RGB")) for i in range(len(chosen))]
    else:
        editor = from_state(args.state) if args.state else from_checkpoint(args.checkpoint)

        def make(name, chosen):
            return pictures(editor, chosen, args.steps)
        result["steps"] = args.steps
        result["calibration"] = calibration(editor, args.count, args.seed)
    print(json.dumps(result | report(make, args.count, args.seed), indent=1))
    if args.sheet:
        chosen = cases("seen", 20, args.seed) + cases("held_out", 20, args.seed)
        made = make("seen", chosen[:20]) + make("held_out", chosen[20:])
        sheet(10, made, chosen).save(args.sheet)


if __name__ == "__main__":
    main()
