"""What an interpreter of `tests.warm` runs, its socket's number and the modules to import as arguments.

It is given as text to ``python -c``, as the command line is in `tests.running`, so that nothing of the tests is on the
path. For each byte on the socket it forks; the byte comes with three files: what to run, and its two outputs.
"""

import gc
import importlib
import json
import os
import socket
import sys
from contextlib import suppress

for _name in sys.argv[2:]:
    with suppress(ImportError):
        importlib.import_module(_name)

# A process that visits all these objects as it ends takes longer than a fresh one.
gc.collect()
gc.freeze()

with socket.socket(fileno=int(sys.argv[1])) as _asked:
    while True:
        _message, _files, _, _ = socket.recv_fds(_asked, 1, 3)
        if not _message:
            os._exit(0)
        _child = os.fork()
        if not _child:
            break
        for _file in _files:
            os.close(_file)
        _asked.sendall(f"{_child}\n".encode())
        _, _status = os.waitpid(_child, 0)
        _asked.sendall(f"{os.waitstatus_to_exitcode(_status)}\n".encode())

# From here on this is the command's own process, and it ends as any other.
os.dup2(_files[1], 1)
os.dup2(_files[2], 2)
with open(_files[0]) as _request:
    _given = json.load(_request)
os.close(_files[1])
os.close(_files[2])
os.chdir(_given["cwd"])
os.environ.clear()
os.environ.update(_given["environment"])
sys.argv = ["-c", *_given["arguments"]]

from codeclm.cli.app import main  # noqa: E402

main()
