"""A cursor over the octets of a payload: it never reads past an end, and says where a fault lies."""

from typing import Literal, NoReturn

from smki.errors import InvalidInput

REMEDY = "do not sign or act on it: ask its originator for the message again"

MAX_VALUES = 20_000  # a year of half hours; every value costs tens of microseconds, and a person's patience

ByteOrder = Literal["big", "little"]


def fault(offset: int, what: str) -> InvalidInput:
    return InvalidInput("gbcs.payload", f"payload octet {offset}: {what}", REMEDY)


class Cursor:
    """Reads octets from `start` to `end`; offsets count from the beginning of `octets`."""

    __slots__ = ("_at", "_end", "_octets", "_order", "_spent")

    def __init__(
        self, octets: bytes, order: ByteOrder, start: int = 0, end: int | None = None, spent: list[int] | None = None
    ) -> None:
        self._spent = [0] if spent is None else spent
        self._octets = octets
        self._order = order
        self._at = start
        self._end = len(octets) if end is None else end

    @property
    def offset(self) -> int:
        return self._at

    @property
    def left(self) -> int:
        return self._end - self._at

    @property
    def at_end(self) -> bool:
        return self._at == self._end

    def peek(self, count: int) -> bytes:
        """Up to `count` octets, without going on."""
        return self._octets[self._at : min(self._at + count, self._end)]

    def take(self, count: int) -> bytes:
        if count > self.left:
            self.refuse(f"{count} octets should follow, and {self.left} do")
        at = self._at
        self._at += count
        return self._octets[at : self._at]

    def rest(self) -> bytes:
        return self.take(self.left)

    def part(self, count: int) -> "Cursor":
        """A cursor that ends after the next `count` octets, which this one passes over."""
        at = self._at
        self.take(count)
        return Cursor(self._octets, self._order, at, self._at, self._spent)

    def unsigned(self, count: int) -> int:
        return int.from_bytes(self.take(count), self._order)

    def signed(self, count: int) -> int:
        return int.from_bytes(self.take(count), self._order, signed=True)

    def u8(self) -> int:
        return self.unsigned(1)

    def u16(self) -> int:
        return self.unsigned(2)

    def expect(self, octets: bytes, what: str) -> None:
        if self.peek(len(octets)) != octets:
            self.refuse(f"{what} should be {octets.hex()}, and is {self.peek(len(octets)).hex() or 'absent'}")
        self.take(len(octets))

    def spend(self) -> None:
        """One more value; more of them than a message of this system has are refused."""
        self._spent[0] += 1
        if self._spent[0] > MAX_VALUES:
            self.refuse(f"more than {MAX_VALUES} values")

    def finish(self) -> None:
        if not self.at_end:
            self.refuse(f"{self.left} octets follow what should be the end")

    def refuse(self, what: str) -> NoReturn:
        raise fault(self._at, what)
