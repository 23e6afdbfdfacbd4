package bench

import (
	"context"
	"fmt"
	"slices"

	"github.com/hanse-fleet/hanse/chaos/drill"
)

// oneProcessor is what each member of the group has.
const oneProcessor = "GOMAXPROCS=1"

// fewMembers are a group in which nearly all that is to be done is that of who seals again, and of who confirms it.
const fewMembers = 4

// grouped measures how long it takes to seal a thousand secrets again when one of a hundred clusters of a group is removed, and when one of a few is:
// a hundred members on one machine share its processors, so that its own part of the work is seen in the second.
func (b *bed) grouped(ctx context.Context) (rows []Row, err error) {
	for _, members := range []int{fewMembers, b.Clusters} {
		some, err := b.groupOf(ctx, members)
		if rows = append(rows, some...); err != nil {
			return rows, fmt.Errorf("a group of %d: %w", members, err)
		}
	}
	return rows, nil
}

// groupOf measures that with so many clusters. Each is a member process of its own without a cluster, with an identity that the group's key is wrapped
// for. The fleet is frozen meanwhile, so that what is sealed goes nowhere: a hundred thousand Secrets of a hundred clusters are another measurement.
func (b *bed) groupOf(ctx context.Context, size int) ([]Row, error) {
	members, err := b.processes(b.folder(fmt.Sprintf("group-%d", size)), size)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, m := range members {
			_ = m.Kill() // it may have been killed for a row
		}
	}()
	for _, m := range members {
		m.Env = []string{oneProcessor}
	}
	if err := b.gather(ctx, members, func(m *drill.Daemon) error { return m.Start() }); err != nil {
		return nil, err
	}
	last := len(members) - 1
	f := &company{bed: b, first: members[0], stay: members[:last], gone: members[last].Cluster}
	if _, err := typed(ctx, f.first.Person(), "", "freeze", "measured"); err != nil {
		return nil, err
	}
	var names []string
	for _, m := range members {
		names = append(names, m.Cluster)
	}
	if err := f.gets(ctx, names...); err != nil {
		return nil, err
	}
	if err := f.makeThousand(ctx); err != nil {
		return nil, err
	}
	r, err := f.remove(ctx)
	if err != nil {
		return nil, err
	}
	t, _, err := f.told()
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("a write of something else in a group of %d, p99", size)
	rows := append(t.rows(fmt.Sprintf("a cluster is removed from a group of %d → the last of its 1,000 secrets sealed again", size)),
		newRow(name, inMilliseconds, []float64{sorted(r.before).at(0.99)}, nil, nil),
		newRow(name+", while 1,000 secrets are sealed again", inMilliseconds, []float64{sorted(r.meanwhile).at(0.99)}, nil, nil),
		newRow(fmt.Sprintf("until nothing more is written, processor time of the %d that stay", last), coreSeconds, []float64{r.spent.sum()}, nil, nil),
		newRow("of that, more than they took before", coreSeconds, []float64{r.more.sum()}, nil, nil))
	sealer := t.sealer()
	if i := slices.Index(names, sealer); i >= 0 && i < last {
		rows = append(rows,
			newRow("who sealed again, "+sealer, coreSeconds, []float64{r.spent[i]}, nil, nil),
			newRow("of that, more than it took before", coreSeconds, []float64{r.more[i]}, nil, nil))
	}
	return rows, nil
}
