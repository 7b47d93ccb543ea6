"""References written from the code: what a reader, an error, a command or a class says of itself, on a page."""
