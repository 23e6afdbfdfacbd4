package foreign

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	sealedSecretGroup = "bitnami.com/"
	clusterWide       = "sealedsecrets.bitnami.com/cluster-wide"
	namespaceWide     = "sealedsecrets.bitnami.com/namespace-wide"
)

// IsSealedSecret says that an object is one of the Sealed Secrets controller.
func IsSealedSecret(object map[string]any) bool {
	version, _ := object["apiVersion"].(string)
	return object["kind"] == "SealedSecret" && strings.HasPrefix(version, sealedSecretGroup)
}

// sealedSecret is what is read of one.
type sealedSecret struct {
	Metadata struct {
		Namespace   string            `json:"namespace"`
		Name        string            `json:"name"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		Data          json.RawMessage   `json:"data"`
		EncryptedData map[string]string `json:"encryptedData"`
		Template      struct {
			Type      string             `json:"type"`
			Immutable bool               `json:"immutable"`
			Data      map[string]*string `json:"data"`
		} `json:"template"`
	} `json:"spec"`
}

// scope is what its values are bound to, and how people call that.
func (s *sealedSecret) scope() (label, words string) {
	m := s.Metadata
	switch {
	case m.Annotations[clusterWide] == "true":
		return "", "any Secret (cluster-wide)"
	case m.Annotations[namespaceWide] == "true":
		return m.Namespace, "any Secret of namespace " + m.Namespace + " (namespace-wide)"
	}
	return m.Namespace + "/" + m.Name, "Secret " + m.Namespace + "/" + m.Name + " alone (strict)"
}

// Unseal is the Secret that the Sealed Secrets controller makes of a SealedSecret.
func (k Keys) Unseal(object map[string]any) (map[string]any, error) {
	var s sealedSecret
	text, err := json.Marshal(object)
	if err != nil || json.Unmarshal(text, &s) != nil {
		return nil, errors.New("the SealedSecret cannot be read: a field is not of its type")
	}
	switch {
	case len(s.Spec.Data) > 0 && string(s.Spec.Data) != "null":
		return nil, errors.New("it is of the first format of Sealed Secrets (spec.data), which the controller itself does not open any more; take the Secret that it made of it: kubectl get secret")
	case len(k.rsas) == 0:
		return nil, errors.New("a SealedSecret is opened with the keys of the controller, which --identity names: kubectl get secret -n kube-system -l sealedsecrets.bitnami.com/sealed-secrets-key -o yaml | hanse seal --identity - …")
	}
	data := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(s.Spec.EncryptedData)) {
		value, err := k.unseal(&s, s.Spec.EncryptedData[key])
		if err != nil {
			return nil, fmt.Errorf("spec.encryptedData.%s: %w", key, err)
		}
		data[key] = base64.StdEncoding.EncodeToString(value)
		clear(value)
	}
	for _, key := range slices.Sorted(maps.Keys(s.Spec.Template.Data)) {
		if err := s.template(data, key); err != nil {
			return nil, err
		}
	}
	secret := map[string]any{
		"apiVersion": "v1", "kind": "Secret", "data": data,
		"metadata": map[string]any{"namespace": s.Metadata.Namespace, "name": s.Metadata.Name},
	}
	if s.Spec.Template.Type != "" {
		secret["type"] = s.Spec.Template.Type
	}
	if s.Spec.Template.Immutable {
		secret["immutable"] = true
	}
	return secret, nil
}

// template adds what the SealedSecret says in the clear: null leaves a value out, and what was encrypted goes before what was not.
func (s *sealedSecret) template(data map[string]any, key string) error {
	text := s.Spec.Template.Data[key]
	switch _, encrypted := s.Spec.EncryptedData[key]; {
	case text == nil:
		delete(data, key)
	case strings.Contains(*text, "{{"):
		return fmt.Errorf("spec.template.data.%s is composed by a template, which only the controller carries out; take the Secret that it made: kubectl get secret %s -n %s -o yaml | hanse seal -f - …",
			key, s.Metadata.Name, s.Metadata.Namespace)
	case !encrypted:
		data[key] = base64.StdEncoding.EncodeToString([]byte(*text))
	}
	return nil
}

func (k Keys) unseal(s *sealedSecret, text string) ([]byte, error) {
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("it is not base64")
	}
	label, words := s.scope()
	for _, key := range k.rsas {
		if value, err := hybrid(key, []byte(label), sealed); err == nil {
			return value, nil
		}
	}
	return nil, fmt.Errorf("none of the %d keys opens it for %s: take all keys of the controller that it was sealed for, and its name, namespace and annotations as they were then", len(k.rsas), words)
}

// hybrid opens what kubeseal sealed:
//
//	two bytes, how long the next is | a key, by RSA-OAEP with SHA-256 and a label | the value, by AES-256-GCM with that key and a nonce of zeros
func hybrid(with *rsa.PrivateKey, label, sealed []byte) ([]byte, error) {
	damaged := errors.New("it is damaged")
	if len(sealed) < 2 || len(sealed)-2 < int(binary.BigEndian.Uint16(sealed)) {
		return nil, damaged
	}
	end := 2 + int(binary.BigEndian.Uint16(sealed))
	session, err := rsa.DecryptOAEP(sha256.New(), nil, with, sealed[2:end], label)
	if err != nil {
		return nil, damaged
	}
	defer clear(session)
	block, err := aes.NewCipher(session)
	if err != nil {
		return nil, damaged
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, damaged
	}
	return gcm.Open(nil, make([]byte, gcm.NonceSize()), sealed[end:], nil)
}
