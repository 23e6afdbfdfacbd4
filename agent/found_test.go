package agent

import (
	"bytes"
	"encoding/pem"
	"testing"
)

func TestWhatIsWrittenOfAPersonsKeyIsCleared(t *testing.T) {
	key := []byte("the key of anna")
	var written, onDisk []byte
	write := func(text []byte) error { written, onDisk = text, bytes.Clone(text); return nil }
	if err := writePerson(write, []byte("the certificate"), key); err != nil {
		t.Fatal(err)
	}
	_, rest := pem.Decode(onDisk)
	if block, _ := pem.Decode(rest); block == nil || string(block.Bytes) != "the key of anna" {
		t.Errorf("it is written as %q", onDisk)
	}
	for what, b := range map[string][]byte{"the key": key, "what was written": written} {
		if bytes.Count(b, []byte{0}) != len(b) {
			t.Errorf("%s is still there: %q", what, b)
		}
	}
}
