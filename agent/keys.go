package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/secrets"
)

// fileKey has the member's own age identity: what is for its cluster alone is encrypted to it. It never leaves the directory.
const fileKey = "age.key"

// ageIdentity reads the member's age identity, and makes it first where there is none.
func (d dataDir) ageIdentity() (secrets.Identity, error) {
	text, err := os.ReadFile(d.path(fileKey))
	defer clear(text)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return d.newAgeIdentity()
	case err != nil:
		return secrets.Identity{}, fmt.Errorf("read age identity: %w", err)
	}
	for l := range strings.Lines(string(text)) {
		if l = strings.TrimSpace(l); l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		id, err := secrets.ParseIdentity(l)
		if err != nil {
			return id, fmt.Errorf("read %s: %w; move it away and start again: a new one is made, and members of its groups wrap their keys for it", d.path(fileKey), err)
		}
		return id, nil
	}
	return secrets.Identity{}, fmt.Errorf("read %s: it is empty; remove it and start again", d.path(fileKey))
}

func (d dataDir) newAgeIdentity() (secrets.Identity, error) {
	id, err := secrets.NewIdentity()
	if err != nil {
		return id, err
	}
	text := fmt.Appendf(nil, "# recipient: %s\n%s\n", id.Recipient(), id.Reveal())
	defer clear(text)
	return id, d.writeBytes(fileKey, text)
}

// keyed are the prefixes that keys of groups follow from.
var keyed = []string{v1alpha1.KeyRecipientGroups, v1alpha1.KeyClusters, store.KeyMembers}

// keepKeys makes the keys of groups that this member's cluster is of, and wraps them for others of the group, when it is this member's
// turn.
func (c *Core) keepKeys(ctx context.Context) error {
	for ctx.Err() == nil {
		v := c.store.View()
		waits, err := c.groupKeys(ctx, v)
		switch {
		case err != nil:
			c.log.Warn("could not keep the keys of groups", "err", err)
			pause.For(ctx, leaderTick)
		case waits:
			c.await(ctx, keyed, v.Revision(), nil)
		default:
			if err := c.changed(ctx, keyed, v.Revision()); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
	return nil
}

// groupKeys does what is this member's to do now, and says whether something waits for others.
func (c *Core) groupKeys(ctx context.Context, v *store.View) (waits bool, err error) {
	groups, err := c.decoded.groups.list(v)
	if err != nil || len(groups) == 0 {
		return false, err
	}
	clusters, err := c.decoded.clusters.list(v)
	if err != nil {
		return false, err
	}
	seen, now := c.sightings(v), time.Now()
	there := func(cluster string) bool { return seen[cluster].Fresh(now) }
	for _, g := range groups {
		duty, why := plan.Keys(g.value, values(clusters), c.self.Cluster, there)
		waits = waits || duty.Waits
		if why == nil && len(duty.Wrap) > 0 {
			why = c.wrapKey(ctx, v, g, duty)
		}
		if why != nil { // the other groups are not to wait for it
			err = errors.Join(err, fmt.Errorf("%s: %w", law.Thing(g.key), why))
		}
	}
	return waits, err
}

// wrapKey makes the group's key, or takes the one that there is, and wraps it for others. Only one write of a group is in time: what was
// overtaken was done by somebody else.
func (c *Core) wrapKey(ctx context.Context, v *store.View, g object[v1alpha1.RecipientGroup], duty plan.KeyDuty) error {
	next := g.value.DeepCopy()
	key, err := c.keyFor(next, duty.Make)
	if err != nil {
		return err
	}
	for _, reader := range duty.Wrap {
		to, err := secrets.ParseRecipient(reader.Recipient)
		if err != nil {
			c.log.Warn("a reader of a group gets no key", "cluster", reader.Cluster, "err", err)
			continue
		}
		wrap, err := secrets.Wrap(to, c.keyOf(next), key)
		if err != nil {
			return err
		}
		next.Status.Wraps = append(next.Status.Wraps, v1alpha1.KeyWrap{
			Cluster: reader.Cluster, Key: v1alpha1.KeyID(reader.Recipient), Epoch: next.Status.Epoch, Wrap: wrap,
		})
	}
	if len(next.Status.Wraps) == len(g.value.Status.Wraps) {
		return nil // nobody has a recipient that is one
	}
	kv, _ := v.Get(g.key)
	op, err := law.Amend(kv, g.value, next)
	if err != nil {
		return err
	}
	_, err = c.node.Propose(ctx, consensus.Proposal{Txn: store.Txn{If: []store.Condition{store.KeyAt(g.key, g.modified)}, Then: []store.Op{op}}})
	if errors.As(err, new(*store.Conflict)) {
		return nil
	}
	return err
}

// keyFor is the group's key: a new one, which it writes down, or the one that this member holds.
func (c *Core) keyFor(g *v1alpha1.RecipientGroup, makes bool) (secrets.Identity, error) {
	if !makes {
		return c.groupKey(g)
	}
	key, err := secrets.NewIdentity()
	if err != nil {
		return key, err
	}
	g.Status.Recipient, g.Status.Epoch = key.Recipient().String(), g.Status.Epoch+1
	return key, nil
}

func (c *Core) keyOf(g *v1alpha1.RecipientGroup) secrets.Key {
	return secrets.Key{Fleet: c.self.Fleet, Group: g.Name, Epoch: g.Status.Epoch}
}

// groupKey unwraps the present key of a group.
func (c *Core) groupKey(g *v1alpha1.RecipientGroup) (secrets.Identity, error) {
	wrap := g.WrapFor(c.self.Cluster, c.age.Recipient().String())
	if wrap == nil {
		return secrets.Identity{}, fmt.Errorf("cluster %s has no key of group %s; a member of the group wraps it for clusters that the group's selector picks: hanse get recipientgroup %[2]s -o yaml", c.self.Cluster, g.Name)
	}
	key, err := secrets.Unwrap(c.age, c.keyOf(g), g.Status.Recipient, wrap)
	if err != nil {
		return key, fmt.Errorf("the key of group %s cannot be unwrapped: %w", g.Name, err)
	}
	return key, nil
}

// groupsAtRisk are a line each for groups that nobody may be able to open for, now or soon.
func (c *Core) groupsAtRisk(v *store.View) (lines []string) {
	groups, err := c.decoded.groups.list(v)
	if err != nil || len(groups) == 0 {
		return nil // who decides by them says what is wrong
	}
	clusters, err := c.decoded.clusters.list(v)
	if err != nil {
		return nil
	}
	seen, now := c.sightings(v), time.Now()
	there := func(cluster string) bool { return cluster == c.self.Cluster || seen[cluster].Fresh(now) }
	for _, g := range groups {
		if said := plan.GroupAtRisk(g.value, values(clusters), there); said != "" {
			lines = append(lines, said)
		}
	}
	return lines
}
