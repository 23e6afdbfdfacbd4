package apiserver

import (
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver/kvstorage"
	"github.com/hanse-fleet/hanse/apiserver/openapi"
)

const (
	// kubernetesVersion is whose API machinery this is; kubectl compares it with its own.
	kubernetesVersion = "1.37"
	// maxBody is the size of a request. The manifests of a bundle are bounded by v1alpha1.MaxManifestBytes once they
	// are compact; on the wire they may have spaces.
	maxBody = 32 << 20
)

// Server serves the kinds of one fleet.
type Server struct {
	config   Config
	scheme   *runtime.Scheme
	codecs   serializer.CodecFactory
	quorum   *kvstorage.Quorum
	audience *kvstorage.Audience
	users    *users
	shares   shares
	shapes   shapes
	handler  http.Handler
	stop     func()
}

// New makes a server; Run serves.
func New(c Config) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("make API server: %w", err)
	}
	scheme, err := fullScheme()
	if err != nil {
		return nil, fmt.Errorf("make API server: %w", err)
	}
	s := &Server{config: c, scheme: scheme, codecs: serializer.NewCodecFactory(scheme), quorum: new(kvstorage.Quorum),
		users: &users{store: c.Store, logger: c.Logger}, shares: newShares(c.Timing.Completed().Stall), shapes: newShapes()}
	s.audience = kvstorage.NewAudience(room{s.shares.room, c.Cluster})
	if err := s.build(); err != nil {
		return nil, fmt.Errorf("make API server: %w", err)
	}
	return s, nil
}

// build wires the generic server by hand: its recommended options bring etcd, admission and flow control. None of
// its own loops run, as it is never started; only its handler is used.
func (s *Server) build() error {
	config, err := s.genericConfig()
	if err != nil {
		return err
	}
	generic, err := config.Complete(nil).New("hanse", genericserver.NewEmptyDelegate())
	if err != nil {
		return err
	}
	resources, err := s.resources()
	if err != nil {
		return err
	}
	group := genericserver.NewDefaultAPIGroupInfo(v1alpha1.GroupName, s.scheme, runtime.NewParameterCodec(s.scheme), s.codecs)
	group.NegotiatedSerializer = splicing{discreet{s.codecs, s.shapes}}
	group.VersionedResourcesStorageMap[v1alpha1.SchemeGroupVersion.Version] = resources
	if err := generic.InstallAPIGroup(&group); err != nil {
		return err
	}
	for _, e := range s.config.Endpoints {
		mount(generic.Handler.NonGoRestfulMux, e)
	}
	prepared := generic.PrepareRun()
	s.handler, s.stop = prepared.Handler, generic.Destroy
	return nil
}

// longRunning are watches, and the endpoints that stream.
func (s *Server) longRunning(watches apirequest.LongRunningRequestCheck) apirequest.LongRunningRequestCheck {
	return func(r *http.Request, info *apirequest.RequestInfo) bool {
		e, ok := s.config.endpointOf(r.URL.Path)
		return watches(r, info) || ok && e.Streams
	}
}

type pathMux interface {
	Handle(path string, handler http.Handler)
	HandlePrefix(path string, handler http.Handler)
}

func mount(mux pathMux, e Endpoint) {
	if e.Path[len(e.Path)-1] == '/' {
		mux.HandlePrefix(e.Path, e.Handler)
		return
	}
	mux.Handle(e.Path, e.Handler)
}

func (s *Server) genericConfig() (*genericserver.Config, error) {
	named, err := servedScheme()
	if err != nil {
		return nil, err
	}
	c := genericserver.NewConfig(s.codecs)
	c.EffectiveVersion = newToldVersion(s.config.Version)
	c.ExternalAddress = "hanse.invalid:443" // only named in discovery
	c.LoopbackClientConfig = &rest.Config{} // nothing here is its own client
	c.Authentication.Authenticator = callers{users: s.users, proxy: s.config.FrontProxy, cluster: s.config.Cluster}
	c.Authorization.Authorizer = authorizer.AuthorizerFunc(gate{roles: roles{endpoints: s.config.Endpoints}, proxy: s.config.FrontProxy}.Authorize)
	c.BuildHandlerChainFunc = s.chain
	c.LongRunningFunc = s.longRunning(c.LongRunningFunc)
	c.RESTOptionsGetter = s
	namer := openapinamer.NewDefinitionNamer(named)
	c.OpenAPIConfig = genericserver.DefaultOpenAPIConfig(openapi.Definitions, namer)
	c.OpenAPIConfig.Info.Title = "Hanse"
	c.OpenAPIV3Config = genericserver.DefaultOpenAPIV3Config(openapi.Definitions, namer)
	c.OpenAPIV3Config.Info.Title = "Hanse"
	c.EnableIndex, c.EnableProfiling, c.EnableMetrics = false, false, false
	c.MaxRequestBodyBytes = maxBody
	c.JSONPatchMaxCopyBytes = maxBody
	c.StorageObjectCountTracker = nil
	c.DisabledPostStartHooks.Insert("max-in-flight-filter")
	ping := []healthz.HealthChecker{healthz.PingHealthz}
	c.HealthzChecks, c.LivezChecks, c.ReadyzChecks = ping, ping, ping
	return c, nil
}
