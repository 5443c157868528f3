"""Computes the equal small networks of several images as one, with stacked tensors and ``torch.vmap``."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.utils._pytree import tree_leaves, tree_map

_OWN = {"training", *vars(nn.Module())}  # attributes that every module has


class Stack(nn.Module):
    """N independent modules of N images as one vmapped module. The modules must be ``alike``.

    Its tensors have a leading dimension of N, and are trained in place of the modules' own. ``restack`` copies them
    back to the modules.

    Args:
        modules: one for each image.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        # Tuples keep these out of the module tree; otherwise the optimizer would have them twice.
        self._apart, self._methods = (list(modules),), (_Methods(modules[0]),)
        parameters, buffers = stack_module_state(list(modules))
        for name, tensor in parameters.items():
            self.register_parameter(name.replace(".", "/"), nn.Parameter(tensor.detach(), tensor.requires_grad))
        for name, tensor in buffers.items():
            self.register_buffer(name.replace(".", "/"), tensor)

    def __len__(self) -> int:
        return len(self._apart[0])

    @property
    def first(self) -> Any:
        """The first of the modules, for properties that all have in common."""
        return self._apart[0][0]

    def call(self, method: str, *inputs: Tensor) -> Any:
        """``method`` of each module on its own image of each input, (N, …): a tensor or a dict of tensors, (N, …).

        Each module gets inputs with a first dimension of 1. Scalar results become (N,).
        """
        tensors = {f"net.{name.replace('/', '.')}": value for name, value in self._named()}

        def one(own: dict[str, Tensor], *images: Tensor) -> Any:
            # Otherwise a module with two names would get the stacked tensors instead of its own.
            value = functional_call(self._methods[0], own, (method, *images), tie_weights=False)
            return () if value is None else value  # vmap does not accept None

        found = torch.vmap(one, randomness="different")(tensors, *(x[:, None] for x in inputs))
        return None if found == () else _each(found, lambda value: value if value.ndim == 1 else value.flatten(0, 1))

    def parameter_groups(self, *values: Any) -> list[dict[str, Any]]:
        """The groups of ``parameter_groups(*values)`` of the modules, with the stacked parameters."""
        names = {id(p): name.replace(".", "/") for name, p in self.first.named_parameters()}
        own = dict(self.named_parameters(recurse=False))
        groups = self.first.parameter_groups(*values)
        return [{**group, "params": [own[names[id(p)]] for p in group["params"]]} for group in groups]

    def restack(self) -> list[Any]:
        """The modules, each with what it has learned."""
        (modules,) = self._apart
        stacked = {name.replace("/", "."): value.detach() for name, value in self._named()}
        for i, module in enumerate(modules):
            with torch.no_grad():
                for name, own in [*module.named_parameters(), *module.named_buffers()]:
                    # Replaced, not written into: a buffer may be expanded, or a view of y.
                    own.data = stacked[name][i].to(own.device, copy=True)
        return modules

    def _named(self) -> list[tuple[str, Tensor]]:
        return [*self.named_parameters(recurse=False), *self.named_buffers(recurse=False)]


class _Methods(nn.Module):
    """Makes any method of a module available to ``functional_call``, which only calls ``forward``."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, method: str, *inputs: Tensor) -> Any:
        return getattr(self.net, method)(*inputs)


def call_alone(module: nn.Module, method: str, *inputs: Tensor) -> Any:
    """The same as ``Stack.call`` for one module and one image, (1, …)."""
    return _each(getattr(module, method)(*inputs), lambda value: value[None] if value.ndim == 0 else value)


def stacked(modules: Sequence[nn.Module], y: Tensor, methods: Sequence[str] = ()) -> Stack | None:
    """The modules of a batch as one stack; ``None`` if they cannot be.

    They must be alike, and a trial must give the results of the single modules, since a plugin may do what cannot be
    vmapped, such as a branch on a value. The trial calls ``forward`` on ``y``, (B, 3, H, W), and ``methods``, whose
    arguments are images, if any.
    """
    if not all(alike(modules[0], other) for other in modules[1:]):
        return None
    whole = Stack(modules)
    return whole if _agrees(whole, modules, y, methods) else None


def alike(a: nn.Module, b: nn.Module) -> bool:
    """Whether two modules differ in nothing but the values of their parameters and buffers."""
    first, second = dict(a.named_modules()), dict(b.named_modules())
    if first.keys() != second.keys() or any(type(first[name]) is not type(second[name]) for name in first):
        return False
    if _shapes(a) != _shapes(b):
        return False
    try:
        return all(bool(_attributes(first[name]) == _attributes(second[name])) for name in first)
    except Exception:  # values that cannot be compared may differ
        return False


def _shapes(module: nn.Module) -> dict[str, tuple[Any, ...]]:
    tensors = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    first: dict[int, str] = {}  # the name that a tensor of several names is stacked by
    return {
        name: (tuple(value.shape), value.dtype, value.requires_grad, first.setdefault(id(value), name))
        for name, value in tensors
    }


def _attributes(module: nn.Module) -> dict[str, Any]:
    facts = getattr(module, "facts", ())  # about one image, and not used in a fit
    return {name: value for name, value in vars(module).items() if name not in _OWN and name not in facts}


def _agrees(together: Stack, apart: Sequence[nn.Module], y: Tensor, methods: Sequence[str]) -> bool:
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            for method in ("forward", *methods):
                inputs = (y,) * len(signature(getattr(apart[0], method)).parameters)
                found = together.call(method, *inputs)
                wanted = [call_alone(each, method, *(x[i : i + 1] for x in inputs)) for i, each in enumerate(apart)]
                if found is None and all(each is None for each in wanted):
                    continue
                batch = tree_map(lambda *each: torch.cat(each), *wanted)
                torch.testing.assert_close(tree_leaves(found), tree_leaves(batch), rtol=1e-2, atol=1e-3, equal_nan=True)
    except Exception:
        return False
    return True


def _each(found: Any, change: Any) -> Any:
    return tree_map(lambda value: change(value) if isinstance(value, Tensor) else value, found)
