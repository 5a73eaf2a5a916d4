"""Whether a picture is the edit that was asked for, by measurement: the truth is known, for it was drawn.

Every object that should be there, the edited one and its neighbours, must have the right colour and be best explained by the
right one of the five shapes, with an overlap above 0.6. After a removal nothing of the old colour may be left in the place, which
must be the truth to more than 20 dB. A new background must be nearest to the one that was named. And the rest of the picture
must be the truth to more than 20 dB.
"""

import numpy as np

import scenes

OVERLAP = 0.6  # intersection over union
REST = 20.0  # dB
LEFT = 0.03  # share of a removed object's pixels that may still look like it
OFF_LINE = 64.0  # grey levels a pixel may be off the line between background and object to count as either


def psnr(a, b):
    error = np.square(a.astype(np.float64) - b).mean()
    return 99.0 if error == 0 else 10 * np.log10(255 ** 2 / error)


def nearest(colour, table):
    return min(table, key=lambda name: np.square(np.subtract(table[name], colour)).sum())


def coverage(pixels, colour, background):
    """How much of each pixel (H, W, 3) is `colour` before `background`; 0 for pixels that are no mixture of the two."""
    line = np.asarray(colour, np.float64) - background
    share = np.clip(((pixels - background) * line).sum(-1) / np.maximum(np.square(line).sum(-1), 1.0), 0, 1)
    off = np.linalg.norm(pixels - (background + share[..., None] * line), axis=-1)
    return np.where(off < OFF_LINE, share, 0.0)


def overlap(found, wanted):
    either = (found | wanted).sum()
    return (found & wanted).sum() / either if either else 0.0


def grown(area, pixels=2):
    """A boolean area and what is within some pixels of it."""
    area = np.pad(area, pixels)
    out = np.zeros_like(area)
    for dy in range(-pixels, pixels + 1):
        for dx in range(-pixels, pixels + 1):
            out |= np.roll(area, (dy, dx), (0, 1))
    return out[pixels:-pixels, pixels:-pixels]


def stands(thing, picture, background):
    """Findings on one object: its colour and its shape."""
    place = scenes.cell_slice(thing.cell)
    colour = nearest(picture[place][scenes.mask(thing) == 1].mean(axis=0), scenes.COLOURS)
    found = coverage(picture[place], scenes.COLOURS[thing.colour], background[place]) > 0.5
    overlaps = {shape: overlap(found, scenes.mask(thing, shape) > 0.5) for shape in scenes.SHAPES}
    best = max(overlaps, key=overlaps.get)
    return {"colour": (colour == thing.colour, colour),
            "shape": (best == thing.shape and overlaps[best] > OVERLAP, f"{best} {overlaps[best]:.2f}")}


def judge(picture, scene, edit):
    """(passed, findings): `findings` maps each test to (passed, what was measured)."""
    picture = np.asarray(picture, np.float64)
    after = scenes.apply(scene, edit)
    truth = scenes.draw(after).astype(np.float64)
    background = scenes.draw_background(after.background).astype(np.float64)
    findings = {}
    for thing in after.things:
        whose = "" if thing.cell == edit.cell else f"{scenes.CELLS[thing.cell]} "
        findings |= {whose + test: finding for test, finding in stands(thing, picture, background).items()}
    rest = np.ones((scenes.SIZE, scenes.SIZE), bool)
    if edit.kind == "background":
        things = np.zeros_like(rest)
        for thing in after.things:
            things[scenes.cell_slice(thing.cell)] |= scenes.mask(thing) > 0
        named = nearest(np.median(picture[~things], axis=0), scenes.BACKGROUNDS)
        findings["background"] = (named == edit.background, named)
    elif edit.kind == "remove":
        old, place = scene.at(edit.cell), scenes.cell_slice(edit.cell)
        body = scenes.mask(old) > 0.5
        left = coverage(picture[place], scenes.COLOURS[old.colour], background[place])[body] > 0.5
        findings["gone"] = (left.mean() <= LEFT, f"{left.mean():.2f} left")
        level = psnr(picture[place][body], truth[place][body])
        findings["filled"] = (level > REST, f"{level:.1f} dB")
    else:
        rest[scenes.cell_slice(edit.cell)] = ~grown(scenes.mask(after.at(edit.cell)) > 0)
    level = psnr(picture[rest], truth[rest])
    findings["rest"] = (level > REST, f"{level:.1f} dB")
    return all(bool(ok) for ok, _ in findings.values()), findings
