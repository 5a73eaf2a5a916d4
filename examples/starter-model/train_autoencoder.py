#!/usr/bin/env python3
"""Trains the autoencoder on drawn scenes. Resumes from STATE/autoencoder.pt, with the same arguments."""

import argparse

import numpy as np
import torch

import layout
import runs
import scenes
from autoencoder import Autoencoder, ResidualBlock
from muon import Muon

NOISE = 0.1  # of a latent's spread, added while decoding: a decoder that forgives small errors of the transformer
CROP = 32
RATIO = 0.2  # Muon's: convolutions want smaller steps than the transformer (2,400 steps: 35.9 dB; at 0.5, 3,000 steps: 32.7 dB)
OUTCOME = ("steps", "batch", "rate", "seed")  # the arguments that it depends on


def pictures(rng, count, held_out=False):
    """Scenes before and after random edits, (count, 3, 64, 64) from -1 to 1, and the cell of one object of each."""
    images, cells = [], []
    while len(images) < count:
        scene, edit = scenes.random_edit(rng, scenes.KINDS[rng.integers(len(scenes.KINDS))], held_out)
        if held_out or rng.integers(2):
            scene = scenes.apply(scene, edit)
        if scene.things:
            images.append(scenes.draw(scene))
            cells.append(scene.things[rng.integers(len(scene.things))].cell)
    return layout.to_tensor(np.stack(images)), cells


def crops(rng, count):
    """Parts of pictures around an object: four times as many edges per unit of work as whole pictures."""
    whole, cells = pictures(rng, count)
    parts = []
    for picture, cell in zip(whole, cells):
        y, x = (int(np.clip(scenes.CELL * c + rng.integers(-12, 13), 0, scenes.SIZE - CROP)) for c in divmod(cell, 2))
        parts.append(picture[:, y:y + CROP, x:x + CROP])
    return torch.stack(parts)


def edges(x):
    """1 at pixels that differ from a neighbour, (B, 1, H, W)."""
    found = torch.zeros_like(x[:, :1])
    across = ((x[..., 1:] - x[..., :-1]).abs().amax(1, keepdim=True) > 0.16).float()
    down = ((x[..., 1:, :] - x[..., :-1, :]).abs().amax(1, keepdim=True) > 0.16).float()
    found[..., 1:] += across
    found[..., :-1] += across
    found[..., 1:, :] += down
    found[..., :-1, :] += down
    return found.clamp_(max=1)


def psnr(model, test):
    """Mean over pictures, in dB."""
    with torch.no_grad():
        error = (model.decode(model.encode(test)).clamp(-1, 1) - test) / 2
    return -10 * torch.log10(error.square().mean((1, 2, 3))).mean().item()


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", required=True, help="folder of states and logs")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=16, help="crops a step; a quarter as many whole pictures every fourth step")
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-every", type=int, default=250)
    args = parser.parse_args(words)
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)

    run = runs.Run(args.state, "autoencoder", {name: getattr(args, name) for name in OUTCOME})
    model = Autoencoder(layout.AUTOENCODER).to(memory_format=torch.channels_last)
    for block in model.modules():
        if isinstance(block, ResidualBlock):  # every block begins as the identity
            torch.nn.init.zeros_(block.conv2.weight)
            torch.nn.init.zeros_(block.conv2.bias)
    optimizer = Muon(
        [p for p in model.parameters() if p.dim() == 4], [p for p in model.parameters() if p.dim() != 4], args.rate, RATIO)
    step = 0
    if state := run.load():
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    test, _ = pictures(np.random.default_rng([args.seed, 0, 1]), 128, held_out=True)
    losses = []
    while step < args.steps:
        rng = np.random.default_rng([args.seed, 1, step])
        torch.manual_seed(args.seed * 1_000_003 + step)
        x = (pictures(rng, max(1, args.batch // 4))[0] if step % 4 == 3 else crops(rng, args.batch)).contiguous(memory_format=torch.channels_last)
        for group in optimizer.param_groups:
            group["lr"] = args.rate * runs.rate(step, args.steps, 50)
        z = model.encode(x)
        spread = z.detach().std((0, 2, 3), keepdim=True)
        error = model.decode(z + NOISE * spread * torch.randn_like(z)) - x
        loss = ((1 + 4 * edges(x)) * (error.square() + 0.1 * error.abs())).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        step += 1
        if step % args.log_every == 0 or step == args.steps:
            run.log(step=step, loss=float(np.mean(losses)), psnr_held_out=psnr(model, test))
            run.save(model=model.state_dict(), optimizer=optimizer.state_dict(), step=step)
            losses = []


if __name__ == "__main__":
    main()
