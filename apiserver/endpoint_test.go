package apiserver

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestOnlyAPersonOfTheFleetHasARole(t *testing.T) {
	for name, c := range map[string]struct {
		asker user.Info
		want  v1alpha1.Role
	}{
		"a person":          {identity("anna", "", v1alpha1.RoleViewer), v1alpha1.RoleViewer},
		"the member itself": {identity(v1alpha1.LocalPerson, "", v1alpha1.RoleAdmin), ""},
		"nobody":            {&user.DefaultInfo{Name: user.Anonymous}, ""},
		"a guest whose cluster says that it has one": {guest{Info: &user.DefaultInfo{Name: "anna", Groups: []string{groupRole + "Admin"}}, cluster: "fra"}, ""},
	} {
		if got := Role(apirequest.WithUser(context.Background(), c.asker)); got != c.want {
			t.Errorf("%s: %q instead of %q", name, got, c.want)
		}
	}
	if got := Role(context.Background()); got != "" {
		t.Errorf("nobody asked, and has role %q", got)
	}
}

// A path below an endpoint is that endpoint's, for as long as the answer takes, and no guest's.
func TestWhatIsBelowAnEndpointStreamsToPeople(t *testing.T) {
	next := make(chan string)
	l := start(t, func(c *Config) {
		c.FrontProxy = clusterOfPeople(t)
		c.Endpoints = []Endpoint{{Path: "/cluster/", Role: v1alpha1.RoleViewer, Streams: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.URL.Path, " for ", Asking(r.Context()).Person, "\n")
			http.NewResponseController(w).Flush()
			select {
			case line := <-next:
				io.WriteString(w, line)
			case <-r.Context().Done():
			}
		})}}
	})
	ask := func(c *rest.Config) (*http.Response, error) {
		client, err := rest.HTTPClientFor(c)
		if err != nil {
			t.Fatal(err)
		}
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, c.Host+"/cluster/api/v1/pods/log?follow=true", nil)
		return client.Do(r)
	}
	answer, err := ask(l.user(t, "anna", v1alpha1.RoleViewer))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	const begins = "/cluster/api/v1/pods/log for anna\n"
	if first := make([]byte, len(begins)); true {
		if _, err := io.ReadFull(answer.Body, first); err != nil || string(first) != begins {
			t.Fatalf("%q, %v", first, err)
		}
	}
	next <- "more"
	if rest, err := io.ReadAll(answer.Body); err != nil || string(rest) != "more" {
		t.Errorf("%q, %v", rest, err)
	}
	guest := headers(l.tcpConfig(t, certificate(t)), http.Header{"X-Remote-User": {"jane"}, "X-Remote-Group": {"ops", "hanse:role:Admin"}})
	if answer, err := ask(guest); err != nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("a guest: %+v, %v", answer, err)
	}
}

func TestWhatComesThroughTunnelsIsServedAsOthersAre(t *testing.T) {
	through, err := net.Listen("tcp", "127.0.0.1:0") // it stands for any listener
	if err != nil {
		t.Fatal(err)
	}
	l := start(t, func(c *Config) { c.Tunnels = through })
	config := l.user(t, "anna", v1alpha1.RoleViewer)
	config.Host = "https://" + through.Addr().String()
	if _, err := bundlesOf(t, config).List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Error(err)
	}
	config = l.tcpConfig(t, certificate(t))
	config.Host = "https://" + through.Addr().String()
	if _, err := bundlesOf(t, config).List(t.Context(), metav1.ListOptions{}); err == nil {
		t.Error("nobody was let in")
	}
}
