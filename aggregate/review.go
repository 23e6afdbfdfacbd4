package aggregate

import (
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
)

// reviewTTL is how long an answer of the cluster is good, the same for both: kubelet's and the generic server's is 10 s.
const reviewTTL = 10 * time.Second

// newReviewer asks the cluster's kube-apiserver by SubjectAccessReview. One that does not answer is asked once more.
func newReviewer(c *rest.Config) (authorizer.Authorizer, error) {
	c = rest.CopyConfig(c)
	c.QPS, c.UserAgent, c.Timeout = -1, manager, requestTimeout
	client, err := authorizationclient.NewForConfig(c)
	if err != nil {
		return nil, err
	}
	return authorizerfactory.DelegatingAuthorizerConfig{
		SubjectAccessReviewClient: client, AllowCacheTTL: reviewTTL, DenyCacheTTL: reviewTTL,
		WebhookRetryBackoff: &wait.Backoff{Duration: 200 * time.Millisecond, Factor: 1.5, Steps: 2},
	}.New()
}
