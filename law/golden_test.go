package law

import (
	"bytes"
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/fault"
	"github.com/hanse-fleet/hanse/transport"
)

var update = flag.Bool("update", false, "write testdata of the present version anew")

// A golden log is the entries of a fleet's life as one release wrote them, and the snapshot that it came to. Each is
// index, term and length (8 bytes each, big endian) and the entry. testdata/README.md says how a release adds its own.
const (
	goldenLog      = "log.bin"
	goldenSnapshot = "snapshot.bin"
	goldenNow      = "testdata/v1"
)

// life is a realm that keeps the entries of its log.
func life(t *testing.T) (log, after []byte) {
	r := newRealm(t)
	try := func(want bool, member store.MemberID, person string, as uint64, ops ...store.Op) {
		t.Helper()
		if err := r.try(member, person, as, ops...); (err == nil) != want {
			t.Fatalf("%s %s: %v", member, person, err)
		}
	}
	big := r.bundle("big", "fra")
	big.Annotations = map[string]string{"note": string(bytes.Repeat([]byte("x"), 100<<10))}
	whole := r.whole(r.put(v1alpha1.KeyBundles+"big", big))
	txn, chunks := store.SplitTxn(store.Txn{Then: append(whole, r.records("id-fra", "otto", whole...)...)})
	for _, c := range chunks {
		r.write(store.Command{Proposer: "id-fra", Time: time.Unix(50, 0).UnixNano(), Chunk: c.Data})
	}
	if err := r.tryBare("id-fra", "otto", 0, txn.Then...); err != nil {
		t.Fatal(err)
	}
	try(false, "id-fra", "vera", 0, r.whole(r.put(v1alpha1.KeyBundles+"shop", r.bundle("shop", "sin")))...)
	try(true, "id-fra", "", term, r.put(v1alpha1.GrantKey("iad", "shop"), v1alpha1.Grant{Bundle: "shop", BundleUID: "u-shop", Revision: "r"}))
	try(false, "id-fra", "", term-1, r.put(v1alpha1.GrantKey("sin", "shop"), v1alpha1.Grant{Bundle: "shop"}))
	anotherKey(r, try)
	try(true, "id-iad", "", 0, r.whole(r.put(v1alpha1.KeyBundles+"mine", r.bundle("mine", "iad")))...)
	try(true, "id-sin", "", 0, r.cluster("sin", func(c *v1alpha1.Cluster) { c.Status.Version = "v2" }))
	try(true, "id-fra", "anna", 0, r.whole(r.cluster("sin", func(c *v1alpha1.Cluster) { c.Spec.Rights = v1alpha1.RightsAdmin }))...)
	try(true, "id-fra", "otto", 0, r.whole(store.Delete(v1alpha1.KeyBundles+"shop"))...)
	record, _ := r.store.View().Get(v1alpha1.KeyClusters + "iad")
	iad := []store.Op{store.Put(record.Key, record.Value), store.PutMember(store.Member{ID: "id-iad-2", Cluster: "iad", Region: "r", Pin: store.Pin{9}})}
	try(true, "id-fra", "anna", 0, r.whole(store.Delete(v1alpha1.KeyClusters+"iad"))...)
	try(false, "id-fra", "", term, iad...)
	try(true, "id-fra", "", term, Leavings(r.store.View(), record.Key)...)
	try(true, "id-fra", "", term, iad...)
	r.write(store.Command{
		ID: store.CommandID{Incarnation: "id-fra", Seq: 900}, Proposer: "id-fra", Time: time.Unix(90, 0).UnixNano(),
		Txn: &store.Txn{If: []store.Condition{store.PrefixUnchanged(v1alpha1.KeyGrants, 1)}, Then: []store.Op{store.Put(KeyTokens+"u", nil)}},
	})
	var b bytes.Buffer
	if _, err := r.store.Snapshot().WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return r.log, b.Bytes()
}

// anotherKey gives a group a key, and when a cluster leaves it another one, by all that a rotation writes.
func anotherKey(r *realm, try func(want bool, member store.MemberID, person string, as uint64, ops ...store.Op)) {
	bare := func(want bool, member store.MemberID, op store.Op) {
		r.Helper()
		if err := r.tryBare(member, "", 0, op); (err == nil) != want {
			r.Fatalf("%s: %v", member, err)
		}
	}
	const revision = v1alpha1.KeySealings + "secret.db-u-db-1"
	for _, name := range []string{"fra", "iad", "sin"} {
		try(true, "id-"+store.MemberID(name), "", 0, r.cluster(name, toldRecipient("age of "+name)))
		try(true, "id-fra", "anna", 0, r.whole(r.cluster(name, func(c *v1alpha1.Cluster) { c.Labels["reads"] = "yes" }))...)
	}
	try(true, "id-fra", "anna", 0, r.whole(r.put(v1alpha1.KeyRecipientGroups+"readers", group("readers", "yes")))...)
	bare(false, "id-fra", r.group("readers", made("iad")))
	bare(true, "id-fra", r.group("readers", made("fra")))
	bare(true, "id-fra", r.group("readers", wrapped("iad", "sin")))
	try(true, "id-fra", "otto", 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+"db", secret("db")))...)
	try(true, "id-fra", "anna", 0, r.whole(r.cluster("sin", func(c *v1alpha1.Cluster) { c.Labels["reads"] = "left" }))...)
	bare(false, "id-sin", r.group("readers", rotated("sin", "fra", "iad")))
	bare(true, "id-fra", r.group("readers", rotated("fra", "iad")))
	at := metav1.Time{Time: time.Unix(9, 0)}
	bare(true, "id-iad", r.group("readers", func(g *v1alpha1.RecipientGroup) { g.Status = Unopened(g.Status, "iad", "age of iad", at) }))
	wraps := func(g *v1alpha1.RecipientGroup) {
		wrapped("iad")(g)
		g.Status.Wraps[len(g.Status.Wraps)-1].Epoch = 2
	}
	bare(false, "id-fra", r.group("readers", wraps))
	r.write(store.Command{Proposer: "id-fra", Time: int64(10*time.Minute + 9*time.Second), Chunk: []byte("time passes")})
	bare(true, "id-fra", r.group("readers", wraps))
	bare(true, "id-iad", r.group("readers", func(g *v1alpha1.RecipientGroup) { g.Status = Proven(g.Status) }))
	again := v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 2, Data: []byte("again"), By: "fra", Since: []map[string]int64{{"readers": 1}}}
	bare(false, "id-sin", r.put(revision, again))
	bare(true, "id-fra", r.put(revision, again))
	again.Confirmed, again.Witness = "iad", "iad"
	bare(true, "id-iad", r.put(revision, again))
}

// write puts a command into an entry of its own, and keeps the entry.
func (r *realm) write(c store.Command) store.Result {
	r.Helper()
	r.index++
	entry, err := store.EncodeEntry([]store.Command{c})
	if err != nil {
		r.Fatal(err)
	}
	for _, n := range []uint64{r.index, term, uint64(len(entry))} {
		r.log = binary.BigEndian.AppendUint64(r.log, n)
	}
	r.log = append(r.log, entry...)
	results, err := r.store.Apply(r.index, term, entry)
	if err != nil {
		r.Fatal(err)
	}
	return results[0]
}

func replay(t *testing.T, to *store.Store, log []byte) {
	t.Helper()
	for len(log) > 0 {
		size := binary.BigEndian.Uint64(log[16:])
		if _, err := to.Apply(binary.BigEndian.Uint64(log), binary.BigEndian.Uint64(log[8:]), log[24:24+size]); err != nil {
			t.Fatal(err)
		}
		log = log[24+size:]
	}
}

func TestEveryReleasesLogStillComesToItsSnapshot(t *testing.T) {
	if *update {
		log, after := life(t)
		for name, data := range map[string][]byte{goldenLog: log, goldenSnapshot: after} {
			if err := os.WriteFile(filepath.Join(goldenNow, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	releases, err := filepath.Glob("testdata/v*")
	if err != nil || len(releases) == 0 {
		t.Fatalf("no release has a golden log: %v", err)
	}
	law := Authority{Address: transport.CheckAddress}
	for _, release := range releases {
		read := func(name string) []byte {
			data, err := os.ReadFile(filepath.Join(release, name))
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
		log, want := read(goldenLog), read(goldenSnapshot)
		for program, faults := range map[string]fault.Set{"this program": {}, "one of a version later": {NextVersion: true}} {
			t.Run(filepath.Base(release)+" in "+program, func(t *testing.T) {
				replayed, restored := store.NewFaulty(law, faults), store.NewFaulty(law, faults)
				replay(t, replayed, log)
				if err := restored.Restore(bytes.NewReader(want)); err != nil {
					t.Fatal(err)
				}
				for how, s := range map[string]*store.Store{"replayed": replayed, "restored": restored} {
					var got bytes.Buffer
					if _, err := s.Snapshot().WriteTo(&got); err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(got.Bytes(), want) {
						t.Errorf("%s, it comes to another state: a change of what Apply does must look at the version in the log", how)
					}
				}
			})
		}
	}
}
