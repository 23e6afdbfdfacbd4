package report

import (
	"bytes"
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

var update = flag.Bool("update", false, "write the golden files anew: that changes the protocol between members")

// wholeBulletin has every field set.
var wholeBulletin = bulletin{Follows: true, AsOf: 12, News: []news{{
	ID: "m1", Number: 1<<countBits + 7, Revision: 811, Told: 1<<countBits + 6, ToldAge: 340,
	Vitals: &Vitals{
		RTT: map[store.MemberID]RoundTrip{"m2": {Least: 1.5, P99: 3}}, Silent: map[store.MemberID]float64{"m3": 4.2},
		FsyncP999: 7, Lease: 250, Wanted: []store.MemberID{"m1", "m2"},
	},
	NamesAt: 1<<countBits + 2, Names: []string{"shop", "till"},
	Bundles: []Bundle{{Bundle: "shop", BundleUID: "u1", Number: 1<<countBits + 6, Status: v1alpha1.WorkStatus{Applied: "shop-u1-1", Health: v1alpha1.HealthReady}}},
	FactsAt: 1<<countBits + 5, FactsAge: 60000, Facts: []byte(`{"disk":{"age":900,"fsyncP999":7}}`),
}, {
	ID: "m3", Number: 5<<countBits + 9, Silent: true, Age: 4200, Hops: 2, Revision: 800,
}}}

func TestTheBytesOfABulletinStay(t *testing.T) {
	golden := filepath.Join("testdata", "bulletin.bin")
	var now bytes.Buffer
	if err := writeBulletin(&now, wholeBulletin); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, now.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	was, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(was), now.String()); diff != "" {
		t.Errorf("members of other versions read and write this differently: %s", diff)
	}
	got, err := readBulletin(bytes.NewReader(was))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wholeBulletin, got); diff != "" {
		t.Error(diff)
	}
}

func TestABulletinThatNoMemberWritesIsRefused(t *testing.T) {
	frame := func(text string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"too long":         {binary.BigEndian.AppendUint32(nil, maxBulletin+1), "over the limit"},
		"cut short":        {frame(`{"news":[]}`)[:9], "EOF"},
		"no JSON":          {frame("hello"), "read report"},
		"news of nobody":   {frame(`{"news":[{"n":1}]}`), "news of nobody"},
		"without a number": {frame(`{"news":[{"id":"m1"}]}`), "without a number"},
		"hops below none":  {frame(`{"news":[{"id":"m1","n":1,"hops":-9}]}`), "fewer than no hops"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readBulletin(bytes.NewReader(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// FuzzBulletin holds a board to its bounds whatever a member that is trusted with others may send.
func FuzzBulletin(f *testing.F) {
	var frame bytes.Buffer
	if err := writeBulletin(&frame, wholeBulletin); err != nil {
		f.Fatal(err)
	}
	f.Add(frame.Bytes()[4:])
	f.Fuzz(func(t *testing.T, text []byte) {
		w, err := readBulletin(bytes.NewReader(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)))
		if err != nil {
			return
		}
		p := newPost(t, "s1")
		b, l := p.boards["s1"], newLine("m1", above)
		if err := b.take(l, w, true, p.now); err != nil {
			t.Fatal(err)
		}
		b.lapse(p.now.Add(UnreachableAfter))
		seen, _, _ := b.all()
		for id, s := range seen {
			if s.At.After(p.now) || s.ToldAt.After(p.now) {
				t.Errorf("%s was heard at %s, and told at %s, in the future", id, s.At, s.ToldAt)
			}
		}
		said, _ := b.compose(newLine("m9", below), p.now)
		var passed bytes.Buffer
		if err := writeBulletin(&passed, said); err != nil {
			t.Fatal(err)
		}
		if _, err := readBulletin(&passed); err != nil {
			t.Errorf("what was taken cannot be passed on: %v", err)
		}
	})
}
