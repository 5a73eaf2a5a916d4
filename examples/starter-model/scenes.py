"""Drawn scenes and edits of them: the training and test data of the starter model, made as needed, from a seed.

A scene is a background and one to three objects, at most one in each quarter of the picture. An edit changes one thing
(add, remove, recolour, replace, background), and because a scene is a description, the edited picture is drawn as exactly
as the first. The instruction that asks for it is phrased elsewhere (phrases.py).
"""

from dataclasses import dataclass, replace

import numpy as np

SIZE = 64
CELL = SIZE // 2
CELLS = ("top left", "top right", "bottom left", "bottom right")
SHAPES = ("circle", "square", "triangle", "star", "heart")
COLOURS = {
    "red": (222, 38, 38), "orange": (248, 138, 22), "yellow": (248, 216, 38), "green": (34, 154, 60),
    "blue": (36, 84, 220), "purple": (138, 48, 178), "pink": (255, 120, 184), "brown": (126, 74, 34),
}
BACKGROUNDS = {
    "white": (246, 246, 246), "grey": (150, 154, 160), "black": (30, 30, 34), "beige": (232, 212, 176),
    "light blue": (168, 214, 240), "light green": (184, 228, 174),
}
KINDS = ("add", "remove", "recolour", "replace", "background")
COLOUR_NAMES, BACKGROUND_NAMES = tuple(COLOURS), tuple(BACKGROUNDS)
# Never drawn in training, neither before nor after an edit: each shape and each of its colours is known, the pair is not.
HELD_OUT = frozenset({
    ("circle", "purple"), ("square", "green"), ("triangle", "pink"), ("star", "blue"), ("heart", "orange")})
RADII = (9, 10, 11, 12)
JITTER = 2  # pixels an object's centre may be off the centre of its cell
ADDED_RADIUS = 11  # an added object lies in the centre of its cell, with this radius


@dataclass(frozen=True)
class Thing:
    """One object. `cell` is an index into CELLS; `dx`, `dy` are pixels off its centre."""

    shape: str
    colour: str
    cell: int
    radius: int = ADDED_RADIUS
    dx: int = 0
    dy: int = 0


@dataclass(frozen=True)
class Background:
    """A colour near one of BACKGROUNDS, plain, with a gradient across or with slow waves."""

    colour: tuple  # RGB, 0 to 255
    style: str = "plain"  # plain, gradient, texture
    angle: float = 0.0  # radians: where the gradient or the waves run
    strength: float = 0.0  # grey levels from the middle to an end
    phase: float = 0.0


@dataclass(frozen=True)
class Scene:
    things: tuple
    background: Background

    def at(self, cell):
        return next((thing for thing in self.things if thing.cell == cell), None)

    def free(self):
        return [cell for cell in range(len(CELLS)) if self.at(cell) is None]


@dataclass(frozen=True)
class Edit:
    """`cell` says where; `shape`, `colour` and `background` what comes there, where the kind needs it."""

    kind: str
    cell: int = -1
    shape: str = ""
    colour: str = ""
    background: str = ""


def apply(scene, edit):
    """The scene after the edit."""
    others = tuple(thing for thing in scene.things if thing.cell != edit.cell)
    old = scene.at(edit.cell)
    if edit.kind == "add":
        return replace(scene, things=others + (Thing(edit.shape, edit.colour, edit.cell),))
    if edit.kind == "remove":
        return replace(scene, things=others)
    if edit.kind == "recolour":
        return replace(scene, things=others + (replace(old, colour=edit.colour),))
    if edit.kind == "replace":
        return replace(scene, things=others + (replace(old, shape=edit.shape, colour=edit.colour or old.colour),))
    return replace(scene, background=Background(BACKGROUNDS[edit.background]))


# Drawing. A mask is drawn once per shape, size and offset, at 8 times the size, and averaged down: exact coverage of edges.

def inside(shape, x, y):
    """Whether points (in units of the radius, y downwards) lie in the shape."""
    if shape == "circle":
        return x * x + y * y <= 1
    if shape == "square":
        return np.maximum(abs(x), abs(y)) <= 0.9
    if shape == "triangle":
        return (y <= 0.8) & (abs(x) <= 0.6 * (y + 1.02))
    if shape == "star":
        angle = np.arctan2(x, -y)
        sector = np.abs((angle + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5)
        r = np.hypot(x, y) / 1.12
        inner = 0.42
        # The edge from the tip (1, angle 0) to the notch (inner, angle pi / 5), as a line.
        nx, ny = inner * np.sin(np.pi / 5), 1 - inner * np.cos(np.pi / 5)
        px, py = r * np.sin(sector), r * np.cos(sector)
        return px * ny - (1 - py) * nx <= 0
    if shape == "heart":
        u, v = x * 1.14, -(y - 0.12) * 1.14
        return (u * u + v * v - 0.85) ** 3 - 1.6 * u * u * v * v * v <= 0
    raise ValueError(f"unknown shape '{shape}'")


def _masks():
    scale = 8
    grid = (np.arange(CELL * scale) + 0.5) / scale - CELL / 2
    offsets = range(-JITTER, JITTER + 1)
    masks = np.empty((len(SHAPES), len(RADII), len(offsets), len(offsets), CELL, CELL), np.float32)
    for s, shape in enumerate(SHAPES):
        for r, radius in enumerate(RADII):
            for j, dy in enumerate(offsets):
                for i, dx in enumerate(offsets):
                    fine = inside(shape, ((grid - dx) / radius)[None, :], ((grid - dy) / radius)[:, None])
                    masks[s, r, j, i] = fine.reshape(CELL, scale, CELL, scale).mean((1, 3))
    return masks


_MASKS = None


def mask(thing, shape=None):
    """The coverage (0 to 1, CELL x CELL) of the thing in its cell; of another shape at the same place if one is given."""
    global _MASKS
    if _MASKS is None:
        _MASKS = _masks()
    return _MASKS[
        SHAPES.index(shape or thing.shape), RADII.index(thing.radius), thing.dy + JITTER, thing.dx + JITTER]


def cell_slice(cell):
    y, x = divmod(cell, 2)
    return slice(y * CELL, (y + 1) * CELL), slice(x * CELL, (x + 1) * CELL)


_AXIS = ((np.arange(SIZE) + 0.5) / (SIZE / 2) - 1).astype(np.float32)


def draw_background(background):
    colour = np.asarray(background.colour, np.float32)
    if background.style == "plain":
        return np.broadcast_to(colour, (SIZE, SIZE, 3)).copy()
    along = _AXIS[None, :] * np.float32(np.cos(background.angle)) + _AXIS[:, None] * np.float32(np.sin(background.angle))
    if background.style == "texture":
        across = _AXIS[:, None] * np.float32(np.cos(background.angle)) - _AXIS[None, :] * np.float32(np.sin(background.angle))
        along = np.sin(4 * along + np.float32(background.phase)) * np.sin(3 * across + np.float32(background.phase))
    return colour + np.float32(background.strength) * along[..., None]


def draw(scene):
    """The picture: SIZE x SIZE x 3, uint8."""
    picture = draw_background(scene.background)
    for thing in scene.things:
        place, coverage = cell_slice(thing.cell), mask(thing)[..., None]
        picture[place] += coverage * (np.asarray(COLOURS[thing.colour], np.float32) - picture[place])
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


# Random scenes and edits.

def _pair(rng, held_out, but=()):
    """A (shape, colour), held out or not as asked, with no attribute in `but`."""
    while True:
        shape, colour = SHAPES[rng.integers(len(SHAPES))], COLOUR_NAMES[rng.integers(len(COLOUR_NAMES))]
        if ((shape, colour) in HELD_OUT) == held_out and (shape, colour) not in but:
            return shape, colour


def random_background(rng):
    name = BACKGROUND_NAMES[rng.integers(len(BACKGROUND_NAMES))]
    colour = tuple(float(c) for c in np.asarray(BACKGROUNDS[name]) + rng.uniform(-8, 8))
    style = ("plain", "gradient", "texture")[rng.integers(3)]
    strength = {"plain": 0.0, "gradient": rng.uniform(12, 30), "texture": rng.uniform(6, 14)}[style]
    return Background(colour, style, float(rng.uniform(0, 2 * np.pi)), float(strength), float(rng.uniform(0, 2 * np.pi)))


def random_edit(rng, kind, held_out=False):
    """A scene and an edit of the kind. With `held_out` the edit is about a held-out (shape, colour): it is added, removed,
    the outcome of a recolouring or a replacement, or stands before the new background. Else no held-out pair occurs."""
    while True:
        count = int(rng.integers(1, 4))
        cells = rng.permutation(4)
        things = []
        for cell in cells[:count]:
            pair = _pair(rng, False, [(t.shape, t.colour) for t in things])
            things.append(Thing(*pair, int(cell), RADII[rng.integers(len(RADII))],
                                *(int(d) for d in rng.integers(-JITTER, JITTER + 1, 2))))
        if held_out and kind in ("remove", "background"):
            shape, colour = _pair(rng, True)
            things[0] = replace(things[0], shape=shape, colour=colour)
        scene = Scene(tuple(things), random_background(rng))
        target = things[0]
        if kind == "add":
            shape, colour = _pair(rng, held_out, [(t.shape, t.colour) for t in things])
            edit = Edit(kind, int(cells[-1]), shape, colour)
        elif kind == "remove":
            edit = Edit(kind, target.cell)
        elif kind == "recolour":
            colours = [c for c in COLOUR_NAMES if c != target.colour and ((target.shape, c) in HELD_OUT) == held_out]
            if not colours:
                continue
            edit = Edit(kind, target.cell, colour=colours[rng.integers(len(colours))])
        elif kind == "replace":
            # Half of the replacements keep the colour, half name a new one too.
            keep = bool(rng.integers(2))
            pairs = [(s, c) for s in SHAPES for c in COLOUR_NAMES
                     if s != target.shape and (c == target.colour) == keep and ((s, c) in HELD_OUT) == held_out]
            if not pairs:
                continue
            shape, colour = pairs[rng.integers(len(pairs))]
            edit = Edit(kind, target.cell, shape, "" if keep else colour)
        else:
            names = [n for n in BACKGROUND_NAMES if np.abs(np.subtract(BACKGROUNDS[n], scene.background.colour)).max() > 24]
            edit = Edit(kind, background=names[rng.integers(len(names))])
        return scene, edit
