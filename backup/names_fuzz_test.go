package backup

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/internal/agetest"
)

// FuzzParseName: a name in a bucket is none of ours, or of a fleet and a revision that stand in it.
func FuzzParseName(f *testing.F) {
	f.Add(Header{Fleet: "acme", Epoch: 3, EpochID: "11111111-1111", Revision: 812}.Name())
	f.Add("acme/../1-a/00000000000000000001.hanse.age")
	f.Add("acme/1-a/99999999999999999999.hanse.age")
	f.Add("a/1-/00000000000000000001.hanse.age\n")
	f.Fuzz(func(t *testing.T, name string) {
		fleet, revision, ok := ParseName(name)
		if ok && (!strings.HasPrefix(name, fleet+"/") || !strings.HasSuffix(name, fmt.Sprintf("/%020d%s", revision, Suffix)) || strings.Count(name, "/") != 2) {
			t.Errorf("%q is of fleet %q and revision %d", name, fleet, revision)
		}
	})
}

// FuzzRecipients: what stands in a file of recipients is what a backup is encrypted to, or an error that tells no key.
func FuzzRecipients(f *testing.F) {
	f.Add("# for backups\n\nage1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj\n")
	f.Add(agetest.Key(1))
	f.Add("ssh-ed25519 AAAA\r\n#")
	f.Fuzz(func(t *testing.T, text string) {
		lines, err := RecipientsIn(strings.NewReader(text))
		if err != nil {
			return
		}
		all, err := ParseRecipients(lines)
		if err == nil && (len(all) == 0 || len(all) != len(lines)) {
			t.Errorf("%d recipients in %d lines", len(all), len(lines))
		}
		if err != nil && strings.Contains(err.Error(), agetest.Key(1)[:25]) {
			t.Errorf("the error tells a key: %v", err)
		}
	})
}
