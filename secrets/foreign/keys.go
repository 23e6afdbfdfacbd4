package foreign

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	"filippo.io/age"
	"sigs.k8s.io/yaml"
)

// Keys are private keys, of people or of a cluster's controller.
type Keys struct {
	ages []age.Identity
	rsas []*rsa.PrivateKey
}

// GoString keeps the keys out of whatever prints them.
func (k Keys) GoString() string { return "(private keys)" }

// String keeps the keys out of whatever prints them.
func (k Keys) String() string { return k.GoString() }

// MaxKeys is how many bytes a file of keys may have.
const MaxKeys = 4 << 20

// Add takes the keys in a text: age keys, a line each; RSA keys as PEM; or the Secrets in which a cluster keeps either, as kubectl prints them.
func (k *Keys) Add(text []byte) error {
	switch {
	case len(text) > MaxKeys:
		return errors.New("it is too long for a file of keys")
	case k.addAge(text):
		return nil
	case beginsPEM.Match(text):
		return k.addPEM(text)
	case saysKind.Match(text):
		return k.addSecrets(text)
	}
	return errors.New("it has no private key that is understood: age keys (AGE-SECRET-KEY-…), or the keys of the Sealed Secrets controller as kubectl prints them")
}

var (
	beginsPEM = regexp.MustCompile(`(?m)^-----BEGIN `)                      // in a manifest it is further in
	saysKind  = regexp.MustCompile(`(?m)^[ \t]*([^#\s].*)?\bkind["']?\s*:`) // and not in a comment
)

func (k *Keys) addAge(text []byte) bool {
	ids, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		return false
	}
	k.ages = append(k.ages, ids...)
	return true
}

func (k *Keys) addPEM(text []byte) error {
	had := len(k.rsas)
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if key, ok := rsaKey(block); ok {
			k.rsas = append(k.rsas, key)
		}
	}
	if len(k.rsas) == had {
		return errors.New("none of it is an RSA key; SSH keys and keys with a passphrase are not read")
	}
	return nil
}

func rsaKey(block *pem.Block) (*rsa.PrivateKey, bool) {
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, true
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := any.(*rsa.PrivateKey)
	return key, err == nil && ok
}

// kept is a Secret that may hold keys, or a List of some.
type kept struct {
	Items []kept            `json:"items"`
	Data  map[string]string `json:"data"`
	Text  map[string]string `json:"stringData"`
}

// addSecrets takes the keys from where the Sealed Secrets controller (tls.key) and Flux (*.agekey) keep them.
func (k *Keys) addSecrets(text []byte) error {
	had := len(k.rsas) + len(k.ages)
	for _, document := range bytes.Split(text, []byte("\n---")) {
		var all kept
		if yaml.Unmarshal(document, &all) != nil { // the error might tell a key
			return errors.New("the Secret with the keys cannot be read; give it as kubectl get secret -o yaml prints it")
		}
		for _, secret := range append(all.Items, all) {
			if err := k.addKept(secret); err != nil {
				return err
			}
		}
	}
	if len(k.rsas)+len(k.ages) == had {
		return errors.New("there is no key in it: the Secret of the Sealed Secrets controller has tls.key, and one with age keys NAME.agekey; kubectl shows them with -o yaml")
	}
	return nil
}

func (k *Keys) addKept(secret kept) error {
	for _, name := range slices.Sorted(maps.Keys(secret.Data)) {
		text, err := base64.StdEncoding.DecodeString(secret.Data[name])
		if err == nil && isKey(name) {
			err = k.addKey(text)
		}
		clear(text)
		if err != nil {
			return errors.New("data." + name + " of the Secret with the keys is no key")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(secret.Text)) {
		if isKey(name) && k.addKey([]byte(secret.Text[name])) != nil {
			return errors.New("stringData." + name + " of the Secret with the keys is no key")
		}
	}
	return nil
}

func isKey(name string) bool { return name == "tls.key" || strings.HasSuffix(name, ".agekey") }

// addKey is Add without Secrets in it, which might hold themselves.
func (k *Keys) addKey(text []byte) error {
	if k.addAge(text) {
		return nil
	}
	return k.addPEM(text)
}
