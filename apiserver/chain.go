package apiserver

import (
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericserver "k8s.io/apiserver/pkg/server"
	genericfilters "k8s.io/apiserver/pkg/server/filters"
)

// chain is what a request passes before it reaches a kind, the last line first. It is the generic server's without
// audit, impersonation, tracing and CORS.
func (s *Server) chain(h http.Handler, c *genericserver.Config) http.Handler {
	h = s.discreetly(h, c.Serializer)
	h = filters.WithAuthorization(h, c.Authorization.Authorizer, c.Serializer)
	h = s.unstalled(h, c.LongRunningFunc)
	h = s.fair(h, c.LongRunningFunc, c.Serializer)
	h = s.whileKnown(h, c.LongRunningFunc)
	h = withSource(h)
	h = withoutImpersonation(h, c.Serializer)
	h = s.config.FrontProxy.notYet(h, c.Serializer)
	h = filters.WithAuthentication(h, c.Authentication.Authenticator, filters.Unauthorized(c.Serializer), nil, nil)
	h = filters.WithWarningRecorder(h)
	h = genericfilters.WithTimeoutForNonLongRunningRequests(h, c.LongRunningFunc)
	h = filters.WithRequestDeadline(h, nil, nil, c.LongRunningFunc, c.Serializer, c.RequestTimeout)
	h = filters.WithCacheControl(h)
	h = filters.WithRequestInfo(h, c.RequestInfoResolver)
	h = filters.WithRequestReceivedTimestamp(h)
	h = genericfilters.WithPanicRecovery(h, c.RequestInfoResolver)
	h = filters.WithAuditInit(h)
	return withBodyDeadline(h)
}

// withoutImpersonation refuses what is asked in another's name. Nobody may here, and to ignore it would do what was
// asked with the rights of who really asks.
func withoutImpersonation(h http.Handler, negotiated runtime.NegotiatedSerializer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			if strings.HasPrefix(name, "Impersonate-") {
				refused := apierrors.NewBadRequest("a member lets nobody ask in another's name; leave out --as, --as-group and --as-uid")
				responsewriters.ErrorNegotiated(refused, negotiated, schema.GroupVersion{}, w, r)
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}
