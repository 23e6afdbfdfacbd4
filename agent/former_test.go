package agent

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/transport"
)

// hadKey is the directory of a member that has run, and its recipient.
func hadKey(t *testing.T, with *age.HybridIdentity) (folder, recipient string) {
	t.Helper()
	folder = founded(t, with)
	d, _, err := openMember(folder, with)
	if err != nil {
		t.Fatal(err)
	}
	id, err := d.ageIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return folder, id.Recipient().String()
}

// keepsKey is what hanse join and hanse restore do with the key of the member before.
func keepsKey(folder string, with *age.HybridIdentity, f Former, me self) (string, error) {
	key, err := f.identity(me)
	if err != nil {
		return "", err
	}
	d, _, release, err := newMember(folder, with, &me)
	if err != nil {
		return "", err
	}
	defer release()
	return d.keep(key)
}

func TestTheNextMemberKeepsTheKeyOfTheOneBefore(t *testing.T) {
	fra := self{Fleet: "acme", Cluster: "fra"}
	id, other := dataIdentity(t), dataIdentity(t)
	for name, tt := range map[string]struct{ was, given, is *age.HybridIdentity }{
		"in the clear":                           {nil, nil, nil},
		"in the clear, now encrypted":            {nil, nil, id},
		"in the clear, and an identity is given": {nil, id, id},
		"encrypted":                              {id, id, id},
		"encrypted, now to another identity":     {id, id, other},
		"encrypted, now in the clear":            {id, id, nil},
	} {
		t.Run(name, func(t *testing.T) {
			former, recipient := hadKey(t, tt.was)
			before, fresh := lies(t, former), filepath.Join(t.TempDir(), "fresh")
			for range 2 { // the second time it goes on with what the first one left
				if got, err := keepsKey(fresh, tt.is, Former{DataDir: former, DataIdentity: tt.given}, fra); err != nil || got != recipient {
					t.Errorf("it has another key: %v", err)
				}
			}
			if got, err := keepsKey(fresh, tt.is, Former{}, fra); err != nil || got != recipient {
				t.Errorf("a repetition that does not say it has another key: %v", err)
			}
			if !maps.EqualFunc(before, lies(t, former), bytes.Equal) {
				t.Error("the former directory was changed")
			}
			if tt.is != nil {
				encryptedOnly(t, fresh)
			}
		})
	}
}

func TestNoOtherKeyIsKept(t *testing.T) {
	fra := self{Fleet: "acme", Cluster: "fra"}
	id := dataIdentity(t)
	clear, _ := hadKey(t, nil)
	encrypted, _ := hadKey(t, id)
	running, _ := hadKey(t, nil)
	release, err := dataDir{folder: running}.lock()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	garbled, _ := hadKey(t, nil)
	if err := os.WriteFile(filepath.Join(garbled, fileKey), []byte("AGE-SECRET-KEY-PQ-1canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		from Former
		me   self
		want string
	}{
		"no member's":             {Former{DataDir: t.TempDir()}, fra, "that is no data directory of a member"},
		"of another cluster":      {Former{DataDir: clear}, self{Fleet: "acme", Cluster: "iad"}, "it is of fra of fleet acme, not of iad of fleet acme"},
		"of another fleet":        {Former{DataDir: clear}, self{Fleet: "try", Cluster: "fra"}, "it is of fra of fleet acme, not of fra of fleet try"},
		"one that runs":           {Former{DataDir: running}, fra, "in use by a running agent; stop that agent first"},
		"one that never ran":      {Former{DataDir: founded(t, nil)}, fra, "no age.key is there"},
		"encrypted":               {Former{DataDir: encrypted}, fra, "is encrypted; give the age key that opens it"},
		"encrypted to another":    {Former{DataDir: encrypted, DataIdentity: dataIdentity(t)}, fra, "is encrypted to another identity"},
		"one that cannot be read": {Former{DataDir: garbled}, fra, "read " + filepath.Join(garbled, fileKey)},
	} {
		t.Run(name, func(t *testing.T) {
			fresh := filepath.Join(t.TempDir(), "fresh")
			before := lies(t, tt.from.DataDir)
			_, err := keepsKey(fresh, nil, tt.from, tt.me)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat(fresh); err == nil {
				t.Error("something was made")
			}
			if !maps.EqualFunc(before, lies(t, tt.from.DataDir), bytes.Equal) {
				t.Error("the former directory was changed")
			}
		})
	}
	t.Run("beside another one", func(t *testing.T) {
		fresh, other := filepath.Join(t.TempDir(), "fresh"), ""
		if other, err = keepsKey(fresh, nil, Former{DataDir: clear}, fra); err != nil {
			t.Fatal(err)
		}
		second, _ := hadKey(t, nil)
		if got, err := keepsKey(fresh, nil, Former{DataDir: second}, fra); err == nil || !strings.Contains(err.Error(), "has another age.key already") {
			t.Errorf("it has %s: %v", got, err)
		}
		if got, err := keepsKey(fresh, nil, Former{}, fra); err != nil || got != other {
			t.Errorf("it is another one now: %v", err)
		}
	})
}

// A try that was cut off may have let the member in: the copy stays, is told of, and nobody can say that the key is lost.
func TestATryThatIsCutOffLeavesTheKey(t *testing.T) {
	former, recipient := hadKey(t, nil)
	fresh := filepath.Join(t.TempDir(), "fresh")
	token := transport.Token{Fleet: "acme", Pins: []transport.Pin{{1}}, Addresses: []string{"127.0.0.1:1"}, Expires: time.Now().Add(time.Hour)}
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	try := func(f Former, lost bool) string {
		_, err := Join(cut, JoinOptions{DataDir: fresh, Cluster: "fra", Token: token.String(), Former: f, KeysLost: lost, Addresses: Addresses{Listen: "127.0.0.1:7946", APIListen: "127.0.0.1:7947"}})
		if err == nil {
			t.Fatal("it joined nobody")
		}
		return err.Error()
	}
	if said := try(Former{DataDir: former}, false); !strings.Contains(said, "a copy of the key is in "+filepath.Join(fresh, fileKey)+" now, for another try") {
		t.Errorf("with the key it is told: %s", said)
	}
	if said := try(Former{}, true); !strings.Contains(said, "data directory "+fresh+" has a copy of the key") {
		t.Errorf("as if that were lost it is told: %s", said)
	}
	if said := try(Former{}, false); strings.Contains(said, "a copy of the key") {
		t.Errorf("another time it is told: %s", said)
	}
	if got, err := (dataDir{folder: fresh}).keep(nil); err != nil || got != recipient {
		t.Errorf("it does not have the key any more: %v", err)
	}
	fresh = filepath.Join(t.TempDir(), "other")
	if said := try(Former{}, true); strings.Contains(said, "a copy of the key") {
		t.Errorf("where no key is, it is told: %s", said)
	}
}

// Nothing is made or changed when somebody does not agree with what nobody could open then.
func TestAnEpochBeginsWhenItIsAgreedWhatItOpens(t *testing.T) {
	no := errors.New("no")
	dir := lonely(t)
	if _, err := Recover(RecoverOptions{DataDir: dir, Agree: func([]epoch.Shut) error { return no }}); err == nil || !strings.Contains(err.Error(), "majority is not lost") {
		t.Errorf("it is asked before it is known that the recovery may be: %v", err)
	}
	d, me, err := openMember(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, found, v, err := d.survey(me)
	if err != nil {
		t.Fatal(err)
	}
	asked := false
	if _, err := d.succeed(me, v, found, RecoverOptions{Agree: func(shut []epoch.Shut) error { asked = len(shut) == 0; return no }}); !errors.Is(err, no) || !asked {
		t.Errorf("it was asked: %v, and got %v", asked, err)
	}
	for _, made := range []string{d.nextRaft(), d.path("raft.epoch-1")} {
		if _, err := os.Stat(made); err == nil {
			t.Errorf("%s was made", made)
		}
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "member")
	_, _, err = Restore(RestoreOptions{DataDir: missing, Fleet: "acme", Cluster: "fra", Region: "eu", Addresses: Addresses{Listen: "127.0.0.1:7946", APIListen: "127.0.0.1:7947"},
		Backup: backupOf(t, key), Identities: []age.Identity{key}, Agree: func([]epoch.Shut) error { return no }})
	if !errors.Is(err, no) {
		t.Errorf("it is restored: %v", err)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("something was made")
	}
}
