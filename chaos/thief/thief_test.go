package thief

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

func key(t *testing.T) *age.HybridIdentity {
	t.Helper()
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func sealed(t *testing.T, to *age.HybridIdentity, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func inJSON(t *testing.T, file []byte) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"data": file, "more": "of it"})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestWhatTheKeysOpenIsFoundThroughTheKeysInIt(t *testing.T) {
	member, group, former, other := key(t), key(t), key(t), key(t)
	zip, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	value := sealed(t, former, "the value")
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"raft/a": append([]byte("\x00\x01 a page "), inJSON(t, value)...), // before what opens it
		"raft/b": zip.EncodeAll(append(bytes.Repeat([]byte("x"), 1000), inJSON(t, sealed(t, group, "hanse/v1 key 1\n"+former.String()+"\n"))...), nil),
		"raft/c": append(inJSON(t, sealed(t, member, "hanse/v1 key 2\n"+group.String())), inJSON(t, value)...),
		"d":      sealed(t, group, "as it is"),
		"e":      append(sealed(t, group, "with more behind it"), "more"...),
		"f":      inJSON(t, sealed(t, other, "of nobody here")),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	loot, err := Search(dir)
	if err != nil || loot.Len() != 6 || !loot.Has(value) || loot.Has([]byte("another")) {
		t.Fatalf("%d files are found, %v", loot.Len(), err)
	}
	for name, c := range map[string]struct {
		with *age.HybridIdentity
		want int
	}{"a member of the group": {member, 5}, "a key of the group": {group, 4}, "a former one": {former, 1}, "another": {other, 1}, "a stranger": {key(t), 0}} {
		opened := loot.Open(c.with)
		if len(opened) != c.want {
			t.Errorf("%s opens %d: %q", name, len(opened), opened)
		}
		if has := bytes.Contains(bytes.Join(opened, nil), []byte("the value")); has != (c.want > 0 && c.with != other) {
			t.Errorf("%s reads the value: %t", name, has)
		}
	}
	if _, err := Search(filepath.Join(dir, "nothing")); err == nil {
		t.Error("a folder that cannot be read has nothing in it")
	}
}
