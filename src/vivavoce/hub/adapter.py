"""Adapters: a published checkpoint becomes the weights of one of our modules by a table, never by a subclass.

A rule takes tensors by patterns of their names and gives them new ones: moved, joined along an axis, split along one,
with permuted axes or in another shape. Every tensor has to be taken by exactly one rule, and every weight has to be
given. A table of plain names can be read backwards (`published`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vivavoce.core.errors import PartError


@dataclass(frozen=True, slots=True)
class Rule:
    """Tensors whose names match ``of`` (several are joined along ``axis``) become ``to`` (several are split along it).

    Patterns are regular expressions; what their groups hold can stand in the new names (``\\1``). ``permute`` is the
    new order of the axes, ``shape`` the new shape of the whole; ``was`` is the shape of each tensor before, for the way
    back. Without ``to`` a tensor is known and left out.
    """

    of: tuple[str, ...]
    to: tuple[str, ...] = ()
    axis: int = 0
    permute: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    was: tuple[int, ...] = ()

    def apply(self, state: dict[str, Tensor], made: dict[str, Tensor]) -> None:
        """Takes what it knows out of ``state`` and puts it into ``made``."""
        for key in [key for key in state if re.fullmatch(self.of[0], key)]:
            found = re.fullmatch(self.of[0], key)
            assert found is not None
            partners = [found.expand(_literal(other, found)) for other in self.of[1:]]
            if missing := [name for name in partners if name not in state]:
                raise PartError(f"the checkpoint has {key!r} but not {missing[0]!r}, with which it is to be joined")
            tensors = [state.pop(name) for name in (key, *partners)]
            whole = tensors[0] if len(tensors) == 1 else torch.cat(tensors, dim=self.axis)
            whole = whole.permute(self.permute) if self.permute else whole
            whole = whole.reshape(self.shape) if self.shape else whole
            if self.to and whole.shape[self.axis] % len(self.to):
                raise PartError(
                    f"{key!r} of the shape {tuple(whole.shape)} cannot be split into {len(self.to)} equal parts"
                )
            for name, piece in zip(self.to, whole.chunk(max(len(self.to), 1), dim=self.axis), strict=bool(self.to)):
                made[found.expand(name)] = piece.contiguous()

    def undo(self, made: Mapping[str, Tensor], state: dict[str, Tensor]) -> None:
        """Puts what it once made back under the names that it was made of; for plain names and one tensor made."""
        whole = made[self.to[0]]
        if self.was:
            joined = list(self.was)
            joined[self.axis] *= len(self.of)
            whole = whole.reshape(joined)
        for name, piece in zip(self.of, whole.chunk(len(self.of), dim=self.axis), strict=True):
            state[re.sub(r"\\(.)", r"\1", name)] = piece.contiguous()


def _literal(pattern: str, found: re.Match[str]) -> str:
    """A partner's name: the pattern of another tensor with the first one's groups in the places of its own."""
    groups = iter(range(1, (found.re.groups or 0) + 1))
    return re.sub(r"\((?:[^()]*)\)", lambda _: f"\\{next(groups)}", pattern).replace(r"\.", ".")


def renamed(state: Mapping[str, Tensor], rules: Sequence[Rule]) -> dict[str, Tensor]:
    """The tensors of a checkpoint under their new names; PartError for those that no rule takes."""
    left: dict[str, Tensor] = dict(state)
    made: dict[str, Tensor] = {}
    for rule in rules:
        rule.apply(left, made)
    if left:
        raise PartError(f"nothing is known of {sorted(left)[0]!r} in the checkpoint; add a rule that takes or drops it")
    return made


def published(module: nn.Module, rules: Sequence[Rule]) -> dict[str, Tensor]:
    """A module's weights under the names of a checkpoint; rules that drop tensors give none."""
    state: dict[str, Tensor] = {}
    own = module.state_dict()
    for rule in rules:
        if rule.to:
            rule.undo(own, state)
    return state


def normalised(state: Mapping[str, Tensor], layers: Sequence[str]) -> dict[str, Tensor]:
    """The way back of `folded` for these layers, in today's names."""
    made = dict(state)
    length, direction, _ = _NORMED[1]
    for layer in layers:
        weight = made.pop(f"{layer}.weight")
        made[layer + length] = weight.flatten(1).norm(dim=1).reshape(-1, *[1] * (weight.dim() - 1))
        made[layer + direction] = weight
    return made


def adapt(
    state: Mapping[str, Tensor], rules: Sequence[Rule], module: nn.Module, beside: Mapping[str, Tensor] | None = None
) -> nn.Module:
    """Gives a module the weights of a checkpoint, in the module's precision; ``beside`` are those no checkpoint has.

    Raises PartError for tensors that no rule takes, and for weights that none gives.
    """
    made = renamed(state, rules) | dict(beside or {})
    own = module.state_dict()
    if missing := sorted(own.keys() - made.keys()):
        raise PartError(f"the checkpoint gives no {missing[0]!r}; add a rule that makes it")
    if foreign := sorted(made.keys() - own.keys()):
        raise PartError(f"a rule makes {foreign[0]!r}, which the module does not have")
    for name, value in made.items():
        if value.shape != own[name].shape:
            wanted = tuple(own[name].shape)
            raise PartError(f"{name!r} has the shape {tuple(value.shape)} in the checkpoint, wanted {wanted}")
    module.load_state_dict(made)
    return module.eval()


_NORMED = (
    (".weight_g", ".weight_v", ".weight"),
    (".parametrizations.weight.original0", ".parametrizations.weight.original1", ".weight"),
)


def folded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint without weight normalisation (arXiv:1602.07868): sizes and directions become weights.

    Sizes are along whichever axes they have. PartError for a size without a direction.
    """
    made = dict(state)
    for size, direction, whole in _NORMED:
        for name in [name for name in made if name.endswith(size)]:
            base = name.removesuffix(size)
            if base + direction not in made:
                raise PartError(f"the checkpoint has {name!r} but not {base + direction!r}, of which it is the size")
            g, v = made.pop(name), made.pop(base + direction)
            axes = [axis for axis in range(v.ndim) if g.shape[axis] == 1]
            made[base + whole] = v * (g / torch.linalg.vector_norm(v, dim=axes, keepdim=True))
    return made
