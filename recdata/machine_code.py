"""Owns making machine code of inner loops that are written in Python, with numba."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

ArrayT = TypeVar("ArrayT", bound=np.generic)


@cache
def compiled(
    function: Callable[..., Any],
    *arguments: str,
    lets_others_run: bool = True,
    calls: tuple[Callable[..., Any], ...] = (),
) -> Callable[..., Any]:
    """Returns the function as machine code; made once, and kept on disk.

    Sums may be taken in another order than written, so that they use the processor's vectors: the order is
    still the same from run to run.

    Args:
        function: of numbers and arrays alone.
        arguments: their types, such as "float64" or "float32[:,:]", so that it is compiled here and now and
            not at the first call. Arrays are contiguous, aligned and only read; "out float32[:]" is written.
        lets_others_run: whether other threads of Python run beside it; not worth its while for microseconds.
        calls: the functions of ours that it calls.
    """
    import numba  # a second, which verbs that fit nothing need not wait
    from numba.extending import register_jitable

    for each in calls:
        register_jitable(each)

    def made(*, keep: bool) -> Callable[..., Any]:
        machine_code: Callable[..., Any] = numba.njit(
            [tuple(_type_of(each) for each in arguments)] if arguments else None,
            cache=keep,
            nogil=lets_others_run,
            error_model="numpy",
            fastmath={"reassoc", "contract", "nsz", "arcp"},
        )(function)
        return machine_code

    try:
        return made(keep=True)
    except RuntimeError:  # no folder to keep it in: neither beside the code nor in the user's cache
        return made(keep=False)


def _type_of(argument: str) -> object:
    """Returns numba's type of an argument."""
    from numba import types

    name, _, axes = argument.removeprefix("out ").partition("[")
    dtype = getattr(types, name)
    only_read = not argument.startswith("out ")
    return types.Array(dtype, axes.count(":"), "C", readonly=only_read) if axes else dtype


def aligned(array: NDArray[ArrayT]) -> NDArray[ArrayT]:
    """Returns the array, or a copy where its numbers lie across the bounds that machine code expects."""
    return array if array.flags.aligned else array.copy()
