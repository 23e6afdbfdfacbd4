package tunnel

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Kind is the kind of stream that a tunnel is. Whoever opens one sends first:
//
//	offset  size  what
//	0       1     n, the length of the name, 1 to 64
//	1       n     the id of the member that is meant: a-z, 0-9 and dash
//
// The other side answers with one byte, an answer below. After answerThrough the bytes of the connection follow, both ways.
const Kind = "tunnel"

const maxID = 64

type answer byte

// Answers. Their numbers are part of the protocol.
const (
	answerThrough answer = 1 + iota
	answerUnreachable
	answerBusy
	answerStopping
)

var (
	// ErrUnreachable means that no member found a way to the one that is meant.
	ErrUnreachable = errors.New("no member reaches it")
	// ErrBusy means that there are as many tunnels as may be: of the person, or of a member on the way.
	ErrBusy = errors.New("too many connections through tunnels")

	errStopping = errors.New("the member on the way is stopping")
	errBadID    = errors.New("want 1 to 64 of a-z, 0-9 and dash")
)

func checkID(id string) error {
	if id == "" || len(id) > maxID || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return errBadID
	}
	return nil
}

func appendRequest(b []byte, id string) []byte {
	return append(append(b, byte(len(id))), id...)
}

// readRequest reads the id of a member and not one byte more.
func readRequest(r io.Reader) (string, error) {
	var b [maxID]byte
	if _, err := io.ReadFull(r, b[:1]); err != nil {
		return "", fmt.Errorf("read who is meant: %w", err)
	}
	n := int(b[0])
	if n == 0 || n > maxID {
		return "", fmt.Errorf("read who is meant: %w", errBadID)
	}
	if _, err := io.ReadFull(r, b[:n]); err != nil {
		return "", fmt.Errorf("read who is meant: %w", err)
	}
	return string(b[:n]), checkID(string(b[:n]))
}

// readAnswer says why there is no way through, or nil.
func readAnswer(r io.Reader) error {
	var b [1]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	switch answer(b[0]) {
	case answerThrough:
		return nil
	case answerUnreachable:
		return ErrUnreachable
	case answerBusy:
		return ErrBusy
	case answerStopping:
		return errStopping
	}
	return fmt.Errorf("read answer: %d is none", b[0])
}

// answerOf is what tells an error to the member before.
func answerOf(err error) answer {
	switch {
	case err == nil:
		return answerThrough
	case errors.Is(err, ErrBusy):
		return answerBusy
	case errors.Is(err, errStopping):
		return answerStopping
	}
	return answerUnreachable
}
