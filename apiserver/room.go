package apiserver

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hanse-fleet/hanse/apiserver/kvstorage"
)

// room is the memory that what watches send may fill until it is taken. Seats are bytes.
type room struct {
	seats   *seats
	cluster string
}

var _ kvstorage.Room = room{}

// most is what one event takes at most, so that the largest fits, too.
func most(n int) int { return min(n, roomBytes/2) }

// Now implements kvstorage.Room.
func (r room) Now(ctx context.Context, n int) (giveBack func(), ok bool) {
	return r.seats.now(Asking(ctx).Person, most(n))
}

// Wait implements kvstorage.Room. Who waits in vain is told what it shares the room with: its own other watches.
func (r room) Wait(ctx context.Context, n int) (giveBack func(), err error) {
	who := Asking(ctx).Person
	giveBack, err = r.seats.take(ctx, who, most(n))
	if err != nil && ctx.Err() == nil {
		return nil, apierrors.NewTooManyRequests(fmt.Sprintf("the member of %s has more under way to %s than its share, and its watches do not take it; read faster, or watch less at once", r.cluster, who), 1)
	}
	return giveBack, err
}
