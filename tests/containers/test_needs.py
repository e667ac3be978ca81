# SPDX-License-Identifier: GPL-2.0-or-later
"""Each row of the table of docs/containers.md: with what it names a method works, without any of it it does not."""
import re

from container import PAGE, Containers, page_blocks, parse_hot, podman, run_page
from damon import MIB, tries, until
from privileges import PASSED, ROWS, SIDECAR, table

APPS = {'shared': (['--user', '1001'], ['--kind', 'shared']), 'other': (['--user', '1001'], [])}


class Privileges(Containers):
    """Daemons beside `app', started by the page's commands: with the privileges of a row, and with all but one."""

    def test_the_page_has_the_table(self):
        print('\n' + table())
        with open(PAGE) as f:
            self.assertIn('\n\n' + table(), f.read())

    def test_the_commands_have_what_the_table_has(self):
        for section, name in ((SIDECAR, 'young'), (PASSED, 'passed')):
            command, = re.findall(r'podman run .*--name damonfs .*', page_blocks()[section][0], re.M)
            self.assertIn('--cap-drop ALL --cap-add ' + ','.join(ROWS[name].capabilities) + ' ', command)
            for option in ROWS[name].options:
                self.assertIn(' %s ' % option, command)

    @staticmethod
    def change(block, row, without):
        """The page's commands, with the privileges of ROW but one, by its method."""
        block = re.sub(r'^podman build .*\n', '', block)
        if without:
            # Nothing is to be found: soon enough.
            block = re.sub(r'hot 1( 10)?', 'hot 1 3', block)
        names = [name for name in row.capabilities if name != without]
        block = re.sub(r'--cap-add \S+', '--cap-add ' + ','.join(names) if names else '', block)
        if without in row.options:
            block = block.replace(without + ' ', '')
        if not row.method:
            block = re.sub(r'podman exec damonfs hot.*', 'sleep 2; podman exec damonfs ls /run/damonfs/admin', block)
        arguments = '-f -o method=%s ' % (row.method or 'auto')
        if row.section == SIDECAR:
            return re.sub(r'(podman run .*) damonfs\n', r'\1 damonfs %s /run/damonfs\n' % arguments, block)
        return block.replace(' damonfs -f ', ' damonfs ' + arguments)

    def watch(self, name, without=None):
        """What `hot' says, or why it failed; where the hot block is; the log."""
        self.remove_all()
        options, words = APPS.get(name, ([], []))
        truth = self.app(*options, words=words)
        try:
            said = run_page(self.change(page_blocks()[ROWS[name].section][0], ROWS[name], without))
        except AssertionError as e:
            said = str(e)
        return said, truth, podman('logs', 'damonfs')

    def check(self, name):
        row = ROWS[name]
        said, truth, log = self.watch(name)
        if not row.method:
            self.assertIn('kdamonds', said)
        elif row.method == 'auto':
            self.assertIn('using access method young', log)
            self.assert_found(said, truth)
        else:
            # Its mapping is in use.
            self.assertTrue([r for r in parse_hot(said) if r[2] and r[0] < truth['end'] and r[1] > truth['start'] and
                             r[1] - r[0] >= MIB], said + log)
        for missing, (happens, pattern) in row.without.items():
            with self.subTest(missing=missing):
                said, truth, log = self.watch(name, missing)
                print('without %s: %s' % (missing, happens))
                self.assertRegex(log, pattern)
                self.assert_not_found(said, truth)
                if 'referenced' in happens:
                    self.assertIn('using access method referenced', log)
                elif 'shows no access' not in happens:
                    self.assertEqual(parse_hot(said), [])
                    self.assertNotIn('kdamonds\n', said)

    def test_mount(self):
        self.check('mount')

    @tries(3)
    def test_young(self):
        self.check('young')

    @tries(3)
    def test_shared(self):
        self.check('shared')

    def test_referenced(self):
        self.check('referenced')

    def test_other(self):
        self.check('other')

    @tries(3)
    def test_passed(self):
        self.check('passed')
