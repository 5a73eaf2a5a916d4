"""The autoencoder for still pictures, for training: AutoencoderKLQwenImage with two-dimensional convolutions.

On a single frame the released class pads with empty frames before it, so only the last slice of each 3x3x3 kernel meets
the picture. Names follow the released state dict: `to_released` and `from_released` convert.
"""

import torch
import torch.nn.functional as F
from torch import nn


class Norm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.scale = channels ** 0.5

    def forward(self, x):
        length = x.square().sum(1, keepdim=True).add(1e-24).rsqrt()
        return x * length * (self.gamma * self.scale)[:, None, None]


class ResidualBlock(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.norm1, self.conv1 = Norm(before), nn.Conv2d(before, after, 3, padding=1)
        self.norm2, self.conv2 = Norm(after), nn.Conv2d(after, after, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        return self.conv2(F.silu(self.norm2(h))) + self.conv_shortcut(x)


class AttentionBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm, self.to_qkv = Norm(channels), nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        q, k, v = self.to_qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, dim=-1)
        out = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        return x + self.proj(out.transpose(1, 2).reshape(x.shape))


class MidBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.resnets = nn.ModuleList([ResidualBlock(channels, channels) for _ in range(2)])
        self.attentions = nn.ModuleList([AttentionBlock(channels)])

    def forward(self, x):
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class Down(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.resample = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(channels, channels, 3, stride=2))

    def forward(self, x):
        return self.resample(x)


class Up(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.resample = nn.Sequential(
            nn.Upsample(scale_factor=2.0, mode="nearest-exact"), nn.Conv2d(channels, channels // 2, 3, padding=1))

    def forward(self, x):
        return self.resample(x)


class UpBlock(nn.Module):
    def __init__(self, before, after, blocks, last):
        super().__init__()
        self.resnets = nn.ModuleList([ResidualBlock(before if i == 0 else after, after) for i in range(blocks)])
        self.upsamplers = nn.ModuleList([] if last else [Up(after)])

    def forward(self, x):
        for layer in (*self.resnets, *self.upsamplers):
            x = layer(x)
        return x


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        widths = [config["base_dim"] * m for m in [1, *config["dim_mult"]]]
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        layers = []
        for i, (before, after) in enumerate(zip(widths[:-1], widths[1:])):
            layers += [ResidualBlock(before if j == 0 else after, after) for j in range(config["num_res_blocks"])]
            if i < len(widths) - 2:
                layers.append(Down(after))
        self.down_blocks = nn.ModuleList(layers)
        self.mid_block = MidBlock(widths[-1])
        self.norm_out, self.conv_out = Norm(widths[-1]), nn.Conv2d(widths[-1], 2 * config["z_dim"], 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        for layer in self.down_blocks:
            x = layer(x)
        return self.conv_out(F.silu(self.norm_out(self.mid_block(x))))


class Decoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        multiples = config["dim_mult"]
        widths = [config["base_dim"] * m for m in [multiples[-1], *multiples[::-1]]]
        self.conv_in = nn.Conv2d(config["z_dim"], widths[0], 3, padding=1)
        self.mid_block = MidBlock(widths[0])
        self.up_blocks = nn.ModuleList([
            UpBlock(before if i == 0 else before // 2, after, config["num_res_blocks"] + 1, i == len(multiples) - 1)
            for i, (before, after) in enumerate(zip(widths[:-1], widths[1:]))])
        self.norm_out, self.conv_out = Norm(widths[-1]), nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, z):
        x = self.mid_block(self.conv_in(z))
        for block in self.up_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class Autoencoder(nn.Module):
    """Pictures are (B, 3, H, W) from -1 to 1; latents (B, z, H/8, W/8), not yet normalised."""

    def __init__(self, config):
        super().__init__()
        z = config["z_dim"]
        self.z = z
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        self.quant_conv, self.post_quant_conv = nn.Conv2d(2 * z, 2 * z, 1), nn.Conv2d(z, z, 1)

    def encode(self, pictures):
        return self.quant_conv(self.encoder(pictures))[:, :self.z]

    def decode(self, latents):
        return self.decoder(self.post_quant_conv(latents))


@torch.no_grad()
def to_released(model, released):
    """Copies the weights into an AutoencoderKLQwenImage; the slices that no still picture meets become 0, and so does the spread
    of the latents: training never draws from it, whereas edits with a mask do."""
    ours = model.state_dict()
    for name, target in released.state_dict().items():
        target.zero_()
        if name not in ours:
            assert "time_conv" in name, name
        elif target.dim() == 5:
            target[:, :, -1].copy_(ours.pop(name))
        else:
            target.copy_(ours.pop(name).view(target.shape))
    assert not ours, sorted(ours)
    released.quant_conv.weight[model.z:] = 0
    released.quant_conv.bias[model.z:] = -30  # the logarithm of a variance, cut off there


@torch.no_grad()
def from_released(model, released):
    theirs = released.state_dict()
    for name, target in model.state_dict().items():
        source = theirs[name]
        target.copy_((source[:, :, -1] if source.dim() == 5 else source).reshape(target.shape))
