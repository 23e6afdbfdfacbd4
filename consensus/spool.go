package consensus

import (
	"bytes"
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
	answer := make(chan raft.RPCResponse, 1)
	t.hand(raft.RPC{Command: rpc.Command, Reader: s, RespChan: answer})
	select {
	case a := <-answer:
		rpc.RespChan <- a
	case <-t.closing:
		rpc.Respond(nil, errTransportClosed)
	}
}

func (t *transport) spool(r io.Reader, size int64) (io.ReadCloser, error) {
	if size < 0 || size > maxSnapshot {
		return nil, fmt.Errorf("size %d is out of bounds", size)
	}
	if t.dir == "" {
		return spoolMemory(r, size)
	}
	return spoolFile(t.dir, r, size)
}

func spoolMemory(r io.Reader, size int64) (io.ReadCloser, error) {
	if size > maxSpoolMemory {
		return nil, fmt.Errorf("size %d is too large for memory", size)
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r, size); err != nil {
		return nil, err
	}
	return io.NopCloser(&b), nil
}

func spoolFile(dir string, r io.Reader, size int64) (io.ReadCloser, error) {
	f, err := os.CreateTemp(dir, spoolPattern)
	if err != nil {
		return nil, err
	}
	// The name goes at once; the bytes live as long as the file is open.
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := io.CopyN(f, r, size); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

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
