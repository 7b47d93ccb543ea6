"""Kept answers: bounded, never older than they may be, gone with what they said."""

from datetime import UTC, datetime, timedelta

from smki.authority.ocsp.kept import Answer, Kept

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def answer(serial: int, issuer: int = 1, seen: int = 0, form: bytes = b"sha1") -> Answer:
    return Answer(b"octets", issuer, (serial,), NOW, NOW + 12 * HOUR, b"%d %s" % (serial, form), seen)


def test_an_answer_is_given_until_it_is_due_and_never_before_it_was_made() -> None:
    kept = Kept(10, 6 * HOUR)
    one = answer(1)
    kept.put(one)
    assert one.plain
    assert kept.get(one.plain, NOW) is one
    assert kept.get(one.plain, NOW + 6 * HOUR - timedelta(seconds=1)) is one
    assert kept.get(one.plain, NOW + 6 * HOUR) is None
    assert kept.get(one.plain, NOW - timedelta(seconds=1)) is None, "the clock was stepped back"
    assert kept.get(b"other", NOW) is None


def test_an_answer_that_ends_before_it_is_due_is_not_given_after_its_end() -> None:
    """Of a responder whose certificate ends soon."""
    kept = Kept(10, 6 * HOUR)
    short = Answer(b"octets", 1, (1,), NOW, NOW + HOUR, b"1")
    kept.put(short)
    assert kept.get(b"1", NOW + HOUR - timedelta(seconds=1)) is short
    assert kept.get(b"1", NOW + HOUR) is None


def test_what_was_kept_before_anybody_told_of_revocations_is_given_only_if_there_was_none() -> None:
    kept = Kept(10, HOUR)
    for one in (answer(1, seen=4), answer(2, seen=5), answer(3, issuer=2, seen=4)):
        kept.put(one)
    kept.begin(1, seen=5)
    assert [kept.get(b"%d sha1" % serial, NOW) is not None for serial in (1, 2, 3)] == [False, True, True]
    kept.put(answer(1, seen=4))
    assert kept.get(b"1 sha1", NOW) is None, "signed late"


def test_a_revocation_takes_every_form_of_an_answer_and_no_other() -> None:
    kept = Kept(10, HOUR)
    for one in (answer(1), answer(1, form=b"sha256"), answer(2), answer(1, issuer=2, form=b"other")):
        kept.put(one)
    kept.revoked(1, [1, 77], seen=1)
    assert kept.get(b"1 sha1", NOW) is None
    assert kept.get(b"1 sha256", NOW) is None
    assert kept.get(b"2 sha1", NOW)
    assert kept.get(b"1 other", NOW)


def test_an_answer_read_before_a_revocation_and_signed_after_it_is_not_kept() -> None:
    kept = Kept(10, HOUR)
    late, right = answer(1, seen=4), answer(1, seen=5)
    kept.revoked(1, [1], seen=5)
    kept.put(late)
    assert len(kept) == 0
    kept.put(right)
    assert len(kept) == 1


def test_the_oldest_go_where_there_are_too_many() -> None:
    kept = Kept(3, HOUR)
    for serial in range(10):
        kept.put(answer(serial))
        kept.put(answer(serial))
    assert len(kept) == 3
    assert [kept.get(b"%d sha1" % serial, NOW) is not None for serial in range(6, 10)] == [False, True, True, True]
    kept.forget(2)
    assert len(kept) == 3
    kept.forget(1)
    assert len(kept) == 0


def test_what_is_for_one_asker_is_not_kept() -> None:
    kept = Kept(3, HOUR)
    kept.put(Answer(b"octets", 1, (1,), NOW, NOW + HOUR))
    assert len(kept) == 0
