"""What a maker of commands expects its signer to find in them: the other side of sign-what-you-see.

The same change on many devices says the same to all of them but for the counter that its payload repeats: it is put
into words once.
"""

from collections.abc import Hashable
from typing import Any

from smki.errors import IntegrityFailure
from smki.gbcs.message import Message
from smki.gbcs.words import Vocabulary, counter_agrees, read

_KEPT = 1000  # different changes in one run
_REPEATED = "originator counter"


class Expecting:
    """Makes expectations as `smki message sign --expect` reads them."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._known: dict[Hashable, dict[str, str]] = {}

    def of(self, message: Message, same: Hashable) -> dict[str, Any]:
        """The expectation of a command. `same` is equal for commands that differ in device and counter alone."""
        header = message.header
        values = self._known.get(same)
        if values is None:
            reading = read(message, self._vocabulary)
            if reading.fault is not None or not counter_agrees(reading):
                raise IntegrityFailure(
                    "credentials.unread", "what was made does not read as it was meant", "report this; sign nothing"
                )
            values = reading.values
            if len(self._known) < _KEPT:
                self._known[same] = values
        counter = str(header.counter)
        return {
            "use_case": str(header.code),
            "originator": str(header.originator),
            "target": str(header.target),
            "counter": counter,
            "values": {path: counter if path.endswith(_REPEATED) else value for path, value in values.items()},
        }
