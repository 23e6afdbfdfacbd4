package agent

import (
	"errors"
	"fmt"
	"io/fs"

	"filippo.io/age"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/transport"
)

// Survey says what a member has whose agent does not run. It changes nothing.
func Survey(path string, with *age.HybridIdentity) (epoch.Statement, error) {
	dir, me, release, err := stopped(path, with)
	if err != nil {
		return epoch.Statement{}, err
	}
	defer release()
	if err := dir.unfinished(); err != nil {
		return epoch.Statement{}, err
	}
	s, _, _, err := dir.survey(me)
	return s, err
}

// stopped opens and locks the directory of a member that does not run.
func stopped(path string, with *age.HybridIdentity) (d dataDir, me self, release func(), err error) {
	if d, me, err = openMember(path, with); err != nil {
		return d, me, nil, err
	}
	if me.Removed {
		return d, me, nil, fmt.Errorf("%w (%s of fleet %s): it has no say in a recovery", ErrRemoved, me.Cluster, me.Fleet)
	}
	release, err = d.lock()
	return d, me, release, err
}

func (d dataDir) survey(me self) (epoch.Statement, consensus.Survey, *store.View, error) {
	v, found, err := d.inspect(d.raft())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return epoch.Statement{}, found, nil, fmt.Errorf("there is no log of %s in %s: it never ran, or its disk is lost; recover on a survivor that has one", me.Cluster, d)
	case err != nil:
		return epoch.Statement{}, found, nil, fmt.Errorf("read log of %s: %w; nothing was changed; recover on another survivor, if there is one", me.Cluster, err)
	}
	return stateOf(me, v, found), found, v, nil
}

// inspect reads a log that no node runs on.
func (d dataDir) inspect(path string) (*store.View, consensus.Survey, error) {
	st := store.New(law.Authority{Address: transport.CheckAddress, Kept: &law.Kept{}})
	found, err := consensus.Inspect(path, d.key, st)
	return st.View(), found, err
}

// statement is what a member that runs has.
func (c *Core) statement() epoch.Statement { return stateOf(c.self, c.store.View(), c.node.Survey()) }

func stateOf(me self, v *store.View, found consensus.Survey) epoch.Statement {
	s := epoch.Statement{Fleet: me.Fleet, Cluster: me.Cluster, Member: store.MemberID(me.Incarnation), LastTerm: found.LastTerm, LastIndex: found.LastIndex}
	return s.Of(v, found.Voters)
}
