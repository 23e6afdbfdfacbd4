package keep

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/secrets"
)

// oneLog is a log that every Keeper of a test has at once.
type oneLog struct {
	*store.Store
	mu    sync.Mutex
	index uint64
}

func (l *oneLog) Term() (term uint64, led bool) { return 1, true }

func (l *oneLog) Changed(ctx context.Context, prefixes []string, after store.Revision) error {
	w, err := l.Watch("/", after)
	if err != nil {
		return err
	}
	for !l.View().Written(prefixes, after) {
		if _, err := w.Next(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (l *oneLog) Propose(_ context.Context, txn store.Txn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	entry, err := store.EncodeEntry([]store.Command{{Proposer: "m", Txn: &txn}})
	if err != nil {
		return err
	}
	l.index++
	results, err := l.Apply(l.index, 1, entry)
	if err != nil {
		return err
	}
	return results[0].Err
}

// amendGroup writes the group readers as a person would.
func (l *oneLog) amendGroup(t *testing.T, change func(*v1alpha1.RecipientGroup)) {
	t.Helper()
	g, err := decoded.GroupAt(l.View(), "readers")
	if err != nil {
		t.Fatal(err)
	}
	change(g)
	op, err := law.Put(v1alpha1.KeyRecipientGroups+"readers", g)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Propose(t.Context(), store.Txn{Then: []store.Op{op}}); err != nil {
		t.Fatal(err)
	}
}

// comesTo waits until a view is as it is to be.
func (l *oneLog) comesTo(t *testing.T, what string, is func(*store.View, *v1alpha1.RecipientGroup) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	for {
		v := l.View()
		g, err := decoded.GroupAt(v, "readers")
		if err != nil {
			t.Fatal(err)
		}
		if is(v, g) {
			return
		}
		if err := l.Changed(ctx, []string{"/"}, v.Revision()); err != nil {
			t.Fatalf("within an hour it is not so that %s: %+v", what, g.Status)
		}
	}
}

// TestTwoMembersKeepAGroup: they make its key, and, as somebody asks for it, another one, to which they seal again what was sealed to the first. Each knows
// of the other what the log says.
func TestTwoMembersKeepAGroup(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&logged, nil))
		members := []Holder{keyHolder(t, "fra"), keyHolder(t, "iad")}
		group := &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "readers"}, Spec: v1alpha1.RecipientGroupSpec{ClusterSelector: &metav1.LabelSelector{}}}
		values := map[string]any{v1alpha1.KeyRecipientGroups + "readers": group, store.KeyMembers + "n": store.Member{ID: "n", Cluster: "iad", Pin: store.Pin{2}}}
		for _, h := range members {
			values[v1alpha1.KeyClusters+h.Cluster] = v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: h.Cluster}, Status: v1alpha1.ClusterStatus{Recipient: h.recipient()}}
		}
		l := &oneLog{Store: storetest.Store(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, values), index: 1}
		ctx, cancel := context.WithCancel(t.Context())
		var keepers sync.WaitGroup
		for _, h := range members {
			k := New(Config{
				Holder: h, Log: l, Kinds: decoded.NewKinds(), Now: time.Now, Logger: logger,
				Heard:  func(*store.View) func(string) bool { return func(string) bool { return true } },
				Signed: func(store.Member, string, *v1alpha1.ClusterStatus) error { return nil },
			})
			keepers.Go(func() {
				if err := k.Run(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		stop := func() { cancel(); keepers.Wait() }
		defer stop()

		hold := func(_ *store.View, g *v1alpha1.RecipientGroup) bool {
			return g.Status.Epoch > 0 && g.Holds("fra", members[0].recipient()) && g.Holds("iad", members[1].recipient())
		}
		l.comesTo(t, "both hold its key", hold)
		first, err := decoded.GroupAt(l.View(), "readers")
		if err != nil {
			t.Fatal(err)
		}
		to, err := secrets.ParseRecipient(first.Status.Recipient)
		if err != nil {
			t.Fatal(err)
		}
		s := v1alpha1.FleetSecret{TypeMeta: v1alpha1.TypeOf("FleetSecret"), ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: "shop"}, Spec: v1alpha1.FleetSecretSpec{Group: "readers", Namespace: "shop"}}
		if s.Spec.Data, err = secrets.Seal(to, targetOf(&s), data("password", "canary-4711")); err != nil {
			t.Fatal(err)
		}
		const revision = "secret.db-u-1"
		op, err := law.Put(v1alpha1.KeyBundleRevisions+revision, map[string]any{"spec": map[string]any{"bundle": "secret.db", "bundleUID": "u", "generation": 1, "manifests": []any{s}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Propose(t.Context(), store.Txn{Then: []store.Op{op}}); err != nil {
			t.Fatal(err)
		}
		l.amendGroup(t, func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate = 1 })
		l.comesTo(t, "both hold another key, which is proven", func(v *store.View, g *v1alpha1.RecipientGroup) bool {
			return g.Status.Epoch == 2 && hold(v, g) && !g.Status.Unproven()
		})
		l.comesTo(t, "what was sealed is sealed again, and confirmed", func(v *store.View, _ *v1alpha1.RecipientGroup) bool {
			told := law.SealingAt(v, revision)
			return told != nil && told.Epoch == 2 && told.Found == 1 && told.Sure() && told.Witness != ""
		})
		stop()
		told := law.SealingAt(l.View(), revision)
		if told.By == told.Confirmed || told.By == told.Witness {
			t.Errorf("who sealed again confirms it: %+v", told)
		}
		for _, h := range members {
			if got := openedBy(t, h, l.View()); got.fault != "" || fmt.Sprint(got.objects[0].Object["data"]) != "map[password:Y2FuYXJ5LTQ3MTE=]" {
				t.Errorf("%s opens %d objects, and says %q", h.Cluster, len(got.objects), got.fault)
			}
		}
		if said := logged.String(); strings.Contains(said, "level=WARN") || strings.Contains(said, "level=ERROR") || strings.Contains(said, "canary") {
			t.Errorf("they say\n%s", said)
		}
	})
}

// A member that left its last group, or whose last group is deleted, keeps nothing in memory of what was sealed for it.
func TestWhoHoldsNothingForgetsWhatWasSealed(t *testing.T) {
	for name, leaves := range map[string]func(*testing.T, *oneLog){
		"it left": func(t *testing.T, l *oneLog) {
			l.amendGroup(t, func(g *v1alpha1.RecipientGroup) {
				g.Spec.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"reads": "yes"}}
			})
		},
		"the group is deleted": func(t *testing.T, l *oneLog) {
			if err := l.Propose(t.Context(), store.Txn{Then: []store.Op{store.Delete(v1alpha1.KeyRecipientGroups + "readers")}}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := keyHolder(t, "fra")
			l := &oneLog{Store: storetest.Store(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, map[string]any{
				v1alpha1.KeyRecipientGroups + "readers": &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "readers"}, Spec: v1alpha1.RecipientGroupSpec{ClusterSelector: &metav1.LabelSelector{}}},
				v1alpha1.KeyClusters + "fra":            v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "fra"}, Status: v1alpha1.ClusterStatus{Recipient: h.recipient()}},
				v1alpha1.KeyBundleRevisions + "secret.db-u-1": map[string]any{"spec": map[string]any{"bundle": "secret.db", "bundleUID": "u", "generation": 1,
					"manifests": []any{map[string]any{"spec": map[string]any{"group": "readers"}}}}},
			}), index: 1}
			k := New(Config{
				Holder: h, Log: l, Kinds: decoded.NewKinds(), Now: time.Now, Logger: slog.New(slog.DiscardHandler),
				Heard:  func(*store.View) func(string) bool { return func(string) bool { return true } },
				Signed: func(store.Member, string, *v1alpha1.ClusterStatus) error { return nil },
			})
			for range 2 { // it makes the key, and then looks at what is sealed
				if _, err := k.keep(t.Context(), l.View()); err != nil {
					t.Fatal(err)
				}
			}
			if k.dues.at == 0 || len(k.dues.revisions) != 1 {
				t.Fatalf("who holds the key knows of %d revisions", len(k.dues.revisions))
			}
			leaves(t, l)
			if _, err := k.keep(t.Context(), l.View()); err != nil {
				t.Fatal(err)
			}
			if k.dues.at != 0 || k.dues.revisions != nil {
				t.Errorf("it still knows of %d revisions, as of %d", len(k.dues.revisions), k.dues.at)
			}
		})
	}
}
