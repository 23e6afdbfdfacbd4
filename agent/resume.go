package agent

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/epoch"
)

// serveResume tells what would happen in the clusters that only look (GET), and lets it (POST).
func (c *Core) serveResume(works *works) http.Handler {
	look := get(func(*http.Request) (any, error) { return c.prospect(works) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			look.ServeHTTP(w, r)
			return
		}
		ask, ok := posted[v1alpha1.ResumeRequest](w, r, "look with GET, resume with POST", "what is to be resumed")
		if !ok {
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), within(r, quorumWait))
		defer cancel()
		done, err := c.resume(ctx, works, ask, apiserver.Asking(r.Context()))
		if err != nil {
			fail(w, codeOf(err), err)
			return
		}
		answer(w, http.StatusOK, done)
	})
}

func (c *Core) prospect(works *works) (v1alpha1.Prospect, error) {
	v := c.store.View()
	all, err := works.list(v)
	if err != nil {
		return v1alpha1.Prospect{}, fmt.Errorf("look ahead: %w", err)
	}
	return epoch.Prospect(v, all), nil
}

// resume is the person's go, for what was shown. Saying it again is no error.
func (c *Core) resume(ctx context.Context, works *works, ask v1alpha1.ResumeRequest, asker apiserver.Asker) (v1alpha1.Resumed, error) {
	var names []string
	at, err := c.again(ctx, func(v *store.View) (p consensus.Proposal, err error) {
		p, names, err = c.resuming(v, works, ask, asker)
		return p, err
	})
	if err != nil {
		return v1alpha1.Resumed{}, err
	}
	if len(names) > 0 {
		c.log.Info("clusters act again", "clusters", strings.Join(names, " "), "by", cmp.Or(asker.Person, "member "+c.self.Cluster), "revision", at)
	}
	looking := epoch.Looking(c.store.View())
	return v1alpha1.Resumed{Revision: uint64(at), Clusters: names, Observing: slices.Sorted(maps.Keys(looking))}, nil
}

// resuming is the change that lets clusters act again, and which these are.
func (c *Core) resuming(v *store.View, works *works, ask v1alpha1.ResumeRequest, asker apiserver.Asker) (p consensus.Proposal, names []string, err error) {
	all, err := works.list(v)
	if err != nil {
		return p, nil, fmt.Errorf("look ahead: %w", err)
	}
	txn, err := epoch.Resume(v, all, ask, v1alpha1.Resumption{By: asker.Person, Through: c.self.Cluster, At: c.now().UTC()})
	if err != nil || len(txn.Then) == 0 {
		return p, nil, err
	}
	for _, op := range txn.Then {
		names = append(names, strings.TrimPrefix(op.Key, v1alpha1.KeyObserving))
	}
	p, err = c.recorded(asker, txn)
	return p, names, err
}

// Resume lets clusters act again, or all that have a member, asked by the member itself and whatever that does.
func (c *Core) Resume(ctx context.Context, clusters ...string) error {
	works := newWorks(c)
	if _, err := c.node.Read(ctx); err != nil {
		return err
	}
	p, err := c.prospect(works)
	if err != nil {
		return err
	}
	_, err = c.resume(ctx, works, epoch.Go(p, clusters...), apiserver.Asker{})
	return err
}
