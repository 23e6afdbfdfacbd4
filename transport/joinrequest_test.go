package transport

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSignatureCoversEveryField(t *testing.T) {
	good, err := goldenRequest()
	if err != nil {
		t.Fatal(err)
	}
	if err := good.Verify(); err != nil {
		t.Fatal(err)
	}
	other := newTestIdentity(t, "other")
	changes := map[string]any{
		"Fleet": "acma", "Cluster": "fra", "Region": "eu", "Zone": "", "Version": "v0.2.0", "Member": MemberID("0b1d"),
		"Certificate": other.Certificate(), "Addresses": []string{"iad.example:7000"}, "Server": "",
		"Applies": uint64(2), "Recipient": "age1pq1x", "KeysLost": true, "Key": bytes.Repeat([]byte{1}, 32), "Signature": bytes.Repeat([]byte{1}, 64),
	}
	fields := reflect.TypeFor[JoinRequest]()
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		change, ok := changes[name]
		if !ok {
			t.Errorf("field %s is new: sign it, and change it here", name)
			continue
		}
		changed := good
		field := reflect.ValueOf(&changed).Elem().Field(i)
		field.Set(reflect.ValueOf(change).Convert(field.Type()))
		if err := changed.Verify(); err == nil {
			t.Errorf("a changed %s was not noticed", name)
		}
	}
}

func TestBytesMovedBetweenFieldsAreNoticed(t *testing.T) {
	good, err := goldenRequest()
	if err != nil {
		t.Fatal(err)
	}
	moved := good
	moved.Region, moved.Zone = good.Region+good.Zone[:1], good.Zone[1:]
	if moved.Verify() == nil {
		t.Error("a byte moved from zone to region")
	}
	moved = good
	moved.Addresses = []string{good.Addresses[0]}
	moved.Server = ""
	if moved.Verify() == nil {
		t.Error("addresses lost")
	}
}

func TestSignedBytesAreUnambiguous(t *testing.T) {
	der := newTestIdentity(t, "m").Certificate()
	text := rapid.StringN(0, 6, 6)
	draw := func(t *rapid.T, label string) JoinRequest {
		return JoinRequest{
			Fleet: text.Draw(t, label), Cluster: text.Draw(t, label), Region: text.Draw(t, label), Zone: text.Draw(t, label),
			Version: text.Draw(t, label), Member: MemberID(text.Draw(t, label)), Server: text.Draw(t, label),
			Addresses: rapid.SliceOfN(text, 0, 3).Draw(t, label), Certificate: der, Recipient: text.Draw(t, label), KeysLost: rapid.Bool().Draw(t, label),
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		if a.Addresses == nil {
			a.Addresses = []string{}
		}
		if b.Addresses == nil {
			b.Addresses = []string{}
		}
		x, errX := a.signed()
		y, errY := b.signed()
		if errX != nil || errY != nil {
			t.Fatal(errX, errY)
		}
		if bytes.Equal(x, y) != reflect.DeepEqual(a, b) {
			t.Fatalf("%+v and %+v", a, b)
		}
	})
}

// The members keep the certificate, and people read from it whose key it is: who joins as iad shows one of iad.
func TestAJoinersCertificateNamesItself(t *testing.T) {
	token := goldenToken()
	for name, tt := range map[string]struct {
		fleet, cluster string
		id             MemberID
		pass           bool
	}{
		"its own":            {"acme", "iad", "0b1c", true},
		"of another cluster": {"acme", "fra", "0b1c", false},
		"of another fleet":   {"other", "iad", "0b1c", false},
		"of another id":      {"acme", "iad", "0b1d", false},
	} {
		id, err := NewIdentity(tt.fleet, tt.cluster, tt.id)
		if err != nil {
			t.Fatal(err)
		}
		r := JoinRequest{Fleet: "acme", Cluster: "iad", Region: "us", Member: "0b1c", Certificate: id.Certificate()}
		if err := r.Sign(token.Seed); err != nil {
			t.Fatal(err)
		}
		if err := r.Verify(); (err == nil) != tt.pass {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHostileFieldsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*JoinRequest){
		"a path as cluster":        func(r *JoinRequest) { r.Cluster = "../../etc" },
		"an empty fleet":           func(r *JoinRequest) { r.Fleet = "" },
		"a long cluster":           func(r *JoinRequest) { r.Cluster = strings.Repeat("a", 64) },
		"a line break in a region": func(r *JoinRequest) { r.Region = "eu\nus" },
		"a zero byte in a zone":    func(r *JoinRequest) { r.Zone = "a\x00" },
		"an escape in a version":   func(r *JoinRequest) { r.Version = "\x1b[2J" },
		"an id with a slash":       func(r *JoinRequest) { r.Member = "a/b" },
		"no id":                    func(r *JoinRequest) { r.Member = "" },
		"a server without TLS":     func(r *JoinRequest) { r.Server = "http://x" },
		"a server with a password": func(r *JoinRequest) { r.Server = "https://a:b@x" },
		"a server with a space":    func(r *JoinRequest) { r.Server = "https://x /y" },
		"an address without port":  func(r *JoinRequest) { r.Addresses = []string{"10.0.0.1"} },
		"an address of port 0":     func(r *JoinRequest) { r.Addresses = []string{"10.0.0.1:0"} },
		"an address without host":  func(r *JoinRequest) { r.Addresses = []string{":7000"} },
		"an address with a zone":   func(r *JoinRequest) { r.Addresses = []string{"[fe80::1%eth0]:7000"} },
		"a shell in an address":    func(r *JoinRequest) { r.Addresses = []string{"$(id):7000"} },
		"many addresses":           func(r *JoinRequest) { r.Addresses = make([]string, maxAddresses+1) },
		"a line as recipient":      func(r *JoinRequest) { r.Recipient = "age1\nx" },
		"a large recipient":        func(r *JoinRequest) { r.Recipient = strings.Repeat("a", maxRecipient+1) },
		"no certificate":           func(r *JoinRequest) { r.Certificate = nil },
		"a certificate of garbage": func(r *JoinRequest) { r.Certificate = []byte("garbage") },
		"a large certificate":      func(r *JoinRequest) { r.Certificate = make([]byte, maxCert+1) },
	} {
		r, err := goldenRequest()
		if err != nil {
			t.Fatal(err)
		}
		change(&r)
		if err := r.Validate(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzDecodeJoinRequest(f *testing.F) {
	good, err := goldenRequest()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(mustJSON(good)))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeJoinRequest(b)
		if err == nil && r.Verify() != nil {
			t.Fatalf("%+v", r)
		}
	})
}

func FuzzDecodeJoinAnswer(f *testing.F) {
	f.Add([]byte(`{"error":"no"}`))
	f.Add([]byte(`{"cluster":"a","members":[{"id":"a"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := decodeJoinAnswer(b); err == nil && a.Validate() != nil {
			t.Fatalf("%+v", a)
		}
	})
}
