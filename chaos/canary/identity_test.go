package canary

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"filippo.io/age"
)

func TestAnIdentityIsFound(t *testing.T) {
	text, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	values, err := Identity("the key", text.String())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(values["the key's bytes"]); n != 32 {
		t.Errorf("the key has %d bytes", n)
	}
	f := New(values)
	for name, data := range map[string][]byte{
		"the text":       []byte("# key\n" + text.String() + "\n"),
		"small letters":  []byte(strings.ToLower(text.String())),
		"text in base64": []byte(base64.StdEncoding.EncodeToString([]byte("a" + text.String()))),
		"the bytes":      bytes.Join([][]byte{{1}, values["the key's bytes"], {2}}, nil),
	} {
		if found := f.In(data); len(found) == 0 {
			t.Errorf("%s is not found", name)
		}
	}
	if found := f.In([]byte(text.Recipient().String())); len(found) > 0 {
		t.Errorf("the recipient is found as %q", found)
	}
	for _, bad := range []string{"", "1", "AGE-SECRET-KEY-PQ-1", "AGE-SECRET-KEY-PQ-1" + strings.Repeat("b", 50)} {
		if _, err := Identity("the key", bad); err == nil {
			t.Errorf("%q is an identity", bad)
		}
	}
}

func TestTheBytesOfAnIdentityAreThoseThatItIsMadeOf(t *testing.T) {
	// The identity of the bytes 0 to 31: as five bits a letter they begin 00000 00000 00000 10000 00100.
	got, err := eights("qqqsyqcyq5rqwzqfpg9scrgwpugpzysnzs23v9ccrydpk8qarc0s")
	want := make([]byte, 32)
	for i := range want {
		want[i] = byte(i)
	}
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("they are %x, %v", got, err)
	}
}
