package reconcile_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/reconcile"
)

// practical are the cases that people meet, before and after a change that their cluster refuses.
var practical = map[string]struct{ before, after string }{
	"Job": {`
apiVersion: batch/v1
kind: Job
metadata: {name: it, namespace: NS, annotations: {fleet.hanse.dev/replace: WhenImmutable}}
spec: {completions: 0, template: {spec: {restartPolicy: Never, containers: [{name: a, image: "a:1"}]}}}
`, "a:1 a:2"},
	"StatefulSet": {`
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: it, namespace: NS, annotations: {fleet.hanse.dev/replace: WhenImmutable}}
spec:
  replicas: 0
  serviceName: it
  selector: {matchLabels: {app: it}}
  template: {metadata: {labels: {app: it}}, spec: {containers: [{name: a, image: "a:1"}]}}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]
`, "1Gi 2Gi"},
	"Deployment": {`
apiVersion: apps/v1
kind: Deployment
metadata: {name: it, namespace: NS, annotations: {fleet.hanse.dev/replace: WhenImmutable}}
spec: {replicas: 0, selector: {matchLabels: {app: it}}, template: {metadata: {labels: {app: it}}, spec: {containers: [{name: a, image: "a:1"}]}}}
`, "app:¤it app:¤new"},
	"Service": {`
apiVersion: v1
kind: Service
metadata: {name: it, namespace: NS, annotations: {fleet.hanse.dev/replace: WhenImmutable}}
spec: {type: NodePort, ports: [{port: 80}]}
`, "type:¤NodePort clusterIP:¤None"},
	"RoleBinding": {`
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: it, namespace: NS, annotations: {fleet.hanse.dev/replace: WhenImmutable}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: anna}]
`, "name:¤view name:¤edit"},
}

// changed replaces in a manifest what change names: "old new", where ¤ is a space.
func changed(manifest, change string) string {
	from, to, _ := strings.Cut(change, " ")
	return strings.ReplaceAll(manifest, strings.ReplaceAll(from, "¤", " "), strings.ReplaceAll(to, "¤", " "))
}

func TestWhatMayBeReplacedIsMadeAnew(t *testing.T) {
	k := connect(t)
	m := start(t, k)
	stream := func(after bool) string {
		all := namespaceYAML
		for _, c := range practical {
			manifest := c.before
			if after {
				manifest = changed(manifest, c.after)
			}
			all += sep + manifest
		}
		return all
	}
	g := bundle(t, stream(false))
	m.grant(g)
	m.awaitReady(t, g)
	before := map[string]types.UID{}
	for kind := range practical {
		before[kind] = k.must(k.get(kind, g.Bundle, "it")).GetUID()
	}
	second := next(t, g, stream(true))
	m.grant(second)
	m.awaitReady(t, second)
	for kind := range practical {
		if k.must(k.get(kind, g.Bundle, "it")).GetUID() == before[kind] {
			t.Errorf("%s: it is the same object", kind)
		}
	}
	m.grant(withdraw(second))
	eventually(t, "the bundle is withdrawn", func() bool { return m.isWithdrawn(g.Bundle, g.BundleUID) })
	for kind := range practical {
		if k.exists(kind, g.Bundle, "it") {
			t.Errorf("%s: what was made anew is not of the bundle", kind)
		}
	}
}

// held is what a Service has of its cluster that no two have: its address and its port of the nodes.
func held(k *kube, namespace, name string) (address, port string) {
	k.t.Helper()
	u := k.must(k.get("Service", namespace, name))
	address, _, _ = unstructured.NestedString(u.Object, "spec", "clusterIP")
	ports, _, _ := unstructured.NestedSlice(u.Object, "spec", "ports")
	return address, fmt.Sprint(ports[0].(map[string]any)["nodePort"])
}

// TestAServiceIsMadeAnewWithWhatItHolds: the dry run does not meet its own address and port, which its manifest fixes.
func TestAServiceIsMadeAnewWithWhatItHolds(t *testing.T) {
	k := connect(t)
	m := start(t, k)
	const service = `
apiVersion: v1
kind: Service
metadata: {name: it, namespace: NS, annotations: {fleet.hanse.dev/replace: WhenImmutable}}
spec: {type: LoadBalancer, loadBalancerClass: test.example/a, ports: [{port: 80}]}
`
	g := bundle(t, namespaceYAML+sep+service)
	m.grant(g)
	eventually(t, "the service is there", func() bool { return k.exists("Service", g.Bundle, "it") })
	address, port := held(k, g.Bundle, "it")
	fixed := strings.NewReplacer("ports: [{port: 80}]", "clusterIP: "+address+", ports: [{port: 80, nodePort: "+port+"}]")
	g = next(t, g, namespaceYAML+sep+fixed.Replace(service))
	m.grant(g)
	m.await(t, g.Bundle, "applied", func(s v1alpha1.WorkStatus) bool { return s.Applied == g.Revision })
	before := k.must(k.get("Service", g.Bundle, "it")).GetUID()
	g = next(t, g, namespaceYAML+sep+fixed.Replace(strings.ReplaceAll(service, "example/a", "example/b")))
	m.grant(g)
	eventually(t, "it is made anew", func() bool {
		u, err := k.get("Service", g.Bundle, "it")
		return err == nil && u.GetUID() != before
	})
	if a, p := held(k, g.Bundle, "it"); a != address || p != port {
		t.Errorf("it has %s and %s, and had %s and %s", a, p, address, port)
	}
}

// sealedYAML are Secrets as what is sealed becomes them: one that nobody may change, and one of another type.
const sealedYAML = `
apiVersion: v1
kind: Secret
metadata: {name: fixed, namespace: NS, annotations: {fleet.hanse.dev/replace: WhenImmutable}}
type: Opaque
immutable: true
data: {password: b25l}
---
apiVersion: v1
kind: Secret
metadata: {name: typed, namespace: NS, annotations: {fleet.hanse.dev/replace: WhenImmutable}}
type: Opaque
data: {username: b25l, password: b25l}
`

func TestASecretIsMadeAnewForAnotherValueOrType(t *testing.T) {
	k := connect(t)
	m := start(t, k)
	g := bundle(t, namespaceYAML+sep+sealedYAML)
	m.grant(g)
	m.awaitReady(t, g)
	const typed = "name: typed, namespace: NS, annotations: {fleet.hanse.dev/replace: WhenImmutable}}\ntype: "
	second := strings.NewReplacer("data: {password: b25l}", "data: {password: dHdv}", typed+"Opaque", typed+"kubernetes.io/basic-auth").Replace(sealedYAML)
	g = next(t, g, namespaceYAML+sep+second)
	m.grant(g)
	m.awaitReady(t, g)
	fixed, other := k.must(k.get("Secret", g.Bundle, "fixed")), k.must(k.get("Secret", g.Bundle, "typed"))
	if value, _, _ := unstructured.NestedString(fixed.Object, "data", "password"); value != "dHdv" || fixed.Object["immutable"] != true {
		t.Errorf("the one that nobody may change has %q", value)
	}
	if other.Object["type"] != "kubernetes.io/basic-auth" {
		t.Errorf("the other one is of type %v", other.Object["type"])
	}

	foreign := bundle(t, namespaceYAML+sep+second)
	foreign.Adopt = v1alpha1.AdoptAlways
	k.create(strings.ReplaceAll(namespaceYAML, "NS", foreign.Bundle))
	k.create(strings.ReplaceAll(strings.Split(sealedYAML, "---")[0], "NS", foreign.Bundle))
	before := k.must(k.get("Secret", foreign.Bundle, "fixed")).GetUID()
	m.grant(g, foreign)
	p := m.awaitProblem(t, foreign.Bundle, reconcile.ReasonRefused, "fixed")
	if !strings.Contains(p.Message, "it is not surely of this bundle") || k.must(k.get("Secret", foreign.Bundle, "fixed")).GetUID() != before {
		t.Errorf("somebody else's is made anew: %s", p.Message)
	}
}

const replaceableYAML = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: NS, annotations: {fleet.hanse.dev/replace: WhenImmutable}}
data: {color: blue}
immutable: true
`

// TestAReplacementThatIsCutOffIsGoneOnWith: the member ends between deleting and making anew, which a finalizer holds apart, and
// another goes on; so too when the drift policy leaves alone what somebody deletes.
func TestAReplacementThatIsCutOffIsGoneOnWith(t *testing.T) {
	k := connect(t)
	m := start(t, k)
	g := bundle(t, namespaceYAML+sep+replaceableYAML)
	g.Drift = v1alpha1.DriftReport
	m.grant(g)
	m.awaitReady(t, g)
	hold := func(finalizers ...string) {
		k.edit("ConfigMap", g.Bundle, "settings", func(u *unstructured.Unstructured) { u.SetFinalizers(finalizers) })
	}
	hold("test.example/hold")
	old := k.must(k.get("ConfigMap", g.Bundle, "settings")).GetUID()
	second := next(t, g, namespaceYAML+sep+strings.ReplaceAll(replaceableYAML, "blue", "green"))
	m.grant(second)
	m.await(t, g.Bundle, "on its way", func(s v1alpha1.WorkStatus) bool {
		return s.Applied == second.Revision && s.Health == v1alpha1.HealthInProgress
	})
	if u := k.must(k.get("ConfigMap", g.Bundle, "settings")); u.GetUID() != old || u.GetDeletionTimestamp() == nil {
		t.Fatalf("it is not being deleted: %v", u.Object)
	}
	m.stop()
	hold()
	eventually(t, "the old one is gone", func() bool { return !k.exists("ConfigMap", g.Bundle, "settings") })

	m = start(t, k)
	m.grant(second)
	m.awaitReady(t, second)
	u := k.must(k.get("ConfigMap", g.Bundle, "settings"))
	if u.GetUID() == old || u.Object["data"].(map[string]any)["color"] != "green" {
		t.Errorf("it was not made anew: %v", u.Object)
	}
	m.grant(withdraw(second))
	eventually(t, "the bundle is withdrawn", func() bool { return m.isWithdrawn(g.Bundle, g.BundleUID) })
	if k.exists("ConfigMap", g.Bundle, "settings") {
		t.Error("what was made anew is not of the bundle")
	}
}

func TestAReplacementThatDoesNotGoIsAProblem(t *testing.T) {
	k := connect(t)
	m := start(t, k, func(c *reconcile.Config) { c.Timing.Leave = 1 })
	g := bundle(t, namespaceYAML+sep+replaceableYAML)
	m.grant(g)
	m.awaitReady(t, g)
	k.edit("ConfigMap", g.Bundle, "settings", func(u *unstructured.Unstructured) { u.SetFinalizers([]string{"test.example/hold"}) })
	second := next(t, g, namespaceYAML+sep+strings.ReplaceAll(replaceableYAML, "blue", "green"))
	m.grant(second)
	if p := m.awaitProblem(t, g.Bundle, reconcile.ReasonPruneFailed, "settings"); !strings.Contains(p.Message, "test.example/hold") {
		t.Errorf("message: %s", p.Message)
	}
	k.edit("ConfigMap", g.Bundle, "settings", func(u *unstructured.Unstructured) { u.SetFinalizers(nil) })
	m.awaitReady(t, second)
}

func TestWhatIsNotReplaced(t *testing.T) {
	k := connect(t)
	m := start(t, k)

	refused := func(t *testing.T, g reconcile.Grant, kind, name, why string, uid types.UID) {
		t.Helper()
		p := m.awaitProblem(t, g.Bundle, reconcile.ReasonRefused, name)
		if !strings.Contains(p.Message, why) {
			t.Errorf("message: %s", p.Message)
		}
		if u := k.must(k.get(kind, g.Bundle, name)); u.GetUID() != uid || u.GetDeletionTimestamp() != nil {
			t.Errorf("it was deleted: %v", u.Object)
		}
	}

	t.Run("what holds data", func(t *testing.T) {
		const claim = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: NS, annotations: {fleet.hanse.dev/replace: WhenImmutable}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`
		g := bundle(t, namespaceYAML+sep+claim)
		m.grant(g)
		eventually(t, "the claim is there", func() bool { return k.exists("PersistentVolumeClaim", g.Bundle, "data") })
		uid := k.must(k.get("PersistentVolumeClaim", g.Bundle, "data")).GetUID()
		second := next(t, g, namespaceYAML+sep+strings.ReplaceAll(claim, "ReadWriteOnce", "ReadWriteMany"))
		m.grant(second)
		refused(t, g, "PersistentVolumeClaim", "data", "takes what is in it", uid)
	})

	t.Run("a Service that is to have what another one has", func(t *testing.T) {
		const service = `
apiVersion: v1
kind: Service
metadata: {name: it, namespace: NS, annotations: {fleet.hanse.dev/replace: WhenImmutable}}
spec: {type: LoadBalancer, loadBalancerClass: test.example/a, ports: [{port: 80}]}
`
		for name, c := range map[string]struct{ field, why string }{
			"its address": {"loadBalancerClass: test.example/a, clusterIP: ADDRESS", "another Service may have"},
			"its port":    {"loadBalancerClass: test.example/b, ports: [{port: 80, nodePort: PORT}]", "already allocated"},
		} {
			t.Run(name, func(t *testing.T) {
				g := bundle(t, namespaceYAML+sep+service)
				m.grant(g)
				eventually(t, "the service is there", func() bool { return k.exists("Service", g.Bundle, "it") })
				uid := k.must(k.get("Service", g.Bundle, "it")).GetUID()
				k.create(strings.ReplaceAll("apiVersion: v1\nkind: Service\nmetadata: {name: other, namespace: NS}\nspec: {type: NodePort, ports: [{port: 80}]}", "NS", g.Bundle))
				address, port := held(k, g.Bundle, "other")
				spec := strings.NewReplacer("ADDRESS", address, "PORT", port).Replace("{type: LoadBalancer, " + c.field + "}")
				if !strings.Contains(spec, "ports") {
					spec = strings.Replace(spec, "}", ", ports: [{port: 80}]}", 1)
				}
				second := next(t, g, namespaceYAML+sep+service[:strings.Index(service, "spec: ")]+"spec: "+spec+"\n")
				m.grant(second)
				refused(t, g, "Service", "it", c.why, uid)
			})
		}
	})

	t.Run("what is somebody else's, though it would be taken over", func(t *testing.T) {
		g := bundle(t, namespaceYAML+sep+replaceableYAML)
		g.Adopt = v1alpha1.AdoptAlways
		k.create(strings.ReplaceAll(namespaceYAML, "NS", g.Bundle))
		theirs := k.create(strings.ReplaceAll(strings.ReplaceAll(replaceableYAML, "blue", "red"), "NS", g.Bundle))
		m.grant(g)
		refused(t, g, "ConfigMap", "settings", "not surely of this bundle", theirs.GetUID())
	})

	t.Run("what the cluster would not take anew", func(t *testing.T) {
		g := bundle(t, namespaceYAML+sep+replaceableYAML+sep+`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: NS}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NS}}
    resourceRules: [{apiGroups: [""], apiVersions: [v1], resources: [configmaps], operations: [CREATE]}]
  validations: [{expression: "!has(object.data) || object.data.color != 'green'", message: green is out}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: NS}
spec: {policyName: NS, validationActions: [Deny]}
`)
		m.grant(g)
		m.awaitReady(t, g)
		eventually(t, "the policy is in force", func() bool {
			green := object(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: probe}, data: {color: green}}")
			_, err := k.of("ConfigMap", g.Bundle).Create(context.Background(), &green, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			return err != nil && strings.Contains(err.Error(), "green is out")
		})
		uid := k.must(k.get("ConfigMap", g.Bundle, "settings")).GetUID()
		second := next(t, g, namespaceYAML+sep+strings.ReplaceAll(replaceableYAML, "blue", "green"))
		second.Objects = append(second.Objects, g.Objects[2:]...)
		m.grant(second)
		refused(t, g, "ConfigMap", "settings", "green is out", uid)
	})
}
