package reconcile

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write golden files anew")

func sampleInventory() inventory {
	return inventory{
		bundle: "shop", bundleUID: "uid-1", revision: "shop-uid-1-7", storeRevision: 811, epoch: 1, epochID: "e-1", deletion: "Prune", generation: 3,
		entries: map[key]entry{
			{schema.GroupKind{Kind: "Namespace"}, "", "shop"}:                                                {version: "v1", uid: "a"},
			{schema.GroupKind{Group: "apps", Kind: "Deployment"}, "shop", "shop"}:                            {version: "v1", uid: "b"},
			{schema.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}, "", "system:sh\nop"}: {version: "v1", orphaned: true},
		},
	}
}

// The formats lie in people's clusters: a change of these files needs a new format number and a way to read the old.
func TestInventoryGolden(t *testing.T) {
	for name, inHead := range map[string]int{"inventory.golden": 0, "inventory-in-head.golden": maxInHead} {
		t.Run(name, func(t *testing.T) { goldenInventory(t, name, inHead) })
	}
}

func goldenInventory(t *testing.T, name string, inHead int) {
	head, chunks, err := sampleInventory().encode(inHead, maxChunk)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	var names []string
	for name := range head {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&text, "%s: %s\n", name, head[name])
	}
	for i, c := range chunks {
		fmt.Fprintf(&text, "-- %s\n%s", chunkName("shop", 3, i), c)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text.String()); diff != "" {
		t.Error(diff)
	}
}

func fetch(chunks []string, generation uint64) func(uint64, int) (string, bool) {
	return func(g uint64, i int) (string, bool) {
		if g != generation || i >= len(chunks) {
			return "", false
		}
		return chunks[i], true
	}
}

func TestInventoryComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inv := drawInventory(t)
		limit := rapid.IntRange(1, 400).Draw(t, "limit")
		head, chunks, err := inv.encode(rapid.IntRange(0, 400).Draw(t, "inHead"), limit)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decode(head, fetch(chunks, inv.generation))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(inv, back, cmp.AllowUnexported(inventory{}, key{}, entry{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

func drawInventory(t *rapid.T) inventory {
	inv := sampleInventory()
	inv.entries = map[key]entry{}
	text := rapid.StringMatching(`[a-z:.\n"\\\x00é]{0,12}`)
	for range rapid.IntRange(0, 30).Draw(t, "entries") {
		k := key{schema.GroupKind{Group: text.Draw(t, "group"), Kind: text.Draw(t, "kind")}, text.Draw(t, "namespace"), text.Draw(t, "name")}
		inv.entries[k] = entry{version: text.Draw(t, "version"), uid: types.UID(text.Draw(t, "uid")), orphaned: rapid.Bool().Draw(t, "orphaned")}
	}
	return inv
}

func TestAnInventoryThatLostAnythingIsDamaged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inv := drawInventory(t)
		inv.entries[key{name: "one"}] = entry{}
		head, chunks, err := inv.encode(0, rapid.IntRange(1, 400).Draw(t, "limit"))
		if err != nil {
			t.Fatal(err)
		}
		hurt := rapid.IntRange(0, len(chunks)-1).Draw(t, "chunk")
		switch rapid.IntRange(0, 4).Draw(t, "harm") {
		case 0:
			chunks = chunks[:hurt]
		case 1:
			chunks[hurt] = chunks[hurt][:rapid.IntRange(0, len(chunks[hurt])-1).Draw(t, "cut")]
		case 2:
			chunks[hurt] += chunks[hurt]
		case 3:
			inv.generation++ // the chunks of another save
		case 4:
			delete(head, rapid.SampledFrom([]string{"format", "chunks", "sha256", "generation", "storeRevision", "bundle"}).Draw(t, "field"))
		}
		if _, err := decode(head, fetch(chunks, inv.generation)); !errors.Is(err, errDamaged) {
			t.Fatalf("error: %v", err)
		}
	})
}

// A short list lies in the head, where nothing of it gets lost unnoticed either.
func TestAHeadThatLostAnythingIsDamaged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inv := drawInventory(t)
		inv.entries[key{name: "one"}] = entry{}
		head, chunks, err := inv.encode(maxChunk, maxChunk)
		if err != nil || len(chunks) > 0 {
			t.Fatalf("%d chunks, %v", len(chunks), err)
		}
		switch field := rapid.SampledFrom([]string{"format", "chunks", "sha256", "generation", "storeRevision", "bundle", chunkKey}).Draw(t, "field"); {
		case field == chunkKey && rapid.Bool().Draw(t, "cut"):
			head[field] = head[field][:rapid.IntRange(0, len(head[field])-1).Draw(t, "at")]
		case field == "chunks" && rapid.Bool().Draw(t, "more"):
			head[field] = "1"
		case field == "format" && rapid.Bool().Draw(t, "older"):
			head[field] = formatChunks
		default:
			delete(head, field)
		}
		if _, err := decode(head, fetch(nil, 0)); !errors.Is(err, errDamaged) {
			t.Fatalf("error: %v", err)
		}
	})
}

func TestChunksStayBelowTheLimit(t *testing.T) {
	inv := sampleInventory()
	for i := range 20000 {
		inv.entries[key{schema.GroupKind{Group: "apps", Kind: "Deployment"}, "shop", fmt.Sprintf("shop-%d", i)}] = entry{version: "v1", uid: "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}
	}
	_, chunks, err := inv.encode(maxInHead, maxChunk)
	if err != nil {
		t.Fatal(err)
	}
	if len(chunks) < 2 {
		t.Errorf("%d chunks", len(chunks))
	}
	for _, c := range chunks {
		if len(c) > maxChunk {
			t.Errorf("a chunk has %d bytes", len(c))
		}
	}
}
