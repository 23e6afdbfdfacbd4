package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/secrets"
)

// keys are an identity each.
func keys(t *testing.T, n int) (all []secrets.Identity) {
	t.Helper()
	for range n {
		id, err := secrets.NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, id)
	}
	return all
}

func TestARecoveryKeyOpensWhatIsSealedToAnyKeyOfAGroup(t *testing.T) {
	all := keys(t, 6)
	own, other, group := all[0], all[1], all[2:]
	at := func(epoch int64) secrets.Key { return secrets.Key{Fleet: "acme", Group: "readers", Epoch: epoch} }
	wrap := func(to, key secrets.Identity, epoch int64) []byte {
		t.Helper()
		wrapped, err := secrets.Wrap(to.Recipient(), at(epoch), key)
		if err != nil {
			t.Fatal(err)
		}
		return wrapped
	}
	target := secrets.Target{Namespace: "shop", Name: "db"}
	sealed := func(key secrets.Identity) []byte {
		t.Helper()
		data, err := secrets.Seal(key.Recipient(), target, map[string][]byte{"password": []byte("canary-4711")})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	// the group has had the keys 1 to 3, and a fourth that is another's.
	g := v1alpha1.RecipientGroup{}
	g.Name, g.Status.Epoch, g.Status.Recipient = "readers", 3, group[2].Recipient().String()
	for i, key := range group[:2] {
		g.Status.Former = append(g.Status.Former, v1alpha1.FormerKey{Epoch: int64(i + 1), Recipient: key.Recipient().String(), Key: wrap(group[i+1], key, int64(i+1))})
	}
	mine := v1alpha1.KeyID(own.Recipient().String())
	of := func(cluster string, epoch int64) v1alpha1.KeyWrap {
		return v1alpha1.KeyWrap{Cluster: cluster, Key: mine, Epoch: epoch, Wrap: wrap(own, group[epoch-1], epoch)}
	}
	for name, c := range map[string]struct {
		wraps []v1alpha1.KeyWrap
		with  secrets.Identity
		key   int // which of the group's it is sealed to
		why   string
	}{
		"the present one":         {[]v1alpha1.KeyWrap{of("", 3)}, own, 2, ""},
		"the one before":          {[]v1alpha1.KeyWrap{of("", 3)}, own, 1, ""},
		"the first":               {[]v1alpha1.KeyWrap{of("", 3)}, own, 0, ""},
		"of two wraps, the later": {[]v1alpha1.KeyWrap{of("", 2), of("", 3)}, own, 2, ""},
		"as long as nobody has opened the present one":     {[]v1alpha1.KeyWrap{of("", 2)}, own, 0, ""},
		"a later one than it was given":                    {[]v1alpha1.KeyWrap{of("", 2)}, own, 2, "sealed for another key"},
		"one that the group never had":                     {[]v1alpha1.KeyWrap{of("", 3)}, own, 3, "sealed for another key"},
		"a cluster's wrap is none of a person":             {[]v1alpha1.KeyWrap{of("fra", 3)}, own, 2, "not wrapped for this recovery key"},
		"another person's neither":                         {[]v1alpha1.KeyWrap{of("", 3)}, other, 2, "not wrapped for this recovery key"},
		"a wrap that says to be of another epoch":          {[]v1alpha1.KeyWrap{{Key: mine, Epoch: 3, Wrap: wrap(own, group[1], 2)}}, own, 2, "it is not key 3 of group readers"},
		"a broken wrap of the present one beside an older": {[]v1alpha1.KeyWrap{of("", 2), {Key: mine, Epoch: 3, Wrap: []byte("x")}}, own, 1, ""},
	} {
		g.Status.Wraps = c.wraps
		data, err := opened(c.with, g, target, sealed(group[c.key]))
		switch {
		case c.why == "" && (err != nil || string(data["password"]) != "canary-4711"):
			t.Errorf("%s: %d values: %v", name, len(data), err)
		case c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)):
			t.Errorf("%s: %v", name, err)
		case strings.Contains(fmt.Sprint(err), "canary"):
			t.Errorf("%s: it tells the value", name)
		}
	}
}
