package consensus

import (
	"bytes"
	"crypto/aes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

func TestTheKeyOfASpoolIsUsedUp(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	block := cipherOf(key)
	if bytes.Count(key, []byte{0}) != len(key) {
		t.Errorf("the key is still there: %x", key)
	}
	was, err := aes.NewCipher(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	a, b := make([]byte, aes.BlockSize), make([]byte, aes.BlockSize)
	block.Encrypt(a, a)
	was.Encrypt(b, b)
	if !bytes.Equal(a, b) {
		t.Error("it is another key")
	}
}

func TestSpool(t *testing.T) {
	newSpool := func(t *testing.T) (spooled, *guard) {
		t.Helper()
		g := newGuard(time.Minute, func(error) {})
		s, err := newFileSpool(g, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s, g
	}

	t.Run("a full disk breaks the guard", func(t *testing.T) {
		full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer full.Close()
		s, g := newSpool(t)
		s.Close()
		s.(*fileSpool).file = full
		if _, err := io.Copy(s, strings.NewReader("a snapshot")); !errors.Is(err, syscall.ENOSPC) || !errors.Is(g.err(), syscall.ENOSPC) {
			t.Errorf("got %v, and the guard says %v", err, g.err())
		}
	})

	t.Run("no room to make a file breaks the guard", func(t *testing.T) {
		g := newGuard(time.Minute, func(error) {})
		if _, err := newFileSpool(g, filepath.Join(t.TempDir(), "gone")); err == nil || !g.isBroken() {
			t.Errorf("got %v, and the guard says %v", err, g.err())
		}
	})

	t.Run("a peer that breaks off does not", func(t *testing.T) {
		s, g := newSpool(t)
		gone := errors.New("connection reset")
		if _, err := io.Copy(s, io.MultiReader(strings.NewReader("half"), iotest.ErrReader(gone))); !errors.Is(err, gone) || g.isBroken() {
			t.Errorf("got %v, and the guard says %v", err, g.err())
		}
	})

	t.Run("what is written is read, and no name is left", func(t *testing.T) {
		s, _ := newSpool(t)
		if _, err := io.Copy(s, strings.NewReader("a snapshot")); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(filepath.Dir(s.(*fileSpool).file.Name())); err != nil || len(left) > 0 {
			t.Errorf("it left %v (%v)", left, err)
		}
		for range 2 { // it is verified, and then installed
			s.Seek(0, io.SeekStart)
			if b, err := io.ReadAll(iotest.OneByteReader(s)); err != nil || string(b) != "a snapshot" {
				t.Errorf("read %q (%v)", b, err)
			}
		}
	})

	t.Run("what lies on the disk is not what was written, nor the same another time", func(t *testing.T) {
		var lies [2][]byte
		for i := range lies {
			s, _ := newSpool(t)
			if _, err := io.Copy(s, strings.NewReader("a snapshot")); err != nil {
				t.Fatal(err)
			}
			file := s.(*fileSpool).file
			lies[i] = make([]byte, len("a snapshot"))
			if _, err := file.ReadAt(lies[i], 0); err != nil || string(lies[i]) == "a snapshot" {
				t.Errorf("there lies %q (%v)", lies[i], err)
			}
		}
		if bytes.Equal(lies[0], lies[1]) {
			t.Error("two spools have one key")
		}
	})
}
