"""What a program sees of its sockets, the same over smolnetd and over Linux. The argument is an address where nobody
listens at port 1."""

import errno
import os
import select
import socket
import struct
import sys

PEER = sys.argv[1]
HERE = "127.0.0.1"
SOON = 10


def error(call, *arguments):
    """The name of the error that a call fails with."""
    try:
        call(*arguments)
    except OSError as failure:
        return errno.errorcode.get(failure.errno, str(failure))
    return "no error"


def listener(port, family=socket.AF_INET, host=HERE):
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host, port))
    made.listen(5)
    return made


def pair(port):
    with listener(port) as listening:
        called = socket.create_connection((HERE, port))
        accepted, _ = listening.accept()
        return called, accepted


def a_connect_is_refused():
    assert error(socket.create_connection, (PEER, 1)) == "ECONNREFUSED"


def a_connect_that_does_not_wait_becomes_ready_when_it_fails():
    made = socket.socket()
    made.setblocking(False)
    assert made.connect_ex((PEER, 1)) == errno.EINPROGRESS
    readable, writable, _ = select.select([made], [made], [], SOON)
    assert (readable, writable) == ([made], [made])
    assert made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
    assert made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def a_connect_that_does_not_wait_has_its_edge():
    with listener(7001) as listening:
        made = socket.socket()
        made.setblocking(False)
        assert made.connect_ex((HERE, 7001)) == errno.EINPROGRESS
        queue = select.epoll()
        queue.register(made, select.EPOLLOUT | select.EPOLLET)
        assert queue.poll(SOON) == [(made.fileno(), select.EPOLLOUT)]
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        accepted, address = listening.accept()
        assert address == made.getsockname() == accepted.getpeername()
        assert accepted.getsockname() == made.getpeername() == listening.getsockname()
        assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1


def a_port_can_be_bound_anew_when_it_was_closed():
    for _ in range(5):
        listener(7002).close()
    with listener(7002):
        assert error(listener, 7002) == "EADDRINUSE"
    assert error(listener, 7002, socket.AF_INET, "9.9.9.9") == "EADDRNOTAVAIL"


def a_forked_child_speaks_on_the_same_connection():
    called, accepted = pair(7003)
    child = os.fork()
    if child == 0:
        accepted.send(b"from the child to " + repr(accepted.getpeername()).encode())
        # And one of its own.
        mine, other = pair(7004)
        mine.send(b"x")
        os._exit(0 if other.recv(1) == b"x" else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert called.recv(100) == b"from the child to " + repr(called.getsockname()).encode()


def bytes_arrive_whole_and_half_a_connection_is_closed():
    called, accepted = pair(7005)
    child = os.fork()
    if child == 0:
        accepted.close()
        called.sendall(b"a" * 3_000_000)
        called.shutdown(socket.SHUT_WR)
        os._exit(0 if called.recv(100) == b"3000000" else 1)
    called.close()
    count = 0
    while received := accepted.recv(65536):
        count += len(received)
    accepted.send(str(count).encode())
    assert os.waitpid(child, 0)[1] == 0


def a_reset_is_told_once_and_then_the_pipe_is_broken():
    called, accepted = pair(7006)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    accepted.close()
    assert error(called.recv, 1) == "ECONNRESET"
    assert called.recv(1) == b""
    assert error(called.send, b"x") == "EPIPE"


def a_read_has_a_timeout():
    called, accepted = pair(7007)
    called.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 100_000))
    assert error(called.recv, 1) == "EAGAIN"
    called.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 0))
    accepted.send(b"peek")
    assert called.recv(4, socket.MSG_PEEK | socket.MSG_WAITALL) == b"peek"
    assert called.recv(4) == b"peek"
    assert error(called.recv, 1, socket.MSG_DONTWAIT) == "EAGAIN"


def datagrams_keep_their_bounds_and_their_senders():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind((HERE, 7008))
        sender.bind((HERE, 7009))
        sender.sendto(b"", (HERE, 7008))
        sender.sendto(b"two" * 1000, (HERE, 7008))
        assert receiver.recvfrom(100) == (b"", (HERE, 7009))
        received, _, flags, address = receiver.recvmsg(10, 0, socket.MSG_PEEK)
        assert (received, flags, address) == (b"twotwotwot", socket.MSG_TRUNC, (HERE, 7009))
        assert len(receiver.recv(5000)) == 3000
        sender.connect((HERE, 7008))
        sender.send(b"connected")
        assert receiver.recv(100) == b"connected"
        assert error(sender.send, b"x" * 65_508) == "EMSGSIZE"
        receiver.settimeout(0.1)
        assert error(receiver.recv, 1) == "timed out"


def a_listener_of_ipv6_is_called_over_ipv4():
    with listener(7010, socket.AF_INET6, "::") as listening:
        called = socket.create_connection((HERE, 7010))
        accepted, address = listening.accept()
        assert address[0] == "::ffff:127.0.0.1" == accepted.getsockname()[0]
        assert called.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM


STORIES = [
    a_connect_is_refused,
    a_connect_that_does_not_wait_becomes_ready_when_it_fails,
    a_connect_that_does_not_wait_has_its_edge,
    a_port_can_be_bound_anew_when_it_was_closed,
    a_forked_child_speaks_on_the_same_connection,
    bytes_arrive_whole_and_half_a_connection_is_closed,
    a_reset_is_told_once_and_then_the_pipe_is_broken,
    a_read_has_a_timeout,
    datagrams_keep_their_bounds_and_their_senders,
    a_listener_of_ipv6_is_called_over_ipv4,
]

for story in STORIES:
    print(story.__name__.replace("_", " "), file=sys.stderr, flush=True)
    story()
