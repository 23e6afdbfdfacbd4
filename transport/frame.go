package transport

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The join protocol sends one frame each way on one stream, the joiner first:
//
//	offset  size  what
//	0       4     n, big endian: at most 64 KiB for a request, 8 MiB for an answer
//	4       n     JSON: a JoinRequest, a JoinAnswer
//
// Fields that a reader does not know are left alone. A request's signature does not cover them, so they must not
// change what its other fields mean.
const (
	maxJoinRequest = 64 << 10
	maxJoinAnswer  = 8 << 20
)

func writeFrame(w io.Writer, b []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	return err
}

// readFrame reads one frame. It takes memory only for what has arrived, not for what the length promises.
func readFrame(r io.Reader, limit int) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	if n > int64(limit) {
		return nil, fmt.Errorf("frame of %d bytes: want at most %d", n, limit)
	}
	b, err := io.ReadAll(io.LimitReader(r, n))
	if err == nil && int64(len(b)) < n {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}
