"""Readers that no target attacks, and why. A test fails on one that is not there, or is reached after all."""

_TABLES = "reads what our own tables hold; whoever can write there is found out by the log (`smki audit verify`)"
_ISSUED = "reads a certificate of the register, which was linted before it was stored"
_OWN = "reads what this process wrote a moment ago"
_CALLS = "a command: what it reads goes through a reader that is attacked"

TRUSTED: dict[str, str] = {
    "smki.authority.ceremony.making:Making._make_contingency": _TABLES,
    "smki.authority.ceremony.making:Making.make_keys": _TABLES,
    "smki.authority.ceremony.run:_make_authority": _TABLES,
    "smki.authority.ceremony.run:_start": _TABLES,
    "smki.authority.contingency:open_contingency": _ISSUED,
    "smki.authority.estate.inventory:_write_chunk": _OWN,
    "smki.authority.estate.meter_points:_parties.<locals>.read": "reads by EntityId.parse, which is attacked",
    "smki.authority.founding:_settings": "puts a line into settings that we ship",
    "smki.authority.officers:load_officer_key": "an officer's own file, refused if others could have touched it;"
    " opening it takes as long as its owner chose",
    "smki.authority.publication:published": "hands our own folder's text to readers that are attacked",
    "smki.authority.publication.folder:_read": "reads a list by read_list, which is attacked",
    "smki.authority.publication.making:_read_back": _OWN,
    "smki.authority.publication.site:_put": "compares octets, and parses none",
    "smki.cli.audit:list_": _TABLES,
    "smki.cli.own_keys:read": _CALLS,
    "smki.cli.recovering:load": _CALLS,
    "smki.cli.render:show": "cuts what is printed into lines",
    "smki.hsm.module:_mend": "copies a token's own file, and parses none",
    "smki.parties.announcing:_as_made": _TABLES,
    "smki.parties.broker.officers:once_officers": _TABLES,
    "smki.parties.broker.parties:Parties._read": _ISSUED,
    "smki.parties.broker.parties:Signer.serial": "its own text",
    "smki.parties.broker.parties:_key": _ISSUED,
    "smki.parties.broker.releases:Releases._read": "reads kept confirmations by read_confirmation, which is attacked",
    "smki.parties.outcome_rules:_believed": _TABLES,
    "smki.parties.read_back:_read": "judges an answer that read_answer, which is attacked, has read",
    "smki.parties.recovery.report:progress": _TABLES,
    "smki.store.holds:_record": _TABLES,
    "smki.store.orders:Orders._read": _TABLES,
    "smki.store.orders:_change": _TABLES,
    "smki.store.organisations:Organisations._whole": _TABLES,
    "smki.store.organisations:_batch": _TABLES,
    "smki.store.quarantine:Quarantine.beginning": "digits that its command has counted and looked at",
    "smki.store.quarantine:_record": _TABLES,
    "smki.store.revocations:Revocations.ground": _TABLES,
    "smki.store.store:Store.ceremony": _TABLES,
}

FOUNDING = {"smki.authority.founding:_settings", "smki.authority.publication:published", "smki.hsm.module:_mend"}
"""Those that whoever makes the targets' workspaces comes through; who is handed them, does not."""
