package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// TestALostAnswerHarmsNoInventory: the head of a save was written, and nobody heard; the saves after it must not touch what it speaks of.
func TestALostAnswerHarmsNoInventory(t *testing.T) {
	client := newConfigMaps()
	s := client.session()
	ctx := context.Background()
	inv := inventory{bundle: "shop", entries: map[key]entry{}}
	for i := range 100 { // more than a head takes
		inv.entries[key{schema.GroupKind{Kind: "ConfigMap"}, "ns", fmt.Sprint("of-many-", i)}] = entry{version: "v1"}
	}
	list := func(name string) {
		inv = inv.clone()
		inv.entries[key{schema.GroupKind{Kind: "ConfigMap"}, "ns", name}] = entry{version: "v1"}
	}
	list("a")
	have, err := s.save(ctx, stored{}, inv)
	if err != nil {
		t.Fatal(err)
	}
	lost := false
	client.lose = func(request string) error {
		if lost || request != "update "+shardNameOf("shop") {
			return nil
		}
		lost = true
		return errors.New("the answer is lost")
	}
	list("b")
	lies := inv
	if _, err := s.save(ctx, have, inv); err == nil {
		t.Fatal("the answer is not lost")
	}
	for _, name := range []string{"c", "d"} {
		list(name)
		if _, err := s.save(ctx, have, inv); !isLost(err) {
			t.Fatalf("saved over what is newer: %v", err)
		}
	}
	loaded, err := s.load(ctx, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lies.entries, loaded.entries, cmp.AllowUnexported(key{}, entry{})); diff != "" {
		t.Error(diff)
	}

	if _, err := s.save(ctx, loaded, inv); err != nil {
		t.Fatal(err)
	}
	if n := client.chunks(); n != 1 {
		t.Errorf("%d chunks are left of one", n)
	}
	if loaded, err = s.load(ctx, "shop"); err != nil || len(loaded.entries) != 104 {
		t.Errorf("%d entries, %v", len(loaded.entries), err)
	}
}

// TestAShortListLiesInTheHead: it costs one write, takes the place of the chunks of an earlier save, and grows out of it again.
func TestAShortListLiesInTheHead(t *testing.T) {
	client := newConfigMaps()
	s := client.session()
	ctx := context.Background()
	have := stored{inventory: inventory{bundle: "shop"}}
	for step, c := range []struct{ objects, chunks, writes int }{
		{3, 0, 1}, {4, 0, 1}, {200, 1, 2}, {199, 1, 3}, {2, 0, 2}, {300, 1, 2},
	} {
		inv := inventory{bundle: "shop", entries: map[key]entry{}}
		for i := range c.objects {
			inv.entries[key{schema.GroupKind{Kind: "ConfigMap"}, "ns", fmt.Sprint("of-many-", i)}] = entry{version: "v1", uid: "u"}
		}
		client.requests()
		var err error
		if have, err = s.save(ctx, have, inv); err != nil {
			t.Fatal(err)
		}
		if n := client.requests("create ", "update ", "delete "); n != c.writes {
			t.Errorf("step %d: %d writes", step, n)
		}
		if n := client.chunks(); n != c.chunks {
			t.Errorf("step %d: %d chunks", step, n)
		}
		loaded, err := s.load(ctx, "shop")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(inv.entries, loaded.entries, cmp.AllowUnexported(key{}, entry{})); diff != "" {
			t.Errorf("step %d: %s", step, diff)
		}
	}
}

// TestOneListTellsOfAllInventories: each bundle takes its own once, and asks from then on.
func TestOneListTellsOfAllInventories(t *testing.T) {
	client := newConfigMaps()
	s := client.session()
	ctx := context.Background()
	for _, bundle := range []string{"shop", "mail", "left"} {
		one := map[key]entry{{schema.GroupKind{Kind: "ConfigMap"}, "ns", bundle}: {version: "v1"}}
		if _, err := s.save(ctx, stored{}, inventory{bundle: bundle, entries: one}); err != nil {
			t.Fatal(err)
		}
	}
	lists := func(do func()) (n int) {
		client.requests()
		do()
		return client.requests("list ")
	}
	first := func(bundle string, want int) func() {
		return func() {
			if have, err := s.first(ctx, bundle); err != nil || len(have.entries) != want || have.bundle != bundle {
				t.Errorf("%s: %d entries, %v", bundle, len(have.entries), err)
			}
		}
	}
	if n := lists(first("shop", 1)); n != 1 {
		t.Errorf("before anything is known it is asked %d times", n)
	}
	if n := lists(func() {
		if err := s.survey(ctx, []Grant{{Bundle: "shop"}, {Bundle: "mail"}, {Bundle: "fresh"}}); err != nil {
			t.Fatal(err)
		}
	}); n != 1 {
		t.Errorf("all are asked for %d times", n)
	}
	for _, c := range []struct {
		bundle        string
		entries, asks int
	}{
		{"shop", 1, 0}, {"shop", 1, 1}, // taken once
		{"fresh", 0, 0}, {"fresh", 0, 1},
		{"later", 0, 0}, // nobody else makes any
		{"left", 1, 1},  // it lay there without a grant, and may be changed by hand
	} {
		if n := lists(first(c.bundle, c.entries)); n != c.asks {
			t.Errorf("%s is asked for %d times", c.bundle, n)
		}
	}
	if _, err := s.load(ctx, "mail"); err != nil {
		t.Fatal(err)
	}
	if n := lists(first("mail", 1)); n != 1 {
		t.Errorf("what was read since is asked for %d times", n)
	}
}

// TestABundleThatCannotBeRenderedReadsItsInventoryLater: somebody may delete or damage it until then.
func TestABundleThatCannotBeRenderedReadsItsInventoryLater(t *testing.T) {
	client := newConfigMaps()
	s := client.session()
	ctx := context.Background()
	one := map[key]entry{{schema.GroupKind{Kind: "ConfigMap"}, "ns", "settings"}: {version: "v1"}}
	if _, err := s.save(ctx, stored{}, inventory{bundle: "shop", entries: one}); err != nil {
		t.Fatal(err)
	}
	g := Grant{Bundle: "shop", Revision: "shop-1", Fault: "no key opens it"}
	if err := s.survey(ctx, []Grant{g}); err != nil {
		t.Fatal(err)
	}
	b := &bundle{
		s: &session{board: newBoard(func([]Report) {}, 0), inventories: s}, name: g.Bundle, label: v1alpha1.BundleLabel(g.Bundle),
		mail: newMailbox(), logger: slog.New(slog.DiscardHandler),
	}
	b.take(g)
	client.edit(t, shardNameOf(g.Bundle), func(cm *corev1.ConfigMap) { delete(cm.Data, g.Bundle) })
	if have, err := s.first(ctx, g.Bundle); err != nil || have.head != "" || len(have.entries) != 0 {
		t.Errorf("it begins from %d objects of a list that is gone, %v", len(have.entries), err)
	}
}

// TestRefusedHeadsLeaveNoChunksWithoutBound: whatever the list is each time, and whether or not the inventory is read again in between.
func TestRefusedHeadsLeaveNoChunksWithoutBound(t *testing.T) {
	for name, tt := range map[string]struct{ exists, reads bool }{
		"a first head": {false, false}, "a first head, read again": {false, true}, "a newer head": {true, false}, "a newer head, read again": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			client, ctx := newConfigMaps(), context.Background()
			s := client.session()
			inv := inventory{bundle: "shop", entries: map[key]entry{}}
			list := func(name string) {
				inv = inv.clone()
				inv.entries[key{schema.GroupKind{Kind: "ConfigMap"}, "ns", name}] = entry{version: "v1"}
			}
			for i := range 300 { // too many for the head
				list(fmt.Sprint("of-many-", i))
			}
			load := func() stored {
				t.Helper()
				have, err := s.load(ctx, "shop")
				if err != nil {
					t.Fatal(err)
				}
				return have
			}
			have := load()
			if tt.exists {
				if _, err := s.save(ctx, have, inv); err != nil {
					t.Fatal(err)
				}
				have = load()
			}
			client.refuse = func(request string) error {
				if verb, name, _ := strings.Cut(strings.TrimSuffix(request, "!"), " "); name != shardNameOf("shop") || verb == "get" {
					return nil
				}
				return apierrors.NewForbidden(configMapResource, "x", errors.New("a webhook says no"))
			}
			for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
				list(name)
				var err error
				if have, err = s.save(ctx, have, inv); !apierrors.IsForbidden(err) {
					t.Fatalf("%v", err)
				}
				if tt.reads {
					have = load()
				}
			}
			if n := client.chunks(); n > 2 {
				t.Errorf("%d chunks", n)
			}
			client.refuse = nil
			if _, err := s.save(ctx, have, inv); err != nil {
				t.Fatal(err)
			}
			if n := client.chunks(); n != 1 {
				t.Errorf("%d chunks are left of one", n)
			}
		})
	}
}
