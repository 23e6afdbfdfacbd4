package apiserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver/kvstorage"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// Store is the replicated store as this package needs it.
type Store = kvstorage.Store

// Companion says what else the transaction of a write must hold.
type Companion = kvstorage.Companion

// Write is a key that is to be written, and Asker whoever asks for it.
type (
	Write = kvstorage.Write
	Asker = kvstorage.Asker
)

// Causes in the details of an error's status, for clients that decide on them.
const (
	CauseNoQuorum  = kvstorage.CauseNoQuorum
	CauseUncertain = kvstorage.CauseUncertain
	CauseStarting  = kvstorage.CauseStarting
)

// Endpoint is a path beside the Kubernetes API, behind the same authentication.
type Endpoint struct {
	// Path is exact, or a prefix when it ends in a slash.
	Path string
	// Role is the least that a person needs.
	Role    v1alpha1.Role
	Handler http.Handler
	// Streams says that an answer may take as long as it takes, and ends when the person loses the role.
	Streams bool
	// Patience is how long such an answer may wait for a client that does not read; 0 is Timing.Stall, as for watches.
	Patience time.Duration
}

// endpointOf is the one that serves a path.
func (c Config) endpointOf(path string) (Endpoint, bool) {
	i := slices.IndexFunc(c.Endpoints, func(e Endpoint) bool { return e.serves(path) })
	if i < 0 {
		return Endpoint{}, false
	}
	return c.Endpoints[i], true
}

func (e Endpoint) serves(path string) bool {
	return path == e.Path || strings.HasSuffix(e.Path, "/") && strings.HasPrefix(path, e.Path)
}

// FrontProxy is the kube-apiserver of the member's own cluster, which passes on what its clients ask of the group.
type FrontProxy struct {
	// Certificate is shown to whoever asks for its DNS name.
	Certificate tls.Certificate
	// Known is false while it cannot be told for whom requests are passed on: they are to come again. Optional.
	Known func() bool
	// Authenticator says for whom a request is passed on; false or an error when it does not come from the front proxy.
	Authenticator authenticator.Request
	// Authorizer says what that one may do in the cluster, by the cluster's own rules.
	Authorizer authorizer.Authorizer
}

// Config is what a Server is made of. Its listeners are closed by Run.
type Config struct {
	Fleet, Cluster string
	// Certificate is the member's; people verify it by its pin or as its own CA.
	Certificate tls.Certificate
	TCP         net.Listener
	Socket      net.Listener
	// Tunnels brings what comes to this member through others; it is served as TCP is. Optional.
	Tunnels   net.Listener
	Store     Store
	Companion Companion // optional
	// Holders are the clusters that hold the present key of a group; nil: those that it is wrapped for.
	Holders func(*v1alpha1.RecipientGroup) []string
	// Foretell says what whoever asks for a write is told with the answer; optional.
	Foretell func(*store.View, Write) []string
	// Judge says why the store would refuse a person's transaction, for dry runs; optional.
	Judge func(person string, txn store.Txn) error
	// Deleted says what somebody must know who has just deleted what is rolled out, "" when there is nothing to tell. It may wait a little to
	// find out. Optional.
	Deleted func(ctx context.Context, rolled v1alpha1.RolledOut, uid string) string
	// Computed are the kinds that are computed, by plural name: all that kinds.go calls so.
	Computed  map[string]Computed
	Endpoints []Endpoint
	// FrontProxy is nil when the API is not in the cluster; it takes Cluster.
	FrontProxy *FrontProxy
	Timing     kvstorage.Timing
	Logger     *slog.Logger
	// Version is hanse's own; /version tells it.
	Version string
}

// Validate says what is missing.
func (c Config) Validate() error {
	switch {
	case c.Fleet == "":
		return errors.New("fleet is missing")
	case c.Store == nil:
		return errors.New("store is missing")
	case c.TCP == nil && c.Socket == nil:
		return errors.New("there is no listener")
	case (c.TCP != nil || c.Tunnels != nil) && len(c.Certificate.Certificate) == 0:
		return errors.New("certificate is missing")
	case c.Logger == nil:
		return errors.New("logger is missing")
	case c.FrontProxy != nil && (c.Cluster == "" || c.TCP == nil || c.FrontProxy.Authenticator == nil || c.FrontProxy.Authorizer == nil):
		return errors.New("the front proxy lacks a cluster, a listener, an authenticator or an authorizer")
	}
	for _, k := range served() {
		if k.computed && c.Computed[k.plural] == nil {
			return fmt.Errorf("%s are missing", k.plural)
		}
	}
	for _, e := range c.Endpoints {
		if !strings.HasPrefix(e.Path, "/") || e.Handler == nil || rank(e.Role) == 0 {
			return errors.New("endpoint " + e.Path + " lacks a path, a role or a handler")
		}
	}
	return nil
}
