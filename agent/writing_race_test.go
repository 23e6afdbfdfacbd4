package agent

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// log is a store that is written to by hand.
type log struct {
	*testing.T
	*store.Store
	index uint64
}

func (l *log) apply(txn store.Txn) error {
	l.Helper()
	l.index++
	c := store.Command{ID: store.CommandID{Incarnation: "m", Seq: l.index}, Proposer: "m", Time: time.Unix(int64(l.index), 0).UnixNano(), Txn: &txn}
	entry, err := store.EncodeEntry([]store.Command{c})
	if err != nil {
		l.Fatal(err)
	}
	results, err := l.Apply(l.index, 1, entry)
	if err != nil {
		l.Fatal(err)
	}
	return results[0].Err
}

func (l *log) put(key string, value any) {
	l.Helper()
	op, err := law.Put(key, value)
	if err == nil {
		err = l.apply(store.Txn{Then: []store.Op{op}})
	}
	if err != nil {
		l.Fatal(err)
	}
}

// What is decided for a cluster in one fault domain is not written once it is in another: nobody holds the lease there.
func TestAGrantRestsOnWhatItWasDecidedFrom(t *testing.T) {
	fra := v1alpha1.Cluster{TypeMeta: v1alpha1.TypeOf("Cluster")}
	fra.Name, fra.Labels = "fra", map[string]string{v1alpha1.LabelRegion: "eu"}
	iad := *fra.DeepCopy()
	iad.Name = "iad"
	db := v1alpha1.FleetSecret{Spec: v1alpha1.FleetSecretSpec{Group: "prod"}}
	for name, row := range map[string]struct {
		meanwhile func(l *log)
		overtaken bool
	}{
		"nothing": {func(*log) {}, false},
		"its cluster is relabelled": {func(l *log) {
			moved := fra.DeepCopy()
			moved.Labels[v1alpha1.LabelRegion] = "us"
			l.put(v1alpha1.KeyClusters+"fra", moved)
		}, true},
		"its cluster is removed, which had no member": {func(l *log) {
			if err := l.apply(store.Txn{Then: []store.Op{store.Delete(v1alpha1.KeyClusters + "fra")}}); err != nil {
				l.Fatal(err)
			}
		}, true},
		"another cluster is relabelled": {func(l *log) {
			moved := iad.DeepCopy()
			moved.Labels[v1alpha1.LabelRegion] = "us"
			l.put(v1alpha1.KeyClusters+"iad", moved)
		}, false},
		"its bundle is changed":    {func(l *log) { l.put(v1alpha1.KeyBundles+"shop", &v1alpha1.Bundle{}) }, true},
		"it was granted something": {func(l *log) { l.put(v1alpha1.GrantKey("fra", "shop"), v1alpha1.Grant{}) }, true},
		"a rollout is written":     {func(l *log) { l.put(v1alpha1.KeyRollouts+"cart", &v1alpha1.Rollout{}) }, true},
		"the fleet is frozen":      {func(l *log) { l.put(v1alpha1.KeyFleets+"acme", &v1alpha1.Fleet{}) }, true},
		"its group is of others":   {func(l *log) { l.put(v1alpha1.KeyRecipientGroups+"prod", &v1alpha1.RecipientGroup{}) }, true},
		"its secret is changed":    {func(l *log) { l.put(v1alpha1.KeyFleetSecrets+"db", &db) }, true},
		"another group is changed": {func(l *log) { l.put(v1alpha1.KeyRecipientGroups+"edge", &v1alpha1.RecipientGroup{}) }, false},
		"a user is let in":         {func(l *log) { l.put(v1alpha1.KeyUsers+"anna", &v1alpha1.User{}) }, false},
	} {
		for _, held := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, held: %v", name, held), func(t *testing.T) {
				l := &log{T: t, Store: store.New(nil)}
				l.put(v1alpha1.KeyClusters+"fra", &fra)
				l.put(v1alpha1.KeyClusters+"iad", &iad)
				l.put(v1alpha1.KeyBundles+"shop", &v1alpha1.Bundle{})
				l.put(v1alpha1.KeyRecipientGroups+"prod", &v1alpha1.RecipientGroup{})
				l.put(v1alpha1.KeyFleetSecrets+"db", &db)
				w := (&leader{Core: &Core{decoded: decoded.NewKinds()}, statusWritten: map[string]time.Time{}}).newWriting(scene{view: l.View()})
				for _, bundle := range []string{"shop", "secret.db"} {
					grant := v1alpha1.Grant{Bundle: bundle, Revision: bundle + "-00000001-1", Held: held}
					if written, err := w.add(t.Context(), plan.Step{Bundle: bundle, Grants: map[string]v1alpha1.Grant{"fra": grant}}); err != nil || !written {
						t.Fatal(written, err)
					}
				}
				row.meanwhile(l)
				var overtaken *store.Conflict
				switch err := l.apply(w.txn()); {
				case row.overtaken && !errors.As(err, &overtaken):
					t.Errorf("it was written: %v", err)
				case !row.overtaken && err != nil:
					t.Error(err)
				}
			})
		}
	}
}
