"""Owns making machine code of inner loops that are written in Python, with numba."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any


@cache
def compiled(function: Callable[..., Any], *, lets_others_run: bool = True) -> Callable[..., Any]:
    """Returns the function as machine code; made once, and kept on disk.

    Sums may be taken in another order than written, so that they use the processor's vectors: the order is
    still the same from run to run.

    Args:
        function: of numbers and arrays alone.
        lets_others_run: whether other threads of Python run beside it; not worth its while for microseconds.
    """
    import numba  # a second, which verbs that fit nothing need not wait

    def made(*, keep: bool) -> Callable[..., Any]:
        machine_code: Callable[..., Any] = numba.njit(
            function,
            cache=keep,
            nogil=lets_others_run,
            error_model="numpy",
            fastmath={"reassoc", "contract", "nsz", "arcp"},
        )
        return machine_code

    try:
        return made(keep=True)
    except RuntimeError:  # no folder to keep it in: neither beside the code nor in the user's cache
        return made(keep=False)
