"""Acts of the parties that command devices: suppliers and other users, the access control broker."""
