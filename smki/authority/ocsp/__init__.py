"""Answering whether certificates are revoked (RFC 6960)."""
