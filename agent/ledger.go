package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/keep"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// Ledger is who can read which secret, and who could, as the log has it at a view.
func (c *Core) Ledger(v *store.View) (*plan.Ledger, error) {
	vault := plan.Vault{Revisions: map[string]*v1alpha1.SealedRevision{}, Sealings: map[string]*v1alpha1.Sealing{}, Granted: map[string]bool{}}
	unread := func(garbled map[string]error) {
		for _, key := range slices.Sorted(maps.Keys(garbled)) {
			vault.Unread = append(vault.Unread, decoded.CannotBeRead(key).Error())
		}
	}
	groups, garbled := c.decoded.Groups.Readable(v)
	unread(garbled)
	candidates, err := c.decoded.Candidates(v)
	if err != nil {
		return nil, err
	}
	grants, err := c.decoded.Standing(v)
	if err != nil {
		return nil, err
	}
	sealed, garbled := c.decoded.Bundles.Secrets.Readable(v)
	unread(garbled)
	revisions, garbled := c.decoded.Revisions.Readable(v)
	unread(garbled)
	sealings, _ := c.decoded.Sealings.Readable(v) // of one that cannot be read it counts as known
	vault.Candidates, vault.Groups, vault.Secrets = candidates, decoded.Values(groups), decoded.Values(sealed)
	for _, r := range revisions {
		vault.Revisions[strings.TrimPrefix(r.Key, v1alpha1.KeyBundleRevisions)] = r.Value
	}
	for _, s := range sealings {
		if !v.Has(v1alpha1.KeyRecipientGroups + s.Value.Group) {
			continue // it is left of one that was deleted
		}
		vault.Sealings[strings.TrimPrefix(s.Key, v1alpha1.KeySealings)] = s.Value
	}
	for _, g := range grants {
		vault.Granted[g.Value.Revision] = true
	}
	vault.Deleted = deletedSecrets(v, vault.Secrets)
	return plan.NewLedger(vault), nil
}

// deletedSecrets are those that the history has and the fleet has no more, each once for a group, as it was when it was made first. One of its
// name may have been made again.
func deletedSecrets(v *store.View, present []*v1alpha1.FleetSecret) (all []*v1alpha1.FleetSecret) {
	there := make(map[string]string, len(present))
	for _, s := range present {
		there[s.Name] = string(s.UID)
	}
	at := map[string]int{}
	for kv := range v.Iterate(v1alpha1.KeyPastSecrets, "") {
		if name, uid := v1alpha1.CutPastSecretKey(kv.Key); there[name] == uid {
			continue
		}
		s := &v1alpha1.FleetSecret{}
		if json.Unmarshal(kv.Value, s) != nil {
			continue
		}
		i, seen := at[s.Spec.Group+"/"+s.Name]
		switch {
		case !seen:
			at[s.Spec.Group+"/"+s.Name] = len(all)
			all = append(all, s)
		case s.CreationTimestamp.Before(&all[i].CreationTimestamp):
			all[i] = s
		}
	}
	return all
}

// exposures are what is open as of a revision of the log: whoever asks for the status again and again is not to have it counted each time. Safe
// for concurrent use.
type exposures struct {
	mu      sync.Mutex
	counted bool
	of      store.Revision
	open    *v1alpha1.ExposedFleetStatus
	worry   string
}

// openExposures counts what is open; nil for nothing. A worry says why nobody knows.
func (c *Core) openExposures(v *store.View) (open *v1alpha1.ExposedFleetStatus, worry string) {
	e := &c.exposures
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.counted && e.of == v.Revision() {
		return e.open, e.worry
	}
	e.counted, e.of, e.open, e.worry = true, v.Revision(), nil, ""
	if v.Count(v1alpha1.KeyRecipientGroups) == 0 {
		return nil, ""
	}
	if l, err := c.Ledger(v); err != nil {
		e.worry = "nobody can tell what clusters that left could read: " + err.Error()
	} else {
		e.open = l.OpenExposures()
		if unread := l.Unread(); len(unread) > 0 {
			e.worry = "what clusters that left could read is not told in full: " + strings.Join(unread, "; ")
		}
	}
	return e.open, e.worry
}

// ledgerWait is how long a question about the ledger waits for what is newest.
const ledgerWait = 2 * time.Second

// errUnknown means that the ledger has nothing of what was asked for.
var errUnknown = errors.New("is not known")

// serveLedger answers a question about the ledger.
func (c *Core) serveLedger(answers func(l *plan.Ledger, r *http.Request, at uint64) (any, error)) http.Handler {
	return c.serveNewest(func(v *store.View, r *http.Request, warn func(string)) (any, error) {
		l, err := c.Ledger(v)
		if err != nil {
			return nil, err
		}
		for _, unread := range l.Unread() {
			warn("it is not told in full: " + unread)
		}
		return answers(l, r, uint64(v.Revision()))
	})
}

// serveNewest answers a question about the newest state of the log that there is: without a quorum, that which this member has.
func (c *Core) serveNewest(answers func(v *store.View, r *http.Request, warn func(string)) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			fail(w, http.StatusMethodNotAllowed, errors.New("ask with GET"))
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), within(r, ledgerWait))
		defer cancel()
		warn := func(text string) { warn(w, text) }
		if _, err := c.node.Read(ctx); err != nil {
			warn(fmt.Sprintf("no quorum: read of revision %d by %s alone", c.store.View().Revision(), c.self.Cluster))
		}
		said, err := answers(c.store.View(), r, warn)
		switch {
		case errors.Is(err, errUnknown), errors.Is(err, errNoSecret):
			fail(w, http.StatusNotFound, err)
		case err != nil:
			fail(w, codeOf(err), err)
		default:
			answer(w, http.StatusOK, said)
		}
	})
}

func exposed(l *plan.Ledger, r *http.Request, at uint64) (any, error) {
	cluster := r.URL.Query().Get("cluster")
	if cluster != "" && !l.Knows(cluster) {
		return nil, fmt.Errorf("cluster %q %w: neither is it in the fleet, nor did it hold the key of a group", cluster, errUnknown)
	}
	e := l.Exposed(cluster)
	e.Revision = at
	return e, nil
}

func readersOfSecret(l *plan.Ledger, r *http.Request, at uint64) (any, error) {
	name := r.URL.Query().Get("secret")
	readers := l.Readers(name)
	if readers == nil {
		return nil, fmt.Errorf("%w: %q", errNoSecret, name)
	}
	readers.Revision = at
	return readers, nil
}

// sealingOfSecret is what was sealed again of a secret as it is now.
func sealingOfSecret(v *store.View, r *http.Request, _ func(string)) (any, error) {
	name := r.URL.Query().Get("secret")
	kv, there := v.Get(v1alpha1.KeyFleetSecrets + name)
	if !there {
		return nil, fmt.Errorf("%w: %q", errNoSecret, name)
	}
	var s v1alpha1.FleetSecret
	if err := json.Unmarshal(kv.Value, &s); err != nil {
		return nil, fmt.Errorf("read %s: %w", law.Thing(kv.Key), err)
	}
	all := keep.SealingsOf(v, &s)
	for _, told := range all {
		told.Since = nil // whoever writes secrets could try values by it, many at once
	}
	return v1alpha1.SecretSealingOf(s.RevisionName(), all), nil
}
