package aggregate

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/chaos/testbed/testbedtest"
)

// kube is a real cluster, and a person's way into it.
type kube struct {
	*testing.T
	rest   *rest.Config
	client dynamic.Interface
}

// member registers acme's fra until it is told to stop.
func (k kube) member(address string, key crypto.Signer) (stop func()) {
	k.Helper()
	a, err := New(Config{REST: k.rest, Fleet: "acme", Cluster: "fra", Address: address, Key: key, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		k.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = a.Run(ctx) }) // it ends with ctx only
	return func() { cancel(); running.Wait() }
}

// eventually waits until an object of ours is as it should be; nil is one that is not there.
func (k kube) eventually(what string, o object, is func(*unstructured.Unstructured) bool) {
	k.Helper()
	var found *unstructured.Unstructured
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var err error
		if found, err = o.in(k.client).Get(k.Context(), o.wanted.GetName(), metav1.GetOptions{}); err != nil {
			found = nil
		}
		if is(found) {
			return
		}
	}
	k.Fatalf("%s: not within two minutes: %v", what, found)
}

// edit changes an object of ours as a person would.
func (k kube) edit(o object, patch string) {
	k.Helper()
	if _, err := o.in(k.client).Patch(k.Context(), o.wanted.GetName(), types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "somebody"}); err != nil {
		k.Fatal(err)
	}
}

// says reads one text of an object; empty when the object or the text is not there.
func says(o *unstructured.Unstructured, path ...string) string {
	if o == nil {
		return ""
	}
	text, _, _ := unstructured.NestedString(o.Object, path...)
	return text
}

// TestARegistrationFollowsItsMember needs a real cluster.
func TestARegistrationFollowsItsMember(t *testing.T) {
	c, err := testbedtest.Cluster(t).REST()
	if err != nil {
		t.Fatal(err)
	}
	k := kube{t, c, dynamic.NewForConfigOrDie(c)}
	way := route(backend{ip: anyAddress}, "acme/fra")
	service, slice, registered := way[0], way[1], registration(backend{}, "acme/fra", nil)
	key := newKey(t)

	for _, at := range []struct{ address, kind, endpoint string }{
		{"10.1.2.3:7947", "ClusterIP", "10.1.2.3"},
		{"10.1.2.4:7948", "ClusterIP", "10.1.2.4"},
		{"fra.example:7947", "ExternalName", ""},
		{"10.1.2.3:7947", "ClusterIP", "10.1.2.3"},
	} {
		stop := k.member(at.address, key)
		k.eventually("the way to "+at.address, service, func(o *unstructured.Unstructured) bool { return says(o, "spec", "type") == at.kind })
		k.eventually("the end of the way to "+at.address, slice, func(o *unstructured.Unstructured) bool { return endpointOf(o) == at.endpoint })
		k.eventually("the registration at "+at.address, registered, func(o *unstructured.Unstructured) bool {
			port, _, _ := unstructured.NestedInt64(content(o), "spec", "service", "port")
			return strings.HasSuffix(at.address, fmt.Sprint(":", port))
		})
		stop()
	}

	t.Run("to an address of another family", func(t *testing.T) {
		// This cluster has addresses of one family only: what a change of it meets is a slice that cannot become another.
		if err := slice.in(k.client).Delete(t.Context(), slice.wanted.GetName(), metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		other := route(backend{ip: anyAddress, port: 1}, "acme/fra")[1].wanted
		other.Object["addressType"], other.Object["endpoints"] = "IPv6", []any{map[string]any{"addresses": []any{"2001:db8::1"}}}
		if _, err := slice.in(k.client).Create(t.Context(), other, metav1.CreateOptions{FieldManager: manager}); err != nil {
			t.Fatal(err)
		}
		defer k.member("10.1.2.3:7947", key)()
		k.eventually("a slice of the right family", slice, func(o *unstructured.Unstructured) bool {
			return says(o, "addressType") == "IPv4" && endpointOf(o) == "10.1.2.3"
		})
	})

	t.Run("and keeps its owner while a life cannot be renewed", func(t *testing.T) {
		var failing atomic.Bool
		var looked atomic.Int32
		slow := kube{t, rest.CopyConfig(c), k.client}
		slow.rest.Wrap(func(next http.RoundTripper) http.RoundTripper {
			return tripper(func(r *http.Request) (*http.Response, error) {
				if failing.Load() && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/jobs/") {
					return nil, errors.New("the cluster is slow")
				}
				answer, err := next.RoundTrip(r)
				if failing.Load() && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/apiservices/"+apiServiceName) {
					looked.Add(1)
				}
				return answer, err
			})
		})
		defer slow.member("10.1.2.3:7947", key)()
		owned := func(o *unstructured.Unstructured) bool { return o != nil && len(o.GetOwnerReferences()) == 1 }
		k.eventually("an owner", registered, owned)
		failing.Store(true)
		k.edit(registered, `{"metadata":{"annotations":{"somebody":"wakes it"}}}`)
		k.eventually("two rounds in which the life could not be looked at", registered, func(*unstructured.Unstructured) bool { return looked.Load() > 3 })
		if o, err := registered.in(k.client).Get(t.Context(), registered.wanted.GetName(), metav1.GetOptions{}); err != nil || !owned(o) {
			t.Errorf("nothing owns it any more: %v (%v)", o, err)
		}
	})

	fresh := newKey(t)
	defer k.member("10.1.2.3:7947", fresh)()
	t.Run("and is not written while it is as it was left", func(t *testing.T) {
		writes := 0
		watched := rest.CopyConfig(k.rest)
		watched.Wrap(func(next http.RoundTripper) http.RoundTripper {
			return tripper(func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodPatch {
					writes++
				}
				return next.RoundTrip(r)
			})
		})
		a, err := New(Config{REST: watched, Fleet: "acme", Cluster: "fra", Address: "10.1.2.3:7947", Key: key, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ensure := func(want int) *unstructured.Unstructured {
			t.Helper()
			now, err := a.ensure(t.Context(), route(a.backend, "acme/fra")[0])
			if err != nil || writes != want {
				t.Fatalf("%d writes, not %d: %v", writes, want, err)
			}
			return now
		}
		ensure(1)
		ensure(1)
		k.edit(service, `{"spec":{"sessionAffinity":"ClientIP"}}`)
		ensure(2)
		ensure(2)
		a.backend.port = 7999
		if now := ensure(3); !strings.Contains(fmt.Sprint(now.Object["spec"]), "7999") {
			t.Errorf("another port is wanted: %v", now.Object["spec"])
		}
		if err := service.in(k.client).Delete(t.Context(), service.wanted.GetName(), metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		ensure(4)
	})

	t.Run("to a new key", func(t *testing.T) {
		leaf := served(t, fresh).Leaf
		k.eventually("a caBundle that vouches", registered, func(o *unstructured.Unstructured) bool {
			bundle, _ := base64.StdEncoding.DecodeString(says(o, "spec", "caBundle"))
			return vouches(bundle, leaf)
		})
	})
	t.Run("and is put right", func(t *testing.T) {
		k.edit(registered, `{"spec":{"caBundle":null,"insecureSkipTLSVerify":true}}`)
		k.eventually("a registration that checks whom it asks", registered, func(o *unstructured.Unstructured) bool {
			insecure, _, _ := unstructured.NestedBool(content(o), "spec", "insecureSkipTLSVerify")
			return !insecure && says(o, "spec", "caBundle") != ""
		})
		viewer := roles("acme/fra")[0]
		wanted := rulesOf(viewer.wanted)
		k.edit(viewer, `{"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]}`)
		k.edit(registered, `{"metadata":{"annotations":{"somebody":"looks"}}}`) // which wakes it
		k.eventually("a role that gives no more than it should", viewer, func(o *unstructured.Unstructured) bool { return bytes.Equal(rulesOf(o), wanted) })
	})
}

// TestTwoIncarnationsDoNotFight needs a real cluster. One was replaced, and does not know it.
func TestTwoIncarnationsDoNotFight(t *testing.T) {
	c, err := testbedtest.Cluster(t).REST()
	if err != nil {
		t.Fatal(err)
	}
	k := kube{t, c, dynamic.NewForConfigOrDie(c)}
	registered := registration(backend{}, "acme/fra", nil)
	incarnation := func() (a *Aggregation, vouched func(*unstructured.Unstructured) bool) {
		key := newKey(t)
		a, err := New(Config{REST: c, Fleet: "acme", Cluster: "fra", Address: "10.1.2.3:7947", Key: key, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { _ = a.Run(ctx) })
		t.Cleanup(func() { cancel(); running.Wait() })
		return a, func(o *unstructured.Unstructured) bool {
			bundle, _ := base64.StdEncoding.DecodeString(says(o, "spec", "caBundle"))
			return vouches(bundle, served(t, key).Leaf)
		}
	}
	old, oldVouched := incarnation()
	k.eventually("the first's registration", registered, oldVouched)
	_, newVouched := incarnation()
	k.eventually("the second's", registered, newVouched)
	k.eventually("that the first gives way", registered, func(*unstructured.Unstructured) bool { return old.Standing().Reason == ReasonForeignAPIService })
	k.edit(registered, `{"metadata":{"annotations":{"somebody":"wakes both"}}}`)
	k.eventually("that the second puts it right, and the first lets it", registered, func(o *unstructured.Unstructured) bool {
		return newVouched(o) && old.Standing().Reason == ReasonForeignAPIService
	})
	if err := registered.in(k.client).Delete(t.Context(), registered.wanted.GetName(), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	k.eventually("that it is made again, by whoever is first", registered, func(o *unstructured.Unstructured) bool { return newVouched(o) || oldVouched(o) })
}

// TestAMemberThatIsNotReachedLetsItsRealClusterGo needs a real cluster, whose kube-apiserver does not reach the address.
func TestAMemberThatIsNotReachedLetsItsRealClusterGo(t *testing.T) {
	c, err := testbedtest.Cluster(t).REST()
	if err != nil {
		t.Fatal(err)
	}
	k := kube{t, c, dynamic.NewForConfigOrDie(c)}
	registered := registration(backend{}, "acme/fra", nil)
	a, err := New(Config{REST: c, Fleet: "acme", Cluster: "fra", Address: "127.0.0.1:1", Key: newKey(t), Life: 3 * time.Second, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { _ = a.Run(ctx) })
	there := func(o *unstructured.Unstructured) bool { return o != nil }
	k.eventually("a registration", registered, there)
	k.eventually("that it is let go", registered, func(*unstructured.Unstructured) bool { return a.Standing().Reason == ReasonLetGo })
	k.eventually("its end", registered, func(o *unstructured.Unstructured) bool { return o == nil })
	k.eventually("another trial", registered, there)
	k.eventually("the end of that", registered, func(o *unstructured.Unstructured) bool { return o == nil && a.Standing().Reason == ReasonLetGo })
}

type tripper func(*http.Request) (*http.Response, error)

func (t tripper) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func content(o *unstructured.Unstructured) map[string]any {
	if o == nil {
		return nil
	}
	return o.Object
}

// endpointOf is the address that a slice leads to.
func endpointOf(slice *unstructured.Unstructured) string {
	endpoints, _, _ := unstructured.NestedSlice(content(slice), "endpoints")
	if len(endpoints) == 0 {
		return ""
	}
	addresses, _, _ := unstructured.NestedStringSlice(endpoints[0].(map[string]any), "addresses")
	return strings.Join(addresses, " ")
}

func rulesOf(role *unstructured.Unstructured) []byte {
	rules, _, _ := unstructured.NestedSlice(content(role), "rules")
	return fmt.Append(nil, rules)
}
