package transport

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// OwnRecipient says to whom what is for one cluster alone is encrypted.
type OwnRecipient struct {
	Fleet, Cluster string
	// Pin is that of the cluster's member.
	Pin       Pin
	Recipient string
	// Since is when the member wrote it first, in whole seconds: one that it had before cannot be put back as if it were newer.
	Since time.Time
}

// recipientDomain separates these signatures from all others that a key might make.
const recipientDomain = "hanse recipient 2"

// digest is of what the signature covers: domain, fleet, cluster, pin, recipient and time, each with its length before it.
func (o OwnRecipient) digest() []byte {
	var b []byte
	for _, field := range []string{recipientDomain, o.Fleet, o.Cluster, string(o.Pin[:]), o.Recipient, o.Since.UTC().Format(time.RFC3339)} {
		b = appendLong(b, field)
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

// SignRecipient signs the recipient of the identity's member, and since when it has it. The same is signed alike each time (RFC 6979), so that a restart
// writes nothing.
func (i Identity) SignRecipient(recipient string, since time.Time) ([]byte, error) {
	o := OwnRecipient{Fleet: i.fleet, Cluster: i.cluster, Pin: i.pin, Recipient: recipient, Since: since}
	signature, err := i.key.Sign(nil, o.digest(), crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign recipient: %w", err)
	}
	return signature, nil
}

// Verify says that the member has signed it, by the key that the pin is of. The certificate has that key.
func (o OwnRecipient) Verify(certificate, signature []byte) error {
	if len(signature) == 0 {
		return errors.New("its member has not signed its recipient")
	}
	cert, err := x509.ParseCertificate(certificate)
	if err != nil {
		return fmt.Errorf("certificate of its member: %w", err)
	}
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || PinOf(cert) != o.Pin || !ecdsa.VerifyASN1(key, o.digest(), signature) {
		return errors.New("what stands as its recipient was not written by its member: somebody put another one there, or said that it is newer")
	}
	return nil
}
