package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// recovering loses two of three voters for good, and goes on with the third by the words of docs/recovery.md. It is held
// on a fleet with the bundle shop at version 1, and leaves it at version 2.
func recovering(t *testing.T, f *field) {
	f.must(t, "sin", userNamed("before-recovery"), "apply", "-f", "-")
	last, before := f.status(t, "fra").Revision, f.surveys(t)
	old := f.loseDisk(t, "iad")
	f.loseDisk(t, "sin")
	until(t, comesBack, f.seat(t, "fra").sees(func(s v1alpha1.FleetStatus) error {
		if s.Quorum.Have {
			return errors.New("fra does not miss the majority yet")
		}
		return nil
	}))
	if err := f.cluster(t, "fra").Kill(testbed.Member); err != nil { // systemctl stop hanse
		t.Fatal(err)
	}

	t.Run("a survivor says what it has, and goes on when everybody else is fenced off", func(t *testing.T) {
		mentions(t, f.onDisk(t, "fra", 0, "recover", "--show").Out, "fleet acme", "fra (this one)", "iad", "sin")
		mentions(t, f.onDisk(t, "fra", 2, "recover", "--fenced", "iad", "--yes").Talk, "sin")
		t.Logf("%s", f.onDisk(t, "fra", 0, "recover", "--fenced", "iad", "--fenced", "sin", "--yes"))
		f.startMember(t, "fra")
		f.must(t, "fra", userNamed("after-recovery"), "apply", "-f", "-")
		mentions(t, f.must(t, "fra", nil, "get", "users", "-o", "name").Out, "before-recovery", "after-recovery")
		until(t, comesBack, f.seat(t, "fra").warns("only looks"))
		if s := f.status(t, "fra"); s.Epoch != 2 || s.Revision < last+1<<32 {
			t.Errorf("epoch %d at revision %d, after epoch 1 at revision %d", s.Epoch, s.Revision, last)
		}
	})
	t.Run("a member of before is told so, and does nothing", func(t *testing.T) {
		if err := old.Start("--kubeconfig", f.cluster(t, "iad").Kubeconfig(), "--listen", old.Members(), "--api-listen", old.People()); err != nil {
			t.Fatal(err)
		}
		defer bury(t, old)
		stale := seat{name: "iad", status: old.Status}
		until(t, 3*time.Minute, stale.warns("fra says that this member was removed", "hanse token create --cluster iad"))
		f.untouched(t, "iad", before["iad"], "shop")
	})
	t.Run("the others join again, and the fleet only looks", func(t *testing.T) {
		f.joinAgain(t, "iad", "sin")
		for name, was := range before {
			f.untouched(t, name, was, "shop")
		}
		if err := edit(t.Context(), f.kubernetes(t, "sin")); err != nil {
			t.Fatal(err)
		}
		f.awaitProspect(t, "sin", "objects: 1 changed, 0 deleted")
		for _, name := range []string{"fra", "iad"} {
			f.awaitProspect(t, name, "stays as it is")
		}
		until(t, 3*time.Minute, settings(f.kubernetes(t, "sin"), "shop", "settings", "greeting", "hi"))
	})
	t.Run("the clusters that a person names act, and the others still look", func(t *testing.T) {
		t.Logf("%s", f.must(t, "sin", nil, "resume", "iad", "fra", "--yes"))
		repairs(t, f.kubernetes(t, "iad"), "1")
		repairs(t, f.kubernetes(t, "fra"), "1")
		until(t, 3*time.Minute, settings(f.kubernetes(t, "sin"), "shop", "settings", "greeting", "hi"))
		t.Logf("%s", f.must(t, "fra", nil, "resume", "--yes"))
		until(t, comesBack, settings(f.kubernetes(t, "sin"), "shop", "settings", "greeting", "welcome"))
		f.must(t, "sin", shop("2"), applyShop("--wait")...)
	})
}

// restoring loses every member, and makes a new fleet from a backup that is older than what the clusters run. The bundle
// shop, which is at version 2, ends at version 4.
func restoring(t *testing.T, f *field) {
	dir := folder(t)
	key, recipients := ageKey(t, dir)
	file := filepath.Join(dir, "acme.hanse.age")
	t.Logf("%s", f.must(t, "iad", nil, "backup", "-R", recipients, "-o", file))
	f.must(t, "sin", shop("3"), applyShop("--wait")...)
	f.must(t, "sin", settingsNamed("young"), "apply", "--bundle", "young", "--to", "all", "-f", "-", "--wait") // not in the backup
	before := f.surveys(t)
	for _, m := range f.seats {
		f.loseDisk(t, m.name)
	}

	t.Run("the backup founds a new fleet, the others join, and it only looks", func(t *testing.T) {
		restore := append([]string{"restore", file, "--identity", key, "--fleet", "acme", "--cluster", "fra"}, f.cluster(t, "fra").AddressFlags()...)
		t.Logf("%s", ended(t, 0, tell(t, Person{Hanse: f.hanse}, nil, restore...), restore))
		f.startMember(t, "fra")
		f.joinAgain(t, "iad", "sin")
		for name, was := range before {
			f.awaitProspect(t, name, "stays: it runs something newer, which the log has lost")
			f.untouched(t, name, was, "shop", "young")
		}
	})
	t.Run("what is newer than the backup is neither rolled back nor deleted, not even on resume", func(t *testing.T) {
		f.must(t, "fra", nil, "resume", "--yes")
		f.must(t, "fra", settingsNamed("later"), "apply", "--bundle", "later", "--to", "all", "-f", "-", "--wait") // so all act
		for name, was := range before {
			f.untouched(t, name, was, "shop", "young")
			until(t, 3*time.Minute, settings(f.kubernetes(t, name), "shop", "settings", "version", "3"))
		}
		f.must(t, "fra", nil, "delete", "bundle", "later", "--yes", "--wait")
	})
	t.Run("it is looked after again once somebody decides", func(t *testing.T) {
		f.must(t, "sin", shop("4"), applyShop()...)
		f.letGo(t, "sin", "shop") // nobody knows what version 3 brought
		for _, m := range f.seats {
			repairs(t, f.kubernetes(t, m.name), "4")
		}
	})
}

// onDisk types a command about the data directory of a cluster's member, which does not run.
func (f *field) onDisk(t *testing.T, name string, code int, args ...string) Said {
	t.Helper()
	args = append(args, "--data-dir", f.cluster(t, name).DataDir())
	return ended(t, code, tell(t, Person{Hanse: f.hanse}, nil, args...), args)
}

// startMember starts a cluster's member, and waits until it leads or follows somebody.
func (f *field) startMember(t *testing.T, name string) {
	t.Helper()
	if err := f.bed.Heal(t.Context(), f.cluster(t, name).Region()); err != nil {
		t.Fatal(err)
	}
	until(t, comesBack, f.seat(t, name).sees(func(s v1alpha1.FleetStatus) error {
		if !s.Quorum.Have {
			return fmt.Errorf("%s has no quorum", name)
		}
		return nil
	}))
}

// joinAgain lets clusters that are on record, and have no data directory, join through fra; three members vote then.
func (f *field) joinAgain(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		f.rejoin(t, name, f.must(t, "fra", nil, "token", "create", "--cluster", name).Out)
	}
	f.settle(t, "all are back", 3, 3)
}

// awaitProspect waits until hanse resume --show says something about the bundle shop in a cluster.
func (f *field) awaitProspect(t *testing.T, cluster, words string) {
	t.Helper()
	show := []string{"resume", "--show"}
	var said Said
	until(t, comesBack, func(context.Context) error {
		said = f.must(t, "fra", nil, show...)
		for line := range strings.Lines(said.Out) {
			if strings.HasPrefix(line, cluster) && containsAll(line, []string{"shop", words}) {
				return nil
			}
		}
		return fmt.Errorf("%s", said)
	})
	t.Logf("%s", said)
}

// ageKey makes a key, and the file of recipients that goes with it.
func ageKey(t *testing.T, dir string) (key, recipients string) {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	key, recipients = filepath.Join(dir, "key.txt"), filepath.Join(dir, "recipients.txt")
	if err := errors.Join(os.WriteFile(key, []byte(identity.String()+"\n"), 0o600), os.WriteFile(recipients, []byte(identity.Recipient().String()+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	return key, recipients
}
