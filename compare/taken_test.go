package compare_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/compare"
)

func TestWhatIsThereIsTakenOver(t *testing.T) {
	const deployment = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, labels: {app: web}}, spec: {replicas: 2, template: {spec: {containers: [{name: log, image: "log:1"}, {name: web, image: "web:1", args: [a, b]}]}}}}`
	for name, c := range map[string]struct {
		manifest, live, after, want string
		paths                       []string
	}{
		"nothing, where only the cluster's own fields differ": {
			`{kind: ConfigMap, data: {a: x}}`, `{kind: ConfigMap, metadata: {resourceVersion: "2"}, data: {a: x, b: theirs}, status: {x: 1}}`, `{kind: ConfigMap, metadata: {resourceVersion: "3"}, data: {a: x, b: theirs}}`,
			`{kind: ConfigMap, data: {a: x}}`, nil,
		},
		"a value and a field that is gone": {
			`{kind: ConfigMap, data: {a: x, b/c: y, d: z}}`, `{kind: ConfigMap, data: {a: X, d: z, e: theirs}}`, `{kind: ConfigMap, data: {a: x, b/c: y, d: z, e: theirs}}`,
			`{kind: ConfigMap, data: {a: X, d: z}}`, []string{"/data/a", "/data/b~1c"},
		},
		"an item of a list by its name, whatever its place": {
			deployment,
			`{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, labels: {app: web, theirs: x}}, spec: {replicas: 3, template: {spec: {containers: [{name: web, image: "web:2", args: [a, b], tty: true}, {name: log, image: "log:1"}]}}}}`,
			`{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, labels: {app: web, theirs: x}}, spec: {replicas: 2, template: {spec: {containers: [{name: web, image: "web:1", args: [a, b], tty: true}, {name: log, image: "log:1"}]}}}}`,
			`{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, labels: {app: web}}, spec: {replicas: 3, template: {spec: {containers: [{name: log, image: "log:1"}, {name: web, image: "web:2", args: [a, b]}]}}}}`,
			[]string{"/spec/replicas", "/spec/template/spec/containers/1/image"},
		},
		"an item that is gone": {
			deployment,
			`{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, labels: {app: web}}, spec: {replicas: 2, template: {spec: {containers: [{name: web, image: "web:1", args: [a, b]}]}}}}`, deployment,
			`{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, labels: {app: web}}, spec: {replicas: 2, template: {spec: {containers: [{name: web, image: "web:1", args: [a, b]}]}}}}`,
			[]string{"/spec/template/spec/containers/0"},
		},
		"a list of plain values, whole": {
			`{kind: X, spec: {list: [a, b]}}`, `{kind: X, spec: {list: [b]}}`, `{kind: X, spec: {list: [a, b]}}`, `{kind: X, spec: {list: [b]}}`, []string{"/spec/list"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, paths := compare.Taken(object(t, c.manifest), object(t, c.live), object(t, c.after))
			if diff := cmp.Diff(object(t, c.want).Object, got.Object); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.paths, paths); diff != "" {
				t.Error(diff)
			}
		})
	}
}
