"""What a program does with the descriptors of its sockets: they are copied, inherited, passed on and counted, the same over
smolnetd and over Linux."""

import array
import asyncio
import errno
import fcntl
import os
import resource
import socket
import subprocess
import sys

HERE = "127.0.0.1"


def pair(port):
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HERE, port))
        listening.listen(5)
        called = socket.create_connection((HERE, port))
        accepted, _ = listening.accept()
        return called, accepted


def copies_are_the_same_socket_until_the_last_is_closed():
    called, accepted = pair(7101)
    third = os.dup(called.fileno())
    fourth = fcntl.fcntl(called, fcntl.F_DUPFD_CLOEXEC, 100)
    fifth = os.open("/dev/null", os.O_RDONLY)
    os.dup2(called.fileno(), fifth)
    name = called.getsockname()
    called.close()
    for copy in [third, fourth, fifth]:
        again = socket.socket(fileno=copy)
        assert again.getsockname() == name
        again.send(b"x")
        assert accepted.recv(10) == b"x"
        again.close()
    assert accepted.recv(10) == b""


def a_program_that_is_started_speaks_on_what_it_inherits():
    called, accepted = pair(7102)
    script = "import os, socket, sys; s = socket.socket(fileno=3); s.send(repr(s.getpeername()).encode())"
    child = os.fork()
    if child == 0:
        os.dup2(called.fileno(), 3)
        os.closerange(4, 1000)
        os.execv(sys.executable, [sys.executable, "-c", script])
    assert os.waitpid(child, 0)[1] == 0
    assert accepted.recv(100) == repr(accepted.getsockname()).encode()
    # Standard input and output, as a server gives them to its children.
    accepted.send(b"through cat")
    accepted.shutdown(socket.SHUT_WR)
    subprocess.run(["cat"], stdin=called, stdout=called, check=True)
    assert accepted.recv(100) == b"through cat"


def a_socket_is_passed_to_another_program():
    called, accepted = pair(7103)
    here, there = socket.socketpair()
    script = (
        "import array, socket, sys; here = socket.socket(fileno=0);"
        "_, control, _, _ = here.recvmsg(1, 100); fds = array.array('i', control[0][2]);"
        "s = socket.socket(fileno=fds[0]); s.send(s.recv(100)[::-1])"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdin=there)
    rights = array.array("i", [called.fileno()])
    here.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    called.close()
    accepted.send(b"ereht")
    assert accepted.recv(100) == b"there"
    assert child.wait() == 0
    assert accepted.recv(100) == b""


def files_are_sent_without_being_read():
    called, accepted = pair(7104)
    with open("/usr/bin/env", "rb") as file:
        content = file.read()
        sent = 0
        while sent < len(content):
            sent += os.sendfile(called.fileno(), file.fileno(), sent, len(content) - sent)
    reader, writer = os.pipe()
    os.write(writer, b"through a pipe")
    assert os.splice(reader, called.fileno(), 100) == 14
    called.close()
    received = b""
    while part := accepted.recv(65536):
        received += part
    assert received == content + b"through a pipe"


def a_hundred_clients_of_an_event_loop_are_echoed():
    async def serve(reader, writer):
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    async def call(number):
        reader, writer = await asyncio.open_connection(HERE, 7105)
        for count in range(20):
            line = b"%d %d\n" % (number, count)
            writer.write(line)
            assert await reader.readline() == line
        writer.close()
        await writer.wait_closed()

    async def main():
        server = await asyncio.start_server(serve, HERE, 7105, backlog=200)
        await asyncio.gather(*[call(number) for number in range(100)])
        server.close()

    asyncio.run(main())


def there_are_so_many_sockets_and_no_more():
    """On Linux the limit of the process ends it, over smolnetd the lab's own or smolnetd's."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 6000), most))
    made = []
    try:
        while True:
            made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    except OSError as failure:
        assert failure.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS), failure
    assert len(made) >= 1000, len(made)
    print(len(made), "sockets", file=sys.stderr)
    made.pop().close()
    # The one that was closed has made room.
    made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))


STORIES = [
    copies_are_the_same_socket_until_the_last_is_closed,
    a_program_that_is_started_speaks_on_what_it_inherits,
    a_socket_is_passed_to_another_program,
    files_are_sent_without_being_read,
    a_hundred_clients_of_an_event_loop_are_echoed,
    there_are_so_many_sockets_and_no_more,
]

for story in STORIES:
    print(story.__name__.replace("_", " "), file=sys.stderr, flush=True)
    story()
