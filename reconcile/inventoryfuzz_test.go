package reconcile

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzInventory mends the checksum, so that what it is of is reached: whatever people make of its ConfigMaps, an inventory is damaged, or is written
// again as it was read.
func FuzzInventory(f *testing.F) {
	for _, inHead := range []int{0, maxInHead} {
		head, chunks, err := sampleInventory().encode(inHead, 60)
		if err != nil {
			f.Fatal(err)
		}
		raw, err := writeHead(head)
		if err != nil {
			f.Fatal(err)
		}
		chunks = append(chunks, "", "")
		f.Add(raw, chunks[0], chunks[1])
	}
	f.Add("null", "", "")
	f.Add(`{"format":"1","bundle":"a","generation":"1","storeRevision":"1","epoch":"1","chunks":"999999999999"}`, "[]\n", "[1,2]")
	f.Fuzz(func(t *testing.T, raw, first, second string) {
		head, err := parseHead(raw)
		if err != nil {
			if !errors.Is(err, errDamaged) {
				t.Errorf("untyped error: %v", err)
			}
			return
		}
		if head == nil {
			head = map[string]string{}
		}
		parts := []string{first, second}
		if head["chunks"] == "1" {
			parts = parts[:1]
		}
		head["sha256"] = sumOf(parts)
		if head["format"] == formatHead {
			head["sha256"] = sumOf([]string{head[chunkKey]})
		}
		inv, err := decode(head, func(_ uint64, i int) (string, bool) {
			return slices.Concat(parts, []string{""})[min(i, len(parts))], i < len(parts)
		})
		if err != nil {
			if !errors.Is(err, errDamaged) {
				t.Errorf("untyped error: %v", err)
			}
			return
		}
		again, chunks, err := inv.encode(maxInHead, maxChunk)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		back, err := decode(again, fetch(chunks, inv.generation))
		if err != nil {
			t.Fatalf("what was read and written is damaged: %v", err)
		}
		inv.corrected = max(0, inv.corrected) // how often somebody was corrected, which none was less than never
		if diff := cmp.Diff(inv, back, cmp.AllowUnexported(inventory{}, key{}, entry{})); diff != "" {
			t.Error(diff)
		}
	})
}
