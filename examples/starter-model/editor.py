"""The whole model as one function of batches: the released pipeline's arithmetic, arranged for training on a processor.

The modules are the released classes and hold the weights; only the order of work differs. The template's first 64 tokens are
the same for every instruction, so they pass the text encoder once per batch; the last block computes only the tokens that are
read; the rotation of queries and keys is real instead of complex. tests/examples/starter_model_test.py compares the outcome
with the released pipeline.
"""

import math
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import layout
import released
import runs
from autoencoder import Autoencoder

SIDE = layout.scenes.SIZE // 16  # tokens of a picture's side
TOKENS = SIDE * SIDE
# CLIP's, as the processor has them.
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


def vision_patches(pictures):
    """What the vision encoder sees: uint8 (B, 64, 64, 3) to (B, 4, 1536), one row per 16 x 16 patch of the 32 x 32 picture."""
    side = math.isqrt(layout.CONDITION_AREA)
    small = np.stack([np.asarray(Image.fromarray(p).resize((side, side), Image.Resampling.LANCZOS)) for p in pictures])
    x = (small.astype(np.float32) / 255 - MEAN) / STD
    patch = layout.VISION["patch_size"]
    n = side // patch
    x = x.reshape(-1, n, patch, n, patch, 3).transpose(0, 1, 3, 5, 2, 4)  # B, row, column, channel, y, x
    x = np.repeat(x[:, :, :, :, None], layout.VISION["temporal_patch_size"], axis=4)
    return torch.from_numpy(x.reshape(len(pictures), n * n, -1))


def pack(latents):
    """(B, 16, 8, 8) to tokens (B, 16, 64), as the pipeline does."""
    b, c, h, w = latents.shape
    return latents.view(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(b, h // 2 * (w // 2), 4 * c)


def unpack(tokens):
    b, _, c = tokens.shape
    return tokens.view(b, SIDE, SIDE, c // 4, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(b, c // 4, 2 * SIDE, 2 * SIDE)


def half_rotation(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-b, a], dim=-1) * sin


class Editor(nn.Module):
    """Everything that edits. Latents are normalised and packed, (B, 16, 64); `ids` are the tokens after the template's first
    64, padded at the end, and `lengths` their counts."""

    def __init__(self):
        super().__init__()
        self.tokens, self.vocabulary, self.merges = layout.tokenizer()
        self.text_encoder = layout.text_encoder(self.tokens)
        self.transformer = layout.transformer()
        self.autoencoder = Autoencoder(layout.AUTOENCODER)
        self.register_buffer("latents_mean", torch.zeros(16))
        self.register_buffer("latents_std", torch.ones(16))
        self.prefix_ids = torch.tensor(self.tokens(released.PREFIX)["input_ids"])
        self.before = self.tokens(layout.PICTURE)["input_ids"]
        self.after = self.tokens(released.SUFFIX)["input_ids"]
        self.image_at = self.before.index(self.tokens.convert_tokens_to_ids("<|image_pad|>"))
        frequencies, text_frequencies = self.transformer.pos_embed([[(1, SIDE, SIDE)] * 2], max_txt_seq_len=256)
        self.rotation = torch.cat([text_frequencies, frequencies])  # complex: 256 text positions, then both pictures
        # The released rotation pairs neighbours (0, 1), (2, 3)...; this order makes them (0, 16), (1, 17)...
        dim = layout.TRANSFORMER["attention_head_dim"]
        self.order = torch.arange(dim).view(-1, 2).t().reshape(-1)
        heads = layout.TRANSFORMER["num_attention_heads"]
        self.rows = (torch.arange(heads)[:, None] * dim + self.order).reshape(-1)

    # States.

    def load_autoencoder(self, folder):
        """Takes the trained autoencoder of a folder of states."""
        state = torch.load(pathlib.Path(folder) / "autoencoder.pt", weights_only=True)
        self.autoencoder.load_state_dict(state["model"])

    def saved(self):
        """What a training of the editor keeps: its own weights, and of the autoencoder, which has a state of its own, the digest."""
        own = {name: value for name, value in self.state_dict().items() if not name.startswith("autoencoder.")}
        return {"editor": own, "autoencoder": runs.digest(self.autoencoder.state_dict())}

    def restore(self, state, file):
        """Takes back what was saved to `file`. Latents of one autoencoder mean nothing to another: that is refused."""
        if state.get("autoencoder") != runs.digest(self.autoencoder.state_dict()):
            sys.exit(f"'{file}' was trained with another autoencoder than the 'autoencoder.pt' beside it: put that one back, "
                     f"or remove '{file}' to begin again")
        self.load_state_dict(self.state_dict() | state["editor"])

    # Pictures.

    def encode(self, pictures):
        """uint8 (B, 64, 64, 3) to latents."""
        z = self.autoencoder.encode(layout.to_tensor(pictures).contiguous(memory_format=torch.channels_last))
        return pack(((z - self.latents_mean[:, None, None]) / self.latents_std[:, None, None]).contiguous())

    def decode(self, latents):
        z = unpack(latents) * self.latents_std[:, None, None] + self.latents_mean[:, None, None]
        return layout.to_pictures(self.autoencoder.decode(z))

    # Text.

    def tokenize(self, instructions):
        """ids (B, longest) and lengths (B)."""
        rows = [self.before + self.tokens(text)["input_ids"] + self.after for text in instructions]
        lengths = torch.tensor([len(row) for row in rows])
        ids = torch.full((len(rows), int(lengths.max())), self.prefix_ids[0].item())
        for i, row in enumerate(rows):
            ids[i, :len(row)] = torch.tensor(row)
        return ids, lengths

    def see(self, patches):
        """The vision encoder: patches (B, 4, 1536) to one token (B, 96). Four patches are one window, so all attend to all."""
        vision = self.text_encoder.model.visual
        x = F.linear(patches, vision.patch_embed.proj.weight.flatten(1))
        count = layout.VISION["num_heads"]
        inverse = vision.rotary_pos_emb.inv_freq
        y, z = (torch.tensor(axis, dtype=torch.float32)[:, None] * inverse for axis in ((0, 0, 1, 1), (0, 1, 0, 1)))
        angle = torch.cat([y, z, y, z], dim=-1)
        cos, sin = angle.cos(), angle.sin()
        for block in vision.blocks:
            q, k, v = block.attn.qkv(block.norm1(x)).unflatten(-1, (3, count, -1)).permute(2, 0, 3, 1, 4)
            out = F.scaled_dot_product_attention(half_rotation(q, cos, sin), half_rotation(k, cos, sin), v)
            x = x + block.attn.proj(out.transpose(1, 2).flatten(2))
            x = x + block.mlp(block.norm2(x))
        return vision.merger(x.flatten(0, 1))

    def read(self, ids, patches):
        """The language model: its last hidden states after the template's prefix, (B, length, 96)."""
        language = self.text_encoder.model.language_model
        start, length = len(self.prefix_ids), ids.shape[1]
        prefix = language.embed_tokens(self.prefix_ids)[None]
        x = language.embed_tokens(ids)
        x = torch.cat([x[:, :self.image_at], self.see(patches)[:, None], x[:, self.image_at + 1:]], dim=1)
        angle = torch.arange(start + length, dtype=torch.float32)[:, None] * language.rotary_emb.inv_freq
        angle = torch.cat([angle, angle], dim=-1)
        cos, sin = angle.cos(), angle.sin()
        causal = torch.ones(length, start + length, dtype=torch.bool).tril(start)
        for number, layer in enumerate(language.layers):
            keep = number + 1 < len(language.layers)  # after the last layer nobody reads the prefix
            attention = layer.self_attn

            def heads(linear, h):
                return linear(h).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)

            h, hp = layer.input_layernorm(x), layer.input_layernorm(prefix)
            kp = half_rotation(heads(attention.k_proj, hp), cos[:start], sin[:start])
            vp = heads(attention.v_proj, hp)
            q = half_rotation(heads(attention.q_proj, h), cos[start:], sin[start:])
            k = half_rotation(heads(attention.k_proj, h), cos[start:], sin[start:])
            k = torch.cat([kp.expand(len(ids), -1, -1, -1), k], dim=2)
            v = torch.cat([vp.expand(len(ids), -1, -1, -1), heads(attention.v_proj, h)], dim=2)
            groups = attention.num_key_value_groups
            out = F.scaled_dot_product_attention(
                q, k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1), attn_mask=causal)
            x = x + attention.o_proj(out.transpose(1, 2).flatten(2))
            x = x + layer.mlp(layer.post_attention_layernorm(x))
            if keep:
                qp = half_rotation(heads(attention.q_proj, hp), cos[:start], sin[:start])
                out = F.scaled_dot_product_attention(
                    qp, kp.repeat_interleave(groups, 1), vp.repeat_interleave(groups, 1), is_causal=True)
                prefix = prefix + attention.o_proj(out.transpose(1, 2).flatten(2))
                prefix = prefix + layer.mlp(layer.post_attention_layernorm(prefix))
        return language.norm(x)

    # The transformer.

    def velocity(self, noisy, source, text, lengths, sigma, taps=()):
        """The flow's velocity (B, 16, 64) at `noisy`. Also returns the image stream (B, 32, 128) after the blocks in `taps`."""
        model = self.transformer
        length = text.shape[1]
        image = model.img_in(torch.cat([noisy, source], dim=1))
        words = model.txt_in(model.txt_norm(text))
        condition = F.silu(model.time_text_embed(sigma, image))
        rotation = torch.cat([self.rotation[:length], self.rotation[256:]])
        cos, sin = (part.repeat(1, 2)[:, None] for part in (rotation.real, rotation.imag))
        padded = (torch.arange(length) >= lengths[:, None])
        mask = None
        if padded.any():
            mask = torch.zeros(len(text), 1, 1, length + 2 * TOKENS).masked_fill_(
                F.pad(padded, (0, 2 * TOKENS))[:, None, None], -torch.inf)
        tapped = []
        for number, block in enumerate(model.transformer_blocks):
            last = number + 1 == len(model.transformer_blocks)
            image, words = self._block(block, image, words, condition, cos, sin, mask, last)
            if number in taps:
                tapped.append(image)
        scale, shift = model.norm_out.linear(condition)[:, None].chunk(2, dim=-1)
        out = model.proj_out(torch.addcmul(shift, F.layer_norm(image[:, :TOKENS], image.shape[-1:], eps=1e-6), 1 + scale))
        return (out, tapped) if taps else out

    def _block(self, block, image, words, condition, cos, sin, mask, last):
        attention, length, width = block.attn, words.shape[1], image.shape[-1:]
        shift, scale, gate, shift2, scale2, gate2 = block.img_mod[1](condition)[:, None].chunk(6, dim=-1)
        wshift, wscale, wgate, wshift2, wscale2, wgate2 = block.txt_mod[1](condition)[:, None].chunk(6, dim=-1)
        x = torch.addcmul(shift, F.layer_norm(image, width, eps=1e-6), 1 + scale)
        w = torch.addcmul(wshift, F.layer_norm(words, width, eps=1e-6), 1 + wscale)

        def heads(linear, h, norm=None):
            if norm is None:
                return linear(h).unflatten(-1, (attention.heads, -1))
            h = F.linear(h, linear.weight[self.rows], linear.bias[self.rows]).unflatten(-1, (attention.heads, -1))
            return F.rms_norm(h, h.shape[-1:], norm.weight[self.order], norm.eps)

        if last:  # only the edited picture's tokens are read after this block
            image = image[:, :TOKENS]
            query = half_rotation(heads(attention.to_q, x[:, :TOKENS], attention.norm_q), cos[length:length + TOKENS], sin[length:length + TOKENS])
        else:
            query = half_rotation(torch.cat([
                heads(attention.add_q_proj, w, attention.norm_added_q), heads(attention.to_q, x, attention.norm_q)], dim=1), cos, sin)
        key = half_rotation(torch.cat([
            heads(attention.add_k_proj, w, attention.norm_added_k), heads(attention.to_k, x, attention.norm_k)], dim=1), cos, sin)
        value = torch.cat([heads(attention.add_v_proj, w), heads(attention.to_v, x)], dim=1)
        out = F.scaled_dot_product_attention(
            query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), attn_mask=mask).transpose(1, 2).flatten(2)

        image = torch.addcmul(image, gate, attention.to_out[0](out if last else out[:, length:]))
        x = torch.addcmul(shift2, F.layer_norm(image, width, eps=1e-6), 1 + scale2)
        image = torch.addcmul(image, gate2, block.img_mlp(x))
        if not last:
            words = torch.addcmul(words, wgate, attention.to_add_out(out[:, :length]))
            w = torch.addcmul(wshift2, F.layer_norm(words, width, eps=1e-6), 1 + wscale2)
            words = torch.addcmul(words, wgate2, block.txt_mlp(w))
        return image, words

    @torch.no_grad()
    def edit(self, pictures, instructions, seeds, steps=layout.STEPS):
        """Edits a batch as the pipeline would one by one: uint8 pictures in and out."""
        source = self.encode(pictures)
        ids, lengths = self.tokenize(instructions)
        text = self.read(ids, vision_patches(pictures))
        noise = torch.cat([
            torch.randn((1, 1, 16, 2 * SIDE, 2 * SIDE), generator=torch.Generator().manual_seed(int(seed))) for seed in seeds])
        x = pack(noise[:, 0])
        even = np.linspace(1.0, 1 / steps, steps)
        sigmas = [*(3 * even / (1 + 2 * even)), 0.0]
        for now, after in zip(sigmas[:-1], sigmas[1:]):
            sigma = torch.full((len(x),), float(np.float32(now)))
            x = x + (after - now) * self.velocity(x, source, text, lengths, sigma)
        return self.decode(x)
