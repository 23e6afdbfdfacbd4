package transport

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"time"
)

// MemberID is the incarnation id of a member: a UUID made with each fresh data directory, never reused.
type MemberID string

// Pin is the SHA-256 of a certificate's public key (its SubjectPublicKeyInfo). It is all that is trusted of a
// certificate: names and dates in it mean nothing to this package.
type Pin [sha256.Size]byte

// String is the pin in lower-case hex, 64 digits.
func (p Pin) String() string { return hex.EncodeToString(p[:]) }

// MarshalText makes a pin hex in JSON.
func (p Pin) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is ParsePin.
func (p *Pin) UnmarshalText(text []byte) error {
	parsed, err := ParsePin(string(text))
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}

// ParsePin reads what Pin.String writes.
func ParsePin(s string) (Pin, error) {
	var p Pin
	if len(s) != hex.EncodedLen(len(p)) {
		return Pin{}, fmt.Errorf("parse pin: %d characters instead of %d", len(s), hex.EncodedLen(len(p)))
	}
	if _, err := hex.Decode(p[:], []byte(s)); err != nil {
		return Pin{}, fmt.Errorf("parse pin: %w", err)
	}
	return p, nil
}

// PinOf is the pin of a certificate.
func PinOf(cert *x509.Certificate) Pin { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }

// PinOfDER is the pin of a certificate that is not parsed yet.
func PinOfDER(der []byte) (Pin, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return Pin{}, fmt.Errorf("parse certificate: %w", err)
	}
	return PinOf(cert), nil
}

// Class picks one of the connections between a pair of members. They have windows of their own, so a snapshot does not hold
// up a heartbeat, and no person who stops reading holds up either.
type Class uint8

// The classes. Their numbers are not on the wire: each has its own application protocol.
const (
	Control Class = iota // small and urgent: heartbeats, votes, forwarding, reports
	Data                 // large: entries with payload, snapshots
	Transit              // what people send through: read as fast as they read
)

const classes = 3

// kindOfClass is a class's name, its application protocol, and the class that serves in its place when the peer cannot be
// dialled and has dialled us on that one.
var kindOfClass = [classes]struct {
	name, protocol string
	instead        Class
}{
	Control: {"control", protocolControl, Data},
	Data:    {"data", protocolData, Control},
	Transit: {"transit", protocolTransit, Data},
}

func (c Class) String() string {
	if c < classes {
		return kindOfClass[c].name
	}
	return fmt.Sprintf("class %d", uint8(c))
}

// Standing is what the fleet says of a pin.
type Standing uint8

const (
	// Unknown pins are refused in the handshake.
	Unknown Standing = iota
	// Current pins belong to members.
	Current
	// Removed pins complete the handshake only to be told `removed`.
	Removed
)

func (s Standing) String() string {
	switch s {
	case Unknown:
		return "unknown"
	case Current:
		return "current"
	case Removed:
		return "removed"
	}
	return fmt.Sprintf("standing %d", uint8(s))
}

// Directory is where pins and addresses come from. Both methods may be called from any goroutine at any time, also
// inside a TLS handshake, and must not block.
type Directory interface {
	// Lookup says whose a pin is. The id is that of the member for Current and Removed.
	Lookup(Pin) (MemberID, Standing)
	// Find says how to reach a current member, and false for everyone else.
	Find(MemberID) (Peer, bool)
}

// Peer is how to reach a member and how to know it.
type Peer struct {
	Pin Pin
	// Addresses are UDP host:port. They may be empty: such a member only dials out.
	Addresses []string
}

// PeerState is one connected peer as this endpoint sees it.
type PeerState struct {
	ID MemberID
	// RTT is the smoothed round trip of its control connection, or of its data connection if that is the only one.
	RTT time.Duration
	// Since is when the oldest of its live connections was made.
	Since time.Time
	// Connections counts its live connections; in rest there are two.
	Connections int
}
