"""Who answers: the delegate of the one authority, while it may, and nobody in its place."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp

from smki.authority.ceremony.plan import key_of, subject_of
from smki.authority.log import act, seal
from smki.authority.ocsp.appointing import appoint
from smki.authority.ocsp.desk import Desk
from smki.authority.ocsp.kept import Answer
from smki.authority.ocsp.register import statuses
from smki.authority.ocsp.responders import appointed
from smki.authority.revocation.act import revoke
from smki.authority.revocation.plan import plan
from smki.entity import KeyUsage
from smki.errors import IntegrityFailure, Refused
from smki.hsm.pin import Pin
from smki.pki.ocsp import Asked, Failure, Query, Revoked, cert_id, issuer_ids
from smki.pki.reason import Reason
from smki.pki.serial import Serial
from smki.store.records import Act
from tests.authority.desk import Desk as Issuing
from tests.authority.desk import code_of
from tests.authority.ocsp.served import INFRASTRUCTURE, OCA, now
from tests.authority.revocation.world import World, asked
from tests.house import House


def told(house: House) -> tuple[Desk, list[tuple[str, dict[str, object]]]]:
    events: list[tuple[str, dict[str, object]]] = []
    house.workspace.clock = now
    return Desk(house.workspace, lambda event, **facts: events.append((event, facts))), events


def query(house: House, *numbers: int, authority: str = OCA, nonce: bytes | None = None) -> Query:
    record = house.workspace.store.authority(authority)
    assert record is not None
    issuer, _ = issuer_ids(subject_of(record), key_of(record))
    return Query(tuple(Asked(cert_id(issuer, number), issuer, number) for number in numbers), nonce)


def at(house: House, moment: datetime) -> None:
    house.workspace.clock = lambda: moment


def responder_of(answer: Answer | Failure) -> int:
    assert isinstance(answer, Answer)
    (certificate,) = ocsp.load_der_ocsp_response(answer.octets).certificates
    return certificate.serial_number


def serials(house: House) -> dict[str, Serial]:
    return {
        name: Serial.parse(text) for name, text in json.loads((house.home / "ocsp-world.json").read_text()).items()
    }


def test_each_authority_has_a_delegate_of_its_own(answering: House) -> None:
    desk, events = told(answering)
    desk.open()
    assert [event for event, _ in events] == ["ocsp.responder"] * 2
    mine = {item.authority.name: item.record.serial.number for item in appointed(answering.workspace)}
    for name in (OCA, INFRASTRUCTURE):
        (answer,) = desk.answer([query(answering, 5, authority=name)])
        assert responder_of(answer) == mine[name]


def test_one_request_speaks_of_one_authority(answering: House) -> None:
    desk, _ = told(answering)
    desk.open()
    mixed = query(answering, 5).asked + query(answering, 5, authority=INFRASTRUCTURE).asked
    unknown = replace(mixed[0], issuer=None)
    assert (
        desk.answer([Query(mixed, None), Query((unknown,), None), Query((mixed[0], unknown), None)])
        == [Failure.UNAUTHORIZED] * 3
    )


def test_many_are_answered_together_each_its_own(answering: House) -> None:
    desk, _ = told(answering)
    desk.open()
    good = serials(answering)["good"].number
    queries = [query(answering, good if number % 2 else number, nonce=bytes((number,))) for number in range(1, 40)]
    for number, answer in enumerate(desk.answer(queries), 1):
        assert isinstance(answer, Answer)
        response = ocsp.load_der_ocsp_response(answer.octets)
        (single,) = response.responses
        assert single.certificate_status.name == ("GOOD" if number % 2 else "UNKNOWN")
        assert response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == bytes((number,))
        key = response.certificates[0].public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(hashes.SHA256()))


def test_unknown_is_never_kept_and_good_is(answering: House) -> None:
    desk, _ = told(answering)
    desk.open()
    good = serials(answering)["good"].number
    known, unknown, both = desk.answer([query(answering, good), query(answering, 5), query(answering, good, 5)])
    assert isinstance(known, Answer)
    assert known.plain == query(answering, good).plain
    for one in (unknown, both):
        assert isinstance(one, Answer)
        assert one.plain is None


def test_the_register_knows_good_revoked_burnt_and_foreign(answering: House) -> None:
    store = answering.workspace.store
    found = serials(answering)
    oca = store.authority(OCA)
    assert oca is not None
    burnt = Serial.parse("40" + "11" * 15)
    with store.act(_act("test.reserve")) as tx:
        tx.reserve_serials(oca.number, [burnt], "a run that died")
    with store.act(_act("test.burn")) as tx:
        tx.burn_serials(oca.number, [burnt])
    numbers = [found["good"].number, found["revoked"].number, found["officer"].number, burnt.number, -5, 1 << 140, 0]
    good, revoked, *others = statuses(store, oca.number, numbers)
    assert good is True
    assert isinstance(revoked, Revoked)
    assert revoked.reason is Reason.KEY_COMPROMISE
    assert others == [False] * 5


def _act(kind: str) -> Act:
    return Act(kind, "tester", now())


def test_a_revoked_burnt_number_is_revoked(answering: House) -> None:
    answering.workspace.clock = now
    store = answering.workspace.store
    oca = store.authority(OCA)
    assert oca is not None
    burnt = Serial.parse("40" + "22" * 15)
    with store.act(_act("test.reserve")) as tx:
        tx.reserve_serials(oca.number, [burnt], "a run that died")
    with store.act(_act("test.burn")) as tx:
        tx.burn_serials(oca.number, [burnt])
    world = World(Issuing(answering))
    world.revoke(burnt)
    (found,) = statuses(store, oca.number, [burnt.number])
    assert isinstance(found, Revoked)


def test_nobody_answers_after_its_certificate_ended(answering: House) -> None:
    desk, _ = told(answering)
    desk.open()
    at(answering, now() + timedelta(days=40))
    assert desk.answer([query(answering, 5)]) == [Failure.TRY_LATER]
    late, _ = told(answering)
    at(answering, now() + timedelta(days=40))
    assert code_of(late.open) == "ocsp.no-responder"


def test_an_answer_ends_with_the_responder_at_the_latest(answering: House) -> None:
    desk, _ = told(answering)
    desk.open()
    end = max(item.certificate.not_after for item in appointed(answering.workspace))
    at(answering, end - timedelta(minutes=5))
    (answer,) = desk.answer([query(answering, 5)])
    assert isinstance(answer, Answer)
    assert answer.next_update == end


def test_a_responder_that_was_revoked_answers_no_longer(answering: House) -> None:
    desk, events = told(answering)
    desk.open()
    (mine,) = (item for item in appointed(answering.workspace) if item.authority.name == OCA)
    found = plan(answering.workspace, asked(mine.certificate))
    list(revoke(answering.workspace, found))
    assert [item.state(now()) for item in appointed(answering.workspace) if item.authority.name == OCA] == ["revoked"]
    desk._looked_at = 0
    assert len(desk.look()) == 1
    desk._look()
    assert [(event, facts["authority"], facts["state"]) for event, facts in events[2:]] == [
        ("ocsp.ended", OCA, "revoked")
    ]
    assert desk.answer([query(answering, 5)]) == [Failure.TRY_LATER]
    assert isinstance(desk.answer([query(answering, 5, authority=INFRASTRUCTURE)])[0], Answer)


def test_a_new_responder_takes_over_while_serving(answering: House) -> None:
    desk, _ = told(answering)
    desk.open()
    made = appoint(answering.workspace, OCA, "ocsp", anew=True)
    assert desk.look() == set(), "not every request looks"
    desk._looked_at = 0
    assert desk.look() == {made.responder.authority.number}
    (answer,) = desk.answer([query(answering, 5)])
    assert responder_of(answer) == made.responder.record.serial.number


def test_the_delegate_of_another_authority_is_never_used(answering: House) -> None:
    """Whoever changes the store's rows makes another's certificate answer: it is not believed to be a delegation."""
    engine = answering.workspace.store._engine
    numbers = {item.name: item.number for item in answering.workspace.store.authorities()}
    ours, theirs = numbers[OCA], numbers[INFRASTRUCTURE]
    with engine.transaction():
        engine.execute("DELETE FROM responder WHERE issuer = ?", (ours,))
        (serial,) = engine.execute("SELECT serial FROM responder WHERE issuer = ?", (theirs,)).fetchone()
        for table in ("responder", "certificate"):
            engine.execute(f"UPDATE {table} SET issuer = ? WHERE serial = ?", (ours, serial))
    desk, events = told(answering)
    with pytest.raises(IntegrityFailure) as refusal:
        desk.open()
    assert refusal.value.code == "ocsp.not-delegated"
    assert [event for event, _ in events] == ["ocsp.trouble"]


def test_a_certificate_that_is_no_responders_is_never_used(answering: House) -> None:
    engine = answering.workspace.store._engine
    good = serials(answering)["good"]
    with engine.transaction():
        engine.execute("UPDATE responder SET serial = ? WHERE issuer = (SELECT number FROM authority WHERE name = ?)",
                       (good.octets, OCA))  # fmt: skip
        engine.execute("DELETE FROM responder WHERE serial <> ?", (good.octets,))
    desk, _ = told(answering)
    assert code_of(desk.open) == "ocsp.not-delegated"


def test_what_is_wanted_ahead_is_each_certificate_by_either_digest(answering: House) -> None:
    desk, _ = told(answering)
    desk.open()
    numbers = {one.asked[0].serial for one in desk.wanted_ahead()}
    assert {serial.number for serial in serials(answering).values()} < numbers
    algorithms = [one.asked[0].issuer.algorithm for one in desk.wanted_ahead() if one.asked[0].issuer]
    assert algorithms.count("sha1") == algorithms.count("sha256") == len(numbers)
    world = World(Issuing(answering))
    world.policy("ahead = 2_000", "ahead = 3", "ocsp.toml")
    assert desk.wanted_ahead() == []


# Appointing


def test_appointing_twice_makes_one_and_renewal_comes_in_time(answering: House) -> None:
    answering.workspace.clock = now
    first = appoint(answering.workspace, OCA, "ocsp", anew=False)
    assert not first.made
    at(answering, now() + timedelta(days=21))
    second = appoint(answering.workspace, OCA, "ocsp", anew=False)
    assert second.made
    assert second.responder.certificate.usage is KeyUsage.DIGITAL_SIGNATURE
    keys = {item.record.key_id for item in appointed(answering.workspace) if item.authority.name == OCA}
    assert len(keys) == 2


def test_a_responder_that_ends_with_its_authority_is_not_made_anew_each_day(answering: House) -> None:
    oca = answering.workspace.store.authority(OCA)
    assert oca is not None
    assert oca.not_after is not None
    at(answering, oca.not_after - timedelta(days=5))
    made = appoint(answering.workspace, OCA, "ocsp", anew=False)
    assert made.made
    assert made.responder.certificate.not_after == oca.not_after
    at(answering, oca.not_after - timedelta(days=4))
    assert not appoint(answering.workspace, OCA, "ocsp", anew=False).made


@pytest.mark.requirement("R-LEA-5")
@pytest.mark.parametrize(
    ("authority", "token", "code"),
    [
        ("oca-root", "ocsp", "ocsp.authority"),
        ("dca-issuing-1", "ocsp", "ocsp.hierarchy"),
        ("nobody", "ocsp", "authority.unknown"),
        (OCA, "nowhere", "workspace.no-token"),
        (OCA, "oca-issuing", "ocsp.token"),
        (OCA, "audit", "ocsp.token"),
        (OCA, "contingency", "ocsp.token"),
    ],
)
def test_who_is_not_appointed(answering: House, authority: str, token: str, code: str) -> None:
    before = answering.workspace.store.audit_size()
    assert code_of(lambda: appoint(answering.workspace, authority, token, anew=False)) == code
    assert answering.workspace.store.audit_size() == before


@pytest.mark.requirement("R-LEA-5")
def test_another_name_of_a_token_that_issues_is_seen_through(answering: House) -> None:
    settings = answering.home / "smki.toml"
    settings.write_text(
        settings.read_text()
        + '\n[tokens.alias]\nhsm = "softhsm"\nlabel = "oca-issuing"\npin = "file:pins/oca-issuing"\n'
    )
    answering.workspace.__dict__.pop("_settings", None)
    before = answering.workspace.store.audit_size()
    assert code_of(lambda: appoint(answering.workspace, OCA, "alias", anew=True)) == "ocsp.token"
    assert answering.workspace.store.audit_size() == before


@pytest.mark.parametrize("away", ["ocsp", "oca-issuing"])
def test_an_appointment_that_died_is_taken_up(answering: House, away: str) -> None:
    """After the intent, or after the key: its number is burnt, its key is used."""
    workspace = answering.workspace
    workspace.clock = now
    before = len(workspace.open_token("ocsp").key_pairs())
    found = workspace.hsm.find(workspace.token_ref(away))
    assert found is not None
    assert found.folder is not None
    elsewhere = found.folder.rename(workspace.home / "away")
    workspace.hsm.close()
    with pytest.raises(Exception, match="not present"):
        appoint(workspace, OCA, "ocsp", anew=True)
    elsewhere.rename(found.folder)
    workspace.hsm.close()
    done = appoint(workspace, OCA, "ocsp", anew=True)
    assert done.made
    assert len(workspace.open_token("ocsp").key_pairs()) == before + 1
    records = [item for item in workspace.store.responders.all() if item.key_id == done.responder.record.key_id]
    assert len(records) == 2
    assert workspace.store.certificates.is_burnt(records[0].issuer, records[0].serial)


def test_a_register_that_was_put_back_answers_nobody(answering: House, tmp_path: Path) -> None:
    """It would call good what was revoked since."""
    home, old = answering.home, tmp_path / "old.db"
    with closing(sqlite3.connect(home / "smki.db")) as connection:
        connection.execute("VACUUM INTO ?", (str(old),))
    with act(answering.workspace, "test.act"):
        pass
    seal(answering.workspace)
    answering.workspace.close()
    for companion in ("smki.db-wal", "smki.db-shm"):
        (home / companion).unlink(missing_ok=True)
    old.chmod(0o600)
    old.replace(home / "smki.db")
    desk, _ = told(answering)
    assert code_of(desk.open) == "audit.forked"


def test_a_root_is_refused_by_name(answering: House) -> None:
    with pytest.raises(Refused, match="no working issuing authority"):
        appoint(answering.workspace, "infra-root", "ocsp", anew=False)


class Counted(Pin):
    """How often it was sent to a token."""

    sent = 0

    def reveal(self) -> str:
        self.sent += 1
        return super().reveal()


def test_a_pin_that_the_token_refused_is_not_sent_again(answering: House) -> None:
    """Whoever asks would have the token locked: a vendor's locks after a few wrong ones."""
    desk, events = told(answering)
    desk.open()
    wrong = desk._pins["ocsp"] = Counted("not the PIN")
    module = answering.workspace.hsm.module("softhsm")
    module.restart(module.starts)
    for _ in range(3):
        assert desk.answer([query(answering, 5)]) == [Failure.INTERNAL]
        assert desk.answer([query(answering, 5, authority=INFRASTRUCTURE)]) == [Failure.INTERNAL]
    assert wrong.sent == 1
    for _ in range(3):
        desk._counters.clear()
        desk._look()
    assert wrong.sent == 1
    troubles = [facts["code"] for event, facts in events if event == "ocsp.trouble"]
    assert troubles == ["hsm.pin-incorrect"] * 2, "told once of each responder"


def test_trouble_with_a_newer_responder_is_told_once_while_the_older_answers(answering: House) -> None:
    desk, events = told(answering)
    desk.open()
    made = appoint(answering.workspace, OCA, "ocsp", anew=True).responder
    engine = answering.workspace.store._engine
    with engine.transaction():  # as if its key were gone
        engine.execute("UPDATE responder SET key_id = ? WHERE serial = ?", (bytes(16), made.record.serial.octets))
    for _ in range(3):
        desk._look()
        (answer,) = desk.answer([query(answering, 5)])
        assert responder_of(answer) != made.record.serial.number
    assert [event for event, _ in events[2:]] == ["ocsp.trouble"]


def test_a_revoked_authority_appoints_nobody(answering: House) -> None:
    answering.workspace.clock = now
    world = World(Issuing(answering))
    authority = world.authority("organisation")
    assert code_of(lambda: world.revoke(authority, reason=Reason.CA_COMPROMISE)) == "approve.needed"
    world.grant(world.plan(authority, reason=Reason.CA_COMPROMISE))
    world.revoke(authority, reason=Reason.CA_COMPROMISE)
    before = answering.workspace.store.audit_size()
    assert code_of(lambda: appoint(answering.workspace, OCA, "ocsp", anew=True)) == "authority.revoked"
    assert answering.workspace.store.audit_size() == before
