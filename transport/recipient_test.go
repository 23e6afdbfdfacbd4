package transport

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

func TestARecipientIsSignedByItsMemberAlone(t *testing.T) {
	own, err := NewIdentity("acme", "fra", "id-fra")
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewIdentity("acme", "fra", "id-other")
	if err != nil {
		t.Fatal(err)
	}
	signature, err := own.SignRecipient("age1pq1own", time.Unix(9, 0))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := own.SignRecipient("age1pq1own", time.Unix(9, 0)); err != nil || !bytes.Equal(signature, again) {
		t.Errorf("it is signed otherwise each time: %v", err)
	}
	right := OwnRecipient{Fleet: "acme", Cluster: "fra", Pin: own.Pin(), Recipient: "age1pq1own", Since: time.Unix(9, 0)}
	if err := right.Verify(own.Certificate(), signature); err != nil {
		t.Fatal(err)
	}
	wrong := map[string]func(*OwnRecipient){
		"another recipient": func(o *OwnRecipient) { o.Recipient = "age1pq1other" }, "another cluster": func(o *OwnRecipient) { o.Cluster = "iad" },
		"another fleet": func(o *OwnRecipient) { o.Fleet = "acmef" }, "another pin": func(o *OwnRecipient) { o.Pin = other.Pin() },
		"another time": func(o *OwnRecipient) { o.Since = time.Unix(10, 0) }, "no time": func(o *OwnRecipient) { o.Since = time.Time{} },
		"the words moved": func(o *OwnRecipient) { o.Fleet, o.Cluster = "acmef", "ra" },
	}
	for name, change := range wrong {
		o := right
		if change(&o); o.Verify(own.Certificate(), signature) == nil {
			t.Errorf("%s: it holds", name)
		}
	}
	for bit := range len(signature) * 8 {
		flipped := slices.Clone(signature)
		if flipped[bit/8] ^= 1 << (bit % 8); right.Verify(own.Certificate(), flipped) == nil {
			t.Errorf("with bit %d turned it holds", bit)
		}
	}
	by, err := other.SignRecipient("age1pq1own", time.Unix(9, 0))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ certificate, signature []byte }{
		"the other's signature": {own.Certificate(), by}, "the other's certificate": {other.Certificate(), signature}, "both of the other's": {other.Certificate(), by},
		"none": {own.Certificate(), nil}, "no certificate": {nil, signature}, "a part": {own.Certificate(), signature[:20]},
	} {
		if right.Verify(c.certificate, c.signature) == nil {
			t.Errorf("%s: it holds", name)
		}
	}
}
