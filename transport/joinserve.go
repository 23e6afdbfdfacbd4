package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/quic-go/quic-go"
)

// JoinHandler decides about a join. It is called for requests whose signature holds and whose certificate is that of
// the connection, from several goroutines at once. from is the connection's pin. ctx ends when the endpoint closes
// or the join takes too long. The same request may come again, and should get the same answer.
type JoinHandler func(ctx context.Context, from Pin, req JoinRequest) JoinAnswer

// serveJoin serves one joiner: one connection, one stream, one request. Anyone may come this far, so everything is
// bounded: how many at once, how long, how many bytes.
func (e *Endpoint) serveJoin(conn *quic.Conn) {
	select {
	case e.joins <- struct{}{}:
		defer func() { <-e.joins }()
	default:
		conn.CloseWithError(codeBusy, "busy")
		return
	}
	ctx, cancel := context.WithTimeout(e.ctx, joinTime)
	defer cancel()
	if err := e.answerJoin(ctx, conn); err != nil {
		e.cfg.Logger.Warn("join failed", "address", conn.RemoteAddr(), "error", err)
		conn.CloseWithError(codeProtocol, "join failed")
		return
	}
	// The joiner closes the connection once it has read the answer.
	select {
	case <-conn.Context().Done():
	case <-ctx.Done():
		conn.CloseWithError(codeBusy, "join took too long")
	}
}

func (e *Endpoint) answerJoin(ctx context.Context, conn *quic.Conn) error {
	pin, err := pinOfConnection(conn.ConnectionState().TLS)
	if err != nil {
		return err
	}
	receiveCtx, cancel := context.WithTimeout(ctx, e.cfg.Timing.Header)
	defer cancel()
	s, err := conn.AcceptStream(receiveCtx)
	if err != nil {
		return fmt.Errorf("accept stream: %w", explain(err))
	}
	s.SetReadDeadline(time.Now().Add(e.cfg.Timing.Header))
	b, err := readFrame(s, maxJoinRequest)
	if err != nil {
		return fmt.Errorf("read request: %w", explain(err))
	}
	answer, err := json.Marshal(e.decideJoin(ctx, pin, b))
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	deadline, _ := ctx.Deadline()
	s.SetWriteDeadline(deadline)
	if err := writeFrame(s, answer); err != nil {
		return fmt.Errorf("write answer: %w", explain(err))
	}
	return s.Close()
}

// decideJoin asks the handler, and answers for it what needs no decision.
func (e *Endpoint) decideJoin(ctx context.Context, from Pin, b []byte) JoinAnswer {
	req, err := decodeJoinRequest(b)
	if err == nil {
		err = matchesConnection(req, from)
	}
	if err != nil {
		return JoinAnswer{Error: printable(err.Error())}
	}
	if req.Fleet != e.cfg.Identity.Fleet() {
		return JoinAnswer{Error: fmt.Sprintf("the token is for fleet %q, this is fleet %q", req.Fleet, e.cfg.Identity.Fleet())}
	}
	answer := e.cfg.Join(ctx, from, req)
	answer.Error = printable(answer.Error)
	return answer
}

func matchesConnection(req JoinRequest, from Pin) error {
	pin, err := req.Pin()
	if err == nil && pin != from {
		err = errors.New("join request: certificate is not that of the connection")
	}
	return err
}

// printable makes a text fit for JoinAnswer.Error.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	return strings.ToValidUTF8(s[:min(len(s), maxRefusal)], "")
}
