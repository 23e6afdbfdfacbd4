package transport

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Token lets one cluster join, once. Whoever holds it can: it is a secret, because of the seed.
//
// Its text is "hanse1-" and the base64url, without padding, of
//
//	size  what
//	8     expiry, seconds since 1970, big endian
//	32    seed of an Ed25519 key
//	1+n   length and name of the fleet
//	1     number of pins, then 32 bytes for each
//	1     number of addresses, then for each
//	1+n   length and host:port
//	4     the first bytes of the SHA-256 of "hanse1-" and all of the above
//
// The 1 in the prefix is the version. Unknown versions are refused.
type Token struct {
	Fleet     string
	Addresses []string // where to join, host:port, in the order in which to try them
	Pins      []Pin    // of the members at these addresses
	Expires   time.Time
	Seed      [32]byte
}

const (
	tokenPrefix   = "hanse1-"
	tokenSum      = 4
	maxTokenText  = 8192
	maxTokenPins  = 16
	tokenAlphabet = lowers + uppers + digits + "-_"
)

// ErrGarbledToken is why ParseToken refuses a text. The error that wraps it says what is wrong with it.
var ErrGarbledToken = errors.New("garbled token")

// ID is the public half of the seed in hex: what the fleet remembers of a token. It is no secret.
func (t Token) ID() string { return hex.EncodeToString(t.key().Public().(ed25519.PublicKey)) }

func (t Token) key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(t.Seed[:]) }

// Validate reports what keeps a token from being written.
func (t Token) Validate() error {
	if err := checkName("fleet", t.Fleet); err != nil {
		return err
	}
	if n := len(t.Pins); n == 0 || n > maxTokenPins {
		return fmt.Errorf("%d pins: want 1 to %d", n, maxTokenPins)
	}
	if len(t.Addresses) == 0 {
		return errors.New("no address")
	}
	return checkAddresses(t.Addresses)
}

// String is the token as one line of text, secret included. For a token that does not validate it is a text that
// ParseToken refuses.
func (t Token) String() string {
	if err := t.Validate(); err != nil {
		return "invalid token: " + err.Error()
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(t.Expires.Unix()))
	b = append(b, t.Seed[:]...)
	b = appendShort(b, t.Fleet)
	b = append(b, byte(len(t.Pins)))
	for _, p := range t.Pins {
		b = append(b, p[:]...)
	}
	b = append(b, byte(len(t.Addresses)))
	for _, a := range t.Addresses {
		b = appendShort(b, a)
	}
	sum := tokenChecksum(b)
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(append(b, sum[:]...))
}

// LogValue keeps the secret out of logs.
func (t Token) LogValue() slog.Value { return slog.StringValue("token " + t.ID()) }

func appendShort(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }

func tokenChecksum(b []byte) [tokenSum]byte {
	sum := sha256.Sum256(append([]byte(tokenPrefix), b...))
	return [tokenSum]byte(sum[:])
}

// ParseToken reads what Token.String writes; space around it does not matter. It says nothing about whether the fleet
// will take the token, nor about expiry: only the fleet's clock counts.
func ParseToken(text string) (Token, error) {
	b, err := tokenBytes(strings.TrimSpace(text))
	if err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrGarbledToken, err)
	}
	t, err := decodeToken(b)
	if err == nil {
		err = t.Validate()
	}
	if err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrGarbledToken, err)
	}
	return t, nil
}

// tokenBytes gets to the payload, checksum verified. Its errors never repeat the text: it may be most of a secret.
func tokenBytes(text string) ([]byte, error) {
	body, ok := strings.CutPrefix(text, tokenPrefix)
	switch {
	case text == "":
		return nil, errors.New("it is empty")
	case !ok && strings.HasPrefix(text, "hanse"):
		return nil, fmt.Errorf("it does not begin with %q: it may be of another version of hanse", tokenPrefix)
	case !ok:
		return nil, fmt.Errorf("it does not begin with %q", tokenPrefix)
	case len(text) > maxTokenText:
		return nil, fmt.Errorf("it has %d characters, a token has at most %d", len(text), maxTokenText)
	}
	if i := strings.IndexFunc(body, func(r rune) bool { return !strings.ContainsRune(tokenAlphabet, r) }); i >= 0 {
		return nil, fmt.Errorf("character %d cannot be in a token", len(tokenPrefix)+i+1)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err == nil && len(raw) >= tokenSum {
		payload, sum := raw[:len(raw)-tokenSum], raw[len(raw)-tokenSum:]
		if tokenChecksum(payload) == [tokenSum]byte(sum) {
			return payload, nil
		}
	}
	return nil, errors.New("its checksum does not match: a part is missing or changed")
}

func decodeToken(b []byte) (Token, error) {
	r := &reader{rest: b}
	t := Token{Expires: time.Unix(int64(binary.BigEndian.Uint64(r.take(8))), 0).UTC()}
	copy(t.Seed[:], r.take(32))
	t.Fleet = string(r.take(r.byte()))
	for range r.byte() {
		t.Pins = append(t.Pins, Pin(r.take(len(Pin{}))))
	}
	for range r.byte() {
		t.Addresses = append(t.Addresses, string(r.take(r.byte())))
	}
	if r.short || len(r.rest) > 0 {
		return Token{}, errors.New("its fields do not add up")
	}
	return t, nil
}

// reader takes bytes off a slice; past its end it gives zeros and says so in short.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if r.short || n > len(r.rest) {
		r.short = true
		return make([]byte, n)
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() int { return int(r.take(1)[0]) }
