package apiserver

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"

	apirequest "k8s.io/apiserver/pkg/endpoints/request"
)

type sourceKey struct{}

// source is where a request came from; forwarded is what whoever passed it on adds.
type source struct{ ip, agent, forwarded string }

// withSource remembers it for what is written on the request's behalf.
func withSource(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := source{agent: r.UserAgent()}
		from.ip, _, _ = net.SplitHostPort(r.RemoteAddr) // a socket has none
		from.forwarded = lastForwarded(r.Header)
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sourceKey{}, from)))
	})
}

// lastForwarded is the address that the last one on the way saw; those before it are the client's own word. It is empty if it is none.
func lastForwarded(h http.Header) string {
	all := strings.Split(strings.Join(h.Values("X-Forwarded-For"), ","), ",")
	ip, err := netip.ParseAddr(strings.TrimSpace(all[len(all)-1]))
	if err != nil {
		return ""
	}
	return ip.WithZone("").String()
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
		a.SourceIP = cmp.Or(from.forwarded, a.SourceIP)
	}
	return a
}
