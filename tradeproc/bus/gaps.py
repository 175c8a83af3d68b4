"""What a subscriber missed; pure.

A publisher numbers the messages of each topic from 1 in each epoch, and its heartbeat repeats the last number of
every topic. So a loss shows at the next message of that topic, and the loss of a last message shows at the next
heartbeat. Nothing lost can stay unnoticed for longer than a heartbeat.
"""

from collections.abc import Mapping
from enum import StrEnum


class Heard(StrEnum):
    """What a message's number says about those before it."""

    IN_ORDER = "in_order"
    GAP = "gap"
    REPEATED = "repeated"


class Sequences:
    """The last numbers heard of one publisher in its present epoch."""

    def __init__(self) -> None:
        self.epoch: int | None = None
        self._last: dict[str, int] = {}
        self._has_baseline = False

    def is_new(self, epoch: int) -> bool:
        """Tell whether this is another life of the publisher, and if so forget the numbers of the old one."""
        if epoch == self.epoch:
            return False
        self.epoch = epoch
        self._last.clear()
        self._has_baseline = False
        return True

    def hear(self, topic: str, sequence: int) -> Heard:
        """Take a message of a topic that we listen to."""
        last = self._last.get(topic)
        if last is not None and sequence == last + 1:
            self._last[topic] = sequence
            return Heard.IN_ORDER
        if last is not None and sequence <= last:
            return Heard.REPEATED
        self._last[topic] = sequence
        if last is None:
            return Heard.GAP if self._has_baseline and sequence > 1 else Heard.IN_ORDER
        return Heard.GAP

    def missed(self, told: Mapping[str, int]) -> list[str]:
        """Take the last numbers that a heartbeat tells and return the topics of which something was missed.

        `told` holds only topics we listen to. The first call of an epoch is the baseline: a topic never heard
        before it counts as missed only if others were, because then the heartbeat was not the first contact.
        """
        is_first_contact = not self._has_baseline and not self._last
        lost = [topic for topic, number in told.items() if number > self._last.get(topic, 0)]
        self._last.update({topic: told[topic] for topic in lost})
        self._has_baseline = True
        return [] if is_first_contact else lost
