package law

import (
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// TestOnlyAdminsSayThatAValueIsNoSecret: it closes lines of the ledger, and the value stays as it was.
func TestOnlyAdminsSayThatAValueIsNoSecret(t *testing.T) {
	none := []string{}
	for name, c := range map[string]struct {
		who           string
		before, after []string // nil before: it is new
		ok            bool
	}{
		"an operator names none":                {"otto", none, nil, true},
		"an operator names one":                 {"otto", none, []string{"password"}, false},
		"an operator names one more":            {"otto", []string{"user"}, []string{"user", "password"}, false},
		"an operator names another":             {"otto", []string{"user"}, []string{"password"}, false},
		"an operator keeps one":                 {"otto", []string{"user"}, []string{"user"}, true},
		"an operator has them in another order": {"otto", []string{"user", "host"}, []string{"host", "user"}, true},
		"an operator says that it is one again": {"otto", []string{"user", "host"}, []string{"host"}, true},
		"an operator makes one, and names none": {"otto", nil, nil, true},
		"an operator makes one, and names one":  {"otto", nil, []string{"user"}, false},
		"an admin names one":                    {"anna", none, []string{"password"}, true},
		"an admin makes one, and names one":     {"anna", nil, []string{"user"}, true},
	} {
		r := keyed(t)
		write := func(person string, generation int64, notSecret []string) error {
			s := secret("db")
			s.Generation, s.Spec.NotSecret = generation, notSecret
			return r.try("id-fra", person, 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+"db", s))...)
		}
		if c.before != nil {
			if err := write("anna", 1, c.before); err != nil {
				t.Fatalf("%s: before: %v", name, err)
			}
		}
		if err := write(c.who, 2, c.after); (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "only admins add to it") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNobodySaysThatAValueIsNoSecretByMakingItAnew: what was before it is deleted.
func TestNobodySaysThatAValueIsNoSecretByMakingItAnew(t *testing.T) {
	r := keyed(t)
	s := secret("db")
	s.Spec.NotSecret = []string{"user"}
	if err := r.try("id-fra", "anna", 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+"db", s))...); err != nil {
		t.Fatal(err)
	}
	if err := r.try("id-fra", "otto", 0, r.whole(store.Delete(v1alpha1.KeyFleetSecrets+"db"))...); err != nil {
		t.Fatal(err)
	}
	s.UID = "u-again"
	if err := r.try("id-fra", "otto", 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+"db", s))...); err == nil || !strings.Contains(err.Error(), "only admins add to it") {
		t.Errorf("an operator makes it anew: %v", err)
	}
}
