"""The estate: registration data and the inventory of devices."""
