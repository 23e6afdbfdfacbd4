package law

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// Authority is the law of who may write what, checked by every member when a command is applied. It is pure: the
// same state and command give the same answer everywhere, so any change to it needs a new version in the log.
//
// A person's write is allowed when both the person's role and the rights of the member that passed it on allow
// it. The leader's own decisions are allowed all but what onlyForward says: a voter is trusted with the integrity of the fleet.
type Authority struct {
	// Address says whether a text is the address of a member, host:port. Required; whoever carries streams knows it.
	Address func(string) error
	// Kept, when set, is what was read for the transactions before.
	Kept *Kept
}

// write is one op of a transaction, with all that the law looks at.
type write struct {
	asker  asker
	op     store.Op
	prefix string // of the key, and what it says behind it
	name   string
	before []byte      // nil: the key is new
	view   *store.View // before the transaction
	read   bundles
	with   map[string]store.Op // the companions of the whole transaction, by key
	held   *heldGroups         // those of the whole transaction
	law    Authority
	// ofItself says that a member says of itself, or of keys that it holds, what nobody else may say.
	ofItself bool
}

// asker is who wants to write.
type asker struct {
	cluster string // of the member that proposes
	rights  v1alpha1.Rights
	person  string        // empty: the member itself
	role    v1alpha1.Role // of the person; Admin for the member itself
	leading bool
	guest   bool // came through the cluster's own API
}

// Authorize implements store.Authorizer.
func (l Authority) Authorize(v *store.View, who store.Asker, txn store.Txn) error {
	if len(v.Members()) == 0 {
		return nil // the founding transaction
	}
	a, err := identify(v, who)
	if err != nil {
		return err
	}
	if a.leading {
		return onlyForward(v, txn)
	}
	return l.judge(v, a, txn)
}

// judge asks the law about each op: first those that bring companions, then the companions and all others.
func (l Authority) judge(v *store.View, a asker, txn store.Txn) error {
	read, with, proposed, held := bundles{}, map[string]store.Op{}, map[string]store.Op{}, &heldGroups{kept: l.Kept, groups: map[string]heldGroup{}}
	for _, op := range txn.Then {
		proposed[op.Key] = op
	}
	var rest []write
	var reads string
	for _, op := range txn.Then {
		w := write{asker: a, op: op, view: v, read: read, with: with, held: held, law: l}
		w.prefix, w.name = splitKey(op.Key)
		if kv, ok := v.Get(op.Key); ok {
			w.before = kv.Value
		}
		w.ofItself = w.prefix == v1alpha1.KeyClusters && w.name == a.cluster && w.onlyOwnStatus() || w.prefix == v1alpha1.KeyRecipientGroups && w.keepsKeys()
		if w.changesReaders() {
			if reads != "" {
				return fmt.Errorf("%s and %s are changed at once; change one after the other, as each can take a group its last reader", reads, Thing(op.Key))
			}
			reads = Thing(op.Key)
		}
		if !w.brings() {
			rest = append(rest, w)
			continue
		}
		if err := w.refused(); err != nil {
			return err
		}
		if err := w.unsound(proposed); err != nil {
			return err
		}
		if err := w.companions(); err != nil {
			return err
		}
		if err := w.record(proposed); err != nil {
			return err
		}
	}
	for _, w := range rest {
		if err := w.refused(); err != nil {
			return err
		}
		delete(with, w.op.Key)
	}
	for _, missing := range slices.Sorted(maps.Keys(with)) {
		return fmt.Errorf("%s must be written with it", missing)
	}
	return nil
}

// brings says that other ops may have to accompany this one.
func (w write) brings() bool {
	return w.prefix == v1alpha1.KeyBundles || w.prefix == v1alpha1.KeyClusters || w.leavesRecord()
}

func (w write) refused() error {
	if may := rules[w.prefix]; may == nil || !may(w) {
		return fmt.Errorf("%s may not %s %s: %s", w.asker, w.verb(), Thing(w.op.Key), w.why())
	}
	return nil
}

func identify(v *store.View, who store.Asker) (asker, error) {
	m, ok := v.Member(who.Member)
	if !ok {
		return asker{}, fmt.Errorf("%s is no member of the fleet any more; ask another member", who.Member)
	}
	a := asker{cluster: m.Cluster, rights: v1alpha1.Rights(m.Rights), person: who.Person, leading: who.Leading, role: v1alpha1.RoleAdmin}
	if who.Person == "" {
		return a, nil
	}
	if !v1alpha1.Showable(who.Person) {
		return asker{}, errors.New("the person's name has characters that cannot be shown; ask under another name")
	}
	a.leading = false
	if a.guest = v1alpha1.IsGuestOf(m.Cluster, who.Person); a.guest || who.Person == v1alpha1.LocalPerson {
		return a, nil // the cluster's own rules let it, or the socket's; here the member's rights decide
	}
	kv, ok := v.Get(v1alpha1.KeyUsers + who.Person)
	if !ok {
		return asker{}, fmt.Errorf("there is no user %s in the fleet; ask an admin of it for one: hanse user create", who.Person)
	}
	var u v1alpha1.User
	if err := json.Unmarshal(kv.Value, &u); err != nil {
		return asker{}, fmt.Errorf("user %s cannot be read; let an admin write it again: kubectl edit users.%s %s", who.Person, v1alpha1.GroupName, who.Person)
	}
	a.role = u.Spec.Role
	return a, nil
}

func (a asker) String() string {
	switch a.person {
	case "":
		return "the member of " + a.cluster
	case v1alpha1.LocalPerson:
		return "whoever has the socket of the member of " + a.cluster
	}
	return a.person + ", through the member of " + a.cluster + ","
}

func (a asker) admin() bool {
	return a.rights == v1alpha1.RightsAdmin && a.role == v1alpha1.RoleAdmin
}

func (a asker) operator() bool {
	return a.rights == v1alpha1.RightsAdmin && (a.role == v1alpha1.RoleAdmin || a.role == v1alpha1.RoleOperator)
}

func (w write) verb() string {
	switch {
	case w.op.Delete:
		return "delete"
	case w.before == nil:
		return "create"
	}
	return "update"
}
