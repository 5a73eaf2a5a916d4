#!/usr/bin/env python3
"""Trains the transformer and the text encoder, on edits drawn as they are needed. Needs STATE/autoencoder.pt, always the same.

One single-threaded process per core, gradients averaged. Resumes from STATE/editor.pt; the outcome depends on the seed, the
number of workers and the arguments, not on interruptions.
"""

import argparse
import os
import tempfile
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

import evaluate
import layout
import phrases
import runs
import scenes
from editor import TOKENS, Editor, vision_patches
from muon import Muon

SHARES = {"add": 0.2, "remove": 0.16, "recolour": 0.24, "replace": 0.28, "background": 0.12}  # of the samples
RING = 2048  # recent pairs kept by each worker
REUSE = 3  # times a pair is used on average, each time with a new phrasing and noise: encoding it costs as much as half a step
CHANGED = 4.0  # weight of the tokens that the edit changes
CERTAIN = 0.5  # share of samples at sigma 1, where the edit is decided
GUIDE = 1.0  # weight of each of the guide losses: enough to be heard beside the flow's
OUTCOME = ("steps", "batch", "workers", "rate", "warm_up", "read_steps", "average", "seed")  # the arguments that it depends on
GUIDED = (1, 2)  # blocks after which the image stream is asked what it knows
TOKEN_CELLS = torch.tensor([(i // 4 // 2) * 2 + (i % 4) // 2 for i in range(TOKENS)])


class Guide(nn.Module):
    """Linear questions to the hidden states, with known answers: what does the text ask for, which object is where before
    and after, which one is meant. They make the decisions (which object, which colour) easy to learn long before the latents
    show them, and are thrown away after training."""

    TEXT = {"kind": len(scenes.KINDS), "shape": len(scenes.SHAPES) + 1, "colour": len(scenes.COLOURS) + 1,
            "background": len(scenes.BACKGROUNDS) + 1, "old shape": len(scenes.SHAPES) + 1, "old colour": len(scenes.COLOURS) + 1,
            "cell": len(scenes.CELLS) + 1}
    IMAGE = {"shape": len(scenes.SHAPES) + 1, "colour": len(scenes.COLOURS) + 1, "meant": 2}

    def __init__(self):
        super().__init__()
        width = layout.TRANSFORMER["num_attention_heads"] * layout.TRANSFORMER["attention_head_dim"]
        self.text = nn.Linear(layout.TEXT["hidden_size"], sum(self.TEXT.values()))
        self.image = nn.ModuleList([nn.Linear(width, sum(self.IMAGE.values())) for _ in GUIDED])

    def read(self, text, lengths, labels):
        """The text's loss and shares of right answers."""
        last = text[torch.arange(len(text)), lengths - 1]
        return self._ask("text", self.TEXT, self.text(last), labels["text"])

    def forward(self, text, lengths, images, labels):
        """The sum of all losses, and the shares of right answers."""
        loss, right = self.read(text, lengths, labels)
        for number, ask, image in zip(GUIDED, self.image, images):
            more, others = self._ask(f"block{number}", self.IMAGE, ask(F.layer_norm(image, image.shape[-1:])), labels["image"])
            loss, right = loss + more, right | others
        return loss, right

    @staticmethod
    def _ask(name, sizes, logits, wanted):
        losses, right = [], {}
        for i, (question, part) in enumerate(zip(sizes, logits.split(list(sizes.values()), dim=-1))):
            losses.append(F.cross_entropy(part.flatten(0, -2), wanted[..., i].flatten()))
            right[f"{name}.{question}"] = (part.argmax(-1) == wanted[..., i]).float().mean().item()
        return sum(losses) / len(losses), right


def index(options, name):
    return options.index(name) if name else len(options)


class Stream:
    """Pairs of pictures as latents, in a ring; the pair of a number is always the same."""

    def __init__(self, editor, seed, worker, batch):
        self.editor, self.seed, self.worker = editor, seed, worker
        self.batch, self.fresh = batch, -(-batch // REUSE)
        self.ring, self.end = {}, 0

    def pair(self, number):
        rng = np.random.default_rng([self.seed, 2, self.worker, number])
        kind = list(SHARES)[rng.choice(len(SHARES), p=list(SHARES.values()))]
        return scenes.random_edit(rng, kind)

    def fill(self, start, end):
        numbers = range(start, end)
        pairs = [self.pair(number) for number in numbers]
        before = np.stack([scenes.draw(scene) for scene, _ in pairs])
        after = np.stack([scenes.draw(scenes.apply(scene, edit)) for scene, edit in pairs])
        with torch.no_grad():
            latents = self.editor.encode(np.concatenate([before, after]))
        patches = vision_patches(before)
        for i, number in enumerate(numbers):
            self.ring[number % RING] = (
                *pairs[i], latents[i], latents[len(pairs) + i], patches[i], self.image_labels(*pairs[i]))

    @staticmethod
    def text_labels(scene, edit, named):
        """(7), the answers to Guide.TEXT."""
        old = scene.at(edit.cell)
        return torch.tensor([
            scenes.KINDS.index(edit.kind), index(scenes.SHAPES, edit.shape), index(scenes.COLOUR_NAMES, edit.colour),
            index(scenes.BACKGROUND_NAMES, edit.background), index(scenes.SHAPES, "shape" in named and old.shape),
            index(scenes.COLOUR_NAMES, "colour" in named and old.colour), edit.cell if "cell" in named else len(scenes.CELLS)])

    @staticmethod
    def image_labels(scene, edit):
        """(32, 3), the answers to Guide.IMAGE of each token, first of the new picture, then of the old."""
        image = []
        for state in (scenes.apply(scene, edit), scene):
            things = [state.at(cell) for cell in range(len(scenes.CELLS))]
            cells = torch.tensor([[index(scenes.SHAPES, thing and thing.shape), index(scenes.COLOUR_NAMES, thing and thing.colour),
                                   int(cell == edit.cell)] for cell, thing in enumerate(things)])
            image.append(cells[TOKEN_CELLS])
        return torch.cat(image)

    def phrases(self, rng, pairs):
        """A phrasing of each (scene, edit), and the labels."""
        made = [(scene, edit, *phrases.phrase(rng, scene, edit, phrases.LANGUAGES[rng.integers(2)])) for scene, edit in pairs]
        return [text for *_, text, _ in made], torch.stack([self.text_labels(scene, edit, named) for scene, edit, _, named in made])

    def next(self, step):
        """The samples of a step: a list of two batches, short and long instructions apart, to pad little."""
        end = max(self.fresh * (step + 1), self.batch)
        start = max(self.end, end - RING)
        for first in range(start, end, 64):
            self.fill(first, min(first + 64, end))
        self.end = end
        rng = np.random.default_rng([self.seed, 3, self.worker, step])
        newest = [n for n in range(end - self.fresh, end)]
        older = rng.choice(range(max(0, end - RING), end), self.batch - len(newest))
        samples = [self.ring[n % RING] for n in (*newest, *older)]
        texts, text_labels = self.phrases(rng, [sample[:2] for sample in samples])
        ids, lengths = self.editor.tokenize(texts)
        order = torch.argsort(lengths, stable=True)
        batches = []
        for part in order.chunk(2):
            longest = int(lengths[part].max())
            source, target, patches, image = (torch.stack(c) for c in list(zip(*[samples[i] for i in part]))[2:])
            batches.append(dict(
                ids=ids[part, :longest], lengths=lengths[part], source=source, target=target, patches=patches,
                labels={"text": text_labels[part], "image": image}))
        return batches


def loss_of(editor, guide, batch):
    """The loss of one batch and what to log of it."""
    source, target = batch["source"], batch["target"]
    count = len(source)
    even = torch.rand(count)
    sigma = torch.where(torch.rand(count) < CERTAIN, 1.0, 3 * even / (1 + 2 * even))
    noise = torch.randn_like(target)
    at = sigma[:, None, None]
    text = editor.read(batch["ids"], batch["patches"])
    velocity, images = editor.velocity(at * noise + (1 - at) * target, source, text, batch["lengths"], sigma, GUIDED)
    error = (velocity - (noise - target)).square().mean(-1)
    edit = (target - source).square().mean(-1)
    weight = torch.where(edit > 0.01 * layout.SPREAD ** 2, CHANGED, 1.0)
    flow = (weight * error).sum() / weight.sum()
    guided, right = guide(text, batch["lengths"], images, batch["labels"])
    with torch.no_grad():
        certain = sigma == 1
        kinds = batch["labels"]["text"][:, 0]
        explained = {}
        for i, kind in enumerate(scenes.KINDS):
            chosen = certain & (kinds == i)
            explained[kind] = (error[chosen].sum().item(), edit[chosen].sum().item())
    return flow + GUIDE * guided, flow.item(), right, explained


LEVEL = 5.0  # of the constant half of a token's state: it keeps layer norms from hiding how large the other half is


@torch.no_grad()
def initialise(editor):
    """Before training the model already answers every instruction with the unedited picture, so that only edits are learned.

    A token's state is its latents beside a constant. In the first block two heads look, by position alone, from a token of the
    new picture to the same place of the old one and bring its latents, and the output is what the flow's velocity would be if
    those were the outcome. In every later block one head looks there too, and everything else begins without effect.
    """
    model = editor.transformer
    channels, dim = layout.TRANSFORMER["in_channels"], layout.TRANSFORMER["attention_head_dim"]
    unit = torch.eye(channels)
    level = LEVEL * (1 - 2 * (torch.arange(channels) % 2))
    model.img_in.weight.copy_(torch.cat([unit, torch.zeros_like(unit)]))
    model.img_in.bias.copy_(torch.cat([torch.zeros(channels), level]))
    size = ((layout.SPREAD ** 2 + LEVEL ** 2) / 2) ** 0.5  # root mean square of a state, which the layer norm divides by
    frame, row, column = np.cumsum([0, *layout.TRANSFORMER["axes_dims_rope"]])[:3]  # first pair of each axis: one radian a place
    for number, block in enumerate(model.transformer_blocks):
        for mod in (block.img_mod[1], block.txt_mod[1]):
            mod.weight.zero_()
            mod.bias.zero_()
            for gate in (2, 5):
                mod.bias.view(6, -1)[gate] = 1
        attention = block.attn
        for linear in (attention.to_out[0], attention.to_add_out, block.img_mlp.net[2], block.txt_mlp.net[2]):
            linear.weight.zero_()
            linear.bias.zero_()
        looking = channels // dim if number == 0 else 1
        for linear, turn in ((attention.to_q, 1.0), (attention.to_k, 0.0)):
            linear.weight[:looking * dim] *= 0.1
            linear.bias[:looking * dim] = 0
            for head in linear.bias[:looking * dim].view(looking, dim):
                head[frame], head[frame + 1] = np.cos(turn), np.sin(turn)  # the next picture
                head[row] = head[column] = 1  # the same place
        for norm in (attention.norm_q, attention.norm_k):
            norm.weight[[frame, frame + 1, row, row + 1, column, column + 1]] = 2.5
        if number == 0:
            attention.to_v.weight[:channels].copy_(torch.cat([size * unit, torch.zeros_like(unit)], dim=1))
            attention.to_v.bias[:channels] = 0
            attention.to_out[0].weight[channels:, :channels].copy_(unit)
    model.norm_out.linear.weight.zero_()
    model.norm_out.linear.bias.zero_()
    after = (layout.SPREAD ** 2 + LEVEL ** 2 / 2 + 0.5) ** 0.5  # with the copied latents, for noise of spread 1
    model.proj_out.weight.copy_(after * torch.cat([unit, -unit], dim=1))
    model.proj_out.bias.copy_(level)
    language = editor.text_encoder.model.language_model
    language.embed_tokens.weight.normal_(std=0.5)
    for module in editor.text_encoder.model.modules():
        if isinstance(module, nn.Linear):
            module.weight.normal_(std=module.in_features ** -0.5)
    for layer in language.layers:
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()


def learn_to_read(editor, guide, args):
    """The text encoder alone, on its guide questions: a tenth of the work per sample, and pictures mean little to a model that
    cannot tell one instruction from another."""
    optimizer = optimizer_for(editor, guide, args.rate)
    stream = Stream(editor, args.seed, args.workers, args.batch)
    rows = []
    for step in range(args.read_steps):
        rng = np.random.default_rng([args.seed, 6, step])
        pairs = [stream.pair(step * 64 + i) for i in range(64)]
        texts, labels = stream.phrases(rng, pairs)
        ids, lengths = editor.tokenize(texts)
        for group in optimizer.param_groups:
            group["lr"] = args.rate * runs.rate(step, args.read_steps, args.warm_up)
        patches = vision_patches(np.stack([scenes.draw(scene) for scene, _ in pairs]))
        loss, right = guide.read(editor.read(ids, patches), lengths, {"text": labels})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rows.append(right)
    return {name: round(float(np.mean([row[name] for row in rows[-20:]])), 3) for name in rows[0]} if rows else {}


def optimizer_for(editor, guide, rate, worker=0, workers=1):
    matrices, others = [], list(guide.parameters())
    for name, parameter in [*editor.transformer.named_parameters(), *editor.text_encoder.named_parameters()]:
        inner = ".layers." in name or ".blocks." in name or "transformer_blocks" in name
        (matrices if inner and parameter.dim() == 2 and "_mod" not in name else others).append(parameter)
    return Muon(matrices, others, rate, parts=(worker, workers))


def prepare(args):
    """The editor with the trained autoencoder, before any training of its own."""
    torch.manual_seed(args.seed)
    editor = Editor()
    editor.load_autoencoder(args.state)
    editor.autoencoder.to(memory_format=torch.channels_last).requires_grad_(False)
    mean, std = layout.latent_statistics(editor.autoencoder)
    editor.latents_mean.copy_(torch.tensor(mean))
    editor.latents_std.copy_(torch.tensor(std))
    initialise(editor)
    return editor


def trained(editor):
    """Names and parameters that training changes."""
    return {name: p for name, p in editor.named_parameters() if p.requires_grad}


def train(worker, args):
    torch.set_num_threads(1)
    if args.workers > 1:
        dist.init_process_group("gloo", init_method=f"file://{args.meeting}", rank=worker, world_size=args.workers)
    editor = prepare(args)
    guide = Guide()
    optimizer = optimizer_for(editor, guide, args.rate, worker, args.workers)
    parameters = [*trained(editor).values(), *guide.parameters()]
    run, step = runs.Run(args.state, args.name, {name: getattr(args, name) for name in OUTCOME}, writer=worker == 0), 0
    if state := run.load():
        editor.restore(state, run.state_file)
        guide.load_state_dict(state["guide"])
        optimizer.load_state_dict(state["optimizer"])
        average, step = state["average"], state["step"]
    else:
        if worker == 0:
            run.log(step=0, right=learn_to_read(editor, guide, args))
        for p in parameters if args.workers > 1 else ():
            dist.broadcast(p.detach(), 0)
        average = {name: p.detach().clone() for name, p in trained(editor).items()}
    stream = Stream(editor, args.seed, worker, args.batch)
    logged, sums, saved = [], {}, time.monotonic()
    while step < (args.stop or args.steps):
        if args.workers > 1 and os.getppid() != args.parent:
            return  # the training was ended; its last state is on the disk
        torch.manual_seed((args.seed * 1_000_003 + step) * 64 + worker)
        for group in optimizer.param_groups:
            group["lr"] = args.rate * runs.rate(step, args.steps, args.warm_up)
        optimizer.zero_grad(set_to_none=False)
        for batch in stream.next(step):
            loss, flow, right, explained = loss_of(editor, guide, batch)
            (loss / 2).backward()
            if worker == 0:
                logged.append({"flow": flow} | right)
                for kind, (error, edit) in explained.items():
                    old = sums.get(kind, (0.0, 0.0))
                    sums[kind] = (old[0] + error, old[1] + edit)
        if args.workers > 1:
            flat = torch.cat([p.grad.flatten() if p.grad is not None else torch.zeros(p.numel()) for p in parameters])
            dist.all_reduce(flat)
            flat /= args.workers
            for p, part in zip(parameters, flat.split([p.numel() for p in parameters])):
                p.grad = part.view_as(p)
        optimizer.step()
        step += 1
        keep = min(args.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, p in trained(editor).items():
                average[name].lerp_(p, 1 - keep)
        if worker == 0:
            record = {}
            if step % args.log_every == 0 or step == (args.stop or args.steps):
                names = logged[0]
                record = {"flow": float(np.mean([r["flow"] for r in logged])),
                          "explained": {k: round(1 - e / max(d, 1e-9), 3) for k, (e, d) in sums.items()},
                          "right": {n: round(float(np.mean([r[n] for r in logged])), 3) for n in names if n != "flow"}}
                logged, sums = [], {}
            if args.judge_count and (step % args.judge_every == 0 or step == args.steps):
                with evaluate.weights(editor, average):
                    record["accuracy"] = evaluate.quick(editor, args.judge_count)
            if record:
                run.log(step=step, samples=step * args.batch * args.workers, **record)
            if time.monotonic() - saved > args.save_every or step == (args.stop or args.steps) or record.get("accuracy"):
                run.save(**editor.saved(), guide=guide.state_dict(), optimizer=optimizer.state_dict(), average=average,
                         step=step)
                saved = time.monotonic()
    if args.workers > 1:
        dist.barrier()
        dist.destroy_process_group()


def arguments(words=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", required=True, help="folder of states and logs")
    parser.add_argument("--name", default="editor", help="name of the state in that folder")
    parser.add_argument("--steps", type=int, default=7000)
    parser.add_argument("--stop", type=int, help="stop at this step, to go on later")
    parser.add_argument("--batch", type=int, default=32, help="samples per step and worker")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rate", type=float, default=2.5e-3)
    parser.add_argument("--warm-up", type=int, default=20, help="steps")
    parser.add_argument("--read-steps", type=int, default=400, help="steps of the text encoder alone, before")
    parser.add_argument("--average", type=float, default=0.999, help="of the weights, per step")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-every", type=int, default=50, help="steps")
    parser.add_argument("--judge-every", type=int, default=1000, help="steps")
    parser.add_argument("--judge-count", type=int, default=100, help="edits judged, seen and held out each")
    parser.add_argument("--save-every", type=float, default=180, help="seconds")
    return parser.parse_args(words)


def main():
    args = arguments()
    if args.workers == 1:
        train(0, args)
    else:
        with tempfile.TemporaryDirectory() as folder:
            args.meeting, args.parent = f"{folder}/meeting", os.getpid()
            torch.multiprocessing.spawn(train, (args,), nprocs=args.workers)


if __name__ == "__main__":
    main()
