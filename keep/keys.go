package keep

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/secrets"
)

// forAge is the least time between two keys that a member makes for a group because of their age: whether that is reached is judged by
// the leader's clock.
const forAge = time.Minute

// keyLook says that something about a group's key waits, as of a revision of the log and a time.
type keyLook struct {
	revision store.Revision
	at       time.Time
	waits    bool
}

// stands says that a look at a view would find the same: what a key follows from is written as it was, and what waits was looked at a moment ago.
func (l keyLook) stands(v *store.View) bool {
	return l.revision > 0 && !(l.waits && time.Since(l.at) >= tick) && !v.Written(keysFrom, l.revision)
}

// lookAtKey keeps the key of a group, unless it would find what it found last: a key seldom changes, and every member looks whenever a secret does.
func (k *Keeper) lookAtKey(ctx context.Context, v *store.View, g decoded.Object[v1alpha1.RecipientGroup], of plan.Candidates, there func(string) bool) (waits bool, err error) {
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
func (k *Keeper) keepKey(ctx context.Context, v *store.View, g decoded.Object[v1alpha1.RecipientGroup], of plan.Candidates, there func(string) bool) (waits bool, err error) {
	to := k.recipients(v)
	takes := func(r plan.KeyReader) bool { _, err := to(r); return err == nil }
	duty, err := plan.Keys(g.Value, of, k.Cluster, k.config.Now(), there, takes)
	if err != nil {
		return false, err
	}
	k.waitsFor(g, "key", map[string]int{duty.Turn: wrapsWritten(&g.Value.Status)})
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

// mayTry bounds how often a key is made for its age, as the leader's clock judges that.
func (k *Keeper) mayTry(group string) bool {
	if last, tried := k.tried[group]; tried && time.Since(last) < forAge {
		return false
	}
	k.tried[group] = time.Now()
	return true
}

// opensOwn opens this member's wrap of a key once, and says whether it opens, or there is none. One that does not is struck if another cluster
// holds the key, so that the key is wrapped anew, and others do meanwhile what would be this one's turn.
func (k *Keeper) opensOwn(ctx context.Context, v *store.View, g decoded.Object[v1alpha1.RecipientGroup], others bool) (opens bool, err error) {
	mine := k.recipient()
	wrap := g.Value.WrapFor(k.Cluster, mine)
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
	next.Status = law.Unopened(next.Status, k.Cluster, mine, Second(v, k.config.Now()))
	return false, k.amendGroup(ctx, v, g, next)
}

// prove says that the present key opens, and so does each that was passed on with it, and wraps it once more for recovery recipients.
func (k *Keeper) prove(ctx context.Context, v *store.View, g decoded.Object[v1alpha1.RecipientGroup], second []plan.KeyReader) error {
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

// wrapKey makes the group's key, or takes the one that there is, and wraps it for others.
func (k *Keeper) wrapKey(ctx context.Context, v *store.View, g decoded.Object[v1alpha1.RecipientGroup], duty plan.KeyDuty, to recipients) error {
	next := g.Value.DeepCopy()
	key, err := k.keyFor(next, duty, Second(v, k.config.Now()))
	if err != nil {
		return err
	}
	wraps, unread := wrapsOf(g.Value, duty, to, key, k.keyOf(next, next.Status.Epoch))
	for i := range wraps {
		wraps[i].By = k.Cluster
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
func (k *Keeper) wrapOnceMore(ctx context.Context, v *store.View, g decoded.Object[v1alpha1.RecipientGroup], readers []plan.KeyReader) error {
	next := g.Value.DeepCopy()
	if err := k.addSecond(next, readers); err != nil || reflect.DeepEqual(next, g.Value) {
		return err
	}
	return k.amendGroup(ctx, v, g, next)
}

// addSecond adds the present key, wrapped once more for recovery recipients.
func (k *Keeper) addSecond(g *v1alpha1.RecipientGroup, readers []plan.KeyReader) error {
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
				w.Second = &v1alpha1.SecondWrap{By: k.Cluster, Wrap: wrap}
			}
		}
	}
	return nil
}

// tellOfWraps says for which recovery recipients this member has wrapped the key of a group, once for each: a leader that lies can take all other
// traces of it back. It has the wraps also when it says that it did not write them.
func (k *Keeper) tellOfWraps(was, is *v1alpha1.RecipientGroup, err error) {
	said := "a recovery recipient gets the key of a group"
	if err != nil {
		said = "a recovery recipient may get the key of a group: it was wrapped for it, and is not known to be written"
	}
	for _, w := range addedFor(was, is, k.Cluster) {
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
func (k *Keeper) amendGroup(ctx context.Context, v *store.View, g decoded.Object[v1alpha1.RecipientGroup], next *v1alpha1.RecipientGroup) error {
	kv, _ := v.Get(g.Key)
	op, err := law.Amend(kv, g.Value, next)
	if err != nil {
		return err
	}
	err = k.config.Log.Propose(ctx, store.Txn{If: []store.Condition{store.KeyAt(g.Key, g.Modified)}, Then: []store.Op{op}})
	k.tellOfWraps(g.Value, next, err)
	if errors.As(err, new(*store.Conflict)) {
		return nil
	}
	return err
}

// keyFor is the group's key: the one that this member holds, or a new one, which it writes down without a wrap.
func (k *Keeper) keyFor(g *v1alpha1.RecipientGroup, duty plan.KeyDuty, now metav1.Time) (secrets.Identity, error) {
	if !duty.Make {
		return k.groupKey(g)
	}
	key, err := secrets.NewIdentity()
	if err != nil {
		return key, err
	}
	recipient := key.Recipient().String()
	if duty.Why == "" {
		g.Status = v1alpha1.RecipientGroupStatus{Recipient: recipient, Epoch: 1, Begun: &now, By: k.Cluster, Rotated: g.Spec.Rotate}
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
	g.Status = law.Rotated(g, may, law.NewKey{By: k.Cluster, Recipient: recipient, Begun: now, From: from, Former: former})
	return key, nil
}
