package transport

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/quic-go/quic-go"
)

// serverTLS demands a certificate of everyone and lets the application protocol decide whose is welcome.
func (e *Endpoint) serverTLS() *tls.Config {
	c := e.baseTLS()
	c.NextProtos = []string{protocolControl, protocolData, protocolTransit}
	if e.cfg.Join != nil {
		c.NextProtos = append(c.NextProtos, protocolJoin)
	}
	c.ClientAuth = tls.RequireAnyClientCert
	c.VerifyConnection = e.verifyClient
	return c
}

func (e *Endpoint) verifyClient(state tls.ConnectionState) error {
	pin, err := pinOfConnection(state)
	if err != nil {
		return err
	}
	switch state.NegotiatedProtocol {
	case protocolJoin:
		return nil // proven by the token, later
	case protocolControl, protocolData, protocolTransit:
		// A removed pin may come in, so that it can be told; see admit.
		if _, standing := e.cfg.Directory.Lookup(pin); standing != Unknown {
			return nil
		}
		return fmt.Errorf("pin %s: not known", pin)
	}
	return errors.New("no application protocol")
}

// clientTLS speaks to the one member that has the pin.
func (e *Endpoint) clientTLS(to MemberID, want Pin, class Class) *tls.Config {
	c := e.baseTLS()
	c.NextProtos = []string{kindOfClass[class].protocol}
	c.VerifyConnection = func(state tls.ConnectionState) error {
		pin, err := pinOfConnection(state)
		if err != nil {
			return err
		}
		if pin != want {
			return ErrPinMismatch
		}
		if id, standing := e.cfg.Directory.Lookup(pin); standing != Current || id != to {
			return ErrUnknownPeer
		}
		return nil
	}
	return c
}

func (e *Endpoint) baseTLS() *tls.Config { return baseTLS(e.cfg.Identity) }

// baseTLS turns off what a certificate authority would verify: VerifyConnection takes its place on both sides. It
// runs on resumed sessions too, of which there are none: tickets are off, and with them 0-RTT, which could be replayed.
func baseTLS(id Identity) *tls.Config {
	return &tls.Config{
		Certificates:           []tls.Certificate{id.TLS()},
		MinVersion:             tls.VersionTLS13,
		ServerName:             ServerName,
		InsecureSkipVerify:     true, // no authority: pins are verified in VerifyConnection
		SessionTicketsDisabled: true,
	}
}

// pinOfConnection is the pin whose key the other side has proven to hold.
func pinOfConnection(state tls.ConnectionState) (Pin, error) {
	if len(state.PeerCertificates) != 1 {
		return Pin{}, fmt.Errorf("%d certificates: want one", len(state.PeerCertificates))
	}
	return PinOf(state.PeerCertificates[0]), nil
}

func classOf(protocol string) Class {
	for c, k := range kindOfClass {
		if k.protocol == protocol {
			return Class(c)
		}
	}
	return Control
}

// dialConfig is the dialler's: it takes one unidirectional stream, the welcome. An accepted connection's class is not known
// yet when its windows are, so those of Transit are the dialler's alone.
func (t Timing) dialConfig(class Class) *quic.Config {
	c := t.quicConfig(1)
	if class == Transit {
		c.MaxStreamReceiveWindow = transitStream
		c.InitialConnectionReceiveWindow, c.MaxConnectionReceiveWindow = transitConnection, transitConnection
	}
	return c
}

// quicConfig holds what both ends of a connection agree on.
func (t Timing) quicConfig(welcomes int64) *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:           t.Dial,
		MaxIdleTimeout:                 t.Idle,
		KeepAlivePeriod:                t.KeepAlive,
		MaxIncomingStreams:             maxStreams,
		MaxIncomingUniStreams:          welcomes,
		InitialStreamReceiveWindow:     firstStream,
		InitialConnectionReceiveWindow: connection,
		MaxConnectionReceiveWindow:     connection,
	}
}
