package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/keep"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// errNoSecret means that there is no secret of that name.
var errNoSecret = errors.New("the fleet has no such secret")

// errNotOurs means that this member cannot open a secret, and may say who can.
var errNotOurs = errors.New("cannot be opened")

// serveSecret answers with the Secret that was sealed, opened.
func (c *Core) serveSecret(w http.ResponseWriter, r *http.Request) {
	ask, ok := posted[v1alpha1.SecretRequest](w, r, "ask for a secret with POST", "what secret is asked for")
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), within(r, quorumWait))
	defer cancel()
	secret, err := c.reveal(ctx, ask.Name, apiserver.Asking(r.Context()))
	switch {
	case errors.Is(err, errNoSecret):
		fail(w, http.StatusNotFound, err)
	case errors.Is(err, errNotOurs):
		fail(w, http.StatusConflict, err)
	case err != nil:
		fail(w, codeOf(err), err)
	default:
		answer(w, http.StatusOK, secret)
	}
}

// reveal opens a secret for a person. Nobody is told it before the log has who asked.
func (c *Core) reveal(ctx context.Context, name string, asker apiserver.Asker) (map[string]any, error) {
	var secret map[string]any
	_, err := c.again(ctx, func(v *store.View) (p consensus.Proposal, err error) {
		secret, p, err = c.revealing(v, name, asker)
		return p, err
	})
	if err != nil {
		return nil, err
	}
	return secret, nil
}

// revealing is a secret, opened, and the change that says that it was: a note on it, with its record.
func (c *Core) revealing(v *store.View, name string, asker apiserver.Asker) (secret map[string]any, p consensus.Proposal, err error) {
	kv, there := v.Get(v1alpha1.KeyFleetSecrets + name)
	if !there {
		return nil, p, fmt.Errorf("%w: %q", errNoSecret, name)
	}
	s := &v1alpha1.FleetSecret{}
	if err := json.Unmarshal(kv.Value, s); err != nil {
		return nil, p, fmt.Errorf("read %s: %w", law.Thing(kv.Key), err)
	}
	if secret, err = c.openedNow(v, s); err != nil {
		return nil, p, fmt.Errorf("%s %w by the member of %s: %w; members that hold the key: %s", law.Thing(kv.Key), errNotOurs, c.self.Cluster, err, c.otherHolders(v, s.Spec.Group))
	}
	next := s.DeepCopy()
	if next.Annotations == nil {
		next.Annotations = map[string]string{}
	}
	next.Annotations[v1alpha1.AnnotationRevealed] = revealedAt(c.now(), s.Annotations[v1alpha1.AnnotationRevealed])
	op, err := law.Amend(kv, s, next)
	if err == nil {
		// As it was when it was opened: one that was sealed meanwhile must not go back.
		p, err = c.recorded(asker, store.Txn{If: []store.Condition{store.KeyAt(kv.Key, kv.Modified)}, Then: []store.Op{op}})
	}
	return secret, p, err
}

// revealedAt is the note that a secret was revealed, and never the one that is there: what changes nothing is not recorded as one.
func revealedAt(now time.Time, there string) string {
	note := now.UTC().Format(time.RFC3339Nano)
	if note == there {
		note = now.Add(time.Nanosecond).UTC().Format(time.RFC3339Nano)
	}
	return note
}

// openedNow is the first Secret of a secret, as the cluster would be given it.
func (c *Core) openedNow(v *store.View, s *v1alpha1.FleetSecret) (map[string]any, error) {
	var objects []unstructured.Unstructured
	for _, target := range s.Targets() {
		sealed := &v1alpha1.FleetSecret{TypeMeta: v1alpha1.TypeOf("FleetSecret"), Spec: s.Spec}
		sealed.Namespace, sealed.Name = target.Namespace, target.Name
		object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(sealed)
		if err != nil {
			return nil, errors.New("the sealed secret cannot be read")
		}
		objects = append(objects, unstructured.Unstructured{Object: object})
	}
	o := keep.NewOpening(c.holder(), c.decoded)
	o.Begin(v)
	opened, _, err := o.Open(v, s.RevisionName(), objects)
	if err != nil {
		return nil, err
	}
	return opened[0].Object, nil
}

// otherHolders are the other clusters that hold the present key of a group, in words.
func (c *Core) otherHolders(v *store.View, group string) string {
	g, err := decoded.GroupAt(v, group)
	if err != nil || g == nil {
		return "none"
	}
	names := slices.DeleteFunc(c.holders(v, g), func(name string) bool { return name == c.self.Cluster })
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// holders are the clusters that hold the present key of a group and may, as a view has it.
func (c *Core) holders(v *store.View, g *v1alpha1.RecipientGroup) []string {
	of, err := c.decoded.Candidates(v)
	if err != nil {
		return g.Status.Holders()
	}
	return plan.WhoHolds(g, of)
}

func (c *Core) holdersNow(g *v1alpha1.RecipientGroup) []string { return c.holders(c.store.View(), g) }
