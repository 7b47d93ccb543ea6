"""Which devices may join which: the limit that no file widens, and what a file may say within it (GBCS 13.7.1.2)."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from smki.device.join_rules import LIMIT, NAMED, NAMES, JoinRules, Method, Pair
from smki.entity import DeviceType
from smki.errors import Refused
from smki.gbcs.payload.joins import JoinMethod, NamedDevice
from tests.parties.people import issuing

KIND = DeviceType
WHOLE = JoinRules(LIMIT)
# What a device may do, by its own kind and the other's: A from either side, B from one, C from both.
PERMITTED = {
    (JoinMethod.A_INITIATOR, KIND.ESME, KIND.PPMID),
    (JoinMethod.A_INITIATOR, KIND.ESME, KIND.HCALCS),
    (JoinMethod.A_RESPONDER, KIND.PPMID, KIND.ESME),
    (JoinMethod.A_RESPONDER, KIND.HCALCS, KIND.ESME),
    (JoinMethod.B, KIND.ESME, KIND.TYPE_2),
    (JoinMethod.B, KIND.GSME, KIND.GPF),
    (JoinMethod.B, KIND.GPF, KIND.TYPE_2),
    (JoinMethod.B, KIND.GPF, KIND.PPMID),
    (JoinMethod.C, KIND.GSME, KIND.PPMID),
    (JoinMethod.C, KIND.PPMID, KIND.GSME),
}
# Data-Access-Result (Green Book 9.5), without success.
RESULTS = {1, 2, 3, 4, 9, 11, 12, 13, 14, 15, 16, 17, 18, 250}


def refused(**said: Any) -> str:
    with pytest.raises(Refused) as refusal:
        replace(WHOLE, **said)
    assert refusal.value.code == "policy.joins"
    return refusal.value.message


def test_who_may_join_whom_is_this_and_no_more() -> None:
    every = product(JoinMethod, KIND, KIND)
    assert {(how, own, other) for how, own, other in every if WHOLE.permits(how, own, other)} == PERMITTED
    assert not any(JoinRules().permits(how, own, other) for how, own, other in PERMITTED)


def test_no_file_joins_others() -> None:
    for pair in (Pair(method, first, second) for method, first, second in product(Method, KIND, KIND)):
        if pair in LIMIT:
            assert replace(WHOLE, pairs=frozenset({pair})).pairs == {pair}
        else:
            assert f"{pair.first.value} with {pair.second.value}" in refused(pairs=LIMIT | {pair})


def test_a_log_has_sixty_four_entries_at_most_and_a_hub_knows_fifteen_that_it_removed() -> None:
    assert replace(WHOLE, capacity={KIND.ESME: 0, KIND.CHF: 64}, removed=15)
    assert replace(WHOLE, removed=0)
    assert JoinRules().removed == 15
    for wrong in (-1, 65):
        assert "capacity" in refused(capacity={KIND.ESME: 5, KIND.CHF: wrong})
    for wrong in (-1, 16):
        assert "removed" in refused(removed=wrong)


def test_a_device_is_given_thirty_two_authorities_at_most() -> None:
    der = issuing().der
    assert len(replace(WHOLE, issuers=(der,) * 32).issuing) == 32
    refused(issuers=(der,) * 33)


def test_what_a_hub_answers_is_a_result_and_no_success() -> None:
    for code in range(256):
        for name in ("not_listed", "full"):
            if code in RESULTS:
                said: dict[str, Any] = {name: code}
                assert replace(WHOLE, **said)
            else:
                assert "no result" in refused(**{name: code})
    assert (JoinRules().not_listed, JoinRules().full) == (1, 250)


def test_every_kind_has_a_name_in_commands_but_the_one_that_joins_nobody() -> None:
    assert {name: kind.name for name, kind in NAMED.items()} == {name: name.name for name in NamedDevice}
    assert {kind: name.name for kind, name in NAMES.items()} == {
        kind: kind.name for kind in KIND if kind is not KIND.SAPC
    }
