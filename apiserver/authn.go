package apiserver

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// groupRole is the prefix of the group that carries a role.
const groupRole = "hanse:role:"

type localKey struct{}

// markLocal marks the connections of the Unix socket.
func markLocal(ctx context.Context) context.Context { return context.WithValue(ctx, localKey{}, true) }

// identity is a person, or whoever has the socket, and what they may do.
func identity(name string, uid types.UID, role v1alpha1.Role) user.Info {
	return &user.DefaultInfo{Name: name, UID: string(uid), Groups: []string{user.AllAuthenticated, groupRole + string(role)}}
}

// roleOf is the role of an authenticated user, "" when it has none.
func roleOf(u user.Info) v1alpha1.Role {
	if u == nil {
		return ""
	}
	for _, g := range u.GetGroups() {
		if len(g) > len(groupRole) && g[:len(groupRole)] == groupRole {
			return v1alpha1.Role(g[len(groupRole):])
		}
	}
	return ""
}

// Role is that of the person of the fleet who asks, from the context of a request to an Endpoint: "" is the member itself, and
// everybody else. What a guest's cluster says of groups means nothing here.
func Role(ctx context.Context) v1alpha1.Role {
	u, _ := apirequest.UserFrom(ctx)
	if _, is := u.(guest); is || u == nil || u.GetName() == v1alpha1.LocalPerson {
		return ""
	}
	return roleOf(u)
}

// UID is that of the User who asks, from the context of a request: another one of the same name has another.
func UID(ctx context.Context) types.UID {
	if u, ok := apirequest.UserFrom(ctx); ok {
		return types.UID(u.GetUID())
	}
	return ""
}

// users finds people by the pin of their certificate, in the local state: it works without quorum, and a User that
// is deleted is nobody as soon as this member knows.
type users struct {
	store  Store
	logger *slog.Logger
}

// callers tells who asks: whoever has the socket, a person of the fleet, or a guest.
type callers struct {
	users   *users
	proxy   *FrontProxy
	cluster string
}

// AuthenticateRequest implements authenticator.Request. Whoever is not known is no error: open paths serve anyone.
func (c callers) AuthenticateRequest(r *http.Request) (*authenticator.Response, bool, error) {
	return &authenticator.Response{User: c.caller(r)}, true, nil
}

func (c callers) caller(r *http.Request) user.Info {
	if local, _ := r.Context().Value(localKey{}).(bool); local {
		return identity(v1alpha1.LocalPerson, "", v1alpha1.RoleAdmin)
	}
	if known, ok := c.users.lookup(pinOf(r)); ok {
		return identity(known.Name, known.UID, known.Spec.Role)
	}
	if passed, ok := c.passedOn(r); ok {
		return guest{Info: authenticated(passed), cluster: c.cluster}
	}
	return &user.DefaultInfo{Name: user.Anonymous, Groups: []string{user.AllUnauthenticated}}
}

// authenticated adds the group of all whom somebody has authenticated, as every server behind a kube-apiserver does. Its
// OpenAPI aggregation asks without any group, and would otherwise not be let near the texts of kubectl explain.
func authenticated(u user.Info) user.Info {
	groups := u.GetGroups()
	if slices.Contains(groups, user.AllAuthenticated) || slices.Contains(groups, user.AllUnauthenticated) {
		return u
	}
	return &user.DefaultInfo{Name: u.GetName(), UID: u.GetUID(), Groups: append(slices.Clone(groups), user.AllAuthenticated), Extra: u.GetExtra()}
}

// passedOn is for whom the cluster's kube-apiserver asks, if it is the one that asks.
func (c callers) passedOn(r *http.Request) (user.Info, bool) {
	if c.proxy == nil || r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, false
	}
	answer, ok, err := c.proxy.Authenticator.AuthenticateRequest(r)
	if err != nil || !ok {
		return nil, false
	}
	return answer.User, true
}

// pinOf is the pin of the client's certificate, "" when it has none. That the client holds the key was proven by
// the TLS handshake; who signed the certificate does not matter.
func pinOf(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return ""
	}
	return v1alpha1.PinOf(r.TLS.PeerCertificates[0].RawSubjectPublicKeyInfo)
}

// lookup finds the user of a pin. Of two with one pin, the first by name counts.
func (u *users) lookup(pin string) (known v1alpha1.User, ok bool) {
	if pin == "" {
		return known, false
	}
	v := u.store.View()
	for key := range v.Find(pin) {
		kv, _ := v.Get(key)
		if err := json.Unmarshal(kv.Value, &known); err != nil {
			u.logger.Warn("user cannot be read", "key", key, "error", err)
			continue
		}
		return known, true
	}
	return v1alpha1.User{}, false
}
