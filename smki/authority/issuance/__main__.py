"""A worker process: `python -m smki.authority.issuance FD`, started by a crew with one end of a pair of sockets."""

import sys
from multiprocessing.connection import Connection

from smki.authority.issuance.worker import serve

serve(Connection(int(sys.argv[1])))
