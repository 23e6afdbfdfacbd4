package transport

import (
	"errors"
	"fmt"
	"io"
)

// The opener of a stream sends its kind before anything else, as one frame:
//
//	offset  size  what
//	0       1     n, the length of the kind, 1 to 32
//	1       n     the kind: a-z, 0-9 and dash, a letter first
//
// What follows belongs to the kind. There is no answer: a kind that the other side does not handle resets the stream
// with code 2. The format has no version of its own, it belongs to the connection's application protocol.
const maxKind = 32

var errBadKind = errors.New("want 1 to 32 of a-z, 0-9 and dash, a letter first")

func checkKind(kind string) error {
	if !only(kind, lowers+digits+"-", maxKind) || kind[0] < 'a' {
		return fmt.Errorf("kind %q: %w", clip(kind), errBadKind)
	}
	return nil
}

func appendHeader(b []byte, kind string) []byte {
	b = append(b, byte(len(kind)))
	return append(b, kind...)
}

// readHeader reads a kind and not one byte more.
func readHeader(r io.Reader) (string, error) {
	var buf [maxKind]byte
	if _, err := io.ReadFull(r, buf[:1]); err != nil {
		return "", fmt.Errorf("read kind: %w", err)
	}
	n := int(buf[0])
	if n == 0 || n > maxKind {
		return "", fmt.Errorf("read kind: length %d: %w", n, errBadKind)
	}
	if _, err := io.ReadFull(r, buf[:n]); err != nil {
		return "", fmt.Errorf("read kind: %w", err)
	}
	kind := string(buf[:n])
	return kind, checkKind(kind)
}
