"""Instructions in English and Chinese for the edits of scenes.py.

Every instruction is a template with its slots filled: {r} the object meant, {c} a colour, {a} a new object, {p} a place,
{b} a background. An object is named by colour and shape, by one of them where that is enough, or by its place.
"""

import json
import pathlib
import re

import scenes

LANGUAGES = ("en", "zh")

EN = {
    "add": [
        "add {a} in the {p}", "add {a} at the {p}", "add {a} to the {p}", "put {a} in the {p}", "put {a} at the {p}",
        "draw {a} in the {p}", "draw {a} at the {p}", "place {a} in the {p}", "place {a} at the {p}",
        "insert {a} in the {p}", "create {a} in the {p}", "in the {p} add {a}", "in the {p}, draw {a}",
        "at the {p} put {a}", "let {a} appear in the {p}", "give the {p} {a}",
        "!I want {a} in the {p}", "!there should be {a} in the {p}", "!the {p} should have {a}", "!the {p} needs {a}",
    ],
    "remove": [
        "remove {r}", "delete {r}", "erase {r}", "take away {r}", "take {r} away", "take {r} out", "get rid of {r}",
        "make {r} disappear", "make {r} vanish", "clear {r} away", "drop {r}", "leave out {r}", "cut {r} out",
        "wipe {r} out", "remove {r} completely", "hide {r}",
        "!I do not want {r}", "!{r} should be gone", "!{r} has to go", "!{r} should disappear",
    ],
    "recolour": [
        "make {r} {c}", "turn {r} {c}", "paint {r} {c}", "colour {r} {c}", "color {r} {c}", "dye {r} {c}",
        "recolour {r} to {c}", "change {r} to {c}", "change the colour of {r} to {c}", "change the color of {r} to {c}",
        "make the color of {r} {c}", "set {r} to {c}", "switch {r} to {c}", "give {r} a {c} colour", "let {r} be {c}",
        "fill {r} with {c}",
        "!{r} should be {c}", "!{r} should become {c}", "!I want {r} to be {c}", "!I want {r} in {c}",
    ],
    "replace": [
        "replace {r} with {a}", "replace {r} by {a}", "turn {r} into {a}", "change {r} into {a}", "change {r} to {a}",
        "swap {r} for {a}", "make {r} {a}", "transform {r} into {a}", "convert {r} to {a}", "put {a} where {r} is",
        "put {a} in place of {r}", "draw {a} instead of {r}", "exchange {r} for {a}", "substitute {a} for {r}",
        "!{r} should be {a}", "!{r} should become {a}", "!I want {a} instead of {r}", "!I want {r} to be {a}",
    ],
    "background": [
        "change the background to {b}", "make the background {b}", "turn the background {b}", "set the background to {b}",
        "paint the background {b}", "color the background {b}", "colour the background {b}", "switch the background to {b}",
        "replace the background with {b}", "fill the background with {b}", "let the background be {b}",
        "use a {b} background", "give it a {b} background", "put everything on a {b} background",
        "change the colour of the background to {b}", "make the backdrop {b}",
        "!the background should be {b}", "!the background should become {b}", "!I want a {b} background",
    ],
}
ZH = {
    "add": [
        "在{p}加{a}", "在{p}画{a}", "在{p}添加{a}", "在{p}放{a}", "在{p}增加{a}", "{p}加{a}", "{p}画{a}", "给{p}加上{a}",
        "把{a}放在{p}", "在{p}加上{a}", "在{p}画上{a}", "!{p}要有{a}", "!我想在{p}要{a}", "!{p}应该有{a}",
    ],
    "remove": [
        "去掉{r}", "删除{r}", "删掉{r}", "移除{r}", "去除{r}", "擦掉{r}", "清除{r}", "拿掉{r}", "拿走{r}", "把{r}去掉", "把{r}删掉",
        "把{r}删除", "把{r}拿走", "把{r}移除", "把{r}擦掉", "将{r}移除", "将{r}删除", "让{r}消失", "不要{r}", "!{r}不要了", "!我不想要{r}",
    ],
    "recolour": [
        "把{r}变成{c}", "把{r}改成{c}", "把{r}换成{c}", "把{r}涂成{c}", "把{r}染成{c}", "把{r}画成{c}", "将{r}改为{c}", "将{r}变为{c}",
        "把{r}的颜色改成{c}", "把{r}的颜色变成{c}", "将{r}的颜色改为{c}", "让{r}变成{c}", "把{r}变{c}", "把{r}涂{c}", "!{r}变成{c}", "!{r}改成{c}", "!{r}应该是{c}",
        "!我想要{r}变成{c}",
    ],
    "replace": [
        "把{r}换成{a}", "把{r}变成{a}", "把{r}改成{a}", "把{r}替换成{a}", "将{r}替换为{a}", "将{r}换成{a}", "将{r}改为{a}", "用{a}代替{r}",
        "用{a}替换{r}", "让{r}变成{a}", "!{r}换成{a}", "!{r}变成{a}", "!{r}应该是{a}", "!我想要{r}变成{a}",
    ],
    "background": [
        "把背景变成{b}", "把背景换成{b}", "把背景改成{b}", "把背景涂成{b}", "将背景改为{b}", "将背景换成{b}", "把背景的颜色改成{b}", "让背景变成{b}",
        "用{b}的背景", "使用{b}背景", "换成{b}的背景", "换一个{b}的背景", "!背景改成{b}", "!背景换成{b}", "!背景应该是{b}", "!我想要{b}的背景",
    ],
}
TEMPLATES = {"en": EN, "zh": ZH}  # a leading ! marks a sentence that is not a request to somebody: it takes no "please"

BEFORE = {"en": ["please ", "can you ", "could you ", "could you please ", "now ", "just "], "zh": ["请", "请你", "帮我", "请帮我", "现在"]}
AFTER = {"en": [".", "!", " please", " please.", ", thanks", " in the picture", " in this image."], "zh": ["。", "吧", "，谢谢", "！", "吧。"]}

SHAPE_WORDS = {
    "en": {"circle": ["circle", "circle", "disc"], "square": ["square"], "triangle": ["triangle"], "star": ["star"], "heart": ["heart"]},
    "zh": {"circle": ["圆形", "圆", "圆圈"], "square": ["正方形", "方形", "方块"], "triangle": ["三角形", "三角"],
           "star": ["星星", "五角星", "星形"], "heart": ["心形", "爱心"]},
}
COLOUR_WORDS = {
    "en": {c: [c] for c in scenes.COLOURS} | {"purple": ["purple", "purple", "violet"]},
    "zh": {"red": ["红色", "红色", "红"], "orange": ["橙色", "橘色", "橙"], "yellow": ["黄色", "黄色", "黄"],
           "green": ["绿色", "绿色", "绿"], "blue": ["蓝色", "蓝色", "蓝"], "purple": ["紫色", "紫色", "紫"],
           "pink": ["粉色", "粉红色", "粉"], "brown": ["棕色", "褐色", "棕"]},
}
BACKGROUND_WORDS = {
    "en": {"white": ["white"], "grey": ["grey", "gray"], "black": ["black"], "beige": ["beige"], "light blue": ["light blue"],
           "light green": ["light green"]},
    "zh": {"white": ["白色"], "grey": ["灰色"], "black": ["黑色"], "beige": ["米色"], "light blue": ["浅蓝色", "淡蓝色"],
           "light green": ["浅绿色", "淡绿色"]},
}
PLACE_WORDS = {
    "en": [["top left", "upper left", "top left corner"], ["top right", "upper right", "top right corner"],
           ["bottom left", "lower left", "bottom left corner"], ["bottom right", "lower right", "bottom right corner"]],
    "zh": [["左上角", "左上方"], ["右上角", "右上方"], ["左下角", "左下方"], ["右下角", "右下方"]],
}
ANY_THING = {"en": ["object", "shape", "thing"], "zh": ["图形", "东西", "物体"]}


def _pick(rng, options):
    return options[rng.integers(len(options))]


def reference(rng, scene, thing, language):
    """Words that mean this object and no other of the scene, and which of its "shape", "colour" and "cell" they name."""
    shape = _pick(rng, SHAPE_WORDS[language][thing.shape])
    colour = _pick(rng, COLOUR_WORDS[language][thing.colour])
    place = _pick(rng, PLACE_WORDS[language][thing.cell])
    forms = ["both"] * 5 + ["place", "place and both"]
    if sum(t.shape == thing.shape for t in scene.things) == 1:
        forms += ["shape"] * 2
    if sum(t.colour == thing.colour for t in scene.things) == 1:
        forms += ["colour"] * 2
    form = _pick(rng, forms)
    anything = _pick(rng, ANY_THING[language])
    named = {"both": ("shape", "colour"), "shape": ("shape",), "colour": ("colour",), "place": ("cell",),
             "place and both": ("shape", "colour", "cell")}[form]
    if language == "en":
        return {
            "both": f"the {colour} {shape}", "shape": f"the {shape}", "colour": f"the {colour} {_pick(rng, ['one', anything])}",
            "place": f"the {_pick(rng, [shape, anything])} in the {place}",
            "place and both": f"the {colour} {shape} {_pick(rng, ['in', 'at'])} the {place}"}[form], named
    return {
        "both": _pick(rng, ["", "", "那个"]) + colour + _pick(rng, ["的", ""]) + shape, "shape": _pick(rng, ["", "那个"]) + shape,
        "colour": colour + "的" + anything, "place": f"{place}的{_pick(rng, [shape, anything])}",
        "place and both": f"{place}的{colour}{shape}"}[form], named


def new_thing(rng, shape, colour, language):
    """Words for an object that is to come; without a colour when it is to keep the old one's."""
    shape_word = _pick(rng, SHAPE_WORDS[language][shape])
    colour_word = _pick(rng, COLOUR_WORDS[language][colour]) if colour else ""
    if language == "en":
        words = f"{colour_word} {shape_word}".strip()
        return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
    return _pick(rng, ["一个", "一颗" if shape in ("star", "heart") else "一个", ""]) + (colour_word + _pick(rng, ["的", ""]) if colour else "") + shape_word


def instruction(rng, scene, edit, language):
    """A phrasing of the edit."""
    return phrase(rng, scene, edit, language)[0]


def phrase(rng, scene, edit, language):
    """A phrasing of the edit, and what it names of the place or the object it is about: some of "shape", "colour", "cell"."""
    template = _pick(rng, TEMPLATES[language][edit.kind])
    request = not template.startswith("!")
    slots, named = {}, ("cell",) if edit.kind == "add" else ()
    if edit.kind in ("remove", "recolour", "replace"):
        slots["r"], named = reference(rng, scene, scene.at(edit.cell), language)
    if edit.kind == "recolour":
        slots["c"] = _pick(rng, COLOUR_WORDS[language][edit.colour])
    if edit.kind in ("add", "replace"):
        slots["a"] = new_thing(rng, edit.shape, edit.colour, language)
    if edit.kind == "add":
        slots["p"] = _pick(rng, PLACE_WORDS[language][edit.cell])
    if edit.kind == "background":
        slots["b"] = _pick(rng, BACKGROUND_WORDS[language][edit.background])
    text = template.lstrip("!").format(**slots)
    before = _pick(rng, BEFORE[language]) if request and rng.random() < 0.35 else ""
    after = _pick(rng, AFTER[language]) if rng.random() < 0.4 else ""
    if before.startswith(("can", "could")):
        after = "?"
    text = before + text + after
    return (text[0].upper() + text[1:] if rng.random() < 0.6 else text), named


# What the Chinese templates are made of; what is left between these units are single characters.
ZH_UNITS = sorted("""添加 增加 加上 画上 放在 应该 想要 我想 去掉 删除 删掉 移除 去除 擦掉 清除 拿掉 拿走 消失 不要 变成 改成 换成 涂成 染成 画成
    改为 变为 替换 代替 颜色 背景 使用 一个 一颗 那个 帮我 现在 谢谢""".split(), key=len, reverse=True)


def words():
    """The units of all templates and slots, for the tokenizer: no token should reach across two of them."""
    for language in LANGUAGES:
        tables = (SHAPE_WORDS, COLOUR_WORDS, BACKGROUND_WORDS)
        slots = [word for table in tables for options in table[language].values() for word in options]
        slots += [word for options in PLACE_WORDS[language] for word in options] + ANY_THING[language]
        templates = [re.sub(r"\{\w\}", " ", t.lstrip("!")) for kind in TEMPLATES[language].values() for t in kind]
        text = " ".join([*slots, *templates, *BEFORE[language], *AFTER[language]])
        if language == "en":
            yield from re.findall(r"\w+|[^\w\s]", text + " the one a an")
        else:
            yield from slots
            yield from re.findall("|".join(ZH_UNITS) + r"|\S", " ".join([*templates, *BEFORE["zh"], *AFTER["zh"], *ZH_UNITS]))


def free():
    """The phrasings of free_phrasings.json: written by hand, made by no template, never trained on."""
    file = pathlib.Path(__file__).with_name("free_phrasings.json")
    return json.loads(file.read_text(encoding="utf-8"))
