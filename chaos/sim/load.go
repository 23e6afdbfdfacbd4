package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/check"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/pause"
)

// What clients write are Users whose names begin with ours. Every few seconds, and with every epoch of the fleet, they go
// on to new keys: so no history becomes too long to judge, nor lives longer than what it is about.
const (
	ours       = "sim-"
	stint      = 4 * time.Second
	registers  = 3 // keys of a stint that are objects of their own
	listedKeys = 3 // keys of the one object of a stint that is listed
)

// client repeats what it does until ctx ends. A member that does not run is not asked.
func (p *player) client(ctx context.Context, c Client) {
	rng := rand.New(rand.NewPCG(p.s.Seed, uint64(1000+c.ID)))
	for n := 0; ctx.Err() == nil; n++ {
		if a := p.actor(c.Member); a != nil {
			if core := a.Live(); core != nil {
				p.operate(ctx, core, c, n, rng)
			}
		}
		pause.For(ctx, time.Duration(20+rng.IntN(100))*time.Millisecond)
	}
}

func (p *player) operate(ctx context.Context, core *agent.Core, c Client, n int, rng *rand.Rand) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(300+rng.IntN(3000))*time.Millisecond)
	defer cancel()
	age := int(time.Since(p.begun) / stint)
	op := check.Op{Client: c.ID, Epoch: p.era(), Value: fmt.Sprintf("c%d-%d", c.ID, n)}
	op.Object = fmt.Sprintf("%se%d-r%d-%d", ours, op.Epoch, age, rng.IntN(registers))
	op.Key = op.Object
	if c.Does == "list" || rng.IntN(3) == 0 {
		op.Object = fmt.Sprintf("%se%d-l%d", ours, op.Epoch, age)
		op.Key = fmt.Sprintf("%s-%d", op.Object, rng.IntN(listedKeys))
	}
	switch c.Does {
	case "put":
		op.Kind = check.Put
		p.write(op, func() (store.Result, error) {
			return Propose(ctx, core, v1alpha1.KeyUsers+op.Key, user(op.Key, op.Value))
		})
	case "swap":
		op.Kind = check.Swap
		v := core.Store().View()
		if kv, there := v.Get(v1alpha1.KeyUsers + op.Key); there {
			op.Old, _ = valueOf(kv.Key, kv.Value)
		}
		p.write(op, func() (store.Result, error) {
			swap, err := proposal(core, v, v1alpha1.KeyUsers+op.Key, user(op.Key, op.Value))
			if err != nil {
				return store.Result{}, err
			}
			return core.Node().Propose(ctx, swap)
		})
	case "get":
		op.Kind = check.Get
		p.read(ctx, core, op)
	case "list":
		op.Kind = check.List
		p.read(ctx, core, op)
	}
}

func (p *player) write(op check.Op, do func() (store.Result, error)) {
	op.Call = p.clock.Add(1)
	r, err := do()
	op.Return, op.Revision = p.clock.Add(1), uint64(r.Revision)
	switch {
	case err == nil:
		op.Outcome = check.Done
	case isConflict(err) && op.Kind == check.Swap:
		op.Outcome = check.Refused
	case isConflict(err), isForbidden(err), errors.Is(err, consensus.ErrNoQuorum), errors.Is(err, consensus.ErrClosed):
		p.surelyNot(op)
		return
	default:
		op.Outcome = check.Unknown
	}
	p.record(op)
}

func (p *player) read(ctx context.Context, core *agent.Core, op check.Op) {
	op.Call = p.clock.Add(1)
	if _, err := core.Node().Read(ctx); err != nil {
		return
	}
	v := core.Store().View()
	if op.Kind == check.Get {
		kv, _ := v.Get(v1alpha1.KeyUsers + op.Key)
		op.Seen, _ = valueOf(kv.Key, kv.Value)
	} else {
		op.Listed = map[string]string{}
		for _, kv := range v.List(v1alpha1.KeyUsers + op.Object + "-") {
			op.Listed[strings.TrimPrefix(kv.Key, v1alpha1.KeyUsers)], _ = valueOf(kv.Key, kv.Value)
		}
	}
	op.Return = p.clock.Add(1)
	p.record(op)
}

func (p *player) record(op check.Op) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.history = append(p.history, op)
}

// surelyNot keeps a write of which its member said that it was not made.
func (p *player) surelyNot(op check.Op) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.denied = append(p.denied, op)
}

// user is the value that a client writes.
func user(name, value string) []byte {
	return fmt.Appendf(nil, `{"kind":"User","apiVersion":%q,"metadata":{"name":%q},"spec":{"pin":%q}}`, v1alpha1.SchemeGroupVersion, name, value)
}

// valueOf is the reverse of user; ours is false for keys that no client writes.
func valueOf(key string, data []byte) (value string, isOurs bool) {
	if !strings.HasPrefix(key, v1alpha1.KeyUsers+ours) {
		return "", false
	}
	var u v1alpha1.User
	if json.Unmarshal(data, &u) != nil {
		return "garbled", true
	}
	return u.Spec.Pin, true
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
