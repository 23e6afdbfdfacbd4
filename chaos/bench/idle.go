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
		cpu, rss := [2][]float64{}, [2][]float64{}
		var before [2]float64
		var nodes [2]*node
		for i, t := range trios {
			if nodes[i], err = t.at(ctx, at); err != nil {
				return rows, err
			}
		}
		if err := rest(ctx, quiet/2); err != nil {
			return rows, err
		}
		for i, n := range nodes {
			if before[i], err = cpuSeconds(n.process.Process.Pid); err != nil {
				return rows, err
			}
		}
		if err := rest(ctx, quiet); err != nil {
			return rows, err
		}
		for i, n := range nodes {
			after, err := cpuSeconds(n.process.Process.Pid)
			if err != nil {
				return rows, err
			}
			resident, err := residentMiB(n.process.Process.Pid)
			if err != nil {
				return rows, err
			}
			cpu[i], rss[i] = []float64{(after - before[i]) / quiet.Seconds() * 1000}, []float64{resident}
		}
		rows = append(rows,
			newRow("idle after all of this, "+at+" of three, processor", inMilliCPU, cpu[0], cpu[1], nil),
			newRow("idle after all of this, "+at+" of three, memory", inMiB, rss[0], rss[1], nil))
	}
	return rows, nil
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
