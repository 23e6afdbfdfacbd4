package apiserver

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

func TestADryRunIsRefusedWhatTheLawRefuses(t *testing.T) {
	var judged []store.Op
	l := start(t, func(c *Config) {
		c.Judge = func(person string, txn store.Txn) error {
			judged = append(judged, txn.Then[0])
			return &store.Forbidden{Reason: person + " may not write " + txn.Then[0].Key}
		}
	})
	bundles, ctx := client(t, l.local(), "bundles"), t.Context()
	dry, shop := []string{metav1.DryRunAll}, v1alpha1.KeyBundles+"shop"
	merge := []byte(`{"spec":{"drift":"Report"}}`)
	creates := map[string]func() error{
		"create": func() error {
			_, err := bundles.Create(ctx, bundle("shop"), metav1.CreateOptions{DryRun: dry})
			return err
		},
		"apply of what is new": func() error {
			_, err := bundles.Apply(ctx, "shop", bundle("shop"), metav1.ApplyOptions{FieldManager: "t", DryRun: dry})
			return err
		},
	}
	changes := map[string]func() error{
		"patch": func() error {
			_, err := bundles.Patch(ctx, "shop", types.MergePatchType, merge, metav1.PatchOptions{DryRun: dry})
			return err
		},
		"apply": func() error {
			_, err := bundles.Apply(ctx, "shop", bundle("shop", configMap("a")), metav1.ApplyOptions{FieldManager: "t", Force: true, DryRun: dry})
			return err
		},
		"delete": func() error { return bundles.Delete(ctx, "shop", metav1.DeleteOptions{DryRun: dry}) },
		"delete of all": func() error {
			return bundles.DeleteCollection(ctx, metav1.DeleteOptions{DryRun: dry}, metav1.ListOptions{})
		},
	}
	refused := func(all map[string]func() error) {
		t.Helper()
		for name, try := range all {
			judged = nil
			before := l.View().Revision()
			if err := try(); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "hanse:local may not write "+shop) {
				t.Errorf("%s: %v", name, err)
			}
			if len(judged) == 0 || judged[0].Key != shop || judged[0].Delete != strings.HasPrefix(name, "delete") {
				t.Errorf("%s: judged %+v", name, judged)
			}
			if after := l.View().Revision(); after != before {
				t.Errorf("%s: revision %d became %d", name, before, after)
			}
		}
	}
	refused(creates)
	if _, err := bundles.Create(ctx, bundle("shop"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	refused(changes)
	judged = nil
	if _, err := bundles.Patch(ctx, "shop", types.MergePatchType, []byte(`{}`), metav1.PatchOptions{DryRun: dry}); err != nil || len(judged) > 0 {
		t.Errorf("a patch that changes nothing: %v, judged %v", err, judged)
	}
}

func TestADryRunIsRefusedWhatACompanionRefuses(t *testing.T) {
	l := start(t, func(c *Config) {
		c.Companion = func(_ *store.View, w Write) ([]store.Condition, []store.Op, error) {
			if w.After == nil {
				return nil, nil, itVotes{&store.Forbidden{Reason: "it votes"}}
			}
			return nil, nil, nil
		}
	})
	l.put(t, v1alpha1.KeyClusters+"iad", v1alpha1.Cluster{TypeMeta: v1alpha1.TypeOf("Cluster"), ObjectMeta: metav1.ObjectMeta{Name: "iad", UID: "u-1"}})
	err := client(t, l.local(), "clusters").Delete(t.Context(), "iad", metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "it votes") || !apierrors.HasStatusCause(err, "Votes") {
		t.Errorf("delete: %v", err)
	}
}

// itVotes is a refusal that clients decide on.
type itVotes struct{ *store.Forbidden }

func (v itVotes) Unwrap() error         { return v.Forbidden }
func (itVotes) Cause() metav1.CauseType { return "Votes" }

// What is foretold of a write comes with its answer, and with that of a dry run; not with one that was refused.
func TestWhoWritesIsToldWhatIsForetold(t *testing.T) {
	refuse := false
	l := start(t, func(c *Config) {
		c.Foretell = func(_ *store.View, w Write) []string {
			if w.Key != v1alpha1.KeyClusters+"iad" {
				return nil
			}
			return []string{"mind iad"}
		}
		c.Companion = func(*store.View, Write) ([]store.Condition, []store.Op, error) {
			if refuse {
				return nil, nil, &store.Forbidden{Reason: "it stays"}
			}
			return nil, nil, nil
		}
	})
	for _, name := range []string{"fra", "iad"} {
		l.put(t, v1alpha1.KeyClusters+name, v1alpha1.Cluster{TypeMeta: v1alpha1.TypeOf("Cluster"), ObjectMeta: metav1.ObjectMeta{Name: name, UID: "u-1"}, Spec: v1alpha1.ClusterSpec{Region: "eu"}})
	}
	var seen warnings
	c := l.local()
	c.WarningHandler = &seen
	clusters := client(t, c, "clusters")
	label := []byte(`{"metadata": {"labels": {"tier": "edge"}}}`)
	dry := []string{metav1.DryRunAll}
	patch := func(name string, dry []string) func() error {
		return func() error {
			_, err := clusters.Patch(t.Context(), name, types.MergePatchType, label, metav1.PatchOptions{DryRun: dry})
			return err
		}
	}
	remove := func(name string, dry []string) func() error {
		return func() error { return clusters.Delete(t.Context(), name, metav1.DeleteOptions{DryRun: dry}) }
	}
	for _, s := range []struct {
		what             string
		ask              func() error
		refuse, foretold bool
	}{
		{"a label, refused", patch("iad", nil), true, false},
		{"a label, in a dry run", patch("iad", dry), false, true},
		{"a label", patch("iad", nil), false, true},
		{"that of another one", patch("fra", nil), false, false},
		{"a deletion, in a dry run", remove("iad", dry), false, true},
		{"a deletion", remove("iad", nil), false, true},
		{"that of another one", remove("fra", nil), false, false},
	} {
		seen, refuse = nil, s.refuse
		if err := s.ask(); (err != nil) != s.refuse {
			t.Errorf("%s: %v", s.what, err)
		}
		if foretold := strings.Contains(strings.Join(seen, "\n"), "mind iad"); foretold != s.foretold {
			t.Errorf("%s: told %q", s.what, seen)
		}
	}
}
