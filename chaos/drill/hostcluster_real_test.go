package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// unharmed looks at what a member must not do to its own cluster. It is held on a fleet without bundles, and leaves it so.
func unharmed(t *testing.T, f *field) {
	awaitAPI(t, f, "fra")
	t.Run("while the fleet has no quorum", func(t *testing.T) {
		for _, c := range []string{"iad", "sin"} {
			if err := f.cluster(t, c).Kill(testbed.Member); err != nil {
				t.Fatal(err)
			}
		}
		quorumless(t, f)
		f.heal(t)
	})
	t.Run("while its member is dead", func(t *testing.T) { dead(t, f) })
}

// heal starts all members that do not run, and waits until all is well.
func (f *field) heal(t *testing.T) {
	t.Helper()
	for _, c := range f.bed.Clusters() {
		if err := f.bed.Heal(t.Context(), c.Region()); err != nil {
			t.Fatal(err)
		}
	}
	f.awaitWell(t)
}

// awaitWell waits until all members are there, and nothing is wrong.
func (f *field) awaitWell(t *testing.T) {
	t.Helper()
	until(t, 2*time.Minute, func(context.Context) error {
		if said := f.tell(t, "fra", nil, "status"); said.Code != 0 {
			return errors.New(said.String())
		}
		return nil
	})
}

// awaitAPI waits until a cluster's own API shows the fleet.
func awaitAPI(t *testing.T, f *field, cluster string) {
	t.Helper()
	took := until(t, 3*time.Minute, func(ctx context.Context) error {
		_, err := f.kubectl(ctx, cluster, "", "get", "clusters.fleet.hanse.dev")
		return err
	})
	t.Logf("the fleet's API is in %s after %s", cluster, round(took))
}

// quorumless is what fra does when it is alone.
func quorumless(t *testing.T, f *field) {
	t.Run("reads answer, and say from when", func(t *testing.T) {
		until(t, 3*time.Minute, func(ctx context.Context) error {
			said, err := f.kubectl(ctx, "fra", "", "get", "clusters.fleet.hanse.dev")
			if err == nil && !strings.Contains(said, "Warning:") {
				err = errors.New("no warning in:\n" + said)
			}
			if err == nil {
				mentions(t, said, "revision", "iad", "sin")
				t.Log(said)
			}
			return err
		})
	})
	t.Run("writes are refused, and say when to come back", func(t *testing.T) {
		var answer *http.Response
		until(t, 3*time.Minute, func(context.Context) error { // a kube-apiserver that has just lost sight of the member says 503, too
			var body string
			answer, body = f.post(t, "fra", "/apis/fleet.hanse.dev/v1alpha1/bundles",
				`{"apiVersion":"fleet.hanse.dev/v1alpha1","kind":"Bundle","metadata":{"name":"alone"},"spec":{"placement":{"clusterSelector":{}}}}`)
			if !strings.Contains(body, "quorum") {
				return errors.New(body)
			}
			return nil
		})
		if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
			t.Errorf("%s, Retry-After %q", answer.Status, answer.Header.Get("Retry-After"))
		}
	})
	t.Run("namespaces are deleted", func(t *testing.T) {
		f.roomy(t, "quorumless")
		f.deleteNamespace(t, "quorumless")
		t.Logf("gone after %s", round(until(t, 3*time.Minute, f.namespaceGone(t, "quorumless"))))
	})
	t.Run("what has lost its owner is collected", func(t *testing.T) { f.collects(t) })
	t.Run("the cluster is told", func(t *testing.T) {
		until(t, 3*time.Minute, f.kubectlSays("fra", "QuorumLost", "get", "events.events.k8s.io", "-n", "default"))
	})
}

// dead looks at a cluster whose member is no more, and at the way out.
func dead(t *testing.T, f *field) {
	awaitAPI(t, f, "fra")
	f.roomy(t, "memberless")
	if err := f.cluster(t, "fra").Kill(testbed.Member); err != nil {
		t.Fatal(err)
	}
	took := until(t, 2*time.Minute, func(ctx context.Context) error {
		said, err := f.kubectl(ctx, "fra", "", "get", "apiservice", "v1alpha1.fleet.hanse.dev")
		if err == nil && !strings.Contains(said, "False") {
			err = errors.New(said)
		}
		return err
	})
	t.Logf("the APIService is unavailable %s after the member died", round(took))
	t.Run("all other kinds are served and collected", func(t *testing.T) {
		f.mustKubectl(t, "fra", "", "get", "deployments,namespaces")
		f.collects(t)
	})
	t.Run("a namespace is emptied, and goes with the APIService when the member's life is over", func(t *testing.T) {
		f.deleteNamespace(t, "memberless")
		until(t, 3*time.Minute, func(ctx context.Context) error {
			_, err := f.kubernetes(t, "fra").CoreV1().ConfigMaps("memberless").Get(ctx, "held", metav1.GetOptions{})
			if !apierrors.IsNotFound(err) {
				return fmt.Errorf("its ConfigMap is still there: %v", err)
			}
			return nil
		})
		until(t, 3*time.Minute, func(ctx context.Context) error {
			ns, err := f.kubernetes(t, "fra").CoreV1().Namespaces().Get(ctx, "memberless", metav1.GetOptions{})
			if err != nil {
				return err
			}
			for _, c := range ns.Status.Conditions {
				if c.Type == corev1.NamespaceDeletionDiscoveryFailure && c.Status == corev1.ConditionTrue {
					t.Logf("%s: %s", c.Reason, c.Message)
					return nil
				}
			}
			return fmt.Errorf("conditions %v", ns.Status.Conditions)
		})
		f.mustKubectl(t, "fra", "", "-n", "hanse-system", "patch", f.lifeOf(t, "fra"), "--type=merge", "-p", `{"spec":{"activeDeadlineSeconds":1}}`)
		t.Logf("the APIService is gone after %s", round(until(t, 3*time.Minute, f.kubectlSays("fra", "NotFound", "get", "apiservice", "v1alpha1.fleet.hanse.dev"))))
		t.Logf("the namespace after %s more", round(until(t, 2*time.Minute, f.namespaceGone(t, "memberless"))))
	})
	t.Run("a member that lives for many lives keeps its API, and one that dies loses it", func(t *testing.T) { manyLives(t, f) })
	t.Run("a member that is stopped leaves its API for a moment, and finds it when it is back", func(t *testing.T) { lastWords(t, f) })
	t.Run("a member that may not make jobs has its API all the same, and says that it stays", func(t *testing.T) { lifeless(t, f) })
	t.Run("the member that comes back brings its API back", func(t *testing.T) {
		f.heal(t)
		awaitAPI(t, f, "fra")
	})
}

// roomy makes a namespace of fra with something in it.
func (f *field) roomy(t *testing.T, name string) {
	t.Helper()
	core := f.kubernetes(t, "fra").CoreV1()
	_, err := core.Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err == nil {
		_, err = core.ConfigMaps(name).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "held"}}, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (f *field) deleteNamespace(t *testing.T, name string) {
	t.Helper()
	if err := f.kubernetes(t, "fra").CoreV1().Namespaces().Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (f *field) namespaceGone(t *testing.T, name string) func(context.Context) error {
	return func(ctx context.Context) error {
		ns, err := f.kubernetes(t, "fra").CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("namespace %s is %s: %v", name, ns.Status.Phase, ns.Status.Conditions)
		}
		return err
	}
}

// collects checks that fra's garbage collector works.
func (f *field) collects(t *testing.T) {
	t.Helper()
	maps := f.kubernetes(t, "fra").CoreV1().ConfigMaps("default")
	owner, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "owner-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	owned, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "owned-", OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID},
	}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := maps.Delete(t.Context(), owner.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	took := until(t, 3*time.Minute, func(ctx context.Context) error {
		if _, err := maps.Get(ctx, owned.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s is still there: %v", owned.Name, err)
		}
		return nil
	})
	t.Logf("collected after %s", round(took))
}

// post sends one request to a cluster's kube-apiserver, and no second one.
func (f *field) post(t *testing.T, cluster, path, body string) (*http.Response, string) {
	t.Helper()
	config, err := f.cluster(t, cluster).REST()
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Post(f.cluster(t, cluster).Server()+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(said)
}
