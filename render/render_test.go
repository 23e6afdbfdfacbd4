package render_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/render"
)

const shop = `
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web, namespace: shop}
  spec:
    replicas: 2
    template:
      spec:
        initContainers: [{name: init, image: busybox}]
        containers:
        - {name: web, image: "registry.example.com:5000/shop/web:1.0", env: [{name: TIER, value: none}]}
        - {name: log, image: "shop/log@sha256:abc"}
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: settings, namespace: shop}
  data: {greeting: hello, colour: red}
- apiVersion: batch/v1
  kind: Job
  metadata: {name: sweep, namespace: shop}
  spec: {parallelism: 1}
- apiVersion: example.com/v1
  kind: Widget
  metadata: {name: w}
  spec: {parts: [a, b, c]}
`

// content is the shop with overrides, in YAML.
func content(t testing.TB, overrides string) v1alpha1.BundleContent {
	t.Helper()
	var c v1alpha1.BundleContent
	text := "manifests:\n" + shop + "\noverrides:\n" + overrides
	if err := yaml.UnmarshalStrict([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// fra is a cluster in eu.
func fra() *v1alpha1.Cluster {
	c := &v1alpha1.Cluster{Spec: v1alpha1.ClusterSpec{Region: "eu"}}
	c.Name, c.Labels = "fra", map[string]string{v1alpha1.LabelRegion: "eu", "tier": "prod", "size": "7"}
	return c
}

func inFra(c v1alpha1.BundleContent) ([]byte, error) {
	objects, err := render.Render(c, render.Freeze(c, fra(), v1alpha1.ClusterMetricsStatus{}))
	if err != nil {
		return nil, err
	}
	var all []any
	for _, u := range objects {
		all = append(all, u.Object)
	}
	return yaml.Marshal(all)
}

func TestOverridesChangeWhatAClusterRuns(t *testing.T) {
	for name, c := range map[string]struct{ overrides, has, hasNot string }{
		"a merge patch": {
			`- patches: [{target: {kind: ConfigMap, name: settings}, merge: {data: {greeting: moin, colour: null}}}]`,
			"greeting: moin", "colour"},
		"a strategic patch merges containers by name": {
			`- patches: [{target: {kind: Deployment}, strategic: {spec: {template: {spec: {containers: [{name: web, env: [{name: TIER, value: gold}]}]}}}}}]`,
			"value: gold", "value: none"},
		"a JSON patch": {
			`- patches: [{target: {kind: Widget}, json: [{op: test, path: /spec/parts/0, value: a}, {op: remove, path: /spec/parts/0}, {op: add, path: /spec/parts/-, value: d}, {op: copy, from: /spec/parts, path: /spec/again}, {op: move, from: /spec/parts, path: /spec/moved}]}]`,
			"again:\n    - b\n    - c\n    - d\n    moved:", "parts"},
		"a JSON patch of a path with slashes": {
			`- patches: [{target: {kind: ConfigMap}, json: [{op: add, path: /metadata/annotations, value: {}}, {op: add, path: /metadata/annotations/example.com~1a, value: "~"}]}]`,
			`example.com/a: "~"`, ""},
		"an override for another region": {
			`- {clusterSelector: {matchLabels: {topology.kubernetes.io/region: us}}, replicas: [{target: {kind: Deployment}, count: 9}]}`,
			"replicas: 2", "replicas: 9"},
		"an override for this region": {
			`- {clusterSelector: {matchLabels: {topology.kubernetes.io/region: eu}}, replicas: [{target: {kind: Deployment, name: web}, count: 9}]}`,
			"replicas: 9", "replicas: 2"},
		"an override for named clusters": {`- {clusters: [fra, sin], replicas: [{target: {kind: Job}, count: 4}]}`, "parallelism: 4", ""},
		"the later of two has the last word": {
			"- replicas: [{target: {kind: Deployment}, count: 3}]\n- replicas: [{target: {kind: Deployment}, count: 4}]", "replicas: 4", "replicas: 3"},
		"a registry takes the place of another": {`- images: [{registry: mirror.eu/x}]`, "image: mirror.eu/x/shop/web:1.0", "registry.example.com"},
		"a registry for what has none":          {`- images: [{image: busybox, registry: mirror.eu}]`, "image: mirror.eu/busybox\n", "mirror.eu/shop"},
		"a tag takes the place of a digest":     {`- images: [{image: shop/log, tag: "2"}]`, "image: shop/log:2\n", "sha256"},
		"values of the cluster": {
			`- patches: [{target: {kind: ConfigMap}, merge: {data: {greeting: 'hello from ${cluster.name} in ${cluster.labels["topology.kubernetes.io/region"]}'}}}]`,
			"greeting: hello from fra in eu", ""},
		"a value that is one expression has its type": {
			`- patches: [{target: {kind: Deployment}, merge: {spec: {replicas: '${int(cluster.labels["size"]) * 2}'}}}]`, "replicas: 14", ""},
		"an expression that chooses": {
			`- patches: [{target: {kind: Deployment}, merge: {spec: {replicas: '${cluster.labels["size"] == "7" ? 14 : 1}'}}}]`, "replicas: 14", ""},
		"an expression in a tag": {`- images: [{image: shop/log, tag: '2-${cluster.region}'}]`, "image: shop/log:2-eu\n", ""},
		"a variable that is a shell's": {
			`- patches: [{target: {kind: ConfigMap}, merge: {data: {greeting: 'echo ${HOME} $${cluster.name} $${HOME} ${x'}}}]`, "echo ${HOME} ${cluster.name} $${HOME} ${x", "fra"},
		"an optional patch of nothing": {`- patches: [{target: {kind: Pod}, optional: true, merge: {}}]`, "replicas: 2", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := inFra(content(t, c.overrides))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(got), c.has) || c.hasNot != "" && strings.Contains(string(got), c.hasNot) {
				t.Errorf("want %q and not %q in\n%s", c.has, c.hasNot, got)
			}
		})
	}
}

func TestAnOverrideThatCannotBeAppliedNamesItsField(t *testing.T) {
	for name, c := range map[string]struct {
		overrides, want string
		inFraOnly       bool // another cluster may take it
	}{
		"a target that is not there":          {`- patches: [{target: {kind: Pod}, merge: {}}]`, "spec.overrides[0].patches[0].target: Invalid value", false},
		"a path that is not there":            {`- patches: [{target: {kind: Widget}, json: [{op: add, path: /spec/x, value: 1}, {op: replace, path: /spec/y, value: 1}]}]`, "spec.overrides[0].patches[0].json[1]", false},
		"a test that fails":                   {`- patches: [{target: {kind: Widget}, json: [{op: test, path: /spec/parts/0, value: z}]}]`, "is not what the test says", false},
		"an operation of no name":             {`- patches: [{target: {kind: Widget}, json: [{op: frob, path: /spec}]}]`, `op "frob" is none of`, false},
		"the whole object":                    {`- patches: [{target: {kind: Widget}, json: [{op: remove, path: ""}]}]`, "must be a path", false},
		"another name":                        {`- patches: [{target: {kind: Widget}, merge: {metadata: {name: v}}}]`, "a bundle's objects keep theirs", false},
		"a strategic patch of a foreign kind": {`- patches: [{target: {kind: Widget}, strategic: {spec: {}}}]`, "say merge or json", false},
		"replicas of a config map":            {`- replicas: [{target: {kind: ConfigMap}, count: 1}]`, "spec.overrides[0].replicas[0].target.kind", false},
		"an image that is not there":          {`- images: [{image: shop/none, tag: "1"}]`, "spec.overrides[0].images[0].image", false},
		"an expression that is none":          {`- patches: [{target: {kind: Widget}, merge: {spec: {x: '${cluster.lables}'}}}]`, "undefined field 'lables'", false},
		"an expression without end":           {`- patches: [{target: {kind: Widget}, merge: {spec: {x: '${cluster.name'}}}]`, "has no closing brace", false},
		"a label that the cluster has not":    {`- patches: [{target: {kind: Widget}, merge: {spec: {x: '${cluster.labels["y"]}'}}}]`, "there is no y", true},
		"the second of two":                   {"- replicas: [{target: {kind: Job}, count: 1}]\n- replicas: [{target: {kind: Pod}, count: 1}]", "spec.overrides[1].replicas[0].target", false},
	} {
		t.Run(name, func(t *testing.T) {
			bundle := content(t, c.overrides)
			if got, err := inFra(bundle); err == nil || !strings.Contains(err.Error(), c.want) && !c.inFraOnly && !strings.Contains(err.Error(), "evaluat") {
				t.Errorf("rendered\n%s\n%v", got, err)
			}
			switch errs := render.Check(bundle); {
			case c.inFraOnly && len(errs) > 0:
				t.Errorf("refused for every cluster: %v", errs)
			case !c.inFraOnly && (len(errs) != 1 || !strings.Contains(errs[0].Error(), c.want)):
				t.Errorf("checked %v, want %s", errs, c.want)
			}
		})
	}
}

func TestOverridesOfTwoRegionsMayContradictEachOther(t *testing.T) {
	c := content(t, `
- {clusters: [fra], patches: [{target: {kind: ConfigMap}, json: [{op: remove, path: /data/colour}]}]}
- {clusters: [iad], patches: [{target: {kind: ConfigMap}, json: [{op: remove, path: /data/colour}]}]}`)
	if errs := render.Check(c); len(errs) > 0 {
		t.Error(errs)
	}
}

func TestTheOverridesOfABundleHaveABoundOfExpressions(t *testing.T) {
	of := func(n int) v1alpha1.BundleContent {
		var overrides strings.Builder
		for i := range n {
			fmt.Fprintf(&overrides, "\n- patches: [{target: {kind: ConfigMap}, merge: {data: {greeting: '${cluster.name + \"%d\"}'}}}]", i)
		}
		return content(t, overrides.String()+"\n- patches: [{target: {kind: ConfigMap}, merge: {data: {colour: '${cluster.name + \"0\"}'}}}]")
	}
	if errs := render.Check(of(64)); len(errs) > 0 {
		t.Errorf("64 of them, one twice: %v", errs)
	}
	want := `spec.overrides[64]: Invalid value: "${cluster.name + \"64\"}": the overrides of a bundle may have 64 different expressions, and this is one more`
	if errs := render.Check(of(65)); len(errs) != 1 || !strings.Contains(errs[0].Error(), want) {
		t.Errorf("65 of them: %v", errs)
	}
}

// What goes into a grant has room there: 64 expressions of 16 KiB each have none, nor have 64 of 2 KiB of text each.
func TestTheOverridesOfABundleHaveABoundOfBytes(t *testing.T) {
	of := func(n int, expression string) v1alpha1.BundleContent {
		var overrides strings.Builder
		for i := range n {
			fmt.Fprintf(&overrides, "\n- patches: [{target: {kind: ConfigMap}, merge: {data: {greeting: '${%s + \"%d\"}'}}}]", expression, i)
		}
		return content(t, overrides.String())
	}
	fra := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "fra", Labels: map[string]string{"a": strings.Repeat("x", 60)}}}
	long := `cluster.name` + strings.Repeat(` + "0123456789abcdef0123456789abcdef"`, 50)
	big := `["0123456789","0123456789"].map(x, ["0","1","2","3","4","5","6","7"].map(y, [1,2,3,4,5,6,7,8,9,10].map(z, cluster.labels["a"]).join()).join()).join()`
	for name, test := range map[string]struct {
		content v1alpha1.BundleContent
		door    string // says no whatever the clusters
		fra     string // says no to fra
		errors  int
	}{
		"few":                {of(4, big), "", "", 0},
		"many":               {of(64, big), "", "what its 64 expressions come to in fra is 601 KiB, and a cluster is given 64 KiB at most; divide the bundle, or say it with labels", 58},
		"many of much text":  {of(64, long), "the expressions of a bundle's overrides may have 64 KiB of text, and with this one they have more; divide the bundle, or say it with labels", "-", -1},
		"many of small ones": {of(64, `cluster.name`), "", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			if errs := render.Check(test.content); (len(errs) > 0) != (test.door != "") || test.door != "" && (!strings.Contains(errs[0].Error(), test.door) || len(errs[0].Error()) > 400) {
				t.Fatalf("the door says %v", errs)
			}
			if test.door != "" {
				return
			}
			if why := render.TooMuch(test.content, fra, v1alpha1.ClusterMetricsStatus{}); why != test.fra {
				t.Errorf("of fra it says %q", why)
			}
			f, errors := render.Freeze(test.content, fra, v1alpha1.ClusterMetricsStatus{}), 0
			for _, v := range f.Values {
				if strings.Contains(v.Error, "come to more than 64 KiB") {
					errors++
				} else if v.Error != "" {
					t.Fatal(v.Error)
				}
			}
			data, err := json.Marshal(f)
			if err != nil || errors != test.errors || len(data) > 3*render.MaxValues {
				t.Errorf("%d of %d are refused, and it takes %d bytes: %v", errors, len(f.Values), len(data), err)
			}
		})
	}
}

func TestALabelThatChangesLaterChangesNothingThatRuns(t *testing.T) {
	c := content(t, `
- patches: [{target: {kind: ConfigMap}, merge: {data: {greeting: '${cluster.labels["tier"]}'}}}]
- {clusterSelector: {matchLabels: {tier: prod}}, replicas: [{target: {kind: Deployment}, count: 9}]}`)
	cluster := fra()
	frozen := render.Freeze(c, cluster, v1alpha1.ClusterMetricsStatus{})
	before, err := render.Render(c, frozen)
	if err != nil {
		t.Fatal(err)
	}
	cluster.Labels["tier"] = "edge"
	kept, err := json.Marshal(frozen) // as the log keeps it
	if err != nil {
		t.Fatal(err)
	}
	var read v1alpha1.Frozen
	if err := json.Unmarshal(kept, &read); err != nil {
		t.Fatal(err)
	}
	after, err := render.Render(c, &read)
	if diff := cmp.Diff(before, after); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if fresh := render.Freeze(c, cluster, v1alpha1.ClusterMetricsStatus{}); cmp.Equal(frozen, fresh) {
		t.Error("frozen anew, it is still the old label")
	}
}

func TestWithoutAGrantsValuesNothingIsRendered(t *testing.T) {
	c := content(t, `- replicas: [{target: {kind: Deployment}, count: 9}]`)
	for _, frozen := range []*v1alpha1.Frozen{nil, {Overrides: []int32{1}}, {Overrides: []int32{-1}}} {
		if got, err := render.Render(c, frozen); err == nil || got != nil {
			t.Errorf("%v: rendered %v", frozen, got)
		}
	}
}

// anyJSON draws a value as it comes from JSON.
func anyJSON(t *rapid.T, depth int) any {
	kinds := []string{"nil", "bool", "int", "float", "text"}
	if depth > 0 {
		kinds = append(kinds, "list", "map", "map")
	}
	switch rapid.SampledFrom(kinds).Draw(t, "kind") {
	case "bool":
		return rapid.Bool().Draw(t, "bool")
	case "int":
		return rapid.Int64Range(-2, 3).Draw(t, "int")
	case "float":
		return rapid.Float64Range(-1, 1).Draw(t, "float")
	case "text":
		return rapid.SampledFrom([]string{"", "web", "a", "${cluster.name}", "${cluster.", "$${cluster.x}", "${cluster.labels['size']}x", "replace", "merge"}).Draw(t, "text")
	case "list":
		var l []any
		for range rapid.IntRange(0, 3).Draw(t, "length") {
			l = append(l, anyJSON(t, depth-1))
		}
		return l
	case "map":
		m := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(t, "size") {
			m[rapid.SampledFrom([]string{"spec", "metadata", "name", "template", "containers", "image", "replicas", "data", "$patch", "$setElementOrder/containers", "$retainKeys", "$deleteFromPrimitiveList/x", "parts", "env"}).Draw(t, "key")] = anyJSON(t, depth-1)
		}
		return m
	}
	return nil
}

func drawPatch(t *rapid.T) v1alpha1.Patch {
	p := v1alpha1.Patch{Target: v1alpha1.Target{Kind: rapid.SampledFrom([]string{"Deployment", "ConfigMap", "Job", "Widget"}).Draw(t, "target")}}
	raw := func(value any) *runtime.RawExtension {
		data, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		return &runtime.RawExtension{Raw: data}
	}
	place := rapid.SampledFrom([]string{"/spec", "/spec/replicas", "/spec/parts/0", "/spec/parts/-", "/spec/parts/1/x", "/metadata/name", "/data/colour", "/~1/~0", "", "x", "/spec/template/spec/containers/0/env/0"})
	switch rapid.SampledFrom([]string{"merge", "strategic", "json"}).Draw(t, "patch") {
	case "merge":
		p.Merge = raw(map[string]any{"spec": anyJSON(t, 5), "data": anyJSON(t, 2)})
	case "strategic":
		p.Strategic = raw(map[string]any{"spec": anyJSON(t, 5), "data": anyJSON(t, 2)})
	default:
		for range rapid.IntRange(1, 6).Draw(t, "operations") {
			op := map[string]any{"op": rapid.SampledFrom([]string{"add", "remove", "replace", "move", "copy", "test", ""}).Draw(t, "op"), "path": place.Draw(t, "path"), "from": place.Draw(t, "from"), "value": anyJSON(t, 3)}
			p.JSON = append(p.JSON, *raw(op))
		}
	}
	return p
}

func TestRenderingNeverPanicsAndAlwaysComesToTheSame(t *testing.T) {
	base := content(t, "")
	rapid.Check(t, func(t *rapid.T) {
		c := base
		for range rapid.IntRange(1, 3).Draw(t, "overrides") {
			c.Overrides = append(c.Overrides, v1alpha1.Override{Patches: []v1alpha1.Patch{drawPatch(t)}})
		}
		before, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		first, err := inFra(c)
		again, errAgain := inFra(c)
		if diff := cmp.Diff(string(first), string(again)); diff != "" || fmt.Sprint(err) != fmt.Sprint(errAgain) {
			t.Fatalf("%s\n%v\n%v", diff, err, errAgain)
		}
		render.Check(c)
		if after, err := json.Marshal(c); err != nil || string(after) != string(before) {
			t.Fatalf("rendering changed the bundle: %v\n%s\n%s", err, before, after)
		}
	})
}

func TestCopiesThatGrowWithoutBoundAreRefused(t *testing.T) {
	c := content(t, "")
	p := v1alpha1.Patch{Target: v1alpha1.Target{Kind: "Widget"}}
	for i := range 100 {
		op := fmt.Sprintf(`{"op":"copy","from":"/spec","path":"/spec/x%d"}`, i)
		p.JSON = append(p.JSON, runtime.RawExtension{Raw: []byte(op)})
	}
	c.Overrides = []v1alpha1.Override{{Patches: []v1alpha1.Patch{p}}}
	if _, err := inFra(c); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("%v", err)
	}
}
