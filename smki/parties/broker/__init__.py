"""The access control broker: what it admits, what it holds, and the MAC that makes a command of it (GBCS 6.2.4)."""
