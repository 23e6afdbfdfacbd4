package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// In the product the API server is part of a member's process; etcd's clients are always outside. So a member also takes
// a load from inside: GET /inside?clients=N&warm=D&measured=D on its Debug address answers with a load as JSON.

func (m *member) serveInside(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	clients, errClients := strconv.Atoi(q.Get("clients"))
	warm, errWarm := time.ParseDuration(q.Get("warm"))
	measured, errMeasured := time.ParseDuration(q.Get("measured"))
	if errClients != nil || errWarm != nil || errMeasured != nil {
		http.Error(w, "want clients, warm and measured", http.StatusBadRequest)
		return
	}
	l := drive(r.Context(), clients, warm, measured, func(ctx context.Context, _ int) error {
		op := store.Put(fmt.Sprintf("%skey-%d", prefix, rand.IntN(keys)), []byte(text(valueSize)))
		_, err := m.node.Propose(ctx, consensus.Proposal{Txn: store.Txn{Then: []store.Op{op}}})
		return err
	})
	_ = json.NewEncoder(w).Encode(l) // whoever asked sees that the answer is cut off
}

// runInside has a member of ours write to itself.
func runInside(ctx context.Context, n *node, clients int, measured time.Duration) (l load, err error) {
	q := url.Values{"clients": {strconv.Itoa(clients)}, "warm": {warm.String()}, "measured": {measured.String()}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.debug+"/inside?"+q.Encode(), nil)
	if err != nil {
		return l, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return l, err
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&l); err != nil {
		return l, fmt.Errorf("load inside %s: %w", n.name, err)
	}
	return l, nil
}
