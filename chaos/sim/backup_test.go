package sim_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/backup"
	"github.com/hanse-fleet/hanse/backup/s3test"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

// schedule sets the fleet's backups.
func schedule(t *testing.T, m *sim.Member, spec *v1alpha1.BackupSpec) {
	t.Helper()
	kv, _ := m.Core.Store().View().Get(v1alpha1.KeyFleets + "sim")
	var f v1alpha1.Fleet
	if err := json.Unmarshal(kv.Value, &f); err != nil {
		t.Fatal(err)
	}
	f.Spec.Backup = spec
	value, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sim.Propose(t.Context(), m.Core, kv.Key, value); err != nil {
		t.Fatal(err)
	}
}

func record(t *testing.T, m *sim.Member) (r v1alpha1.BackupRecord) {
	t.Helper()
	if kv, ok := m.Core.Store().View().Get(v1alpha1.KeyBackups); ok {
		if err := json.Unmarshal(kv.Value, &r); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(path, dir+"/"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func warned(m *sim.Member, words string) bool {
	return strings.Contains(strings.Join(m.Core.Status().Warnings, "\n"), words)
}

func TestBackupsAreMadeOnScheduleByOneMember(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		five(f)
		key, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		stranger := filepath.Join(dir, "sim", "notes.txt")
		if err := os.MkdirAll(filepath.Dir(stranger), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(stranger, []byte("not the fleet's"), 0o600); err != nil {
			t.Fatal(err)
		}
		spec := &v1alpha1.BackupSpec{
			Every: metav1.Duration{Duration: time.Minute}, Recipients: []string{key.Recipient().String()}, To: dir,
			Retention: &v1alpha1.BackupRetention{Keep: 2},
		}
		fra := f.Members[0]
		schedule(t, fra, spec)
		f.Await("the first is made at once", time.Minute, func() bool { return len(record(t, fra).Made) == 1 })
		if by := record(t, fra).Made[0].By; by == f.Leader().Name {
			t.Errorf("the leader, %s, made it", by)
		}
		write(t, fra, "between", 1)
		for range 4 {
			time.Sleep(time.Minute)
		}
		f.Await("nothing is under way", time.Minute, func() bool { return record(t, fra).Order == nil })
		made := record(t, fra).Made
		if len(made) != 2 {
			t.Errorf("made %v", made)
		}
		if names := filesIn(t, dir); len(names) != 3 { // two, and the stranger's
			t.Errorf("there is %v", names)
		}
		file, err := os.Open(filepath.Join(dir, made[1].Name))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		h, v, err := backup.Read(file, key)
		if _, ok := v.Get("/users/between"); err != nil || !ok || uint64(h.Revision) != made[1].Revision {
			t.Errorf("the latest is of %+v: %v", h, err)
		}

		// What goes wrong is told, and another member tries.
		spec.To = filepath.Join(stranger, "below") // a file is no folder
		schedule(t, fra, spec)
		f.Await("a failure is told", 15*time.Minute, func() bool { return warned(fra, "backup failed on") })
		first := record(t, fra).Failed.By
		f.Await("another member tries", 30*time.Minute, func() bool { r := record(t, fra).Failed; return r != nil && r.By != first })
		if got := record(t, fra).Made; len(got) != 2 {
			t.Errorf("a failure counts: %v", got)
		}
		spec.To = dir
		schedule(t, fra, spec)
		f.Await("all is well again", 30*time.Minute, func() bool { return !warned(fra, "backup") && len(record(t, fra).Made) == 2 })
	})
}

func TestAScheduleIntoABucketThatFailsTellsWhyAndTriesAgain(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", s3test.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_REGION", "us-east-1")
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		bucket := s3test.Carrier()
		f.Seams.S3 = bucket
		f.Found("fra", "eu") // alone: hours of a larger fleet take minutes
		key, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		fra := f.Members[0]
		nothing := func(when string) {
			t.Helper()
			if r := record(t, fra); len(r.Made) > 0 || len(bucket.Names()) > 0 {
				t.Errorf("%s: made %v, there is %v", when, r.Made, bucket.Names())
			}
		}
		bucket.Refuse("AccessDenied")
		schedule(t, fra, &v1alpha1.BackupSpec{Every: metav1.Duration{Duration: 24 * time.Hour}, Recipients: []string{key.Recipient().String()}, To: "s3://store", Endpoint: "https://s3.example"})
		f.Await("a refusal is told, and what to do", 15*time.Minute, func() bool { return warned(fra, "AccessDenied") && warned(fra, "s3:PutObject") })
		before := bucket.Asked()
		time.Sleep(25 * time.Minute)
		if n := bucket.Asked() - before; n < 2 || n > 4 { // a try every ten minutes, and a due one between
			t.Errorf("asked %d times in 25 minutes", n)
		}
		nothing("refused")

		bucket.Refuse("")
		bucket.Slow(3 * time.Hour)
		f.Await("one that takes too long is told", 3*time.Hour, func() bool { return warned(fra, "it was not made within 1h0m0s") })
		nothing("slow")
		bucket.Slow(0)
		bucket.Cut(1 << 20)
		f.Await("uploads that are cut are told", 3*time.Hour, func() bool { return warned(fra, "closed by foreign host") })
		nothing("cut")

		bucket.Cut(0)
		f.Await("all is well again", 3*time.Hour, func() bool { return len(record(t, fra).Made) == 1 && !warned(fra, "backup") })
		made := record(t, fra).Made[0]
		h, _, err := backup.Read(bytes.NewReader(bucket.Object("store/"+made.Name)), key)
		if err != nil || uint64(h.Revision) != made.Revision || len(bucket.Names()) != 1 {
			t.Errorf("it is %+v, %v, beside %v", h, err, bucket.Names())
		}
	})
}

func TestABackupRecordThatCannotBeReadStopsNoOtherDecision(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		five(f)
		node := f.Leader().Core.Node()
		garbled := store.Txn{Then: []store.Op{store.Put(v1alpha1.KeyBackups, []byte("{"))}}
		if _, err := node.Propose(t.Context(), consensus.Proposal{Term: node.Status().Term, Txn: garbled}); err != nil {
			t.Fatal(err)
		}
		put(t, f.Members[3], "first")
		f.Await("a bundle is granted", time.Minute, func() bool { return strings.Contains(granted(f.Members[4]), "shop-first-1") })
	})
}

func TestAFleetThatOnlyLooksMakesNoBackup(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		five(f)
		key, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		fra := f.Members[0]
		schedule(t, fra, &v1alpha1.BackupSpec{Every: metav1.Duration{Duration: time.Minute}, Recipients: []string{key.Recipient().String()}, To: dir})
		f.Await("one is made", time.Minute, func() bool { return len(record(t, fra).Made) == 1 })
		var file bytes.Buffer
		if _, err := backup.Write(&file, []age.Recipient{key.Recipient()}, backup.Header{Fleet: "sim", Member: "fra"}, fra.Core.Store().Snapshot()); err != nil {
			t.Fatal(err)
		}
		for _, m := range f.Members {
			m.Kill()
		}
		there := filesIn(t, dir)
		first := f.Candidate("fra", "eu")
		if _, _, err := agent.Restore(agent.RestoreOptions{
			DataDir: first.Dir(), Fleet: "sim", Cluster: "fra", Addresses: first.Addresses(), Backup: &file, Identities: []age.Identity{key}, Version: "sim",
		}); err != nil {
			t.Fatal(err)
		}
		first.Start()
		write(t, first, "after", 1)
		time.Sleep(3 * time.Minute)
		if r := record(t, first); r.Order != nil || len(r.Made) > 0 || len(filesIn(t, dir)) != len(there) {
			t.Errorf("before a person said go: %+v", r)
		}
		resume(t, first)
		f.Await("one is made again", time.Minute, func() bool { return len(record(t, first).Made) == 1 })
	})
}
