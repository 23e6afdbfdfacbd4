package agent

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/report"
)

// person is a certificate, and the User that has its pin.
func person(t *testing.T, name string, role v1alpha1.Role) (tls.Certificate, *v1alpha1.User) {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".pem")
	if err := NewPerson(nil, file, name); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		t.Fatal(err)
	}
	pin := v1alpha1.PinOf(pair.Leaf.RawSubjectPublicKeyInfo)
	return pair, &v1alpha1.User{TypeMeta: v1alpha1.TypeOf("User"), ObjectMeta: metav1.ObjectMeta{Name: name, UID: "u-1"}, Spec: v1alpha1.UserSpec{Pin: pin, Role: role}}
}

// guests is a kube-apiserver that is believed about who asks, and whose cluster lets everybody do everything.
func guests(certificate tls.Certificate) *apiserver.FrontProxy {
	return &apiserver.FrontProxy{
		Certificate: certificate,
		Authenticator: authenticator.RequestFunc(func(r *http.Request) (*authenticator.Response, bool, error) {
			name := r.Header.Get("X-Remote-User")
			return &authenticator.Response{User: &user.DefaultInfo{Name: name, Groups: []string{"hanse:role:Admin"}}}, name != "", nil
		}),
		Authorizer: authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
			return authorizer.DecisionAllow, "", nil
		}),
	}
}

// Who may ask a member for what is no object: each path, by each role, by somebody of the member's own cluster, by a stranger and by nobody.
func TestWhoMayAskAMemberForWhat(t *testing.T) {
	const viewer, operator, admin = v1alpha1.RoleViewer, v1alpha1.RoleOperator, v1alpha1.RoleAdmin
	least := map[string]v1alpha1.Role{
		v1alpha1.PathStatus: viewer, v1alpha1.PathMembers: viewer, v1alpha1.PathSurvivor: viewer,
		v1alpha1.PathExposed: viewer, v1alpha1.PathReaders: viewer, v1alpha1.PathSealing: viewer,
		v1alpha1.PathSecret: admin, v1alpha1.PathBackup: admin, v1alpha1.PathResume: admin, v1alpha1.PathLead: admin, v1alpha1.PathTokens: admin,
	}
	rank := func(role v1alpha1.Role) int { return 1 + slices.Index([]v1alpha1.Role{viewer, operator, admin}, role) }
	asking := map[string]struct {
		pair *tls.Certificate
		role v1alpha1.Role
	}{"nobody": {}}
	values := map[string]any{}
	for name, role := range map[string]v1alpha1.Role{"vera": viewer, "otto": operator, "anna": admin, "stranger": "", "jane of the cluster": ""} {
		pair, u := person(t, strings.Fields(name)[0], role)
		asking[name] = struct {
			pair *tls.Certificate
			role v1alpha1.Role
		}{&pair, role}
		if role != "" {
			values[v1alpha1.KeyUsers+name] = u
		}
	}
	member := store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}
	c := &Core{self: self{Fleet: "acme", Cluster: "fra"}, store: storetest.Stock(t, store.New(law.Authority{}), member, values), log: slog.New(slog.DiscardHandler), decoded: decoded.NewKinds(), reports: report.New(report.Config{Self: member.ID})}
	endpoints := c.endpoints(newWorks(c))
	for _, e := range endpoints {
		if want, known := least[e.Path]; !known || e.Role != want {
			t.Errorf("%s is for role %s and above; this table says %q", e.Path, e.Role, want)
		}
	}
	url := serve(t, c, endpoints)
	for name, asks := range asking {
		client := clientOf(asks.pair, name == "jane of the cluster")
		for path, need := range least {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, url+path, nil) // whoever may ask is told that it is asked otherwise
			if err != nil {
				t.Fatal(err)
			}
			answer, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			said, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			want := http.StatusForbidden
			if rank(asks.role) >= rank(need) {
				want = http.StatusMethodNotAllowed
			}
			if err != nil || answer.StatusCode != want {
				t.Errorf("%s asks for %s, and is told %s: %s, %v", name, path, answer.Status, said, err)
			}
		}
	}
}

// serve serves the endpoints of a member that has no node: what comes to a handler must be answered without it.
func serve(t *testing.T, c *Core, endpoints []apiserver.Endpoint) (url string) {
	t.Helper()
	own, _ := person(t, "member", "")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	none := newComputed(c, "Work", worksPause, &steadyWorks{works: newWorks(c)}, true)
	api, err := apiserver.New(apiserver.Config{
		Fleet: "acme", Cluster: "fra", Certificate: own, TCP: listener, Store: apiStore{c}, Computed: map[string]apiserver.Computed{"works": none, "clustermetrics": none},
		Endpoints: endpoints, FrontProxy: guests(own), Logger: c.log, Version: "v0.0.0-test",
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- api.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "https://" + listener.Addr().String()
}

// clientOf asks with a certificate, if there is one; a kube-apiserver says in whose name.
func clientOf(pair *tls.Certificate, passesOn bool) *http.Client {
	config := &tls.Config{InsecureSkipVerify: true} // whom it asks is not in doubt here
	if pair != nil {
		config.Certificates = []tls.Certificate{*pair}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	if passesOn {
		next := client.Transport
		client.Transport = passing(func(r *http.Request) (*http.Response, error) {
			r.Header.Set("X-Remote-User", "jane")
			return next.RoundTrip(r)
		})
	}
	return client
}

type passing func(*http.Request) (*http.Response, error)

func (p passing) RoundTrip(r *http.Request) (*http.Response, error) { return p(r) }

// nowhere is a network that leads to nobody.
type nowhere struct{}

func (nowhere) Open(context.Context, consensus.MemberID, consensus.Class, string) (net.Conn, error) {
	return nil, errors.New("there is nobody")
}

func (nowhere) Handle(string, func(consensus.MemberID, net.Conn)) {}

// Without a quorum a member says who can read and who could, as it knows it, with a warning. It tells no value: who asked could not be written down.
func TestWithoutQuorumWhoReadsIsToldAndNoValueIs(t *testing.T) {
	fra := keyHolder(t, "fra")
	member := store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}
	fra.store = storetest.Store(t, member, sealedValues(t, fra, func(*v1alpha1.FleetSecret) {}))
	node, err := consensus.Open(consensus.Config{ID: member.ID, Dir: t.TempDir(), Store: fra.store, Network: nowhere{}, Logger: fra.log})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	fra.node = node
	for path, handler := range map[string]http.Handler{
		v1alpha1.PathReaders + "?secret=db": fra.serveLedger(readersOfSecret), v1alpha1.PathExposed: fra.serveLedger(exposed),
		v1alpha1.PathSealing + "?secret=db": fra.serveNewest(sealingOfSecret),
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		want := fmt.Sprintf("no quorum: read of revision %d by fra alone", fra.store.View().Revision())
		if warning := w.Header().Get("Warning"); w.Code != http.StatusOK || !strings.Contains(warning, want) {
			t.Errorf("%s: %d, %q, and not %q: %s", path, w.Code, warning, want, w.Body)
		}
	}
	w := httptest.NewRecorder()
	fra.serveSecret(w, httptest.NewRequest(http.MethodPost, v1alpha1.PathSecret+"?timeout=1s", strings.NewReader(`{"name":"db"}`)))
	said := w.Body.Bytes()
	if w.Code != http.StatusServiceUnavailable || !bytes.Contains(said, []byte(apiserver.CauseNoQuorum)) || bytes.Contains(said, []byte("canary")) || bytes.Contains(said, []byte("Y2FuYXJ5")) {
		t.Errorf("the value is asked for, and the answer is %d: %s", w.Code, said)
	}
}
