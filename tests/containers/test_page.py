# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of docs/containers.md find the hot block of a workload, or say why not."""
import contextlib
import os

from container import Containers, as_page, command, page_blocks, parse_hot, podman, run_page
from damon import Workload, tries, until

WORDS = ('--size', '256M', '--hot', '32M', '--at', '96M', '--pause', '1000')
USER = ('setpriv', '--reuid', '1001', '--regid', '1001', '--clear-groups')


class Page(Containers):
    """A test for each section, which runs its block."""

    def block(self, title, lines=slice(None)):
        """The lines of the section's block."""
        block, = page_blocks()[title]
        return ''.join(block.splitlines(True)[lines])

    def run_block(self, title, lines=slice(None), **variables):
        return run_page(self.block(title, lines), **variables)

    @tries(3)
    def test_sidecar(self):
        """Its first command was that of setUpClass."""
        truth = self.app()
        self.assert_found(self.run_block('A sidecar', slice(1, None)), truth)
        podman('stop', 'damonfs')
        self.assertEqual(podman('inspect', '-f', '{{.State.ExitCode}}', 'damonfs'), '0\n')
        self.assertEqual(podman('inspect', '-f', '{{.State.Running}}', 'app'), 'true\n')

    @tries(3)
    def test_sidecar_of_another_user(self):
        truth = self.app('--user', '1001:1001')
        self.assert_found(self.run_block('A sidecar', slice(1, None)), truth)

    @tries(3)
    def test_host(self):
        truth = self.app()
        self.assert_found(self.run_block('From the host'), truth)

    @tries(3)
    def test_tool(self):
        said = self.run_block('A tool without privileges')
        self.assert_found(said, self.truth('app'))
        # Another daemon, and the tool sees it.
        podman('kill', '--signal', 'KILL', 'damonfs')
        self.assertTrue(until(lambda: podman('inspect', '-f', '{{.State.Running}}', 'damonfs') == 'false\n', 10))
        podman('start', 'damonfs')
        self.assertTrue(until(lambda: 'admin' in self.listing(), 10), podman('logs', 'damonfs'))
        # A process with a capability that the tool lacks.
        podman('rm', '--force', '--time', '2', 'app')
        podman('run', '-d', '--pod', 'work', '--name', 'other', '--cap-drop', 'ALL', '--cap-add', 'KILL', 'app')
        pid = str(self.truth('other')['pid'])
        with self.assertRaises(AssertionError):
            podman('exec', 'tool', 'hot', pid, '1', '/sys/kernel/mm/damon')
        self.assertIn('user 0 may not watch pid %s: ' % pid, podman('logs', 'damonfs'))
        # Not so for a tool with SYS_PTRACE, and that needs no volume.
        daemon = next(line.split()[0] for line in podman('top', 'damonfs', 'pid', 'comm').split('\n')
                      if line.endswith('damonfs'))
        said = podman('run', '--rm', '--pod', 'work', '--cap-drop', 'ALL', '--cap-add', 'SYS_PTRACE',
                      '--entrypoint', 'hot', 'damonfs', pid, '10', '/proc/%s/root/run/damonfs/mm/damon' % daemon)
        self.assert_found(said, self.truth('other'))

    @staticmethod
    def listing():
        with contextlib.suppress(AssertionError):
            return podman('exec', 'tool', 'ls', '/sys/kernel/mm/damon')
        return ''

    @tries(3)
    def test_a_mount_for_each_container(self):
        said = self.run_block('A mount for each container')
        self.assert_found(said, self.truth('app'))
        # Pids are its own; others' processes, other users and physical memory are not for it.
        with Workload(*WORDS) as w:
            for words in (('app', 'hot', str(w.pid), '1'), ('--user', '0', 'app', 'hot', '1', '1'),
                          ('app', 'sh', '-ec', 'cd /run/damonfs/admin/kdamonds; echo 1 > nr_kdamonds; cd 0; '
                           'echo 1 > contexts/nr_contexts; echo paddr > contexts/0/operations; '
                           'echo 1 > contexts/0/targets/nr_targets; echo on > state')):
                with self.assertRaises(AssertionError, msg=words):
                    podman('exec', *words)
        podman('exec', 'app', 'sh', '-c', 'echo 0 > /run/damonfs/admin/kdamonds/nr_kdamonds')

    @tries(3)
    def test_a_mount_for_another_user_namespace(self):
        os.makedirs('/run/damonfs/app')
        run_page('damonfs -o uid=200000,gid=200000 /run/damonfs/app')
        truth = self.app('--uidmap', '0:200000:1000', '-v', '/run/damonfs/app:/run/damonfs')
        self.assert_found(podman('exec', 'app', 'hot', '1'), truth)

    def test_first_process(self):
        said = self.run_block('As the first process', slice(0, 1))
        self.assertTrue(until(lambda: podman('exec', 'damonfs', 'ls', '/run/damonfs') != '', 10), said)
        self.assertEqual(podman('exec', 'damonfs', 'cat', '/proc/1/comm'), 'damonfs\n')
        said = self.run_block('As the first process', slice(1, None)).split('\n')
        self.assertEqual(said, ['/run/damonfs/damon/monitor_on_DEPRECATED', 'damonfs', '0', ''])

    @tries(3)
    def test_passed_descriptor(self):
        truth = self.app()
        said = self.run_block('Without SYS_ADMIN and /dev/fuse')
        self.assert_found(said, truth)
        self.assertFalse(os.path.ismount('/run/damonfs/mm/damon'))

    @tries(3)
    def test_nspawn(self):
        root = podman('image', 'mount', 'app').strip()
        self.addCleanup(podman, 'image', 'unmount', 'app')
        block = self.block('systemd-nspawn')
        said = run_page(block, ROOT=root)
        self.assert_found(said, self.parse_truth(said))
        option = '--system-call-filter="bpf process_madvise" '
        self.assertIn(option, block)
        said = run_page(block.replace(option, '').replace('damonfs /run', 'damonfs -f /run').replace(
            '/run/damonfs\n', '/run/damonfs & sleep 1\n'), ROOT=root)
        self.assertIn('using access method referenced', said)
        self.assert_not_found(said, self.parse_truth(said))

    @tries(3)
    def test_bubblewrap(self):
        with Workload(*WORDS) as w:
            self.assert_found(self.run_block('bubblewrap', PID=str(w.pid)), vars(w))

    def test_rootless(self):
        """By bubblewrap; a device that everybody may open, as udev has it."""
        if not os.path.exists('/run/fuse'):
            os.mknod('/run/fuse', 0o020666, os.makedev(10, 229))
            os.chmod('/run/fuse', 0o666)
            command('mount', '--bind', '/run/fuse', '/dev/fuse')
        said = command(*USER, 'bash', '-euc', self.block('Rootless'), **as_page())
        self.assertTrue(parse_hot(said), said)
        self.assert_not_found(said, self.parse_truth(said))
