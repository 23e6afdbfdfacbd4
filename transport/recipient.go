package transport

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
)

// OwnRecipient says to whom what is for one cluster alone is encrypted.
type OwnRecipient struct {
	Fleet, Cluster string
	// Pin is that of the cluster's member.
	Pin       Pin
	Recipient string
}

// recipientDomain separates these signatures from all others that a key might make.
const recipientDomain = "hanse recipient 1"

// digest is of what the signature covers: domain, fleet, cluster, pin and recipient, each with its length before it.
func (o OwnRecipient) digest() []byte {
	var b []byte
	for _, field := range []string{recipientDomain, o.Fleet, o.Cluster, string(o.Pin[:]), o.Recipient} {
		b = appendLong(b, field)
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

// SignRecipient signs the recipient of the identity's member. The same one is signed alike each time (RFC 6979), so that a restart writes nothing.
func (i Identity) SignRecipient(recipient string) ([]byte, error) {
	o := OwnRecipient{Fleet: i.fleet, Cluster: i.cluster, Pin: i.pin, Recipient: recipient}
	signature, err := i.key.Sign(nil, o.digest(), crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign recipient: %w", err)
	}
	return signature, nil
}

// Verify says that the member has signed it, by the key that the pin is of. The certificate has that key.
func (o OwnRecipient) Verify(certificate, signature []byte) error {
	if len(signature) == 0 {
		return errors.New("its member has not signed its recipient: it does when it runs this version")
	}
	cert, err := x509.ParseCertificate(certificate)
	if err != nil {
		return fmt.Errorf("certificate of its member: %w", err)
	}
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || PinOf(cert) != o.Pin || !ecdsa.VerifyASN1(key, o.digest(), signature) {
		return errors.New("what stands as its recipient was not written by its member: somebody put another one there")
	}
	return nil
}
