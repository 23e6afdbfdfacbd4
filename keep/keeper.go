package keep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/internal/trouble"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// Log is the fleet's log around a Keeper, which asks from one goroutine. Changed and Propose may block.
type Log interface {
	// View is the log as the member has it now.
	View() *store.View
	// Changed returns when a key with one of the prefixes was written after a revision, or nobody knows any more. Its error is why nobody will know.
	Changed(ctx context.Context, prefixes []string, after store.Revision) error
	// Propose writes a transaction. A *store.Conflict means that it was overtaken.
	Propose(ctx context.Context, txn store.Txn) error
	// Term is that of the leader, and whether there is one.
	Term() (term uint64, led bool)
}

// Config says what a Keeper works with. All of it is needed.
type Config struct {
	Holder Holder
	Log    Log
	Kinds  decoded.Kinds
	// Heard says which clusters of a view have a member that is heard now.
	Heard func(v *store.View) (is func(cluster string) bool)
	// Signed says why a recipient is not the one that its cluster's member signed as its own, as the cluster's status has the signature; nil: it is.
	Signed func(member store.Member, recipient string, status *v1alpha1.ClusterStatus) error
	// Now is the wall clock: for what is written down.
	Now    func() time.Time
	Logger *slog.Logger
}

// tick is how often a Keeper looks even though nothing was written: who is there depends on time.
const tick = time.Second

// keysFrom are the prefixes that keys of groups follow from, and keyed those that how secrets are sealed does, too.
var (
	keysFrom = []string{v1alpha1.KeyRecipientGroups, v1alpha1.KeyClusters, v1alpha1.KeyFleets, store.KeyMembers}
	keyed    = append([]string{decoded.SealedRevisions, v1alpha1.KeySealings}, keysFrom...)
)

// Keeper keeps the keys of groups that its member's cluster is of, and what is sealed for them. It is used from one goroutine.
type Keeper struct {
	Holder
	config Config
	log    *slog.Logger
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

// New makes a Keeper that has looked at nothing yet.
func New(c Config) *Keeper {
	return &Keeper{
		Holder: c.Holder, config: c, log: c.Logger,
		opened: map[string][]byte{}, shut: map[string][]byte{}, tried: map[string]time.Time{}, unread: map[string]string{}, people: map[string]bool{}, turns: map[string]*plan.Turns{},
		looks: map[string]keyLook{}, sealers: map[string]knownSealers{},
	}
}

// Run makes the keys of groups that the member's cluster is of, wraps them for others of the group, makes others in their place, and seals again what was
// sealed to a former one: when it is the member's turn. It returns nil when ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	var stuck trouble.Trouble
	for ctx.Err() == nil {
		v := k.config.Log.View()
		waits, err := k.keep(ctx, v)
		if ctx.Err() != nil {
			return nil
		}
		stuck.Tell(k.log, "could not keep the keys of groups", err)
		switch {
		case err != nil:
			pause.For(ctx, tick)
		case waits:
			k.await(ctx, v.Revision())
		default:
			if err := k.config.Log.Changed(ctx, keyed, v.Revision()); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
	return nil
}

// await returns when something is written that keys or sealings follow from, or after a tick.
func (k *Keeper) await(ctx context.Context, after store.Revision) {
	ctx, cancel := context.WithTimeout(ctx, tick)
	defer cancel()
	if k.config.Log.Changed(ctx, keyed, after) != nil {
		<-ctx.Done()
	}
}

// keep does what is this member's to do now, and says whether something waits for others.
func (k *Keeper) keep(ctx context.Context, v *store.View) (waits bool, err error) {
	groups, garbled := k.config.Kinds.Groups.Readable(v)
	k.tellUnread(garbled)
	defer func() { k.letGo(groups) }()
	if len(groups) == 0 {
		return false, nil
	}
	of, err := k.config.Kinds.Candidates(v)
	if err != nil {
		return false, err
	}
	k.timeTurns(k.config.Log.Term())
	heard, now := sync.OnceValue(func() func(string) bool { return k.config.Heard(v) }), time.Now()
	for _, g := range groups {
		turns := k.turnsOf(g)
		there := func(cluster string) bool { return heard()(cluster) && !turns.Stuck(cluster, now) }
		more, why := k.lookAtKey(ctx, v, g, of, there)
		later, whyNot := k.keepSealed(ctx, v, g, of, there)
		waits, why = waits || more || later, errors.Join(why, whyNot)
		if why != nil { // the other groups are not to wait for it
			err = errors.Join(err, fmt.Errorf("%s: %w", law.Thing(g.Key), why))
		}
	}
	return waits, err
}

// letGo forgets what is due about secrets, and how they were, once this member holds the key of no group.
func (k *Keeper) letGo(groups []decoded.Object[v1alpha1.RecipientGroup]) {
	if !slices.ContainsFunc(groups, func(g decoded.Object[v1alpha1.RecipientGroup]) bool { return k.sealers[g.Key].Holds() }) {
		k.dues = sealDues{}
	}
}

// tellUnread says of what cannot be read, once, that this member leaves it alone. It is tried again when it changes.
func (k *Keeper) tellUnread(garbled map[string]error) {
	for key, err := range garbled {
		k.warn(key, err, "a part of the log cannot be read; it is left as it is, and so is what is sealed for it", "what", law.Thing(key))
	}
}

// warn says why something is not done, once for as long as it is the same.
func (k *Keeper) warn(of string, why error, message string, about ...any) {
	if k.unread[of] != why.Error() {
		k.unread[of] = why.Error()
		k.log.Warn(message, append(about, "err", why)...)
	}
}
