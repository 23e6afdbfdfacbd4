package agent

import (
	"context"
	"testing"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
)

func TestNoVoteIsPromisedToAMemberWithoutACluster(t *testing.T) {
	id := store.MemberID("11111111-1111-4111-8111-111111111111")
	c := &Core{store: storetest.Store(t, store.Member{ID: id, Cluster: "fra", Region: "eu", Pin: store.Pin{1}, Eligible: true}, nil)}
	_, err := c.promiseVote(context.Background(), 1, id)
	if err == nil || err.Error() != `promise the vote: the fleet has no cluster "fra"` {
		t.Errorf("got %v", err)
	}
}
