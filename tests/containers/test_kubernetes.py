# SPDX-License-Identifier: GPL-2.0-or-later
"""packaging/kubernetes: manifests that a cluster would take, with the privileges that docs/containers.md names."""
import glob
import os
import unittest

import yaml

from container import TOP
from privileges import ROWS

# Of the fields that we use, what Kubernetes' API has: {field: type, or the table of what is in it}.
CONTAINER = {
    'name': str, 'image': str, 'command': [str], 'args': [str],
    'securityContext': {'privileged': bool, 'capabilities': {'drop': [str], 'add': [str]},
                        'seccompProfile': {'type': str}},
    'resources': {'limits': dict},
    'volumeMounts': [{'name': str, 'mountPath': str, 'mountPropagation': str}],
}
POD_SPEC = {
    'shareProcessNamespace': bool, 'hostPID': bool, 'containers': [CONTAINER], 'initContainers': [CONTAINER],
    'volumes': [{'name': str, 'hostPath': {'path': str, 'type': str}}],
}
METADATA = {'name': str, 'labels': dict}
KINDS = {
    ('v1', 'Pod'): POD_SPEC,
    ('apps/v1', 'DaemonSet'): {'selector': {'matchLabels': dict},
                               'template': {'metadata': {'labels': dict}, 'spec': POD_SPEC}},
}
REQUIRED = {'name', 'image', 'mountPath', 'path', 'containers', 'selector', 'template', 'spec'}


def wrong(value, schema, path):
    """What of VALUE is not as SCHEMA has it."""
    if isinstance(schema, list):
        return ['%s: no list' % path] if not isinstance(value, list) else \
            [w for i, one in enumerate(value) for w in wrong(one, schema[0], '%s[%d]' % (path, i))]
    if isinstance(schema, type):
        return [] if isinstance(value, schema) else ['%s: no %s' % (path, schema.__name__)]
    if not isinstance(value, dict):
        return ['%s: no mapping' % path]
    missing = [name for name in schema if name in REQUIRED and name not in value]
    return ['%s.%s: missing' % (path, name) for name in missing] + \
        ['%s.%s: no such field' % (path, name) for name in value if name not in schema] + \
        [w for name in value if name in schema for w in wrong(value[name], schema[name], '%s.%s' % (path, name))]


def mistakes(manifest):
    """Of a whole manifest: its fields, volumes, and what does not go together."""
    kind = KINDS.get((manifest.get('apiVersion'), manifest.get('kind')))
    if not kind:
        return ['apiVersion and kind']
    found = wrong(manifest, {'apiVersion': str, 'kind': str, 'metadata': METADATA, 'spec': kind}, '')
    if found:
        return found
    pod = manifest['spec'].get('template', manifest)['spec']
    volumes = {volume['name'] for volume in pod.get('volumes', [])}
    for container in pod['containers'] + pod.get('initContainers', []):
        security = container.get('securityContext', {})
        for mount in container.get('volumeMounts', []):
            if mount['name'] not in volumes:
                found.append('%s: no volume %s' % (container['name'], mount['name']))
            if mount.get('mountPropagation') == 'Bidirectional' and not security.get('privileged'):
                found.append('%s: Bidirectional is for privileged containers' % container['name'])
    selected = manifest['spec'].get('selector', {}).get('matchLabels', {})
    if selected.items() - manifest['spec'].get('template', {}).get('metadata', {}).get('labels', {}).items():
        found.append('the selector does not match the template')
    return found


def manifest_of(name):
    with open(os.path.join(TOP, 'packaging/kubernetes', name)) as f:
        return yaml.safe_load(f)


class Manifests(unittest.TestCase):
    def daemon(self, pod):
        """The container of damonfs, which drops all capabilities but those it names."""
        container, = (c for c in pod['containers'] if c['name'] == 'damonfs')
        self.assertEqual(container['securityContext']['capabilities']['drop'], ['ALL'])
        return container

    def test_structure(self):
        paths = glob.glob(os.path.join(TOP, 'packaging/kubernetes/*.yaml'))
        self.assertEqual(len(paths), 2)
        for path in paths:
            self.assertEqual(mistakes(manifest_of(os.path.basename(path))), [], path)

    def test_sidecar(self):
        pod = manifest_of('sidecar.yaml')['spec']
        daemon = self.daemon(pod)
        self.assertIs(pod['shareProcessNamespace'], True)
        self.assertEqual(tuple(daemon['securityContext']['capabilities']['add']), ROWS['young'].capabilities)
        self.assertFalse(daemon['securityContext'].get('privileged'))
        # --device /dev/fuse.
        self.assertEqual(list(daemon['resources']['limits'].values()), [1])

    def test_daemonset(self):
        pod = manifest_of('daemonset.yaml')['spec']['template']['spec']
        daemon = self.daemon(pod)
        self.assertIs(pod['hostPID'], True)
        self.assertEqual(tuple(daemon['securityContext']['capabilities']['add']), ROWS['shared'].capabilities)
        self.assertEqual([m['mountPropagation'] for m in daemon['volumeMounts']], ['Bidirectional'])

    def test_mistakes_are_seen(self):
        def with_mistake(change, name='daemonset.yaml'):
            manifest = manifest_of(name)
            change(manifest, manifest['spec'].get('template', manifest)['spec'])
            return mistakes(manifest)
        self.assertTrue(with_mistake(lambda m, pod: m.update(apiVersion='v2')))
        self.assertTrue(with_mistake(lambda m, pod: pod.pop('containers')))
        self.assertTrue(with_mistake(lambda m, pod: pod.update(shareProcessNamspace=True), 'sidecar.yaml'))
        self.assertTrue(with_mistake(lambda m, pod: pod['volumes'].clear()))
        self.assertTrue(with_mistake(lambda m, pod: pod['containers'][0]['securityContext'].pop('privileged')))
        self.assertTrue(with_mistake(lambda m, pod: pod['containers'][0]['args'].append(1)))
        self.assertTrue(with_mistake(lambda m, pod: m['spec']['selector']['matchLabels'].update(app='other')))
