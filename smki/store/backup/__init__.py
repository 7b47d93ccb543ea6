"""Backups of the whole store in one form that every engine writes and reads."""
