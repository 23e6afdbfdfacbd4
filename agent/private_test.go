package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/atrest"
	"github.com/hanse-fleet/hanse/chaos/canary"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// username is a value in the log that no file may show.
const username = "canary-4711-of-the-fleet"

func dataIdentity(t *testing.T) *age.HybridIdentity {
	t.Helper()
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// founded is a directory after Init alone.
func founded(t *testing.T, with *age.HybridIdentity) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "fra")
	if _, err := found(dir, with); err != nil {
		t.Fatal(err)
	}
	return dir
}

func found(dir string, with *age.HybridIdentity) (InitResult, error) {
	return Init(InitOptions{DataDir: dir, DataIdentity: with, Fleet: "acme", Cluster: "fra", Region: "eu", Addresses: Addresses{Listen: "127.0.0.1:7946", APIListen: "127.0.0.1:7947"}})
}

// privateOf are the secrets of a stopped member, to be looked for.
func privateOf(t *testing.T, d dataDir, with *age.HybridIdentity) map[string][]byte {
	t.Helper()
	secrets := map[string][]byte{"the log": []byte(username), "a key": []byte("AGE-SECRET-KEY-"), "a PEM": []byte("PRIVATE KEY"), "the reset secret's PEM": []byte("HANSE RESET SECRET")}
	id, err := d.ageIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"age.key": id.Reveal(), "the data identity": with.String()} {
		forms, err := canary.Identity(name, text)
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(secrets, forms)
	}
	for _, name := range []string{"identity.key", "identity.reset", "admin.pem"} {
		text, err := d.key.ReadFile(d.path(name))
		if err != nil {
			t.Fatal(err)
		}
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			if block.Type != "CERTIFICATE" {
				secrets[name] = block.Bytes
			}
		}
	}
	return secrets
}

// The promise of an encrypted directory: who has all of it and not the identity has none of this. The same in a directory in the clear shows
// that it would be found.
func TestWhatIsPrivateIsNowhereInAnEncryptedDirectory(t *testing.T) {
	live := func(t *testing.T, with *age.HybridIdentity) dataDir {
		folder := lonelyOpened(t, with)
		for epoch := range 2 {
			m := startOpened(t, folder, with, Seams{})
			if err := letIn(t.Context(), m, username); err != nil {
				t.Fatal(err)
			}
			m.stop()
			if epoch == 0 {
				recovered(t, folder, with) // the old log lies beside a snapshot then
			}
		}
		dir, _, err := openMember(folder, with)
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	id := dataIdentity(t)
	clear := live(t, nil)
	values := privateOf(t, clear, id)
	found, err := canary.New(values).Files(clear.folder)
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(found, "\n")
	for _, want := range []string{
		"/raft/log.bolt: the log", "/raft.epoch-1/log.bolt: the log", "state.bin: the log", "/age.key: age.key", "/age.key: a key",
		"/identity.key: identity.key", "/identity.key: a PEM", "/identity.reset: identity.reset", "/admin.pem: admin.pem",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("not found in a directory in the clear: %s\n%s", want, said)
		}
	}
	encrypted := live(t, id)
	if found, err := canary.New(privateOf(t, encrypted, id)).Files(encrypted.folder); err != nil || len(found) > 0 {
		t.Errorf("%v\n%s", err, strings.Join(found, "\n"))
	}
}

// recovered makes a stopped member's log that of a new epoch.
func recovered(t *testing.T, folder string, with *age.HybridIdentity) {
	t.Helper()
	dir, me, err := openMember(folder, with)
	if err != nil {
		t.Fatal(err)
	}
	_, _, steps := recoveryOf(t, dir, me)
	for _, step := range steps {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

// lies are the files of a folder.
func lies(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		files[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestADirectoryOpensAsItWasMade(t *testing.T) {
	id := dataIdentity(t)
	encrypted, clear, keyless, alien := founded(t, id), founded(t, nil), founded(t, id), founded(t, id)
	if err := errors.Join(os.Remove(filepath.Join(keyless, atrest.DataKeyFile)), os.WriteFile(filepath.Join(alien, fileS3), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		dir  string
		with *age.HybridIdentity
		says string
	}{
		"no identity":       {encrypted, nil, "is encrypted; give the age key"},
		"another identity":  {encrypted, dataIdentity(t), "is encrypted to another identity"},
		"in the clear":      {clear, id, "is not encrypted; "},
		"its key is lost":   {keyless, nil, "data-key.age is gone"},
		"its key, identity": {keyless, id, "data-key.age is gone"},
		"S3 credentials":    {alien, id, "s3-credentials is in the clear"},
	} {
		for what, open := range map[string]func() error{
			"run":     func() error { return Run(t.Context(), Options{DataDir: c.dir, DataIdentity: c.with}) },
			"open":    func() error { _, err := OpenCore(CoreConfig{DataDir: c.dir, DataIdentity: c.with}); return err },
			"survey":  func() error { _, err := Survey(c.dir, c.with); return err },
			"recover": func() error { _, err := Recover(RecoverOptions{DataDir: c.dir, DataIdentity: c.with}); return err },
		} {
			before := lies(t, c.dir)
			if err := open(); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
			if after := lies(t, c.dir); !maps.EqualFunc(before, after, bytes.Equal) {
				t.Errorf("%s, %s: something was changed", name, what)
			}
		}
	}
	var there *MemberExistsError
	if _, err := found(clear, id); !errors.As(err, &there) {
		t.Errorf("a member in the clear is made again: %v", err)
	}
}

// Wherever the making of a member ends, it goes on with the same identity alone, and nothing private is ever in the clear.
func TestAnEncryptedDirectoryThatIsHalfMadeIsGoneOnWith(t *testing.T) {
	id, whole := dataIdentity(t), founded(t, dataIdentity(t))
	order := []string{atrest.DataKeyFile, "identity.key", "identity.reset", "identity.crt", "admin.pem", "recovery.json", "member.json"} // as it is written
	if len(lies(t, whole)) != len(order)+1 {                                                                                             // and the lock
		t.Fatalf("there are other files: %v", slices.Collect(maps.Keys(lies(t, whole))))
	}
	for made := range order {
		dir := founded(t, id)
		for _, name := range order[made:] {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		if made > 0 {
			before := lies(t, dir)
			for _, with := range []*age.HybridIdentity{nil, dataIdentity(t)} {
				if _, err := found(dir, with); err == nil || !strings.Contains(err.Error(), "is encrypted") {
					t.Errorf("after %v it goes on otherwise: %v", order[:made], err)
				}
			}
			if after := lies(t, dir); !maps.EqualFunc(before, after, bytes.Equal) {
				t.Errorf("after %v: something was changed", order[:made])
			}
		}
		if _, err := found(dir, id); err != nil {
			t.Errorf("after %v it does not go on: %v", order[:made], err)
		}
		if _, err := OpenCore(CoreConfig{DataDir: dir, Logger: slog.New(slog.DiscardHandler)}); err == nil {
			t.Errorf("after %v it is not encrypted", order[:made])
		}
		encryptedOnly(t, dir)
	}
}

// Between init and the first start the recovery recipients are files. Who may write there, and has no data identity, makes none of its own
// one who reads the fleet's secrets: the member does not start.
func TestRecoveryRecipientsAreThoseOfInit(t *testing.T) {
	id, ours, theirs := dataIdentity(t), dataIdentity(t).Recipient().String(), dataIdentity(t).Recipient().String()
	begun := func(with *age.HybridIdentity, recipients ...string) dataDir {
		dir := filepath.Join(t.TempDir(), "fra")
		o := InitOptions{DataDir: dir, DataIdentity: with, Fleet: "acme", Cluster: "fra", Region: "eu", Addresses: Addresses{Listen: "127.0.0.1:7946", APIListen: "127.0.0.1:7947"}}
		if len(recipients) > 0 {
			o.Recovery = func() ([]string, error) { return recipients, nil }
		}
		if _, err := Init(o); err != nil {
			t.Fatal(err)
		}
		return dataDir{folder: dir}
	}
	for _, with := range []*age.HybridIdentity{nil, id} {
		for _, want := range [][]string{nil, {ours}} {
			dir := begun(with, want...)
			var me map[string]any
			if err := dir.read(fileMember, &me); err != nil {
				t.Fatal(err)
			}
			me["recovery"] = []string{theirs}
			if err := dir.write(fileMember, me); err != nil {
				t.Fatal(err)
			}
			if got := foundedWith(t, dir.folder, with); !slices.Equal(got, want) {
				t.Errorf("encrypted %v: the fleet begins with %q, not %q", with != nil, got, want)
			}
		}
	}
	clear := fmt.Appendf(nil, "[%q]", theirs)
	for what, c := range map[string]struct {
		with *age.HybridIdentity
		put  func(file string) error
		says string
	}{
		"another in the clear":          {id, func(file string) error { return os.WriteFile(file, clear, 0o600) }, "recovery.json is in the clear"},
		"another of another directory":  {id, func(file string) error { return os.Rename(begun(dataIdentity(t), theirs).path(fileRecovery), file) }, "does not open with the key of its directory"},
		"another encrypted file of it":  {id, func(file string) error { return os.Rename(filepath.Join(filepath.Dir(file), fileAdmin), file) }, "does not open with the key of its directory"},
		"none":                          {id, os.Remove, "no fleet has begun in "},
		"none, in the clear":            {nil, os.Remove, "no fleet has begun in "},
		"what is no list, in the clear": {nil, func(file string) error { return os.WriteFile(file, []byte("{"), 0o600) }, "no fleet has begun in "},
	} {
		dir := begun(c.with, ours)
		if err := c.put(dir.path(fileRecovery)); err != nil {
			t.Fatal(err)
		}
		_, err := OpenCore(CoreConfig{DataDir: dir.folder, DataIdentity: c.with, Logger: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "hanse init and a fresh --data-dir") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// foundedWith starts a member that founds a fleet, and reads that fleet's recovery recipients.
func foundedWith(t *testing.T, folder string, with *age.HybridIdentity) []string {
	t.Helper()
	m := startOpened(t, folder, with, Seams{})
	defer m.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if err := m.store.WaitFor(ctx, 1); err != nil {
		t.Fatal(err)
	}
	kv, _ := m.store.View().Get(v1alpha1.KeyFleets + "acme")
	var fleet v1alpha1.Fleet
	if err := json.Unmarshal(kv.Value, &fleet); err != nil {
		t.Fatal(err)
	}
	return fleet.Spec.RecoveryRecipients
}

// What a member says to type opens its directory.
func TestWhatIsToBeTypedOpensTheDirectory(t *testing.T) {
	for _, with := range []*age.HybridIdentity{nil, dataIdentity(t)} {
		dir := dataDir{folder: founded(t, with)}
		want := "--data-dir " + dir.folder
		if with != nil {
			want += " --data-identity FILE"
		}
		_, again := found(dir.folder, with)
		if err := errors.Join(os.Mkdir(dir.nextRaft(), 0o700), os.Mkdir(dir.oldRaft(1), 0o700)); err != nil {
			t.Fatal(err)
		}
		for command, err := range map[string]error{"agent": again, "recover": dir.unfinished()} {
			if err == nil || !strings.HasSuffix(err.Error(), "hanse "+command+" "+want) {
				t.Errorf("%s: %v", command, err)
			}
		}
	}
}

// encryptedOnly wants nothing private in the clear.
func encryptedOnly(t *testing.T, dir string) {
	t.Helper()
	for name, content := range lies(t, dir) {
		if bytes.Contains(content, []byte("PRIVATE KEY")) || bytes.Contains(content, []byte("SECRET")) {
			t.Errorf("%s is in the clear", name)
		}
	}
}

// What a try in the clear left of a member that was never made is not built upon.
func TestWhatIsPrivateAndInTheClearIsNotEncryptedBeside(t *testing.T) {
	id := dataIdentity(t)
	for _, left := range []string{"identity.key", "identity.reset", "age.key", "admin.pem", "admin.pem.new", "s3-credentials", ".identity.key.17.part", ".age.key.17.part", "raft/log.bolt", "raft.next/log.bolt"} {
		dir := t.TempDir()
		path := filepath.Join(dir, left)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(left, "/")
		if _, err := found(dir, id); !errors.Is(err, atrest.ErrClear) || !strings.Contains(err.Error(), filepath.Join(dir, first)+" lies there in the clear; remove it, ") {
			t.Errorf("%s: %v", left, err)
		}
		if _, err := os.Stat(filepath.Join(dir, atrest.DataKeyFile)); err == nil {
			t.Errorf("%s: it has a key", left)
		}
	}
	for _, left := range []string{"lost+found/x", "notes.txt", ".data-key.age.17.part"} {
		dir := t.TempDir()
		path := filepath.Join(dir, left)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := found(dir, id); err != nil {
			t.Errorf("%s: %v", left, err)
		}
	}
}

func TestARestoreEncryptsFromItsBeginning(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	id, own := dataIdentity(t), t.TempDir()
	restore := func(dir string, with *age.HybridIdentity, more ...store.Op) error {
		_, _, err := Restore(RestoreOptions{
			DataDir: dir, DataIdentity: with, Fleet: "acme", Cluster: "fra", Region: "eu", Addresses: Addresses{Listen: "127.0.0.1:7946", APIListen: "127.0.0.1:7947"},
			Backup: backupOf(t, key, more...), Identities: []age.Identity{key}, Version: "test",
		})
		return err
	}
	value := store.Put("/x/"+username, []byte(username))
	if err := restore(own, id, store.Put("/clusters/fra", []byte("{"))); err == nil {
		t.Fatal("a state that nobody can read was restored")
	}
	if left, err := os.ReadDir(own); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	// What hanse init left before keeps its key.
	draft := filepath.Join(own, "admin.pem"+atrest.Draft)
	if key, err := atrest.Make(own, id); err != nil || key.WriteFile(draft, []byte("x")) != nil {
		t.Fatal(err)
	}
	if err := restore(own, id, store.Put("/clusters/fra", []byte("{"))); err == nil {
		t.Fatal("a state that nobody can read was restored")
	}
	if key, err := atrest.Open(own, id); err != nil {
		t.Errorf("the key of %s is gone: %v", draft, err)
	} else if _, err := key.ReadFile(draft); err != nil {
		t.Error(err)
	}
	// Wherever the unmaking ends, another try goes on with the identity.
	for _, whole := range []bool{false, true} {
		for n := range (dataDir{}).unmaking(whole, false) {
			dir := filepath.Join(t.TempDir(), "member")
			if err := restore(dir, id); err != nil {
				t.Fatal(err)
			}
			for _, step := range (dataDir{folder: dir}).unmaking(whole, false)[:n+1] {
				if err := step(); err != nil {
					t.Fatal(err)
				}
			}
			if err := restore(dir, id); err != nil {
				t.Errorf("%v, after step %d: %v", whole, n, err)
			}
		}
	}
	finder := canary.New(map[string][]byte{"the state": []byte(username)})
	for _, with := range []*age.HybridIdentity{nil, id} {
		dir := filepath.Join(t.TempDir(), "member")
		if err := restore(dir, with, value); err != nil {
			t.Fatal(err)
		}
		if found, err := finder.Files(dir); err != nil || (len(found) > 0) != (with == nil) {
			t.Errorf("found %v, %v", found, err)
		}
		if with != nil {
			encryptedOnly(t, dir)
		}
		if _, err := Survey(dir, with); err != nil {
			t.Error(err)
		}
	}
}
