"""`python -m smki` is `smki`."""

from smki.cli.main import main

main()
