"""Backups: taking them, proving them, and restoring one without forgetting anything."""
