package keep

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/secrets"
)

// life is how a group and a secret of it live on while one holder, iad, writes whatever the law lets it. The others do what is due, when they are there.
type life struct {
	*testing.T
	rng     *rand.Rand
	holders []string
	// keeps is how many former keys the group keeps.
	keeps   int
	keys    map[int64]secrets.Identity
	group   *v1alpha1.RecipientGroup
	values  map[string]any
	members map[string]Holder
	// first is the key that each revision is sealed to.
	first map[string]int64
	names []string
	last  v1alpha1.FleetSecret
	uid   string
	said  []string
	// there are those that must open all; liar is whom nobody asks.
	there map[string]bool
	liar  string
}

// The value, and another one that is sealed as well.
const (
	goodValue = "canary-4711"
	liarsTale = "of-the-liar"
)

func begin(t *testing.T, seed uint64, holders ...string) *life {
	l := &life{T: t, rng: rand.New(rand.NewPCG(seed, 6)), holders: holders, keeps: 2, keys: map[int64]secrets.Identity{}, members: map[string]Holder{}, first: map[string]int64{}, values: map[string]any{}, uid: "u", there: map[string]bool{"fra": true}, liar: "iad"}
	l.group = &v1alpha1.RecipientGroup{TypeMeta: v1alpha1.TypeOf("RecipientGroup")}
	l.group.Name, l.group.Spec.ClusterSelector = "readers", &metav1.LabelSelector{}
	for _, name := range holders {
		l.joins(name)
	}
	l.rotate()
	l.seal()
	return l
}

func (l *life) joins(name string) {
	l.members[name] = keyHolder(l, name)
	c := &v1alpha1.Cluster{TypeMeta: v1alpha1.TypeOf("Cluster")}
	c.Name, c.Status.Recipient = name, "age of "+name
	l.values[v1alpha1.KeyClusters+name] = c
}

// leaves removes a holder: it works no more, and what it said stays.
func (l *life) leaves(name string) {
	l.holders = slices.DeleteFunc(l.holders, func(other string) bool { return other == name })
	delete(l.values, v1alpha1.KeyClusters+name)
	delete(l.there, name)
}

// settles has those that are there do all that they can, one after another, and judges each time.
func (l *life) settles(order ...string) {
	l.Helper()
	for again := true; again; {
		again = false
		for _, name := range l.names {
			for _, cluster := range order {
				again = l.works(cluster, name) || again
				l.judge()
			}
		}
	}
}

// rotate makes the next key. The group forgets those of long ago.
func (l *life) rotate() {
	s := &l.group.Status
	if s.Epoch > 0 {
		s.Former = append(s.Former, v1alpha1.FormerKey{Epoch: s.Epoch})
	}
	s.Former = s.Former[max(0, len(s.Former)-l.keeps):]
	s.Epoch++
	key, err := secrets.NewIdentity()
	if err != nil {
		l.Fatal(err)
	}
	l.keys[s.Epoch], s.Recipient = key, key.Recipient().String()
	delete(l.keys, l.group.OldestKey()-1)
	s.Wraps = nil
	for _, name := range l.holders {
		s.Wraps = append(s.Wraps, v1alpha1.KeyWrap{Cluster: name, Key: v1alpha1.KeyID("age of " + name), Epoch: s.Epoch, Wrap: []byte("wrap")})
	}
	l.values[v1alpha1.KeyRecipientGroups+"readers"] = l.group.DeepCopy()
}

// seal writes the secret with the present key.
func (l *life) seal() {
	l.last.TypeMeta = v1alpha1.TypeOf("FleetSecret")
	l.last.Name, l.last.Namespace, l.last.UID = "db", "shop", types.UID(l.uid)
	l.last.Spec = v1alpha1.FleetSecretSpec{Group: "readers", Namespace: "shop"}
	l.last.Spec.Data = l.sealed(l.group.Status.Epoch, goodValue)
	l.revise(l.group.Status.Epoch)
}

// remake deletes the secret, and makes it again. What it was stays, as for a cluster that is away.
func (l *life) remake() {
	l.uid, l.last.Generation = "u"+l.uid, 0
	l.seal()
}

// edit writes another field of it.
func (l *life) edit() { l.revise(l.first[l.names[len(l.names)-1]]) }

func (l *life) revise(first int64) {
	l.last.Generation++
	name := v1alpha1.RevisionName("secret.db", l.uid, l.last.Generation)
	l.values[v1alpha1.KeyBundleRevisions+name] = map[string]any{"spec": map[string]any{"bundle": "secret.db", "bundleUID": l.uid, "generation": l.last.Generation, "manifests": []any{l.last.DeepCopy()}}}
	l.first[name], l.names = first, append(l.names, name)
}

func (l *life) sealed(epoch int64, value string) []byte {
	data, err := secrets.Seal(l.keys[epoch].Recipient(), secrets.Target{Namespace: "shop", Name: "db"}, data("password", value))
	if err != nil {
		l.Fatal(err)
	}
	return data
}

func (l *life) view() *store.View {
	return storetest.View(l, store.Member{ID: "id-fra", Cluster: "fra", Pin: store.Pin{1}}, l.values)
}

// told is what is known of a revision.
func (l *life) told(name string) *v1alpha1.Sealing { return law.SealingAt(l.view(), name) }

// goes is a go of a holder.
func (l *life) goes(cluster string) *sealing { return l.goesIn(cluster, l.view()) }

func (l *life) goesIn(cluster string, v *store.View) *sealing {
	k := keeperOf(l.members[cluster])
	sealings, _ := k.config.Kinds.Sealings.Readable(v)
	revisions, _ := k.config.Kinds.Revisions.Readable(v)
	s := newSealing(k, decoded.Object[v1alpha1.RecipientGroup]{Key: v1alpha1.KeyRecipientGroups + "readers", Value: l.group}, v, sealings)
	s.generations(revisions)
	s.ring = &keyring{holder: l.members[cluster], group: l.group, keys: l.keys}
	s.rings["readers"] = s.ring
	return s
}

// writes has a holder write a record, if the law lets it.
func (l *life) writes(cluster, name string, next v1alpha1.Sealing) bool {
	data, err := json.Marshal(next)
	if err != nil {
		l.Fatal(err)
	}
	member := store.Member{ID: store.MemberID("id-" + cluster), Cluster: cluster, Pin: store.Pin{1}}
	v := storetest.View(l, member, l.values)
	txn := store.Txn{Then: []store.Op{store.Put(v1alpha1.KeySealings+name, data)}}
	if err := (law.Authority{}).Authorize(v, store.Asker{Version: 1, Member: member.ID}, txn); err != nil {
		return false
	}
	l.values[v1alpha1.KeySealings+name] = next
	l.said = append(l.said, fmt.Sprintf("%s writes of %s: found %d epoch %d by %s instead %q confirmed %q witness %q since %v", cluster, name, next.Found, next.Epoch, next.By, next.Instead, next.Confirmed, next.Witness, next.Since))
	return true
}

// works has a holder do what is due about a revision, and says whether it wrote something.
func (l *life) works(cluster, name string) bool {
	s := l.goes(cluster)
	of, err := sealedIn(s.view, name)
	if err != nil {
		l.Fatal(err)
	}
	var next v1alpha1.Sealing
	switch due := plan.SealDueOf(l.group.Status.Epoch, s.known[name], s.known[name] != nil); {
	case due.Work == plan.SealAgain:
		next, err = s.again(name, s.known[name], of)
	case due.Work == plan.SealConfirm && due.By != cluster:
		next, err = s.confirmed(name, *s.known[name], of)
	default:
		return false
	}
	if err != nil {
		return false
	}
	if !l.writes(cluster, name, next) {
		l.Fatalf("the law does not let %s write %+v\n%v", cluster, next, l.said)
	}
	return true
}

// lies has iad write one of the records that the law lets it write of a revision.
func (l *life) lies(name string) {
	epoch, was := l.group.Status.Epoch, l.told(name)
	next := v1alpha1.Sealing{Group: "readers", Epoch: epoch, By: "iad", Found: l.rng.Int64N(epoch + 1)}
	if l.rng.IntN(2) == 0 {
		next.Found = min(l.first[name], epoch)
	}
	switch {
	case !next.Again():
	case l.rng.IntN(3) == 0:
		next.Data = []byte("junk")
	case l.rng.IntN(2) == 0:
		next.Data = l.sealed(epoch, liarsTale)
	default:
		next.Data = l.sealed(epoch, goodValue)
	}
	if l.rng.IntN(2) == 0 {
		next.Since = []map[string]int64{{"readers": 1 + l.rng.Int64N(epoch)}}
	}
	next.Was, next.Words = was.Leaves("iad", epoch, l.group.OldestKey())
	if was != nil {
		if was.Witness != "" {
			next.Found, next.Since, next.Witness = was.Found, was.Since, was.Witness
			if next.Again() && next.Data == nil {
				next.Data = l.sealed(epoch, liarsTale)
			} else if !next.Again() {
				next.Data = nil
			}
		}
		if was.Epoch == epoch {
			next.Instead = was.By
		}
		if was.Epoch == epoch && l.rng.IntN(2) == 0 {
			next = was.ConfirmedBy("iad")
			switch l.rng.IntN(8) { // which the law refuses
			case 0:
				next.Witness = was.Witness
			case 1:
				next.Was, next.Words = nil, nil
			}
		}
	}
	l.writes("iad", name, next)
}

// judge says what must hold at each moment: who is there opens the value, nobody honest takes another one for it, and no line of the ledger is closed that is open.
func (l *life) judge() {
	l.Helper()
	for _, cluster := range l.holders {
		if cluster == l.liar {
			continue
		}
		s := l.goes(cluster)
		for _, name := range l.names {
			of, err := sealedIn(s.view, name)
			if err != nil {
				l.Fatal(err)
			}
			got, err := s.ring.openSecret(&of, s.believed(name, s.known[name]))
			if err != nil && l.there[cluster] {
				l.Fatalf("%s does not open %s: %v\n%v", cluster, name, err, l.said)
			}
			if err == nil && got[0].Object["data"].(map[string]any)["password"] != "Y2FuYXJ5LTQ3MTE=" {
				l.Fatalf("%s takes another value for what is sealed in %s\n%v", cluster, name, l.said)
			}
			l.judgeTold(name, s.known[name])
		}
	}
}

func (l *life) judgeTold(name string, told *v1alpha1.Sealing) {
	l.Helper()
	if told == nil || told.Witness == "" {
		return
	}
	if told.Found == 0 || told.Found > l.first[name] {
		l.Fatalf("%s is witnessed to be sealed to key %d, and is to %d\n%v", name, told.Found, l.first[name], l.said)
	}
	for _, since := range told.Since {
		if since["readers"] > 1 { // it has been the same from the start
			l.Fatalf("%s is witnessed to be the same since %v\n%v", name, told.Since, l.said)
		}
	}
}

// round is what becomes of a revision with one key: iad is quicker than the others at times, and slower at others.
func (l *life) round(name string, lonIsThere, always bool) {
	quick, slow := l.rng.IntN(2) == 0, l.rng.IntN(3) > 0
	if quick {
		l.lies(name)
		l.judge()
	}
	l.works("fra", name)
	l.judge()
	if slow {
		l.lies(name)
		l.judge()
	}
	for again := true; again; {
		again = l.works("fra", name)
		again = lonIsThere && l.works("lon", name) || again
	}
	l.judge()
	if s := l.told(name); always && (s.Unseen() || s.Witness == "") {
		l.Fatalf("fra and lon are there from the start, and do not agree on %s\n%v", name, l.said)
	}
}

// TestAHolderThatLiesTakesNoValueAndPutsNoneInItsPlace: fra, which is always there, opens what was sealed, through more keys than the group keeps,
// whatever iad writes before or after it; who comes now and then takes nothing else for it; and two that are there agree with each key.
func TestAHolderThatLiesTakesNoValueAndPutsNoneInItsPlace(t *testing.T) {
	for name, c := range map[string]struct {
		holders []string
		// lon is there with so many of a hundred keys.
		lon int
	}{
		"of two":                          {[]string{"fra", "iad"}, 0},
		"of three, one now and then":      {[]string{"fra", "iad", "lon"}, 30},
		"of three, all of them there":     {[]string{"fra", "iad", "lon"}, 100},
		"of three, one of whom was never": {[]string{"fra", "iad", "lon"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(6) {
				l := begin(t, seed, c.holders...)
				for range 6 {
					l.rotate()
					switch l.rng.IntN(5) {
					case 0:
						l.edit()
					case 1:
						l.seal()
					case 2:
						l.remake()
					}
					lonIsThere := l.rng.IntN(100) < c.lon
					for _, revision := range l.names {
						l.round(revision, lonIsThere, c.lon == 100)
					}
				}
			}
		})
	}
}

// TestWhatCannotBeComparedIsNotWitnessed: a value is sealed to key 1, which is gone, and was sealed again.
func TestWhatCannotBeComparedIsNotWitnessed(t *testing.T) {
	since := func(epoch int64) []map[string]int64 { return []map[string]int64{{"readers": epoch}} }
	type again struct{ agreed, own, word string } // what was sealed again to key 2: by whom
	for name, c := range map[string]struct {
		there again
		told  v1alpha1.Sealing
		value string // that it has sealed again to key 3; "": nothing
		// confirmed says that it is; else it is written anew, as anew says, or left: "".
		confirmed bool
		anew      string
	}{
		"since ever, and what was agreed on":          {again{agreed: "a"}, v1alpha1.Sealing{Found: 1}, "a", true, ""},
		"since ever, and its own word":                {again{own: "a"}, v1alpha1.Sealing{Found: 1}, "a", true, ""},
		"since ever, and another's word":              {again{word: "a"}, v1alpha1.Sealing{Found: 1}, "a", false, ""},
		"another value than was agreed on":            {again{agreed: "a"}, v1alpha1.Sealing{Found: 1}, "b", false, "a"},
		"another value than its own word":             {again{own: "a"}, v1alpha1.Sealing{Found: 1}, "b", false, "a"},
		"though its own word was another":             {again{agreed: "a", own: "b"}, v1alpha1.Sealing{Found: 1}, "b", false, "a"},
		"of a later key":                              {again{agreed: "a"}, v1alpha1.Sealing{Found: 2, Since: since(2)}, "a", false, "a"},
		"of the first key, and of fewer":              {again{agreed: "a"}, v1alpha1.Sealing{Found: 1, Since: since(2)}, "a", false, "a"},
		"that none opens it":                          {again{agreed: "a"}, v1alpha1.Sealing{}, "", false, "a"},
		"that none opens it, against its word":        {again{own: "a"}, v1alpha1.Sealing{}, "", false, "a"},
		"that none opens it, against another's word":  {again{word: "a"}, v1alpha1.Sealing{}, "", false, ""},
		"that it is sealed to the present key":        {again{agreed: "a"}, v1alpha1.Sealing{Found: 3}, "", false, "a"},
		"that it is to a key that does not open it":   {again{}, v1alpha1.Sealing{Found: 3}, "", false, "none"},
		"another than another's word":                 {again{word: "a"}, v1alpha1.Sealing{Found: 1}, "b", false, ""},
		"what there is nothing to be compared with":   {again{}, v1alpha1.Sealing{Found: 1}, "a", false, ""},
		"that none opens it, which is so":             {again{}, v1alpha1.Sealing{}, "", true, ""},
		"that none opens it, and since when it is so": {again{}, v1alpha1.Sealing{Since: since(3)}, "", false, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			s, last, of := forms(t, []form{{epoch: 1, data: data("password", "a")}})
			s.group.Value.Status.Recipient = s.ring.keys[3].Recipient().String()
			sealed := func(epoch int64, value string) []byte {
				if value == "" {
					return nil
				}
				sealed, err := secrets.Seal(s.ring.keys[epoch].Recipient(), targetOf(&of), data("password", value))
				if err != nil {
					t.Fatal(err)
				}
				return sealed
			}
			told := c.told
			told.Group, told.Epoch, told.By, told.Data = "readers", 3, "iad", sealed(3, c.value)
			if c.there.agreed != "" {
				told.Was = &v1alpha1.SealedBefore{Epoch: 2, Data: sealed(2, c.there.agreed)}
			}
			for by, value := range map[string]string{"fra": c.there.own, "lon": c.there.word} {
				if value != "" {
					told.Words = append(told.Words, v1alpha1.SealedWord{By: by, Epoch: 2, Data: sealed(2, value)})
				}
			}
			s.group.Value.Status.Former = []v1alpha1.FormerKey{{Epoch: 2}}
			delete(s.ring.keys, 1)
			next, err := s.confirmed(last, told, of)
			switch {
			case c.confirmed:
				if err != nil || next.Confirmed != "fra" || next.Witness != "fra" {
					t.Fatalf("it becomes %+v: %v", next, err)
				}
			case c.anew == "":
				if err == nil {
					t.Fatalf("it becomes %+v", next)
				}
			default:
				if err != nil || next.Instead != "iad" || next.By != "fra" || next.Found > 1 || next.Since != nil {
					t.Fatalf("it becomes %+v: %v", next, err)
				}
				got, _ := secrets.Open(s.ring.keys[3], targetOf(&of), next.Data)
				if value := string(got["password"]); value != c.anew && c.anew != "none" {
					t.Errorf("%q is sealed again", value)
				}
			}
		})
	}
}

// Two that each say another thing, and nothing to compare them with: a third one neither opens the one nor the other, and writes nothing.
func TestOfTwoWordsOfOthersNeitherIsTaken(t *testing.T) {
	for name, c := range map[string]struct {
		self string
		why  string
	}{
		"a third one":     {"lon", "clusters fra and iad sealed it again, each something else"},
		"who wrote the a": {"fra", ""},
		"who wrote the b": {"iad", ""},
	} {
		s, last, of := forms(t, []form{{epoch: 1, data: data("password", "a")}})
		told := &v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 2, By: "iad"}
		for by, value := range map[string]string{"fra": "a", "iad": "b"} {
			sealed, err := secrets.Seal(s.ring.keys[2].Recipient(), targetOf(&of), data("password", value))
			if err != nil {
				t.Fatal(err)
			}
			if by == told.By {
				told.Data = sealed
			} else {
				told.Words = []v1alpha1.SealedWord{{By: by, Epoch: 2, Data: sealed}}
			}
		}
		s.group.Value.Status.Former = []v1alpha1.FormerKey{{Epoch: 2}}
		delete(s.ring.keys, 1)
		s.Cluster, s.ring.holder.Cluster = c.self, c.self
		_, opens := s.ring.openSecret(&of, s.believed(last, told))
		_, writes := s.again(last, told, of)
		for _, err := range []error{opens, writes} {
			if (err != nil) != (c.why != "") || c.why != "" && !strings.Contains(err.Error(), c.why) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// honest has a group of which nobody lies.
func honest(t *testing.T, seed uint64, holders ...string) *life {
	l := begin(t, seed, holders...)
	l.liar, l.there = "", map[string]bool{}
	return l
}

// TestWhatHonestHoldersSealedAgainIsInNoDoubt: holders come, are away, and leave, while one at least is there with each key: whoever is there opens all.
func TestWhatHonestHoldersSealedAgainIsInNoDoubt(t *testing.T) {
	for seed := range uint64(8) {
		l := honest(t, seed, "a", "b", "c")
		for i := range 10 {
			l.there = map[string]bool{}
			for len(l.there) == 0 {
				for _, name := range l.holders {
					if l.rng.IntN(3) == 0 {
						l.there[name] = true
					}
				}
			}
			l.rotate()
			l.judge()
			switch l.rng.IntN(8) {
			case 0:
				l.edit()
			case 1:
				l.seal()
			case 2:
				l.remake()
			}
			order := slices.Sorted(maps.Keys(l.there))
			l.rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			l.settles(order...)
			if l.rng.IntN(4) == 0 {
				l.leaves(l.holders[0])
				name := fmt.Sprint("d", i)
				l.holders = append(l.holders, name)
				l.joins(name)
			}
		}
	}
}

// fra alone had sealed a value again whose key is gone, when iad and lon come: what iad seals again is what fra did, and none of it is in doubt. Only fra can confirm it.
func TestTwoWordsThatAreTheSameAreInNoDoubt(t *testing.T) {
	for _, stays := range []bool{false, true} {
		l := honest(t, 1, "fra", "iad", "lon")
		l.there["fra"] = true
		for range l.keeps + 1 {
			l.rotate()
			l.settles("fra")
		}
		l.there["iad"], l.there["lon"] = true, true
		l.settles("iad", "lon")
		if !stays {
			l.leaves("fra")
		}
		for range l.keeps + 2 {
			l.rotate()
			if l.settles("iad", "lon"); stays {
				l.settles("fra", "iad", "lon")
			}
		}
		if told := l.told(l.names[0]); stays != told.Sure() || told.By == "fra" {
			t.Errorf("fra stays: %v: it is %+v", stays, told)
		}
	}
}

// iad sealed a value again and is gone, and so is the key that it did that to; fra did, too, and lon comes: it takes what fra wrote, and iad's is gone from the log.
func TestAWordWhoseKeyIsGoneIsNone(t *testing.T) {
	l := honest(t, 1, "fra", "iad", "lon")
	l.there["iad"] = true
	l.rotate()
	l.settles("iad")
	l.leaves("iad")
	l.there["fra"] = true
	for range l.keeps + 1 {
		l.rotate()
		l.settles("fra")
	}
	l.there["lon"] = true
	l.judge()
	if told := l.told(l.names[0]); len(told.Words) > 0 {
		t.Errorf("it keeps %+v", told.Words)
	}
	l.rotate()
	l.settles("lon", "fra")
	if told := l.told(l.names[0]); !told.Sure() || told.By != "lon" {
		t.Errorf("fra and lon do not agree: %+v", told)
	}
}

// A manifest is applied that no key of the group opens. What iad says that is in it stays its word alone: that nobody can compare it makes no second one, and where
// fra has said that none opens it, nobody takes it.
func TestWhatNobodyCanCompareIsAgreedOnByNoTwo(t *testing.T) {
	for _, first := range []string{"fra", "iad"} {
		l := begin(t, 1, "fra", "iad", "lon")
		for range l.keeps + 1 {
			l.rotate()
			l.settles("fra", "lon")
		}
		other, err := secrets.NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		l.last.Spec.Data, err = secrets.Seal(other.Recipient(), secrets.Target{Namespace: "shop", Name: "db"}, data("password", goodValue))
		if err != nil {
			t.Fatal(err)
		}
		l.revise(0)
		name := l.names[1]
		lies := func() {
			was, epoch := l.told(name), l.group.Status.Epoch
			next := v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: epoch, By: "iad", Data: l.sealed(epoch, liarsTale)}
			if next.Was, next.Words = was.Leaves("iad", epoch, l.group.OldestKey()); was != nil && was.Epoch == epoch {
				next.Instead = was.By
			}
			if !l.writes("iad", name, next) {
				t.Fatalf("the law lets it not write %+v", next)
			}
		}
		if first == "fra" {
			l.works("fra", name)
		}
		lies()
		for range l.keeps {
			for again := true; again; {
				again = l.works("lon", name)
				again = l.works("fra", name) || again
			}
			if told := l.told(name); told.By != "iad" || told.Confirmed != "" || told.Witness != "" {
				t.Fatalf("%s wrote first: it becomes %+v\n%v", first, told, l.said)
			}
			if first == "iad" {
				break // the next one that seals again takes it along
			}
			for _, cluster := range []string{"fra", "lon"} {
				s := l.goes(cluster)
				if _, err := s.ring.openSecret(&l.last, s.believed(name, s.known[name])); err == nil || !strings.Contains(err.Error(), "for fra no key opened it") {
					t.Errorf("%s takes it: %v", cluster, err)
				}
			}
			l.rotate()
			lies()
		}
	}
}
