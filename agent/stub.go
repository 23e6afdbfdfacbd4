package agent

import (
	"context"
	"errors"
)

// Healthy fails while the member's raft loop or disk do not answer.
type Healthy func(ctx context.Context) error

// Init founds a fleet: it makes the data directory, the member's identity and the first admin's certificate. The
// fleet exists once Run has been started on the directory.
func Init(o InitOptions) (InitResult, error) { return InitResult{}, errors.New("not there yet") }

// Join enrols a new cluster: it makes the data directory and the identity, and asks the fleet, through an address
// of the token, to let the member in. Repeating it with the same token and directory gets the same answer.
func Join(ctx context.Context, o JoinOptions) (JoinResult, error) {
	return JoinResult{}, errors.New("not there yet")
}

// Run runs the member of a data directory until ctx ends (nil), it is removed from the fleet (ErrRemoved), or
// something fails that it cannot go on with.
func Run(ctx context.Context, o Options) error { return errors.New("not there yet") }

// ErrRemoved means that the fleet removed this member. Its workloads go on; its data directory is of no more use.
var ErrRemoved = errors.New("this member was removed from the fleet")
