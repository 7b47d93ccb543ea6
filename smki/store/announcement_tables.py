"""The tables of announcements, the schema's tenth step: what a user has still to announce, what a broker was told."""

from smki.store.table import Table

# What a key signed stands in `unannounced` until it is announced: a queue, emptied as files are made of it. The file
# of an announcement is kept until the next one is made, so that it can be handed out again. At the broker the rows of
# `announced` go when they are used or over; of `announcement_taken` the file goes, and the number stays for good.
TENTH: dict[str, Table] = {
    "unannounced": Table({"at": "bigint", "digest": "octets", "originator": "octets"}, ("digest",)),
    "announcement": Table(
        {
            "number": "bigint",
            "at": "bigint",
            "items": "bigint",
            "handed_out": "smallint",
            "originator": "octets",
            "text": "text",
            "file": "octets",
        },
        ("originator", "number"),
        optional=("text", "file"),
    ),
    "announcement_taken": Table(
        {
            "number": "bigint",
            "at": "bigint",
            "until": "bigint",
            "items": "bigint",
            "originator": "octets",
            "key_hash": "octets",
            "digest": "octets",
            "file": "octets",
        },
        ("originator", "key_hash", "number"),
        optional=("file",),
    ),
    "announced": Table(
        {"number": "bigint", "until": "bigint", "digest": "octets", "originator": "octets", "key_hash": "octets"},
        ("digest", "originator"),
    ),
}
TENTH_INDEXES = (
    "CREATE INDEX unannounced_at ON unannounced (originator, at)",
    "CREATE INDEX announced_until ON announced (until)",
)
