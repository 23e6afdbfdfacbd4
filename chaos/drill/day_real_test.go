package drill

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// ground is what the bundle of the day stands on, in a version.
func ground(version string) []byte {
	return fmt.Appendf(nil, `
apiVersion: fleet.hanse.dev/v1alpha1
kind: Bundle
metadata: {name: ground}
spec:
  placement: {clusterSelector: {matchLabels: {day: "yes"}}}
  rollout: {soak: 0s}
  manifests:
    - {apiVersion: v1, kind: Namespace, metadata: {name: day}}
    - {apiVersion: v1, kind: ConfigMap, metadata: {name: ground, namespace: day}, data: {version: %q}}
`, version)
}

// day is the bundle of the day, in a version. Its manifests stand in another order than they are to be applied in.
func day(version string) []byte {
	return fmt.Appendf(nil, `
apiVersion: fleet.hanse.dev/v1alpha1
kind: Bundle
metadata: {name: day}
spec:
  placement: {clusterSelector: {matchLabels: {day: "yes"}}}
  dependsOn: [ground]
  ignore: [{target: {kind: Deployment, name: front}, paths: [/spec/replicas]}]
  rollout: {soak: 0s, onFailure: Rollback}
  overrides:
    - images: [{registry: "mirror.${cluster.region}.example.com"}]
      patches: [{target: {kind: Deployment, name: api}, merge: {spec: {replicas: "${int(cluster.labels[\"size\"])}"}}}]
    - clusterSelector: {matchLabels: {topology.kubernetes.io/region: eu}}
      patches: [{target: {kind: ConfigMap, name: third}, merge: {data: {greeting: "hello from ${cluster.name}"}}}]
  manifests:
    - {apiVersion: v1, kind: Service, metadata: {name: fourth, namespace: day, annotations: {fleet.hanse.dev/order: "-9"}}, spec: {selector: {app: front}, ports: [{port: 80}]}}
    - {apiVersion: v1, kind: ConfigMap, metadata: {name: third, namespace: day, annotations: {fleet.hanse.dev/order: "7"}}, data: {greeting: hello, version: %[1]q}}
    - {apiVersion: v1, kind: ConfigMap, metadata: {name: second, namespace: day}, data: {version: "1"}}
    - {apiVersion: v1, kind: ConfigMap, metadata: {name: first, namespace: day, annotations: {fleet.hanse.dev/order: "-7"}}, data: {version: "1"}}
    - apiVersion: apps/v1
      kind: Deployment
      metadata: {name: front, namespace: day}
      spec:
        replicas: 1
        selector: {matchLabels: {app: front}}
        template: {metadata: {labels: {app: front}}, spec: {containers: [{name: web, image: "day/front:%[1]s"}]}}
    - apiVersion: apps/v1
      kind: Deployment
      metadata: {name: api, namespace: day}
      spec:
        selector: {matchLabels: {app: api}}
        template: {metadata: {labels: {app: api}}, spec: {containers: [{name: web, image: "day/api:1"}]}}
`, version)
}

// with is a manifest in which one piece is another.
func with(t *testing.T, manifest []byte, old, new string) []byte {
	t.Helper()
	if n := strings.Count(string(manifest), old); n != 1 {
		t.Fatalf("%q is %d times in:\n%s", old, n, manifest)
	}
	return []byte(strings.Replace(string(manifest), old, new, 1))
}

// aDay is what people do with two bundles, from the first apply to the last delete. It is held on a fleet of which one
// region changes at a time, and leaves it as it was.
func aDay(t *testing.T, f *field) {
	begun := time.Now()
	f.hollow(t, "day")
	f.must(t, "fra", nil, "label", "cluster", "--all", "day=yes", "size=1")
	f.must(t, "fra", nil, "label", "cluster", "sin", "size=2", "--overwrite")
	for _, part := range []struct {
		what string
		held func(*testing.T, *field)
	}{
		{"a bundle waits for the one that it depends on, and a circle is refused", dependent},
		{"objects come in order, by kind and then by annotation", inOrder},
		{"each cluster runs what render prints of it", rendered},
		{"two bundles do not claim one object", claimed},
		{"a field of somebody else is left to him", ignored},
		{"diff counts what would be deleted, and apply asks for the number", counted},
		{"a suspended bundle is left as it is, and told of", suspendedBundle},
		{"a suspended cluster is owed, and holds up nobody", suspendedCluster},
		{"a change that fails goes back by itself, and apply --wait says so", wentBack},
		{"a stage waits for a person, and then for its window", staged},
		{"the wrong label, taken from every cluster, deletes nothing", mislabelled},
		{"an object moves to another bundle, and stays there", moved},
	} {
		if !t.Run(part.what, func(t *testing.T) { defer f.tellBundle(t, "day", "ground"); part.held(t, f) }) {
			return // what follows is about what this one left
		}
	}
	f.must(t, "fra", nil, "delete", "bundle", "day", "--yes", "--wait")
	f.must(t, "fra", nil, "delete", "bundle", "ground", "--yes", "--wait")
	f.must(t, "fra", nil, "label", "cluster", "--all", "day-", "size-")
	t.Logf("the day took %s", round(time.Since(begun)))
}

// tellBundle shows, after a failure, what the fleet says of bundles.
func (f *field) tellBundle(t *testing.T, bundles ...string) {
	if !t.Failed() {
		return
	}
	for _, b := range bundles {
		for _, ask := range [][]string{{"explain", b}, {"rollout", "status", b}} {
			t.Logf("hanse %s: %s", strings.Join(ask, " "), f.tell(t, f.survivor(t), nil, ask...))
		}
	}
	t.Logf("hanse get works: %s", f.tell(t, f.survivor(t), nil, "get", "works"))
}

// names are those of the clusters.
func (f *field) names() []string {
	var all []string
	for _, c := range f.bed.Clusters() {
		all = append(all, c.Name())
	}
	return all
}

// says checks how a command ends, and that it prints all those words.
func (f *field) says(t *testing.T, code int, input []byte, args []string, words ...string) {
	t.Helper()
	said := ended(t, code, f.tell(t, "fra", input, args...), args)
	mentions(t, said.Out+said.Talk, words...)
}

func (f *field) holds(t *testing.T, cluster, name, version string) {
	t.Helper()
	until(t, carried, settings(f.kubernetes(t, cluster), "day", name, "version", version))
}

// still checks that a ConfigMap of the day is in a cluster in that version; "" when it is not there.
func (f *field) still(t *testing.T, cluster, name, version string) {
	t.Helper()
	c, err := f.kubernetes(t, cluster).CoreV1().ConfigMaps("day").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	if got := c.Data["version"]; got != version {
		t.Errorf("%s in %s is in version %q, not %q", name, cluster, got, version)
	}
}

// fields asks a cluster for fields of an object of the day.
func (f *field) fields(t *testing.T, cluster, object, fields string) string {
	t.Helper()
	return f.mustKubectl(t, cluster, "", "-n", "day", "get", object, "-o", "jsonpath="+fields)
}

// columns asks a cluster for fields of several objects of the day, a line an object.
func (f *field) columns(t *testing.T, cluster, objects, fields string) string {
	t.Helper()
	args := append([]string{"-n", "day", "get", "-o", "jsonpath={range .items[*]}" + fields + `{"\n"}{end}`}, strings.Fields(objects)...)
	return f.mustKubectl(t, cluster, "", args...)
}

var (
	submit = []string{"apply", "-f", "-"}
	reach  = []string{"apply", "-f", "-", "--wait"}
)

func dependent(t *testing.T, f *field) {
	f.must(t, "fra", day("1"), submit...)
	f.awaits(t, "day", func(r v1alpha1.Rollout) bool { return strings.Contains(r.Status.Message, "waits for bundle ground") })
	f.says(t, 0, nil, []string{"explain", "day"}, "waits for bundle ground, which is not there")
	f.must(t, "fra", ground("1"), submit...)
	f.must(t, "fra", day("1"), reach...)
	for _, cluster := range f.names() {
		f.inTurn(t, cluster, "configmap/ground configmap/first")
	}
	circle := with(t, ground("1"), "rollout: {", "dependsOn: [day]\n  rollout: {")
	const told = "each of these would wait for the next, and none would ever begin: ground → day → ground"
	f.says(t, 1, circle, submit, told)
	awaitAPI(t, f, "iad")
	said, err := f.kubectl(t.Context(), "iad", string(circle), "apply", "-f", "-")
	if err == nil {
		t.Error("kubectl made a circle")
	}
	mentions(t, said, told)
}

// inTurn checks that a cluster was given objects of the day one after the other; none of them was written to since.
func (f *field) inTurn(t *testing.T, cluster, what string) {
	t.Helper()
	versions := strings.Fields(f.columns(t, cluster, what, "{.metadata.resourceVersion}"))
	last := uint64(0)
	for i, v := range versions {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if n <= last {
			t.Errorf("in %s, of %s, number %d came before the one before: %v", cluster, what, i+1, versions)
		}
		last = n
	}
	if want := len(strings.Fields(what)); len(versions) != want {
		t.Errorf("in %s there are %d of %s", cluster, len(versions), what)
	}
}

func inOrder(t *testing.T, f *field) {
	for _, cluster := range f.names() {
		f.inTurn(t, cluster, "configmap/first configmap/second configmap/third service/fourth")
	}
}

func rendered(t *testing.T, f *field) {
	for _, cluster := range []string{"fra", "iad", "sin"} {
		text := f.must(t, "fra", nil, "render", "day", "--cluster", cluster).Out
		mentions(t, text, fmt.Sprintf("mirror.%s.example.com/day/api:1", f.cluster(t, cluster).Region()))
		if said, err := f.kubectl(t.Context(), cluster, text, "diff", "-f", "-"); err != nil || said != "" {
			t.Errorf("what %s runs is not what was rendered: %v\n%s", cluster, err, said)
		}
	}
	mentions(t, f.must(t, "iad", nil, "render", "day", "--cluster", "sin").Out, "replicas: 2", "greeting: hello\n")
	mentions(t, f.must(t, "iad", nil, "render", "day", "--cluster", "fra").Out, "replicas: 1", "greeting: hello from fra\n")
}

func claimed(t *testing.T, f *field) {
	other := []byte(`
apiVersion: fleet.hanse.dev/v1alpha1
kind: Bundle
metadata: {name: other}
spec:
  placement: {clusters: [sin]}
  manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: third, namespace: day}, data: {version: mine}}]
`)
	const told = "bundle other and bundle day would both bring configmap day/third into sin"
	f.says(t, 1, other, submit, told)
	f.says(t, 1, other, []string{"diff", "-f", "-"}, told)
	if strings.Contains(f.must(t, "fra", nil, "get", "bundles", "-o", "name").Out, "other") {
		t.Error("it is there")
	}
	f.still(t, "sin", "third", "1")
}

func ignored(t *testing.T, f *field) {
	f.mustKubectl(t, "sin", "", "-n", "day", "scale", "deployment", "front", "--replicas", "3")
	f.says(t, 0, nil, []string{"drift", "day"}, "as granted in 6 clusters")
	f.must(t, "fra", day("2"), reach...)
	const fields = "{.spec.replicas} {.metadata.generation} {.spec.template.spec.containers[0].image}"
	// made, scaled, and given another image: nobody wrote to it but these
	mentions(t, f.fields(t, "sin", "deployment/front", fields), "3 3 mirror.ap.example.com/day/front:2")
	mentions(t, f.fields(t, "nrt", "deployment/front", fields), "1 2 mirror.ap.example.com/day/front:2")
}

func counted(t *testing.T, f *field) {
	less := day("2")
	for _, line := range strings.Split(string(less), "\n") {
		if strings.Contains(line, "name: second,") || strings.Contains(line, "name: first,") {
			less = with(t, less, line+"\n", "")
		}
	}
	f.says(t, 3, less, []string{"diff", "-f", "-"}, "12 objects are deleted", "- configmap day/first")
	f.says(t, 1, less, submit, "--allow-delete=2")
	f.says(t, 0, day("2"), []string{"diff", "-f", "-"})
	f.still(t, "sin", "first", "1")
}

func suspendedBundle(t *testing.T, f *field) {
	f.must(t, "fra", nil, "suspend", "bundle", "day", "moving", "disks")
	until(t, carried, func(context.Context) error { // sin may hear of it later than fra
		said := f.tell(t, "fra", nil, "explain", "day", "--cluster", "sin")
		if !strings.Contains(said.Out, "there      suspended since ") {
			return fmt.Errorf("sin does not say so: %s", said)
		}
		return nil
	})
	f.mustKubectl(t, "sin", "", "-n", "day", "delete", "configmap", "second")
	f.says(t, 3, nil, []string{"drift", "day"}, "sin", "configmap day/second")
	f.must(t, "fra", ground("2"), reach...) // which its member carries out
	f.still(t, "sin", "second", "")
	f.says(t, 3, day("3"), reach, "bundle day is suspended", "moving disks")
	f.says(t, 3, nil, []string{"status"}, "bundle day is suspended")
	f.must(t, "fra", nil, "unsuspend", "bundle", "day")
	for _, cluster := range f.names() {
		f.holds(t, cluster, "third", "3")
	}
	f.holds(t, "sin", "second", "1")
	f.awaits(t, "day", inPhase(v1alpha1.RolloutComplete))
}

func suspendedCluster(t *testing.T, f *field) {
	f.must(t, "fra", nil, "suspend", "cluster", "sin")
	f.says(t, 3, ground("3"), reach, "not there in sin", "sin: the cluster is suspended")
	f.awaits(t, "ground", inPhase(v1alpha1.RolloutComplete))
	for _, cluster := range f.names() {
		f.still(t, cluster, "ground", map[bool]string{true: "2", false: "3"}[cluster == "sin"])
	}
	f.must(t, "fra", nil, "unsuspend", "cluster", "sin")
	f.holds(t, "sin", "ground", "3")
}

func wentBack(t *testing.T, f *field) {
	written := func(cluster string) string {
		return f.columns(t, cluster, "configmaps,services", "{.kind} {.metadata.name} {.metadata.resourceVersion}")
	}
	before := map[string]string{}
	for _, cluster := range f.names() {
		before[cluster] = written(cluster)
	}
	f.says(t, 3, with(t, day("4"), "port: 80", "port: 99999"), reach, "was taken back: it fails in", "service day/fourth")
	for _, cluster := range f.names() {
		f.holds(t, cluster, "third", "3")
		if f.cluster(t, cluster).Region() != "ap" && written(cluster) != before[cluster] {
			t.Errorf("%s was written to, which the change had not come to", cluster)
		}
	}
	f.says(t, 0, nil, []string{"explain", "day"}, "it is taken back, and bundle day still says what it said", "hanse rollout rollback day")
	f.must(t, "fra", nil, "rollout", "rollback", "day")
	f.awaits(t, "day", inPhase(v1alpha1.RolloutComplete))
	f.says(t, 0, day("3"), []string{"diff", "-f", "-"})
}

func staged(t *testing.T, f *field) {
	const stages = `{soak: 0s, stages: [{name: first, domains: [us]}, {name: world, approval: Required, windows: [{days: [%s], start: "03:00", end: "04:00"}]}]}`
	closed := fmt.Sprintf(stages, time.Now().UTC().AddDate(0, 0, 3).Weekday())
	f.must(t, "fra", with(t, ground("4"), "{soak: 0s}", closed), submit...)
	onlyFirst := func() {
		t.Helper()
		for _, c := range f.bed.Clusters() {
			f.still(t, c.Name(), "ground", map[bool]string{true: "4", false: "3"}[c.Region() == "us"])
		}
	}
	waitsFor := func(what v1alpha1.WaitFor) func(v1alpha1.Rollout) bool {
		return func(r v1alpha1.Rollout) bool { return r.Status.Wait != nil && r.Status.Wait.For == what }
	}
	waits := f.awaits(t, "ground", waitsFor(v1alpha1.WaitForApproval))
	f.says(t, 0, nil, []string{"rollout", "status", "ground"}, "stage world waits for a person", "next: hanse rollout approve "+waits.Name+" world")
	onlyFirst()
	f.must(t, "fra", nil, "rollout", "approve", "ground")
	f.awaits(t, "ground", waitsFor(v1alpha1.WaitForWindow))
	f.says(t, 0, nil, []string{"explain", "ground"}, "stage world waits for its window", "it opens")
	onlyFirst()
	f.must(t, "fra", nil, "rollout", "all-at-once", waits.Name, "--yes")
	f.awaits(t, "ground", inPhase(v1alpha1.RolloutComplete))
	for _, cluster := range f.names() {
		f.still(t, cluster, "ground", "4")
	}
	f.must(t, "fra", ground("4"), reach...)
}

func mislabelled(t *testing.T, f *field) {
	all := func(cluster string) string {
		return f.columns(t, cluster, "all,configmaps", "{.kind} {.metadata.name} {.metadata.uid} {.metadata.deletionTimestamp}")
	}
	before := map[string]string{}
	for _, cluster := range f.names() {
		before[cluster] = all(cluster)
	}
	untouched := func() {
		t.Helper()
		for _, cluster := range f.names() {
			if diff := cmp.Diff(before[cluster], all(cluster)); diff != "" {
				t.Errorf("%s (-before +after):\n%s", cluster, diff)
			}
		}
	}
	f.must(t, "fra", nil, "label", "cluster", "--all", "day-")
	for bundle, objects := range map[string]int32{"day": 6 * 6, "ground": 6 * 2} {
		stands := f.awaits(t, bundle, func(r v1alpha1.Rollout) bool {
			return r.Status.Deletions != nil && r.Status.Deletions.Objects == objects
		})
		told := fmt.Sprintf("it would delete %d of %d objects in 6 clusters, which waits for a person", objects, objects)
		f.says(t, 0, nil, []string{"rollout", "status", bundle}, stands.Name, told, "6 clusters would lose all of it", "or put right what was a mistake, and nothing goes")
	}
	untouched()
	f.must(t, "fra", nil, "label", "cluster", "--all", "day=yes")
	for _, bundle := range []string{"ground", "day"} {
		f.awaits(t, bundle, inPhase(v1alpha1.RolloutComplete))
		f.says(t, 0, nil, []string{"explain", bundle}, "placed in 6 of 6 clusters")
	}
	untouched()
}

func moved(t *testing.T, f *field) {
	var out string
	for _, line := range strings.Split(string(day("3")), "\n") {
		if strings.Contains(line, "name: first,") {
			out = line + "\n"
		}
	}
	f.must(t, "fra", with(t, with(t, day("3"), out, ""), "rollout: {", "deletion: Orphan\n  rollout: {"), reach...)
	belongs := func(bundle string) {
		t.Helper()
		for _, cluster := range f.names() {
			until(t, carried, func(ctx context.Context) error {
				first, err := f.kubernetes(t, cluster).CoreV1().ConfigMaps("day").Get(ctx, "first", metav1.GetOptions{})
				if err == nil && (first.Labels[v1alpha1.LabelBundle] != bundle || first.Data["version"] != "1") {
					err = fmt.Errorf("in %s it is of %q, in version %q", cluster, first.Labels[v1alpha1.LabelBundle], first.Data["version"])
				}
				return err
			})
		}
	}
	belongs("")
	taker := []byte(`
apiVersion: fleet.hanse.dev/v1alpha1
kind: Bundle
metadata: {name: taker}
spec:
  placement: {clusterSelector: {matchLabels: {day: "yes"}}}
  adopt: IfEqual
  rollout: {soak: 0s}
  manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: first, namespace: day}, data: {version: "1"}}]
`)
	f.mustKubectl(t, "sin", "", "-n", "day", "patch", "configmap", "first", "--type", "merge", "-p", `{"data":{"version":"odd"}}`)
	f.says(t, 3, taker, []string{"diff", "-f", "-"}, "1 cannot take it", "it is there already, and is otherwise than the bundle says in data.version")
	f.says(t, 3, with(t, taker, "IfEqual", "Always"), []string{"diff", "-f", "-"}, "data.version   odd → 1")
	f.mustKubectl(t, "sin", "", "-n", "day", "patch", "configmap", "first", "--type", "merge", "-p", `{"data":{"version":"1"}}`)
	f.must(t, "fra", taker, reach...)
	belongs("taker")
	f.must(t, "fra", nil, "delete", "bundle", "taker", "--yes", "--wait")
}
