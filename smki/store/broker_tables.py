"""The tables of the access control broker: the schema's eighth step, and what people decide: its ninth."""

from smki.store.table import Table

# The access control broker. What it admitted is one row for good; until it is handed out, its octets stand in a table
# of their own, which stays small. Both are numbered as they come, so that they grow at their end however many there
# are. By its digest a command is found from the last of its series; each names the one before it (`previous`;
# 0: none): nothing is admitted whose counter is not above the last. `written` is the size of the log when a tally was
# last added to: whoever read up to there asks for what came after. Codes are bigint: some that are refused are larger
# than the table's.
EIGHTH: dict[str, Table] = {
    "admission": Table(
        {
            "number": "bigint",
            "previous": "bigint",
            "at": "bigint",
            "code": "bigint",
            "role": "smallint",
            "digest": "octets",
            "originator": "octets",
            "target": "octets",
            "counter": "octets",
            "serial": "octets",
            "signature": "octets",
            "party": "octets",
            "party_counter": "octets",
        },
        ("number",),
        optional=("party", "party_counter"),
    ),
    "outgoing": Table(
        {
            "number": "bigint",
            "local": "smallint",
            "run": "octets",
            "octets": "octets",
            "reference": "text",
        },
        ("number",),
    ),
    "last_admitted": Table(
        {
            "at": "bigint",
            "code": "bigint",
            "number": "bigint",
            "target": "octets",
            "originator": "octets",
            "counter": "octets",
            "series": "smallint",
        },
        ("target", "originator", "series"),
    ),
    "tally": Table(
        {
            "since": "bigint",
            "admitted": "bigint",
            "held": "bigint",
            "refused": "bigint",
            "written": "bigint",
            "code": "bigint",
            "level": "smallint",
            "role": "smallint",
            "area": "smallint",
            "originator": "octets",
        },
        ("originator", "level", "since", "role", "code", "area"),
    ),
    "quarantine": Table(
        {
            "at": "bigint",
            "code": "bigint",
            "state": "smallint",
            "role": "smallint",
            "area": "smallint",
            "local": "smallint",
            "digest": "octets",
            "originator": "octets",
            "target": "octets",
            "counter": "octets",
            "octets": "octets",
            "reference": "text",
            "pattern": "text",
            "findings": "text",
            "decisions": "text",
        },
        ("digest",),
    ),
    "broker_threshold": Table(
        {"since": "bigint", "owner": "text", "digest": "octets", "file": "octets"}, ("owner", "since", "digest")
    ),
    "consent": Table(
        {"since": "bigint", "until": "bigint", "party": "octets", "subject": "text"},
        ("subject", "party", "since"),
        optional=("until",),
    ),
}
EIGHTH_INDEXES = (
    "CREATE INDEX tally_written ON tally (written)",
    "CREATE INDEX tally_level ON tally (level, since)",
    "CREATE INDEX quarantine_state ON quarantine (state, at)",
    "CREATE INDEX quarantine_pattern ON quarantine (pattern)",
    "CREATE INDEX consent_party ON consent (party)",
)

# A confirmation is one officer's signed word about many held commands; `confirmed` says about which. `pattern` in an
# acknowledgement is what somebody has seen, at the size it had.
NINTH: dict[str, Table] = {
    "confirmation": Table(
        {
            "at": "bigint",
            "until": "bigint",
            "items": "bigint",
            "digest": "octets",
            "file": "octets",
            "decision": "text",
            "capacity": "text",
            "officer": "text",
            "organisation": "text",
        },
        ("digest",),
    ),
    "confirmed": Table({"item": "octets", "confirmation": "octets"}, ("item", "confirmation")),
    "acknowledgement": Table(
        {"at": "bigint", "held": "bigint", "pattern": "text", "person": "text"}, ("pattern", "held")
    ),
}
NINTH_INDEXES = ("CREATE INDEX confirmed_confirmation ON confirmed (confirmation)",)
