package agent

import (
	"context"
	"errors"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Healthy fails while the member's raft loop or disk do not answer.
type Healthy func(ctx context.Context) error

// Run runs the member of a data directory until ctx ends (nil), it is removed from the fleet (ErrRemoved), or
// something fails that it cannot go on with.
func Run(ctx context.Context, o Options) error { return errors.New("not there yet") }

// ErrRemoved means that the fleet removed this member. Its workloads go on; its data directory is of no more use.
var ErrRemoved = errors.New("this member was removed from the fleet")

func cutGrantKey(key string) (cluster, bundle string) {
	cluster, bundle, _ = strings.Cut(strings.TrimPrefix(key, v1alpha1.KeyGrants), "/")
	return cluster, bundle
}
