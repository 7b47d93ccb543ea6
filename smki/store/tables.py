"""What is in the schema, step by step. A step that was released is never changed: what is new is a step of its own.

Made for two hundred million certificates: keys are binary and short, names that repeat are numbers, the indexes few
and small; PostgreSQL spreads certificates over hash partitions by serial number, which every unique index there must
contain.
"""

from smki.store.announcement_tables import TENTH, TENTH_INDEXES
from smki.store.broker_tables import EIGHTH, EIGHTH_INDEXES, NINTH, NINTH_INDEXES
from smki.store.table import Kind, Step, Table

__all__ = ["STEPS", "SUPPLIER_CELLS", "WATCHED_CELLS", "Kind", "Step", "Table"]

# Times are seconds since 1970, UTC.
_FIRST: dict[str, Table] = {
    "meta": Table({"name": "text", "value": "octets"}, ("name",)),
    "audit_entry": Table({"seq": "bigint", "body": "octets"}, ("seq",)),
    "audit_node": Table({"level": "smallint", "place": "bigint", "hash": "octets"}, ("level", "place")),
    "audit_checkpoint": Table({"size": "bigint", "root": "octets", "note": "text"}, ("size",)),
    "token": Table({"name": "text", "hsm": "text", "label": "text", "serial": "text"}, ("name",)),
    # Every roll there ever was; the one with the highest number is in force.
    "officer": Table({"roll": "bigint", "name": "text", "public_key": "octets"}, ("roll", "name")),
    "ceremony": Table(
        {"sha256": "octets", "kind": "text", "file": "octets", "state": "text", "detail": "text"}, ("sha256",)
    ),
    "authority": Table(
        {
            "name": "text",
            "number": "smallint",
            "hierarchy": "text",
            "tier": "text",
            "state": "text",
            "issuing": "smallint",
            "profile": "text",
            "subject": "text",
            "token": "text",
            "key_id": "octets",
            "public_key": "octets",
            "issuer": "text",
            "serial": "octets",
            "not_after": "bigint",
        },
        ("name",),
        optional=("public_key", "issuer", "serial", "not_after"),
    ),
    "contingency": Table(
        {"authority": "text", "token": "text", "key_id": "octets", "secret_id": "octets", "public_key": "octets"},
        ("authority",),
    ),
    "reservation": Table(
        {
            "reserved_at": "bigint",
            "issuer": "smallint",
            "burnt": "smallint",
            "serial": "octets",
            "purpose": "text",
        },
        ("serial", "issuer"),
    ),
    "profile": Table({"number": "smallint", "name": "text"}, ("number",)),
    "certificate": Table(
        {
            "not_before": "bigint",
            "not_after": "bigint",
            "issuer": "smallint",
            "profile": "smallint",
            "serial": "octets",
            "key_hash": "octets",
            "entity": "octets",
            "der": "octets",
        },
        ("serial", "issuer"),
        optional=("entity",),
    ),
}
_INDEXES = (
    "CREATE UNIQUE INDEX authority_number ON authority (number)",
    "CREATE UNIQUE INDEX authority_issuing ON authority (hierarchy) WHERE issuing = 1",
    "CREATE UNIQUE INDEX profile_name ON profile (name)",
    "CREATE INDEX certificate_key ON certificate (key_hash)",
    "CREATE INDEX certificate_entity ON certificate (entity) WHERE entity IS NOT NULL",
)


# What issuing to subscribers needs; numbers stand for words as `smki.store.certificates` says.
_SECOND: dict[str, Table] = {
    "organisation": Table({"number": "bigint", "name": "text", "state": "text", "detail": "text"}, ("number",)),
    "allocation": Table({"first": "octets", "last": "octets", "organisation": "bigint"}, ("first",)),
    "responsible": Table(
        {
            "organisation": "bigint",
            "name": "text",
            "function": "text",
            "public_key": "octets",
            "issuer": "smallint",
            "serial": "octets",
        },
        ("organisation", "name"),
    ),
    "volume": Table({"organisation": "bigint", "month": "bigint", "issued": "bigint"}, ("organisation", "month")),
    "batch": Table(
        {
            "digest": "octets",
            "organisation": "bigint",
            "kind": "text",
            "requests": "bigint",
            "reasons": "text",
            "state": "text",
            "asked_by": "text",
            "asked_at": "bigint",
            "decision": "text",
        },
        ("digest",),
    ),
}
_SECOND_COLUMNS = (
    "status smallint NOT NULL DEFAULT 1",  # what was issued before this step is an authority's, and in use
    "usage smallint",
    "role smallint",
    "subscriber bigint",
    "request {octets}",
)
_SECOND_INDEXES = (
    "CREATE UNIQUE INDEX organisation_name ON organisation (name)",
    # Both grow at their right end, which costs issuing next to nothing.
    "CREATE INDEX certificate_subscriber ON certificate (subscriber, not_before) WHERE subscriber IS NOT NULL",
    "CREATE INDEX certificate_end ON certificate (not_after) WHERE not_after < 253402300799",  # not those without end
)


# What signing commands needs. Counters have 64 bits without a sign: octets, which sort as they count.
_THIRD: dict[str, Table] = {
    "counter": Table({"key_hash": "octets", "last": "octets"}, ("key_hash",)),
    "signature": Table(
        {
            "at": "bigint",
            "code": "smallint",
            "digest": "octets",
            "key_hash": "octets",
            "counter": "octets",
            "target": "octets",
        },
        ("digest", "key_hash"),
    ),
    # A table of its own, because rows are only ever added: that is what databases do fastest.
    "signed": Table({"digest": "octets", "key_hash": "octets", "signature": "octets"}, ("digest", "key_hash")),
    # What each hold is about: a refusal is of every command in it, in whatever company it comes again.
    "held": Table({"item": "octets", "hold": "octets", "words": "text"}, ("item", "hold")),
    "hold": Table(
        {
            "digest": "octets",
            "purpose": "text",
            "items": "bigint",
            "reasons": "text",
            "state": "text",
            "asked_by": "text",
            "asked_at": "bigint",
            "decision": "text",
        },
        ("digest",),
    ),
}
_THIRD_INDEXES = ("CREATE INDEX signature_window ON signature (key_hash, code, at)",)


# The estate: who is registered where, which devices there are, what is believed of each. A cell's number is its
# role's times eight and its use (smki.store.estate); who is in those of suppliers and network operators is asked for.
WATCHED_CELLS = "cell.cell >= 16 AND cell.cell < 32"
SUPPLIER_CELLS = "cell.cell < 24"
_FOURTH: dict[str, Table] = {
    "registration": Table(
        {"since": "bigint", "supplier": "octets", "network_operator": "octets", "meter_point": "text"},
        ("meter_point", "since"),
        optional=("supplier", "network_operator"),
    ),
    "device": Table(
        {
            "proven_at": "bigint",
            "kind": "smallint",
            "status": "smallint",
            "entity": "octets",
            "meter_point": "text",
            "proof": "octets",
        },
        ("entity",),
        optional=("proven_at", "meter_point", "proof"),
    ),
    "cell": Table(
        {
            "since": "bigint",
            "proven_at": "bigint",
            "cell": "smallint",
            "device": "octets",
            "holds": "octets",
            "key_identifier": "octets",
            "serial": "octets",
            "done_by": "text",
        },
        ("device", "cell"),
        optional=("proven_at", "serial"),
    ),
    "counter_floor": Table({"floor": "bigint", "role": "smallint", "device": "octets"}, ("device", "role")),
}
_FOURTH_INDEXES = (
    "CREATE INDEX device_status ON device (status, entity)",
    "CREATE INDEX device_kind ON device (kind, entity)",
    "CREATE INDEX device_meter_point ON device (meter_point, entity) WHERE meter_point IS NOT NULL",
    f"CREATE INDEX cell_holds ON cell (holds, device) WHERE {WATCHED_CELLS.replace('cell.', '')}",
)


# Orders about devices' credentials. What a run puts where is the same for all its devices, and is written once.
_FIFTH: dict[str, Table] = {
    "credential_change": Table({"digest": "octets", "body": "text"}, ("digest",)),
    "credential_order": Table(
        {
            "execution_at": "bigint",
            "made_at": "bigint",
            "code": "smallint",
            "state": "smallint",
            "digest": "octets",
            "device": "octets",
            "originator": "octets",
            "counter": "octets",
            "change": "octets",
            "batch": "octets",
            "outcome": "text",
        },
        ("digest",),
        optional=("execution_at",),
    ),
}
_FIFTH_INDEXES = (
    "CREATE INDEX credential_order_device ON credential_order (device, counter)",
    "CREATE INDEX credential_order_batch ON credential_order (batch, state)",
)


# Requests to change supplier, as they came. What was made for each is the orders of the batch that is its digest.
_SIXTH: dict[str, Table] = {
    "supplier_change": Table(
        {
            "made": "bigint",
            "seen_at": "bigint",
            "digest": "octets",
            "supplier": "octets",
            "cancels": "octets",
            "file": "octets",
        },
        ("digest",),
        optional=("cancels",),
    ),
}


# Revocations, in the order they were made; what many have in common (who asked, why) is written once. And the lists
# made from them: a number is set aside before its list is signed, and the octets of a list stand in pieces.
_SEVENTH: dict[str, Table] = {
    "ground": Table({"digest": "octets", "body": "text"}, ("digest",)),
    "revocation": Table(
        {
            "number": "bigint",
            "at": "bigint",
            "compromised_at": "bigint",
            "not_after": "bigint",
            "issuer": "smallint",
            "reason": "smallint",
            "serial": "octets",
            "ground": "octets",
        },
        ("serial", "issuer"),
        optional=("compromised_at", "not_after"),
    ),
    "crl": Table(
        {
            "number": "bigint",
            "base": "bigint",
            "this_update": "bigint",
            "next_update": "bigint",
            "covers": "bigint",
            "entries": "bigint",
            "size": "bigint",
            "issuer": "smallint",
            "scope": "smallint",
            "digest": "octets",
        },
        ("issuer", "number"),
        optional=("base", "digest"),
    ),
    "crl_piece": Table(
        {"number": "bigint", "place": "bigint", "issuer": "smallint", "octets": "octets"},
        ("issuer", "number", "place"),
    ),
    "responder": Table(
        {"number": "bigint", "issuer": "smallint", "serial": "octets", "token": "text", "key_id": "octets"},
        ("serial", "issuer"),
    ),
}
_SEVENTH_INDEXES = ("CREATE UNIQUE INDEX revocation_number ON revocation (issuer, number)",)

STEPS = (
    Step(_FIRST, _INDEXES),
    Step(_SECOND, _SECOND_INDEXES, _SECOND_COLUMNS),
    Step(_THIRD, _THIRD_INDEXES),
    Step(_FOURTH, _FOURTH_INDEXES),
    Step(_FIFTH, _FIFTH_INDEXES),
    Step(_SIXTH),
    Step(_SEVENTH, _SEVENTH_INDEXES),
    Step(EIGHTH, EIGHTH_INDEXES),
    Step(NINTH, NINTH_INDEXES),
    Step(TENTH, TENTH_INDEXES),
)
