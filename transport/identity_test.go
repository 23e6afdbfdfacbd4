package transport

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestIdentityCertificate(t *testing.T) {
	id, err := NewIdentity("acme", "fra", "0b1c-22")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(id.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	if len(cert.URIs) != 1 || cert.URIs[0].String() != "spiffe://acme/member/fra" {
		t.Errorf("URIs %v", cert.URIs)
	}
	if !cert.NotAfter.Equal(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)) {
		t.Errorf("ends %s", cert.NotAfter)
	}
	if id.Pin() != PinOf(cert) || id.ID() != "0b1c-22" || id.Fleet() != "acme" || id.Cluster() != "fra" {
		t.Errorf("%v", id)
	}
	// A client of the member's API has this one certificate as its authority.
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: ServerName}); err != nil {
		t.Errorf("as server: %v", err)
	}
}

func TestTheAPIIsTrustedAtItsHostByTheIdentity(t *testing.T) {
	id := newTestIdentity(t, "m")
	issuer, err := x509.ParseCertificate(id.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(issuer)
	for _, host := range []string{"192.0.2.1", "2001:db8::1", "api.example.com", ""} {
		serving, err := id.Serving(host)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(serving.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{host, ServerName} {
			if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
				t.Errorf("served at %q, asked as %q: %v", host, name, err)
			}
		}
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: "other.example.com"}); err == nil {
			t.Errorf("served at %q, trusted as somebody else", host)
		}
		if PinOf(cert) != id.Pin() {
			t.Error("it is another key")
		}
	}
}

func TestIdentityRefusesNames(t *testing.T) {
	for _, bad := range [][3]string{
		{"", "fra", "m"}, {"acme", "", "m"}, {"acme", "fra", ""}, {"Acme", "fra", "m"}, {"acme", "fra/../x", "m"},
		{"acme", "-fra", "m"}, {"acme", "fra", "m\n"}, {strings.Repeat("a", 64), "fra", "m"},
	} {
		if _, err := NewIdentity(bad[0], bad[1], MemberID(bad[2])); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestIdentitySurvivesItsFiles(t *testing.T) {
	dir := t.TempDir()
	if _, err := LoadIdentity(dir, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("load from an empty directory: %v", err)
	}
	id := newTestIdentity(t, "m")
	if err := SaveIdentity(dir, nil, id); err != nil {
		t.Fatal(err)
	}
	got, err := LoadIdentity(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(id.Certificate(), got.Certificate()); diff != "" || !id.key.Equal(got.key) || fmt.Sprint(got) != fmt.Sprint(id) {
		t.Errorf("%v became %v", id, got)
	}
	before, _ := id.statelessResetKey()
	after, _ := got.statelessResetKey()
	if *before != *after || *before == [32]byte{} {
		t.Error("the stateless reset key did not survive")
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", f.Name(), info.Mode(), err)
		}
	}
}

func TestIdentityIsNeverOverwritten(t *testing.T) {
	dir := t.TempDir()
	first := newTestIdentity(t, "m")
	if err := SaveIdentity(dir, nil, first); err != nil {
		t.Fatal(err)
	}
	if err := SaveIdentity(dir, nil, newTestIdentity(t, "n")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second save: %v", err)
	}
	if got, err := LoadIdentity(dir, nil); err != nil || got.Pin() != first.Pin() {
		t.Errorf("%v, %v", got, err)
	}
	if err := SaveIdentity(t.TempDir(), nil, Identity{}); err == nil {
		t.Error("an empty identity was saved")
	}
}

func TestDamagedIdentityIsRefused(t *testing.T) {
	other := newTestIdentity(t, "other")
	otherKey, _ := x509.MarshalPKCS8PrivateKey(other.key)
	foreign := pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: otherKey})
	for name, damage := range map[string]struct {
		file    string
		content []byte
	}{
		"another's key":         {keyFile, foreign},
		"an empty key":          {keyFile, nil},
		"a certificate of text": {certFile, []byte("hello")},
		"a short secret":        {resetFile, pem.EncodeToMemory(&pem.Block{Type: resetBlock, Bytes: []byte("short")})},
		"the wrong block":       {certFile, foreign},
	} {
		dir := t.TempDir()
		if err := SaveIdentity(dir, nil, newTestIdentity(t, "m")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, damage.file), damage.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadIdentity(dir, nil); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIdentityKeepsItsKeyOutOfText(t *testing.T) {
	id := newTestIdentity(t, "m")
	for _, format := range []string{"%v", "%+v", "%s"} {
		if got := fmt.Sprintf(format, id); got != "spiffe://acme/member/cluster-m (m)" {
			t.Errorf("%s: %s", format, got)
		}
	}
}

func TestPinText(t *testing.T) {
	pin := newTestIdentity(t, "m").Pin()
	got, err := ParsePin(pin.String())
	if err != nil || got != pin {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "12", strings.Repeat("x", 64), pin.String() + "00"} {
		if _, err := ParsePin(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestWhatIsReadAndWrittenOfAKeyIsCleared(t *testing.T) {
	id := newTestIdentity(t, "m")
	der, err := x509.MarshalPKCS8PrivateKey(id.key)
	if err != nil {
		t.Fatal(err)
	}
	isCleared := func(what string, b []byte) {
		t.Helper()
		if len(b) == 0 || bytes.Count(b, []byte{0}) != len(b) {
			t.Errorf("%s is still there", what)
		}
	}
	var written, onDisk []byte
	write := func(_ string, text []byte) error { written, onDisk = text, bytes.Clone(text); return nil }
	if err := writePEM(write, keyFile, keyBlock, der); err != nil {
		t.Fatal(err)
	}
	isCleared("what was written", written)
	for _, block := range []string{keyBlock, resetBlock} {
		text := bytes.Clone(onDisk)
		if _, err := readPEM(func(string) ([]byte, error) { return text, nil }, "", keyFile, block); (err == nil) != (block == keyBlock) {
			t.Error(err)
		}
		isCleared("what was read", text)
	}
	if key, err := parseKey(der); err != nil || !key.Equal(id.key) {
		t.Errorf("it is another key: %v", err)
	}
	isCleared("the key in its file's form", der)
	if _, err := parseKey(der); err == nil {
		t.Error("zeros are a key")
	}
}

// FuzzLoadIdentity: whatever the three files have, it is the identity of a certificate and its key, or an error that tells nothing of what is private.
func FuzzLoadIdentity(f *testing.F) {
	id, err := NewIdentity("acme", "fra", "0b1c-22")
	if err != nil {
		f.Fatal(err)
	}
	dir := f.TempDir()
	if err := SaveIdentity(dir, nil, id); err != nil {
		f.Fatal(err)
	}
	names := []string{certFile, keyFile, resetFile}
	var whole [3][]byte
	for i, name := range names {
		if whole[i], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(whole[0], whole[1], whole[2])
	f.Add(whole[0], whole[2], whole[1])
	f.Add(whole[0][:40], whole[1], whole[2])
	f.Add([]byte{}, []byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), []byte{})
	f.Fuzz(func(t *testing.T, certificate, key, reset []byte) {
		for i, text := range [][]byte{certificate, key, reset} {
			if err := os.WriteFile(filepath.Join(dir, names[i]), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := LoadIdentity(dir, nil)
		if err != nil {
			for _, private := range [][]byte{key, reset} {
				if block, _ := pem.Decode(private); block != nil && len(block.Bytes) > 8 && strings.Contains(err.Error(), string(block.Bytes)) {
					t.Errorf("the error tells it: %v", err)
				}
			}
			return
		}
		cert, err := x509.ParseCertificate(got.Certificate())
		if err != nil || PinOf(cert) != got.Pin() || !got.key.PublicKey.Equal(cert.PublicKey) || checkNames(got.Fleet(), got.Cluster(), got.ID()) != nil {
			t.Errorf("it is no identity: %v: %v", got, err)
		}
	})
}
