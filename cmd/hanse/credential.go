package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/atrest"
)

// adminFile lies in the data directory, readable by its owner only.
const adminFile = "admin.pem"

// credential is a person's certificate and key, PEM.
type credential struct{ certificate, key []byte }

func parseCredential(file string, text []byte) (credential, error) {
	var c credential
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			c.certificate = append(c.certificate, pem.EncodeToMemory(block)...)
		} else {
			c.key = append(c.key, pem.EncodeToMemory(block)...)
		}
	}
	if _, err := tls.X509KeyPair(c.certificate, c.key); err != nil {
		return c, fmt.Errorf("%s holds no certificate with its key", file)
	}
	return c, nil
}

// makeCredential makes an admin's key, has its pin written as a User, and keeps it in file, of a data directory with that key.
func (f *fleet) makeCredential(ctx context.Context, private *atrest.Key, file, user string) (credential, error) {
	draft := file + atrest.Draft
	pair, err := f.draftCredential(ctx, private, draft, user, v1alpha1.RoleAdmin)
	if err != nil {
		return pair, err
	}
	if err := os.Rename(draft, file); err != nil {
		return pair, fmt.Errorf("keep key: %w", err)
	}
	return pair, nil
}

// draftCredential makes a key in the file draft, unless one is there, and has its pin written as a User. The key is on disk before
// the fleet knows its pin, so that a repetition after any interruption goes on with the same key.
func (f *fleet) draftCredential(ctx context.Context, private *atrest.Key, draft, user string, role v1alpha1.Role) (credential, error) {
	pair, err := readCredential(private, draft)
	if errors.Is(err, fs.ErrNotExist) {
		if err := agent.NewPerson(private, draft, user); err != nil {
			return pair, err
		}
		pair, err = readCredential(private, draft)
	}
	if err != nil {
		return pair, err
	}
	cert, err := parsed(pair)
	if err != nil {
		return pair, err
	}
	if whose := cert.Subject.CommonName; whose != user {
		return pair, &failure{code: exitError, why: fmt.Sprintf("the key in %s was made for %s, and is nobody else's", draft, whose),
			hints: []hint{{"if that was never finished", "delete user " + whose + ", and remove the file"}}}
	}
	return pair, f.createUser(ctx, user, role, pair)
}

// createUser lets the certificate in. One of the same name, pin and role is fine.
func (f *fleet) createUser(ctx context.Context, name string, role v1alpha1.Role, pair credential) error {
	pin, err := pinOf(pair)
	if err != nil {
		return err
	}
	body, err := json.Marshal(v1alpha1.User{
		TypeMeta:   metav1.TypeMeta{APIVersion: apiVersion, Kind: "User"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.UserSpec{Pin: pin, Role: role},
	})
	if err != nil {
		return fmt.Errorf("encode user: %w", err)
	}
	users := mustKind("User")
	_, err = f.write(ctx, request{verb: "POST", path: users.path(), body: body})
	if !isReason(err, metav1.StatusReasonAlreadyExists) {
		return err
	}
	var there v1alpha1.User
	if _, err := f.read(ctx, request{path: users.path(name)}, &there); err != nil {
		return err
	}
	switch {
	case there.Spec.Pin == pin && there.Spec.Role == role:
		return nil
	case there.Spec.Pin == pin:
		return &failure{code: exitError, why: fmt.Sprintf("user %s is there already, with this key and role %s", name, there.Spec.Role),
			hints: []hint{{"if the role is to be another", "delete user " + name}}}
	}
	return &failure{code: exitError, why: "user " + name + " is there already, with another key",
		hints: []hint{{"if nobody has that key any more", "delete user " + name}}}
}

func pinOf(pair credential) (string, error) {
	cert, err := parsed(pair)
	if err != nil {
		return "", err
	}
	return v1alpha1.PinOf(cert.RawSubjectPublicKeyInfo), nil
}

func parsed(pair credential) (*x509.Certificate, error) {
	block, _ := pem.Decode(pair.certificate)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	return cert, nil
}
