# SPDX-License-Identifier: GPL-2.0-or-later
"""A file system that says it is damonfs, and is not: it answers `damonfs status' as a test wants."""
import errno
import os
import struct
import subprocess
import tempfile
import threading

from damon import open_mount

HEADER, ANSWER = struct.Struct('IIQQIIII'), struct.Struct('IiQ')
ROOT, FILE = 1, 2
LOOKUP, FORGET, GETATTR, READLINK, OPEN, READ = 1, 2, 3, 5, 14, 15
RELEASE, FLUSH, INIT, INTERRUPT, IOCTL = 18, 25, 26, 36, 39
DIRECTORY, REGULAR, LINK = 0o40755, 0o100644, 0o120777


class Impostor:
    """Its file nr_kdamonds reads as TEXT, again and again if ENDLESS; or it is a link to LINK."""

    def __init__(self, text=b'', link=None, endless=False, name='damonfs-test-'):
        self.text, self.link, self.endless = text, link, endless
        self.dir = tempfile.mkdtemp(prefix=name)
        self.fuse = open_mount(self.dir)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def close(self):
        subprocess.run(['umount', '-l', self.dir], check=True)
        self.thread.join()
        os.close(self.fuse)
        os.rmdir(self.dir)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def serve(self):
        while True:
            try:
                request = os.read(self.fuse, 1 << 17)
            except OSError as e:
                if e.errno in (errno.ENODEV, errno.EBADF):
                    return
                continue
            _, operation, unique, inode, *_ = HEADER.unpack_from(request)
            if operation in (FORGET, INTERRUPT):
                continue
            answer = self.answer(operation, inode, request[HEADER.size:])
            error, body = (-answer, b'') if isinstance(answer, int) else (0, answer)
            try:
                os.write(self.fuse, ANSWER.pack(ANSWER.size + len(body), error, unique) + body)
            except OSError:
                continue                                    # nobody waits for it

    def attributes(self, inode):
        mode = DIRECTORY if inode == ROOT else LINK if self.link else REGULAR
        return struct.pack('6Q10I', inode, *[0] * 8, mode, 1, os.getuid(), os.getgid(), 0, 4096, 0)

    def answer(self, operation, inode, body):
        """An errno or what follows the header."""
        if operation == INIT:
            return struct.pack('4I2H2I2H8I', 7, 31, 1 << 16, 0, 12, 9, 1 << 16, 1, 16, *[0] * 9)
        if operation == LOOKUP:
            if body != b'nr_kdamonds\0':
                return errno.ENOENT
            return struct.pack('4Q2I', FILE, 0, 0, 0, 0, 0) + self.attributes(FILE)
        if operation == GETATTR:
            return struct.pack('QII', 0, 0, 0) + self.attributes(inode)
        if operation == READLINK:
            return self.link
        if operation == OPEN:
            return struct.pack('QII', 1, 1, 0)             # direct_io
        if operation == IOCTL:
            return struct.pack('iIII', 0, 0, 0, 0)
        if operation == READ:
            offset, size = struct.unpack_from('QI', body, 8)
            return (self.text * (size // len(self.text) + 1))[:size] if self.endless else self.text[offset:offset + size]
        return b"" if operation in (RELEASE, FLUSH) else errno.ENOSYS
