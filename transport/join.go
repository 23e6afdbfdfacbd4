package transport

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/quic-go/quic-go"
)

// ErrJoinRefused means that a member of the fleet answered, and said no. The error's text says why.
var ErrJoinRefused = errors.New("join refused")

// JoinOptions is what Join can do without.
type JoinOptions struct {
	// Conn is the socket to use. Join leaves it open. Nil: a socket of its own.
	Conn net.PacketConn
	// Resolve is nil for IP addresses and the system's DNS.
	Resolve ResolveFunc
	Timing  Timing
}

// Join asks the fleet of a token to take an identity in. The caller fills what req says of region, zone, version,
// addresses and server; the rest comes from token and identity. Every address of the token is tried, in order, until
// a member answers for good; whoever answers must have one of the token's pins. A repetition with the same token and
// identity is safe. A refusal is ErrJoinRefused.
func Join(ctx context.Context, token Token, id Identity, req JoinRequest, opts JoinOptions) (JoinAnswer, error) {
	answer, err := join(ctx, token, id, req, opts)
	if err != nil {
		return JoinAnswer{}, fmt.Errorf("join fleet %q: %w", token.Fleet, err)
	}
	return answer, nil
}

func join(ctx context.Context, token Token, id Identity, req JoinRequest, opts JoinOptions) (JoinAnswer, error) {
	b, err := signedRequest(token, id, req)
	if err != nil {
		return JoinAnswer{}, err
	}
	if err := opts.Timing.Validate(); err != nil {
		return JoinAnswer{}, err
	}
	j, err := newJoiner(token, id, opts)
	if err != nil {
		return JoinAnswer{}, err
	}
	defer j.close()
	return j.tryAll(ctx, token.Addresses, b)
}

func signedRequest(token Token, id Identity, req JoinRequest) ([]byte, error) {
	if err := token.Validate(); err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	if id.key == nil {
		return nil, errors.New("no identity")
	}
	if id.Fleet() != token.Fleet {
		return nil, fmt.Errorf("token is for fleet %q, identity for %q", token.Fleet, id.Fleet())
	}
	req.Fleet, req.Cluster, req.Member, req.Certificate = token.Fleet, id.Cluster(), id.ID(), id.Certificate()
	if err := req.Sign(token.Seed); err != nil {
		return nil, err
	}
	if err := req.Verify(); err != nil { // better here than there
		return nil, err
	}
	return json.Marshal(req)
}

// joiner is the client of one Join.
type joiner struct {
	tls       *tls.Config
	timing    Timing
	resolve   ResolveFunc
	transport *quic.Transport
	own       net.PacketConn // to close at the end, or nil
}

func newJoiner(token Token, id Identity, opts JoinOptions) (*joiner, error) {
	j := &joiner{tls: baseTLS(id), timing: opts.Timing.withDefaults(), resolve: opts.Resolve}
	j.tls.NextProtos = []string{protocolJoin}
	j.tls.VerifyConnection = func(state tls.ConnectionState) error {
		pin, err := pinOfConnection(state)
		if err == nil && !slices.Contains(token.Pins, pin) {
			err = ErrPinMismatch
		}
		return err
	}
	if j.resolve == nil {
		j.resolve = Resolve
	}
	conn := opts.Conn
	if conn == nil {
		var err error
		if conn, err = net.ListenUDP("udp", nil); err != nil {
			return nil, fmt.Errorf("open socket: %w", err)
		}
		j.own = conn
	}
	j.transport = &quic.Transport{Conn: conn}
	return j, nil
}

func (j *joiner) close() {
	j.transport.Close()
	if j.own != nil {
		j.own.Close()
	}
}

// tryAll asks one member after the other. Only a refusal that is final ends it early: a member may be without a
// quorum that another has.
func (j *joiner) tryAll(ctx context.Context, addresses []string, request []byte) (JoinAnswer, error) {
	var errs []error
	for _, a := range addresses {
		answer, err := j.try(ctx, a, request)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", a, err))
		case answer.Error == "":
			return answer, nil
		case !answer.Temporary:
			return JoinAnswer{}, fmt.Errorf("%w: %s", ErrJoinRefused, answer.Error)
		default:
			errs = append(errs, fmt.Errorf("%s: %w for now: %s", a, ErrJoinRefused, answer.Error))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return JoinAnswer{}, errors.Join(errs...)
}

func (j *joiner) try(ctx context.Context, address string, request []byte) (JoinAnswer, error) {
	conn, err := j.dial(ctx, address)
	if err != nil {
		return JoinAnswer{}, err
	}
	defer conn.CloseWithError(codeClosing, "done")
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.CloseWithError(codeClosing, "gave up") })
	defer stop()
	answer, err := exchange(ctx, conn, request)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return answer, err
}

func (j *joiner) dial(ctx context.Context, address string) (*quic.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, j.timing.Dial)
	defer cancel()
	list, err := resolveAll(ctx, j.resolve, []string{address}, j.timing.Dial/2)
	if err != nil {
		return nil, err
	}
	return race(ctx, list, func(ctx context.Context, to netip.AddrPort) (*quic.Conn, error) {
		conn, err := j.transport.Dial(ctx, net.UDPAddrFromAddrPort(to), j.tls, j.timing.quicConfig(-1))
		if err != nil {
			return nil, explain(err)
		}
		return conn, nil
	})
}

func exchange(ctx context.Context, conn *quic.Conn, request []byte) (JoinAnswer, error) {
	s, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return JoinAnswer{}, explain(err)
	}
	if err := writeFrame(s, request); err != nil {
		return JoinAnswer{}, fmt.Errorf("send request: %w", explain(err))
	}
	s.Close()
	b, err := readFrame(s, maxJoinAnswer)
	if err != nil {
		return JoinAnswer{}, fmt.Errorf("read answer: %w", explain(err))
	}
	return decodeJoinAnswer(b)
}
