package agent

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/internal/agetest"
	"github.com/hanse-fleet/hanse/secrets"
)

func TestAMembersAgeIdentityIsMadeOnceAndReadableByItsOwnerAlone(t *testing.T) {
	dir := dataDir{folder: t.TempDir()}
	first, err := dir.ageIdentity()
	if err != nil {
		t.Fatal(err)
	}
	again, err := dir.ageIdentity()
	if err != nil || again.Reveal() != first.Reveal() {
		t.Errorf("the second start has another one: %v", err)
	}
	info, err := os.Stat(dir.path(fileKey))
	if err != nil || info.Mode().Perm() != fs.FileMode(0o600) {
		t.Errorf("it can be read by others: %v %v", info.Mode(), err)
	}
	if err := os.WriteFile(dir.path(fileKey), fmt.Appendln(nil, first.Reveal()[:70]), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.ageIdentity(); err == nil || strings.Contains(err.Error(), first.Reveal()[:70]) {
		t.Errorf("one that is cut: %v", err)
	}
}

// FuzzAgeKey: whatever the file has, it is the identity that it says, or an error that does not tell it.
func FuzzAgeKey(f *testing.F) {
	id, err := secrets.ParseIdentity(agetest.Key(1))
	if err != nil {
		f.Fatal(err)
	}
	classical := "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX" // for tests alone, and nobody's secret: the byte 0x42, 32 times
	for _, seed := range []string{"", "\n", "# a\n", id.Reveal(), "# recipient: x\r\n" + id.Reveal() + "\r\n", classical, "\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := dataDir{folder: t.TempDir()}
		if err := os.WriteFile(dir.path(fileKey), text, 0o600); err != nil {
			t.Fatal(err)
		}
		read, err := dir.ageIdentity()
		switch {
		case err == nil && !strings.Contains(strings.ToUpper(string(text)), read.Reveal()):
			t.Error("it is another identity")
		case err != nil && strings.Contains(err.Error(), "AGE-SECRET-KEY-1"):
			t.Errorf("the error tells it: %v", err)
		}
	})
}
