# SPDX-License-Identifier: GPL-2.0-or-later
"""A damonfs under a filter of system calls, as the default profile of a container is."""
import ctypes
import errno
import struct
import subprocess

from damon import DAMONFS, LIBC, Mount

PROCESS_MADVISE = 440   # on all architectures
BPF_LOAD_WORD, BPF_JUMP_EQUAL, BPF_RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7fff0000, 0x00050000
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2


def forbid(number, error=errno.EPERM):
    """From here on, system call NUMBER of this process and its children answers ERROR."""
    code = b''.join(struct.pack('HBBI', *instruction) for instruction in (
        (BPF_LOAD_WORD, 0, 0, 0), (BPF_JUMP_EQUAL, 0, 1, number),
        (BPF_RETURN, 0, 0, ERRNO | error), (BPF_RETURN, 0, 0, ALLOW)))
    instructions = ctypes.create_string_buffer(code)
    program = struct.pack('HxxxxxxQ', len(code) // 8, ctypes.addressof(instructions))
    if LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), 'prctl(PR_SET_SECCOMP)')


class FilteredMount(Mount):
    """A damonfs that may not make one system call."""

    def __init__(self, number, *options, error=errno.EPERM):
        self.forbidden = number, error
        super().__init__(*options)

    def start(self, options, env):
        return subprocess.Popen([DAMONFS, '-f', *options, self.dir], stderr=self.log, env=env,
                                preexec_fn=lambda: forbid(*self.forbidden))
