package platter_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/chaos/platter"
)

func TestMain(m *testing.M) {
	platter.Main()
	os.Exit(m.Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open makes a file, or opens the one that is there.
func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func sync(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	must(t, f.Sync())
}

func write(t *testing.T, f *os.File, data []byte, at int64) {
	t.Helper()
	_, err := f.WriteAt(data, at)
	must(t, err)
}

func TestMounted(t *testing.T) {
	t.Run("a map of a file shows what is written, and a power cut does not change the ground under it", func(t *testing.T) {
		d := platter.Start(t, 1)
		path := filepath.Join(d.Dir, "f")
		f := open(t, path)
		write(t, f, bytes.Repeat([]byte{1}, 8192), 0)
		must(t, f.Sync())
		sync(t, d.Dir)
		m, err := syscall.Mmap(int(f.Fd()), 0, 8192, syscall.PROT_READ, syscall.MAP_SHARED)
		must(t, err)
		defer syscall.Munmap(m)
		if m[0] != 1 {
			t.Errorf("mapped %d", m[0])
		}
		write(t, f, []byte{2}, 0)
		if m[0] != 2 {
			t.Errorf("mapped %d after a write", m[0])
		}
		d.Cut()
		if m[0] != 2 || m[5000] != 1 {
			t.Error("the map of a dead process changed")
		}
		if _, err := f.WriteAt([]byte{3}, 0); !errors.Is(err, syscall.EIO) {
			t.Errorf("a dead process writes: %v", err)
		}
		after, err := os.ReadFile(path)
		must(t, err)
		if len(after) != 8192 || after[0] == 3 || after[5000] != 1 {
			t.Errorf("%d bytes, of which the first is %d", len(after), after[0])
		}
	})

	t.Run("what was synced survives, and of the rest any part", func(t *testing.T) {
		d := platter.Start(t, 2)
		synced, torn := bytes.Repeat([]byte{1}, 4096), bytes.Repeat([]byte{2}, 4096)
		seen := map[string]int{}
		for range 30 {
			path := filepath.Join(d.Dir, "f")
			f := open(t, path)
			write(t, f, synced, 0)
			must(t, f.Sync())
			sync(t, d.Dir)
			write(t, f, torn, 4096)
			f.Close()
			d.Cut()
			b, err := os.ReadFile(path)
			must(t, err)
			if !bytes.HasPrefix(b, synced) {
				t.Fatal("what was synced is lost")
			}
			switch rest := b[4096:]; {
			case len(rest) == 0:
				seen["lost"]++
			case bytes.Equal(rest, torn):
				seen["kept"]++
			default:
				seen["torn"]++
			}
			must(t, os.Remove(path))
		}
		t.Log(seen)
		if len(seen) != 3 {
			t.Error("not all that can happen did")
		}
	})

	t.Run("a name is durable once its folder is synced, and the changes of names survive in their order", func(t *testing.T) {
		d := platter.Start(t, 3)
		lost := 0
		for range 20 {
			old, renamed, later := filepath.Join(d.Dir, "old"), filepath.Join(d.Dir, "renamed"), filepath.Join(d.Dir, "later")
			must(t, os.Mkdir(old, 0o700))
			sync(t, d.Dir)
			must(t, os.Rename(old, renamed))
			open(t, later).Close()
			d.Cut()
			_, errOld := os.Stat(old)
			_, errRenamed := os.Stat(renamed)
			_, errLater := os.Stat(later)
			if (errOld == nil) == (errRenamed == nil) {
				t.Fatal("a rename is half done")
			}
			if errLater == nil && errRenamed != nil {
				t.Fatal("a later change survived an earlier one")
			}
			if errLater != nil {
				lost++
			}
			for _, path := range []string{old, renamed, later} {
				must(t, os.RemoveAll(path))
			}
		}
		if lost == 0 || lost == 20 {
			t.Errorf("%d of 20 names were lost", lost)
		}
	})

	t.Run("the nth sync fails, and all after it until the disk is healed", func(t *testing.T) {
		d := platter.Start(t, 4)
		f := open(t, filepath.Join(d.Dir, "f"))
		d.Fail(platter.Sync, 2, syscall.EIO)
		write(t, f, []byte("a"), 0)
		must(t, f.Sync())
		if err := f.Sync(); !errors.Is(err, syscall.EIO) {
			t.Errorf("got %v", err)
		}
		if _, err := f.WriteAt([]byte("b"), 0); !errors.Is(err, syscall.EIO) {
			t.Errorf("got %v", err)
		}
		d.Heal()
		must(t, f.Sync())
	})

	t.Run("a full disk says so", func(t *testing.T) {
		d := platter.Start(t, 5)
		f := open(t, filepath.Join(d.Dir, "f"))
		d.Fail(platter.Write, 1, syscall.ENOSPC)
		if _, err := f.WriteAt([]byte("b"), 0); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("got %v", err)
		}
	})

	t.Run("a slow sync takes its time, and a lying one does nothing", func(t *testing.T) {
		d := platter.Start(t, 6)
		f := open(t, filepath.Join(d.Dir, "f"))
		sync(t, d.Dir)
		d.Delay(50 * time.Millisecond)
		begun := time.Now()
		must(t, f.Sync())
		if took := time.Since(begun); took < 50*time.Millisecond {
			t.Errorf("it took %s", took)
		}
		d.Heal()
		d.Lie()
		lost := false
		for range 20 {
			f := open(t, filepath.Join(d.Dir, "f"))
			must(t, f.Truncate(0))
			write(t, f, []byte("a"), 0)
			must(t, f.Sync())
			d.Cut()
			b, err := os.ReadFile(filepath.Join(d.Dir, "f"))
			must(t, err)
			lost = lost || len(b) == 0
		}
		if !lost {
			t.Error("it told the truth twenty times")
		}
	})
}
