"""What a hostile transform service, user or machine could try at signing, and what becomes of it."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smki.authority.policies import load_policies
from smki.authority.second_officer import decide_hold
from smki.authority.workspace import SHIPPED
from smki.device.modes import RULES, SUPPLIER_CELLS
from smki.device.update import CredentialUpdate, Put
from smki.entity import EntityId, RemotePartyRole
from smki.errors import InvalidInput, Refused, SmkiError
from smki.gbcs.header import Cra, Header, MessageCode, Supplementary
from smki.gbcs.message import Message
from smki.gbcs.payload.credentials import CellIdentifier, CellUsage, Control, Mode, TimeChecks, Update, UpdateCommand
from smki.gbcs.payload.declared import DIGITAL_SIGNATURE, write_declared
from smki.gbcs.words import Vocabulary, read
from smki.parties.intake import printable
from smki.parties.signing_rules import Fit, Shown, Unfit, judge
from smki.parties.supplier import CHUNK, SigningDesk
from smki.pki.holder import Holder
from tests.house import OFFICERS, House, opened
from tests.parties.changing import OTHER, places
from tests.parties.people import ECS43, METER, SUPPLIER, User, arming, certificate
from tests.parties.people import given as handed_in
from tests.parties.test_signing import codes, signed

ROOT = Path(__file__).parent.parent.parent
POLICIES = load_policies(SHIPPED / "policies")
VOCABULARY = Vocabulary(POLICIES.use_cases, POLICIES.names)
SWITCH = "000900000a006aff01"


def holder_of(user: User) -> Holder:
    return user.certificate.holder


def access(*operations: tuple[str, str, str], counter: int = 1) -> bytes:
    """Kind, target and data of each thing asked."""
    kinds = "".join(kind + target for kind, target, _ in operations)
    values = "".join(data for _, _, data in operations)
    count = f"{len(operations):02x}"
    return bytes.fromhex(f"d920{counter:06x}00{count}{kinds}{count}{values}")


def with_payload(payload: bytes, code: int = 0x0051, counter: int = 1) -> Message:
    return Message(Header(Cra.COMMAND, counter, SUPPLIER, METER, MessageCode(code)), payload)


def faults(user: User, message: Message) -> set[str]:
    found = judge(handed_in(message), holder_of(user), VOCABULARY, None)
    return {fault.code for fault in found.faults} if isinstance(found, Unfit) else set()


@pytest.mark.requirement("R-ROL-6")
def test_nobody_speaks_for_others_but_the_broker(user: User) -> None:
    extra = Supplementary(SUPPLIER, 5)
    message = replace(arming(1), header=replace(arming(1).header, supplementary=extra))
    assert "sign.supplementary" in faults(user, message)
    values = read(message, VOCABULARY).values
    assert values["for"] == str(SUPPLIER)
    assert values != read(arming(1), VOCABULARY).values


@pytest.mark.requirement("R-E2E-3")
def test_nothing_hidden_is_signed(user: User) -> None:
    block = bytes.fromhex("3100000000") + bytes(30)
    payload = bytes.fromhex("010901 03 0705 0028 00 00 01 0008 0023".replace(" ", "")) + block
    reading = read(with_payload(payload, 0x0070), VOCABULARY)
    if reading.fault is None:
        assert reading.payload.encrypted
    assert faults(user, with_payload(payload, 0x0070)) & {"sign.encrypted", "sign.payload"}


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (access(), 0x0051),
        (bytes.fromhex("da2000000100000100010300"), 0x0051),
        (bytes.fromhex("0109008f301c374a80"), 0x0081),
    ],
)
def test_what_asks_nothing_is_not_signed(user: User, payload: bytes, code: int) -> None:
    assert faults(user, with_payload(payload, code)) & {"sign.payload-kind", "sign.payload"}


@pytest.mark.requirement("R-CRT-3")
@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (access(("03", SWITCH, "120034")), 0x0051),
        (access(("03", SWITCH, "120033")), 0x0050),
        (access(("03", SWITCH, "120034")), 0x001C),
        (access(("03", SWITCH, "0f34")), 0x0050),
        (access(("03", SWITCH, "120036"), ("03", SWITCH, "120034")), 0x0051),
        (bytes.fromhex("010901010702001501000b00000000804a371c00000000000000000001"), 0x0085),
        (bytes.fromhex("010901010702001501000b00000000804a371c00000000000000000201"), 0x0081),
    ],
)
def test_supply_is_switched_under_its_own_name_only(user: User, payload: bytes, code: int) -> None:
    assert "sign.operation" in faults(user, with_payload(payload, code))


@pytest.mark.requirement("R-VER-3")
def test_a_mode_belongs_to_its_code(user: User) -> None:
    cell = CellIdentifier(role=RemotePartyRole.SUPPLIER, key_usage=DIGITAL_SIGNATURE, cell_usage=CellUsage.MANAGEMENT)
    control = Control(
        mode=Mode.NETWORK_OPERATOR_BY_NETWORK_OPERATOR,
        symmetric_key=None,
        time_checks=TimeChecks.APPLY,
        authorising_cell=cell,
        originator_counter=1,
        new_floor=None,
        new_special_floors=None,
        other_floors=None,
    )
    update = Update(control=control, replacements=[], path_certificates=[], execution_date_time=None)
    message = with_payload(write_declared(UpdateCommand(payload=update)), 0x0102)
    assert "sign.mode" in faults(user, message)


def test_the_order_of_what_is_asked_is_part_of_what_is_compared() -> None:
    one, other = ("03", SWITCH, "120036"), ("03", "00700000130a01ff03", "0f00")
    first, second = (read(with_payload(access(*pair)), VOCABULARY).values for pair in ((one, other), (other, one)))
    assert first != second


@pytest.mark.requirement("R-E2E-3")
@settings(max_examples=400, deadline=None)
@given(st.data())
def test_no_octet_of_a_command_can_change_unseen(data: st.DataObject) -> None:
    """Whatever reads at all reads otherwise: so nothing else can be signed in place of what was asked for."""
    payload = data.draw(
        st.sampled_from(
            [
                access(("03", SWITCH, "120036")),
                access(("03", "00700000130a01ff03", "0f00"), ("02", "000f00000f0000ff04", "090c" + "00" * 12)),
                access(("02", "000100005e2c0300ff02", "0301")),
                access(("02", "001400000d0000ff07", "0202110509044e616d65")),
                bytes.fromhex("010901010702001501000b00000000804a371c00000000000000000001"),
                bytes.fromhex("01090101070500080100000000000000"),
            ]
        )
    )
    before = read(with_payload(payload), VOCABULARY)
    if before.fault is not None:
        return
    place = data.draw(st.integers(5 if payload[0] == 0xD9 else 0, len(payload) - 1))
    octet = data.draw(st.integers(0, 255))
    changed = payload[:place] + bytes((octet,)) + payload[place + 1 :]
    after = read(with_payload(changed), VOCABULARY)
    assert changed == payload or after.fault is not None or after.values != before.values


@pytest.mark.requirement("R-ROL-2")
def test_a_certificate_counts_when_an_authority_we_believe_made_it(user: User) -> None:
    workspace = user.house.workspace
    for path in (user.house.home / "anchors").iterdir():
        path.unlink()
    with pytest.raises(Refused, match=r"key\.chain"):
        SigningDesk(workspace, "keys", "ds", user.certificate)


def test_a_registered_key_has_the_registered_certificate_only(user: User) -> None:
    """A second certificate of the same key, however good, is not the one the register knows."""
    workspace = user.house.workspace
    key = user.certificate.holder.public_key
    twin = certificate(key, SUPPLIER, RemotePartyRole.SUPPLIER)
    _register(user, twin)
    with pytest.raises(Refused, match=r"key\.unregistered"):
        SigningDesk(workspace, "keys", "ds", user.certificate)
    assert SigningDesk(workspace, "keys", "ds", twin)


def _register(user: User, one: Any) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    from smki.authority.log import act
    from smki.entity import KeyUsage
    from smki.pki.serial import Serial
    from smki.store.records import CertificateRecord

    read_ = one.certificate
    record = CertificateRecord(
        issuer=0,
        serial=Serial(read_.serial_number.to_bytes(16)),
        key_hash=one.key_hash,
        entity=SUPPLIER,
        profile="organisation",
        not_before=read_.not_valid_before_utc,
        not_after=read_.not_valid_after_utc,
        der=read_.public_bytes(Encoding.DER),
        usage=KeyUsage.DIGITAL_SIGNATURE,
        role=RemotePartyRole.SUPPLIER,
    )
    with act(user.house.workspace, "test.registered") as tx:
        tx.reserve_serials(0, [record.serial], "test")
        tx.store_certificates([record])


@pytest.mark.requirement("R-LEA-3")
@pytest.mark.parametrize("mode", [Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY, Mode.ANY_BY_CONTINGENCY])
@pytest.mark.parametrize("role", [RemotePartyRole.RECOVERY, RemotePartyRole.ROOT, RemotePartyRole.SUPPLIER])
def test_nobody_signs_a_recovery_alone(user: User, mode: Mode, role: RemotePartyRole) -> None:
    """Whoever holds the recovery token could otherwise take over every home without a custodian."""
    key = b"\0" * 32 if mode is Mode.ANY_BY_CONTINGENCY else None
    (put,) = places(SUPPLIER_CELLS[:1], OTHER)
    update = CredentialUpdate(
        mode, 1, (Put.into(put.cell, put.certificate),), (), RULES[mode].authorising, symmetric_key=key
    )
    signer = replace(holder_of(user), role=role)
    command = handed_in(update.command(signer.entity, METER))
    found = judge(command, signer, VOCABULARY, None)
    assert isinstance(found, Unfit)
    assert "sign.quorum" in {fault.code for fault in found.faults}
    approved = judge(command, signer, VOCABULARY, None, approved=True)
    assert isinstance(approved, Fit) or "sign.quorum" not in {fault.code for fault in approved.faults}


@pytest.mark.requirement("R-LEA-3")
def test_the_recovery_key_sits_at_no_desk(house: House) -> None:
    one = User(house, RemotePartyRole.RECOVERY, EntityId.parse("90-B3-D5-1F-30-00-00-01"))
    with pytest.raises(Refused, match=r"sign\.quorum"):
        assert one.desk


@pytest.mark.requirement("R-CTR-5")
def test_counters_cannot_be_used_up(user: User) -> None:
    (outcome,) = signed(user.desk, [handed_in(arming((1 << 64) - 1))])
    assert "sign.counter-range" in codes(outcome)
    (outcome,) = signed(user.desk, [handed_in(arming(1))])
    assert outcome.result == "signed"


@pytest.mark.requirement("R-SPC-6")
def test_what_was_refused_stays_refused_in_smaller_company(house: House, user: User) -> None:
    house.enrol()
    many = [handed_in(arming(number, code=ECS43)) for number in range(1, 121)]
    signed(user.desk, many)
    (hold,) = house.workspace.store.holds.all()
    assert len(house.workspace.store.holds.items(hold.digest)) == 120
    with pytest.raises(Refused, match=r"approve\.same-person"):
        decide_hold(house.workspace, replace(hold, asked_by="alice"), "alice", OFFICERS["alice"], True, "")
    decide_hold(house.workspace, hold, "bob", OFFICERS["bob"], False, "no")
    assert {item.result for item in signed(user.desk, many[:10])} == {"refused"}
    (other,) = signed(user.desk, [handed_in(arming(500, code=ECS43))])
    assert other.result == "signed"


def test_a_listener_that_goes_away_loses_no_signature(user: User) -> None:
    judged = user.desk.judge((handed_in(arming(number)) for number in range(1, 4 * CHUNK + 1)), None)
    desk = user.desk
    with closing(desk.sign(judged, Shown.SEEN)) as outcomes:
        assert next(outcomes).result == "signed"
    store = user.house.workspace.store
    digests = [item.digest for item in judged if isinstance(item, Fit)]
    known = store.signatures.known(user.certificate.key_hash, digests)
    taken = [digest for digest, signature in known.items() if signature is not None]
    assert len(taken) >= CHUNK
    again = list(desk.sign(judged, Shown.SEEN))
    assert len({item.message for item in again}) == 4 * CHUNK


def test_a_reader_that_goes_away_ends_the_command_and_not_the_process(user: User, tmp_path: Path) -> None:
    """`smki message sign ... | head -1`: an error with a code, and nothing torn down under a signing thread."""
    from cryptography.hazmat.primitives.serialization import Encoding

    house = user.house
    lines, asked = tmp_path / "commands", tmp_path / "asked"
    with lines.open("w") as commands, asked.open("w") as wanted:
        for number in range(1, 4000):
            message = arming(number)
            commands.write(message.encode().hex() + "\n")
            values = read(message, VOCABULARY).values
            one = {"use_case": "ECS44", "target": str(METER), "counter": str(number), "values": values}
            wanted.write(json.dumps(one) + "\n")
    (tmp_path / "ds.der").write_bytes(user.certificate.certificate.public_bytes(Encoding.DER))
    house.workspace.close()
    command = f"{sys.executable} -m smki --home {house.home} message sign --from {lines} --expect {asked}"
    command += f" --token keys --key ds --certificate {tmp_path / 'ds.der'} | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 4, (done.returncode, done.stderr)
    assert json.loads(done.stdout)["result"] == "signed"


def test_two_runs_of_the_same_batch_hand_out_one_signature_each(user: User) -> None:
    """Each in a workspace of its own on the same store, as two processes would."""
    count = 1500
    results: list[dict[str, bytes]] = []
    user.house.workspace.close()

    def run() -> None:
        house = opened(user.house.home)
        desk = SigningDesk(house.workspace, "keys", "ds", user.certificate)
        judged = desk.judge((handed_in(arming(number)) for number in range(1, count + 1)), None)
        results.append({item.reference: item.message for item in desk.sign(judged, Shown.SEEN)})
        house.workspace.close()

    script = (
        "import sys, json; from pathlib import Path; from tests.parties.killed import run_to_json; "
        "print(run_to_json(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))"
    )
    from cryptography.hazmat.primitives.serialization import Encoding

    der = user.house.home.parent / "ds.der"
    der.write_bytes(user.certificate.certificate.public_bytes(Encoding.DER))
    command = [sys.executable, "-c", script, str(user.house.home), str(der), str(count)]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    found = [json.loads(process.communicate(timeout=100)[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert found[0] == found[1]
    assert len(found[0]) == count
    run()
    assert {name: octets.hex() for name, octets in results[0].items()} == found[0]
    assert threading.active_count() < 50


@pytest.mark.requirement("R-CRT-5")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("count = 100\n", "count = 1000000\n"),
        ('"ECS43", "GCS32"', '"ECS43x", "GCS32"'),
        ('window = "24h"', 'window = "1m"'),
        ('["*"]', '["ECS42"]'),
        ("largest_batch = 200_000", "largest_batch = 0"),
        ('window = "24h"', 'window = "a while"'),
    ],
)
def test_what_thresholds_a_file_cannot_have(tmp_path: Path, old: str, new: str) -> None:
    import shutil

    folder = tmp_path / "policies"
    shutil.copytree(SHIPPED / "policies", folder)
    path = folder / "signing.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    if "x" in new:
        path.write_text(text.replace(old, new).replace("count = 20_000", "count = 9_000"), encoding="utf-8")
    with pytest.raises(SmkiError) as caught:
        load_policies(folder).read_all()
    assert caught.value.code.startswith(("policy.", "settings."))


def test_references_move_no_cursor() -> None:
    assert printable("a\x1b[2Jb\udcff") == "a\\x1b[2Jb\\udcff"
    assert len(printable("x" * 1000)) == 200


def hostile() -> Iterator[bytes]:
    """Certificates and requests that pyca refuses in its several ways, where commands carry them."""
    yield bytes.fromhex("3011020101040800db123456789093020101") + bytes(40)


@pytest.mark.parametrize("octets", list(hostile()))
def test_hostile_payloads_are_faults_and_no_more(user: User, octets: bytes) -> None:
    message = Message(Header(Cra.COMMAND, 1, SUPPLIER, METER, MessageCode(0x00AB)), octets)
    assert "sign.payload" in faults(user, message)
    with pytest.raises(InvalidInput):
        MessageCode.parse("zz")
