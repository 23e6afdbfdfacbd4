package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/epoch"
)

// serveResume tells what the fleet would do (GET), and lets it (POST).
func (c *Core) serveResume(works *works) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet:
			v := c.store.View()
			all, err := works.list(v)
			if err != nil {
				fail(w, http.StatusInternalServerError, fmt.Errorf("look ahead: %w", err))
				return
			}
			answer(w, http.StatusOK, epoch.Prospect(v, all))
		case http.MethodPost:
			c.resume(w, r)
		default:
			fail(w, http.StatusMethodNotAllowed, errors.New("look with GET, resume with POST"))
		}
	})
}

func (c *Core) resume(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), within(r, quorumWait))
	defer cancel()
	at, err := c.endObserving(ctx, apiserver.Person(r.Context()))
	if err != nil {
		fail(w, codeOf(err), err)
		return
	}
	answer(w, http.StatusOK, v1alpha1.Resumed{Revision: uint64(at)})
}

// endObserving is the person's go. Saying it again is no error.
func (c *Core) endObserving(ctx context.Context, person string) (store.Revision, error) {
	if _, err := c.node.Read(ctx); err != nil {
		return 0, err
	}
	v := c.store.View()
	if _, yes := epoch.Observing(v); !yes {
		return v.Revision(), nil
	}
	r, err := c.node.Propose(ctx, consensus.Proposal{Person: person, Txn: store.Txn{Then: []store.Op{store.Delete(v1alpha1.KeyObserving)}}})
	return r.Revision, err
}

// Resume is endObserving, asked by the member itself.
func (c *Core) Resume(ctx context.Context) error {
	_, err := c.endObserving(ctx, "")
	return err
}
