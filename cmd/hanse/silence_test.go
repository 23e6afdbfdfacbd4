package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// quiet is a member of a fleet in which the group prod is of iad, whose key fra and iad hold, and iad is not heard. With sealed, the secret db is for it.
func quiet(sealed bool) *member {
	m := newMember()
	var wraps []any
	for _, name := range []string{"fra", "iad"} {
		c := m.objects["clusters/"+name]
		c["metadata"].(map[string]any)["labels"] = map[string]any{"tier": "prod"}
		c["status"] = map[string]any{"recipient": "of " + name, "voter": "Nonvoter", "conditions": []any{map[string]any{"type": "Ready", "status": map[bool]string{true: "True", false: "False"}[name == "fra"]}}}
		wraps = append(wraps, map[string]any{"cluster": name, "key": v1alpha1.KeyID("of " + name), "epoch": 1, "wrap": "eA=="})
	}
	object := func(kind, name string, spec, status map[string]any) map[string]any {
		return map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name, "resourceVersion": "3"}, "spec": spec, "status": status}
	}
	selector := map[string]any{"matchLabels": map[string]any{"tier": "prod"}}
	m.objects["recipientgroups/prod"] = object("RecipientGroup", "prod", map[string]any{"clusterSelector": selector}, map[string]any{"epoch": 1, "recipient": "age1pq1", "wraps": wraps})
	if sealed {
		m.objects["fleetsecrets/db"] = object("FleetSecret", "db", map[string]any{"group": "prod", "namespace": "shop"}, map[string]any{})
	}
	return m
}

func TestASecretIsNotLeftToTheSilentUnasked(t *testing.T) {
	const lost = "nobody holds the key of group prod then but iad, which nobody hears, and no recovery recipient: should that not come back, these secrets are lost: db"
	for name, c := range map[string]struct {
		args   []string
		sealed bool
		code   int
		told   bool
	}{
		"a label that takes the one out that is heard": {[]string{"label", "cluster", "fra", "tier-"}, true, exitUsage, true},
		"somebody says so":              {[]string{"label", "cluster", "fra", "tier-", "--yes"}, true, exitOK, false},
		"another label":                 {[]string{"label", "cluster", "fra", "pool=a"}, true, exitOK, false},
		"the label of the silent one":   {[]string{"label", "cluster", "iad", "tier-"}, true, exitOK, false},
		"nothing is sealed":             {[]string{"label", "cluster", "fra", "tier-"}, false, exitOK, false},
		"the one that is heard goes":    {[]string{"remove", "fra"}, true, exitUsage, true},
		"it goes, and somebody says so": {[]string{"remove", "fra", "--yes"}, true, exitOK, true},
		"the silent one goes":           {[]string{"remove", "iad", "--yes"}, true, exitOK, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := quiet(c.sealed)
			socket := filepath.Join(t.TempDir(), socketName)
			m.serve(t, func(f func()) { t.Cleanup(f) }, socket)
			var out, talk bytes.Buffer
			code := run(t.Context(), append([]string{"hanse", "--server", "unix://" + socket}, c.args...), strings.NewReader(""), &out, &talk)
			if code != c.code || strings.Contains(talk.String(), lost) != c.told {
				t.Errorf("exit %d, said:\n%s%s", code, out.String(), talk.String())
			}
		})
	}
}
