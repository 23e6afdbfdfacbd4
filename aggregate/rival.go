package aggregate

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// errRival means that another incarnation of the member has taken the registration over.
var errRival = fmt.Errorf("%w: another incarnation of this member, with another key, has registered it; one of the two is not to run", ErrForeign)

// rival is how a member stands to another incarnation of itself that registers the API as well: one that was replaced, and
// does not know it yet, or was copied. Both would write the same objects, and end each other's life, again and again. Who comes later takes
// it over, as one that replaces another does; who had it gives way for a life, or until it is gone, and then tries once.
type rival struct {
	had   bool      // this one registered the API
	since time.Time // and found it the other's since; zero: not
}

// meets returns the next state, and whether to give way now; others says that the registration is the other's.
func (r rival) meets(others bool, now time.Time, life time.Duration) (next rival, giveWay bool) {
	switch {
	case !r.had || !others:
		return rival{had: r.had}, false
	case r.since.IsZero():
		r.since = now
	case now.Sub(r.since) >= life:
		return rival{}, false
	}
	return r, true
}

// contested is an error while this member gives way.
func (a *Aggregation) contested(ctx context.Context) error {
	if !a.rival.had {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	found, err := a.client.Resource(apiServices).Get(ctx, apiServiceName, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	others := err == nil && ofAnotherKey(found, a.config.owner(), a.certificate.Leaf)
	var giveWay bool
	if a.rival, giveWay = a.rival.meets(others, time.Now(), a.config.life()); giveWay {
		return errRival
	}
	return nil
}

// ofAnotherKey says that a registration is a member's of this name, and does not vouch for this one. What a person made of the caBundle
// is no member's.
func ofAnotherKey(found *unstructured.Unstructured, owner string, leaf *x509.Certificate) bool {
	text, _, _ := unstructured.NestedString(found.Object, "spec", "caBundle")
	bundle, err := base64.StdEncoding.DecodeString(text)
	if err != nil || foreign(found, owner) != nil || vouches(bundle, leaf) {
		return false
	}
	block, _ := pem.Decode(bundle)
	if block == nil {
		return false
	}
	authority, err := x509.ParseCertificate(block.Bytes)
	return err == nil && authority.Subject.CommonName == authorityName(owner)
}
