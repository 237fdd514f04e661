"""Who had how much of the network: start-time fair queueing (Goyal, Vin and Cheng, 1996)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from emotion.ui.clients import REMEMBERED, Client

LARGE_TURN, LARGEST_TURN = 3.0, 200.0
"""What a photo or a call counts against frames that take as long, and the most frames it counts."""

_AHEAD = 1.5  # frames beyond their share


class Shares:
    """Puts those in order who ask; whoever uses it holds a lock.

    Addresses share the time. A turn counts one for a frame, and several times the frames that take
    as long for a photo or a call: whoever looks at a camera's picture waits for every one. Who did
    not ask for a while saves nothing up. Visitors of one address take turns among themselves.
    """

    def __init__(self) -> None:
        """Nobody had anything yet."""
        self._spent: OrderedDict[str, float] = OrderedDict()  # by address, in virtual time
        self._served: OrderedDict[Hashable, int] = OrderedDict()  # number of the last turn
        self._turn = 0
        self._virtual = 0.0  # when the newest turn began

    def __len__(self) -> int:
        return max(len(self._spent), len(self._served))

    def order(self, client: Client) -> tuple[float, int, int]:
        """Return what is least for whoever comes first."""
        address = client.address
        return self._start(address), self._served.get(address, 0), self._served.get(client, 0)

    def is_ahead(self, address: str) -> bool:
        """Tell whether an address had more than a frame beyond its share."""
        return self._start(address) > self._virtual + _AHEAD

    def begin(self, client: Client, *others: Client) -> None:
        """Count a frame for whom a turn begins; it is the last one of ``others`` as well."""
        self._turn += 1
        self._virtual = self._start(client.address)
        self._spent[client.address] = self._virtual + 1
        self._spent.move_to_end(client.address)
        for key in (client.address, client, *others):
            self._served[key] = self._turn
            self._served.move_to_end(key)
        for kept in (self._spent, self._served):
            while len(kept) > REMEMBERED:
                kept.popitem(last=False)

    def charge(self, address: str, frames: float, at_once: int) -> None:
        """Count a large turn that is over.

        Args:
            address: who had it.
            frames: how many would have taken as long.
            at_once: how many calls of this address were there at a time. Each makes all of them
                dearer: a program that asks for one picture after the other gets more of them than
                one that fills the waiting room.
        """
        counted = min(LARGE_TURN * at_once * frames, LARGEST_TURN)
        if address in self._spent and counted > 1:
            self._spent[address] += counted - 1

    def _start(self, address: str) -> float:
        return max(self._virtual, self._spent.get(address, 0.0))
