package consensus

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"
)

// maxSnapshot bounds a snapshot that a peer may send us.
const maxSnapshot = 4 << 30

// maxSpoolMemory bounds a snapshot on its way in when there is no directory for it.
const maxSpoolMemory = 64 << 20

// spoolPattern names the files of snapshots on their way in; what a crash left of them is removed at start.
const spoolPattern = "incoming-*.snapshot"

// deliverSnapshot reads a snapshot to its end before raft sees it: raft's main loop would read it from the network
// itself and meanwhile answer nothing, so that a peer which stops in the middle would stop us too.
func (t *transport) deliverSnapshot(req *raft.InstallSnapshotRequest, rpc raft.RPC) {
	s, err := t.spool(rpc.Reader, req.Size)
	if err != nil {
		rpc.Respond(nil, fmt.Errorf("receive snapshot: %w", err))
		return
	}
	defer s.Close()
	if err := t.admitted.admit(MemberID(req.ID), req); err != nil {
		rpc.Respond(nil, err) // it took its time, and what was right at its beginning may not be now
		return
	}
	answer, err := t.admitted.install(MemberID(req.ID), req, s)
	if errors.Is(err, errKnown) {
		answer, err = &raft.InstallSnapshotResponse{RPCHeader: t.header(), Term: req.Term, Success: true}, nil
	}
	rpc.Respond(answer, err)
}

// spool takes a snapshot in, to its end; install goes back to its beginning.
func (t *transport) spool(r io.Reader, size int64) (spooled, error) {
	s, err := t.newSpool(size)
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(s, r, size); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// spooled is where a snapshot on its way in is kept.
type spooled interface {
	io.ReadWriteSeeker
	io.Closer
}

// newSpool makes a place for a snapshot of the size.
func (t *transport) newSpool(size int64) (spooled, error) {
	if size < 0 || size > maxSnapshot {
		return nil, fmt.Errorf("size %d is out of bounds", size)
	}
	if t.dir == "" {
		if size > maxSpoolMemory {
			return nil, fmt.Errorf("size %d is too large for memory", size)
		}
		return &memorySpool{}, nil
	}
	return newFileSpool(t.guard, t.dir)
}

// fileSpool is a spool in a file. A disk that fails it breaks the guard; a peer that breaks off does not. The bytes of a file without a
// name stay on the disk, so they are encrypted with a key that is in memory alone. What is read is checked before it is used.
type fileSpool struct {
	guard  *guard
	file   *os.File // not embedded: all writes have to go by the guard
	key    cipher.Block
	stream cipher.Stream // from where the file is read or written next
}

func newFileSpool(g *guard, dir string) (spooled, error) {
	s := &fileSpool{guard: g, key: spoolKey()}
	s.rewind()
	err := g.try("make room for a snapshot", func() (err error) {
		if s.file, err = os.CreateTemp(dir, spoolPattern); err != nil {
			return err
		}
		// The name goes at once; the bytes live as long as the file is open.
		return os.Remove(s.file.Name())
	})
	if err != nil {
		s.Close() // also when there is none
		return nil, err
	}
	return s, nil
}

// spoolKey is of one spool.
func spoolKey() cipher.Block {
	key := make([]byte, 32)
	rand.Read(key) // never fails: see crypto/rand
	return cipherOf(key)
}

// cipherOf uses up a key of 32 bytes.
func cipherOf(key []byte) cipher.Block {
	defer clear(key)
	block, err := aes.NewCipher(key) // fails for keys of another length
	if err != nil {
		panic(err)
	}
	return block
}

func (s *fileSpool) rewind() { s.stream = cipher.NewCTR(s.key, make([]byte, aes.BlockSize)) }

// Write does not go on behind an error.
func (s *fileSpool) Write(p []byte) (n int, err error) {
	encrypted := make([]byte, len(p))
	s.stream.XORKeyStream(encrypted, p)
	err = s.guard.try("receive snapshot", func() (err error) { n, err = s.file.Write(encrypted); return err })
	return n, err
}

func (s *fileSpool) Read(p []byte) (int, error) {
	n, err := s.file.Read(p)
	s.stream.XORKeyStream(p[:n], p[:n])
	return n, err
}

// Seek goes to the start, wherever it is asked to go: a spool is written to its end, and then read from there, as often as need be.
func (s *fileSpool) Seek(int64, int) (int64, error) {
	s.rewind()
	return s.file.Seek(0, io.SeekStart)
}

func (s *fileSpool) Close() error { return s.file.Close() }

// memorySpool is a spool where there is no directory.
type memorySpool struct {
	data []byte
	at   int
}

func (m *memorySpool) Write(p []byte) (int, error) {
	m.data = append(m.data, p...)
	return len(p), nil
}

func (m *memorySpool) Read(p []byte) (int, error) {
	if m.at == len(m.data) {
		return 0, io.EOF
	}
	n := copy(p, m.data[m.at:])
	m.at += n
	return n, nil
}

// Seek goes to the start, as that of a fileSpool.
func (m *memorySpool) Seek(int64, int) (int64, error) {
	m.at = 0
	return 0, nil
}

func (m *memorySpool) Close() error { return nil }

// sweepSpool removes what a crash between the making of a spool file and the removal of its name left.
func sweepSpool(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, spoolPattern))
	if err != nil {
		return err
	}
	for _, f := range left {
		if err := os.Remove(f); err != nil {
			return err
		}
	}
	return nil
}
