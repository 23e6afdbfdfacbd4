package consensus_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/consensus"
)

// openDir opens the files of a directory, reads all of it, and closes them.
func openDir(dir string, use func(consensus.Stores) error) (f filled, err error) {
	s, closer, err := consensus.OpenStores(dir)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	if s, err = consensus.CheckStores(s); err != nil {
		return f, err
	}
	if use != nil {
		if err := use(s); err != nil {
			return f, err
		}
	}
	return read(s)
}

// wholeDir makes a directory of a member, and says what it reads.
func wholeDir(t *testing.T) (dir string, want filled) {
	t.Helper()
	dir = t.TempDir()
	want, err := openDir(dir, func(s consensus.Stores) error { fill(t, s); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return dir, want
}

// filesOf lists the files in a directory, by their path below it.
func filesOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		files[name], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// laid puts files into a fresh directory.
func laid(t *testing.T, dir string, files map[string][]byte, name string, content []byte) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for n, b := range files {
		if n == name {
			b = content
		}
		path := filepath.Join(dir, n)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, b, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRottenFiles: the files of a member are read as they were written, or not at all, whatever bit of them flips and
// wherever they end.
func TestRottenFiles(t *testing.T) {
	whole, want := wholeDir(t)
	files := filesOf(t, whole)
	dir := filepath.Join(t.TempDir(), "raft")
	refused, read := 0, 0
	try := func(t *testing.T, what, name string, content []byte) {
		t.Helper()
		laid(t, dir, files, name, content)
		got, err := openDir(dir, nil)
		switch {
		case err != nil:
			refused++
			wantDamaged(t, err)
			// bbolt writes an empty transaction whenever it opens a log; nothing else may be touched.
			after, rerr := os.ReadFile(filepath.Join(dir, name))
			if rerr != nil || name != "log.bolt" && !bytes.Equal(after, content) {
				t.Errorf("%s of %s: it was refused and changed: %v", what, name, rerr)
			}
		case !cmp.Equal(got, want):
			t.Errorf("%s of %s: read something else: %s", what, name, cmp.Diff(want, got))
		default:
			read++
		}
	}
	for name, content := range files {
		// Most of the log's file is zeros between its elements: a bit there is tried now and then only. Each try opens
		// a member's files anew, so of the rest there is a sample, too.
		stride := 11
		if testing.Short() {
			stride = 61
		}
		for at := range content {
			used := content[at] != 0 || at%4096 < 256
			if !used && at%97 != 0 || at%stride != 0 && (testing.Short() || at%4096 >= 64) {
				continue
			}
			spoilt := bytes.Clone(content)
			for bit := range 8 {
				if bit != at%8 && (testing.Short() || at%4096 >= 64) {
					continue
				}
				spoilt[at] = content[at] ^ 1<<bit
				try(t, "bit "+string(rune('0'+bit)), name, spoilt)
			}
		}
		for n := 1; n < len(content); n += 1 + len(content)/200 {
			try(t, "a part", name, content[:n])
		}
	}
	if refused == 0 || read == 0 {
		t.Errorf("%d refused, %d read", refused, read)
	}
	t.Logf("%d refused, %d read as written", refused, read)
}
