package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

const (
	// calm is how long a member with a thousand objects is left alone, and then how long it is watched.
	calm = 40 * time.Second
	// everything is what the kube-apiserver is to write down.
	everything = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"
)

var perMinute = unit{name: "/min"}

// steady measures what a member with a thousand objects costs while nothing happens, and what it asks its kube-apiserver, whose
// audit log has every request.
func (b *bed) steady(ctx context.Context) ([]Row, error) {
	s, err := b.realClusters(ctx, "steady", 1, testbed.Options{AuditPolicy: everything})
	if err != nil {
		return nil, err
	}
	defer s.close()
	one := s[0]
	if _, err := typed(ctx, one.member.Person(), string(configMaps(kept, thousand)), "apply", "--bundle", kept, "--to", "all", "-f", "-", "--wait"); err != nil {
		return nil, err
	}
	b.say("left alone, and then watched, for %s each", calm)
	if err := rest(ctx, calm); err != nil {
		return nil, err
	}
	log, err := os.Stat(one.cluster.AuditLog())
	if err != nil {
		return nil, err
	}
	before, err := cpuSeconds(one.member.Pid())
	if err != nil {
		return nil, err
	}
	if err := rest(ctx, calm); err != nil {
		return nil, err
	}
	after, err := cpuSeconds(one.member.Pid())
	if err != nil {
		return nil, err
	}
	mib, err := residentMiB(one.member.Pid())
	if err != nil {
		return nil, err
	}
	asked, err := requestsSince(one.cluster.AuditLog(), log.Size())
	if err != nil {
		return nil, err
	}
	row := func(name string, u unit, v float64, goal *target) Row {
		return newRow(name, u, []float64{v}, nil, goal)
	}
	rows := []Row{
		row("1,000 objects at rest, processor", inMilliCPU, (after-before)/calm.Seconds()*1000, atMost(20, inMilliCPU)),
		row("1,000 objects at rest, memory", inMiB, mib, atMost(128, inMiB)),
	}
	for _, kind := range []struct {
		name string
		goal *target
	}{{aboutObjects, atMost(0, perMinute)}, {isWatch, nil}, {isLease, nil}, {isHealth, nil}, {isOther, nil}} {
		rows = append(rows, row("1,000 objects at rest, "+kind.name, perMinute, float64(len(asked[kind.name]))/calm.Minutes(), kind.goal))
	}
	for _, other := range asked[isOther] {
		b.say("asked: %s", other)
	}
	return rows, nil
}

// What a member asks its kube-apiserver.
const (
	aboutObjects = "requests about them"
	isWatch      = "watches renewed"
	isLease      = "its lease renewed"
	isHealth     = "is the apiserver well"
	isOther      = "the member's own survey"
)

// requestsSince are the requests of members that an audit log has from an offset on, by what they are.
func requestsSince(path string, offset int64) (map[string][]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	asked := map[string][]string{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e auditv1.Event
		if err := json.Unmarshal(bytes.TrimSpace(lines.Bytes()), &e); err != nil {
			return nil, fmt.Errorf("read audit log: %w", err)
		}
		// A watch has a line when it begins and one when it ends.
		if !strings.HasPrefix(e.UserAgent, "hanse") || e.Stage == auditv1.StageResponseStarted {
			continue
		}
		kind := kindOfRequest(e)
		asked[kind] = append(asked[kind], e.Verb+" "+e.RequestURI)
	}
	return asked, lines.Err()
}

func kindOfRequest(e auditv1.Event) string {
	path, _, _ := strings.Cut(e.RequestURI, "?")
	switch {
	case e.Verb == "watch":
		return isWatch
	case strings.Contains(path, "/leases/"):
		return isLease
	case path == "/readyz" || path == "/version":
		return isHealth
	case strings.Contains(path, "/configmaps") || strings.Contains(path, "/namespaces/"+kept):
		return aboutObjects
	}
	return isOther
}
