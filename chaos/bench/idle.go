package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// quiet is for how long an idle process is watched.
const quiet = 10 * time.Second

// idle measures what the leader and a follower of three cost when nobody asks anything.
func (b *bed) idle(ctx context.Context) ([]Row, error) {
	trios, err := b.nearby(ctx)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, at := range []string{leading, following} {
		var pids []int
		for _, t := range trios {
			n, err := t.at(ctx, at)
			if err != nil {
				return rows, err
			}
			pids = append(pids, n.process.Process.Pid)
		}
		u, err := watchIdle(ctx, pids...)
		if err != nil {
			return rows, err
		}
		rows = append(rows,
			newRow("idle after all of this, "+at+" of three, processor", inMilliCPU, []float64{u[0].mCPU}, []float64{u[1].mCPU}, nil),
			newRow("idle after all of this, "+at+" of three, memory", inMiB, []float64{u[0].mib}, []float64{u[1].mib}, nil))
	}
	return rows, nil
}

// usage is what a process takes.
type usage struct{ mCPU, mib float64 }

// watchIdle is what processes use while nobody asks anything.
func watchIdle(ctx context.Context, pids ...int) ([]usage, error) {
	if err := rest(ctx, quiet/2); err != nil {
		return nil, err
	}
	before := make([]float64, len(pids))
	for i, pid := range pids {
		var err error
		if before[i], err = cpuSeconds(pid); err != nil {
			return nil, err
		}
	}
	if err := rest(ctx, quiet); err != nil {
		return nil, err
	}
	all := make([]usage, len(pids))
	for i, pid := range pids {
		after, err := cpuSeconds(pid)
		if err != nil {
			return nil, err
		}
		all[i].mCPU = (after - before[i]) / quiet.Seconds() * 1000
		if all[i].mib, err = residentMiB(pid); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// cpuSeconds is the processor time that a process has used.
func cpuSeconds(pid int) (float64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, errUser := strconv.ParseFloat(fields[11], 64)
	system, errSystem := strconv.ParseFloat(fields[12], 64)
	if errUser != nil || errSystem != nil {
		return 0, fmt.Errorf("read processor time of %d: %q", pid, text)
	}
	const ticks = 100 // a second, on every Linux that Go runs on
	return (user + system) / ticks, nil
}

// residentMiB is the memory that a process has, its mapped log included.
func residentMiB(pid int) (float64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	var size, resident float64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0, fmt.Errorf("read memory of %d: %w", pid, err)
	}
	return resident * float64(os.Getpagesize()) / (1 << 20), nil
}
