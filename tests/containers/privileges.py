# SPDX-License-Identifier: GPL-2.0-or-later
"""What each method needs in a container: the table of docs/containers.md, by which manifests are checked, too."""
import collections

# What it is for, the section of the page that has its command, the method (None: only to mount), what is needed,
# and {what of it is missing: (what happens then, what the log says)}.
Row = collections.namedtuple('Row', 'what section method capabilities options without')

SIDECAR, PASSED = 'A sidecar', 'Without SYS_ADMIN and /dev/fuse'
FUSE, SECCOMP = '--device /dev/fuse', '--security-opt seccomp=unconfined'
REFUSED = ('no command of a writer with capabilities is taken', r'refused a write .*--cap-add SYS_PTRACE')
NO_ADVICE = ('the method is `referenced`', r'young is not available: .*CAP_SYS_NICE')
NO_BPF = ('the method is `referenced`', r'young is not available: bpf is not permitted .*CAP_BPF and CAP_PERFMON')
NO_CALL = ('the method is `referenced`', r'young is not available: bpf is forbidden .* by a seccomp filter')

ROWS = {
    'mount': Row('to mount', SIDECAR, None, ('SYS_ADMIN',), (FUSE,), {
        'SYS_ADMIN': ('it ends', r'mounting takes CAP_SYS_ADMIN .*--cap-add SYS_ADMIN'),
        FUSE: ('it ends', r'/dev/fuse: .*--device /dev/fuse')}),
    'young': Row('method `young`', SIDECAR, 'auto', ('SYS_ADMIN', 'SYS_PTRACE', 'SYS_NICE'), (FUSE,), {
        'SYS_PTRACE': REFUSED,
        'SYS_NICE': NO_ADVICE}),
    'shared': Row('`young`, shared memory of another user', SIDECAR, 'auto',
                  ('SYS_ADMIN', 'SYS_PTRACE', 'SYS_NICE', 'DAC_OVERRIDE'), (FUSE,), {
                      'DAC_OVERRIDE': ('it shows no access', r'clear_refs may not be written .*CAP_DAC_OVERRIDE')}),
    'referenced': Row('method `referenced`', SIDECAR, 'referenced', ('SYS_ADMIN', 'SYS_PTRACE'), (FUSE,), {
        'SYS_PTRACE': REFUSED}),
    'other': Row('`referenced`, of another user', SIDECAR, 'referenced',
                 ('SYS_ADMIN', 'SYS_PTRACE', 'DAC_OVERRIDE'), (FUSE,), {
                     'DAC_OVERRIDE': ('`on` fails', r'cannot open its clear_refs .*--cap-add DAC_OVERRIDE')}),
    'passed': Row('`young` on a passed descriptor', PASSED, 'auto',
                  ('BPF', 'PERFMON', 'SYS_PTRACE', 'SYS_NICE'), (SECCOMP,), {
                      'BPF': NO_BPF,
                      'PERFMON': ('the method is `referenced`', r'young is not available: .*--cap-add PERFMON'),
                      'SYS_PTRACE': REFUSED,
                      'SYS_NICE': NO_ADVICE,
                      SECCOMP: NO_CALL}),
}


def table():
    """As the page has it."""
    lines = ['| What | `--cap-add` | and | Without |', '|---|---|---|---|']
    for row in ROWS.values():
        outcomes = {}
        for missing, (happens, _) in row.without.items():
            outcomes.setdefault(happens, []).append('`%s`' % missing if missing in row.options else missing)
        lines.append('| %s | %s | %s | %s |' % (
            row.what, ', '.join(row.capabilities), ', '.join('`%s`' % o for o in row.options),
            '; '.join('%s: %s' % (', '.join(names), happens) for happens, names in outcomes.items())))
    return '\n'.join(lines) + '\n'
