package apiserver

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/apiserver/kvstorage"
	"github.com/hanse-fleet/hanse/consensus/store"
)

func TestWorksWithoutQuorumAnswerWithAWarning(t *testing.T) {
	l := start(t, nil)
	l.works.set(work("shop", "fra", "r1"))
	l.Fail(fmt.Errorf("%w: fra reaches 1 of 3 voters", store.ErrNoQuorum))
	var seen warnings
	works, ctx := client(t, seen.taken(l.local()), "works"), t.Context()
	stale := fmt.Sprintf("state as of revision %d", l.View().Revision())

	if list, err := works.List(ctx, metav1.ListOptions{}); err != nil || len(list.Items) != 1 || len(seen) != 1 || find(seen, stale) != nil {
		t.Errorf("list: %v, warnings %q", err, seen)
	}
	if _, err := works.Get(ctx, "shop.fra", metav1.GetOptions{}); err != nil || len(seen) != 2 {
		t.Errorf("get: %v, warnings %q", err, seen)
	}
	if _, err := works.List(ctx, metav1.ListOptions{ResourceVersion: "0"}); err != nil || len(seen) != 2 {
		t.Errorf("list of whatever is here: %v, warnings %q", err, seen)
	}
	status, _ := l.do(t, "GET", "/apis/fleet.hanse.dev/v1alpha1/works/shop.iad", "", "")
	if status.Code != http.StatusServiceUnavailable || !caused(status, kvstorage.CauseNotKnown) {
		t.Errorf("what is not here, and may be elsewhere: %+v", status)
	}
}

func TestAWorkIsAsNewAsWhatWasWritten(t *testing.T) {
	l := start(t, nil)
	var of atomic.Uint64
	of.Store(1)
	l.works.of = func() store.Revision { return store.Revision(of.Load()) }
	l.works.set(work("shop", "fra", "r1"))
	l.Put("/other", "newer")
	var seen warnings
	works, ctx := client(t, seen.taken(l.local()), "works"), t.Context()

	if list, err := works.List(ctx, metav1.ListOptions{ResourceVersion: "0"}); err != nil || len(list.Items) != 1 || len(seen) != 0 {
		t.Errorf("list of whatever is here: %v, warnings %q", err, seen)
	}
	said := "works are as of revision 1; the fleet is at 2"
	if _, err := works.List(ctx, metav1.ListOptions{}); err != nil || find(seen, said) != nil {
		t.Errorf("list that is not computed in time: %v, warnings %q", err, seen)
	}
	go func() {
		of.Store(uint64(l.View().Revision()))
		l.works.set(work("shop", "fra", "r2"))
	}()
	if got, err := works.Get(ctx, "shop.fra", metav1.GetOptions{}); err != nil || len(seen) != 1 {
		t.Errorf("get: %v %v, warnings %q", got, err, seen)
	}
}

func TestAMemberWithoutTheFleetsStateSaysSoOfEveryKind(t *testing.T) {
	empty := store.New(nil)
	l := start(t, func(c *Config) { c.Store = emptyStore{c.Store, empty} })
	for _, path := range []string{"bundles", "works", "works/shop.fra", "clustermetrics", "works?resourceVersion=0", "works?watch=1"} {
		status, _ := l.do(t, "GET", "/apis/fleet.hanse.dev/v1alpha1/"+path, "", "")
		if status.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: %+v", path, status)
		}
	}
	l = start(t, nil)
	l.works.of = func() store.Revision { return 0 }
	if status, _ := l.do(t, "GET", "/apis/fleet.hanse.dev/v1alpha1/works?resourceVersion=0", "", ""); status.Code != http.StatusServiceUnavailable || !strings.Contains(status.Message, "computed") {
		t.Errorf("not computed yet: %+v", status)
	}
}

// emptyStore is a store that shows another state.
type emptyStore struct {
	Store
	shown *store.Store
}

func (s emptyStore) View() *store.View { return s.shown.View() }

func TestAWorkIsNotKeptAsItWas(t *testing.T) {
	l := start(t, nil)
	l.works.set(work("shop", "fra", "r1"))
	works, ctx := client(t, l.local(), "works"), t.Context()
	first, err := works.List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	at := func(version string, match metav1.ResourceVersionMatch) error {
		_, err := works.List(ctx, metav1.ListOptions{ResourceVersion: version, ResourceVersionMatch: match})
		return err
	}
	if err := at(first.GetResourceVersion(), metav1.ResourceVersionMatchExact); err != nil {
		t.Errorf("exactly as it is: %v", err)
	}
	l.works.set(work("shop", "fra", "r2"))
	if err := at(first.GetResourceVersion(), metav1.ResourceVersionMatchNotOlderThan); err != nil {
		t.Errorf("not older than it was: %v", err)
	}
	if err := at(first.GetResourceVersion(), metav1.ResourceVersionMatchExact); !apierrors.IsResourceExpired(err) {
		t.Errorf("exactly as it was: %v", err)
	}
	for _, match := range []metav1.ResourceVersionMatch{metav1.ResourceVersionMatchExact, metav1.ResourceVersionMatchNotOlderThan} {
		if err := at("812", match); !apierrors.IsResourceExpired(err) {
			t.Errorf("a version of another member, %s: %v", match, err)
		}
	}
}
