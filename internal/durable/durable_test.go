package durable

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestAFileIsThereWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if n, err := WriteFile(path, Bytes([]byte("one"))); err != nil || n != 3 {
		t.Fatalf("%d bytes: %v", n, err)
	}
	cause := errors.New("it broke off")
	if _, err := WriteFile(path, func(w io.Writer) error { io.WriteString(w, "half"); return cause }); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "one" {
		t.Errorf("after an error there is %q, %v", data, err)
	}
	if _, err := WriteFile(filepath.Join(dir, "no", "folder"), Bytes(nil)); err == nil {
		t.Error("written where there is no folder")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("it is %v, %v", info.Mode(), err)
	}
}
