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
