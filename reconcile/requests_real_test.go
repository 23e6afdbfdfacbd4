package reconcile_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/reconcile"
)

// asked counts the requests of a member, by method and path; those that failed are counted once more, by an exclamation mark.
type asked struct {
	mu sync.Mutex
	n  map[string]int
}

func listen(c *reconcile.Config) *asked {
	a := &asked{n: map[string]int{}}
	c.REST = rest.CopyConfig(c.REST)
	c.REST.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			answer, err := next.RoundTrip(r)
			a.mu.Lock()
			defer a.mu.Unlock()
			a.n[r.Method+" "+r.URL.Path]++
			if err != nil || answer.StatusCode >= http.StatusBadRequest {
				a.n[r.Method+" "+r.URL.Path+"!"]++
			}
			return answer, err
		})
	})
	return a
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (a *asked) count(request string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n[request]
}

// failures are all requests that failed: what they were about is asked again.
func (a *asked) failures() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for request, times := range a.n {
		if strings.HasSuffix(request, "!") {
			n += times
		}
	}
	return n
}

func (a *asked) about(part string) (all []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range slices.Sorted(maps.Keys(a.n)) {
		if strings.Contains(r, part) {
			all = append(all, r)
		}
	}
	return all
}

func TestNothingIsAskedThatIsKnown(t *testing.T) {
	k := connect(t)
	var requests *asked
	m := start(t, k, func(c *reconcile.Config) { requests = listen(c) })

	t.Run("an object that is new is made, and not looked for", func(t *testing.T) {
		g := bundle(t, namespaceYAML+sep+settingsYAML)
		m.grant(g)
		m.awaitReady(t, g)
		path := "/api/v1/namespaces/" + g.Bundle + "/configmaps/settings"
		looks := func() bool { return requests.count("GET "+path) > requests.count("PATCH "+path+"!") } // what was refused, by a busy server, is looked at
		if looks() || requests.count("PATCH "+path) == 0 {
			t.Errorf("asked: %v", requests.about(path))
		}
		k.remove("ConfigMap", g.Bundle, "settings")
		eventually(t, "it is made again", func() bool { return k.exists("ConfigMap", g.Bundle, "settings") })
		if looks() {
			t.Errorf("asked: %v", requests.about(path))
		}
	})

	t.Run("an object of somebody else is not touched for a moment, though no field of it is in the way", func(t *testing.T) {
		g := bundle(t, namespaceYAML+sep+settingsYAML)
		k.create(strings.ReplaceAll(namespaceYAML, "NS", g.Bundle))
		k.create(strings.ReplaceAll("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: NS}\ndata: {owner: somebody}\n", "NS", g.Bundle))
		before := k.must(k.get("ConfigMap", g.Bundle, "settings")).GetResourceVersion()
		m.grant(g)
		m.awaitProblem(t, g.Bundle, reconcile.ReasonConflict, "settings")
		if after := k.must(k.get("ConfigMap", g.Bundle, "settings")); after.GetResourceVersion() != before {
			t.Errorf("it was written: %v", after.Object)
		}
	})

	t.Run("an object that a bundle may take is looked at first", func(t *testing.T) {
		g := bundle(t, namespaceYAML+sep+settingsYAML)
		g.Adopt = v1alpha1.AdoptAlways
		k.create(strings.ReplaceAll(namespaceYAML, "NS", g.Bundle))
		k.create(strings.ReplaceAll(settingsYAML, "NS", g.Bundle))
		m.grant(g)
		m.awaitReady(t, g)
		path := "/api/v1/namespaces/" + g.Bundle + "/configmaps/settings"
		if requests.count("GET "+path) == 0 || requests.count("PATCH "+path+"!") > 0 {
			t.Errorf("asked: %v", requests.about(path))
		}
	})

	t.Run("an object that lost its label, and is still ours, is applied again", func(t *testing.T) {
		g := bundle(t, namespaceYAML+sep+settingsYAML)
		m.grant(g)
		m.awaitReady(t, g)
		k.edit("ConfigMap", g.Bundle, "settings", func(u *unstructured.Unstructured) {
			u.SetLabels(nil)
			u.Object["data"] = map[string]any{"color": "red"}
		})
		eventually(t, "it is put right", func() bool { return color(k, g.Bundle) == "blue" })
	})

	t.Run("of a bundle that changes only what is to be another is applied, and its list is not read", func(t *testing.T) {
		g := bundle(t, namespaceYAML+sep+settingsYAML+sep+extraYAML)
		m.grant(g)
		m.awaitReady(t, g)
		list := "GET /api/v1/namespaces/" + reconcile.Namespace + "/configmaps"
		paths := []string{
			"PATCH /api/v1/namespaces/" + g.Bundle, "PATCH /api/v1/namespaces/" + g.Bundle + "/configmaps/extra", list,
		}
		sessions := func() int { return requests.count("GET /api/v1/configmaps") } // a new one lists and watches, and applies all
		var before []int
		for _, path := range paths {
			before = append(before, requests.count(path))
		}
		failed, begun := requests.failures(), sessions()
		g = next(t, g, namespaceYAML+sep+strings.ReplaceAll(settingsYAML, "blue", "green")+sep+extraYAML)
		m.grant(g)
		m.awaitReady(t, g)
		if c := color(k, g.Bundle); c != "green" {
			t.Errorf("the change was not carried out: %v", c)
		}
		for i, path := range paths {
			if n := requests.count(path); n != before[i] && sessions() == begun && requests.failures() == failed {
				t.Errorf("%s: asked %d times, before the change %d", path, n, before[i])
			}
		}
		k.edit("ConfigMap", g.Bundle, "extra", func(u *unstructured.Unstructured) { u.Object["data"] = map[string]any{"size": "edited"} })
		eventually(t, "what was spared is put right when somebody changes it", func() bool {
			return requests.count(paths[1]) > before[1]
		})
		g = next(t, g, namespaceYAML+sep+settingsYAML)
		m.grant(g)
		m.awaitReady(t, g)
		eventually(t, "what left is pruned", func() bool { return !k.exists("ConfigMap", g.Bundle, "extra") })
		if requests.count(list) == before[2] {
			t.Error("something is pruned by a list that was not read")
		}
	})

	t.Run("the lease is not read before it is renewed", func(t *testing.T) {
		lease := "/apis/coordination.k8s.io/v1/namespaces/" + reconcile.Namespace + "/leases/" + reconcile.LeaseName
		renewed := func() int { return requests.count("PUT "+lease) - requests.count("PUT "+lease+"!") }
		eventually(t, "it is renewed", func() bool { return renewed() > 1 })
		reads, failed, from := requests.count("GET "+lease), requests.count("PUT "+lease+"!"), renewed()
		eventually(t, "it is renewed some times more", func() bool { return renewed() > from+5 })
		if reads = requests.count("GET "+lease) - reads; reads > requests.count("PUT "+lease+"!")-failed+1 { // one may have been on its way
			t.Errorf("read %d times, of %v", reads, requests.about(lease))
		}
	})
}

func TestTheListIsWrittenWhenItChanges(t *testing.T) {
	k := connect(t)
	m := start(t, k)
	parts := func(bundle string) (versions map[string]string) {
		versions = map[string]string{}
		list, err := k.typed.CoreV1().ConfigMaps(reconcile.Namespace).List(t.Context(), metav1.ListOptions{LabelSelector: reconcile.LabelInventory + "=" + bundle})
		if err != nil {
			t.Fatal(err)
		}
		for _, cm := range list.Items {
			if strings.HasPrefix(cm.Name, "objects.") {
				versions[cm.Name] = cm.ResourceVersion
			}
		}
		return versions
	}
	many := namespaceYAML // more than the head takes
	for i := range 60 {
		many += sep + strings.ReplaceAll(extraYAML, "name: extra", fmt.Sprintf("name: of-very-many-%d", i))
	}
	g := bundle(t, many+sep+settingsYAML)
	m.grant(g)
	m.awaitReady(t, g)
	first := parts(g.Bundle)
	g = next(t, g, many+sep+strings.ReplaceAll(settingsYAML, "blue", "green"))
	m.grant(g)
	m.awaitReady(t, g)
	eventually(t, "the change is carried out", func() bool { return color(k, g.Bundle) == "green" })
	if second := parts(g.Bundle); len(first) != 1 || !maps.Equal(first, second) {
		t.Errorf("the same list lies in %v, then in %v", first, second)
	}
	g = next(t, g, many+sep+settingsYAML+sep+extraYAML)
	m.grant(g)
	m.awaitReady(t, g)
	third := parts(g.Bundle)
	for name := range first {
		if _, there := third[name]; there || len(third) != 1 {
			t.Errorf("another list lies in %v, the one before in %v", third, first)
		}
	}
	m.stop()
	again := start(t, k)
	again.grant(next(t, g, namespaceYAML))
	eventually(t, "what a restarted member finds on the list is pruned", func() bool {
		return !k.exists("ConfigMap", g.Bundle, "settings") && !k.exists("ConfigMap", g.Bundle, "extra")
	})
}

// TestManySmallBundlesShareTheirLists: each is listed before it is applied, and after, which would be two writes of its own.
func TestManySmallBundlesShareTheirLists(t *testing.T) {
	const many = 200
	k := connect(t)
	var requests *asked
	m := start(t, k, func(c *reconcile.Config) { requests = listen(c) })
	first := bundle(t, namespaceYAML)
	m.grant(first)
	m.awaitReady(t, first)
	grants := []reconcile.Grant{first}
	for range many {
		g := bundle(t, "")
		g.Objects = objects(t, strings.ReplaceAll(strings.ReplaceAll(settingsYAML, "NS", first.Bundle), "name: settings", "name: of-"+g.Bundle))
		grants = append(grants, g)
	}
	lists := "/api/v1/namespaces/" + reconcile.Namespace + "/configmaps"
	written := func() (n int) {
		for _, r := range requests.about(lists) {
			if strings.HasPrefix(r, "PUT ") || strings.HasPrefix(r, "POST ") {
				n += requests.count(r)
			}
		}
		return n
	}
	before := written()
	m.grant(grants...)
	for _, g := range grants {
		m.awaitReady(t, g)
	}
	if n := written() - before; n > 2*many*7/8 {
		t.Errorf("the lists of %d bundles cost %d writes", many, n)
	} else {
		t.Logf("the lists of %d bundles cost %d writes", many, n)
	}
	for _, g := range grants {
		if k.inventory(g.Bundle) != 1 {
			t.Errorf("%s is not listed", g.Bundle)
		}
	}
}
