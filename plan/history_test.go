package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestOldChangesAreForgotten(t *testing.T) {
	now := time.Unix(1e9, 0)
	keep := v1alpha1.HistorySpec{Keep: 2, For: metav1.Duration{Duration: 24 * time.Hour}}
	// A change is OBJECT@HOURS, hours ago, the oldest first; with a ! behind it somebody was told the secret.
	for name, tt := range map[string]struct{ changes, there, forgotten string }{
		"none":                                     {"", "", ""},
		"those that are too many of one object":    {"a@4 b@3 a@2 a@1", "a b", "a@4"},
		"those that are too old":                   {"a@30 a@2", "a", "a@30"},
		"but for the latest of what is there":      {"a@40 a@30", "a", "a@40"},
		"what is older than one that is too old":   {"a@20 a@30 a@2", "a", "a@20 a@30"},
		"of what is not there, the latest too":     {"a@40 a@30", "", "a@40 a@30"},
		"of what was deleted as long as it is new": {"a@40 a@3", "", "a@40"},
		"not who was told, whatever came then":     {"a@9! a@8 a@7 a@6! a@5 a@4 a@3 a@2!", "a", "a@8 a@7 a@5"},
		"who was told, when it is too old":         {"a@40 a@30! a@20!", "a", "a@30!"},
		"who was told of what is not there":        {"a@30! a@20!", "", "a@30!"},
	} {
		t.Run(name, func(t *testing.T) {
			var all []Remembered
			for i, c := range strings.Fields(tt.changes) {
				object, hours, _ := strings.Cut(strings.TrimSuffix(c, "!"), "@")
				ago, err := time.ParseDuration(hours + "h")
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, Remembered{Name: c, Object: object, At: now.Add(-ago), Revision: uint64(i), Revealed: strings.HasSuffix(c, "!")})
			}
			there := map[string]bool{}
			for _, o := range strings.Fields(tt.there) {
				there[o] = true
			}
			if diff := cmp.Diff(tt.forgotten, strings.Join(Forget(all, there, keep, now).Changes, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// However often a secret is read, no other change goes for it, and the other way round; the oldest go.
func TestHowOftenSecretsWereRevealedIsBoundedApart(t *testing.T) {
	now := time.Unix(1e9, 0)
	var all []Remembered
	for i := range 2 * (historyChanges + 3) {
		all = append(all, Remembered{Name: fmt.Sprint(i), Object: fmt.Sprint("a", i%400), At: now, Revision: uint64(i), Revealed: i%2 == 0})
	}
	keep := (*v1alpha1.HistorySpec)(nil).Kept()
	keep.Keep = 1000
	if diff := cmp.Diff([]string{"0", "1", "2", "3", "4", "5"}, Forget(all, nil, keep, now).Changes); diff != "" {
		t.Error(diff)
	}
}

// The latest change says who made what is there. What was before it may hold a secret that was taken out, and is megabytes.
func TestThePastOfTheLatestChangeGoesToo(t *testing.T) {
	now := time.Unix(1e9, 0)
	keep := (*v1alpha1.HistorySpec)(nil).Kept()
	there := map[string]bool{}
	var all []Remembered
	for i := range 100 {
		there[fmt.Sprint(i)] = true
		all = append(all, Remembered{Name: fmt.Sprint(i), Object: fmt.Sprint(i), At: now, Revision: uint64(i), Size: 8 << 20})
	}
	all[99].At = now.Add(-keep.For.Duration - time.Second)
	f := Forget(all, there, keep, now)
	if n := len(f.Pasts); len(f.Changes) > 0 || n != 100-7 || f.Pasts[0] != "0" || f.Pasts[n-1] != "99" {
		t.Errorf("%d changes, and the pasts of %v", len(f.Changes), f.Pasts)
	}
}

// The latest change may be dated early, by the clock of the member that was asked.
func TestNoPastStaysBehindANewerOneThatWent(t *testing.T) {
	now := time.Unix(1e9, 0)
	keep := (*v1alpha1.HistorySpec)(nil).Kept()
	fresh := now.Add(-time.Hour)
	f := Forget([]Remembered{
		{Name: "older", Object: "a", At: fresh, Revision: 1, Size: 1},
		{Name: "latest", Object: "a", At: now.Add(-keep.For.Duration - time.Second), Revision: 2, Size: 1},
		{Name: "of another", Object: "b", At: fresh, Revision: 3, Size: 1},
	}, map[string]bool{"a": true, "b": true}, keep, now)
	if diff := cmp.Diff(Forgotten{Pasts: []string{"older", "latest"}}, f); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		now := time.Unix(1e9, 0)
		keep := (*v1alpha1.HistorySpec)(nil).Kept()
		keep.Keep = rapid.Int32Range(1, 40).Draw(rt, "keep")
		each := rapid.Int64Range(0, historyBytes).Draw(rt, "size")
		there := map[string]bool{}
		var all []Remembered
		for i := range rapid.IntRange(0, 200).Draw(rt, "changes") {
			object := fmt.Sprint(rapid.IntRange(0, 5).Draw(rt, "object"))
			there[object] = there[object] || rapid.Bool().Draw(rt, "there")
			all = append(all, Remembered{Name: fmt.Sprint(i), Object: object, At: now, Revision: uint64(i), Size: each})
			if all[i].Revealed = rapid.IntRange(0, 3).Draw(rt, "revealed") == 0; all[i].Revealed {
				all[i].Size = 0
			}
		}
		forgotten := Forget(all, there, keep, now)
		count, bytes, latest := map[string]int32{}, int64(0), map[string]string{}
		for i, c := range all {
			if c.Revealed {
				if slices.Contains(forgotten.Changes, c.Name) {
					rt.Fatalf("who was told %s is forgotten, and it is new", c.Object)
				}
				continue
			}
			latest[c.Object] = c.Name
			switch {
			case !slices.Contains(forgotten.Changes, c.Name):
				count[c.Object]++
			case count[c.Object] > 0:
				rt.Fatalf("%s of %s is forgotten, and not what is older", c.Name, c.Object)
			}
			if slices.Contains(slices.Concat(forgotten.Changes, forgotten.Pasts), c.Name) {
				all[i].Size = 0
			}
			bytes += all[i].Size
		}
		for object, name := range latest {
			if there[object] && slices.Contains(forgotten.Changes, name) {
				rt.Fatalf("the latest change of %s is forgotten, and it is there", object)
			}
			if count[object] > keep.Keep {
				rt.Fatalf("%d changes of %s", count[object], object)
			}
		}
		if bytes > historyBytes {
			rt.Fatalf("%d bytes", bytes)
		}
		// What is left is kept when it is asked about again.
		left := slices.DeleteFunc(slices.Clone(all), func(c Remembered) bool { return slices.Contains(forgotten.Changes, c.Name) })
		if again := Forget(left, there, keep, now); len(again.Changes)+len(again.Pasts) > 0 {
			rt.Fatalf("then %v too", again)
		}
	})
}
