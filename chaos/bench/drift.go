package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

const (
	// edits are made with quorum, and as many without, each of another object.
	edits = 400
	// fought is for how long somebody sets a field back as often as ours is right again.
	fought = 10 * time.Second
	kept   = "kept"
)

var writes = unit{name: "writes"}

// drift measures from an edit's being sent to the event of its repair, with a thousand objects under management.
func (b *bed) drift(ctx context.Context) (rows []Row, err error) {
	s, err := b.realClusters(ctx, "drift", 3, testbed.Options{})
	if err != nil {
		return nil, err
	}
	defer s.close()
	last := s[2]
	if _, err := typed(ctx, s[0].member.Person(), string(configMaps(kept, thousand)), "apply", "--bundle", kept, "--clusters", last.name, "-f", "-", "--wait"); err != nil {
		return nil, err
	}
	b.say("%d edits", edits)
	took, err := last.repairs(ctx, 0, edits)
	if err != nil {
		return nil, err
	}
	rows = percentiles("drift repair, 1,000 objects", took, atMost(40, inMilliseconds), atMost(250, inMilliseconds))
	peaceful, err := last.besides(ctx, "c990")
	if err != nil {
		return rows, err
	}
	b.say("somebody fights for %s", fought)
	ours, err := last.fight(ctx, "c991")
	if err != nil {
		return rows, err
	}
	b.say("without quorum")
	for _, other := range s[:2] {
		if err := other.member.Kill(); err != nil {
			return rows, err
		}
	}
	if err := until(ctx, func() error { return last.alone(ctx) }); err != nil {
		return rows, err
	}
	if took, err = last.repairs(ctx, edits, 2*edits); err != nil {
		return rows, err
	}
	if err := last.alone(ctx); err != nil {
		return rows, err
	}
	rows = append(rows, percentiles("drift repair without quorum", took, atMost(40, inMilliseconds), atMost(250, inMilliseconds))...)
	return append(rows,
		newRow("answers to 200 writes of fields that are not ours", writes, []float64{peaceful}, nil, atMost(0, writes)),
		newRow("answers to 10 s of a fight over one field", writes, []float64{ours}, nil, atMost(12, writes))), nil
}

// alone fails while the member has a quorum.
func (s *site) alone(ctx context.Context) error {
	status, err := s.member.Status(ctx)
	if err == nil && status.Quorum.Have {
		err = errors.New("there is a quorum")
	}
	return err
}

// repairs edits one object after the other, those with these numbers.
func (s *site) repairs(ctx context.Context, from, to int) (took []time.Duration, err error) {
	events, stop, err := s.events(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	for i := from; i < to; i++ {
		name, broken := fmt.Sprintf("c%d", i), false
		begun := time.Now()
		if err := s.set(ctx, name, "value", "by hand"); err != nil {
			return nil, err
		}
		at, err := awaitEvent(ctx, events, func(_ watch.EventType, c *corev1.ConfigMap) bool {
			broken = broken || c.Name == name && c.Data["value"] == "by hand"
			return broken && c.Name == name && c.Data["value"] == value
		})
		if err != nil {
			return nil, err
		}
		took = append(took, at.Sub(begun))
	}
	return took, nil
}

func (s *site) events(ctx context.Context) (<-chan watch.Event, func(), error) {
	list, err := s.client.CoreV1().ConfigMaps(kept).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return nil, nil, err
	}
	w, err := s.client.CoreV1().ConfigMaps(kept).Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return nil, nil, err
	}
	return w.ResultChan(), w.Stop, nil
}

func (s *site) set(ctx context.Context, name, field, to string) error {
	patch := fmt.Appendf(nil, `{"data":{%q:%q}}`, field, to)
	_, err := s.client.CoreV1().ConfigMaps(kept).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "somebody"})
	return err
}

// besides counts what is written to an object beside 200 writes of a field that the bundle does not set.
func (s *site) besides(ctx context.Context, name string) (float64, error) {
	events, stop, err := s.events(ctx)
	if err != nil {
		return 0, err
	}
	defer stop()
	const own = 200
	for i := range own {
		if err := s.set(ctx, name, "theirs", fmt.Sprint(i)); err != nil {
			return 0, err
		}
	}
	if err := rest(ctx, time.Second); err != nil { // what answers takes milliseconds
		return 0, err
	}
	if err := s.set(ctx, name, "theirs", "last"); err != nil {
		return 0, err
	}
	seen := 0
	_, err = awaitEvent(ctx, events, func(_ watch.EventType, c *corev1.ConfigMap) bool {
		if c.Name == name {
			seen++
		}
		return c.Name == name && c.Data["theirs"] == "last"
	})
	return float64(seen - own - 1), err
}

// fight counts how often an object is put right while somebody sets it back at once each time.
func (s *site) fight(ctx context.Context, name string) (float64, error) {
	events, stop, err := s.events(ctx)
	if err != nil {
		return 0, err
	}
	defer stop()
	if err := s.set(ctx, name, "value", "theirs"); err != nil {
		return 0, err
	}
	right, end, broken := 0.0, time.After(fought), false
	for {
		select {
		case e, open := <-events:
			c, ok := e.Object.(*corev1.ConfigMap)
			if !open || !ok {
				return 0, fmt.Errorf("a watch ended: %v", e.Object)
			}
			if c.Name != name {
				continue
			}
			if c.Data["value"] == "theirs" {
				broken = true
			} else if broken && c.Data["value"] == value {
				right, broken = right+1, false
				if err := s.set(ctx, name, "value", "theirs"); err != nil {
					return 0, err
				}
			}
		case <-end:
			if right == 0 {
				return 0, errors.New("nothing was put right")
			}
			return right, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}
