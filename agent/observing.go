package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// observing says whether the fleet only looks at its clusters, and since when. A record that cannot be read counts.
func observing(v *store.View) (o v1alpha1.Observing, yes bool) {
	kv, yes := v.Get(v1alpha1.KeyObserving)
	if yes && json.Unmarshal(kv.Value, &o) != nil {
		o.Reason = v1alpha1.ReasonRestored
	}
	return o, yes
}

// onlyLooks is what people are told.
func onlyLooks(o v1alpha1.Observing) string {
	return fmt.Sprintf("the fleet only looks since it was %s, and does nothing in any cluster; to see what it would do, and let it: hanse resume", strings.ToLower(string(o.Reason)))
}

// decidedAt is the revision at which people decided what a grant allows. That is the grant's own, unless the grant was given
// in this epoch and says what is from before it: such a grant is worth no more than the state that the epoch began from.
// A cluster that has acted on something newer, which this fleet has lost, is therefore left as it is (reconcile: OldGrant),
// until somebody decides about the bundle.
func decidedAt(v *store.View, at store.Revision, g v1alpha1.Grant) store.Revision {
	e := v.Epoch()
	if at < e.Began || decidedSince(v, e.Began, g) {
		return at
	}
	return e.From()
}

// decidedSince says that what a grant allows was written at a revision or later: the bundle's revision, or, when the bundle
// is withdrawn, its tombstone or the revision that took its cluster away.
func decidedSince(v *store.View, since store.Revision, g v1alpha1.Grant) bool {
	written := func(key string) bool {
		kv, ok := v.Get(key)
		return ok && kv.Created >= since
	}
	if !g.Withdraw {
		return written(v1alpha1.KeyBundleRevisions + g.Revision)
	}
	var b v1alpha1.Bundle
	if kv, ok := v.Get(v1alpha1.KeyBundles + g.Bundle); ok && json.Unmarshal(kv.Value, &b) == nil && string(b.UID) == g.BundleUID {
		return written(v1alpha1.KeyBundleRevisions + v1alpha1.RevisionName(b.Name, string(b.UID), b.Generation))
	}
	return written(v1alpha1.KeyTombstones + g.BundleUID)
}

// serveResume tells what the fleet would do (GET), and lets it (POST).
func (c *Core) serveResume(works *works) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet:
			p, err := c.prospect(works)
			if err != nil {
				fail(w, http.StatusInternalServerError, err)
				return
			}
			answer(w, http.StatusOK, p)
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
	if _, yes := observing(v); !yes {
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

// prospect is what each cluster would do with what it is granted now.
func (c *Core) prospect(works *works) (v1alpha1.Prospect, error) {
	v := c.store.View()
	o, yes := observing(v)
	e := v.Epoch()
	p := v1alpha1.Prospect{Observing: yes, Reason: o.Reason, Since: o.Since, Epoch: e.Number, From: uint64(e.From()), Clusters: []v1alpha1.ClusterProspect{}}
	list, err := works.list(v)
	if err != nil {
		return p, fmt.Errorf("look ahead: %w", err)
	}
	member := map[string]bool{}
	for _, m := range v.Members() {
		member[m.Cluster] = true
	}
	for _, kv := range v.List(v1alpha1.KeyClusters) {
		name := kv.Key[len(v1alpha1.KeyClusters):]
		cp := v1alpha1.ClusterProspect{Name: name, Member: member[name]}
		for _, w := range list {
			if w.Spec.Cluster == name {
				cp.Bundles = append(cp.Bundles, prospectOf(w))
			}
		}
		p.Clusters = append(p.Clusters, cp)
	}
	return p, nil
}

// prospectOf is what a cluster would do with one bundle, by what its member found when it looked.
func prospectOf(w v1alpha1.Work) v1alpha1.BundleProspect {
	b := v1alpha1.BundleProspect{Bundle: w.Spec.Bundle, Runs: w.Status.Applied, Granted: w.Spec.Granted, Would: v1alpha1.WouldUnknown}
	if f := w.Status.Foreseen; f != nil {
		b.Changes, b.Deletions, b.Would = f.Changes, f.Deletions, v1alpha1.WouldChange
		if f.Changes == 0 && f.Deletions == 0 {
			b.Would = v1alpha1.WouldKeep
		}
	}
	switch {
	case w.Status.Conditions[0].Reason == v1alpha1.ReasonOldGrant:
		b.Would = v1alpha1.WouldWait
	case w.Spec.Granted == "" && w.Spec.Wanted != "":
		b.Would = v1alpha1.WouldGrant
	}
	return b
}
