package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/internal/agetest"
)

func TestARecoveryKeyThatIsFoundIsTakenOnlyIfItIsOnesOwn(t *testing.T) {
	id := keys(t, 1)[0]
	for name, tt := range map[string]struct {
		comment string
		mode    os.FileMode
		why     string
	}{
		"as init left it":            {"# recovery key of fleet acme: keep it offline\n", 0o600, ""},
		"made elsewhere":             {"# created: today\n", 0o400, ""},
		"read by the group":          {"# recovery key of fleet acme: keep it offline\n", 0o640, "with mode 0640, and is not taken: others may have read the key in it"},
		"read by everybody":          {"", 0o604, "with mode 0604"},
		"of another fleet":           {"# recovery key of fleet beta: keep it offline\n", 0o600, "it is the recovery key of fleet beta"},
		"of one that begins alike":   {"# recovery key of fleet acme-2: keep it offline\n", 0o600, "it is the recovery key of fleet acme-2"},
		"of another, lower comments": {"# here\n# recovery key of fleet beta: keep it offline\n", 0o600, "it is the recovery key of fleet beta"},
	} {
		file := filepath.Join(t.TempDir(), "recovery.key")
		text := tt.comment + id.Reveal() + "\n"
		if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.Chmod(file, tt.mode)); err != nil {
			t.Fatal(err)
		}
		k := &recoveryKey{fleet: "acme", file: file}
		made, err := k.recipientsMade()
		switch {
		case tt.why == "" && (err != nil || !k.found || len(made) != 1 || made[0] != id.Recipient().String()):
			t.Errorf("%s: it makes %d recipients: %v", name, len(made), err)
		case tt.why != "" && (err == nil || made != nil || !strings.Contains(err.Error(), tt.why)):
			t.Errorf("%s: %v", name, err)
		}
		if after, err := os.ReadFile(file); err != nil || string(after) != text {
			t.Errorf("%s: the file is otherwise: %v", name, err)
		}
	}
}

func TestAKeyThatWasPrintedInVainIsToBeThrownAway(t *testing.T) {
	var out bytes.Buffer
	k := &recoveryKey{fleet: "acme", file: "-", stdout: &out}
	full := errors.New("the disk is full")
	if err := k.brokeOff(full); err != full {
		t.Errorf("before a key was printed: %v", err)
	}
	if _, err := k.recipientsMade(); err != nil || !strings.Contains(out.String(), "\nAGE-SECRET-KEY-PQ-1") {
		t.Fatalf("it was not printed: %v", err)
	}
	var f *failure
	if err := k.brokeOff(full); !errors.As(err, &f) || f.why != "the disk is full" || len(f.hints) != 1 || !strings.Contains(f.hints[0].words, "throw the former away") {
		t.Errorf("after a key was printed: %v", err)
	}
}

func TestALinkIntoAFolderLeadsThere(t *testing.T) {
	at := t.TempDir()
	in := func(name string) string { return filepath.Join(at, name) }
	if err := errors.Join(os.MkdirAll(in("d/deep"), 0o700), os.Mkdir(in("e"), 0o700), os.WriteFile(in("d/id"), nil, 0o600), os.WriteFile(in("e/id"), nil, 0o600),
		os.Symlink("d", in("link")), os.Symlink("../d/id", in("e/inside")), os.Symlink("../e/id", in("d/outside"))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		folder, file string
		want         bool
	}{
		{"d", "d/id", true}, {"d", "d/deep/new", true}, {"d", "d/none/new", true}, {"none", "none/new", true},
		{"d", "link/id", true}, {"d", "link/new", true}, {"link", "d/new", true}, {"d", "e/inside", true},
		{"d", "e/id", false}, {"d", "e/new", false}, {"d", "d/outside", false}, {"d", "d-new", false}, {"link", "e/id", false},
	} {
		if got := within(in(c.folder), in(c.file)); got != c.want {
			t.Errorf("%s in %s: %v", c.file, c.folder, got)
		}
	}
	if within(at, "-") || within(at, "") {
		t.Error("stdout, or no file, lies in a folder")
	}
}

// FuzzRecoveryKey: whatever a file has, it is the one key in it and the fleet that a comment names, or an error that does not tell the key.
func FuzzRecoveryKey(f *testing.F) {
	key := agetest.Key(1)
	for _, seed := range []string{
		"", "\n", key, key + "\n" + agetest.Key(2), "# recovery key of fleet acme: keep it offline\n# public key: age1pq1\n" + key + "\n", "# recovery key of fleet beta\r\n" + key + "\r\n",
		"# recovery key of fleet : \n" + strings.ToLower(key), key[:len(key)-1], "\xef\xbb\xbf" + key, "# recovery key of fleet a:b\n# recovery key of fleet c\n" + key, key + " # mine",
	} {
		f.Add([]byte(seed))
	}
	file := filepath.Join(f.TempDir(), "recovery.key")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		fleet, err := fleetIn(file)
		if err != nil || !strings.Contains(string(text), ofFleet) && fleet != "" || !strings.Contains(string(text), fleet) || strings.ContainsAny(fleet, ":\n") {
			t.Errorf("it is of fleet %q: %v", fleet, err)
		}
		id, err := readRecoveryKey(file)
		switch {
		case err == nil && strings.Count(strings.ToUpper(string(text)), id.Reveal()) == 0:
			t.Error("it is another key")
		case err != nil && strings.Contains(strings.ToUpper(err.Error()), key[:len("AGE-SECRET-KEY-")]):
			t.Errorf("the error tells it: %v", err)
		}
		if taken, err := (&recoveryKey{fleet: "acme", file: file}).left(); err == nil && (fleet != "" && fleet != "acme" || taken.Reveal() != id.Reveal()) {
			t.Errorf("the key of fleet %q is taken for that of acme", fleet)
		}
	})
}

// FuzzCredential: whatever a file has, it is a certificate with its key, of which a pin can be made, or an error that has nothing of it.
func FuzzCredential(f *testing.F) {
	const key = "PRIVATE KEY" // no whole one lies in the sources
	whole := personKey(f)
	for _, seed := range [][]byte{whole, nil, whole[:len(whole)/2], bytes.ReplaceAll(whole, []byte(key), []byte("EC "+key)), bytes.ReplaceAll(whole, []byte("CERTIFICATE"), []byte("X509")), append(bytes.Clone(whole), whole...)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		pair, err := parseCredential("admin.pem", text)
		if err != nil {
			if err.Error() != "admin.pem holds no certificate with its key" {
				t.Errorf("the error says more: %v", err)
			}
			return
		}
		if pin, err := pinOf(pair); err != nil || pin == "" {
			t.Errorf("the pin is %q: %v", pin, err)
		}
	})
}

// personKey is a person's certificate and key, as an admin has it.
func personKey(t testing.TB) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "admin.pem")
	if err := agent.NewPerson(nil, file, "anna"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
