package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/internal/quota"
)

// maxRequests is how many requests of one person are under way at once. A kubectl has a few, watches included.
const maxRequests = 256

// Person is who asks, as the fleet knows them.
type Person struct {
	Name string
	UID  types.UID
	Role v1alpha1.Role
	// IP is where the connection came from; "" when that has none.
	IP string
}

// Config is what a Proxy needs. All of it is required.
type Config struct {
	// REST is how the member reaches its cluster. It must be allowed to impersonate.
	REST *rest.Config
	// Fleet and Cluster are the member's.
	Fleet, Cluster string
	// Person says who sent a request; false is for everybody who is no person of the fleet with a certificate.
	Person func(*http.Request) (Person, bool)
	Logger *slog.Logger
}

func (c Config) validate() error {
	switch {
	case c.REST == nil:
		return errors.New("REST is missing")
	case c.Fleet == "" || c.Cluster == "":
		return errors.New("fleet or cluster is missing")
	case c.Person == nil:
		return errors.New("person is missing")
	case c.Logger == nil:
		return errors.New("logger is missing")
	}
	return nil
}

// Proxy serves v1alpha1.PathCluster. It asks the cluster as the member, in the name of the person who asks.
type Proxy struct {
	config  Config
	base    *url.URL
	reverse *httputil.ReverseProxy
	asking  *quota.Quota
}

// New makes the clients; it does not reach out to the cluster.
func New(c Config) (*Proxy, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("make proxy to own cluster: %w", err)
	}
	base, _, err := rest.DefaultServerUrlFor(c.REST)
	if err != nil {
		return nil, fmt.Errorf("find own cluster's API: %w", err)
	}
	carry, err := newCarrier(c.REST)
	if err != nil {
		return nil, fmt.Errorf("reach own cluster's API: %w", err)
	}
	p := &Proxy{config: c, base: base, asking: quota.New(maxRequests)}
	p.reverse = &httputil.ReverseProxy{
		Rewrite: p.rewrite, Transport: carry, ErrorHandler: p.unanswered,
		FlushInterval: -1, // a log that is followed is shown as it comes
		ErrorLog:      slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
	}
	return p, nil
}

// carrier sends what is to be upgraded by HTTP/1.1, which can be, and everything else as both like it best.
type carrier struct{ plain, upgrades http.RoundTripper }

func newCarrier(config *rest.Config) (c carrier, err error) {
	if c.plain, err = rest.TransportFor(config); err != nil {
		return c, err
	}
	old := rest.CopyConfig(config)
	old.NextProtos = []string{"http/1.1"}
	c.upgrades, err = rest.TransportFor(old)
	return c, err
}

// RoundTrip implements http.RoundTripper.
func (c carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Upgrade") != "" {
		return c.upgrades.RoundTrip(r)
	}
	return c.plain.RoundTrip(r)
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asker, ok := p.config.Person(r)
	switch {
	case !ok:
		refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden,
			"the API of "+p.config.Cluster+" is for people of the fleet, with a certificate of their own: a socket says on which machine somebody is, not who")
		return
	case climbs(r.URL.Path) || !strings.HasPrefix(r.URL.EscapedPath(), v1alpha1.PathCluster):
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, "a path with .. in it, or another way to write "+v1alpha1.PathCluster+", leads nowhere")
		return
	}
	leave, ok := p.asking.Take(asker.Name)
	if !ok {
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests,
			fmt.Sprintf("%d requests of %s to %s are under way; let some end", maxRequests, asker.Name, p.config.Cluster))
		return
	}
	defer leave()
	// The cluster's own answer brings these.
	w.Header().Del("Cache-Control")
	w.Header().Del("Audit-Id")
	p.reverse.ServeHTTP(w, r)
}

// climbs says whether a path, unescaped, might lead out of the API that is meant.
func climbs(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == ".." || s == "." })
}

// notPassed are headers by which somebody might be taken for somebody else, by prefix.
var notPassed = []string{"Authorization", "Cookie", "Impersonate-", "X-Remote-", "X-Real-Ip"}

// rewrite makes a person's request the member's, in the person's name.
func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	escaped := strings.TrimSuffix(p.base.EscapedPath(), "/") + "/" + strings.TrimPrefix(r.In.URL.EscapedPath(), v1alpha1.PathCluster)
	path, err := url.PathUnescape(escaped)
	if err != nil {
		path = escaped // cannot be: url has escaped it
	}
	r.Out.URL.Scheme, r.Out.URL.Host = p.base.Scheme, p.base.Host
	r.Out.URL.Path, r.Out.URL.RawPath = path, escaped
	r.Out.Host = ""
	if r.Out.Body != nil && r.In.ProtoMajor == 2 {
		// A refusal comes before the body has ended, and a client that has it sends no more. ReverseProxy's own body cannot be
		// closed, so the answer would wait for it, and the client for the answer's end.
		r.Out.Body = r.In.Body
	}
	for name := range r.Out.Header {
		if slices.ContainsFunc(notPassed, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			delete(r.Out.Header, name)
		}
	}
	asker, _ := p.config.Person(r.In)
	r.Out.Header.Set(transport.ImpersonateUserHeader, v1alpha1.ClusterUser(asker.Name))
	r.Out.Header.Set(transport.ImpersonateUIDHeader, string(asker.UID))
	r.Out.Header.Set(transport.ImpersonateGroupHeader, v1alpha1.ClusterGroup(p.config.Fleet, asker.Role))
	if asker.IP != "" {
		r.Out.Header.Set("X-Forwarded-For", asker.IP) // what the client says of it, ReverseProxy has dropped
	}
}

// unanswered answers when the cluster did not.
func (p *Proxy) unanswered(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody waits for it any more
	}
	refuse(w, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, fmt.Sprintf("the API of %s does not answer its member, which is there: look after its kube-apiserver: %v", p.config.Cluster, err))
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(metav1.Status{ // the client may be gone; there is nobody else to tell
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
	})
}
