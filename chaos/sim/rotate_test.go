package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/canary"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/secrets"
)

// vault is what is sealed for the group readers, and what was seen of it.
type vault struct {
	*testing.T
	fleet *sim.Fleet
	// values by the name of the secret, each a text that nothing else has.
	values map[string]string
	// keys are the recipients by epoch, and again what was sealed again, by revision and epoch: there is one of each, whoever is asked.
	keys  map[int64]string
	again map[string]string
	// own are the private keys that open everything at each moment, by whose they are, and texts the value that is sealed in some data.
	own   map[string]secrets.Identity
	texts map[string]string
	// judged are the revisions of the log that were, looked at is the last of each member, and told what was seen of sealings there.
	judged map[store.Revision]bool
	looked map[*sim.Member]store.Revision
	told   map[string]bool
	// opened is which key opens some data.
	opened map[string]string
	// unwrapped are wraps that were opened, or could not be.
	unwrapped map[string]unwrapped
}

type unwrapped struct {
	key secrets.Identity
	err error
}

func newVault(t *testing.T, f *sim.Fleet, own map[string]secrets.Identity) *vault {
	return &vault{
		T: t, fleet: f, own: own, values: map[string]string{}, keys: map[int64]string{}, again: map[string]string{},
		texts: map[string]string{}, judged: map[store.Revision]bool{}, looked: map[*sim.Member]store.Revision{}, told: map[string]bool{}, opened: map[string]string{}, unwrapped: map[string]unwrapped{},
	}
}

// seal puts a secret into the fleet, sealed to a recipient.
func (v *vault) seal(through *sim.Member, name, recipient string, generation int64) {
	v.Helper()
	v.sealAs(through, name, recipient, generation, fmt.Sprintf("%s-%s-%d", password, name, generation))
}

func (v *vault) sealAs(through *sim.Member, name, recipient string, generation int64, value string) {
	v.Helper()
	to, err := secrets.ParseRecipient(recipient)
	if err != nil {
		v.Fatal(err)
	}
	data, err := secrets.Seal(to, targetOf(name), map[string][]byte{"password": []byte(value)})
	if err != nil {
		v.Fatal(err)
	}
	v.values[name], v.texts[string(data)] = value, value
	amend(v.T, through, v1alpha1.KeyFleetSecrets+name, func(s *v1alpha1.FleetSecret) {
		s.TypeMeta, s.ObjectMeta = v1alpha1.TypeOf("FleetSecret"), metav1.ObjectMeta{Name: name, UID: types.UID("u-" + name), Generation: generation}
		s.Spec = v1alpha1.FleetSecretSpec{Group: "readers", Namespace: "shop", Data: data}
	})
}

// amend changes an object, or makes it, whoever else writes it meanwhile.
func amend[T any](t *testing.T, m *sim.Member, key string, change func(*T)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	for {
		var o T
		if kv, there := m.Core.Store().View().Get(key); there {
			if err := json.Unmarshal(kv.Value, &o); err != nil {
				t.Fatal(err)
			}
		}
		change(&o)
		value, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		p, err := sim.Proposal(m.Core, key, value)
		if err == nil {
			_, err = m.Core.Node().Propose(ctx, p)
		}
		if err == nil {
			return
		}
		if ctx.Err() != nil { // what was not decided, or by a leader that is no more, is asked for again
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func targetOf(name string) secrets.Target { return secrets.Target{Namespace: "shop", Name: name} }

// reach are the keys of the group that one who has a key of its own gets at, by epoch, with all that is in a state.
func reach(s *store.View, own secrets.Identity) map[int64]secrets.Identity {
	return reachBy(secrets.Unwrap, s, own)
}

// unwrap is secrets.Unwrap, of each wrap once.
func (v *vault) unwrap(with secrets.Identity, k secrets.Key, recipient string, wrap []byte) (secrets.Identity, error) {
	id := fmt.Sprintf("%s %s %s %s", with.Reveal(), k, recipient, wrap)
	known, did := v.unwrapped[id]
	if !did {
		known.key, known.err = secrets.Unwrap(with, k, recipient, wrap)
		v.unwrapped[id] = known
	}
	return known.key, known.err
}

func reachBy(unwrap func(with secrets.Identity, k secrets.Key, recipient string, wrap []byte) (secrets.Identity, error), s *store.View, own secrets.Identity) map[int64]secrets.Identity {
	kv, _ := s.Get(readersKey)
	var g v1alpha1.RecipientGroup
	if json.Unmarshal(kv.Value, &g) != nil {
		return nil
	}
	recipients := map[int64]string{g.Status.Epoch: g.Status.Recipient}
	for _, f := range g.Status.Former {
		recipients[f.Epoch] = f.Recipient
	}
	key := func(epoch int64) secrets.Key { return secrets.Key{Fleet: "sim", Group: "readers", Epoch: epoch} }
	all := map[int64]secrets.Identity{}
	for _, w := range g.Status.Wraps {
		for _, form := range w.Forms() {
			if id, err := unwrap(own, key(w.Epoch), recipients[w.Epoch], form); err == nil {
				all[w.Epoch] = id
			}
		}
	}
	for _, f := range slices.Backward(g.Status.Former) {
		for _, with := range all {
			if id, err := unwrap(with, key(f.Epoch), f.Recipient, f.Key); err == nil {
				all[f.Epoch] = id
				break
			}
		}
	}
	return all
}

// opens says whether some of these keys open a secret, as it was written or sealed again.
func (v *vault) opens(s *store.View, name string, keys map[int64]secrets.Identity) bool {
	kv, _ := s.Get(v1alpha1.KeyFleetSecrets + name)
	var fs v1alpha1.FleetSecret
	if json.Unmarshal(kv.Value, &fs) != nil {
		return false
	}
	if opensOne(keys, name, fs.Spec.Data, v.values[name]) {
		return true
	}
	record, _ := sealingOf(s, fs)
	return opensOne(keys, name, record.Data, v.values[name])
}

func opensOne(keys map[int64]secrets.Identity, name string, sealed []byte, value string) bool {
	for _, key := range keys {
		if data, err := secrets.Open(key, targetOf(name), sealed); err == nil {
			return string(data["password"]) == value
		}
	}
	return false
}

func sealingOf(s *store.View, fs v1alpha1.FleetSecret) (record v1alpha1.Sealing, there bool) {
	kv, there := s.Get(v1alpha1.KeySealings + v1alpha1.RevisionName(fs.RolledOut().String(), string(fs.UID), fs.Generation))
	return record, there && json.Unmarshal(kv.Value, &record) == nil
}

// look judges what each running member knows: an epoch has one key and a revision is sealed again to it once, whoever is asked.
func (v *vault) look() {
	v.Helper()
	for _, m := range v.fleet.Members {
		if !m.Running() {
			continue
		}
		s := m.Core.Store().View()
		if v.looked[m] == s.Revision() {
			continue
		}
		v.looked[m] = s.Revision()
		kv, _ := s.Get(readersKey)
		var g v1alpha1.RecipientGroup
		if len(kv.Value) == 0 || json.Unmarshal(kv.Value, &g) != nil || g.Status.Epoch == 0 {
			continue
		}
		if was := v.keys[g.Status.Epoch]; was != "" && was != g.Status.Recipient {
			v.Fatalf("there are two keys of epoch %d", g.Status.Epoch)
		}
		v.keys[g.Status.Epoch] = g.Status.Recipient
		for kv := range s.Iterate(v1alpha1.KeySealings, "") {
			said := kv.Key + string(kv.Value)
			if v.told[said] {
				continue
			}
			v.told[said] = true
			var r v1alpha1.Sealing
			if err := json.Unmarshal(kv.Value, &r); err != nil {
				v.Fatal(err)
			}
			id := fmt.Sprintf("%s at %d", kv.Key, r.Epoch)
			if was, seen := v.again[id]; seen && was != r.By+string(r.Data) && r.Instead == "" {
				v.Fatalf("%s was sealed again twice", id)
			}
			v.again[id] = r.By + string(r.Data)
		}
		if !v.judged[s.Revision()] {
			v.judged[s.Revision()] = true
			if lost := v.lost(s); lost != "" {
				v.Fatal(lost)
			}
		}
	}
}

// lost says which of those that may read does not open which secret of a state, by what the log and its own key give it; "" when each opens all.
func (v *vault) lost(s *store.View) string {
	v.Helper()
	for who, own := range v.own {
		keys := map[string]secrets.Identity{}
		for _, key := range reachBy(v.unwrap, s, own) {
			keys[key.Reveal()] = key
		}
		for kv := range s.Iterate(v1alpha1.KeyFleetSecrets, "") {
			var fs v1alpha1.FleetSecret
			if err := json.Unmarshal(kv.Value, &fs); err != nil {
				v.Fatal(err)
			}
			record, _ := sealingOf(s, fs)
			if !v.opensSome(keys, fs.Name, v.texts[string(fs.Spec.Data)], fs.Spec.Data, record.Data) {
				return fmt.Sprintf("%s does not open %s at revision %d, with %d keys", who, fs.Name, s.Revision(), len(keys))
			}
		}
	}
	return ""
}

// opensSome says whether one of some keys, by their texts, opens what is sealed, in one form or the other. What once opened with a key does again.
func (v *vault) opensSome(keys map[string]secrets.Identity, name, value string, forms ...[]byte) bool {
	for _, sealed := range forms {
		if _, has := keys[v.opened[string(sealed)]]; has {
			return true
		}
		for text, key := range keys {
			if opensOne(map[int64]secrets.Identity{0: key}, name, sealed, value) {
				v.opened[string(sealed)] = text
				return true
			}
		}
	}
	return false
}

// nothingIsLost checks that each secret of a state can be opened by those who may read.
func (v *vault) nothingIsLost(m *sim.Member, may ...*sim.Member) {
	v.Helper()
	s := m.Core.Store().View()
	for _, reader := range may {
		keys := reach(s, ownKey(v.T, reader))
		for name := range v.values {
			if _, there := s.Get(v1alpha1.KeyFleetSecrets + name); there && !v.opens(s, name, keys) {
				v.Fatalf("%s does not open %s", reader.Name, name)
			}
		}
	}
}

// kept says whether a member knows that all is sealed to the key of an epoch, and confirmed.
func (v *vault) kept(m *sim.Member, epoch int64) bool {
	s := m.Core.Store().View()
	g := keyOfReaders(v.T, m)
	if g.Status.Epoch != epoch || g.Status.Unproven() {
		return false
	}
	for name := range v.values {
		kv, _ := s.Get(v1alpha1.KeyFleetSecrets + name)
		var fs v1alpha1.FleetSecret
		if json.Unmarshal(kv.Value, &fs) != nil {
			return false
		}
		r, there := sealingOf(s, fs)
		if !there || r.Epoch != epoch || r.Unseen() {
			return false
		}
	}
	return true
}

// trouble kills one of some members after the other, or cuts it off, at random moments, until what is waited for is there.
func (v *vault) trouble(rng *rand.Rand, among []*sim.Member, done func() bool) {
	v.Helper()
	for begun := time.Now(); !done(); {
		if time.Since(begun) > 10*time.Minute {
			v.Fatal("it is not done in ten minutes")
		}
		m := among[rng.IntN(len(among))]
		v.wait(time.Duration(rng.IntN(400))*time.Millisecond, done)
		if rng.IntN(2) == 0 {
			m.Kill()
			v.wait(time.Duration(rng.IntN(5000))*time.Millisecond, done)
			m.Start()
		} else {
			m.Isolate()
			v.wait(time.Duration(rng.IntN(20000))*time.Millisecond, done)
			m.Rejoin()
		}
		v.wait(time.Duration(rng.IntN(2000))*time.Millisecond, done)
	}
}

// wait looks at what there is until the time is over, or what is waited for is there.
func (v *vault) wait(for_ time.Duration, done func() bool) {
	for end := time.Now().Add(for_); time.Now().Before(end) && !done(); time.Sleep(20 * time.Millisecond) {
		v.look()
	}
}

func TestWhoIsRemovedOpensNothingThatIsSealedAfterwards(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		rng := random(t)
		f := sim.New(t, wide)
		defer f.Close()
		five(f)
		cdg, mad := f.Join("cdg", "eu"), f.Join("mad", "eu")
		fra, iad, sin, ams := f.Members[0], f.Members[1], f.Members[2], f.Members[3]
		recovery, err := secrets.NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		v := newVault(t, f, map[string]secrets.Identity{"who recovers": recovery, "fra": ownKey(t, fra), "ams": ownKey(t, ams)})
		readers(t, iad, recovery)
		amend(t, iad, v1alpha1.KeyFleets+"sim", func(f *v1alpha1.Fleet) { // no cluster keeps an earlier value
			f.Spec.Rollout = &v1alpha1.FleetRollout{Freeze: &v1alpha1.Freeze{}}
		})
		f.Await("the group has its key", time.Minute, func() bool { return heldBy(t, iad, "ams", "cdg", "fra", "mad") })
		first := keyOfReaders(t, iad).Status.Recipient
		for i := range 40 { // more than are sealed again at once
			v.seal(iad, fmt.Sprintf("s%d", i), first, 1)
		}

		// Somebody takes cdg and all that it has, and it is removed. Those who take its place are killed and cut off meanwhile.
		f.Await("cdg has all", time.Minute, func() bool {
			return cdg.Core.Store().View().Revision() >= iad.Core.Store().View().Revision()
		})
		stolen := ownKey(t, cdg)
		before := cdg.Core.Store().View()
		had := reach(before, stolen)
		if !v.opens(before, "s0", had) {
			t.Fatal("cdg does not even open what was sealed for it")
		}
		cdg.Kill()
		remove(t, iad, "cdg")
		holders := []*sim.Member{fra, ams, mad}
		v.trouble(rng, holders, func() bool { return v.kept(iad, 2) })
		f.Await("all know", time.Minute, func() bool { return v.kept(fra, 2) && v.kept(ams, 2) && v.kept(mad, 2) && v.kept(sin, 2) })
		v.look()
		v.nothingIsLost(iad, holders...)
		second := keyOfReaders(t, iad).Status
		for i := range 5 { // sealed to the new key, and to the old one, which still lies in Git
			v.seal(iad, fmt.Sprintf("s%d", i), second.Recipient, 2)
			v.seal(iad, fmt.Sprintf("git%d", i), first, 1)
		}
		v.trouble(rng, holders, func() bool { return v.kept(iad, 2) })

		// Another one leaves the group, and an admin asks for one key more.
		madHad := reach(mad.Core.Store().View(), ownKey(t, mad))
		if len(madHad) < 2 {
			t.Fatalf("mad had %d keys", len(madHad))
		}
		amend(t, iad, v1alpha1.KeyClusters+"mad", func(c *v1alpha1.Cluster) { c.Labels[v1alpha1.LabelRegion] = "ap" })
		v.trouble(rng, []*sim.Member{fra, ams}, func() bool { return v.kept(iad, 3) })
		amend(t, iad, readersKey, func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate = 1 })
		v.trouble(rng, []*sim.Member{fra, ams}, func() bool { return v.kept(iad, 4) })
		v.look()
		v.nothingIsLost(iad, fra, ams)

		now := iad.Core.Store().View()
		stranger := newVault(t, f, map[string]secrets.Identity{"a stranger": newKey(t)})
		stranger.texts = v.texts
		if said := stranger.lost(now); !strings.HasPrefix(said, "a stranger does not open ") {
			t.Errorf("that one opens nothing is told as %q", said)
		}
		for name := range v.values {
			if !v.opens(now, name, reach(now, recovery)) {
				t.Errorf("the recovery key does not open %s", name)
			}
		}
		for _, gone := range []struct {
			who   string
			own   secrets.Identity
			had   map[int64]secrets.Identity
			until int64
		}{{"cdg", stolen, had, 1}, {"mad", ownKey(t, mad), madHad, 2}, {"sin", ownKey(t, sin), nil, 0}} {
			keys := reach(now, gone.own)
			for epoch, key := range gone.had {
				keys[epoch] = key
			}
			for _, sealed := range sealedAfter(t, now, gone.until) {
				for _, key := range append([]secrets.Identity{gone.own}, values(keys)...) {
					if _, err := secrets.Open(key, targetOf(sealed.name), sealed.data); err == nil {
						t.Errorf("%s opens %s, which was sealed after it was gone", gone.who, sealed.name)
					}
				}
			}
		}
		left := keyOfReaders(t, iad).Status.Left
		if len(left) != 2 || left[0].Cluster != "cdg" || left[0].Epoch != 1 || left[1].Cluster != "mad" || left[1].Epoch != 2 {
			t.Errorf("those who left are told as %v", left)
		}
		canaries := map[string][]byte{}
		all := reach(now, recovery)
		if len(all) != 4 {
			t.Errorf("%d keys are looked for", len(all))
		}
		for epoch, key := range all {
			forms, err := canary.Identity(fmt.Sprintf("key %d of the group", epoch), key.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			maps.Copy(canaries, forms)
		}
		for name, value := range v.values {
			canaries["secret "+name] = []byte(value)
		}
		lackedByAll(t, f, canaries)
		if _, opens := opensWith(t, iad, recovery); !opens {
			t.Error("the recovery key does not open the present key")
		}

		// The ledger has what they could read, until it is another value: all but the five that cdg could not, and what is sealed anew as it was.
		v.ledger(map[string]int{"cdg": 40, "mad": 45, "fra": 0, "sin": 0}, iad, fra, sin, ams, mad)
		present := keyOfReaders(t, iad).Status.Recipient
		v.sealAs(iad, "s6", present, 2, v.values["s6"])
		v.seal(iad, "s7", present, 2)
		v.trouble(rng, []*sim.Member{fra, ams}, func() bool { return v.kept(iad, 4) })
		v.ledger(map[string]int{"cdg": 39, "mad": 44, "fra": 0, "sin": 0}, iad, fra, sin, ams, mad)
	})
}

// ledger waits until the ledger has so many lines open, by cluster, and every member gives the same answer.
func (v *vault) ledger(open map[string]int, all ...*sim.Member) {
	v.Helper()
	var said string
	same := func() bool {
		said = ""
		for _, m := range all {
			l, err := m.Core.Ledger(m.Core.Store().View())
			if err != nil {
				v.Fatal(err)
			}
			told := map[string]int{}
			for cluster := range open {
				told[cluster] = l.Exposed(cluster).Open
			}
			whole, err := json.Marshal(l.Exposed(""))
			if err != nil {
				v.Fatal(err)
			}
			if !maps.Equal(told, open) || said != "" && said != string(whole) {
				said = fmt.Sprintf("%s counts %v, of %s", m.Name, told, whole)
				return false
			}
			said = string(whole)
		}
		return true
	}
	for end := time.Now().Add(10 * time.Minute); !same(); time.Sleep(time.Second) {
		if time.Now().After(end) {
			v.Fatalf("the ledger is not as it should be: %s", said)
		}
	}
}

func values[K comparable, V any](m map[K]V) (all []V) {
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

type sealedData struct {
	name string
	data []byte
}

// sealedAfter is all that is in a state and was sealed to a key of a later epoch.
func sealedAfter(t *testing.T, s *store.View, epoch int64) (all []sealedData) {
	t.Helper()
	for kv := range s.Iterate(v1alpha1.KeySealings, "") {
		var r v1alpha1.Sealing
		if err := json.Unmarshal(kv.Value, &r); err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(kv.Key, v1alpha1.KeySealings+v1alpha1.RolledOut{Kind: "FleetSecret"}.String()), "-")
		if r.Again() {
			all = append(all, sealedData{name, r.Data})
		}
		if fs, there := s.Get(v1alpha1.KeyFleetSecrets + name); there && r.Found > epoch {
			var o v1alpha1.FleetSecret
			if err := json.Unmarshal(fs.Value, &o); err != nil {
				t.Fatal(err)
			}
			all = append(all, sealedData{name, o.Spec.Data})
		}
	}
	if len(all) == 0 {
		t.Fatal("nothing was sealed")
	}
	return all
}
