#!/usr/bin/env python3
"""The strength of the parity suite: each mistake below, made in a copy of one source, must make at least one case fail.

    mutants.py SOURCE BUILD OUT [NAME...]

SOURCE: the checkout; BUILD: its build folder with edit_parity_test and the fixtures made; OUT: for what is compiled here. A mistake
that no longer applies (its text is not there exactly once) is an error, so that this list cannot rot.
"""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

TEST = "edit_parity_test"
FILTER = "--gtest_filter=Parity.Float32IsTheReference"

TRANSFORMER, LATENTS, RUN = "models/transformer_qwen_image.cpp", "pipelines/latents.cpp", "pipelines/run.cpp"
LORA = "weights/lora.cpp"
# name: source, then pairs of what is there and what the mistake makes of it.
MUTANTS = {
    "shift and scale swapped": (
        TRANSFORMER, "normed * (1 + per_token(parts[1])) + per_token(parts[0])",
        "normed * (1 + per_token(parts[0])) + per_token(parts[1])"),
    "exact GELU for tanh": (TRANSFORMER, 'at::gelu(stream.up(y), "tanh")', "at::gelu(stream.up(y))"),
    "RoPE's centre off by one on odd grids": (
        TRANSFORMER, "kRopePositions - (extent - extent / 2)", "kRopePositions - extent / 2",
        "slice(0, 0, extent / 2)", "slice(0, 0, extent - extent / 2)"),
    "zero_cond_t forgotten": (
        TRANSFORMER, "state_->sizes.zero_cond_t ? at::cat({timestep, timestep * 0}, 0)",
        "state_->sizes.zero_cond_t ? at::cat({timestep, timestep}, 0)"),
    "no NFC": ("text/tokenizer.cpp", "nfc(std::string(piece.text))", "std::string(piece.text)"),
    "one-dimensional positions": (
        "models/qwen2_5_vl_text.cpp", "next + at / (rows * columns)", "next + at", "next + at / columns % rows", "next + at",
        "next + at % columns", "next + at", "next += std::max(rows, columns)", "next += rows * columns"),
    "terminal shift missing": ("schedulers/flow_match_euler.cpp", "terminal_ && last > 0", "terminal_ && last > 1"),
    "mask averaged instead of nearest": (
        LATENTS, "repainted.slice(0, 0, {}, scale).slice(1, 0, {}, scale)",
        "repainted.unflatten(0, {-1, scale}).mean(1).unflatten(1, {-1, scale}).mean(2)"),
    "PNG rounded down": (LATENTS, "* 255).round()", "* 255).floor()"),
    "noise drawn in another shape": (
        RUN, "pack(random.draw({1, 1, channels, height, width}).squeeze(1))",
        "random.draw({1, height / 2 * (width / 2), 4 * channels})"),
    "one token too many dropped": ("pipelines/prompt.cpp", "states.slice(1, form.dropped)", "states.slice(1, form.dropped + 1)"),
    "guidance without the prediction's length": (
        RUN, "combined * (length(with_prompt) / length(combined))", "combined"),
    "kept part with the noise of the step before": (RUN, "step + 1, clean, noise)", "step, clean, noise)"),
    "mean of the posterior where a sample is drawn": (
        "models/autoencoder_qwen_image.cpp", "posterior.mean + posterior.deviation * noise", "posterior.mean + 0 * noise"),
    "LoRA's alpha not over its rank": (LORA, "return *value / (by_root ? std::sqrt(divisor) : divisor)", "return *value + 0 * divisor"),
    "LoRA's rank not under a root": (LORA, "by_root ? std::sqrt(divisor) : divisor", "divisor"),
    "LoRA's alpha beside the layer forgotten": (LORA, "pair.alpha.empty()\n", "true\n"),
    "LoRA's scale forgotten": (LORA, "* (state_->scale * factor)", "* factor"),
}


def mutate(source, out, file, *pairs):
    text = (source / "runtime" / file).read_text()
    for old, new in zip(pairs[::2], pairs[1::2]):
        if text.count(old) != 1:
            sys.exit(f"mutants: '{old}' is {text.count(old)} times in runtime/{file}, needed once")
        text = text.replace(old, new)
    copy = out / pathlib.Path(file).name
    copy.write_text(text)
    return copy


def command_for(build, source, original, copy, out):
    """The command that compiles `original`, alone or in its unity file, made to compile `copy`, quickly, to an object in `out`."""
    include = f'#include "{original}"'
    for entry in json.loads((build / "compile_commands.json").read_text()):
        file = pathlib.Path(entry["file"])
        if file == original:
            unit = copy
        elif file.suffix == ".cxx" and include in (text := file.read_text()):
            unit = out / "unity.cpp"
            unit.write_text(text.replace(include, f'#include "{copy}"'))
        else:
            continue
        words = shlex.split(entry["command"])
        words[words.index("-o") + 1] = str(out / "mutant.o")
        words[words.index("-c") + 1] = str(unit)
        return [*words, "-O0", "-w"]
    sys.exit(f"mutants: nothing compiles {original}")


def run(arguments, cwd):
    # One thread: two of these run at once, and threads that wait for each other spin.
    return subprocess.run(
        arguments, cwd=cwd, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def failing_cases(source, build, out, name):
    """The cases that notice the mistake."""
    file, *pairs = MUTANTS[name]
    folder = out / re.sub(r"\W+", "-", name)
    folder.mkdir(parents=True, exist_ok=True)
    copy = mutate(source, folder, file, *pairs)
    compiled = run(command_for(build, source, source / "runtime" / file, copy, folder), build)
    if compiled.returncode != 0:
        sys.exit(f"mutants: '{name}' does not compile:\n{compiled.stderr}")
    link = run(["ninja", "-t", "commands", TEST], build).stdout.splitlines()[-1]
    # First among the objects: no archive's member is taken for what it defines.
    link = link.replace(f" -o tests/{TEST} ", f" {shlex.quote(str(folder / 'mutant.o'))} -o {shlex.quote(str(folder / TEST))} ", 1)
    linked = run(["bash", "-c", link], build)
    if linked.returncode != 0:
        sys.exit(f"mutants: '{name}' does not link:\n{linked.stderr}")
    tested = run([str(folder / TEST), FILTER], folder)
    (folder / TEST).unlink()
    if tested.returncode not in (0, 1):
        sys.exit(f"mutants: '{name}' ends with {tested.returncode} instead of a failed test:\n{tested.stderr}")
    return sorted(set(re.findall(r'^Google Test trace:\n.*?: (\S+)$', tested.stdout, re.M)))


def main(source, build, out, names):
    wanted = {name: MUTANTS[name] for name in names} if names else MUTANTS
    sound = run([str(build / "tests" / TEST), FILTER], build)
    if sound.returncode != 0:
        sys.exit(f"mutants: without a mistake the test fails, too:\n{sound.stdout[-2000:]}")
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(wanted, pool.map(lambda name: failing_cases(source, build, out, name), wanted)))
    for name, cases in found.items():
        print(f"{name}: " + (f"noticed by {', '.join(cases)}" if cases else "NOT NOTICED"))
    missed = [name for name, cases in found.items() if not cases]
    print(f"{len(found) - len(missed)} of {len(found)} mistakes noticed")
    sys.exit(bool(missed))


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*(pathlib.Path(argument).resolve() for argument in sys.argv[1:4]), sys.argv[4:])
