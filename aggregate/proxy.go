package aggregate

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
)

// Where a kube-apiserver says by what certificate, and by what headers, it passes requests on.
const (
	trustNamespace = "kube-system"
	trustName      = "extension-apiserver-authentication"
)

var configMaps = corev1.SchemeGroupVersion.WithResource("configmaps")

// frontProxy knows the cluster's kube-apiserver when it passes a request on, and for whom.
type frontProxy struct {
	// trust is what was read last; nil: nothing yet, nobody is believed.
	trust atomic.Pointer[trust]
}

// Known is false while nobody can be believed: what is asked then is neither allowed nor forbidden.
func (p *frontProxy) Known() bool { return p.trust.Load() != nil }

// AuthenticateRequest implements authenticator.Request. It is false, or an error, for whoever is not the front proxy.
func (p *frontProxy) AuthenticateRequest(r *http.Request) (*authenticator.Response, bool, error) {
	t := p.trust.Load()
	if t == nil {
		return nil, false, nil
	}
	return t.AuthenticateRequest(r)
}

// trust is one version of what the cluster says about its front proxy.
type trust struct{ authenticator.Request }

// readTrust reads the ConfigMap. Without an authority for front proxies there is nobody to believe.
func readTrust(data map[string]string) (*trust, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(data["requestheader-client-ca-file"])) {
		return nil, errors.New("it names no requestheader-client-ca-file; start kube-apiserver with --requestheader-client-ca-file and the flags that belong to it")
	}
	var lists [5]headerrequest.StaticStringSlice
	for i, name := range []string{"allowed-names", "username-headers", "uid-headers", "group-headers", "extra-headers-prefix"} {
		if text := data["requestheader-"+name]; text != "" {
			if err := json.Unmarshal([]byte(text), &lists[i]); err != nil {
				return nil, fmt.Errorf("its requestheader-%s is no list", name)
			}
		}
	}
	verify := func() (x509.VerifyOptions, bool) {
		return x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, true
	}
	return &trust{headerrequest.NewDynamicVerifyOptionsSecure(verify, lists[0], lists[1], lists[2], lists[3], lists[4])}, nil
}

// followTrust keeps what the cluster says until ctx ends.
func (a *Aggregation) followTrust(ctx context.Context) {
	follow(ctx, a.client.Resource(configMaps).Namespace(trustNamespace), trustName, func(found *unstructured.Unstructured, err error) {
		if err == nil {
			err = a.believe(found)
		}
		if err != nil {
			a.config.Logger.Warn("do not know how kube-apiserver passes requests on", "configmap", trustNamespace+"/"+trustName, "err", err)
		}
	})
}

// believe takes over what the ConfigMap says. One that is gone, or says nothing that can be read, takes back all trust.
func (a *Aggregation) believe(found *unstructured.Unstructured) error {
	t, err := trustIn(found)
	a.trust.Store(t)
	return err
}

// trustIn is what a ConfigMap says; nil with an error.
func trustIn(found *unstructured.Unstructured) (*trust, error) {
	if found == nil {
		return nil, errors.New("it is not there")
	}
	data, _, err := unstructured.NestedStringMap(found.Object, "data")
	if err != nil {
		return nil, err
	}
	return readTrust(data)
}
