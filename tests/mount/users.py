# SPDX-License-Identifier: GPL-2.0-or-later
"""Several users: the owner of a tree, strangers, and what they try with a kdamond."""
import contextlib
import os
import subprocess
import unittest

from damon import Mount, read, until

OWNER = 65534
NO_CAPABILITIES = ['--bounding-set', '-all', '--inh-caps', '-all', '--ambient-caps', '-all']


def as_user(uid, gid=None, *options):
    return ['setpriv', '--reuid', str(uid), '--regid', str(uid if gid is None else gid),
            '--clear-groups', *options, '--']


@contextlib.contextmanager
def running(*command):
    """A process that has executed its program when this returns."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    name = os.path.basename(command[-2])
    until(lambda: name in read('/proc/%d/cmdline' % process.pid).split('\0')[0], 5)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, to be several users')
class Rights(unittest.TestCase):
    options = ['uid=%d,gid=%d,log=info' % (OWNER, OWNER)]

    def setUp(self):
        self.mount = Mount(*self.options)
        os.chmod(self.mount.dir, 0o755)
        self.kdamond, = self.mount.kdamonds(1)

    def tearDown(self):
        self.assertEqual(self.mount.close(), 0)

    def stage(self, pid, operations='vaddr'):
        self.kdamond.target(pid, operations=operations)
        self.kdamond.attrs(update=200000)
        self.kdamond.stat_scheme()

    def run_as(self, command, script, *arguments):
        """What SCRIPT, which is in the kdamond's directory, wrote."""
        done = subprocess.run([*command, 'sh', '-c', 'cd "$1"; ' + script, 'sh', self.kdamond.path,
                               *(str(a) for a in arguments)],
                              capture_output=True, text=True, check=False)
        return done.stdout.split()

    def on_as(self, command):
        """Whether a process of COMMAND's credentials turns it on."""
        taken = self.run_as(command, 'echo on > state && echo taken') == ['taken']
        if taken:
            self.kdamond.state('off')
        return taken
