package apiserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hanse-fleet/hanse/consensus/store"
)

func TestReadsWithoutQuorumAnswerWithAWarning(t *testing.T) {
	l := start(t, nil)
	ctx := t.Context()
	if _, err := client(t, l.local(), "bundles").Create(ctx, bundle("shop"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	l.Fail(fmt.Errorf("%w: fra reaches 1 of 3 voters", store.ErrNoQuorum))

	var seen warnings
	bundles := client(t, seen.taken(l.local()), "bundles")
	if _, err := bundles.Get(ctx, "shop", metav1.GetOptions{}); err != nil {
		t.Errorf("get: %v", err)
	}
	if err := find(seen, fmt.Sprintf("state as of revision %d", l.View().Revision())); err != nil {
		t.Error(err)
	}
	list, err := bundles.List(ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || len(seen) != 2 {
		t.Errorf("list: %v, warnings %q", err, seen)
	}
	if _, err := bundles.List(ctx, metav1.ListOptions{ResourceVersion: "0"}); err != nil || len(seen) != 2 {
		t.Errorf("list of whatever is here: %v, warnings %q", err, seen)
	}
	w, err := bundles.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	expect(t, w, watch.Added, "shop")
}

func TestWritesWithoutQuorumSayWhatIsKnown(t *testing.T) {
	const all, shop = "/apis/fleet.hanse.dev/v1alpha1/bundles", "/apis/fleet.hanse.dev/v1alpha1/bundles/shop"
	l := start(t, nil)
	if _, err := client(t, l.local(), "bundles").Create(t.Context(), bundle("shop"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, w := range []struct{ name, method, path, contentType, body string }{
		{"create", "POST", all, "application/json", `{"metadata":{"name":"other"}}`},
		{"patch", "PATCH", shop, "application/merge-patch+json", `{"spec":{"drift":"Report"}}`},
		{"patch that changes nothing", "PATCH", shop, "application/merge-patch+json", `{}`},
		{"apply", "PATCH", shop + "?fieldManager=t", "application/apply-patch+yaml", `{"apiVersion":"fleet.hanse.dev/v1alpha1","kind":"Bundle","metadata":{"name":"shop"},"spec":{"deletion":"Orphan"}}`},
		{"delete", "DELETE", shop, "application/json", ``},
		{"delete of what is not here", "DELETE", all + "/other", "application/json", ``},
	} {
		t.Run("without quorum a "+w.name+" is surely not made", func(t *testing.T) {
			l.Fail(fmt.Errorf("%w: fra reaches 1 of 3 voters", store.ErrNoQuorum))
			status, header := l.do(t, w.method, w.path, w.contentType, w.body)
			if status.Code != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || !caused(status, CauseNoQuorum) {
				t.Errorf("got %+v, Retry-After %q", status, header.Get("Retry-After"))
			}
		})
	}
	t.Run("a write whose answer is lost says that it may have been made", func(t *testing.T) {
		l.Fail(store.ErrUncertain)
		status, header := l.do(t, "POST", all, "application/json", `{"metadata":{"name":"other"}}`)
		if status.Code != http.StatusGatewayTimeout || header.Get("Retry-After") != "" || !caused(status, CauseUncertain) {
			t.Errorf("got %+v, Retry-After %q", status, header.Get("Retry-After"))
		}
	})
	t.Run("the server is ready without quorum", func(t *testing.T) {
		resp, err := httpClient(t, l.local()).Get("http://hanse/readyz")
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("readyz: %v %v", resp, err)
		}
	})
}

func caused(s metav1.Status, cause metav1.CauseType) bool {
	return s.Details != nil && slices.ContainsFunc(s.Details.Causes, func(c metav1.StatusCause) bool { return c.Type == cause })
}

// do makes one request, without the retries of client-go.
func (l *live) do(t *testing.T, method, path, contentType, body string) (metav1.Status, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://hanse"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	resp, err := httpClient(t, l.local()).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var status metav1.Status
	if err := json.NewDecoder(resp.Body).Decode(&status); err != nil {
		t.Fatal(err)
	}
	return status, resp.Header
}
