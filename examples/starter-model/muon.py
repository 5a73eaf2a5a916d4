"""Muon for matrices, AdamW for the rest.

Muon (K. Jordan, 2024) replaces the momentum of a matrix by its nearest orthogonal matrix, found by five Newton-Schulz steps.
"""

import torch
import torch.distributed as dist

STEPS = ((4.0848, -6.8946, 2.9270), (3.9505, -6.3029, 2.6377), (3.7418, -5.5913, 2.3037),
         (2.8769, -3.1427, 1.2046), (2.8366, -3.0525, 1.2012))  # tuned per step: You Jiacheng, modded-nanogpt


def orthogonal(m):
    """The orthogonal factor of each matrix of a stack (n, rows, columns), roughly."""
    tall = m.shape[1] > m.shape[2]
    x = m.transpose(1, 2) if tall else m
    x = x / (x.norm(dim=(1, 2), keepdim=True) * 1.02 + 1e-7)
    for a, b, c in STEPS:
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.transpose(1, 2) if tall else x


class Muon(torch.optim.Optimizer):
    """`matrices` and `others` are disjoint lists of parameters. `lr` is AdamW's; a matrix moves by `ratio * lr` in root mean
    square per step. With parts=(i, n) this process finds the steps of every n-th matrix and gets the others' from its peers."""

    def __init__(self, matrices, others, lr, ratio=0.5, betas=(0.9, 0.98), momentum=0.95, parts=(0, 1)):
        self.part, self.parts = parts
        groups = [dict(params=list(matrices), matrix=True), dict(params=list(others), matrix=False)]
        super().__init__(groups, dict(lr=lr, ratio=ratio, betas=betas, momentum=momentum))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            (self._matrices if group["matrix"] else self._others)(group)

    def _matrices(self, group):
        shapes = {}
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                state["momentum"] = torch.zeros_like(p)
            state["momentum"].lerp_(p.grad, 1 - group["momentum"])
            step = p.grad.lerp(state["momentum"], group["momentum"])  # Nesterov
            shapes.setdefault((p.shape[0], p[0].numel()), []).append((p, step.flatten(1)))
        for (rows, columns), pairs in shapes.items():
            steps = torch.stack([step for _, step in pairs])
            if self.parts == 1:
                steps = orthogonal(steps)
            else:
                mine = steps[self.part::self.parts]
                mine = orthogonal(mine) if len(mine) else mine
                steps.zero_()[self.part::self.parts] = mine
                dist.all_reduce(steps)
            size = group["lr"] * group["ratio"] * max(rows, columns) ** 0.5
            for (p, _), step in zip(pairs, steps):
                p.sub_(step.view_as(p), alpha=size)

    def _others(self, group):
        first, second = group["betas"]
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                state.update(step=0, mean=torch.zeros_like(p), square=torch.zeros_like(p))
            state["step"] += 1
            state["mean"].lerp_(p.grad, 1 - first)
            state["square"].lerp_(p.grad.square(), 1 - second)
            mean = state["mean"] / (1 - first ** state["step"])
            root = (state["square"] / (1 - second ** state["step"])).sqrt_().add_(1e-8)
            p.addcdiv_(mean, root, value=-group["lr"])
