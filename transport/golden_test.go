package transport

import (
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata anew; a change there is a change of the protocol")

// golden compares with testdata/<name>: .hex files hold bytes, .txt files hold text.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	text := string(got)
	if strings.HasSuffix(name, ".hex") {
		text = lines(hex.EncodeToString(got), 96)
	}
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func lines(s string, width int) string {
	var b strings.Builder
	for len(s) > width {
		b.WriteString(s[:width] + "\n")
		s = s[width:]
	}
	return b.String() + s + "\n"
}

func TestWireFormatsHaveNotChanged(t *testing.T) {
	golden(t, "header.hex", appendHeader(nil, "raft-append-entries"))

	token := goldenToken()
	golden(t, "token.txt", []byte(token.String()))

	req, err := goldenRequest()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := req.signed()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "joinrequest-signed.hex", signed)
	golden(t, "joinrequest.txt", []byte(mustJSON(req)))
}

func goldenToken() Token {
	return Token{
		Fleet:     "acme",
		Addresses: []string{"fra.example:7000", "[2001:db8::1]:7000"},
		Pins:      []Pin{{1, 2, 3}, {0xff, 0xee}},
		Expires:   time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC),
		Seed:      [32]byte{9, 8, 7},
	}
}

// goldenRequest has a certificate from testdata: a new one would have other bytes each time.
func goldenRequest() (JoinRequest, error) {
	der, err := readPEM(inTheClear.ReadFile, "testdata", "joiner.crt", certBlock)
	if err != nil {
		return JoinRequest{}, err
	}
	r := JoinRequest{
		Fleet: "acme", Cluster: "iad", Region: "us", Zone: "us-east-1", Version: "v0.1.0", Member: "0b1c",
		Certificate: der, Addresses: []string{"iad.example:7000", "10.1.2.3:7000"}, Server: "https://iad.example:7443", Applies: 1,
	}
	return r, r.Sign(goldenToken().Seed)
}
