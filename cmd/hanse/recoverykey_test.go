package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
