"""Whatever is wrong in a policy file is told with file and key; and no file lets go of what the code holds."""

from datetime import timedelta
from random import Random
from typing import Any

import pytest

from scripts.fuzzing.mutations import write_toml
from scripts.fuzzing.policy import files, reader
from smki.authority.policies import Policies
from smki.errors import SmkiError
from smki.gbcs.header import Cra
from smki.gbcs.message import Protection
from smki.pki.kind import Kind
from smki.pki.reason import Reason
from smki.settings import MAX_FILE_OCTETS
from tests.fuzzing.policy_trees import Path, places, put, some, tree_of, without

FILES = [name for name in files() if "/" not in name or name in {"profiles/device.toml", "profiles/root-oca.toml"}]
_FAMILIES = ("policy.", "settings.", "profile.", "names.")
_MOST, _FEW = 25, 8
_LONG = {"use-cases.toml", "names-cosem.toml", "names-zigbee.toml", "hierarchy.toml", "issuance.toml", "signing.toml"}
_HUGE = 1 << 70
_JUNK = "\u202e?! \x01"


def _places(name: str) -> list[tuple[Path, Any]]:
    return some(name, _FEW if name in _LONG else _MOST)


def _refused(name: str, tree: dict[str, Any], path: Path) -> SmkiError:
    with pytest.raises(SmkiError) as caught:
        reader(name)(write_toml(tree))
    _check_told(name, caught.value, path)
    return caught.value


def _check_told(name: str, error: SmkiError, path: Path) -> None:
    """File and key; of a key that a file gives to things, the key or the thing."""
    told = f"{error.message} [{error.code}]"
    assert error.code.startswith(_FAMILIES), told
    assert any(error.message.startswith(file) for file in files()), told
    assert len(error.message) < 400, told
    assert error.message.isprintable(), told
    keys = [key for key in path if isinstance(key, str)]
    assert name != error.message.partition(":")[0] or any(_word(key) in _word(told) for key in keys), (
        keys,
        told,
    )


def _word(text: str) -> str:
    return text.casefold().replace("_", " ").removesuffix("s")


@pytest.mark.parametrize("name", FILES)
def test_a_value_of_another_kind_is_told_with_file_and_key(name: str) -> None:
    tree = tree_of(name)
    for path, value in _places(name):
        other = 7 if isinstance(value, (str, dict)) else "x"
        _refused(name, put(tree, path, other), path)


@pytest.mark.parametrize("name", FILES)
def test_an_unknown_key_is_told_with_file_and_key(name: str) -> None:
    tree = tree_of(name)
    tables = [((), tree), *((path, value) for path, value in _places(name) if isinstance(value, dict))]
    for path, _ in tables:
        _refused(name, put(tree, (*path, "no-such-key"), [[7.5]]), (*path, "no-such-key"))


@pytest.mark.parametrize("name", FILES)
def test_what_is_missing_is_told_with_file_and_key_or_may_be_left_out(name: str) -> None:
    tree = tree_of(name)
    for path, _ in _places(name):
        if isinstance(path[-1], str):
            try:
                reader(name)(write_toml(without(tree, path)))
            except SmkiError as error:
                _check_told(name, error, path)


@pytest.mark.parametrize("name", FILES)
def test_a_number_out_of_bounds_is_told_with_file_and_key(name: str) -> None:
    tree = tree_of(name)
    for path, value in _places(name):
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            numbers: tuple[float, ...] = (float("nan"), float("inf"))
            if not _is_value_of_a_payload(name, path):  # those go up and down as far as there are numbers
                numbers += (-1, _HUGE)
            for number in numbers:
                _refused(name, put(tree, path, number), path)


def _is_value_of_a_payload(name: str, path: Path) -> bool:
    return name == "anomaly.toml" and path[-1] in {"least", "most"}


def test_a_bound_that_is_no_number_holds_nothing_and_is_refused() -> None:
    tree = tree_of("anomaly.toml")
    bounds = [path for path, _ in places(tree) if _is_value_of_a_payload("anomaly.toml", path)]
    at = next(path for path in bounds if tree["detector"][path[1]]["kind"] == "value")
    for number in (float("nan"), float("inf"), float("-inf")):
        assert _refused("anomaly.toml", put(tree, at, number), at).code == "policy.anomaly"


@pytest.mark.parametrize("name", FILES)
def test_a_text_that_means_nothing_is_told_with_file_and_key_or_is_words_for_people(name: str) -> None:
    tree = tree_of(name)
    for path, value in _places(name):
        if isinstance(value, str):
            for text in (_JUNK, "a" * 20_000, ""):
                try:
                    reader(name)(write_toml(put(tree, path, text)))
                except SmkiError as error:
                    _check_told(name, error, path)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_too_long_or_too_deep_is_refused(name: str) -> None:
    long = files()[name] + b"#" * MAX_FILE_OCTETS
    for octets, code in ((long, "settings.size"), (b"a = " + b"[" * 100_000, "settings.syntax")):
        with pytest.raises(SmkiError) as caught:
            reader(name)(octets)
        assert (caught.value.code, caught.value.message.split(":")[0]) == (code, name)


# What no file lets go of

_NUMBERS = (0, 1, 2, 3, 7, 24, 99, 100, 366, 1000, 10_001, 50_000, 1_000_000, 200_000_000, 0.5, 1e9)
_WORDS = ("*", "supply off", "critical", "1m", "1h", "24h", "7d", "9999d", "off", "registration", "consent", "warn")
_MORE = (
    "hold",
    "each",
    "all",
    "each supplier",
    "supplier",
    "other",
    "superseded",
    "mac",
    "none",
    "organisation",
    "test",
)


def _looser(tree: dict[str, Any], random: Random) -> dict[str, Any]:
    """A few values of a file made others that fit their kind: numbers, words, fewer rows, the other way round."""
    found = list(places(tree))
    for _ in range(random.choice((1, 1, 2, 3))):
        path, value = random.choice(found)
        try:
            tree = put(tree, path, _other(value, random))
        except (KeyError, IndexError, TypeError):  # what was above it is not there any more
            continue
    return tree


def _other(value: Any, random: Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return random.choice(_NUMBERS) if isinstance(value, float) else int(random.choice(_NUMBERS))
    if isinstance(value, list):
        return random.choice(([], value[:-1], value[1:], value + value))
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if random.random() < 0.7}
    return random.choice((*_WORDS, *_MORE)) if isinstance(value, str) else value


def _holds(policies: Policies) -> None:
    """What an auditor is told that no file changes; the numbers stand here on their own."""
    assert 2 <= policies.quorum.approvals <= policies.quorum.officers <= 100
    for profile in policies.profiles.values():
        assert set(profile.extensions) - {"wrappedApexContingencyKey"} <= profile.kind.extensions
        assert profile.kind.extensions <= set(profile.extensions)
        assert (profile.longest_years is None) == (profile.kind is Kind.DEVICE)
        assert profile.longest_years is None or profile.longest_years <= profile.kind.longest_years
        assert ("OCSPSigning" in profile.extended_usage) == (profile.kind is Kind.RESPONDER)
    for one in policies.hierarchies.values():
        assert one.policy_oids
    for issuing in policies.issuance.rules.values():
        assert (issuing.years or 0) <= 10
        assert all(limit <= 4 for limit in issuing.in_use.values())
        assert issuing.profile.kind is issuing.kind
    _holds_supply(policies)
    assert policies.recovery.recovery.approvals >= 2
    assert policies.recovery.contingency.approvals >= 3
    assert policies.recovery.lasts <= timedelta(days=7)
    reasons = {who.value: found for who, found in policies.revocation.reasons.items()}
    assert all(Reason.KEY_COMPROMISE in reasons[who] for who in ("subscriber", "authority"))
    for rule in policies.revocation.kinds.values():
        assert rule.revocable or rule.kind is Kind.DEVICE
        assert rule.approve_above <= (0 if rule.kind.is_authority else 1000)
        assert not any(reason.is_compromise for reason in rule.signed_only)
    assert policies.ocsp.valid <= timedelta(days=7)
    assert policies.ocsp.life <= timedelta(days=365)
    for listed in policies.publication.rules.values():
        assert listed.within <= timedelta(hours=24)
        assert listed.every + listed.cry <= listed.valid <= timedelta(days=400)
    _holds_messages(policies)


def _holds_supply(policies: Policies) -> None:
    for code, name in (("0x0050", "ECS43"), ("0x0081", "GCS32")):
        signing = policies.signing.of(code, name)
        assert any(one.count <= 10_000 and one.window >= timedelta(hours=1) for one in signing)
        for of, most in (("each", 10_000), ("all", 20_000)):
            counts: list[Any] = [one for one in policies.anomaly.rules if one.kind == "count" and one.holds]
            assert any(
                one.of == of and one.count <= most and one.window >= timedelta(hours=24) and one.roles is None
                for one in counts
                if one.codes is None or int(code, 16) in one.codes
            )
    for together, most in ((False, 20_000), (True, 100_000)):
        changes = [one for one in policies.cos.thresholds if one.supplier is None and one.together is together]
        assert any(one.count <= most and one.window >= timedelta(hours=1) for one in changes)
    assert policies.cos.largest_request <= 500_000


def _holds_messages(policies: Policies) -> None:
    for row in policies.use_cases.all:
        assert all(Protection.NONE not in forms for forms in row.protections.values())
        if row.critical:
            assert row.is_signed
            assert Protection.MAC not in row.protections[Cra.COMMAND]
    assert all(policies.use_cases[code].critical for code in _CRITICAL_SAMPLES if policies.use_cases.get(code))
    for user in policies.broker.user_roles:
        assert user.role.word in {"supplier", "networkOperator", "other"}
        assert user.by == "registration" or user.name not in {"IS", "GS", "ED", "GT"}
    gone = {"decommissioned", "withdrawn"}
    assert not gone & {status.value for status in policies.broker.states}
    for status, after in policies.inventory.transitions.items():
        if status.value in gone:
            assert {one.value for one in after} <= {"withdrawn"}
    assert policies.broker.confirmed_for <= timedelta(days=7)
    for cells in policies.devices.values():
        assert {"root keyCertSign", "accessControlBroker keyAgreement"} <= {str(name) for name in cells}


_CRITICAL_SAMPLES: tuple[Any, ...] = (0x0050, 0x0051, 0x0081, 0x0100, 0x0106, 0x0109)


@pytest.mark.slow(2)
@pytest.mark.parametrize("name", FILES)
def test_no_file_lets_go_of_what_the_code_holds(name: str) -> None:
    """Of many files with values that fit their kind, those that are taken weaken nothing."""
    tree, random = tree_of(name), Random(name)  # noqa: S311 - the same every time
    base: Policies = _whole(name, write_toml(tree))
    _holds(base)
    taken = 0
    for _ in range(30 if name in _LONG else 80):
        try:
            found = _whole(name, write_toml(_looser(tree, random)))
        except SmkiError:
            continue
        taken += 1
        _holds(found)
    assert taken, "every change was refused: nothing was tried"


def _whole(name: str, octets: bytes) -> Policies:
    """All policies, with this file in place of the shipped one."""
    from dataclasses import replace

    from scripts.fuzzing.policy import properties, shipped

    if name not in shipped().tables:
        head = reader(name)(octets)
        assert isinstance(head, Policies)
        if (head.profiles, head.hierarchies) == (shipped().profiles, shipped().hierarchies):
            head.__dict__.update({other: getattr(shipped(), other) for other in properties().values()})
        head.read_all()
        return head
    found = replace(shipped(), tables={**shipped().tables, name: octets})
    for other in properties().values():
        if other != properties()[name]:
            found.__dict__[other] = getattr(shipped(), other)
    found.read_all()
    return found
