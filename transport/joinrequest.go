package transport

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// JoinRequest asks a fleet to take a member in. Sign fills Key and Signature.
type JoinRequest struct {
	Fleet       string            `json:"fleet"`
	Cluster     string            `json:"cluster"`
	Region      string            `json:"region,omitempty"`
	Zone        string            `json:"zone,omitempty"`
	Version     string            `json:"version,omitempty"` // of the joiner's program
	Member      MemberID          `json:"member"`
	Certificate []byte            `json:"certificate"`         // DER
	Addresses   []string          `json:"addresses,omitempty"` // UDP; empty for a member that only dials out
	Server      string            `json:"server,omitempty"`    // URL of its API
	Applies     uint64            `json:"applies,omitempty"`   // newest version of the log that the program can apply
	Recipient   string            `json:"recipient,omitempty"` // age recipient of the member before it, whose key it brings
	KeysLost    bool              `json:"keysLost,omitempty"`  // that key is gone
	Key         ed25519.PublicKey `json:"key"`                 // of the token: its ID in bytes
	Signature   []byte            `json:"signature"`
}

// Sign signs all of the request, and the certificate's pin, with a token's seed.
func (r *JoinRequest) Sign(seed [32]byte) error {
	key := ed25519.NewKeyFromSeed(seed[:])
	r.Key = key.Public().(ed25519.PublicKey)
	message, err := r.signed()
	if err != nil {
		return fmt.Errorf("sign join request: %w", err)
	}
	r.Signature = ed25519.Sign(key, message)
	return nil
}

// Verify checks every field's form and the signature by Key. Whether Key is that of a token, unspent and in time, is
// for the fleet to say.
func (r JoinRequest) Verify() error {
	if err := r.Validate(); err != nil {
		return fmt.Errorf("join request: %w", err)
	}
	message, err := r.signed()
	if err != nil {
		return fmt.Errorf("join request: %w", err)
	}
	if err := r.namesItself(); err != nil {
		return fmt.Errorf("join request: %w", err)
	}
	if len(r.Key) != ed25519.PublicKeySize || !ed25519.Verify(r.Key, message, r.Signature) {
		return errors.New("join request: bad signature")
	}
	return nil
}

// Pin is the pin of the request's certificate.
func (r JoinRequest) Pin() (Pin, error) { return checkCertificate(r.Certificate) }

// namesItself says that the certificate is of the member that asks. Others keep certificates and read from them whose a key is.
func (r JoinRequest) namesItself() error {
	cert, err := x509.ParseCertificate(r.Certificate)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	if want := spiffe(r.Fleet, r.Cluster).String(); len(cert.URIs) != 1 || cert.URIs[0].String() != want || cert.Subject.CommonName != string(r.Member) {
		return fmt.Errorf("certificate is not that of %s with id %s", want, r.Member)
	}
	return nil
}

// Validate checks the form of every field, not the signature.
func (r JoinRequest) Validate() error {
	_, certErr := r.Pin()
	for _, err := range []error{
		checkName("fleet", r.Fleet),
		checkName("cluster", r.Cluster),
		checkLabel("region", r.Region),
		checkLabel("zone", r.Zone),
		checkVersion(r.Version),
		checkMemberID(r.Member),
		checkAddresses(r.Addresses),
		checkServer(r.Server),
		checkRecipient(r.Recipient),
		certErr,
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// joinDomain separates these signatures from all others that a key might make.
const joinDomain = "hanse join request 1"

// signed is what the signature covers. Every field is there, each with its length before it, so that no two
// different requests have the same bytes:
//
//	4+n  each of: domain, fleet, cluster, region, zone, version, member, pin, certificate, server, key
//	4    number of addresses, big endian as all lengths
//	4+n  each address
//	8    applies
//	4+n  recipient, and a byte that is 1 when its key is lost; neither when neither is said, as before there were these
func (r JoinRequest) signed() ([]byte, error) {
	pin, err := r.Pin()
	if err != nil {
		return nil, err
	}
	var b []byte
	for _, field := range []string{
		joinDomain, r.Fleet, r.Cluster, r.Region, r.Zone, r.Version, string(r.Member),
		string(pin[:]), string(r.Certificate), r.Server, string(r.Key),
	} {
		b = appendLong(b, field)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.Addresses)))
	for _, a := range r.Addresses {
		b = appendLong(b, a)
	}
	b = binary.BigEndian.AppendUint64(b, r.Applies)
	if r.Recipient == "" && !r.KeysLost {
		return b, nil
	}
	b = appendLong(b, r.Recipient)
	if r.KeysLost {
		return append(b, 1), nil
	}
	return append(b, 0), nil
}

func appendLong(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// JoinAnswer is what a fleet says to a joiner.
type JoinAnswer struct {
	// Error is a refusal in words for people; empty means that the member is in.
	Error string `json:"error,omitempty"`
	// Temporary says that the same request may succeed later, or at another member.
	Temporary bool `json:"temporary,omitempty"`

	// Cluster, Region, Zone and Eligible are what the fleet knows the new member by: the token may have fixed them.
	Cluster  string `json:"cluster,omitempty"`
	Region   string `json:"region,omitempty"`
	Zone     string `json:"zone,omitempty"`
	Eligible bool   `json:"eligible,omitempty"` // may vote
	// Members are those to speak to from now on.
	Members []JoinPeer `json:"members,omitempty"`
}

// JoinPeer is one member that a joiner learns of.
type JoinPeer struct {
	ID          MemberID `json:"id"`
	Cluster     string   `json:"cluster"`
	Pin         Pin      `json:"pin"`
	Addresses   []string `json:"addresses,omitempty"`
	Certificate []byte   `json:"certificate"` // DER
}

const (
	maxRefusal = 1024
	maxMembers = 4096
)

// Validate checks the form of every field, and that each certificate has its pin.
func (a JoinAnswer) Validate() error {
	if len(a.Error) > maxRefusal || strings.ContainsFunc(a.Error, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("join answer: refusal is not %d printable characters", maxRefusal)
	}
	if len(a.Members) > maxMembers {
		return fmt.Errorf("join answer: %d members", len(a.Members))
	}
	if a.Error == "" {
		if err := checkName("cluster", a.Cluster); err != nil {
			return fmt.Errorf("join answer: %w", err)
		}
	}
	if err := errors.Join(checkLabel("region", a.Region), checkLabel("zone", a.Zone)); err != nil {
		return fmt.Errorf("join answer: %w", err)
	}
	for _, m := range a.Members {
		if err := m.validate(); err != nil {
			return fmt.Errorf("join answer: %w", err)
		}
	}
	return nil
}

func (p JoinPeer) validate() error {
	pin, err := checkCertificate(p.Certificate)
	if err == nil && pin != p.Pin {
		err = errors.New("a member's certificate does not have its pin")
	}
	for _, err := range []error{err, checkMemberID(p.ID), checkName("cluster", p.Cluster), checkAddresses(p.Addresses)} {
		if err != nil {
			return err
		}
	}
	return nil
}

func decodeJoinRequest(b []byte) (JoinRequest, error) {
	var r JoinRequest
	if err := json.Unmarshal(b, &r); err != nil {
		return JoinRequest{}, fmt.Errorf("decode join request: %w", err)
	}
	return r, r.Verify()
}

func decodeJoinAnswer(b []byte) (JoinAnswer, error) {
	var a JoinAnswer
	if err := json.Unmarshal(b, &a); err != nil {
		return JoinAnswer{}, fmt.Errorf("decode join answer: %w", err)
	}
	return a, a.Validate()
}
