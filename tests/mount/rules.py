# SPDX-License-Identifier: GPL-2.0-or-later
"""What files of admin/ may answer and how they read (docs/abi/sysfs.md), for those who do anything to them."""
import re

NUMBER, INT, BOOL, TEXT = r'\d+', r'-?\d+', r'[YN]', r'(?s).*'
METRICS = ('user_input|(some_mem_psi|node_mem_(used|free)|node_memcg_(used|free)|(in)?active_mem|node_eligible_mem)'
           '_(us|bp)')
ACTIONS = 'stat|willneed|cold|pageout|(no)?hugepage|collapse|lru_(de)?prio|migrate_(hot|cold)'
TYPES = 'anon|memcg|young|addr|target|hugepage_size|active|unmapped'

# The first whose name fits the end of a path: name, what is read, what a write that is refused answers.
FILES = [(re.compile('(^|/)(%s)$' % name), re.compile(text), set(errors.split())) for name, text, errors in (
    ('state', 'on|off', ''),
    ('pid', r'-1|[1-9]\d*', ''),
    ('avail_operations', r'vaddr\nfvaddr(\npaddr)?', ''),
    ('operations', 'f?vaddr|paddr', 'EINVAL'),
    ('nr_kdamonds', NUMBER, 'EINVAL ERANGE EBUSY ENOMEM'),
    ('nr_(contexts|targets|regions|schemes|filters|goals|dests)', NUMBER, 'EINVAL ERANGE ENOMEM'),
    ('pid_target', INT, 'EINVAL'),
    ('obsolete_target|matching|allow', BOOL, 'EINVAL'),
    ('action', ACTIONS, 'EINVAL'),
    ('watermarks/metric', 'none|free_mem_rate', 'EINVAL'),
    ('target_metric', METRICS, 'EINVAL'),
    ('type', TYPES, 'EINVAL'),
    ('memcg_path|path', TEXT, 'ENOMEM'),
    ('quotas/(ms|bytes|reset_interval_ms)', NUMBER, 'EINVAL'),
    ('target_nid|nid|damon_target_idx', INT, 'EINVAL ERANGE'),
    ('.*', NUMBER, 'EINVAL ERANGE'),
)]

# What a command answers that is not carried out.
COMMANDS = {
    'on': {'EINVAL', 'EBUSY', 'ENOMEM'},
    'off': {'EINVAL', 'EPERM'},
    'commit': {'EINVAL', 'ECANCELED', 'ENOMEM'},
    'clear_schemes_tried_regions': {'EINVAL'},
}
COMMANDS.update((word, {'EINVAL', 'ECANCELED', 'ENOMEM'}) for word in (
    'commit_schemes_quota_goals', 'update_schemes_stats', 'update_schemes_effective_quotas', 'update_tuned_intervals',
    'update_schemes_tried_regions', 'update_schemes_tried_bytes'))
# While others change the same directory, or give commands to the same kdamond.
GONE = {'ENOENT', 'ENODEV'}


def row(path):
    return next(r for r in FILES if r[0].search(path))


def may_refuse(path, text, died, shared):
    """The errno names that a write of TEXT may answer, if the daemon has DIED lately; others use what is SHARED."""
    if path.endswith('/state'):
        word = text.partition('\0')[0].removesuffix('\n')
        # A kdamond may still be on its way to be on again.
        return COMMANDS.get(word, {'EINVAL'}) | ({'EINTR', 'EBUSY'} if died else set()) | \
            ({'EBUSY', *GONE} if shared else set())
    return row(path)[2] | (GONE if shared else set())


def reads_well(path, text):
    """Whether TEXT is what a file of that name may say."""
    if not text.endswith('\n') or not row(path)[1].fullmatch(text[:-1]):
        return False
    return row(path)[1].pattern != NUMBER or int(text) < 2 ** 64
