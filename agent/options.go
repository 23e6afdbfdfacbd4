package agent

import (
	"log/slog"
	"net"

	"filippo.io/age"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Default addresses of a member. The UDP address is for other members, the TCP address for people.
const (
	DefaultDataDir   = "/var/lib/hanse"
	DefaultListen    = ":7946"
	DefaultAPIListen = ":7947"
)

// InitOptions found a fleet of one cluster.
type InitOptions struct {
	// DataDir is made when it is not there; one that holds a member already is refused.
	DataDir string
	// DataIdentity opens what is private in the data directory, which is encrypted; nil: it is in the clear. So it is in what follows.
	DataIdentity *age.HybridIdentity
	// Fleet, Cluster and Region are DNS labels of at most 63 characters; Zone may be empty.
	Fleet, Cluster, Region, Zone string
	Addresses
	// Rollout is how changes go through the fleet at first; nil: as by default.
	Rollout *v1alpha1.FleetRollout
	// Recovery says which recovery recipients the fleet begins with; nil: none. It is called when nothing else of the directory is in
	// the way, and again when an interrupted try is repeated: then it must say the same.
	Recovery func() ([]string, error)
}

// JoinOptions enrol a new cluster into a fleet.
type JoinOptions struct {
	DataDir      string
	DataIdentity *age.HybridIdentity
	// Cluster is required; Region and Zone are, unless the token says them.
	Cluster, Region, Zone string
	// Token is the text that `hanse token create` printed.
	Token string
	// Former is the data directory of the cluster's member before, whose key it keeps; KeysLost says that what only that opens is lost.
	Former   Former
	KeysLost bool
	// Version of hanse that joins.
	Version string
	// Applies is a version of the log that the program can apply, should that be more than store.Version: in tests only.
	Applies uint64
	// Conn is the socket to ask through; nil: one of its own. A simulation gives one of its network.
	Conn net.PacketConn
	Addresses
}

// Addresses are where a member listens and where others find it. They are kept in the data directory; Options
// may override them at each start.
type Addresses struct {
	// Listen is the UDP host:port for other members, APIListen the TCP host:port for people. Empty: the defaults.
	Listen, APIListen string
	// Advertise are the host:port under which other members reach Listen; empty: Listen itself, when it names a
	// host, or this machine's first global address.
	Advertise []string
	// APIAdvertise is the host:port under which people reach APIListen, by the same rule.
	APIAdvertise string
}

// Options run the member of a data directory.
type Options struct {
	DataDir      string
	DataIdentity *age.HybridIdentity
	// Kubeconfig of the member's own cluster: a file, "in-cluster", or empty for a member without a cluster,
	// which keeps the fleet's state and takes commands but reconciles nothing.
	Kubeconfig string
	// Aggregate puts the fleet's API into the member's own cluster; false takes it out, should it be there.
	Aggregate bool
	// Project shows the fleet in that cluster, in the words of SIG Multicluster, as far as it knows the kinds; InstallCRDs makes
	// their definitions when they are not there.
	Project, InstallCRDs bool
	// ClusterAPI lets people of the fleet ask that cluster's API, in their own name and by its own rules.
	ClusterAPI bool
	// Addresses, where not empty, override those of the data directory.
	Addresses
	// Version of hanse that runs, shown to people.
	Version string
	Logger  *slog.Logger
	// Ready is called once, when the member serves its API. May be nil.
	Ready func()
	// Watch is handed a function that fails while raft or the disk do not answer; a watchdog is fed by it. May be nil.
	Watch func(healthy Healthy)
}

// InitResult is what a person needs to know after founding a fleet.
type InitResult struct {
	// AdminFile holds the first admin's key and certificate, PEM, readable by the owner only.
	AdminFile string
}

// JoinResult is what the fleet answered to a new member.
type JoinResult struct {
	Fleet, Cluster, Region string
	// Members is how many members the fleet had before.
	Members int
	// Kept says that the member has the key of the one before it.
	Kept bool
}
