package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/report"
	"github.com/hanse-fleet/hanse/secrets"
	"github.com/hanse-fleet/hanse/transport"
)

// fileKey has the member's own age identity: what is for its cluster alone is encrypted to it. It never leaves the directory.
const fileKey = "age.key"

// ageIdentity reads the member's age identity, and makes it first where there is none.
func (d dataDir) ageIdentity() (secrets.Identity, error) {
	id, err := d.readAgeIdentity()
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	if id, err = secrets.NewIdentity(); err != nil {
		return id, err
	}
	return id, d.writeAgeIdentity(id)
}

// readAgeIdentity is the member's age identity. The error is fs.ErrNotExist when there is none.
func (d dataDir) readAgeIdentity() (secrets.Identity, error) {
	text, err := d.key.ReadFile(d.path(fileKey))
	defer clear(text)
	if err != nil {
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

func (d dataDir) writeAgeIdentity(id secrets.Identity) error {
	text := fmt.Appendf(nil, "# recipient: %s\n%s\n", id.Recipient(), id.Reveal())
	defer clear(text)
	return d.key.WriteFile(d.path(fileKey), text)
}

// keysFrom are the prefixes that keys of groups follow from, and keyed those that how secrets are sealed does, too.
var (
	keysFrom = []string{v1alpha1.KeyRecipientGroups, v1alpha1.KeyClusters, v1alpha1.KeyFleets, store.KeyMembers}
	keyed    = append([]string{decoded.SealedRevisions, v1alpha1.KeySealings}, keysFrom...)
)

// forAge is the least time between two keys that a member makes for a group because of their age: whether that is reached is judged by
// the leader's clock.
const forAge = time.Minute

// keyKeeper keeps the keys of groups that its member's cluster is of, and what is sealed for them. It is used from one goroutine.
type keyKeeper struct {
	*Core
	// opened are the wraps for this member that were opened, shut those that could not be, and tried is when it made a key for its age last; by
	// group.
	opened, shut map[string][]byte
	tried        map[string]time.Time
	// unread is why a reader of a group gets no key, or something is left alone, as it was told last.
	unread map[string]string
	// people are the recovery recipients of each group of whom it was told that they get its key, or may.
	people map[string]bool
	// turns of each group, by its key, and the term in which they were seen.
	turns map[string]*plan.Turns
	term  uint64
	// looks are what was found of each group's key, by its key; sealers who keeps what is sealed for it; dues what they have to do.
	looks   map[string]keyLook
	sealers map[string]knownSealers
	dues    sealDues
}

// keyLook says that something about a group's key waits, as of a revision of the log and a time.
type keyLook struct {
	revision store.Revision
	at       time.Time
	waits    bool
}

// stands says that a look at a view would find the same: what a key follows from is written as it was, and what waits was looked at a moment ago.
func (l keyLook) stands(v *store.View) bool {
	return l.revision > 0 && !(l.waits && time.Since(l.at) >= leaderTick) && !written(v, keysFrom, l.revision)
}

func newKeyKeeper(c *Core) *keyKeeper {
	return &keyKeeper{
		Core: c, opened: map[string][]byte{}, shut: map[string][]byte{}, tried: map[string]time.Time{}, unread: map[string]string{}, people: map[string]bool{}, turns: map[string]*plan.Turns{},
		looks: map[string]keyLook{}, sealers: map[string]knownSealers{},
	}
}

// keepKeys makes the keys of groups that this member's cluster is of, wraps them for others of the group, makes others in their place, and
// seals again what was sealed to a former one: when it is this member's turn.
func (c *Core) keepKeys(ctx context.Context) error {
	k := newKeyKeeper(c)
	said := ""
	for ctx.Err() == nil {
		v := c.store.View()
		waits, err := k.keep(ctx, v)
		if err == nil {
			said = ""
		}
		switch {
		case err != nil:
			if err.Error() != said { // it may last
				c.log.Warn("could not keep the keys of groups", "err", err)
			}
			said = err.Error()
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

// keep does what is this member's to do now, and says whether something waits for others.
func (k *keyKeeper) keep(ctx context.Context, v *store.View) (waits bool, err error) {
	groups, garbled := k.decoded.Groups.Readable(v)
	k.tellUnread(garbled)
	if len(groups) == 0 {
		return false, nil
	}
	of, err := k.decoded.Candidates(v)
	if err != nil {
		return false, err
	}
	_, term, led := k.node.Leader()
	k.timeTurns(term, led)
	seen, now := sync.OnceValue(func() map[string]report.Sighting { return k.sightings(v) }), time.Now()
	for _, g := range groups {
		turns := k.turnsOf(g)
		there := func(cluster string) bool { return seen()[cluster].Fresh(now) && !turns.Stuck(cluster, now) && !k.alone }
		more, why := k.lookAtKey(ctx, v, g, of, there)
		later, whyNot := k.keepSealed(ctx, v, g, of, there)
		waits, why = waits || more || later, errors.Join(why, whyNot)
		if why != nil { // the other groups are not to wait for it
			err = errors.Join(err, fmt.Errorf("%s: %w", law.Thing(g.Key), why))
		}
	}
	return waits, err
}

// tellUnread says of what cannot be read, once, that this member leaves it alone. It is tried again when it changes.
func (k *keyKeeper) tellUnread(garbled map[string]error) {
	for key, err := range garbled {
		k.warn(key, err, "a part of the log cannot be read; it is left as it is, and so is what is sealed for it", "what", law.Thing(key))
	}
}

// warn says why something is not done, once for as long as it is the same.
func (k *keyKeeper) warn(of string, why error, message string, about ...any) {
	if k.unread[of] != why.Error() {
		k.unread[of] = why.Error()
		k.log.Warn(message, append(about, "err", why)...)
	}
}

// lookAtKey keeps the key of a group, unless it would find what it found last: a key seldom changes, and every member looks whenever a secret does.
func (k *keyKeeper) lookAtKey(ctx context.Context, v *store.View, g decoded.Object[v1alpha1.RecipientGroup], of plan.Candidates, there func(string) bool) (waits bool, err error) {
	if last := k.looks[g.Key]; last.stands(v) {
		last.revision = v.Revision()
		k.looks[g.Key] = last
		return last.waits, nil
	}
	delete(k.looks, g.Key)
	waits, err = k.keepKey(ctx, v, g, of, there)
	if err == nil {
		k.looks[g.Key] = keyLook{v.Revision(), time.Now(), waits}
	}
	return waits, err
}

// keepKey does what is this member's to do about the key of one group. What is written is seen in the next look.
func (k *keyKeeper) keepKey(ctx context.Context, v *store.View, g decoded.Object[v1alpha1.RecipientGroup], of plan.Candidates, there func(string) bool) (waits bool, err error) {
	to := k.recipients(v)
	takes := func(r plan.KeyReader) bool { _, err := to(r); return err == nil }
	duty, err := plan.Keys(g.Value, of, k.self.Cluster, k.now(), there, takes)
	if err != nil {
		return false, err
	}
	k.waitsFor(g, "key", duty.Turn, -wrapsWritten(&g.Value.Status)) // others may join as fast as it wraps
	if opens, err := k.opensOwn(ctx, v, g, duty.Others); err != nil || !opens && duty.From == 0 {
		return true, err
	}
	switch {
	case duty.Why == v1alpha1.KeyIsOld && !k.mayTry(g.Value.Name):
		return true, nil
	case len(duty.Wrap) > 0:
		err = k.wrapKey(ctx, v, g, duty, to)
	}
	switch {
	case err != nil:
	case duty.Prove:
		err = k.prove(ctx, v, g, duty.Second)
	case len(duty.Second) > 0:
		err = k.wrapOnceMore(ctx, v, g, duty.Second)
	}
	return duty.Waits, err
}

// wrapsWritten counts the wraps of a group, each second one for a recovery recipient too.
func wrapsWritten(s *v1alpha1.RecipientGroupStatus) (n int) {
	for i := range s.Wraps {
		n += len(s.Wraps[i].Forms())
	}
	return n
}

// timeTurns forgets what was seen of others in another term, and as long as there is no leader: nobody could write then.
func (k *keyKeeper) timeTurns(term uint64, led bool) {
	if !led || term != k.term {
		clear(k.turns)
	}
	k.term = term
}

// turnsOf is what was seen of those whose turn it was in a group.
func (k *keyKeeper) turnsOf(g decoded.Object[v1alpha1.RecipientGroup]) *plan.Turns {
	if k.turns[g.Key] == nil {
		k.turns[g.Key] = &plan.Turns{}
	}
	return k.turns[g.Key]
}

// waitsFor says for whom something about a group's present key waits.
func (k *keyKeeper) waitsFor(g decoded.Object[v1alpha1.RecipientGroup], what, on string, left int) {
	turns, now := k.turnsOf(g), time.Now()
	was := turns.Stuck(on, now)
	turns.Waits(what, g.Value.Status.Epoch, on, left, now)
	if !was && turns.Stuck(on, now) {
		k.log.Warn("a member whose turn it is does nothing; it is passed over", "group", g.Value.Name, "cluster", on, "for", what)
	}
}

// mayTry bounds how often a key is made for its age, as the leader's clock judges that.
func (k *keyKeeper) mayTry(group string) bool {
	if last, tried := k.tried[group]; tried && time.Since(last) < forAge {
		return false
	}
	k.tried[group] = time.Now()
	return true
}

// opensOwn opens this member's wrap of a key once, and says whether it opens, or there is none. One that does not is struck if another cluster
// holds the key, so that the key is wrapped anew, and others do meanwhile what would be this one's turn.
func (k *keyKeeper) opensOwn(ctx context.Context, v *store.View, g decoded.Object[v1alpha1.RecipientGroup], others bool) (opens bool, err error) {
	mine := k.age.Recipient().String()
	wrap := g.Value.WrapFor(k.self.Cluster, mine)
	if wrap == nil || bytes.Equal(wrap, k.opened[g.Value.Name]) {
		return true, nil
	}
	if _, err := k.groupKey(g.Value); err == nil {
		k.opened[g.Value.Name] = wrap
		return true, nil
	} else if !bytes.Equal(wrap, k.shut[g.Value.Name]) {
		k.shut[g.Value.Name] = wrap
		k.log.Error("the key of a group cannot be opened; another cluster that holds it is to wrap it anew", "group", g.Value.Name, "err", err)
	}
	if !others {
		return false, nil
	}
	next := g.Value.DeepCopy()
	next.Status = law.Unopened(next.Status, k.self.Cluster, mine, k.second(v))
	return false, k.amendGroup(ctx, v, g, next)
}

// prove says that the present key opens, and so does each that was passed on with it, and wraps it once more for recovery recipients.
func (k *keyKeeper) prove(ctx context.Context, v *store.View, g decoded.Object[v1alpha1.RecipientGroup], second []plan.KeyReader) error {
	ring, err := k.keyring(g.Value)
	if err == nil {
		err = ring.proves()
	}
	if err != nil {
		return err
	}
	next := g.Value.DeepCopy()
	if err := k.addSecond(next, second); err != nil {
		return err
	}
	next.Status = law.Proven(next.Status)
	return k.amendGroup(ctx, v, g, next)
}

// second is this member's time, if it is not far from the log's, else the log's: a key's age is counted from there.
func (c *Core) second(v *store.View) metav1.Time {
	now := c.now()
	if log := v.Time(); now.Sub(log).Abs() > law.MaxKeySkew/2 {
		now = log
	}
	return metav1.Time{Time: now.Truncate(time.Second)}
}

// wrapKey makes the group's key, or takes the one that there is, and wraps it for others.
func (k *keyKeeper) wrapKey(ctx context.Context, v *store.View, g decoded.Object[v1alpha1.RecipientGroup], duty plan.KeyDuty, to recipients) error {
	next := g.Value.DeepCopy()
	key, err := k.keyFor(next, duty, k.second(v))
	if err != nil {
		return err
	}
	wraps, unread := wrapsOf(g.Value, duty, to, key, k.keyOf(next, next.Status.Epoch))
	for i := range wraps {
		wraps[i].By = k.self.Cluster
	}
	for cluster, err := range unread {
		k.warn(next.Name+"/"+cluster, err, "a reader of a group gets no key", "group", next.Name, "cluster", cluster)
	}
	if len(wraps) == 0 {
		return nil // nobody has a recipient that is one
	}
	next.Status.Wraps = append(next.Status.Wraps, wraps...)
	if duty.Why != "" {
		k.log.Info("a group gets another key", "group", next.Name, "epoch", next.Status.Epoch, "because", duty.Why)
	}
	return k.amendGroup(ctx, v, g, next)
}

// wrapOnceMore wraps the present key for recovery recipients for whom another member did.
func (k *keyKeeper) wrapOnceMore(ctx context.Context, v *store.View, g decoded.Object[v1alpha1.RecipientGroup], readers []plan.KeyReader) error {
	next := g.Value.DeepCopy()
	if err := k.addSecond(next, readers); err != nil || reflect.DeepEqual(next, g.Value) {
		return err
	}
	return k.amendGroup(ctx, v, g, next)
}

// addSecond adds the present key, wrapped once more for recovery recipients.
func (k *keyKeeper) addSecond(g *v1alpha1.RecipientGroup, readers []plan.KeyReader) error {
	if len(readers) == 0 {
		return nil
	}
	key, err := k.groupKey(g)
	if err != nil {
		return err
	}
	for _, r := range readers {
		to, err := secrets.ParseRecipient(r.Recipient)
		if err != nil {
			continue // who wraps it first says so
		}
		wrap, err := secrets.Wrap(to, k.keyOf(g, g.Status.Epoch), key)
		if err != nil {
			return err
		}
		for i := range g.Status.Wraps {
			if w := &g.Status.Wraps[i]; w.WantsSecond() && w.Epoch == g.Status.Epoch && w.Key == v1alpha1.KeyID(r.Recipient) {
				w.Second = &v1alpha1.SecondWrap{By: k.self.Cluster, Wrap: wrap}
			}
		}
	}
	return nil
}

// tellOfWraps says for which recovery recipients this member has wrapped the key of a group, once for each: a leader that lies can take all other
// traces of it back. It has the wraps also when it says that it did not write them.
func (k *keyKeeper) tellOfWraps(was, is *v1alpha1.RecipientGroup, err error) {
	said := "a recovery recipient gets the key of a group"
	if err != nil {
		said = "a recovery recipient may get the key of a group: it was wrapped for it, and is not known to be written"
	}
	for _, w := range addedFor(was, is, k.self.Cluster) {
		if of := said + "/" + is.Name + "/" + w.Key; !k.people[of] {
			k.people[of] = true
			k.log.Info(said, "group", is.Name, "epoch", w.Epoch, "recipient", w.Key)
		}
	}
}

// addedFor are the wraps for recovery recipients that a cluster's member adds to a group, the first or the second one, and that open.
func addedFor(was, is *v1alpha1.RecipientGroup, self string) (added []v1alpha1.KeyWrap) {
	for _, w := range is.Status.Wraps {
		wrote := w.By == self && w.Opens() || w.Second != nil && w.Second.By == self
		had := func(o v1alpha1.KeyWrap) bool { return reflect.DeepEqual(o, w) }
		if w.Cluster == "" && wrote && !slices.ContainsFunc(was.Status.Wraps, had) {
			added = append(added, w)
		}
	}
	return added
}

// recipients are those for whom a key may be wrapped.
type recipients func(plan.KeyReader) (secrets.Recipient, error)

// recipients are as people wrote them, and those of clusters as each member signed its own: whoever puts another one there gets nothing.
func (k *keyKeeper) recipients(v *store.View) recipients {
	members := map[string][]store.Member{}
	for _, m := range v.Members() {
		members[m.Cluster] = append(members[m.Cluster], m)
	}
	return func(r plan.KeyReader) (secrets.Recipient, error) {
		own := r.Cluster == k.self.Cluster && r.Recipient == k.age.Recipient().String()
		if r.Cluster != "" && !own {
			var c v1alpha1.Cluster
			if kv, _ := v.Get(v1alpha1.KeyClusters + r.Cluster); json.Unmarshal(kv.Value, &c) != nil {
				return secrets.Recipient{}, errors.New("it cannot be read")
			}
			of := members[r.Cluster]
			switch len(of) {
			case 0:
				return secrets.Recipient{}, errors.New("it has no member now")
			case 1:
			default:
				return secrets.Recipient{}, fmt.Errorf("the log has %d members for it, and which of them is its own nobody can say: an honest leader writes one", len(of))
			}
			m := of[0]
			signed := transport.OwnRecipient{Fleet: k.self.Fleet, Cluster: r.Cluster, Pin: transport.Pin(m.Pin), Recipient: r.Recipient}
			if since := c.Status.RecipientSince; since != nil {
				signed.Since = since.Time
			}
			if err := signed.Verify(m.Certificate, c.Status.RecipientSignature); err != nil {
				return secrets.Recipient{}, err
			}
		}
		return secrets.ParseRecipient(r.Recipient)
	}
}

// wrapsOf are the wraps of a key for those that a duty names, and why some get none. What stands as the recipient of a cluster may be none: it gets
// no wrap of a key that stays, but one that nobody opens of another key if somebody gave it one of the key before, as the law wants one for it.
func wrapsOf(g *v1alpha1.RecipientGroup, duty plan.KeyDuty, recipient recipients, key secrets.Identity, name secrets.Key) (wraps []v1alpha1.KeyWrap, unread map[string]error) {
	unread = map[string]error{}
	for _, reader := range duty.Wrap {
		w := v1alpha1.KeyWrap{Cluster: reader.Cluster, Key: v1alpha1.KeyID(reader.Recipient), Epoch: name.Epoch}
		to, err := recipient(reader)
		if err == nil {
			w.Wrap, err = secrets.Wrap(to, name, key)
		}
		if err != nil {
			unread[reader.Cluster] = err
			if !duty.Make || !g.HadWrap(reader.Cluster, reader.Recipient) {
				continue
			}
			w.Wrap = v1alpha1.NoWrap
		}
		wraps = append(wraps, w)
	}
	return wraps, unread
}

// amendGroup writes the keys of a group. Only one write of a group is in time: what was overtaken was done by somebody else, or is done
// after the next look.
func (k *keyKeeper) amendGroup(ctx context.Context, v *store.View, g decoded.Object[v1alpha1.RecipientGroup], next *v1alpha1.RecipientGroup) error {
	kv, _ := v.Get(g.Key)
	op, err := law.Amend(kv, g.Value, next)
	if err != nil {
		return err
	}
	_, err = k.node.Propose(ctx, consensus.Proposal{Txn: store.Txn{If: []store.Condition{store.KeyAt(g.Key, g.Modified)}, Then: []store.Op{op}}})
	k.tellOfWraps(g.Value, next, err)
	if errors.As(err, new(*store.Conflict)) {
		return nil
	}
	return err
}

// keyFor is the group's key: the one that this member holds, or a new one, which it writes down without a wrap.
func (k *keyKeeper) keyFor(g *v1alpha1.RecipientGroup, duty plan.KeyDuty, now metav1.Time) (secrets.Identity, error) {
	if !duty.Make {
		return k.groupKey(g)
	}
	key, err := secrets.NewIdentity()
	if err != nil {
		return key, err
	}
	recipient := key.Recipient().String()
	if duty.Why == "" {
		g.Status = v1alpha1.RecipientGroupStatus{Recipient: recipient, Epoch: 1, Begun: &now, By: k.self.Cluster, Rotated: g.Spec.Rotate}
		return key, nil
	}
	from := g.Status.Epoch
	if duty.From > 0 {
		from = duty.From
	}
	ring, err := k.keyring(g)
	if err != nil {
		return key, err
	}
	last, err := ring.at(from)
	if err != nil {
		return key, err
	}
	former, err := secrets.Wrap(key.Recipient(), k.keyOf(g, from), last)
	if err != nil {
		return key, err
	}
	may := func(cluster, id string) bool {
		return slices.ContainsFunc(duty.Wrap, func(r plan.KeyReader) bool { return r.Cluster == cluster && v1alpha1.KeyID(r.Recipient) == id })
	}
	g.Status = law.Rotated(g, may, law.NewKey{By: k.self.Cluster, Recipient: recipient, Begun: now, From: from, Former: former})
	return key, nil
}

func (c *Core) keyOf(g *v1alpha1.RecipientGroup, epoch int64) secrets.Key {
	return secrets.Key{Fleet: c.self.Fleet, Group: g.Name, Epoch: epoch}
}

// groupKey unwraps the present key of a group.
func (c *Core) groupKey(g *v1alpha1.RecipientGroup) (secrets.Identity, error) {
	wrap := g.WrapFor(c.self.Cluster, c.age.Recipient().String())
	if wrap == nil {
		return secrets.Identity{}, fmt.Errorf("cluster %s has no key of group %s; a member of the group wraps it for clusters that the group's selector picks: hanse get recipientgroup %[2]s -o yaml", c.self.Cluster, g.Name)
	}
	key, err := secrets.Unwrap(c.age, c.keyOf(g, g.Status.Epoch), g.Status.Recipient, wrap)
	if err != nil {
		return key, fmt.Errorf("the key of group %s cannot be unwrapped: %w", g.Name, err)
	}
	return key, nil
}

// unrecovered are the names of groups that no recovery recipient can read.
func (c *Core) unrecovered(v *store.View) (names []string) {
	groups, of := c.decoded.KeyGroups(v)
	for _, g := range groups {
		if len(g.Value.Spec.Recovery(&of.Fleet)) == 0 {
			names = append(names, g.Value.Name)
		}
	}
	return names
}

// unreadLines are a line each for groups and secrets that cannot be read.
func (c *Core) unreadLines(v *store.View) (lines []string) {
	_, groups := c.decoded.Groups.Readable(v)
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		lines = append(lines, law.Thing(key)+" cannot be read: what is sealed for it is neither rolled out nor sealed again, and stays where it is; no version of ours wrote that; "+restoreHint)
	}
	_, secrets := c.decoded.Bundles.Secrets.Readable(v)
	for _, key := range slices.Sorted(maps.Keys(secrets)) {
		lines = append(lines, law.Thing(key)+" cannot be read: it is not rolled out, and stays where it is; no version of ours wrote that; "+restoreHint)
	}
	return lines
}

const restoreHint = "restore a backup from before it was written: docs/recovery.md"

// groupsAtRisk are a line each for groups that nobody may be able to open for, now or soon.
func (c *Core) groupsAtRisk(v *store.View) (lines []string) {
	groups, of := c.decoded.KeyGroups(v)
	if len(groups) == 0 {
		return nil
	}
	seen, now := c.sightings(v), time.Now()
	there := func(cluster string) bool { return cluster == c.self.Cluster || seen[cluster].Fresh(now) }
	for _, g := range groups {
		if said := plan.GroupAtRisk(g.Value, of, v.Time(), there); said != "" {
			lines = append(lines, said)
		}
	}
	return lines
}
