"""Every loss is noticed, and nothing that is no loss."""

from tradeproc.bus.gaps import Heard, Sequences


def met(epoch: int = 1) -> Sequences:
    sequences = Sequences()
    assert sequences.is_new(epoch)
    return sequences


def test_the_first_number_heard_is_the_beginning() -> None:
    assert met().hear("t", 57) is Heard.IN_ORDER


def test_the_next_number_is_in_order_and_a_later_one_a_gap() -> None:
    sequences = met()
    sequences.hear("t", 1)

    assert sequences.hear("t", 2) is Heard.IN_ORDER
    assert sequences.hear("t", 4) is Heard.GAP
    assert sequences.hear("t", 5) is Heard.IN_ORDER


def test_a_number_heard_before_is_repeated() -> None:
    sequences = met()
    sequences.hear("t", 2)

    assert sequences.hear("t", 2) is Heard.REPEATED
    assert sequences.hear("t", 1) is Heard.REPEATED


def test_topics_are_numbered_each_on_its_own() -> None:
    sequences = met()
    sequences.hear("t", 5)

    assert sequences.hear("u", 1) is Heard.IN_ORDER


def test_the_loss_of_a_last_message_shows_by_what_the_heartbeat_tells() -> None:
    sequences = met()
    sequences.hear("t", 5)

    assert sequences.missed({"t": 6}) == ["t"]
    assert sequences.missed({"t": 6}) == []
    assert sequences.hear("t", 7) is Heard.IN_ORDER


def test_the_first_heartbeat_is_where_we_come_in_not_a_loss() -> None:
    sequences = met()

    assert sequences.missed({"t": 6, "u": 0}) == []
    assert sequences.hear("t", 7) is Heard.IN_ORDER
    assert sequences.hear("u", 2) is Heard.GAP


def test_a_topic_that_begins_after_contact_must_begin_with_one() -> None:
    sequences = met()
    sequences.missed({})

    assert sequences.hear("new", 2) is Heard.GAP


def test_another_epoch_forgets_everything() -> None:
    sequences = met()
    sequences.hear("t", 5)

    assert not sequences.is_new(1)
    assert sequences.is_new(2)
    assert sequences.hear("t", 1) is Heard.IN_ORDER
