"""What the reception does when the register, or the desk, says nothing for a while."""

import queue

from smki.authority.ocsp.connection import Connection
from smki.authority.ocsp.http import HttpRequest
from smki.authority.ocsp.kept import Answer
from smki.authority.ocsp.reception import FRESH_SECONDS, Job, Reception
from smki.authority.policies import load_policies
from smki.authority.workspace import SHIPPED
from smki.pki.ocsp import Failure, cert_id, issuer_ids, plain_request, read_query
from tests.authority.ocsp.test_kept import HOUR, NOW
from tests.pki.hierarchy import make

_MADE = make("root-oca", None)
ISSUER, _ = issuer_ids(_MADE.name, _MADE.key.public_key())
PLAIN = plain_request(cert_id(ISSUER, 5))
REQUEST = HttpRequest(PLAIN, keep_alive=True)
KEPT = Answer(b"kept", 1, (5,), NOW, NOW + HOUR, PLAIN)


class Client(Connection):
    """A connection that nobody is at the end of: what would be sent is looked at."""

    def __init__(self, reception: Reception) -> None:
        super().__init__(reception)
        self.told: list[bytes] = []
        self.gone = False
        reception.came(self)

    def asks(self, reception: Reception, request: HttpRequest = REQUEST) -> None:
        self.request = request
        reception.ask(self, request)

    def reply(self, status: int, fields: bytes, body: bytes) -> None:
        assert (status, self.request) == (200, REQUEST)
        assert fields
        self.request = None
        self.told.append(body)

    def abort(self) -> None:
        self.gone = True


class Desk:
    """A reception whose time stands where the test puts it, and what it hands to the desk."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        policy = load_policies(SHIPPED / "policies").ocsp
        self.reception = Reception(policy, lambda: NOW, self.jobs)
        self.time = 1000.0
        self.reception.now = lambda: self.time

    def waiting(self) -> list[Job]:
        found = []
        while not self.jobs.empty():
            job = self.jobs.get()
            assert job is not None
            found.append(job)
        return found


def test_a_kept_answer_is_given_only_while_the_register_is_watched() -> None:
    desk = Desk()
    desk.reception.keep([KEPT])
    client = Client(desk.reception)
    client.asks(desk.reception)
    assert len(desk.waiting()) == 1, "nobody looked at the register yet"
    desk.reception.saw(desk.time)
    other = Client(desk.reception)
    other.asks(desk.reception)
    assert other.told == [b"kept"]
    desk.time += FRESH_SECONDS
    other.asks(desk.reception)
    assert (other.told, len(desk.waiting())) == ([b"kept"], 1)


def test_a_request_of_another_form_finds_the_same_answer() -> None:
    desk = Desk()
    desk.reception.keep([KEPT])
    desk.reception.saw(desk.time)
    assert read_query(PLAIN, 1).plain == PLAIN
    client = Client(desk.reception)
    client.asks(desk.reception)
    assert client.told == [b"kept"]


def test_beyond_what_may_wait_clients_come_later() -> None:
    desk = Desk()
    clients = [Client(desk.reception) for _ in range(3)]
    most = load_policies(SHIPPED / "policies").ocsp.limits.waiting
    desk.reception._waiting = most - 2
    for client in clients:
        client.asks(desk.reception)
    assert [client.told for client in clients] == [[], [], [Failure.TRY_LATER.octets]]


def test_a_desk_that_says_nothing_is_not_waited_for_and_its_late_answer_is_nobodys() -> None:
    desk = Desk()
    client = Client(desk.reception)
    client.asks(desk.reception)
    client.deadline = desk.time + 5
    desk.time += 4
    desk.reception.sweep()
    assert client.told == []
    desk.time += 2
    desk.reception.sweep()
    assert client.told == [Failure.TRY_LATER.octets]
    jobs = desk.waiting()
    assert not desk.reception.is_wanted(jobs[0])
    desk.reception.deliver(jobs, [KEPT])
    assert client.told == [Failure.TRY_LATER.octets]
    assert len(desk.reception.kept) == 1, "the next who asks has it"


def test_whoever_waits_longest_without_a_request_makes_room() -> None:
    desk = Desk()
    most = load_policies(SHIPPED / "policies").ocsp.limits.connections
    clients = [Client(desk.reception) for _ in range(most)]
    clients[0].asks(desk.reception)
    Client(desk.reception)
    assert [client.gone for client in clients[:3]] == [False, True, False]
