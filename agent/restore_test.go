package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/backup"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// backupOf is a backup of a fleet of one, with more in its state.
func backupOf(t *testing.T, key *age.X25519Identity, more ...store.Op) *bytes.Buffer {
	t.Helper()
	m := store.Member{ID: "11111111-1111-4111-8111-111111111111", Cluster: "fra", Region: "eu", Pin: store.Pin{1}}
	entry, err := store.EncodeEntry([]store.Command{{Proposer: m.ID, Txn: &store.Txn{Then: append([]store.Op{store.PutMember(m)}, more...)}}})
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(nil)
	if _, err := s.Apply(1, 1, entry); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := backup.Write(&b, []age.Recipient{key.Recipient()}, backup.Header{Fleet: "acme", Member: "fra"}, s.Snapshot()); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestARestoreThatFailsLeavesNothing(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	garbled := store.Put(v1alpha1.KeyClusters+"fra", []byte("{"))
	former, recipient := hadKey(t, nil)
	restore := func(dir string, more ...store.Op) error {
		_, _, err := Restore(RestoreOptions{
			Former:  Former{DataDir: former},
			DataDir: dir, Fleet: "acme", Cluster: "fra", Region: "eu", Addresses: Addresses{Listen: "127.0.0.1:7946", APIListen: "127.0.0.1:7947"},
			Backup: backupOf(t, key, more...), Identities: []age.Identity{key}, Version: "test",
		})
		return err
	}
	missing, own := filepath.Join(t.TempDir(), "member"), t.TempDir()
	notes := filepath.Join(own, "notes.txt")
	if err := os.WriteFile(notes, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{missing, own} {
		if err := restore(dir, garbled); err == nil {
			t.Fatal("a state that nobody can read was restored")
		}
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("a directory was left behind")
	}
	if left, err := os.ReadDir(own); err != nil || len(left) != 1 || left[0].Name() != "notes.txt" {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := restore(missing); err != nil {
		t.Errorf("after that it cannot be repeated: %v", err)
	}
	if got, err := (dataDir{folder: missing}).keep(nil); err != nil || got != recipient {
		t.Errorf("it does not have the key of the member before: %v", err)
	}
	if got, err := (dataDir{folder: former}).keep(nil); err != nil || got != recipient {
		t.Errorf("the member before has it no more: %v", err)
	}
}
