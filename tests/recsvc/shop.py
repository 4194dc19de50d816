"""The tiny shop with a live store, whose methods are called in process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from recdata.releases import Releases
from recsvc.call import Call
from recsvc.config import ServingConfig
from recsvc.live import LiveHold
from recsvc.serving import Generation
from tests.recsvc.tiny import Tiny


@dataclass
class Shop:
    """A shop without a server around it."""

    home: Path
    generation: Generation
    live: LiveHold

    def ask(self, method: Callable[[Call, Any], bytes], request: Message, answer: type[Message]) -> Any:
        view = self.live.view()
        try:
            call = Call(self.generation, view=view, live=self.live, home=self.home, patience=None)
            return answer.FromString(method(call, request))
        finally:
            if view is not None:
                self.live.leave(view)


@contextmanager
def open_shop(home: Path, tiny: Tiny | None = None) -> Iterator[Shop]:
    (tiny or Tiny()).publish(home)
    generation = Generation(Releases(home).open_current(), ServingConfig(default_language="en"))
    live = LiveHold(home, max_bytes=1 << 24)
    yield Shop(home, generation, live)
    live.close()
