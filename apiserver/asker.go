package apiserver

import (
	"context"
	"net"
	"net/http"
	"strings"

	apirequest "k8s.io/apiserver/pkg/endpoints/request"
)

type sourceKey struct{}

// source is where a request came from.
type source struct{ ip, agent, forwarded string }

// withSource remembers it for what is written on the request's behalf.
func withSource(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := source{agent: r.UserAgent()}
		from.ip, _, _ = net.SplitHostPort(r.RemoteAddr) // a socket has none
		from.forwarded, _, _ = strings.Cut(r.Header.Get("X-Forwarded-For"), ",")
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sourceKey{}, from)))
	})
}

// Asking is who asks, from the context of a request. Where a guest came from is told by the kube-apiserver; whoever else says
// so is not believed.
func Asking(ctx context.Context) Asker {
	from, _ := ctx.Value(sourceKey{}).(source)
	a := Asker{SourceIP: from.ip, UserAgent: from.agent}
	u, ok := apirequest.UserFrom(ctx)
	if !ok {
		return a
	}
	a.Person, a.Groups = u.GetName(), u.GetGroups()
	if g, is := u.(guest); is {
		a.Person = g.person()
		if forwarded := strings.TrimSpace(from.forwarded); forwarded != "" {
			a.SourceIP = forwarded
		}
	}
	return a
}
