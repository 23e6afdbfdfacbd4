package keep

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/secrets"
)

// A holder looks at what another one sealed again to key 3, and told: a value that is sealed to key 1.
func TestAHolderWritesAnewWhatAnotherOneDidBadly(t *testing.T) {
	for name, c := range map[string]struct {
		told func(*v1alpha1.Sealing)
		// confirmed is who stands for the data then, witness for what was told, and anew that it is written anew. fails: nothing is.
		confirmed, witness string
		anew, fails        bool
	}{
		"all is right":                   {func(*v1alpha1.Sealing) {}, "fra", "fra", false, false},
		"it does not open":               {func(s *v1alpha1.Sealing) { s.Data = []byte("junk") }, "", "", true, false},
		"no key opens it, as it is told": {func(s *v1alpha1.Sealing) { s.Found, s.Data, s.Since = 0, nil, nil }, "", "", true, false},
		"it is of another key":           {func(s *v1alpha1.Sealing) { s.Found = 2 }, "", "", true, false},
		"it is known for longer":         {func(s *v1alpha1.Sealing) { s.Since = []map[string]int64{{"readers": 2}} }, "", "", true, false},
		"the data alone, of another one": {func(s *v1alpha1.Sealing) { s.Instead, s.Found = "mad", 2 }, "", "", true, false},
		"nothing, of another one":        {func(s *v1alpha1.Sealing) { s.Instead, s.Data = "mad", []byte("junk") }, "", "", true, false},
		"nor after its own word":         {func(s *v1alpha1.Sealing) { s.Instead, s.Data = "fra", []byte("junk") }, "", "", false, true},
		"nor when another came between": {func(s *v1alpha1.Sealing) {
			s.Instead, s.Data, s.Words = "mad", []byte("junk"), []v1alpha1.SealedWord{{By: "fra", Epoch: 3}}
		}, "", "", false, true},
		"all is right after that":     {func(s *v1alpha1.Sealing) { s.Instead = "mad" }, "fra", "fra", false, false},
		"what was witnessed stays":    {func(s *v1alpha1.Sealing) { s.Witness, s.Found = "mad", 2 }, "fra", "mad", false, false},
		"and is kept by what is anew": {func(s *v1alpha1.Sealing) { s.Witness, s.Data = "mad", []byte("junk") }, "", "mad", true, false},
		"it is not sealed again":      {func(s *v1alpha1.Sealing) { s.Found, s.Data, s.Since = 3, nil, nil }, "", "", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, last, of := forms(t, []form{{epoch: 1, data: data("password", "a")}})
			s.group.Value.Status.Recipient = s.ring.keys[3].Recipient().String()
			was := *s.known[last]
			was.By = "iad"
			c.told(&was)
			next, err := s.confirmed(last, was, of)
			if (err != nil) != c.fails {
				t.Fatalf("it says: %v", err)
			}
			if c.fails {
				return
			}
			if next.Confirmed != c.confirmed || next.Witness != c.witness || (next.By == "fra") != c.anew || (next.Instead == "iad") != c.anew {
				t.Errorf("it becomes %+v", next)
			}
			if !c.anew {
				return
			}
			if c.witness == "" && next.Found != 1 {
				t.Errorf("it is said to be sealed to key %d", next.Found)
			}
			if got, err := secrets.Open(s.ring.keys[3], targetOf(&of), next.Data); err != nil || string(got["password"]) != "a" {
				t.Errorf("it has %d values: %v", len(got), err)
			}
			if kept, words := was.Leaves("fra", 3, s.ring.oldest()); !cmp.Equal(next.Was, kept) || !cmp.Equal(next.Words, words) || words == nil {
				t.Errorf("of what was there, %+v, it keeps %+v and %+v", was, next.Was, next.Words)
			}
		})
	}
}
