# SPDX-License-Identifier: GPL-2.0-or-later
"""The privileges that a running daemon keeps."""
import os
import subprocess
import tempfile
import unittest

from damon import SANITIZED, Mount, read
from users import OWNER, as_user, running


class Privileges(unittest.TestCase):
    """What a running daemon may do, by method; docs/security.md has the table."""
    OTHERS = {'SYS_PTRACE', 'DAC_READ_SEARCH', 'DAC_OVERRIDE'}
    CALLERS = {'SETUID', 'SETGID'}
    ACTING = {'SYS_ADMIN', 'SYS_NICE'}
    BPF = {'BPF', 'PERFMON'}
    TELLS_WRITERS = {'SYS_PTRACE', 'DAC_READ_SEARCH'}
    NUMBERS = {'DAC_OVERRIDE': 1, 'DAC_READ_SEARCH': 2, 'SETGID': 6, 'SETUID': 7, 'SYS_PTRACE': 19,
               'SYS_ADMIN': 21, 'SYS_NICE': 23, 'PERFMON': 38, 'BPF': 39}
    PERMITTED = {'auto': OTHERS | CALLERS | ACTING | BPF, 'young': OTHERS | CALLERS | ACTING | BPF,
                 'referenced': OTHERS | CALLERS | ACTING, 'simulated': OTHERS | CALLERS}

    @classmethod
    def names(cls, mask):
        return {name for name, bit in cls.NUMBERS.items() if int(mask, 16) >> bit & 1} | \
            {'%d' % bit for bit in range(64)
             if int(mask, 16) >> bit & 1 and bit not in cls.NUMBERS.values()}

    @staticmethod
    def status(pid):
        return dict(line.split(':\t', 1) for line in read('/proc/%d/status' % pid).split('\n')
                    if ':\t' in line)

    def check(self, what, pid, permitted, effective):
        status = self.status(pid)
        row = [what, ' '.join(sorted(self.names(status['CapEff']))),
               ' '.join(sorted(self.names(status['CapPrm']))), status['CapBnd'],
               status['NoNewPrivs'], status['Seccomp']]
        print(' | '.join(row))
        own = self.names(self.status(os.getpid())['CapPrm'])
        self.assertEqual(self.names(status['CapPrm']), permitted & own, what)
        self.assertEqual(self.names(status['CapEff']), effective & own, what)
        self.assertEqual(int(status['CapBnd'], 16), 0, what)
        self.assertEqual(int(status['CapInh'], 16) | int(status['CapAmb'], 16), 0, what)
        self.assertEqual(status['NoNewPrivs'], '1', what)
        if not SANITIZED:
            self.assertEqual(status['Seccomp'], '2', what)
            # Who may not be dumped belongs to root.
            self.assertEqual(os.stat('/proc/%d/environ' % pid).st_uid, 0)
        limits = read('/proc/%d/limits' % pid)
        self.assertRegex(limits, r'Max core file size +0 +0 ')

    def test_by_method(self):
        print('\nwhat | CapEff | CapPrm | CapBnd | NoNewPrivs | Seccomp')
        with tempfile.NamedTemporaryFile('w', suffix='.script') as script:
            script.write('map 0x10000000 1M\nmap 0x30000000 1M\nmap 0x7f0000000000 1M\n')
            script.flush()
            for method, permitted in self.PERMITTED.items():
                option = method + ':' + script.name if method == 'simulated' else method
                with Mount('method=' + option) as mount, running('sleep', '1000') as process:
                    self.check(method, mount.process.pid, permitted, self.TELLS_WRITERS)
                    kdamond, = mount.kdamonds(1)
                    kdamond.target(process.pid)
                    kdamond.state('on')
                    # In the name of root, who has all of them; nobody's ids are taken on.
                    self.check(method + ', kdamond', kdamond.pid(), permitted,
                               permitted - self.CALLERS)
                    kdamond.state('off')

    def test_a_kdamond_of_somebody_else(self):
        """It has what the methods need for themselves, and the owner's identity."""
        with Mount('uid=%d,gid=%d' % (OWNER, OWNER)) as mount, \
                running(*as_user(OWNER), 'sleep', '1000') as process:
            os.chmod(mount.dir, 0o755)
            kdamond, = mount.kdamonds(1)
            kdamond.target(process.pid)
            subprocess.run([*as_user(OWNER), 'sh', '-c', 'echo on > %s/state' % kdamond.path],
                           check=True)
            self.check('kdamond of uid %d' % OWNER, kdamond.pid(), self.PERMITTED['auto'],
                       self.BPF | {'SYS_NICE'})
            # Nobody but root may signal it.
            self.assertEqual(self.status(kdamond.pid())['Uid'].split(),
                             ['0', str(OWNER), '0', str(OWNER)])
            kdamond.state('off')
