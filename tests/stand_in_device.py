"""A stand-in for a GPU: a device of its own name, which lies in the computer's memory and computes as the CPU does.

Like a GPU it refuses to compute with what lies elsewhere, so that a part which was not moved shows, and it knows what
it holds. Importing this names torch's device for others' backends, which a process can do once.
"""

from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend


class _Backend(_DummyBackendModule):
    """What torch asks of a device whenever it handles random numbers, of which this one has none of its own."""

    def get_rng_state(self, *args: Any) -> Tensor:
        return torch.empty(0)

    def set_rng_state(self, *args: Any) -> None:
        pass


_setup_privateuseone_for_python_backend("stand_in", _Backend())
DEVICE = torch.device("stand_in:0")
_aten = torch.ops.aten
_MOVES = (_aten._to_copy.default, _aten.copy_.default)
_INDEXING = (_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default)  # by places on the CPU, as on a GPU


class Held(Tensor):
    """A tensor on the device, around the one that stands for it."""

    inner: Tensor
    share: "_Share"

    @staticmethod
    def __new__(cls, inner: Tensor, ledger: "StandIn") -> "Held":
        made = Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            device=DEVICE,
        )  # fmt: skip
        made.inner, made.share = inner, _Share(inner, ledger)
        return made

    def tolist(self) -> Any:
        return self.inner.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        ledger = next(t.share.ledger for t in tree_iter((args, kwargs)) if isinstance(t, Held))
        return ledger.compute(func, args, kwargs or {})


class _Share:
    """A tensor's part in a storage, which is freed with the last of them."""

    def __init__(self, inner: Tensor, ledger: "StandIn") -> None:
        storage = inner.untyped_storage()
        self.ledger, self.key, self.bytes = ledger, storage._cdata, storage.nbytes()
        ledger.held[self.key] += 1
        if ledger.held[self.key] == 1:
            ledger.bytes += self.bytes
            ledger.most_bytes = max(ledger.most_bytes, ledger.bytes)

    def __del__(self) -> None:
        self.ledger.held[self.key] -= 1
        if not self.ledger.held[self.key]:
            self.ledger.bytes -= self.bytes


class StandIn(TorchDispatchMode):
    """The device while it is there: the bytes it holds, and the most it held."""

    def __init__(self) -> None:
        super().__init__()
        self.held: Counter[int] = Counter()
        self.bytes = self.most_bytes = 0

    def __enter__(self) -> "StandIn":
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(…, device=…) is made on the CPU and moved
        self._swapped = torch.__future__.get_swap_module_params_on_conversion()
        torch.__future__.set_swap_module_params_on_conversion(True)  # a parameter stays itself, as on a GPU
        super().__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        super().__exit__(*exc)
        torch._C._set_only_lift_cpu_tensors(False)
        torch.__future__.set_swap_module_params_on_conversion(self._swapped)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.compute(func, args, kwargs or {})

    def compute(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """What an operation gives, on the device where it ran there."""
        values = list(tree_iter((args, kwargs)))
        tensors = [value for value in values if isinstance(value, Tensor)]
        held = [tensor for tensor in tensors if isinstance(tensor, Held)]
        asked = next((value for value in values if isinstance(value, torch.device)), None)
        if func in _MOVES:
            here = (asked or args[0].device).type == DEVICE.type
        elif asked is not None:
            here = asked.type == DEVICE.type
        else:
            here = bool(held)
            elsewhere = [tensor for tensor in tensors if not isinstance(tensor, Held) and tensor.dim()]
            if held and elsewhere and not (func in _INDEXING and isinstance(args[0], Held)):
                raise RuntimeError(f"{func} of tensors on two devices: {[tuple(t.shape) for t in elsewhere]} elsewhere")
        args, kwargs = tree_map(_standing, (args, kwargs))
        known = {id(tensor.inner): tensor for tensor in held}
        out = func(*args, **kwargs)
        if not here:
            return out

        def placed(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            return known[id(value)] if id(value) in known else Held(value, self)

        return tree_map(placed, out)


def _standing(value: Any) -> Any:
    """What stands for a tensor, or for the device itself."""
    if isinstance(value, Held):
        return value.inner
    return torch.device("cpu") if isinstance(value, torch.device) else value
