package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/quic-go/quic-go"
)

var (
	// ErrUnknownPeer means that the Directory has no such current member.
	ErrUnknownPeer = errors.New("not a current member")
	// ErrUnreachable means that there is no connection to the peer and none could be made, or that it is too early to
	// try again. Nothing was sent.
	ErrUnreachable = errors.New("peer is not reachable")
	// ErrRemoved means that the peer says that our pin was removed from the fleet.
	ErrRemoved = errors.New("peer says that this member was removed")
	// ErrRefused means that the peer does not know our pin.
	ErrRefused = errors.New("peer does not know this member's key")
	// ErrPinMismatch means that whoever answered at the address has another key than expected.
	ErrPinMismatch = errors.New("peer has another key than expected")
	// ErrUnknownKind means that the peer handles no streams of that kind.
	ErrUnknownKind = errors.New("peer does not handle this kind of stream")
	// ErrBusy means that the peer serves as many joiners as it can at once, or that there are as many streams of Transit to it as
	// may be: the same request may succeed a moment later.
	ErrBusy = errors.New("peer is busy")
	// ErrClosed means that this Endpoint was closed. It is also a net.ErrClosed.
	ErrClosed = fmt.Errorf("endpoint: %w", net.ErrClosed)
)

// Codes of CONNECTION_CLOSE. Their numbers are part of the protocol.
const (
	codeClosing  quic.ApplicationErrorCode = 0 // the endpoint stops, or a joiner is done
	codeRemoved  quic.ApplicationErrorCode = 1 // the peer's pin is no longer current
	codeSurplus  quic.ApplicationErrorCode = 2 // another connection of the pair serves, or nobody used this one
	codeRefused  quic.ApplicationErrorCode = 3 // the pin was forgotten between handshake and use
	codeProtocol quic.ApplicationErrorCode = 4 // what was sent makes no sense
	codeBusy     quic.ApplicationErrorCode = 5 // too many joins at once, or one that takes too long
)

// Codes of RESET_STREAM and STOP_SENDING. Their numbers are part of the protocol.
const (
	codeDone        quic.StreamErrorCode = 0 // closed: nothing more is read
	codeCut         quic.StreamErrorCode = 1 // closed in the middle of a write
	codeUnknownKind quic.StreamErrorCode = 2
	codeBadHeader   quic.StreamErrorCode = 3
	codeSlowHeader  quic.StreamErrorCode = 4
)

// alerts of TLS that say something to people.
const (
	alertBadCertificate        = 42
	alertNoApplicationProtocol = 120
)

// explain turns quic-go's errors of connections and streams into ours where there is more to say, and drops the words
// that a peer sent along.
func explain(err error) error {
	if app, ok := errors.AsType[*quic.ApplicationError](err); ok && app.Remote {
		return explainClose(app)
	}
	if t, ok := errors.AsType[*quic.TransportError](err); ok {
		return explainTransport(t)
	}
	if s, ok := errors.AsType[*quic.StreamError](err); ok {
		return explainReset(s)
	}
	_, idle := errors.AsType[*quic.IdleTimeoutError](err)
	_, handshake := errors.AsType[*quic.HandshakeTimeoutError](err)
	if idle || handshake || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("nobody answers, UDP may be blocked: %w", os.ErrDeadlineExceeded)
	}
	return err
}

func explainClose(e *quic.ApplicationError) error {
	switch e.ErrorCode {
	case codeRemoved:
		return ErrRemoved
	case codeRefused:
		return ErrRefused
	case codeClosing:
		return fmt.Errorf("peer is stopping: %w", net.ErrClosed)
	case codeSurplus:
		return fmt.Errorf("peer does not need it any more: %w", net.ErrClosed)
	case codeBusy:
		return ErrBusy
	}
	return fmt.Errorf("peer closed the connection with code %d: %w", uint64(e.ErrorCode), net.ErrClosed)
}

func explainTransport(e *quic.TransportError) error {
	for _, ours := range []error{ErrPinMismatch, ErrUnknownPeer} {
		if errors.Is(e, ours) {
			return ours
		}
	}
	switch {
	case !e.Remote:
		return e
	case e.ErrorCode == 0x100+alertBadCertificate:
		return ErrRefused
	case e.ErrorCode == 0x100+alertNoApplicationProtocol:
		return errors.New("peer does not speak this protocol")
	}
	return fmt.Errorf("peer ended the connection with %s: %w", e.ErrorCode, net.ErrClosed) // never with its own words
}

func explainReset(e *quic.StreamError) error {
	if !e.Remote {
		return net.ErrClosed
	}
	switch e.ErrorCode {
	case codeDone:
		return fmt.Errorf("peer closed the stream: %w", io.ErrClosedPipe)
	case codeUnknownKind:
		return ErrUnknownKind
	case codeBadHeader:
		return errors.New("peer refused the stream's header")
	case codeSlowHeader:
		return errors.New("peer waited too long for the stream's header")
	}
	return fmt.Errorf("peer cut the stream: %w", io.ErrUnexpectedEOF)
}
