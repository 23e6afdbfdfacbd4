package aggregate

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
)

const (
	// reviewTTL is how long an answer of the cluster is good, the same for both: kubelet's and the generic server's is 10 s.
	reviewTTL = 10 * time.Second
	// maxReviews and maxReason bound the answers that are kept: two MiB, however long what was asked is.
	maxReviews = 4096
	maxReason  = 256
	// retryAfter is when a kube-apiserver that did not answer is asked again.
	retryAfter = 200 * time.Millisecond
)

// reviewer asks the cluster's kube-apiserver by SubjectAccessReview what somebody may. One that does not answer is asked
// once more. Kubernetes' own has no bound in bytes.
type reviewer struct {
	reviews authorizationclient.SubjectAccessReviewInterface
	known   *cache.LRUExpireCache // verdict, by digest
}

type verdict struct {
	decision authorizer.Decision
	reason   string
}

func newReviewer(c *rest.Config) (authorizer.Authorizer, error) {
	c = rest.CopyConfig(c)
	c.QPS, c.UserAgent, c.Timeout = -1, manager, requestTimeout
	client, err := authorizationclient.NewForConfig(c)
	if err != nil {
		return nil, err
	}
	r := &reviewer{reviews: client.SubjectAccessReviews(), known: cache.NewLRUExpireCache(maxReviews)}
	return authorizer.AuthorizerFunc(r.Authorize), nil
}

// Authorize says what the cluster does of a request. The error means that it did not answer.
func (r *reviewer) Authorize(ctx context.Context, asked authorizer.Attributes) (authorizer.Decision, string, error) {
	spec := specOf(asked)
	key, err := digest(spec)
	if err != nil {
		return authorizer.DecisionNoOpinion, "", err
	}
	if known, ok := r.known.Get(key); ok {
		v := known.(verdict)
		return v.decision, v.reason, nil
	}
	review, err := r.ask(ctx, spec)
	if err != nil {
		return authorizer.DecisionNoOpinion, "", fmt.Errorf("review access: %w", err)
	}
	v := verdictOf(review.Status)
	r.known.Add(key, v, reviewTTL)
	return v.decision, v.reason, nil
}

func (r *reviewer) ask(ctx context.Context, spec authorizationv1.SubjectAccessReviewSpec) (*authorizationv1.SubjectAccessReview, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: spec}
	answer, err := r.reviews.Create(ctx, review, metav1.CreateOptions{})
	if err == nil || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || apierrors.IsInvalid(err) {
		return answer, err
	}
	select {
	case <-ctx.Done():
		return nil, err
	case <-time.After(retryAfter):
		return r.reviews.Create(ctx, review, metav1.CreateOptions{})
	}
}

func digest(spec authorizationv1.SubjectAccessReviewSpec) ([sha256.Size]byte, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("write down a review: %w", err)
	}
	return sha256.Sum256(text), nil
}

func verdictOf(s authorizationv1.SubjectAccessReviewStatus) verdict {
	v := verdict{authorizer.DecisionNoOpinion, s.Reason[:min(len(s.Reason), maxReason)]}
	switch {
	case s.Denied:
		v.decision = authorizer.DecisionDeny
	case s.Allowed:
		v.decision = authorizer.DecisionAllow
	}
	return v
}

// specOf is what is asked of the cluster. Selectors are left out: who may ask for less may be let, but whoever may without
// them may with them.
func specOf(asked authorizer.Attributes) authorizationv1.SubjectAccessReviewSpec {
	who := asked.GetUser()
	spec := authorizationv1.SubjectAccessReviewSpec{User: who.GetName(), UID: who.GetUID(), Groups: who.GetGroups()}
	for name, values := range who.GetExtra() {
		if spec.Extra == nil {
			spec.Extra = map[string]authorizationv1.ExtraValue{}
		}
		spec.Extra[name] = values
	}
	if !asked.IsResourceRequest() {
		spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: asked.GetPath(), Verb: asked.GetVerb()}
		return spec
	}
	spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
		Namespace: asked.GetNamespace(), Verb: asked.GetVerb(), Group: asked.GetAPIGroup(), Version: asked.GetAPIVersion(),
		Resource: asked.GetResource(), Subresource: asked.GetSubresource(), Name: asked.GetName(),
	}
	return spec
}
