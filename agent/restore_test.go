package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/backup"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/law"
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

// A cluster whose member is lost with its key counts as nobody who reads; one that the backup does not have is a slip.
func TestARestoreIsToldWhoIsLost(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var on []store.Op
	for _, name := range []string{"fra", "iad", "sin"} {
		c := v1alpha1.Cluster{TypeMeta: v1alpha1.TypeOf("Cluster"), ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.ClusterSpec{Region: "eu"}, Status: v1alpha1.ClusterStatus{Recipient: "of " + name}}
		op, err := law.Put(v1alpha1.KeyClusters+name, c)
		if err != nil {
			t.Fatal(err)
		}
		on = append(on, op)
	}
	restore := func(dir string, lost ...string) error {
		_, _, err := Restore(RestoreOptions{
			DataDir: dir, Fleet: "acme", Cluster: "fra", Addresses: Addresses{Listen: "127.0.0.1:7946", APIListen: "127.0.0.1:7947"},
			Backup: backupOf(t, key, on...), Identities: []age.Identity{key}, Lost: lost, Version: "test",
		})
		return err
	}
	dir := filepath.Join(t.TempDir(), "member")
	for _, wrong := range []string{"rom", "fra"} {
		if err := restore(dir, "iad", wrong); err == nil || !strings.Contains(err.Error(), "lost "+wrong+": the backup has no other cluster of that name") {
			t.Errorf("%s is lost: %v", wrong, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Error("something was made")
		}
	}
	if err := restore(dir, "iad"); err != nil {
		t.Fatal(err)
	}
	_, _, v, err := dataDir{folder: dir}.survey(self{Cluster: "fra"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"iad": "", "sin": "of sin"} {
		if c, _, err := epoch.OnRecord(v, name); err != nil || c.Status.Recipient != want {
			t.Errorf("%s counts as a reader with %q: %v", name, c.Status.Recipient, err)
		}
	}
}
