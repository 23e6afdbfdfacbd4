package bench

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Machine is where a run took place, and how busy it was at that moment.
type Machine struct {
	Processor string  `json:"processor"`
	Cores     int     `json:"cores"`
	Kernel    string  `json:"kernel"`
	Go        string  `json:"go"`
	Load      float64 `json:"load"`
	// SyncP50 and SyncP99 are how long 4 KiB take to reach the disk, in milliseconds.
	SyncP50 float64 `json:"syncP50"`
	SyncP99 float64 `json:"syncP99"`
}

// lookAround measures in the folder where the data will lie.
func lookAround(dir string) (Machine, error) {
	m := Machine{Processor: processor(), Cores: runtime.NumCPU(), Go: runtime.Version(), Load: loadAverage()}
	if data, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		// Without what a builder appended: it names a machine, and says nothing of its speed.
		m.Kernel, _, _ = strings.Cut(strings.TrimSpace(string(data)), "-")
	}
	var err error
	m.SyncP50, m.SyncP99, err = syncLatency(dir)
	return m, err
}

func (m Machine) String() string {
	return fmt.Sprintf("%s, %d cores, Linux %s, %s; load %.1f; 4 KiB on the disk p50 %.2f ms, p99 %.2f ms",
		m.Processor, m.Cores, m.Kernel, m.Go, m.Load, m.SyncP50, m.SyncP99)
}

func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, of, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(of)
		}
	}
	return runtime.GOARCH
}

func loadAverage() (one float64) {
	if data, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(string(data), &one)
	}
	return one
}

// syncLatency appends 4 KiB and syncs, again and again.
func syncLatency(dir string) (p50, p99 float64, err error) {
	const writes = 200
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return 0, 0, fmt.Errorf("measure the disk: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var took []time.Duration
	for range writes {
		begun := time.Now()
		if _, err := f.Write(make([]byte, 4<<10)); err != nil {
			return 0, 0, fmt.Errorf("measure the disk: %w", err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, 0, fmt.Errorf("measure the disk: %w", err)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	return milliseconds(took[writes/2]), milliseconds(took[writes*99/100]), nil
}
