"""Modules that fastconv runs, beside the same modules without."""

from __future__ import annotations

import copy
import io

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from fastconv.torch import accelerate, report, restore  # noqa: E402
from fastconv.torch.acceleration import Accelerated  # noqa: E402


class Branching(nn.Module):
    """Most of what fastconv knows, a value that is written in place and read again among it."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.normalized = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.down = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.joined = nn.Conv2d(16, 8, 1)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.normalized(self.first(x))
        y = self.depthwise(self.relu(x))
        y += x  # as it is behind the ReLU
        y = functional.relu6(y)
        z = self.up(functional.leaky_relu(self.down(y), 0.1))
        x = self.joined(torch.cat([functional.max_pool2d(y, 3, 1, 1), z], dim=1))
        return self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1))


def chain():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 6, 3), nn.ReLU(inplace=True),
        nn.AvgPool2d(2, padding=1), nn.Flatten(), nn.Linear(6 * 2 * 3, 5), nn.ReLU(inplace=True),
    )  # fmt: skip


def pair(make, seed=0):
    """Return a module, and an accelerated copy."""
    torch.manual_seed(seed)
    module = make()
    return module, accelerate(copy.deepcopy(module), verbose=False)


def close(found, wanted, tolerance=1e-4):
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() <= tolerance * max(wanted.abs().max(), 1e-3)


def check_step(module, faster, x):
    for one in (module, faster):
        one.zero_grad()
    leaves = [x.clone().requires_grad_() for _ in range(2)]
    outputs = [one(leaf) for one, leaf in zip((module, faster), leaves, strict=True)]
    close(outputs[1], outputs[0])
    for y in outputs:
        y.square().sum().backward()
    close(leaves[1].grad, leaves[0].grad)
    for one, other in zip(module.parameters(), faster.parameters(), strict=True):
        close(other.grad, one.grad)
    for one, other in zip(module.buffers(), faster.buffers(), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("make", [chain, Branching])
def test_steps_and_predictions_are_pytorchs(make, memory_format):
    module, faster = (one.to(memory_format=memory_format) for one in pair(make))
    assert isinstance(faster, Accelerated)
    x = torch.randn(4, 3, 12, 14).to(memory_format=memory_format)
    for _ in range(3):
        check_step(module, faster, x)
    for one in (module, faster):
        one.eval()
    check_step(module, faster, x)  # moving averages, and gradients all the same
    with torch.no_grad():
        for _ in range(3):  # the later ones are replayed
            close(faster(x), module(x))
        for one in (module, faster):
            next(one.parameters()).data.mul_(2)  # which no version counts
        close(faster(x), module(x))


def test_modules_look_as_they_did():
    module, faster = pair(Branching)
    assert isinstance(faster, Branching)
    assert repr(faster) == repr(module)
    assert list(faster.state_dict()) == list(module.state_dict())
    faster.load_state_dict(module.state_dict())
    copied = copy.deepcopy(faster)
    file = io.BytesIO()
    torch.save(faster, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    x = torch.randn(2, 3, 8, 8)
    for one in (copied, loaded):
        assert isinstance(one, Accelerated)
        close(one(x), module(x))
    assert type(restore(faster)) is Branching


def test_hooks_and_other_modes_see_pytorchs_modules():
    module, faster = pair(Branching)
    seen = []
    handle = faster.down.register_forward_hook(lambda *given: seen.append(given[2].shape))
    check_step(module, faster, torch.randn(2, 3, 8, 8))
    assert seen == [(2, 8, 4, 4)]
    handle.remove()
    faster.down.stride = (1, 1)  # its options are read anew
    module.down.stride = (1, 1)
    for one in (module, faster):
        one.up = nn.Identity()
    check_step(module, faster, torch.randn(2, 3, 8, 8))
    assert faster.double()(torch.randn(2, 3, 8, 8).double()).dtype == torch.float64


def test_frozen_and_shared_weights():
    module, faster = pair(Branching)
    for one in (module, faster):
        one.first.weight.requires_grad_(False)
        one.down.weight = one.joined.weight = nn.Parameter(torch.ones(8, 16, 1, 1))
        one.down = nn.Conv2d(8, 8, 1, 2)
        one.normalized.eval()
    x = torch.randn(2, 3, 8, 8)
    for one in (module, faster):
        torch.manual_seed(1)
        nn.init.normal_(one.down.weight)
        nn.init.zeros_(one.down.bias)
        one(x).sum().backward()
    assert faster.first.weight.grad is None
    close(faster.down.weight.grad, module.down.weight.grad)


def test_several_passes_before_their_gradients():
    module, faster = pair(chain)
    first, second = torch.randn(2, 3, 12, 14), torch.randn(2, 3, 12, 14)
    for one in (module, faster):
        (one(first).sum() * one(second).square().sum()).backward()
    for one, other in zip(module.parameters(), faster.parameters(), strict=True):
        close(other.grad, one.grad)
    y = faster(first).sum()
    before = torch.autograd.grad(y, list(faster.parameters()), retain_graph=True)
    again = torch.autograd.grad(y, list(faster.parameters()))
    assert all(map(torch.equal, before, again))


def test_weights_that_changed_before_the_gradient_are_an_error_as_ever():
    _, faster = pair(chain)
    y = faster(torch.randn(2, 3, 12, 14)).sum()
    with torch.no_grad():
        faster[0].weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


class Deciding(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())

    def forward(self, x):
        return self.features(x) if x.sum() > 0 else self.features(-x)


class Noisy(Deciding):
    def forward(self, x):
        return self.features(x) * torch.rand(())


@pytest.mark.parametrize("kind", [Deciding, Noisy])
def test_what_cannot_be_traced_is_accelerated_within(kind, capsys):
    before = torch.get_rng_state()
    module = kind()
    state = torch.get_rng_state()
    accelerate(module)
    assert torch.equal(torch.get_rng_state(), state)
    torch.set_rng_state(before)
    assert type(module) is kind
    assert "features" in capsys.readouterr().out
    assert isinstance(module.features, Accelerated)
    module(torch.randn(1, 3, 6, 6))


def test_errors_are_pytorchs():
    _, faster = pair(chain)
    with pytest.raises(RuntimeError, match="channels"):
        faster(torch.randn(2, 4, 12, 14))
    with pytest.raises(TypeError, match="must be a torch"):
        accelerate(lambda x: x)


def test_the_report_tells_what_stays_with_pytorch():
    _, faster = pair(Branching)
    assert "PyTorch keeps flatten, head" in report(faster)
    assert "nothing of Linear" in report(accelerate(nn.Linear(2, 2), verbose=False))


@pytest.mark.parametrize(
    ("images", "channels", "size", "ours"),
    [(1, 3, 6, False), (1, 128, 7, False), (16, 3, 32, True), (8, 16, 16, True)],
)
def test_shapes_that_are_slower_stay_with_pytorch_by_rule(images, channels, size, ours):
    torch.manual_seed(0)
    module = accelerate(nn.Sequential(nn.Conv2d(channels, 16 + channels, 3)), verbose=False)
    name = type(module(torch.randn(images, channels, size, size)).grad_fn).__name__
    assert (name == "_OperationBackward") is ours
