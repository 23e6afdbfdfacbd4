package epoch

import (
	"testing"

	"github.com/hanse-fleet/hanse/law"
)

func TestWhatANewClusterSaysOfItselfAndItsTokenDoesNot(t *testing.T) {
	for name, c := range map[string]struct {
		token, terms law.Terms
		want         string
	}{
		"neither":                 {law.Terms{}, law.Terms{}, ""},
		"region":                  {law.Terms{}, law.Terms{Region: "eu"}, "region"},
		"both":                    {law.Terms{}, law.Terms{Region: "eu", Zone: "a"}, "region,zone"},
		"zone, the token region":  {law.Terms{Region: "eu"}, law.Terms{Region: "eu", Zone: "a"}, "zone"},
		"the token says the zone": {law.Terms{Zone: "a"}, law.Terms{Region: "eu", Zone: "a"}, "region"},
		"the token says both":     {law.Terms{Region: "eu", Zone: "a"}, law.Terms{Region: "eu", Zone: "a"}, ""},
	} {
		if got := SaidItself(c.token, c.terms); got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}
